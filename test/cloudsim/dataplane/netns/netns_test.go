package netns_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// prefixOf gives a prefix that no other process uses.
func prefixOf(t *testing.T) string {
	t.Helper()
	h := 0
	for _, c := range t.Name() {
		h = (h*31 + int(c)) % 99991
	}
	return fmt.Sprintf("nt%d-%d-", os.Getpid(), h)
}

// acquire takes a claim, or skips when this machine has no namespaces to give.
func acquire(t *testing.T, prefix string) *netns.Claim {
	t.Helper()
	c, err := netns.Acquire(prefix)
	skipWithout(t, err)
	t.Cleanup(func() {
		if err := c.Release(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func create(t *testing.T, c *netns.Claim, name string, setup func() error) {
	t.Helper()
	skipWithout(t, c.Create(name, setup))
}

func skipWithout(t *testing.T, err error) {
	t.Helper()
	var lacking *netns.UnavailableError
	if errors.As(err, &lacking) {
		t.Skipf("real network namespaces: %v", lacking)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// where gives the identity of the calling thread's namespace.
func where(t *testing.T) string {
	t.Helper()
	s, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func exists(name string) bool {
	_, err := os.Stat(netns.Path(name))
	return err == nil
}

func TestInRunsInsideAndComesBack(t *testing.T) {
	prefix := prefixOf(t)
	c := acquire(t, prefix)
	var made string
	create(t, c, prefix+"a", func() error { made = where(t); return nil })
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	outside := where(t)

	var inside string
	broken := errors.New("broken")
	if err := netns.In(prefix+"a", func() error { inside = where(t); return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want the function's own error", err)
	}
	if inside != made || inside == outside {
		t.Errorf("ran in %s, want %s, outside is %s", inside, made, outside)
	}
	if now := where(t); now != outside {
		t.Errorf("came back to %s, want %s", now, outside)
	}
	func() {
		defer func() { _ = recover() }()
		_ = netns.In(prefix+"a", func() error { panic("in there") })
	}()
	if now := where(t); now != outside {
		t.Errorf("came back to %s after a panic, want %s", now, outside)
	}
}

func TestASocketOpenedInsideStaysThere(t *testing.T) {
	prefix := prefixOf(t)
	c := acquire(t, prefix)
	for _, name := range []string{"a", "b"} {
		create(t, c, prefix+name, nil)
	}
	var listener net.Listener
	if err := netns.In(prefix+"a", func() (err error) {
		listener, err = net.Listen("tcp4", "0.0.0.0:4711")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for namespace, want := range map[string]bool{"a": true, "b": false} {
		var table []byte
		if err := netns.In(prefix+namespace, func() (err error) {
			table, err = os.ReadFile("/proc/thread-self/net/tcp")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(table), fmt.Sprintf(":%04X ", 4711)); got != want {
			t.Errorf("namespace %s has the listener: %v, want %v", namespace, got, want)
		}
	}
}

func TestEnteringAMissingNamespaceSaysSo(t *testing.T) {
	err := netns.In("no-such-namespace", func() error { t.Error("ran"); return nil })
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want an error that wraps fs.ErrNotExist", err)
	}
}

func TestReleaseRemovesWhatWasMadeAndNothingElse(t *testing.T) {
	prefix := prefixOf(t)
	other := acquire(t, "other"+prefix)
	create(t, other, prefix+"foreign", nil) // the prefix alone makes nothing ours
	c := acquire(t, prefix)
	create(t, c, prefix+"a", nil)
	if err := c.Create(prefix+"foreign", nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name that is taken: got %v, want an error that wraps fs.ErrExist", err)
	}
	for range 2 {
		if err := c.Release(); err != nil {
			t.Fatal(err)
		}
	}
	if exists(prefix+"a") || !exists(prefix+"foreign") {
		t.Errorf("own namespace left: %v, foreign namespace left: %v, want false and true", exists(prefix+"a"), exists(prefix+"foreign"))
	}
}

func TestANameThatIsNoFileNameIsRefused(t *testing.T) {
	c := acquire(t, prefixOf(t))
	for _, name := range []string{"", "..", "../x", "a/b", ".hidden", strings.Repeat("x", 64)} {
		if err := c.Create(name, nil); err == nil || !strings.Contains(err.Error(), "use 1 to 63 letters") {
			t.Errorf("name %q: got %v", name, err)
		}
	}
}

func TestAPrefixHasOneLivingOwner(t *testing.T) {
	prefix := prefixOf(t)
	c := acquire(t, prefix)
	create(t, c, prefix+"a", nil)
	var taken *netns.InUseError
	if _, err := netns.Acquire(prefix); !errors.As(err, &taken) {
		t.Errorf("a second claim: got %v, want an InUseError", err)
	}
	if err := netns.Cleanup(prefix); !errors.As(err, &taken) {
		t.Errorf("cleaning up after the living: got %v, want an InUseError", err)
	}
	if !exists(prefix + "a") {
		t.Error("the namespace of a living owner was removed")
	}
}

// victimVariable tells the test binary to be the process that gets killed.
const victimVariable = "NETNS_TEST_VICTIM_PREFIX"

func TestMain(m *testing.M) {
	if prefix := os.Getenv(victimVariable); prefix != "" {
		victim(prefix)
	}
	os.Exit(m.Run())
}

// victim makes namespaces, says so, and waits to be killed.
func victim(prefix string) {
	c, err := netns.Acquire(prefix)
	for _, name := range []string{"a", "b", "stolen"} {
		if err == nil {
			err = c.Create(prefix+name, nil)
		}
	}
	fmt.Println("ready", err)
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}

func TestCleanupRemovesWhatAKilledProcessLeft(t *testing.T) {
	prefix := prefixOf(t)
	own := acquire(t, "own"+prefix)
	create(t, own, "own"+prefix+"probe", nil) // skips where there are no namespaces

	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), victimVariable+"="+prefix)
	input, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if line != "ready <nil>\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()

	// One of its names goes to somebody else before we come to clean up.
	if err := unix.Unmount(netns.Path(prefix+"stolen"), unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(netns.Path(prefix + "stolen")); err != nil {
		t.Fatal(err)
	}
	create(t, own, prefix+"stolen", nil)

	for range 2 {
		if err := netns.Cleanup(prefix); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]bool{"a": exists(prefix + "a"), "b": exists(prefix + "b"), "stolen": exists(prefix + "stolen")}
	if diff := cmp.Diff(map[string]bool{"a": false, "b": false, "stolen": true}, got); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

// TestANamespaceThatAnotherMountCovers runs itself again in a mount namespace of its own,
// where it may mount over the folder of namespaces.
func TestANamespaceThatAnotherMountCovers(t *testing.T) {
	const inside = "NETNS_TEST_COVERED"
	if os.Getenv(inside) == "" {
		acquire(t, prefixOf(t)) // skips where there are no namespaces
		again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		again.Env = append(os.Environ(), inside+"=1")
		again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
		if said, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, said)
		}
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	c := acquire(t, prefixOf(t))
	name := prefixOf(t) + "covered"
	create(t, c, name, nil)
	// As `ip netns add` does once (ip-netns(8)).
	if err := unix.Mount(netns.Directory, netns.Directory, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	if exists(name) {
		t.Errorf("namespace %s is still there", name)
	}
}

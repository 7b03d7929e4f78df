package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/demo/process"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/env/need"
)

// programs are built once for all tests of this package.
var programs struct {
	sync.Once
	folder string
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if programs.folder != "" {
		if err := os.RemoveAll(programs.folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func buildPrograms() (string, error) {
	folder, err := os.MkdirTemp("", "demo-test-")
	if err != nil {
		return "", err
	}
	for name, pkg := range map[string]string{
		"manager": "cmd/manager", "verifier": "cmd/verifier", "kubectl-mirror": "cmd/kubectl-mirror", "cloudsim": "test/cloudsim", "demo-play": "test/demo",
	} {
		command := exec.Command("go", "build", "-o", filepath.Join(folder, name), "./"+pkg)
		command.Dir = "../.."
		if out, err := command.CombinedOutput(); err != nil {
			return folder, fmt.Errorf("building %s: %w: %s", name, err, out)
		}
	}
	return folder, nil
}

// playing is a demo that runs as its own process, with names and a port of its own.
type playing struct {
	t       *testing.T
	command *exec.Cmd
	folder  string
	prefix  string
	flags   []string
	out     output
	ended   chan struct{}
}

// output gathers what the demo prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func newPlaying(t *testing.T) *playing {
	t.Helper()
	need.Root(t)
	if _, err := env.Assets(); err != nil {
		need.Skip(t, err.Error())
	}
	programs.Do(func() { programs.folder, programs.err = buildPrograms() })
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	p := &playing{t: t, folder: filepath.Join(t.TempDir(), "demo"), prefix: fmt.Sprintf("demo-test-%d-", os.Getpid())}
	p.flags = []string{
		"--folder", p.folder, "--programs", programs.folder, "--namespace-prefix", p.prefix, "--cloud-port", fmt.Sprint(unusedPort(t)),
	}
	return p
}

// unusedPort is none of those that the kernel gives to whoever asks for any, such as the
// servers of other tests: it stays free until the demo takes it.
func unusedPort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(10000)
		if listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			listener.Close()
			return port
		}
	}
	t.Fatal("no port from 20000 to 29999 is free")
	return 0
}

// begin starts a demo. Whatever becomes of the test, it is ended and its leftovers are
// removed.
func (p *playing) begin(name string) {
	p.t.Helper()
	p.command = exec.Command(filepath.Join(programs.folder, "demo-play"), append([]string{name}, p.flags...)...)
	p.command.Stdout, p.command.Stderr = &p.out, &p.out
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.ended = make(chan struct{})
	go func() {
		_ = p.command.Wait() // its exit code is looked at by those who wait
		close(p.ended)
	}()
	p.t.Cleanup(func() {
		_ = p.command.Process.Signal(syscall.SIGTERM)
		<-p.ended
		if code, said := p.do("down"); code != 0 {
			p.t.Errorf("demo-play down: exit code %d: %s", code, said)
		}
	})
}

// do runs a command of the demo to its end.
func (p *playing) do(name string) (code int, said string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(programs.folder, "demo-play"), append([]string{name}, p.flags...)...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	if exit != nil {
		return exit.ExitCode(), string(out)
	}
	return 0, string(out)
}

// deadline bounds everything that the tests wait for.
const deadline = 3 * time.Minute

// reach waits until the demo has printed something.
func (p *playing) reach(text string) {
	p.t.Helper()
	tick, late := time.NewTicker(20*time.Millisecond), time.After(deadline)
	defer tick.Stop()
	for !strings.Contains(p.out.String(), text) {
		select {
		case <-tick.C:
		case <-p.ended:
			p.t.Fatalf("the demo ended before it printed %q:\n%s", text, p.out.String())
		case <-late:
			p.t.Fatalf("the demo never printed %q:\n%s", text, p.out.String())
		}
	}
}

// end waits until the demo has ended and returns its exit code.
func (p *playing) end() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(deadline):
		p.t.Fatalf("the demo doesn't end:\n%s", p.out.String())
	}
	return p.command.ProcessState.ExitCode()
}

// running are the demo's programs that the book names.
func (p *playing) running() []process.Record {
	p.t.Helper()
	records, err := process.OpenBook(filepath.Join(p.folder, "pids")).Records()
	if err != nil {
		p.t.Fatal(err)
	}
	if len(records) < 4 {
		p.t.Fatalf("the book names %v, there are to be cloudsim, manager, forwarder and verifier", records)
	}
	return records
}

// nothingLeft looks for processes and namespaces of the demo.
func (p *playing) nothingLeft(records []process.Record) {
	p.t.Helper()
	for _, r := range records {
		if r.Alive() {
			p.t.Errorf("the %s (process %d) is still there", r.Name, r.PID)
		}
	}
	if names, _ := filepath.Glob(netns.Path(p.prefix + "*")); len(names) > 0 {
		p.t.Errorf("network namespaces are still there: %v", names)
	}
	if names, _ := filepath.Glob(filepath.Join(p.folder, "kube", "*.pid")); len(names) > 0 {
		p.t.Errorf("Kubernetes is still there: %v", names)
	}
}

func (p *playing) reportOf() report {
	p.t.Helper()
	content, err := os.ReadFile(filepath.Join(p.folder, "report.json"))
	if err != nil {
		p.t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(content, &r); err != nil {
		p.t.Fatal(err)
	}
	return r
}

func TestTheWalkthroughHolds(t *testing.T) {
	p := newPlaying(t)
	p.begin("run")
	if code := p.end(); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, p.out.String())
	}
	r := p.reportOf()
	if !r.OK || !r.CloudEmpty || !r.TookDown || len(r.Rows) != 6 || len(r.Forgeries) != 5 || len(r.Sources) != 1 || len(r.Rules) != 1 ||
		r.Silence == nil || r.Silence.Reason != v1alpha1.ReasonTargetGroupDenies || r.Silence.SourceKernel == 0 ||
		r.Why == nil || !strings.Contains(r.Why.Closed, v1alpha1.ReasonTargetGroupDenies) || !strings.Contains(r.Why.Broader, v1alpha1.ReasonTakenEarlier) ||
		!strings.Contains(r.Why.Well, "COPIES ARRIVE") || r.Copy.OuterLength != 122 || r.Copy.InnerLength != 72 {
		t.Errorf("the demo exits with 0, but its report says %+v", r)
	}
	p.nothingLeft(nil)
}

func TestCtrlCLeavesNothingBehind(t *testing.T) {
	p := newPlaying(t)
	p.begin("run")
	p.reach(" 8. ")
	records := p.running()
	if err := p.command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.end(); code != exitInterrupted {
		t.Errorf("exit code %d, wanted is %d:\n%s", code, exitInterrupted, p.out.String())
	}
	p.nothingLeft(records)
}

func TestDownRemovesWhatAKilledDemoLeft(t *testing.T) {
	p := newPlaying(t)
	p.begin("up")
	p.reach(" 7. ")
	records := p.running()
	if err := p.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.end()
	for _, r := range records {
		if !r.Alive() {
			t.Fatalf("the %s ended together with the demo, so this test shows nothing", r.Name)
		}
	}
	if code, said := p.do("down"); code != 0 || !strings.Contains(said, "Taken down: ids, verifier, forwarder, manager, cloudsim, Kubernetes") {
		t.Errorf("exit code %d: %s", code, said)
	}
	p.nothingLeft(records)
}

func TestAVerifierThatIsKilledInAWorldThatIsUpIsSaidToBeLost(t *testing.T) {
	p := newPlaying(t)
	p.begin("up")
	if code := p.end(); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, p.out.String())
	}
	for _, r := range p.running() {
		if r.Name == "verifier" {
			if err := syscall.Kill(r.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	api := p.api()
	tick, late := time.NewTicker(time.Second), time.After(deadline) // the lease holds for 40 s
	defer tick.Stop()
	for {
		var sessions v1alpha1.MirrorSessionList
		if err := api.List(t.Context(), &sessions); err != nil {
			t.Fatal(err)
		}
		lost := func(s v1alpha1.MirrorSession) bool {
			c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionTrafficObserved)
			return c != nil && c.Reason == v1alpha1.ReasonVerifierLost
		}
		if slices.ContainsFunc(sessions.Items, lost) {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("the verifier was killed, and no session says so: %+v", sessions.Items)
		}
	}
}

// api is a client of the demo's API server with the administrator's rights.
func (p *playing) api() client.Client {
	p.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(p.folder, "kube", "admin.kubeconfig"))
	if err != nil {
		p.t.Fatal(err)
	}
	scheme, err := env.Scheme()
	if err != nil {
		p.t.Fatal(err)
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		p.t.Fatal(err)
	}
	return api
}

func TestATakenPortIsSaidBeforeAnythingIsStarted(t *testing.T) {
	p := newPlaying(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p.flags = append(p.flags, "--cloud-port", fmt.Sprint(listener.Addr().(*net.TCPAddr).Port))
	code, said := p.do("run")
	if want := listener.Addr().String() + " is taken by another program"; code != exitFailed || !strings.Contains(said, want) {
		t.Errorf("exit code %d, and it doesn't say %q:\n%s", code, want, said)
	}
	if strings.Contains(said, "Start Kubernetes") {
		t.Errorf("something was started:\n%s", said)
	}
}

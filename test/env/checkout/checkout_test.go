package checkout_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/env/checkout"
	"vpcmirror.io/operator/test/env/need"
)

// somebody is a user other than root, without a name on this machine.
const somebody = 54321

// clone is a checkout that belongs to somebody: its folder, with hack/handover.
func clone(t *testing.T) string {
	t.Helper()
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(root, "hack/handover"))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(folder), 0o755), os.Chmod(folder, 0o700)); err != nil {
		t.Fatal(err) // somebody could not get there
	}
	write(t, folder, "hack/handover", string(script), 0o755)
	for _, path := range []string{folder, filepath.Join(folder, "hack"), filepath.Join(folder, "hack/handover")} {
		if err := os.Chown(path, somebody, somebody); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func write(t *testing.T, folder, name, content string, mode fs.FileMode) {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// asSomebody runs a command in the folder as its owner.
func asSomebody(t *testing.T, folder string, command ...string) string {
	t.Helper()
	c := exec.Command(command[0], command[1:]...)
	c.Dir = folder
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: somebody, Gid: somebody}}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%s as the owner of the checkout: %v: %s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// owners are the user and the mode of everything below a folder of the clone.
func owners(t *testing.T, folder string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		got[name] = fmt.Sprintf("%d %v", info.Sys().(*syscall.Stat_t).Uid, info.Mode())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWhatRootMakesInACheckoutIsItsOwners(t *testing.T) {
	need.Root(t)
	t.Run("whatever it is and whoever could enter it", func(t *testing.T) {
		folder := clone(t)
		write(t, folder, "bin/lab/pki/ca.key", "key", 0)
		write(t, folder, "bin/lab/nodes/a/upper/file", "disk", 0o400)
		write(t, folder, "elsewhere", "root's", 0o600)
		other := filepath.Join(folder, "bin/lab/nodes/a/upper")
		for _, err := range []error{
			os.Symlink("../../elsewhere", filepath.Join(folder, "bin/lab/link")),
			unix.Mknod(filepath.Join(folder, "bin/lab/null"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))),
			os.Chown(filepath.Join(other, "file"), 65532, 65532), os.Chmod(other, 0),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}

		if err := checkout.HandOver(folder, filepath.Join(folder, "bin/lab"), filepath.Join(folder, "bin/gone")); err != nil {
			t.Fatal(err)
		}

		want := map[string]string{
			".": "54321 drwx------", "link": "54321 Lrwxrwxrwx", "null": "0 Dcrw-------", "pki": "54321 drwx------", "pki/ca.key": "54321 -r--------",
			"nodes": "54321 drwx------", "nodes/a": "54321 drwx------", "nodes/a/upper": "54321 drwx------", "nodes/a/upper/file": "54321 -r--------",
		}
		if diff := cmp.Diff(want, owners(t, filepath.Join(folder, "bin/lab"))); diff != "" {
			t.Errorf("owner and mode (-want +got):\n%s", diff)
		}
		if got := owners(t, folder)["elsewhere"]; got != "0 -rw-------" {
			t.Errorf("the file that a link leads to is %s now, want root's as before", got)
		}
	})

	t.Run("at the end of each step of make, but for demo and lab, which may be in use", func(t *testing.T) {
		folder := clone(t)
		write(t, folder, "bin/manager", "program", 0o755)
		write(t, folder, "bin/demo/env", "", 0o600)
		write(t, folder, "bin/lab/env", "", 0o600)
		write(t, folder, "controllers/plan/testdata/rapid/fail", "", 0o600)
		write(t, folder, "notes", "", 0o600)
		if err := os.Chown(filepath.Join(folder, "notes"), 65532, 65532); err != nil {
			t.Fatal(err)
		}

		if out, err := exec.Command(filepath.Join(folder, "hack/handover")).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}

		const file, private, folderMode = "54321 -rw-------", "0 -rw-------", "54321 drwx------"
		want := map[string]string{
			".": folderMode, "hack": folderMode, "hack/handover": "54321 -rwxr-xr-x", "bin": folderMode, "bin/manager": "54321 -rwxr-xr-x",
			"bin/demo": folderMode, "bin/demo/env": private, "bin/lab": folderMode, "bin/lab/env": private,
			"controllers": folderMode, "controllers/plan": folderMode, "controllers/plan/testdata": folderMode,
			"controllers/plan/testdata/rapid": folderMode, "controllers/plan/testdata/rapid/fail": file,
			"notes": "65532 -rw-------", // a third user's, whom nobody asked
		}
		if diff := cmp.Diff(want, owners(t, folder)); diff != "" {
			t.Errorf("owner and mode (-want +got):\n%s", diff)
		}
	})

	t.Run("so that the owner can read and remove it", func(t *testing.T) {
		folder := clone(t)
		write(t, folder, "bin/demo/kube/etcd/wal", "log", 0)
		if err := os.Chmod(filepath.Join(folder, "bin/demo/kube"), 0); err != nil {
			t.Fatal(err)
		}
		for _, paths := range [][]string{{filepath.Join(folder, "bin/demo")}, nil} {
			if out, err := exec.Command(filepath.Join(folder, "hack/handover"), paths...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}

		if got := asSomebody(t, folder, "cat", "bin/demo/kube/etcd/wal"); got != "log" {
			t.Errorf("the owner reads %q", got)
		}
		asSomebody(t, folder, "rm", "-r", "bin")
	})

	t.Run("but nothing outside of it", func(t *testing.T) {
		folder, outside := clone(t), t.TempDir()
		write(t, outside, "file", "", 0o600)
		before := owners(t, outside)
		if err := checkout.HandOver(folder, outside, filepath.Join(folder, "..", filepath.Base(outside)), folder+"-other"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, owners(t, outside)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A lab that is up has folders in bin that only root can read, and `go test ./...` would
// fail on the first of them.
func TestGoDoesNotLookIntoBin(t *testing.T) {
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(root, "bin")
	folder := filepath.Join(bin, "not-for-go")
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
		_ = os.Remove(bin) // where it was not there before
	})
	write(t, folder, "ignored.go", "package ignored\n", 0o600)
	command := exec.CommandContext(t.Context(), "go", "list", "./bin/...")
	command.Dir = root
	out, err := command.Output()
	if diff := cmp.Diff("", string(out)); diff != "" || err != nil {
		t.Errorf("%v, the packages that go finds in bin (-want +got):\n%s", err, diff)
	}
}

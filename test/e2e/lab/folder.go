package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/demo/process"
)

// defaultPrefix is short: it is part of names that the kernel limits.
const defaultPrefix = "vmlab-"

// InUseError says that a living process has a lab in the folder.
type InUseError struct{ Folder string }

// Error says what to do.
func (e *InUseError) Error() string {
	return fmt.Sprintf("a lab is up in %s already: use it (source %s) or take it down first (make lab-down)",
		e.Folder, filepath.Join(e.Folder, "env"))
}

// prepare fills the options, checks the machine, takes the folder, and removes what a
// killed process left there.
func prepare(options Options) (*Lab, error) {
	began := time.Now()
	l, err := open(options)
	if err != nil {
		return nil, err
	}
	if err := Check(l.kube); err != nil {
		return nil, errors.Join(err, l.lock.Close())
	}
	l.began = began
	err = l.clear()
	if err == nil {
		err = l.freshFolder()
	}
	if err == nil {
		err = process.OpenBook(l.path("owner")).AddSelf("lab")
	}
	if err == nil {
		// Before anything runs that could change them.
		err = l.ledger.saveSettings()
	}
	if err != nil {
		return nil, errors.Join(err, l.lock.Close())
	}
	return l, nil
}

// Cleanup removes what a killed process left of its lab in the folder; bin/lab when
// empty. Nothing left is no error. It says what it removed, and fails with an *InUseError
// while the process lives.
func Cleanup(folder string) ([]string, error) {
	l, err := open(Options{Folder: folder})
	if err != nil {
		return nil, err
	}
	removed, err := l.removeLeftovers()
	return removed, errors.Join(err, l.lock.Close())
}

// Stop asks the process that has a lab in the folder (bin/lab when empty) to take it
// down, waits until it has ended, and says whether there was one.
func Stop(ctx context.Context, folder string, patience time.Duration) (bool, error) {
	if folder == "" {
		root, err := projectRoot()
		if err != nil {
			return false, err
		}
		folder = filepath.Join(root, "bin", "lab")
	}
	owners, err := process.OpenBook(filepath.Join(folder, "owner")).Records()
	if err != nil {
		return false, err
	}
	found := false
	for _, owner := range owners {
		if !owner.Alive() {
			continue
		}
		found = true
		if err := syscall.Kill(owner.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return true, fmt.Errorf("ask process %d to take the lab down: %w", owner.PID, err)
		}
		err := poll(ctx, patience, 50*time.Millisecond, fmt.Sprintf("process %d has taken the lab down", owner.PID), func() error {
			if owner.Alive() {
				return errors.New("it still runs")
			}
			return nil
		})
		if err != nil {
			return true, fmt.Errorf("%w: look at %s, then end it (kill -9 %d) and run make lab-down again", err, filepath.Join(folder, "lab.log"), owner.PID)
		}
	}
	return found, nil
}

// open finds the folders and takes the lock, which the kernel gives back when the process
// ends, however it ends.
func open(options Options) (*Lab, error) {
	root, err := projectRoot()
	if err != nil {
		return nil, err
	}
	if options.Folder == "" {
		options.Folder = filepath.Join(root, "bin", "lab")
	}
	if options.Kube == "" {
		options.Kube = filepath.Join(root, "bin", "kube")
	}
	if options.Prefix == "" {
		options.Prefix = defaultPrefix
	}
	if options.Progress == nil {
		options.Progress = io.Discard
	}
	if options.Folder, err = filepath.Abs(options.Folder); err != nil {
		return nil, fmt.Errorf("find the lab's folder: %w", err)
	}
	if err := os.MkdirAll(options.Folder, 0o755); err != nil {
		return nil, fmt.Errorf("make the lab's folder: %w", err)
	}
	l := &Lab{options: options, root: root}
	if l.kube, err = filepath.Abs(options.Kube); err != nil {
		return nil, fmt.Errorf("find the programs of Kubernetes: %w", err)
	}
	l.ledger, l.book = &ledger{l.path("ledger")}, process.OpenBook(l.path("pids"))
	l.lock, err = lockFile(l.path("lock"))
	return l, err
}

func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the lab's lock: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = &InUseError{filepath.Dir(path)}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// clear removes leftovers and says so.
func (l *Lab) clear() error {
	removed, err := l.removeLeftovers()
	if len(removed) > 0 {
		fmt.Fprintf(l.options.Progress, "An earlier lab was killed; what it left is gone now: %s.\n", strings.Join(removed, ", "))
	}
	return err
}

// removeLeftovers ends the processes of a killed lab, of which the kernel should have
// killed each already, and undoes what it changed.
func (l *Lab) removeLeftovers() ([]string, error) {
	stopped, err := l.book.StopAll()
	if err != nil {
		return stopped, err
	}
	undone, err := l.ledger.undo()
	return append(stopped, undone...), errors.Join(err, removeIfThere(l.path("env")), removeIfThere(l.path("owner")))
}

// freshFolder empties the folder, so that no fact of an earlier lab is taken for one of
// this. The lock stays.
func (l *Lab) freshFolder() error {
	entries, err := os.ReadDir(l.options.Folder)
	if err != nil {
		return fmt.Errorf("empty the lab's folder: %w", err)
	}
	for _, e := range entries {
		if e.Name() == "lock" || e.Name() == "lab.log" {
			continue
		}
		if err := os.RemoveAll(l.path(e.Name())); err != nil {
			return fmt.Errorf("empty the lab's folder: %w", err)
		}
	}
	return nil
}

// writeEnv writes the file for a shell to source.
func (l *Lab) writeEnv() error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# For a shell: source %s\n", l.path("env"))
	for _, v := range []struct{ name, value string }{
		{"KUBECONFIG", l.Kubeconfig()},
		{"CLOUD_ENDPOINT", l.LocalCloudURL()},
		{"CLOUD_AK", scenario.WalkthroughAccessKey},
		{"CLOUD_SK", scenario.WalkthroughSecretKey},
		{"CLOUD_PROJECT", scenario.WalkthroughProject},
		{"CLOUD_REGION", scenario.WalkthroughRegion},
		{"CLOUD_ENDPOINT_FOR_PODS", l.CloudURL()},
	} {
		fmt.Fprintf(&out, "export %s=%s\n", v.name, quote(v.value))
	}
	fmt.Fprintf(&out, "export PATH=%s:%s:\"$PATH\"\n", quote(l.kube), quote(filepath.Join(l.root, "bin")))
	out.WriteString("# The network of a node: ip netns exec NAMESPACE tcpdump -i eth0 -nne udp port 4789\n")
	for _, n := range l.nodes {
		fmt.Fprintf(&out, "# %s: namespace %s, InternalIP %s\n", n.Name, n.Namespace, n.Address)
	}
	if err := os.WriteFile(l.path("env"), out.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the file to source: %w", err)
	}
	return nil
}

// quote makes one word of a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}

// projectRoot walks up from the working folder to the one with our go.mod.
func projectRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the project's folder: %w", err)
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		content, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err == nil && bytes.HasPrefix(content, []byte("module vpcmirror.io/operator\n")) {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("no folder above %s is the project's: run this inside a clone of it", start)
		}
	}
}

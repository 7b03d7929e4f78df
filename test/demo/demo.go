package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/demo/kernel"
	"vpcmirror.io/operator/test/demo/process"
	"vpcmirror.io/operator/test/demo/wire"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/env/checkout"
)

// demo is one playing of the walkthrough.
type demo struct {
	options
	command string // run, up or down
	root    string // the project's folder
	screen  *screen
	report  report
	lock    *os.File
	book    *process.Book

	processes []*process.Process
	undos     []undo
	kubectl   string // path
	admin     string // path of the administrator's kubeconfig
	api       client.Client
	cloud     *cloud
	source    *kernel.Judge
	target    *kernel.Judge
	capture   *wire.Capture
	talk      *conversation
	verifier  *process.Process
	manager   *process.Process
	marks     marks
	// vxlanRule is the ID of the rule that lets the copies into ecs-target now.
	vxlanRule string
	quiet     quietMirror
}

// undo takes one thing down again.
type undo struct {
	what string
	do   func() error
}

// later adds something to take down, which happens in the reverse order.
func (d *demo) later(what string, do func() error) { d.undos = append(d.undos, undo{what, do}) }

// newDemo finds the folders and takes the lock.
func newDemo(command string, o options, s *screen) (*demo, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("the demo makes network namespaces and needs root: run it with sudo (sudo env \"PATH=$PATH\" make demo)")
	}
	root, err := checkout.Root()
	if err != nil {
		return nil, err
	}
	d := &demo{options: o, command: command, root: root, screen: s}
	for _, folder := range []*string{&d.folder, &d.programs} {
		if *folder, err = filepath.Abs(*folder); err != nil {
			return nil, fmt.Errorf("finding the folder: %w", err)
		}
	}
	if err := os.MkdirAll(d.folder, 0o755); err != nil {
		return nil, fmt.Errorf("making the demo's folder: %w", err)
	}
	if d.lock, err = lockFile(d.path("lock")); err != nil {
		return nil, err
	}
	d.book = process.OpenBook(d.path("pids"))
	return d, nil
}

// lockFile keeps a second demo out of the folder while we work in it. The kernel gives
// the lock back when we end, however we end.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the demo's lock: %w", err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("another demo is playing in %s: wait for its end, or stop it with Ctrl-C", filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// path is that of a file in the demo's folder.
func (d *demo) path(name string) string { return filepath.Join(d.folder, name) }

// shown is a path as it is shown: short where it is below the working folder.
func (d *demo) shown(path string) string {
	if here, err := os.Getwd(); err == nil {
		if short, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(short) {
			return short
		}
	}
	return path
}

// isUp reports whether an earlier up left everything running.
func (d *demo) isUp() (bool, error) {
	if _, err := os.Stat(d.path("env")); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	records, err := d.book.Records()
	if err != nil {
		return false, err
	}
	return len(records) > 0 && !slices.ContainsFunc(records, func(r process.Record) bool { return !r.Alive() }), nil
}

// cleanUp ends and removes whatever an earlier demo of this folder left, and returns
// what that was.
func (d *demo) cleanUp() ([]string, error) {
	left, err := d.book.StopAll()
	if err != nil {
		return left, err
	}
	if names, _ := filepath.Glob(d.path("kube/*.pid")); len(names) > 0 {
		left = append(left, "Kubernetes")
	}
	if err := env.StopControlPlane(d.path("kube")); err != nil {
		return left, err
	}
	before := d.namespaces()
	if err := netns.Cleanup(d.prefix); err != nil {
		return left, fmt.Errorf("removing the network namespaces of an earlier demo: %w", err)
	}
	if len(before) > len(d.namespaces()) {
		left = append(left, "network namespaces")
	}
	if err := os.Remove(d.path("env")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return left, fmt.Errorf("removing the file env: %w", err)
	}
	return left, os.RemoveAll(d.path("kube/etcd"))
}

// namespaces are the names of the hosts' network namespaces that there are.
func (d *demo) namespaces() []string {
	entries, err := os.ReadDir(netns.Directory)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), d.prefix) {
			names = append(names, e.Name())
		}
	}
	return names
}

// down is the command of that name.
func (d *demo) down() error {
	left, err := d.cleanUp()
	if err != nil {
		return err
	}
	if len(left) == 0 {
		d.screen.line("Nothing was running in %s.", d.shown(d.folder))
		return nil
	}
	d.screen.line("Taken down: %s. The logs stay in %s.", strings.Join(left, ", "), d.shown(d.folder))
	return nil
}

// freshFolder empties the folder, so that no fact of an earlier demo is taken for one
// of this. The lock stays.
func (d *demo) freshFolder() error {
	entries, err := os.ReadDir(d.folder)
	if err != nil {
		return fmt.Errorf("emptying the demo's folder: %w", err)
	}
	for _, e := range entries {
		if e.Name() == "lock" {
			continue
		}
		if err := os.RemoveAll(d.path(e.Name())); err != nil {
			return fmt.Errorf("emptying the demo's folder: %w", err)
		}
	}
	return nil
}

const (
	// patience bounds each wait.
	patience = 30 * time.Second
	// glance is how often a wait checks.
	glance = 100 * time.Millisecond
)

// until checks until what is waited for holds (check returns nil). It gives up after 30
// seconds, and at once when one of our programs has ended, and says what it waited for
// and what it saw last.
func (d *demo) until(ctx context.Context, what string, check func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	var last error
	for {
		err := check(limited)
		if err == nil {
			return nil
		}
		if deadline, _ := limited.Deadline(); time.Now().Before(deadline) || last == nil {
			last = err // a check cut short by the deadline says less than the one before
		}
		if p, how := d.anyEnded(); p != nil {
			return fmt.Errorf("waiting until %s: the %s ended by itself (%s)", what, p.Name, how)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limited.Done():
			return fmt.Errorf("waited %s until %s, in vain: %w", patience, what, last)
		case <-tick.C:
		}
	}
}

func (d *demo) anyEnded() (*process.Process, string) {
	for _, p := range d.processes {
		if ended, err := p.Ended(); ended {
			if err == nil {
				return p, "exit status 0"
			}
			return p, err.Error()
		}
	}
	return nil, ""
}

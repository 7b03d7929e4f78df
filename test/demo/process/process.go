// Package process runs the demo's programs: each with its output in a file, in the
// network namespace it belongs to, and written down so that a later run can end it
// when the one that started it was killed.
//
// It may import test/cloudsim/dataplane/netns of ours.
package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// patience is how long a process may take to end after SIGTERM before it gets
// SIGKILL, and how long after that it may take to be gone.
const patience = 10 * time.Second

// Spec says what to run.
type Spec struct {
	// Name is the word for it in messages and in the book, without blanks.
	Name string
	// Program is the path of the program, Args what follows its name.
	Program string
	Args    []string
	// Env replaces the environment; nil means ours.
	Env []string
	// Log is the file that gets all its output; it is emptied first.
	Log string
	// Namespace is the network namespace it runs in; empty means ours.
	Namespace string
	// Clone are further namespaces that it gets anew, such as unix.CLONE_NEWNS.
	Clone uintptr
	// Survive leaves it running when we end. Otherwise the kernel kills it with us,
	// however we end.
	Survive bool
}

// Process is a child process of ours.
type Process struct {
	// Name and Log are those of the Spec.
	Name, Log string
	// PID is its number while it runs.
	PID int

	command *exec.Cmd
	done    chan struct{}
	result  error // once done is closed
}

// Start runs the program and writes it into the book.
func Start(spec Spec, book *Book) (*Process, error) {
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of the %s: %w", spec.Name, err)
	}
	defer log.Close() // the child has its own copy

	command := exec.Command(spec.Program, spec.Args...)
	command.Env = spec.Env
	command.Stdout, command.Stderr = log, log
	// A session of its own: Ctrl-C at the terminal reaches us alone, and we end the
	// programs in the right order.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: spec.Clone}
	if !spec.Survive {
		command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if err := startOnKeptThread(command, spec.Namespace); err != nil {
		return nil, fmt.Errorf("starting the %s: %w", spec.Name, err)
	}
	p := &Process{Name: spec.Name, Log: spec.Log, PID: command.Process.Pid, command: command, done: make(chan struct{})}
	go func() {
		p.result = command.Wait()
		close(p.done)
	}()
	if err := book.add(p); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// Ended reports whether the process has ended, whoever ended it, and how.
func (p *Process) Ended() (bool, error) {
	select {
	case <-p.done:
		return true, p.result
	default:
		return false, nil
	}
}

// Stop ends the process: SIGTERM, patience, SIGKILL. Stopping twice is no error.
func (p *Process) Stop() error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := p.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stopping the %s (process %d): %w", p.Name, p.PID, err)
		}
		select {
		case <-p.done:
			return nil
		case <-time.After(patience):
		}
	}
	return fmt.Errorf("the %s (process %d) is still there %s after SIGKILL", p.Name, p.PID, patience)
}

// Tail is the end of a log, for an error message.
func Tail(path string, lines int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// request asks the kept thread for a start.
type request struct {
	command   *exec.Cmd
	namespace string
	result    chan error
}

var (
	keptThread sync.Once
	requests   chan request
)

// startOnKeptThread starts the command on a thread that lives as long as we do:
// the kernel sends Pdeathsig when the thread that made the child ends (prctl(2),
// PR_SET_PDEATHSIG), and Go ends threads at times. A child begins in the network
// namespace of the thread that makes it.
func startOnKeptThread(command *exec.Cmd, namespace string) error {
	keptThread.Do(func() {
		requests = make(chan request)
		go func() {
			runtime.LockOSThread()
			for r := range requests {
				if r.namespace == "" {
					r.result <- r.command.Start()
				} else {
					r.result <- netns.In(r.namespace, r.command.Start)
				}
			}
		}()
	})
	r := request{command: command, namespace: namespace, result: make(chan error, 1)}
	requests <- r
	return <-r.result
}

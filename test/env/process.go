package env

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopPatience is how long a process may take to end after SIGTERM before it gets
// SIGKILL, and how long after that it may take to be gone.
const stopPatience = 10 * time.Second

// process is a child process of ours with its output in a file and its identity in
// another, so that a later program can end it too.
type process struct {
	name    string
	logPath string
	pidPath string
	command *exec.Cmd
	done    chan struct{} // closed once the process has ended and was waited for
}

// start runs the program. Unless it is to survive us, the kernel kills it when we
// die, however we die: a test that ends by a panic or a deadline leaves nothing.
func start(folder, name, program string, survive bool, args ...string) (*process, error) {
	p := &process{
		name:    name,
		logPath: filepath.Join(folder, name+".log"),
		pidPath: filepath.Join(folder, name+".pid"),
		done:    make(chan struct{}),
	}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer log.Close() // the child has its own copy

	p.command = exec.Command(program, args...)
	p.command.Dir = folder
	p.command.Stdout, p.command.Stderr = log, log
	// A group of its own: Ctrl-C at the terminal reaches us alone, and we stop the
	// API server before etcd.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if !survive {
		p.command.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if err := startOnKeptThread(p.command); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		defer close(p.done)
		_ = p.command.Wait() // its log says how it ended
	}()
	if err := p.writePID(); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// startOnKeptThread starts the command on a thread that lives as long as we do:
// the kernel sends Pdeathsig when the thread that made the child ends (prctl(2),
// PR_SET_PDEATHSIG), and Go ends threads at times.
func startOnKeptThread(command *exec.Cmd) error {
	keptThread.Do(func() {
		requests = make(chan request)
		go func() {
			runtime.LockOSThread()
			for r := range requests {
				r.result <- r.command.Start()
			}
		}()
	})
	r := request{command: command, result: make(chan error, 1)}
	requests <- r
	return <-r.result
}

type request struct {
	command *exec.Cmd
	result  chan error
}

var (
	keptThread sync.Once
	requests   chan request
)

// exited says that the process has ended, whoever ended it.
func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the process: SIGTERM, patience, SIGKILL. Stopping twice is no error.
func (p *process) stop() error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := p.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stopping %s (process %d): %w", p.name, p.command.Process.Pid, err)
		}
		select {
		case <-p.done:
			return removeIfThere(p.pidPath)
		case <-time.After(stopPatience):
		}
	}
	return fmt.Errorf("%s (process %d) is still there %s after SIGKILL", p.name, p.command.Process.Pid, stopPatience)
}

// tail is the end of what the process said, for an error message.
func (p *process) tail() string {
	content, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// writePID records which process this is: its number and when it began, since the
// kernel gives numbers out again.
func (p *process) writePID() error {
	pid := p.command.Process.Pid
	began, err := beginning(pid)
	if err != nil {
		return fmt.Errorf("reading when %s began: %w", p.name, err)
	}
	content := fmt.Sprintf("%d %d\n", pid, began)
	if err := os.WriteFile(p.pidPath, []byte(content), 0o600); err != nil {
		return fmt.Errorf("recording the process of %s: %w", p.name, err)
	}
	return nil
}

// stopRecorded ends the process that the file names, if it still is that process.
// A file that isn't there means that nothing runs.
func stopRecorded(pidPath string) error {
	content, err := os.ReadFile(pidPath)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading which process to stop: %w", err)
	}
	var pid int
	var began uint64
	if _, err := fmt.Sscan(string(content), &pid, &began); err != nil || pid <= 1 {
		return fmt.Errorf("%s doesn't name a process: it says %q", pidPath, content)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		deadline := time.Now().Add(stopPatience)
		for first := true; ; first = false {
			if now, err := beginning(pid); err != nil || now != began {
				return removeIfThere(pidPath)
			}
			if first {
				if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
					return fmt.Errorf("stopping process %d of %s: %w", pid, pidPath, err)
				}
			}
			if time.Now().After(deadline) {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return fmt.Errorf("process %d of %s is still there %s after SIGKILL", pid, pidPath, stopPatience)
}

// beginning is when a process began, in clock ticks since boot: field 22 of
// /proc/PID/stat (proc(5)). A zombie counts as gone.
func beginning(pid int) (uint64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// Field 2, the program's name, is in brackets and may itself hold blanks.
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields after the name, not 20", pid, len(fields))
	}
	if fields[0] == "Z" {
		return 0, os.ErrNotExist
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	return nil
}

package process

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Book is a file that names the processes of a demo, one a line: name, process
// number, when it began (clock ticks since the boot) and the boot. The kernel gives
// numbers out again, so the number alone would not tell whose process it is.
type Book struct {
	path string
	mu   sync.Mutex
}

// OpenBook returns the book in that file, which need not be there yet.
func OpenBook(path string) *Book { return &Book{path: path} }

// Record is a line of the book.
type Record struct {
	Name  string
	PID   int
	Began uint64
	Boot  string
}

// String is the line.
func (r Record) String() string { return fmt.Sprintf("%s %d %d %s", r.Name, r.PID, r.Began, r.Boot) }

// AddSelf writes the calling process down.
func (b *Book) AddSelf(name string) error { return b.write(name, os.Getpid()) }

// add writes a process down.
func (b *Book) add(p *Process) error { return b.write(p.Name, p.PID) }

func (b *Book) write(name string, pid int) error {
	began, err := beginning(pid)
	if err != nil {
		return fmt.Errorf("reading when the %s began: %w", name, err)
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	file, err := os.OpenFile(b.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening the book of processes: %w", err)
	}
	_, err = fmt.Fprintln(file, Record{Name: name, PID: pid, Began: began, Boot: boot})
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing the %s into the book of processes: %w", name, err)
	}
	return nil
}

// Records reads the book. A file that isn't there is an empty book, and a last line
// without its end was never finished.
func (b *Book) Records() ([]Record, error) {
	content, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the book of processes: %w", err)
	}
	if end := bytes.LastIndexByte(content, '\n'); end >= 0 {
		content = content[:end+1]
	} else {
		content = nil
	}
	var records []Record
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		r, err := parseRecord(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.path, err)
		}
		records = append(records, r)
	}
	return records, lines.Err()
}

func parseRecord(line string) (Record, error) {
	var r Record
	if _, err := fmt.Sscan(line, &r.Name, &r.PID, &r.Began, &r.Boot); err != nil || r.PID <= 1 {
		return Record{}, fmt.Errorf("the line %q names no process: remove it", line)
	}
	return r, nil
}

// Alive reports whether the very process of the record still runs.
func (r Record) Alive() bool {
	boot, err := bootID()
	if err != nil || boot != r.Boot {
		return false
	}
	began, err := beginning(r.PID)
	return err == nil && began == r.Began
}

// StopAll ends what of the book still runs, the last started first, and empties the
// book. It returns the names of those that it had to end.
func (b *Book) StopAll() ([]string, error) {
	records, err := b.Records()
	if err != nil {
		return nil, err
	}
	var stopped []string
	for i := len(records) - 1; i >= 0; i-- {
		r := records[i]
		if !r.Alive() {
			continue
		}
		if err := r.stop(); err != nil {
			return stopped, err
		}
		stopped = append(stopped, r.Name)
	}
	return stopped, b.Clear()
}

// Clear removes the book.
func (b *Book) Clear() error {
	if err := os.Remove(b.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the book of processes: %w", err)
	}
	return nil
}

// stop ends a process that need not be a child of ours.
func (r Record) stop() error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := syscall.Kill(r.PID, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stopping the %s (process %d): %w", r.Name, r.PID, err)
		}
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
			if !r.Alive() {
				return nil
			}
		}
	}
	return fmt.Errorf("the %s (process %d) is still there %s after SIGKILL", r.Name, r.PID, patience)
}

// beginning is when a process began, in clock ticks since the boot. A process that
// has ended and only waits for its parent's look counts as gone.
func beginning(pid int) (uint64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in brackets, may hold anything; state is field 3 and the beginning
	// field 22 (proc_pid_stat(5)).
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat is not as expected", pid)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, fs.ErrNotExist
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

func bootID() (string, error) {
	content, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("reading which boot this is: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

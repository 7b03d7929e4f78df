package live

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// reader is one of those that are measured.
type reader string

const (
	nobody   reader = "nobody" // the sender alone
	refusing reader = "a filter that returns 0"
	unread   reader = "ring drained unread"
	counting reader = "verifier"
	writing  reader = "tcpdump -w"
	printing reader = "tcpdump -nne"
)

var readers = []reader{nobody, refusing, unread, counting, writing, printing}

// tcpdump's own ring is as large as the verifier's (-B, in KiB), and keeps as much of a frame (-s);
// the interface is left as it is (-p).
var tcpdump = []string{"tcpdump", "-p", "-s", "192", "-B", "8192"}

func (r reader) isTcpdump() bool { return r == writing || r == printing }

// readsFrames is false of those that get none.
func (r reader) readsFrames() bool { return r != nobody && r != refusing }

// books are what a reader says of the frames that came.
type books struct {
	// Counted became what the reader is for; Drops are those that the kernel had no room for.
	Counted, Drops uint64
	// Unlike were read, and taken for something that was not sent.
	Unlike uint64
}

func (b books) sum() uint64 { return b.Counted + b.Drops + b.Unlike }

// running is a reader at work.
type running struct {
	reader  reader
	process *process
	in      io.WriteCloser
	lines   chan string // that it wrote
}

// command is how the reader is started.
func (r reader) command(ctx context.Context, self string, on *side) (*exec.Cmd, error) {
	if !r.isTcpdump() {
		what, err := json.Marshal(reading{Reader: r, Index: on.index})
		if err != nil {
			return nil, err
		}
		return exec.CommandContext(ctx, self, readWord, string(what)), nil
	}
	argv := append(tcpdump[1:len(tcpdump):len(tcpdump)], "-i", on.name)
	if r == writing {
		argv = append(argv, "-n", "-w", os.DevNull)
	} else {
		argv = append(argv, "-nne")
	}
	return exec.CommandContext(ctx, tcpdump[0], append(argv, "udp", "port", "4789")...), nil
}

// startReader starts a reader and waits until it reads.
func startReader(ctx context.Context, r reader, self string, on *side) (*running, error) {
	command, err := r.command(ctx, self, on)
	if err != nil {
		return nil, err
	}
	said, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close() // the reader has its own
	run := &running{reader: r, lines: make(chan string, 100)}
	if r.isTcpdump() {
		command.Stderr = out // nothing is copied through this process: no writer means the null device
	} else {
		command.Stdout, command.Stderr = out, os.Stderr
		if run.in, err = command.StdinPipe(); err != nil {
			return nil, errors.Join(err, said.Close())
		}
	}
	if run.process, err = on.start(command); err != nil {
		return nil, errors.Join(err, said.Close())
	}
	go func() {
		defer said.Close()
		defer close(run.lines)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			run.lines <- lines.Text()
		}
	}()
	ready := func(line string) bool { return !r.isTcpdump() || strings.Contains(line, "listening on") }
	if _, err := run.line(ctx, ready); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for %s to read: %w", r, err), run.stop())
	}
	return run, nil
}

// patience bounds the wait for something that takes milliseconds on an idle machine.
const patience = 30 * time.Second

// line waits for a line that is wanted.
func (r *running) line(ctx context.Context, wanted func(string) bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var before []string
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				return "", fmt.Errorf("it ended: %s", strings.Join(before, "; "))
			}
			if wanted(line) {
				return line, nil
			}
			before = append(before, line)
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// ask asks the reader for its books.
func (r *running) ask(ctx context.Context) (b books, err error) {
	if r.reader.isTcpdump() {
		if err := r.process.Process.Signal(unix.SIGUSR1); err != nil {
			return b, fmt.Errorf("ask %s for its counts: %w", r.reader, err)
		}
	} else if _, err := r.in.Write([]byte("\n")); err != nil {
		return b, fmt.Errorf("ask %s for its counts: %w", r.reader, err)
	}
	line, err := r.line(ctx, func(line string) bool { return !r.reader.isTcpdump() || tcpdumpSays.MatchString(line) })
	if err == nil {
		b, err = parse(r.reader, line)
	}
	if err != nil {
		return b, fmt.Errorf("ask %s for its counts: %w", r.reader, err)
	}
	return b, nil
}

// tcpdumpSays is its answer to SIGUSR1; what was "received by filter" includes what was dropped.
var tcpdumpSays = regexp.MustCompile(`(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped by kernel`)

func parse(from reader, line string) (b books, err error) {
	if !from.isTcpdump() {
		return b, json.Unmarshal([]byte(line), &b)
	}
	numbers := tcpdumpSays.FindStringSubmatch(line)
	if numbers == nil {
		return b, fmt.Errorf("no counts in %q", line)
	}
	captured, err := strconv.ParseUint(numbers[1], 10, 64)
	if err != nil {
		return b, err
	}
	drops, err := strconv.ParseUint(numbers[3], 10, 64)
	return books{Counted: captured, Drops: drops}, err
}

// cpu is the time that all threads of the reader ran.
func (r *running) cpu() (sum time.Duration, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", r.process.Process.Pid))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("no threads of %s are found in /proc: %w", r.reader, err)
	}
	for _, thread := range threads {
		ran, err := runTime(thread)
		if err != nil {
			return 0, err
		}
		sum += ran
	}
	return sum, nil
}

// runTime is the time that a thread ran, by the kernel's own counter (Documentation/scheduler/sched-stats.rst).
func runTime(path string) (time.Duration, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read how long a thread ran: %w", err)
	}
	first, _, _ := strings.Cut(string(content), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read how long a thread ran: %s has %q: %w", path, content, err)
	}
	return time.Duration(ns), nil
}

// stop ends the reader.
func (r *running) stop() error {
	if r.in != nil {
		_ = r.in.Close() // its answer is that it ends
	} else {
		_ = r.process.Process.Signal(os.Interrupt)
	}
	select {
	case <-r.process.ended:
		return nil
	case <-time.After(patience):
	}
	err := r.process.Process.Kill()
	<-r.process.ended
	return errors.Join(fmt.Errorf("%s did not end when it was to", r.reader), err)
}

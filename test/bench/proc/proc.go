// Package proc reads from /proc what a process has used: time of processors and memory. It may
// import nothing of ours.
package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// CPU is the time for which the threads of a process have run, to the nanosecond: the kernel's
// own clock and not its ticks. What threads used that have ended is missing; those of Go stay.
func CPU(pid int) (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("find the threads of process %d: it has ended, or the kernel keeps no schedstat", pid)
	}
	var all time.Duration
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended meanwhile
		}
		ran, _, _ := strings.Cut(string(content), " ")
		nanoseconds, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", file, err)
		}
		all += time.Duration(nanoseconds)
	}
	return all, nil
}

// Memory is what a process has of memory now, and had at most, both in MiB.
func Memory(pid int) (now, most float64, err error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "VmRSS:":
			now = kib / 1024
		case "VmHWM:":
			most = kib / 1024
		}
	}
	return now, most, nil
}

// Between measures what a process uses from one call to the next.
type Between struct {
	// PID of the process.
	PID  int
	cpu  time.Duration
	when time.Time
}

// Begin begins to measure.
func Begin(pid int) (*Between, error) {
	b := &Between{PID: pid}
	_, _, err := b.Next()
	return b, err
}

// New measures from the beginning of the process.
func New(pid int) *Between { return &Between{PID: pid, when: time.Now()} }

// Next returns the time of processors that was used since the last call, and the share of one.
func (b *Between) Next() (used time.Duration, percent float64, err error) {
	cpu, err := CPU(b.PID)
	if err != nil {
		return 0, 0, err
	}
	now := time.Now()
	used, percent = cpu-b.cpu, 100*float64(cpu-b.cpu)/float64(max(now.Sub(b.when), 1))
	b.cpu, b.when = cpu, now
	return used, percent, nil
}

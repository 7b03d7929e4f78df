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

// Meter measures what a process uses.
type Meter struct {
	pid  int
	cpu  time.Duration
	when time.Time
}

// Begin measures from now on.
func Begin(pid int) (*Meter, error) {
	cpu, err := CPU(pid)
	return &Meter{pid: pid, cpu: cpu, when: time.Now()}, err
}

// New measures from the beginning of a process, which was then.
func New(pid int, began time.Time) *Meter { return &Meter{pid: pid, when: began} }

// Used returns the time of processors that was used so far, and the share of one.
func (m *Meter) Used() (used time.Duration, percent float64, err error) {
	cpu, err := CPU(m.pid)
	if err != nil {
		return 0, 0, err
	}
	used = cpu - m.cpu
	return used, 100 * float64(used) / float64(max(time.Since(m.when), 1)), nil
}

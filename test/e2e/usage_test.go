package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/test/demo/process"
)

// usage is what a pod's cgroup says.
type usage struct {
	component, node string
	// memory in use now, in bytes: resident, and what the kernel keeps for the pod.
	memory uint64
	// resident is what its processes have in RAM, in bytes: the memory of packet rings,
	// which no cgroup is charged for, is in it.
	resident uint64
	cpu      time.Duration

	memoryFile, cpuFile string
}

// usageOf finds a pod's cgroup below /sys/fs/cgroup, in version 1 or 2, and reads it.
func usageOf(uid string) (usage, error) {
	u := usage{}
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "pod"+uid {
			return nil //nolint:nilerr // cgroups come and go while we walk
		}
		for _, f := range []struct {
			name string
			into *string
		}{
			{"memory.usage_in_bytes", &u.memoryFile}, {"memory.current", &u.memoryFile},
			{"cpuacct.usage", &u.cpuFile}, {"cpu.stat", &u.cpuFile},
		} {
			content, err := os.ReadFile(filepath.Join(path, f.name))
			// Version 1 has a file cpu.stat too, with other things in it.
			if err == nil && *f.into == "" && !strings.HasPrefix(string(content), "nr_periods") {
				*f.into = filepath.Join(path, f.name)
			}
		}
		return fs.SkipDir
	})
	if err != nil {
		return u, fmt.Errorf("find the cgroup of pod %s: %w", uid, err)
	}
	if u.memoryFile == "" || u.cpuFile == "" {
		return u, fmt.Errorf("pod %s has no cgroup that counts memory and CPU", uid)
	}
	return u.again()
}

// again reads the numbers now.
func (u usage) again() (usage, error) {
	memory, err := os.ReadFile(u.memoryFile)
	if err != nil {
		return u, fmt.Errorf("read a pod's memory: %w", err)
	}
	if u.memory, err = strconv.ParseUint(strings.TrimSpace(string(memory)), 10, 64); err != nil {
		return u, fmt.Errorf("read a pod's memory: %w", err)
	}
	if u.resident, err = residentBelow(filepath.Dir(u.memoryFile)); err != nil {
		return u, err
	}
	cpu, err := os.ReadFile(u.cpuFile)
	if err != nil {
		return u, fmt.Errorf("read a pod's CPU time: %w", err)
	}
	fields, unit := strings.Fields(string(cpu)), time.Nanosecond
	if fields[0] == "usage_usec" { // version 2
		fields, unit = fields[1:], time.Microsecond
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return u, fmt.Errorf("read a pod's CPU time: %w", err)
	}
	u.cpu = time.Duration(n) * unit
	return u, nil
}

// residentBelow sums the processes of a cgroup and of those in it.
func residentBelow(cgroup string) (sum uint64, err error) {
	pids, err := processesBelow(cgroup)
	for _, pid := range pids {
		bytes, failed := process.Resident(pid)
		sum, err = sum+bytes, errors.Join(err, failed)
	}
	if err != nil {
		return 0, fmt.Errorf("sum the memory of a pod's processes: %w", err)
	}
	return sum, nil
}

// processesBelow are the processes of a cgroup and of those in it, without those that end meanwhile.
func processesBelow(cgroup string) (pids []int, err error) {
	err = filepath.WalkDir(cgroup, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != cgroup {
			return nil
		}
		if err != nil || d.Name() != "cgroup.procs" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, field := range strings.Fields(string(content)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				return err
			}
			pids = append(pids, pid)
		}
		return nil
	})
	return pids, err
}

// compareUsage holds the pods to their bounds and returns a line for each.
func compareUsage(t *testing.T, before map[string]usage, most map[string]usage, took time.Duration) []string {
	t.Helper()
	var lines []string
	for name, u := range before {
		now, err := u.again()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		bound := uint64(managerBound)
		if u.component == "verifier" {
			bound = verifierBound
		}
		peak := most[name]
		if peak.memory == 0 || max(peak.memory, peak.resident) > bound {
			t.Errorf("the %s on %s used %.1f MiB, wanted are at most %d", u.component, u.node, mib(max(peak.memory, peak.resident)), bound>>20)
		}
		lines = append(lines, fmt.Sprintf("%-8s on %-10s cgroup %5.1f MiB, resident %5.1f MiB (bound %d), %4.1f %% of a core",
			u.component, u.node, mib(peak.memory), mib(peak.resident), bound>>20, 100*(now.cpu-u.cpu).Seconds()/took.Seconds()))
	}
	slices.Sort(lines)
	return lines
}

func mib(bytes uint64) float64 { return float64(bytes) / (1 << 20) }

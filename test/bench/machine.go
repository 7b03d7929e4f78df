package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine describes what the figures were measured on, a line for each fact.
func machine() string {
	var info unix.Sysinfo_t
	memory := "memory unknown"
	if err := unix.Sysinfo(&info); err == nil {
		memory = fmt.Sprintf("%.1f GiB of memory", float64(info.Totalram)*float64(info.Unit)/(1<<30))
	}
	processor := fieldOf(contentOf("/proc/cpuinfo"), "model name", runtime.GOARCH)
	kernel := strings.TrimSpace(contentOf("/proc/sys/kernel/osrelease"))
	load := strings.Fields(contentOf("/proc/loadavg") + " ? ? ?")[:3]
	lines := []string{
		fmt.Sprintf("%d cores of %s, %s", runtime.NumCPU(), processor, memory),
		fmt.Sprintf("Linux %s, %s, %s", kernel, runtime.Version(), tcpdump()),
		"load when it began: " + strings.Join(load, " "),
	}
	return strings.Join(lines, "\n")
}

// contentOf is empty where the file can't be read: what a machine does not tell is left out.
func contentOf(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(content)
}

// fieldOf returns the first value of "name : value" in lines, another where there is none.
func fieldOf(lines, name, other string) string {
	for line := range strings.Lines(lines) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return other
}

// tcpdump says which tcpdump and libpcap there are.
func tcpdump() string {
	out, err := exec.Command("tcpdump", "--version").CombinedOutput()
	if err != nil {
		return "no tcpdump"
	}
	lines := strings.Split(string(out), "\n")
	return strings.ReplaceAll(strings.Join(lines[:min(2, len(lines))], ", "), " version", "")
}

package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Usage is what the cgroup of a pod has used, its sandbox included.
type Usage struct {
	// Resident is memory that can't be given back: anonymous pages, in bytes.
	Resident int64
	// Total is all memory that is charged to the pod, in bytes: the program's own file
	// and the rest of the page cache, and the kernel's, packet rings among it.
	Total int64
	// CPU is the processor time since the pod began. The difference of two readings
	// over the time between them is the load.
	CPU time.Duration
}

// PodUsage reads the usage of a running pod from the kernel.
func (l *Lab) PodUsage(ctx context.Context, namespace, name string) (Usage, error) {
	pod, err := l.clients.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return Usage{}, fmt.Errorf("look up the pod whose usage is wanted: %w", err)
	}
	n, err := l.Node(pod.Spec.NodeName)
	if err != nil {
		return Usage{}, err
	}
	trees, err := hierarchies()
	if err != nil {
		return Usage{}, err
	}
	var usage Usage
	for _, tree := range trees {
		memory, cpu := tree.has("memory"), tree.has("cpuacct") || tree.unified && tree.has("cpu")
		if !memory && !cpu {
			continue
		}
		folder, err := findFolder(filepath.Join(tree.mount, n.cgroup()), "pod"+string(pod.UID))
		if err == nil && memory {
			err = usage.readMemory(folder, tree.unified)
		}
		if err == nil && cpu {
			err = usage.readCPU(folder, tree.unified)
		}
		if err != nil {
			return Usage{}, fmt.Errorf("read the usage of pod %s/%s: %w", namespace, name, err)
		}
	}
	return usage, nil
}

func (u *Usage) readMemory(folder string, unified bool) (err error) {
	total, resident := "memory.usage_in_bytes", "total_rss"
	if unified {
		total, resident = "memory.current", "anon"
	}
	if u.Total, err = number(filepath.Join(folder, total), ""); err != nil {
		return err
	}
	u.Resident, err = number(filepath.Join(folder, "memory.stat"), resident)
	return err
}

func (u *Usage) readCPU(folder string, unified bool) error {
	if unified {
		used, err := number(filepath.Join(folder, "cpu.stat"), "usage_usec")
		u.CPU = time.Duration(used) * time.Microsecond
		return err
	}
	used, err := number(filepath.Join(folder, "cpuacct.usage"), "")
	u.CPU = time.Duration(used)
	return err
}

// number reads a number from a file: of the line with the key, or the whole file.
func number(path, key string) (int64, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if key == "" && len(fields) == 1 || len(fields) == 2 && fields[0] == key {
			return strconv.ParseInt(fields[len(fields)-1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no number %q", path, key)
}

// findFolder finds a folder by name below another.
func findFolder(root, name string) (string, error) {
	found := ""
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // a cgroup that has just gone
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == name:
			found = path
			return fs.SkipAll
		}
		return nil
	})
	if err == nil && found == "" {
		err = fmt.Errorf("there is no cgroup %s below %s: the pod doesn't run", name, root)
	}
	return found, err
}

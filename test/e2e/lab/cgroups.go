package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// hierarchy is a mounted tree of cgroups: one controller (or a few) of version 1, or all
// of version 2.
type hierarchy struct {
	mount       string
	unified     bool     // version 2
	controllers []string // of version 1
}

// hierarchies reads which trees this machine has, from /proc/self/mountinfo (proc(5)).
func hierarchies() ([]hierarchy, error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read which cgroup trees are mounted: %w", err)
	}
	var trees []hierarchy
	for line := range strings.Lines(string(content)) {
		before, after, found := strings.Cut(line, " - ")
		front, back := strings.Fields(before), strings.Fields(after)
		if !found || len(front) < 5 || len(back) < 3 {
			continue
		}
		switch back[0] {
		case "cgroup":
			trees = append(trees, hierarchy{mount: front[4], controllers: strings.Split(back[2], ",")})
		case "cgroup2":
			trees = append(trees, hierarchy{mount: front[4], unified: true})
		}
	}
	return trees, nil
}

// wantedControllers are what kubelet needs of version 2.
var wantedControllers = []string{"cpuset", "cpu", "memory", "pids"}

// makeCgroups makes the cgroup of a node in every tree.
func (l *ledger) makeCgroups(trees []hierarchy, name string) error {
	for _, tree := range trees {
		if tree.unified {
			if err := l.delegate(tree.mount); err != nil {
				return err
			}
		}
		path := filepath.Join(tree.mount, name)
		if _, err := removeCgroup(path); err != nil { // of a lab whose folder was deleted
			return err
		}
		if err := l.add(change{Kind: madeCgroup, Name: path}); err != nil {
			return err
		}
		if err := os.Mkdir(path, 0o755); err != nil {
			return fmt.Errorf("make a node's cgroup: %w", err)
		}
		if slices.Contains(tree.controllers, "cpuset") {
			// In version 1 a new cpuset is empty, and nothing can run in it.
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				if err := copyFile(filepath.Join(tree.mount, file), filepath.Join(path, file)); err != nil {
					return fmt.Errorf("fill a node's cpuset: %w", err)
				}
			}
		}
	}
	return nil
}

// delegate lets the cgroups below the root of a tree of version 2 have the controllers
// that kubelet needs. Where init or an earlier lab has done so, nothing changes.
func (l *ledger) delegate(mount string) error {
	has, err := words(filepath.Join(mount, "cgroup.controllers"))
	if err != nil {
		return err
	}
	control := filepath.Join(mount, "cgroup.subtree_control")
	given, err := words(control)
	if err != nil {
		return err
	}
	for _, name := range wantedControllers {
		if !slices.Contains(has, name) || slices.Contains(given, name) {
			continue
		}
		if err := l.add(change{Kind: enabledCgroup, Name: control, Value: "-" + name}); err != nil {
			return err
		}
		if err := os.WriteFile(control, []byte("+"+name), 0o644); err != nil {
			return fmt.Errorf("let cgroups have the controller %s: %w", name, err)
		}
	}
	return nil
}

// cgroupPatience is how long a cgroup may be busy after its processes have ended.
const cgroupPatience = 10 * time.Second

// removeCgroup removes a cgroup and all below it, and reports whether it was there. It
// fails when a process is still inside.
func removeCgroup(path string) (bool, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	err := poll(context.Background(), cgroupPatience, 20*time.Millisecond, "cgroup "+path+" is empty", func() error {
		var folders []string
		err := filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				folders = append(folders, path)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
		if err != nil {
			return &stopWaiting{err}
		}
		for _, folder := range slices.Backward(folders) { // the files in it are the kernel's
			if err := syscall.Rmdir(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove cgroup %s: %w", folder, err)
			}
		}
		return nil
	})
	return err == nil, err
}

func words(path string) ([]string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read about cgroups: %w", err)
	}
	return strings.Fields(string(content)), nil
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, bytes.TrimSpace(content), 0o644)
}

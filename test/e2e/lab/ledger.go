package lab

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// ledger is a file that says what a lab changed on the machine outside of its folder,
// one JSON object a line, each written before the change is made.
type ledger struct{ path string }

// The kinds of changes.
const (
	changedSysctl   = "sysctl"   // Name is the file below /proc/sys, Value what it held before
	madeFolder      = "folder"   // Name is the folder, removed when it is empty
	madeCgroup      = "cgroup"   // Name is the folder of the cgroup
	claimNamespaces = "netns"    // Name is the prefix of a claim of package netns
	enabledCgroup   = "delegate" // Name is a cgroup.subtree_control, Value what to write to undo
)

type change struct {
	Kind  string
	Name  string
	Value string `json:",omitempty"`
	Boot  string
}

// add writes changes down.
func (l *ledger) add(changes ...change) error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for _, c := range changes {
		c.Boot = boot
		if err := encoder.Encode(c); err != nil {
			return fmt.Errorf("encode a change: %w", err)
		}
	}
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the ledger of changes: %w", err)
	}
	_, err = file.Write(lines.Bytes())
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write the ledger of changes: %w", err)
	}
	return nil
}

// read returns the changes. A last line that was cut short stands for a change that was
// never made.
func (l *ledger) read() ([]change, error) {
	content, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the ledger of changes: %w", err)
	}
	content = content[:bytes.LastIndexByte(content, '\n')+1]
	var changes []change
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		var c change
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return nil, fmt.Errorf("read the ledger of changes: %s: line %q: %w", l.path, lines.Text(), err)
		}
		changes = append(changes, c)
	}
	return changes, lines.Err()
}

// undo takes every change back, the last one first, and removes the ledger when that
// worked. The processes of the lab must have ended. It says what it undid.
func (l *ledger) undo() ([]string, error) {
	changes, err := l.read()
	if err != nil {
		return nil, err
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	var undone []string
	var failed error
	for _, c := range slices.Backward(changes) {
		if c.Boot != boot && c.Kind != madeFolder {
			continue // it ended with that boot
		}
		did, err := c.undo()
		if err != nil {
			failed = errors.Join(failed, err)
		} else if did {
			undone = append(undone, c.Kind+" "+c.Name)
		}
	}
	if failed != nil {
		return undone, failed
	}
	if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return undone, fmt.Errorf("remove the ledger of changes: %w", err)
	}
	return undone, nil
}

// undo takes one change back and reports whether there was anything to do.
func (c change) undo() (bool, error) {
	switch c.Kind {
	case changedSysctl, enabledCgroup:
		return c.restore()
	case madeFolder:
		err := os.Remove(c.Name)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EBUSY) {
			return false, nil // somebody else uses it by now
		}
		return err == nil, err
	case madeCgroup:
		return removeCgroup(c.Name)
	case claimNamespaces:
		return false, netns.Cleanup(c.Name)
	default:
		return false, fmt.Errorf("the ledger of changes has a line of the unknown kind %q: undo it by hand and remove the ledger", c.Kind)
	}
}

func (c change) restore() (bool, error) {
	if c.Kind == changedSysctl {
		now, err := os.ReadFile(c.Name)
		if err != nil {
			return false, fmt.Errorf("read a kernel setting: %w", err)
		}
		if strings.TrimSpace(string(now)) == c.Value {
			return false, nil
		}
	}
	if err := os.WriteFile(c.Name, []byte(c.Value), 0o644); err != nil {
		return false, fmt.Errorf("restore %s to %q: %w", c.Name, c.Value, err)
	}
	return true, nil
}

// kubeletSettings are what kubelet sets for the whole machine
// (k8s.io/component-helpers/node/util/sysctl).
var kubeletSettings = []string{
	"/proc/sys/vm/overcommit_memory", "/proc/sys/vm/panic_on_oom", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops",
	"/proc/sys/kernel/keys/root_maxkeys", "/proc/sys/kernel/keys/root_maxbytes",
}

// saveSettings writes down what the settings are now.
func (l *ledger) saveSettings() error {
	var changes []change
	for _, path := range kubeletSettings {
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read a kernel setting: %w", err)
		}
		changes = append(changes, change{Kind: changedSysctl, Name: path, Value: strings.TrimSpace(string(content))})
	}
	return l.add(changes...)
}

// makeFolders makes each folder, with those above it, that isn't there yet.
func (l *ledger) makeFolders(folders ...string) error {
	for _, folder := range folders {
		for end := 1; end <= len(folder); end++ {
			if end < len(folder) && folder[end] != '/' {
				continue
			}
			part := folder[:end]
			if _, err := os.Stat(part); err == nil {
				continue
			}
			if err := l.add(change{Kind: madeFolder, Name: part}); err != nil {
				return err
			}
			if err := os.Mkdir(part, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("make a folder to mount on: %w", err)
			}
		}
	}
	return nil
}

func bootID() (string, error) {
	content, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read which boot this is: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

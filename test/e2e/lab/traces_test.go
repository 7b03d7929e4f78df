package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/demo/process"
)

// traces is everything that a lab could leave on the machine.
type traces struct {
	Namespaces []string          // network namespaces of ours
	Cgroups    []string          // cgroups of ours
	Mounts     map[string]string // of the machine's mount namespace: where to what
	Folders    []string          // those to mount on, and others that Kubernetes likes to make
	Settings   map[string]string // kernel settings
	Records    []string          // what is in the machine's folder
}

// otherFolders are made by Kubernetes or containerd unless they are told otherwise.
var otherFolders = []string{"/etc/cni", "/etc/kubernetes", "/opt/cni", "/opt/containerd", "/usr/libexec/kubernetes", "/var/lib/kube-proxy", "/var/lib/calico"}

// tracesNow gathers the traces. What other tests on this machine do to namespaces and mounts
// of their own is left out.
func tracesNow(t *testing.T) traces {
	t.Helper()
	all := traces{Mounts: map[string]string{}, Settings: map[string]string{}}
	names, err := filepath.Glob(netns.Path(prefix + "*"))
	if err != nil {
		t.Fatal(err)
	}
	all.Namespaces = names
	if all.Records, err = filepath.Glob(machineFolder + "*"); err != nil {
		t.Fatal(err)
	}
	trees, err := hierarchies()
	if err != nil {
		t.Fatal(err)
	}
	for _, tree := range trees {
		found, err := filepath.Glob(filepath.Join(tree.mount, prefix+"*"))
		if err != nil {
			t.Fatal(err)
		}
		all.Cgroups = append(all.Cgroups, found...)
	}
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		at := fields[4]
		others := strings.HasPrefix(at, netns.Directory) && !strings.Contains(at, prefix)
		if !others && !strings.HasPrefix(at, "/var/lib/containers") { // that is where builders of images work
			all.Mounts[at] = fields[3]
		}
	}
	for _, folder := range append(mountPoints(), otherFolders...) {
		if _, err := os.Stat(folder); err == nil && folder != netns.Directory { // anybody may make that one
			all.Folders = append(all.Folders, folder)
		}
	}
	for _, root := range []string{"/proc/sys/vm", "/proc/sys/net/netfilter", "/proc/sys/net/bridge", "/proc/sys/net/ipv4/conf/all"} {
		maps.Copy(all.Settings, settingsBelow(t, root))
	}
	for _, path := range append(kubeletSettings, forwarding) {
		maps.Copy(all.Settings, settingsBelow(t, path))
	}
	return all
}

// settingsBelow reads the kernel settings below a folder, but for those that count
// something. What isn't there or can't be read is left out.
func settingsBelow(t *testing.T, root string) map[string]string {
	t.Helper()
	values := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() || strings.HasSuffix(path, "_count") {
			return err
		}
		if content, err := os.ReadFile(path); err == nil {
			values[path] = strings.TrimSpace(string(content))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// spaces returns the kernel's names of the lab's namespaces while it is up: whatever
// process of the lab there is, it is in one of them.
func spaces(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	records, err := process.OpenBook(pidsPath).Records()
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]string{}
	for _, kind := range []string{"net", "pid", "mnt"} {
		if own[kind], err = os.Readlink("/proc/self/ns/" + kind); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range records {
		for kind, mine := range own {
			name, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", r.PID, kind))
			if err == nil && name != mine {
				found[name] = true
			}
		}
	}
	if len(found) == 0 {
		t.Fatal("no process of the lab was found: the comparison would prove nothing")
	}
	return found
}

// inside returns the programs that run in one of the namespaces.
func inside(t *testing.T, spaces map[string]bool) []string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/*")
	if err != nil {
		t.Fatal(err)
	}
	programs := map[string]bool{}
	for _, link := range links {
		name, err := os.Readlink(link)
		if err != nil || !spaces[name] {
			continue // it has ended since, or is somebody else's
		}
		folder := filepath.Dir(filepath.Dir(link))
		program, err := os.ReadFile(filepath.Join(folder, "comm"))
		if err == nil {
			programs[filepath.Base(folder)+" "+strings.TrimSpace(string(program))] = true
		}
	}
	return slices.Sorted(maps.Keys(programs))
}

// expectNobody waits until no process is in one of the namespaces any more: the kernel
// kills those of a killed lab, which takes it a moment.
func expectNobody(t *testing.T, spaces map[string]bool) {
	t.Helper()
	err := poll(t.Context(), 20*time.Second, 50*time.Millisecond, "every process of the lab is gone", func() error {
		if left := inside(t, spaces); len(left) > 0 {
			return fmt.Errorf("there are %v", left)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

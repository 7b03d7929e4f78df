package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"vpcmirror.io/operator/test/cloudsim/dataplane"
)

// NeedError says what this machine or user lacks. A test skips on it.
type NeedError struct{ Sentence string }

// Error is one sentence that says what is missing and what to do.
func (e *NeedError) Error() string { return e.Sentence }

// debian is which Debian package has which program.
var debian = []struct{ program, pkg string }{
	{"containerd", "containerd"}, {"ctr", "containerd"}, {"containerd-shim-runc-v2", "containerd"}, {"runc", "runc"},
	{"nft", "nftables"}, {"ip", "iproute2"}, {"nsenter", "util-linux"}, {"mount", "mount"},
}

// cniFolders are where distributions put the CNI plugins, the first that has them is used.
var cniFolders = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// components are the programs of Kubernetes that the lab runs.
var components = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"}

// Check says with a *NeedError what keeps this machine or user from having a lab; nil
// when nothing does. kube is the folder with the programs of Kubernetes.
func Check(kube string) error {
	if os.Geteuid() != 0 {
		return &NeedError{`the lab makes namespaces, mounts and cgroups and needs root: run it with sudo (sudo env "PATH=$PATH" make lab-up)`}
	}
	if missing := missingPackages(); len(missing) > 0 {
		return &NeedError{"the lab needs Debian packages that are not installed: apt-get install --no-install-recommends " + strings.Join(missing, " ")}
	}
	for _, name := range components {
		if _, err := os.Stat(filepath.Join(kube, name)); err != nil {
			return &NeedError{fmt.Sprintf("the lab needs %s in %s: run `make node-assets` (7 to 12 minutes the first time)", name, kube)}
		}
	}
	return checkKernel()
}

func missingPackages() []string {
	var missing []string
	for _, need := range debian {
		if _, err := exec.LookPath(need.program); err != nil {
			missing = append(missing, need.pkg)
		}
	}
	if cniFolder() == "" {
		missing = append(missing, "containernetworking-plugins")
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

func cniFolder() string {
	for _, folder := range cniFolders {
		if _, err := os.Stat(filepath.Join(folder, "host-local")); err == nil {
			return folder
		}
	}
	return ""
}

func checkKernel() error {
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return fmt.Errorf("read which file systems the kernel has: %w", err)
	}
	if !strings.Contains(string(filesystems), "\toverlay\n") {
		return &NeedError{"the lab needs the kernel's overlay file system: load it (modprobe overlay)"}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return &NeedError{"the lab needs the kernel's TAP driver, /dev/net/tun: load it (modprobe tun) or give the container the device"}
	}
	trees, err := hierarchies()
	if err != nil {
		return err
	}
	for _, wanted := range wantedControllers {
		if !slices.ContainsFunc(trees, func(h hierarchy) bool { return h.has(wanted) }) {
			return &NeedError{fmt.Sprintf("the lab needs the cgroup controller %s below /sys/fs/cgroup: mount it, or boot a kernel that has it", wanted)}
		}
	}
	return nil
}

func (h hierarchy) has(controller string) bool {
	if !h.unified {
		return slices.Contains(h.controllers, controller)
	}
	has, err := words(filepath.Join(h.mount, "cgroup.controllers"))
	return err == nil && slices.Contains(has, controller)
}

// needed turns what the data plane says is missing into a NeedError.
func needed(err error) error {
	var unavailable *dataplane.UnavailableError
	if errors.As(err, &unavailable) {
		return &NeedError{err.Error()}
	}
	return err
}

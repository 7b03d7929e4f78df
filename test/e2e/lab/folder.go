package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/env/checkout"
)

// freshFolder empties the folder, so that no fact of an earlier lab is taken for one of
// this. The log of `lab up`, which is being written, stays.
func (l *Lab) freshFolder() error {
	if err := os.MkdirAll(l.options.Folder, 0o755); err != nil {
		return fmt.Errorf("make the lab's folder: %w", err)
	}
	entries, err := os.ReadDir(l.options.Folder)
	if err != nil {
		return fmt.Errorf("empty the lab's folder: %w", err)
	}
	for _, e := range entries {
		if e.Name() == "lab.log" {
			continue
		}
		if err := os.RemoveAll(l.path(e.Name())); err != nil {
			return fmt.Errorf("empty the lab's folder: %w", err)
		}
	}
	return nil
}

// writeEnv writes the file for a shell to source.
func (l *Lab) writeEnv() error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# For a shell: source %s\n", l.path("env"))
	for _, v := range []struct{ name, value string }{
		{"KUBECONFIG", l.Kubeconfig()},
		{"CLOUD_ENDPOINT", l.LocalCloudURL()},
		{"CLOUD_AK", scenario.WalkthroughAccessKey},
		{"CLOUD_SK", scenario.WalkthroughSecretKey},
		{"CLOUD_PROJECT", scenario.WalkthroughProject},
		{"CLOUD_REGION", scenario.WalkthroughRegion},
		{"CLOUD_ENDPOINT_FOR_PODS", l.CloudURL()},
	} {
		fmt.Fprintf(&out, "export %s=%s\n", v.name, quote(v.value))
	}
	fmt.Fprintf(&out, "export PATH=%s:%s:\"$PATH\"\n", quote(l.kube), quote(filepath.Join(l.root, "bin")))
	out.WriteString("# The network of a node: ip netns exec NAMESPACE tcpdump -i eth0 -nne udp port 4789\n")
	for _, n := range l.nodes {
		fmt.Fprintf(&out, "# %s: namespace %s, InternalIP %s\n", n.Name, n.Namespace, n.Address)
	}
	if err := os.WriteFile(l.path("env"), out.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the file to source: %w", err)
	}
	// All the rest is in use until Down.
	return checkout.HandOver(l.root, l.path("env"), l.Kubeconfig())
}

// quote makes one word of a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}

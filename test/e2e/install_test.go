package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"vpcmirror.io/operator/test/env/need"
)

// writeOverlay makes the overlay that a user would write: the images of this build, what the Prometheus
// operator looks for, and the cloud's endpoint, which is not that of the region.
func (w *world) writeOverlay(t *testing.T) {
	t.Helper()
	w.overlay = filepath.Join(root, "bin/e2e/overlay")
	if err := os.MkdirAll(w.overlay, 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../../config/default]
components: [../../../config/prometheus]
images:
  - {name: localhost/vpcmirror/manager, newTag: %q}
  - {name: localhost/vpcmirror/verifier, newTag: %q}
patches:
  - target: {kind: Deployment, name: vpcmirror-manager}
    patch: |
      - {op: add, path: /spec/template/spec/containers/0/args/-, value: --allowed-endpoints=%s}
`, w.tag, w.tag, w.CloudURL())
	if err := os.WriteFile(filepath.Join(w.overlay, "kustomization.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ensureInstalled installs the product by kustomize unless it is there.
func (w *world) ensureInstalled(t *testing.T) {
	t.Helper()
	if w.by != "" {
		return
	}
	w.makeOperatorKinds(t)
	w.kubectl(t, "apply", "--server-side", "-k", w.overlay)
	w.by = "kustomize"
	w.waitForPods(t)
}

// waitForPods waits until every pod of the product is ready.
func (w *world) waitForPods(t *testing.T) {
	t.Helper()
	for _, workload := range []string{"deployment/vpcmirror-manager", "daemonset/vpcmirror-verifier"} {
		w.kubectl(t, "rollout", "status", "-n", system, workload, "--timeout=170s")
	}
}

// helm runs helm as administrator, or skips the test where it was not built.
func (w *world) helm(t *testing.T, args ...string) string {
	t.Helper()
	program, err := filepath.Abs(filepath.Join(root, "bin/tools/helm"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		need.Skip(t, "it needs bin/tools/helm: run `make tools` once (2 to 3 minutes)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, program, append([]string{"--kubeconfig", w.Kubeconfig()}, args...)...)
	home := t.TempDir() // nothing of the user's own is read or written
	command.Env = append(os.Environ(), "HOME="+home, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var out, complaint bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaint
	if err := command.Run(); err != nil {
		t.Fatalf("helm %v: %v: %s", args, err, complaint.String())
	}
	return out.String()
}

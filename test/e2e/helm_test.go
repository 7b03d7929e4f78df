package e2e

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// targetLabel is what the nodes have that can be the target of a mirror: verifiers run there alone.
const targetLabel = "mirror-targets"

// installByHelm installs the chart unless it is there: with what the Prometheus operator and Grafana look for,
// and with verifiers on the nodes that have a label, which all have.
func (w *world) installByHelm(t *testing.T) {
	t.Helper()
	if w.by == "Helm" {
		return
	}
	w.makeOperatorKinds(t)
	w.kubectl(t, "label", "nodes", "--all", "--overwrite", targetLabel+"=true")
	w.helm(t, append([]string{
		"install", "vpcmirror", root + "/config/chart", "-n", system, "--create-namespace", "--wait", "--timeout=170s",
		"--set-string", "image.tag=" + w.tag, "--set", "cloud.allowedEndpoints={" + w.CloudURL() + "}",
		"--set-string", "verifier.nodeSelector." + targetLabel + "=true",
	}, monitored...)...)
	w.by = "Helm"
	w.kubectl(t, "label", "namespace", system, "pod-security.kubernetes.io/enforce=privileged", "--overwrite")
	w.waitForPods(t)
}

// playHelm installs the chart and plays the walkthrough again.
func playHelm(t *testing.T, w *world) {
	w.installByHelm(t)
	w.walk(t)
	said := w.helm(t, "test", "vpcmirror", "-n", system)
	if !strings.Contains(said, "Succeeded") {
		t.Errorf("helm test says: %s", said)
	}
	w.checked(t, "helm install, helm test")
}

// playHelmUninstall uninstalls the chart's release.
func playHelmUninstall(t *testing.T, w *world) {
	w.installByHelm(t)
	w.kubectl(t, "delete", "mirs,mirf", "--all", "-A", "--timeout=170s")
	w.helm(t, "uninstall", "vpcmirror", "-n", system, "--wait", "--timeout=170s")
	w.by = ""
	for _, name := range []string{"mirrorfilters.vpcmirror.io", "mirrorsessions.vpcmirror.io"} {
		if err := w.api.Get(t.Context(), client.ObjectKey{Name: name}, definition()); err != nil {
			t.Errorf("helm uninstall keeps the definitions: %v", err)
		}
	}
	w.checked(t, "helm uninstall; the CRDs are kept")
}

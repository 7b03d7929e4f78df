package install

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// overlay builds a kustomization that refers to folders of config as config/NAME.
func overlay(t *testing.T, kustomization string, files map[string]string) []*unstructured.Unstructured {
	t.Helper()
	folder := t.TempDir()
	config, err := filepath.Abs(filepath.Join(root, "config"))
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(folder, config)
	if err != nil {
		t.Fatal(err)
	}
	content := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" + strings.ReplaceAll(kustomization, "config/", relative+"/")
	write(t, folder, files)
	write(t, folder, map[string]string{"kustomization.yaml": content})
	out, err := kubectl(t, "", "kustomize", folder)
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, out)
}

// byIdentity is for comparing two installations whatever their order.
func byIdentity(t *testing.T, all []*unstructured.Unstructured) map[string]any {
	t.Helper()
	named := map[string]any{}
	for _, u := range all {
		if named[identity(u)] != nil {
			t.Errorf("%s is there twice", identity(u))
		}
		named[identity(u)] = u.Object
	}
	return named
}

func TestKustomize(t *testing.T) {
	t.Run("config/default installs what the chart installs, and its namespace", func(t *testing.T) {
		chart := rendered(t, "crds: {keep: false}") // what is kept is Helm's business alone
		folders := slices.DeleteFunc(kustomized(t, "default"), func(u *unstructured.Unstructured) bool { return u.GetKind() == "Namespace" })
		if diff := cmp.Diff(byIdentity(t, chart), byIdentity(t, folders)); diff != "" {
			t.Errorf("by Helm (-) and by kustomize (+):\n%s", diff)
		}
	})

	t.Run("with config/prometheus it installs what the chart installs with the monitors, the rules and the dashboards", func(t *testing.T) {
		chart := rendered(t, "{crds: {keep: false}, monitoring: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}, rules: {enabled: true}, dashboards: {enabled: true}}}")
		folders := slices.DeleteFunc(overlay(t, "resources: [config/default]\ncomponents: [config/prometheus]\n", nil),
			func(u *unstructured.Unstructured) bool { return u.GetKind() == "Namespace" })
		if diff := cmp.Diff(byIdentity(t, chart), byIdentity(t, folders)); diff != "" {
			t.Errorf("by Helm (-) and by kustomize (+):\n%s", diff)
		}
	})

	t.Run("the namespace lets the verifier's pods in, without a warning for each", func(t *testing.T) {
		ns := typed(t, find(t, kustomized(t, "default"), "Namespace", namespace)).(*corev1.Namespace)
		want := map[string]string{"app.kubernetes.io/part-of": "vpcmirror"}
		for _, mode := range []string{"enforce", "audit", "warn"} {
			want["pod-security.kubernetes.io/"+mode] = "privileged"
		}
		if diff := cmp.Diff(want, ns.Labels); diff != "" {
			t.Errorf("labels (-want +got):\n%s", diff)
		}
	})

	t.Run("an overlay moves all of it to another namespace and registry", func(t *testing.T) {
		all := overlay(t, `
namespace: elsewhere
resources: [config/default]
images:
  - {name: localhost/vpcmirror/manager, newName: registry.example.com/manager, newTag: "2"}
  - {name: localhost/vpcmirror/verifier, newName: registry.example.com/verifier, newTag: "2"}
`, nil)
		for _, u := range all {
			content, err := u.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			for _, left := range []string{"vpcmirror-system", "localhost/"} {
				if strings.Contains(string(content), left) {
					t.Errorf("%s still says %s", identity(u), left)
				}
			}
		}
		for _, p := range pods(t, all) {
			if image := p.template.Spec.Containers[0].Image; !strings.HasPrefix(image, "registry.example.com/") {
				t.Errorf("%s has the image %s", p.name, image)
			}
		}
	})

	t.Run("an overlay that gives everything a prefix leaves each policy in force", func(t *testing.T) {
		bound, policies := map[string]bool{}, 0
		all := overlay(t, "namePrefix: pre-\nresources: [config/default]\n", nil)
		for _, u := range all {
			if u.GetKind() == "ValidatingAdmissionPolicyBinding" {
				name, _, err := unstructured.NestedString(u.Object, "spec", "policyName")
				if err != nil {
					t.Fatal(err)
				}
				bound[name] = true
			}
		}
		for _, u := range all {
			if u.GetKind() == "ValidatingAdmissionPolicy" {
				policies++
				if !bound[u.GetName()] || !strings.HasPrefix(u.GetName(), "pre-") {
					t.Errorf("no binding names the policy %s", u.GetName())
				}
			}
		}
		if policies != 5 {
			t.Errorf("there are %d policies, want 5", policies)
		}
	})

	t.Run("config/health gives Argo CD the rule for both kinds", func(t *testing.T) {
		all := overlay(t, "resources: [argocd.yaml]\ncomponents: [config/health]\n", map[string]string{
			"argocd.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd}\ndata: {url: https://argocd.example.com}\n",
		})
		rule, err := os.ReadFile(filepath.Join(root, "config/health/health.lua"))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{
			"url": "https://argocd.example.com",
			"resource.customizations.health.vpcmirror.io_MirrorFilter":  string(rule),
			"resource.customizations.health.vpcmirror.io_MirrorSession": string(rule),
		}
		if diff := cmp.Diff(want, typed(t, find(t, all, "ConfigMap", "argocd-cm")).(*corev1.ConfigMap).Data); diff != "" {
			t.Errorf("argocd-cm (-want +got):\n%s", diff)
		}
	})
}

package install

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/env"
)

// server is a control plane of a test's own, without our definitions: to install them is Helm's part.
type server struct {
	kubeconfig string
	client.Client
}

func newServer(t *testing.T) *server {
	t.Helper()
	if _, err := helm(t, "", "version"); err != nil {
		t.Fatal(err)
	}
	env.Start(t) // skips where there is no API server
	kubeconfig, stop, err := env.StartControlPlane(t.Context(), t.TempDir(), env.Options{CRDs: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := env.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return &server{kubeconfig, api}
}

// helm runs helm there, with what it reads from standard input and its arguments.
func (s *server) helm(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	return helm(t, stdin, append([]string{"--kubeconfig", s.kubeconfig}, args...)...)
}

// kubectl runs kubectl there, which must succeed.
func (s *server) kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	said, err := kubectl(t, stdin, append([]string{"--kubeconfig", s.kubeconfig}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

func TestHelmOnAnAPIServer(t *testing.T) {
	api := newServer(t)
	run := func(t *testing.T, args ...string) string {
		t.Helper()
		said, err := api.helm(t, "", append([]string{"--namespace", namespace}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return said
	}
	chart := filepath.Join(root, "config/chart")
	const hint = "kubectl label namespace vpcmirror-system --overwrite pod-security.kubernetes.io/enforce=privileged"

	// One story: each part begins where the one before ended.
	filter := &v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{Name: "kept", Namespace: "default"}}

	t.Run("Helm's notes say how to let the verifier's pods into a namespace that it makes itself", func(t *testing.T) {
		if said := run(t, "install", "vpcmirror", chart, "--create-namespace"); !strings.Contains(said, hint) {
			t.Errorf("it said:\n%s", said)
		}
	})

	t.Run("Helm asks for nothing more once labels and credentials are there", func(t *testing.T) {
		ns := &corev1.Namespace{}
		if err := api.Get(t.Context(), client.ObjectKey{Name: namespace}, ns); err != nil {
			t.Fatal(err)
		}
		ns.Labels["pod-security.kubernetes.io/enforce"] = "privileged"
		if err := api.Update(t.Context(), ns); err != nil {
			t.Fatal(err)
		}
		said := run(t, "upgrade", "vpcmirror", chart, "--set", "manager.replicas=3,credentials.existingSecret=own")
		if strings.Contains(said, "kubectl label") || strings.Contains(said, "no credentials of its own") {
			t.Errorf("it said:\n%s", said)
		}
	})

	t.Run("an uninstall leaves the definitions and the user's objects, and nothing else", func(t *testing.T) {
		if err := api.Create(t.Context(), filter); err != nil {
			t.Fatal(err)
		}
		run(t, "uninstall", "vpcmirror")
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(filter), &v1alpha1.MirrorFilter{}); err != nil {
			t.Errorf("the user's object: %v", err)
		}
		left := api.kubectl(t, "", "get",
			"deployments,daemonsets,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,networkpolicies,poddisruptionbudgets,crds",
			"--all-namespaces", "--selector", "app.kubernetes.io/part-of=vpcmirror", "--output", "name")
		if diff := cmp.Diff([]string{
			"customresourcedefinition.apiextensions.k8s.io/mirrorfilters.vpcmirror.io",
			"customresourcedefinition.apiextensions.k8s.io/mirrorsessions.vpcmirror.io",
		}, strings.Fields(left)); diff != "" {
			t.Errorf("what is left (-want +got):\n%s", diff)
		}
	})

	t.Run("what an uninstall leaves is no hindrance to the next install", func(t *testing.T) {
		run(t, "install", "vpcmirror", chart)
		run(t, "uninstall", "vpcmirror")
	})

	t.Run("an installation by kustomize can be handed to Helm as it runs", func(t *testing.T) {
		content, err := kubectl(t, "", "kustomize", filepath.Join(root, "config/default"))
		if err != nil {
			t.Fatal(err)
		}
		api.kubectl(t, content, "apply", "--server-side", "--force-conflicts", "-f", "-")
		run(t, "install", "vpcmirror", chart, "--take-ownership")
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(filter), &v1alpha1.MirrorFilter{}); err != nil {
			t.Errorf("the user's object: %v", err)
		}
	})
}

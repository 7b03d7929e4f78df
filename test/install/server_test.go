package install

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/test/env"
)

// apply gives objects to the API server as kubectl apply --server-side does.
func apply(t *testing.T, cluster *env.Cluster, manifest string, more ...string) (string, error) {
	t.Helper()
	return kubectl(t, manifest, append([]string{"--kubeconfig", cluster.Kubeconfig, "apply", "--server-side", "-f", "-"}, more...)...)
}

// installed applies config/default, without the pods that nobody would run there.
func installed(t *testing.T) *env.Cluster {
	t.Helper()
	cluster := env.Start(t)
	manifest, err := kubectl(t, "", "kustomize", filepath.Join(root, "config/default"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apply(t, cluster, manifest, "--force-conflicts"); err != nil {
		t.Fatal(err)
	}
	return cluster
}

func TestOnAnAPIServer(t *testing.T) {
	cluster := installed(t)

	t.Run("it takes what the chart gives, whatever the values", func(t *testing.T) {
		for _, set := range valueSets {
			out, err := template(t, set.values)
			if err != nil {
				t.Fatal(err)
			}
			all := objects(t, out)
			said, err := apply(t, cluster, manifest(t, all), "--dry-run=server", "--force-conflicts")
			if err != nil {
				t.Errorf("%s: %v", set.name, err)
			}
			want := 0
			for _, u := range all {
				if u.GroupVersionKind().Group != "monitoring.coreos.com" {
					want++
				}
			}
			if got := strings.Count(said, "serverside-applied (server dry run)"); got != want {
				t.Errorf("%s: it took %d of %d:\n%s", set.name, got, want, said)
			}
		}
	})

	t.Run("it takes each folder of config by itself", func(t *testing.T) {
		for _, folder := range []string{"crd", "rbac", "manager", "verifier", "policy", "default"} {
			if _, err := apply(t, cluster, manifest(t, kustomized(t, folder)), "--dry-run=server", "--force-conflicts"); err != nil {
				t.Errorf("config/%s: %v", folder, err)
			}
		}
	})

	t.Run("it takes the samples", func(t *testing.T) {
		files, err := filepath.Glob(filepath.Join(root, "config/samples/*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no samples: %v", err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := apply(t, cluster, string(content), "--dry-run=server"); err != nil {
				t.Errorf("%s: %v", filepath.Base(file), err)
			}
		}
	})

	t.Run("Pod Security lets the pods into the namespace without a word", func(t *testing.T) {
		for _, p := range pods(t, rendered(t, "")) {
			u := &unstructured.Unstructured{Object: map[string]any{}}
			u.SetAPIVersion("v1")
			u.SetKind("Pod")
			u.SetName("probe")
			u.SetNamespace(namespace)
			u.SetLabels(p.template.Labels)
			workload := find(t, rendered(t, ""), strings.Fields(p.name)[0], p.name[strings.LastIndex(p.name, "/")+1:])
			spec, _, err := unstructured.NestedMap(workload.Object, "spec", "template", "spec")
			if err != nil {
				t.Fatal(err)
			}
			u.Object["spec"] = spec
			said, err := apply(t, cluster, manifest(t, []*unstructured.Unstructured{u}), "--dry-run=server", "--warnings-as-errors")
			if err != nil {
				t.Errorf("%s: %v\n%s", p.name, err, said)
			}
		}
	})

	t.Run("applied again, by another field manager, it is no difference", func(t *testing.T) {
		text := manifest(t, kustomized(t, "default"))
		if _, err := apply(t, cluster, text, "--field-manager=argocd-controller", "--force-conflicts"); err != nil {
			t.Fatal(err)
		}
		before := versions(t, cluster)
		if _, err := apply(t, cluster, text, "--field-manager=argocd-controller"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, versions(t, cluster)); diff != "" {
			t.Errorf("the same apply wrote (-before +after):\n%s", diff)
		}
		difference, err := kubectl(t, text, "--kubeconfig", cluster.Kubeconfig, "diff", "--server-side", "--field-manager=kustomize-controller", "-f", "-")
		if err != nil || difference != "" {
			t.Errorf("kubectl diff: %v\n%s", err, difference)
		}
	})
}

// manifest writes objects as kubectl reads them. The monitors are left out: their kinds
// are the Prometheus operator's, which is not there; their Go types have read them.
func manifest(t *testing.T, all []*unstructured.Unstructured) string {
	t.Helper()
	var out strings.Builder
	for _, u := range all {
		if u.GroupVersionKind().Group == "monitoring.coreos.com" {
			continue
		}
		content, err := u.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(content)
		out.WriteString("\n")
	}
	return out.String()
}

// versions of everything that config/default installs.
func versions(t *testing.T, cluster *env.Cluster) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, u := range kustomized(t, "default") {
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(u.GroupVersionKind())
		if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(u), live); err != nil {
			t.Fatal(err)
		}
		all[identity(u)] = live.GetResourceVersion()
	}
	return all
}

func TestRights(t *testing.T) {
	cluster := installed(t)
	can := func(t *testing.T, program string, a authorizationv1.ResourceAttributes) bool {
		t.Helper()
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "system:serviceaccount:" + namespace + ":vpcmirror-" + program,
			Groups:             []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
			ResourceAttributes: &a,
		}}
		if err := cluster.Client.Create(t.Context(), review); err != nil {
			t.Fatal(err)
		}
		return review.Status.Allowed
	}
	// These come first: after them the server goes by every role that was applied.
	const here, there = namespace, "team-a"
	const ours, leases = "vpcmirror.io", "coordination.k8s.io"
	for _, right := range []struct {
		program, verbs, group, resource, sub, name, namespace string
	}{
		{"verifier", "list watch", ours, "mirrorfilters", "", "", there},
		{"verifier", "get list watch", ours, "mirrorsessions", "", "", there},
		{"verifier", "patch", ours, "mirrorsessions", "status", "", there},
		{"verifier", "create patch", leases, "leases", "", "", here},
		{"manager", "get list watch patch", ours, "mirrorfilters", "", "", there},
		{"manager", "get list watch patch", ours, "mirrorsessions", "", "", there},
		{"manager", "patch", ours, "mirrorfilters", "status", "", there},
		{"manager", "patch", ours, "mirrorsessions", "status", "", there},
		{"manager", "get", "", "secrets", "", "huawei-cloud", there},
		{"manager", "get", "", "namespaces", "", "", ""},
		{"manager", "create patch", "events.k8s.io", "events", "", "", there},
		{"manager", "list watch", "", "nodes", "", "", ""},
		{"manager", "create list watch delete", leases, "leases", "", "", here},
		{"manager", "get update", leases, "leases", "", "vpcmirror-manager", here},
	} {
		t.Run("the "+right.program+" may "+right.verbs+" "+right.resource+" in "+right.namespace, func(t *testing.T) {
			for verb := range strings.FieldsSeq(right.verbs) {
				eventually(t, "it may "+verb+" "+right.resource, func(context.Context) error {
					if !can(t, right.program, authorizationv1.ResourceAttributes{
						Verb: verb, Group: right.group, Resource: right.resource, Subresource: right.sub, Name: right.name, Namespace: right.namespace,
					}) {
						return errors.New("it may not")
					}
					return nil
				})
			}
		})
	}
	for _, wrong := range []struct {
		program, verbs, group, resource, sub, name, namespace string
	}{
		{"verifier", "get list watch create update patch delete", "", "secrets", "", "", here},
		{"verifier", "get list watch create update patch delete", "", "secrets", "", "", there},
		{"verifier", "create update patch delete", ours, "mirrorsessions", "", "", there},
		{"verifier", "create update patch delete", ours, "mirrorfilters", "", "", there},
		{"verifier", "update", ours, "mirrorsessions", "status", "", there},
		{"verifier", "update patch", ours, "mirrorfilters", "status", "", there},
		{"verifier", "get", ours, "mirrorfilters", "", "", there},
		{"verifier", "get update list watch delete deletecollection", leases, "leases", "", "", here},
		{"verifier", "get create update patch", leases, "leases", "", "", there},
		{"verifier", "get list", "", "pods", "", "", here},
		{"verifier", "get list", "", "nodes", "", "", ""},
		{"verifier", "create", "", "events", "", "", here},
		{"manager", "create patch", "", "events", "", "", here},
		{"manager", "list watch create update patch delete deletecollection", "", "namespaces", "", "", ""},
		{"manager", "list watch create update delete deletecollection", "", "secrets", "", "", here},
		{"manager", "list watch create update delete deletecollection", "", "secrets", "", "", there},
		{"manager", "create delete deletecollection", ours, "mirrorsessions", "", "", there},
		{"manager", "create delete deletecollection", ours, "mirrorfilters", "", "", there},
		{"manager", "get update patch", leases, "leases", "", "vpcmirror-verifier-of-a-node", here},
		{"manager", "patch", leases, "leases", "", "vpcmirror-manager", here},
		{"manager", "get", "", "nodes", "", "a-node", ""},
		{"manager", "get create update", leases, "leases", "", "", "kube-system"},
		{"manager", "get list create", "", "pods", "", "", here},
		{"manager", "create", "", "pods", "exec", "", here},
		{"manager", "bind escalate", "rbac.authorization.k8s.io", "clusterroles", "", "", ""},
		{"manager", "impersonate", "", "users", "", "", ""},
	} {
		t.Run("the "+wrong.program+" may not "+wrong.verbs+" "+wrong.resource+" in "+wrong.namespace, func(t *testing.T) {
			for verb := range strings.FieldsSeq(wrong.verbs) {
				if can(t, wrong.program, authorizationv1.ResourceAttributes{
					Verb: verb, Group: wrong.group, Resource: wrong.resource, Subresource: wrong.sub, Name: wrong.name, Namespace: wrong.namespace,
				}) {
					t.Errorf("it may %s %s", verb, wrong.resource)
				}
			}
		})
	}
}

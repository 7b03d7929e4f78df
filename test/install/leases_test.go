package install

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/lease"
)

// What the policy says of leases.
const (
	onlyOwn  = "a verifier renews the lease of its own node"
	onlySlim = "the lease of a verifier holds for at most 10 minutes"
)

// leaseOf is a lease as the verifier of a node makes it, changed.
func leaseOf(node string, changes ...func(*coordinationv1.Lease)) *coordinationv1.Lease {
	l := &coordinationv1.Lease{
		TypeMeta: metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"}, // for server-side apply
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: v1alpha1.LeaseName(node),
			Labels: map[string]string{"app.kubernetes.io/name": "vpcmirror", "app.kubernetes.io/component": "verifier"},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &node, LeaseDurationSeconds: new(int32(40))},
	}
	for _, change := range changes {
		change(l)
	}
	return l
}

// applied applies a lease as a field manager.
func applied(ctx context.Context, t *testing.T, c client.Client, l *coordinationv1.Lease, manager string, more ...client.ApplyOption) error {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(l)
	if err != nil {
		t.Fatal(err)
	}
	return c.Apply(ctx, client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: content}),
		append(more, client.FieldOwner(manager), client.ForceOwnership)...)
}

func called(name string) func(*coordinationv1.Lease) {
	return func(l *coordinationv1.Lease) { l.Name = name }
}

func TestAVerifierRenewsTheLeaseOfItsOwnNodeAlone(t *testing.T) {
	cluster := installed(t)
	theirs := leaseOf("node-b")
	if err := cluster.Client.Create(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // other tests, or this one again, have the same cluster
		if err := cluster.Client.Delete(context.WithoutCancel(t.Context()), theirs); err != nil {
			t.Error(err)
		}
	})
	a := verifierOf(t, cluster, "node-a")
	eventually(t, "the policy holds a verifier to its lease", func(ctx context.Context) error {
		return refused(applied(ctx, t, a, leaseOf("node-a", called("vpcmirror-manager")), "a", client.DryRunAll), onlyOwn)
	})
	for name, c := range map[string]struct {
		node  string // of the token
		lease *coordinationv1.Lease
		want  string
	}{
		"its own":                           {"node-a", leaseOf("node-a"), ""},
		"one with a dot in the node's name": {"node-a.example.com", leaseOf("node-a.example.com"), ""},
		"its own in another's name":         {"node-a", leaseOf("node-b", called(v1alpha1.LeaseName("node-a"))), onlyOwn},
		"the leader's":                      {"node-a", leaseOf("node-a", called("vpcmirror-manager")), onlyOwn},
		"another's, as its own":             {"node-a", leaseOf("node-a", called(theirs.Name)), onlyOwn},
		"another's":                         {"node-a", leaseOf("node-b"), onlyOwn},
		"a second one":                      {"node-a", leaseOf("node-a", called(v1alpha1.LeaseName("node-a")+"-2")), onlyOwn},
		"one with a token of no node":       {"", leaseOf(""), onlyOwn},
		"one with 250 kB of annotations":    {"node-a", leaseOf("node-a", func(l *coordinationv1.Lease) { l.Annotations = map[string]string{"a": strings.Repeat("a", 250_000)} }), onlySlim},
		"one with labels of its own":        {"node-a", leaseOf("node-a", func(l *coordinationv1.Lease) { l.Labels["a"] = "a" }), onlySlim},
		"one with a finalizer":              {"node-a", leaseOf("node-a", func(l *coordinationv1.Lease) { l.Finalizers = []string{"example.com/a"} }), onlySlim},
		"one with an owner": {"node-a", leaseOf("node-a", func(l *coordinationv1.Lease) {
			l.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "p", UID: "u"}}
		}), onlySlim},
	} {
		t.Run(name, func(t *testing.T) {
			answered(t, applied(t.Context(), t, verifierOf(t, cluster, c.node), c.lease, "a", client.DryRunAll), c.want)
		})
	}
	t.Run("as the verifier itself does it", func(t *testing.T) {
		r := &lease.Renewer{Client: client.NewDryRunClient(a), Namespace: namespace, Node: "node-a", Clock: time.Now}
		answered(t, r.Renew(t.Context()), "")
	})
	t.Run("under few names", func(t *testing.T) {
		var err error
		for i := 0; err == nil; i++ {
			if i == 8 {
				t.Fatal("it owns its lease under 8 names")
			}
			err = applied(t.Context(), t, a, leaseOf("node-a"), fmt.Sprint("name-", i))
		}
		answered(t, err, onlySlim)
		if err := cluster.Client.Delete(t.Context(), leaseOf("node-a")); err != nil {
			t.Error(err)
		}
	})
}

// Leases are how every controller of a cluster elects a leader, and how nodes live.
func TestNobodyElsesLeaseIsHeldUp(t *testing.T) {
	cluster := installed(t)
	inForce(t, cluster, reported(t, cluster))
	leases := may("coordination.k8s.io", "leases", "*")
	for name, c := range map[string]struct {
		user  string
		rules []rbacv1.PolicyRule
	}{
		"a controller's":                                {"system:serviceaccount:elsewhere:controller", []rbacv1.PolicyRule{leases}},
		"that of one who writes sessions":               {"system:serviceaccount:elsewhere:editor", []rbacv1.PolicyRule{leases, may("vpcmirror.io", "mirrorsessions", "update")}},
		"that of one who writes sessions and statuses":  {"system:serviceaccount:elsewhere:backup", []rbacv1.PolicyRule{leases, may("vpcmirror.io", "*", "patch")}},
		"that of one who updates sessions and statuses": {"system:serviceaccount:elsewhere:restore", []rbacv1.PolicyRule{leases, may("vpcmirror.io", "*", "update")}},
		"that of a component of Kubernetes":             {"system:kube-something", []rbacv1.PolicyRule{leases, may("vpcmirror.io", "mirrorsessions/status", "patch")}},
		"the leader's, by the manager":                  {account("vpcmirror-manager"), []rbacv1.PolicyRule{leases}},
	} {
		t.Run(name, func(t *testing.T) {
			granted(t, cluster, c.user, c.rules...)
			who := acting(t, cluster, c.user, "")
			eventually(t, "it is taken", func(ctx context.Context) error {
				return who.Create(ctx, leaseOf("node-x", called("somebody-elses"), func(l *coordinationv1.Lease) { l.Annotations = map[string]string{"a": "a"} }), client.DryRunAll)
			})
		})
	}
}

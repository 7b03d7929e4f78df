package liveness

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/env"
)

func TestMain(m *testing.M) { env.Main(m) }

// cluster is a namespace with leases on the real API server, and a manager's watcher of them.
type cluster struct {
	*env.Cluster
	namespace string
	watcher   *Watcher
	now       time.Time
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{Cluster: env.Start(t), now: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)}
	c.namespace = c.Namespace(t)
	manager, err := client.New(c.User(t, env.User{
		Name: "manager-" + c.namespace, Rules: env.Granted(t, "ClusterRole", "manager_role.yaml"),
		Within: map[string][]rbacv1.PolicyRule{c.namespace: env.Granted(t, "Role", "manager.yaml")},
	}), client.Options{Scheme: c.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	c.watcher = &Watcher{
		Client: manager, Namespace: c.namespace, Clock: func() time.Time { return c.now },
		Changed: make(chan event.TypedGenericEvent[*v1alpha1.MirrorSession], 8), // nobody here listens
	}
	return c
}

// lease stores the lease of a node's verifier, renewed now.
func (c *cluster) lease(t *testing.T, node string) {
	t.Helper()
	l := lease(node, c.now)
	l.Namespace = c.namespace
	if err := c.Client.Create(t.Context(), &l); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) renew(t *testing.T, node string) {
	t.Helper()
	var l coordinationv1.Lease
	if err := c.Client.Get(t.Context(), client.ObjectKey{Namespace: c.namespace, Name: v1alpha1.LeaseName(node)}, &l); err != nil {
		t.Fatal(err)
	}
	l.Spec.RenewTime = new(metav1.NewMicroTime(c.now))
	if err := c.Client.Update(t.Context(), &l); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) node(t *testing.T, name string) {
	t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := c.Client.Create(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // other tests see the same nodes
		if err := c.Client.Delete(context.WithoutCancel(t.Context()), n); err != nil {
			t.Error(err)
		}
	})
}

// session stores a session with an entry of a node's verifier.
func (c *cluster) session(t *testing.T, node string) *v1alpha1.MirrorSession {
	t.Helper()
	s := &v1alpha1.MirrorSession{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "web"},
		Spec: v1alpha1.MirrorSessionSpec{
			FilterRef: v1alpha1.FilterReference{Name: "web"},
			Sources:   []v1alpha1.SourceSelector{{InterfaceSelector: v1alpha1.InterfaceSelector{Address: &v1alpha1.InterfaceAddress{IP: "192.168.0.230"}}}},
			Target:    v1alpha1.TargetSelector{InterfaceSelector: v1alpha1.InterfaceSelector{Address: &v1alpha1.InterfaceAddress{IP: "192.168.0.164"}}},
		},
	}
	if err := c.Client.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	s.Status.Verification = []v1alpha1.Verification{{Node: node, Interface: "eth0", ObservedAt: metav1.NewMicroTime(c.now)}}
	if err := c.Client.Status().Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (c *cluster) poll(t *testing.T) {
	t.Helper()
	if err := c.watcher.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// want compares the nodes whose leases are there.
func (c *cluster) want(t *testing.T, nodes ...string) {
	t.Helper()
	var leases coordinationv1.LeaseList
	if err := c.Client.List(t.Context(), &leases, client.InNamespace(c.namespace)); err != nil {
		t.Fatal(err)
	}
	got, want := []string{}, []string{}
	for _, l := range leases.Items {
		got = append(got, l.Name)
	}
	for _, n := range nodes {
		want = append(want, v1alpha1.LeaseName(n))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the leases that are there (-want +got):\n%s", diff)
	}
}

func TestLeasesOfNodesThatAreGoneAreDeleted(t *testing.T) {
	t.Run("a day after they were renewed last, where the node is gone and no session has an entry of it", func(t *testing.T) {
		c := newCluster(t)
		c.node(t, "there")
		for _, name := range []string{"there", "gone", "counted", "back"} {
			c.lease(t, name)
		}
		s := c.session(t, "counted")
		c.poll(t)
		c.now = c.now.Add(retention - time.Second)
		c.poll(t)
		c.want(t, "there", "gone", "counted", "back") // not yet
		c.renew(t, "back")
		c.poll(t)
		c.now = c.now.Add(cleanupInterval)
		c.poll(t)
		c.want(t, "there", "counted", "back")

		s.Status.Verification = nil
		if err := c.Client.Status().Update(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		c.poll(t)
		c.want(t, "there", "counted", "back") // stale ones are searched for from time to time only
		c.now = c.now.Add(cleanupInterval)
		c.poll(t)
		c.want(t, "there", "back")
	})

	t.Run("never where the cluster has no nodes: verifiers run beside it", func(t *testing.T) {
		c := newCluster(t)
		c.lease(t, "gone")
		c.poll(t)
		c.now = c.now.Add(2 * retention)
		c.poll(t)
		c.want(t, "gone")
	})

	t.Run("not when one is renewed while it is being deleted", func(t *testing.T) {
		c := newCluster(t)
		c.node(t, "there")
		c.lease(t, "late")
		c.poll(t)
		c.now = c.now.Add(retention)
		c.watcher.Client = renewing{c.watcher.Client, func() { c.renew(t, "late") }}
		c.poll(t)
		c.want(t, "late")
	})
}

// renewing has the verifier renew its lease right before a lease is deleted.
type renewing struct {
	client.Client
	renew func()
}

func (c renewing) Delete(ctx context.Context, o client.Object, opts ...client.DeleteOption) error {
	c.renew()
	return c.Client.Delete(ctx, o, opts...)
}

func TestAVerifierWakesTheSessionsForWhichItsStateMakesADifference(t *testing.T) {
	c := newCluster(t)
	c.watcher.Changed = make(chan event.TypedGenericEvent[*v1alpha1.MirrorSession], 1)
	woken := func(what string, want bool) {
		t.Helper()
		c.poll(t)
		got := len(c.watcher.Changed) > 0
		for len(c.watcher.Changed) > 0 {
			<-c.watcher.Changed
		}
		if got != want {
			t.Errorf("%s: woken %t, want %t", what, got, want)
		}
	}
	s := c.session(t, "waking")
	calls := func(reason string) {
		t.Helper()
		s.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionTrafficObserved, Status: metav1.ConditionUnknown, Reason: reason, Message: "m", LastTransitionTime: metav1.NewTime(c.now),
		}}
		if err := c.Client.Status().Update(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	restarted := func() { c.watcher.leases = nil }

	c.lease(t, "waking")
	woken("at the start", false)
	c.now = c.now.Add(10 * time.Second)
	c.renew(t, "waking")
	woken("by one that is alive, as everybody thought", false)
	c.now = c.now.Add(time.Minute)
	woken("by one that is lost", true)
	calls(v1alpha1.ReasonVerifierLost)
	c.now = c.now.Add(10 * time.Second)
	c.renew(t, "waking")
	woken("by one that is back", true)
	restarted()
	woken("after a restart", false)
	c.now = c.now.Add(10 * time.Second)
	c.renew(t, "waking")
	woken("by one that is alive, and called lost", true)
}

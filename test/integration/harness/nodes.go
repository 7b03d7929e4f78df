package harness

import (
	"context"
	"maps"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/liveness"
	"vpcmirror.io/operator/controllers/verifier/lease"
)

// ours are the labels of what belongs to this test and is in no namespace.
func (w *World) ours() labels.Set { return labels.Set{"world": w.Namespace} }

// NodeName is the name of the test's own node of that name: nodes are in no namespace.
func (w *World) NodeName(name string) string { return name + "." + w.Namespace }

// Node makes a node that the test's manager sees, as a kubelet would, with the InternalIPs.
func (w *World) Node(name string, ips ...string) *corev1.Node {
	w.t.Helper()
	return w.NodeOn(name, "", nil, ips...)
}

// NodeOn makes such a node that says which server it is, and that has labels.
func (w *World) NodeOn(name, providerID string, with map[string]string, ips ...string) *corev1.Node {
	w.t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.NodeName(name), Labels: w.ours()}, Spec: corev1.NodeSpec{ProviderID: providerID}}
	maps.Copy(n.Labels, with)
	w.Create(n)
	w.t.Cleanup(func() {
		if err := client.IgnoreNotFound(w.Cluster.Client.Delete(w.ctx(), n)); err != nil {
			w.t.Errorf("deleting the node %s: %v", n.Name, err)
		}
	})
	w.Readdress(n, ips...)
	return n
}

// Label gives a node a label, or takes it away where value is empty.
func (w *World) Label(n *corev1.Node, key, value string) {
	w.t.Helper()
	before := client.MergeFrom(n.DeepCopy())
	n.Labels[key] = value
	if value == "" {
		delete(n.Labels, key)
	}
	if err := w.Cluster.Client.Patch(w.ctx(), n, before); err != nil {
		w.t.Fatalf("labelling the node %s: %v", n.Name, err)
	}
}

// Readdress gives a node other InternalIPs, beside a name that is no address.
func (w *World) Readdress(n *corev1.Node, ips ...string) {
	w.t.Helper()
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: n.Name}}
	for _, ip := range ips {
		n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	if err := w.Cluster.Client.Status().Update(w.ctx(), n); err != nil {
		w.t.Fatalf("writing the addresses of the node %s: %v", n.Name, err)
	}
}

// Renew renews the lease of a node's verifier once, as the verifier does.
func (w *World) Renew(node string) {
	w.t.Helper()
	renewer := lease.Renewer{Client: w.Cluster.Client, Namespace: w.Namespace, Node: node, Clock: w.Clock.Now}
	if err := renewer.Renew(w.ctx()); err != nil {
		w.t.Fatal(err)
	}
}

// Alive renews the lease of a node's verifier until the manager takes it for alive.
func (m *Manager) Alive(w *World, node string) {
	w.t.Helper()
	_ = Poll(w.t, "the verifier of "+node+" is alive", func() liveness.State {
		w.Renew(node)
		return m.Liveness.Of(node)
	}, func(s liveness.State) bool { return s == liveness.Alive })
}

// knowsLease waits until the manager knows the last renewal of a lease: seen later, after the clock was moved, it
// would hold on.
func (m *Manager) knowsLease(w *World, node string) {
	w.t.Helper()
	is := w.Lease(node)
	switch err := w.Get(is); {
	case apierrors.IsNotFound(err):
		return
	case err != nil:
		w.t.Fatalf("reading the lease of the verifier of %s: %v", node, err)
	}
	_ = Poll(w.t, "the manager's cache shows the last renewal of "+node, func() bool {
		cached := w.Lease(node)
		err := m.polls.Get(w.ctx(), client.ObjectKeyFromObject(cached), cached)
		return err == nil && cached.ResourceVersion == is.ResourceVersion
	}, func(shown bool) bool { return shown })
	// A poll that is under way may have read the cache before. The next one has not, and is over when another begins.
	before := m.polls.n.Load()
	_ = Poll(w.t, "the manager has polled the leases", m.polls.n.Load, func(n int64) bool { return n >= before+2 })
}

// polls counts how often leases are listed.
type polls struct {
	client.Client

	n atomic.Int64
}

// List counts those of leases.
func (p *polls) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if _, ok := list.(*coordinationv1.LeaseList); ok {
		p.n.Add(1)
	}
	return p.Client.List(ctx, list, options...)
}

// Lease is the lease of a node's verifier, to be deleted.
func (w *World) Lease(node string) *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: v1alpha1.LeaseName(node)}}
}

// Expire lets so much time pass that the lease of a node's verifier runs out.
func (m *Manager) Expire(w *World, node string) {
	w.t.Helper()
	m.knowsLease(w, node)
	_ = Poll(w.t, "the lease of the verifier of "+node+" runs out", func() liveness.State {
		if m.Liveness.Of(node) != liveness.Lost {
			w.Clock.Advance(lease.Duration + time.Second)
		}
		return m.Liveness.Of(node)
	}, func(s liveness.State) bool { return s == liveness.Lost })
}

// OnNode selects the interface of one of the test's nodes.
func (w *World) OnNode(name string) v1alpha1.InterfaceSelector {
	return v1alpha1.InterfaceSelector{NodeName: w.NodeName(name)}
}

package mirrorsession

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
)

// internalIPs are a node's addresses inside of the VPC. They are those of its elastic
// network interface, in the cloud's own Kubernetes as elsewhere.
func internalIPs(n *corev1.Node) []netip.Addr {
	var out []netip.Addr
	for _, a := range n.Status.Addresses {
		if a.Type != corev1.NodeInternalIP {
			continue
		}
		if ip, err := netip.ParseAddr(a.Address); err == nil {
			out = append(out, ip)
		}
	}
	return out
}

// interfaceOfNode finds the interface that has a node's InternalIP.
func (r *Reconciler) interfaceOfNode(ctx context.Context, s *scope, field, name string, since time.Time) (cloud.Interface, error) {
	var node corev1.Node
	err := r.Client.Get(ctx, client.ObjectKey{Name: name}, &node)
	if apierrors.IsNotFound(err) {
		return cloud.Interface{}, lifecycle.Wait(v1alpha1.ReasonNodeNotFound,
			"%s.nodeName names %q, but the cluster has no such node: correct the name, or wait until the node is there", field, name)
	}
	if err != nil {
		return cloud.Interface{}, fmt.Errorf("read the node %q of %s: %w", name, field, err)
	}
	ips := internalIPs(&node)
	if len(ips) == 0 {
		return cloud.Interface{}, lifecycle.Wait(v1alpha1.ReasonNodeNotFound,
			"%s.nodeName names %q, but that node has no InternalIP yet", field, name)
	}
	// With two families both addresses belong to one interface; the first decides.
	found, err := r.interfaceAt(ctx, s, field, v1alpha1.InterfaceAddress{IP: ips[0].String()}, since)
	if err != nil {
		return found, ofNode(err, field, name)
	}
	return found, nil
}

// ofNode says of a problem with an address whose address it is, and what settles an
// ambiguity: a node name can't say which VPC is meant.
func ofNode(err error, field, node string) error {
	p := lifecycle.Diagnose(err)
	if p == nil {
		return err
	}
	out := *p
	out.Message = fmt.Sprintf("the InternalIP of node %q: %s", node, p.Message)
	if p.Reason == v1alpha1.ReasonAmbiguousAddress {
		out.Message = fmt.Sprintf("the InternalIP of node %q is not unique: %s; for that, write %s.address in place of %s.nodeName",
			node, p.Message, field, field)
	}
	return &out
}

// nodesByIP tells which node has an InternalIP.
func (r *Reconciler) nodesByIP(ctx context.Context) (map[netip.Addr]string, error) {
	var nodes corev1.NodeList
	if err := r.Client.List(ctx, &nodes); err != nil {
		return nil, fmt.Errorf("list the nodes: %w", err)
	}
	out := make(map[netip.Addr]string, len(nodes.Items))
	for i := range nodes.Items {
		for _, ip := range internalIPs(&nodes.Items[i]) {
			out[ip] = nodes.Items[i].Name
		}
	}
	return out, nil
}

// nodeMatters passes nodes that come, go or change their addresses.
func nodeMatters() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*corev1.Node)
		after, ok2 := e.ObjectNew.(*corev1.Node)
		return ok1 && ok2 && !slices.Equal(internalIPs(before), internalIPs(after))
	}}
}

// usersOfNode wakes the sessions that name a node, run over it, or have an entry of it.
func (r *Reconciler) usersOfNode(ctx context.Context, o client.Object) []reconcile.Request {
	var sessions v1alpha1.MirrorSessionList
	if err := r.Client.List(ctx, &sessions); err != nil {
		// The cache answers this; it fails only when it stops, and then so do we.
		ctrl.LoggerFrom(ctx).Error(err, "Sessions were not woken by a node", "node", o.GetName())
		return nil
	}
	var requests []reconcile.Request
	for i := range sessions.Items {
		if concerns(&sessions.Items[i], o.GetName()) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&sessions.Items[i])})
		}
	}
	return requests
}

func concerns(s *v1alpha1.MirrorSession, node string) bool {
	if s.Spec.Target.NodeName == node || (s.Status.Target != nil && s.Status.Target.NodeName == node) {
		return true
	}
	return slices.ContainsFunc(s.Spec.Sources, func(i v1alpha1.InterfaceSelector) bool { return i.NodeName == node }) ||
		slices.ContainsFunc(s.Status.Sources, func(i v1alpha1.ResolvedInterface) bool { return i.NodeName == node }) ||
		slices.ContainsFunc(s.Status.Verification, func(e v1alpha1.Verification) bool { return e.Node == node })
}

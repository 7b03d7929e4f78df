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
			out = append(out, ip.Unmap())
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
			"%s.nodeName names %q, but that node has no InternalIP: wait until its kubelet has told one, or name the interface by its ID", field, name)
	}
	// With two families both addresses belong to one interface; the first decides.
	found, err := r.interfacesAt(ctx, s, field, v1alpha1.InterfaceAddress{IP: ips[0].String()}, since)
	switch {
	case err != nil:
		return cloud.Interface{}, err
	case len(found) == 0:
		return cloud.Interface{}, absent(nil, "%s.nodeName names %q, but no elastic network interface of %s has its InternalIP %s: name the interface by its ID, or wait until it is there",
			field, name, place(s), ips[0])
	case len(found) > 1:
		// A node's name can't say which VPC is meant.
		return cloud.Interface{}, lifecycle.Stall(v1alpha1.ReasonAmbiguousAddress,
			"%s.nodeName names %q, but several interfaces have its InternalIP %s: %s. Put %s.address with that ip and the vpcID that is meant in place of nodeName",
			field, name, ips[0], candidates(found), field)
	}
	return found[0], nil
}

// nodesByIP tells which node has an InternalIP. Where several have it, as in several VPCs,
// nobody can tell, and none is named.
func (r *Reconciler) nodesByIP(ctx context.Context) (map[netip.Addr]string, error) {
	var nodes corev1.NodeList
	if err := r.Client.List(ctx, &nodes); err != nil {
		return nil, fmt.Errorf("list the nodes: %w", err)
	}
	out := make(map[netip.Addr]string, len(nodes.Items))
	for i := range nodes.Items {
		for _, ip := range internalIPs(&nodes.Items[i]) {
			if _, taken := out[ip]; taken {
				out[ip] = ""
				continue
			}
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

// usersOfNode wakes the sessions that name a node, run over it, or have an entry of it. (A
// node that changed its address comes as it was, and as it is.)
func (r *Reconciler) usersOfNode(ctx context.Context, o client.Object) []reconcile.Request {
	var sessions v1alpha1.MirrorSessionList
	if err := r.Client.List(ctx, &sessions); err != nil {
		// The cache answers this; it fails only when it stops, and then so do we.
		ctrl.LoggerFrom(ctx).Error(err, "Sessions were not woken by a node", "node", o.GetName())
		return nil
	}
	node, ok := o.(*corev1.Node)
	var requests []reconcile.Request
	for i := range sessions.Items {
		if ok && concerns(&sessions.Items[i], node) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&sessions.Items[i])})
		}
	}
	return requests
}

func concerns(s *v1alpha1.MirrorSession, node *corev1.Node) bool {
	ips := internalIPs(node)
	over := func(i v1alpha1.ResolvedInterface) bool {
		return i.NodeName == node.Name || slices.ContainsFunc(i.Addresses, func(a string) bool {
			ip, err := netip.ParseAddr(a)
			return err == nil && slices.Contains(ips, ip.Unmap())
		})
	}
	return s.Spec.Target.NodeName == node.Name || (s.Status.Target != nil && over(*s.Status.Target)) ||
		slices.ContainsFunc(s.Spec.Sources, func(i v1alpha1.SourceSelector) bool { return i.NodeName == node.Name }) ||
		slices.ContainsFunc(s.Status.Sources, over) ||
		slices.ContainsFunc(s.Status.Verification, func(e v1alpha1.Verification) bool { return e.Node == node.Name })
}

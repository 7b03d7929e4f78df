package mirrorsession

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
func (s *scope) interfaceOfNode(ctx context.Context, field, name string, since time.Time) (cloud.Interface, error) {
	var node corev1.Node
	err := s.Client.Get(ctx, client.ObjectKey{Name: name}, &node)
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
	found, err := s.interfacesAt(ctx, field, v1alpha1.InterfaceAddress{IP: ips[0].String()}, since)
	switch {
	case err != nil:
		return cloud.Interface{}, err
	case len(found) == 0:
		return cloud.Interface{}, absent(nil, "%s.nodeName names %q, but no elastic network interface of %s has its InternalIP %s: name the interface by its ID, or wait until it is there",
			field, name, s.accountName(), ips[0])
	case len(found) > 1:
		// A node's name can't say which VPC is meant.
		return cloud.Interface{}, lifecycle.Stall(v1alpha1.ReasonAmbiguousAddress,
			"%s.nodeName names %q, but several interfaces have its InternalIP %s%s. Put %s.address with that ip and the vpcID that is meant in place of nodeName",
			field, name, ips[0], s.candidates(found), field)
	}
	return found[0], nil
}

// nodesByIP returns which node has an InternalIP. Where several have it, as in several VPCs,
// none is named.
func (s *scope) nodesByIP(ctx context.Context) (map[netip.Addr]string, error) {
	var nodes corev1.NodeList
	if err := s.Client.List(ctx, &nodes); err != nil {
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

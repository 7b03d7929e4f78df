package mirrorsession

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
)

// internalIPs are a node's addresses inside of the VPC, each once: those of its elastic
// network interface, in the cloud's own Kubernetes as elsewhere, and perhaps others. One
// with a zone is known to the node alone.
func internalIPs(n *corev1.Node) []netip.Addr {
	var out []netip.Addr
	for _, a := range n.Status.Addresses {
		if a.Type != corev1.NodeInternalIP {
			continue
		}
		ip, err := netip.ParseAddr(a.Address)
		if ip = ip.Unmap(); err == nil && ip.Zone() == "" && !slices.Contains(out, ip) {
			out = append(out, ip)
		}
	}
	return out
}

// interfaceOfNode finds the interface that has an InternalIP of a node.
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
	all, err := s.interfacesWithAny(ctx, field, ips, since)
	if err != nil {
		return cloud.Interface{}, err
	}
	if one := interfaceWith(ips, all); one != nil {
		return *one, nil
	}
	if len(all) == 0 {
		return cloud.Interface{}, absent(nil, "%s.nodeName names %q, but no elastic network interface of %s has its %s: name the interface by its ID, or wait until it is there",
			field, name, s.accountName(), ipsText(ips))
	}
	remedy := fmt.Sprintf("Put %s.interfaceID with the one that is meant in place of nodeName", field)
	if len(ips) == 1 {
		// A node's name can't say which VPC is meant.
		remedy = fmt.Sprintf("Put %s.address with that ip and the vpcID that is meant in place of nodeName", field)
	}
	return cloud.Interface{}, lifecycle.Stall(v1alpha1.ReasonAmbiguousAddress,
		"%s.nodeName names %q, but several interfaces have its %s%s. %s", field, name, ipsText(ips), s.candidates(all), remedy)
}

// ipsText reads like: InternalIPs 192.168.0.164, 2001:db8::164.
func ipsText(ips []netip.Addr) string {
	if len(ips) == 1 {
		return "InternalIP " + ips[0].String()
	}
	texts := make([]string, 0, len(ips))
	for _, ip := range ips {
		texts = append(texts, ip.String())
	}
	return "InternalIPs " + strings.Join(texts, ", ")
}

// interfacesWithAny are the interfaces that have one of the addresses, each once. The cloud
// is not asked for an address that one of those found before has too.
func (s *scope) interfacesWithAny(ctx context.Context, field string, ips []netip.Addr, since time.Time) (all []cloud.Interface, err error) {
	for _, ip := range ips {
		if slices.ContainsFunc(all, func(i cloud.Interface) bool { return slices.Contains(i.Addresses, ip) }) {
			continue
		}
		found, err := s.interfacesAt(ctx, field, v1alpha1.InterfaceAddress{IP: ip.String()}, since)
		if err != nil {
			return nil, err
		}
		// What was read last is the newest.
		all = slices.DeleteFunc(all, func(i cloud.Interface) bool {
			return slices.ContainsFunc(found, func(again cloud.Interface) bool { return again.ID == i.ID })
		})
		all = append(all, found...)
	}
	return all, nil
}

// interfaceWith is the interface of a node with these InternalIPs, of those that have one of
// them; nil where that is open. It is the one that has all of them that any has: the same
// private address may be another server's in another VPC. Where they are spread over several
// interfaces of one server it is that with the first, by which Kubernetes reaches the node.
func interfaceWith(ips []netip.Addr, all []cloud.Interface) *cloud.Interface {
	having := func(ip netip.Addr) (out []int) {
		for i := range all {
			if slices.Contains(all[i].Addresses, ip) {
				out = append(out, i)
			}
		}
		return out
	}
	var first, full []int // those with the first address that any has, and those with all
	for _, ip := range ips {
		with := having(ip)
		switch {
		case len(with) == 0:
		case first == nil:
			first, full = with, with
		default:
			full = slices.DeleteFunc(slices.Clone(full), func(i int) bool { return !slices.Contains(with, i) })
		}
	}
	ofOneServer := !slices.ContainsFunc(all, func(i cloud.Interface) bool { return i.DeviceID == "" || i.DeviceID != all[0].DeviceID })
	switch {
	case len(full) == 1:
		return &all[full[0]]
	case len(first) == 1 && ofOneServer:
		return &all[first[0]]
	}
	return nil
}

// nodeAt is the one node that has one of the addresses as an InternalIP, empty for none; the
// first address that one node alone has decides. Where several nodes have an address, as in
// several VPCs, it names none.
func (s *scope) nodeAt(ctx context.Context, addresses []netip.Addr) (string, error) {
	for _, a := range addresses {
		var nodes corev1.NodeList
		// The cache's own objects are only read here.
		if err := s.Client.List(ctx, &nodes, client.MatchingFields{nodesByInternalIP: a.String()}, client.UnsafeDisableDeepCopy); err != nil {
			return "", fmt.Errorf("look up the node with the address %s: %w", a, err)
		}
		if len(nodes.Items) == 1 {
			return nodes.Items[0].Name, nil
		}
	}
	return "", nil
}

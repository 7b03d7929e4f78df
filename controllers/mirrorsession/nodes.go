package mirrorsession

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
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

// serverIDs are the forms of a node's spec.providerID that name a server of this cloud: the ID alone, as
// nodes of CCE have it, and as kubernetes-sigs/cloud-provider-huaweicloud reads and writes it.
var serverIDs = regexp.MustCompile(`^(?:huaweicloud:///?)?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$`)

// serverOf is the server that a node says it is, empty where it says none of this cloud.
func serverOf(n *corev1.Node) string {
	if found := serverIDs.FindStringSubmatch(n.Spec.ProviderID); found != nil {
		return strings.ToLower(found[1])
	}
	return ""
}

// nodeOf is the source that a selected node is.
func nodeOf(n selectedNode) named {
	return named{field: n.by.field, InterfaceSelector: v1alpha1.InterfaceSelector{NodeName: n.Name}, node: n.Node}
}

// says begins a sentence about the node that is named, or selected.
func (n named) says() string {
	if n.node != nil {
		return fmt.Sprintf("%s selects the node %q", n.field, n.NodeName)
	}
	return fmt.Sprintf("%s.nodeName names %q", n.field, n.NodeName)
}

// instead is what can be done about a node for which no interface is found.
func (n named) instead() string {
	if n.node != nil {
		return "take the node out of the selection"
	}
	return "name the interface by its ID"
}

// choose is what can be done where several interfaces may be the node's.
func (n named) choose(server string, ips []netip.Addr) string {
	switch {
	case n.node != nil:
		return "Take the node out of the selection, and name the interface that is meant by a source of its own"
	case server == "" && len(ips) == 1: // a node's name can't say which VPC is meant
		return fmt.Sprintf("Put %s.address with that ip and the vpcID that is meant in place of nodeName", n.field)
	}
	return fmt.Sprintf("Put %s.interfaceID with the one that is meant in place of nodeName", n.field)
}

// interfaceOfNode finds the interface of a node: the primary one of the server that it says it is, else that
// which has an InternalIP of it, where that is of no other server.
func (s *scope) interfaceOfNode(ctx context.Context, of named, since time.Time) (cloud.Interface, error) {
	node := of.node
	if node == nil {
		node = &corev1.Node{}
		err := s.Client.Get(ctx, client.ObjectKey{Name: of.NodeName}, node)
		if apierrors.IsNotFound(err) {
			return cloud.Interface{}, lifecycle.Wait(v1alpha1.ReasonNodeNotFound,
				"%s, but the cluster has no such node: correct the name, or wait until the node is there", of.says())
		}
		if err != nil {
			return cloud.Interface{}, fmt.Errorf("read the node %q of %s: %w", of.NodeName, of.field, err)
		}
	}
	server, ips := serverOf(node), internalIPs(node)
	if server == "" && len(ips) == 0 {
		return cloud.Interface{}, lifecycle.Wait(v1alpha1.ReasonNodeNotFound,
			"%s, but that node has no InternalIP: wait until its kubelet has told one, or %s", of.says(), of.instead())
	}
	all, err := s.interfacesOfServer(ctx, of, server, since)
	if err != nil {
		return cloud.Interface{}, err
	}
	if len(all) == 0 {
		if all, err = s.interfacesWithAny(ctx, of.field, ips, since); err != nil {
			return cloud.Interface{}, err
		}
		all = slices.DeleteFunc(all, func(i cloud.Interface) bool { return server != "" && i.DeviceID != "" && i.DeviceID != server })
	}
	if one := primaryOf(server, ips, all); one != nil {
		return *one, nil
	}
	if len(all) == 0 {
		return cloud.Interface{}, absent(nil, "%s, but no elastic network interface of %s has its %s: %s, or wait until it is there",
			of.says(), s.accountName(), knownBy(server, ips), of.instead())
	}
	return cloud.Interface{}, lifecycle.Stall(v1alpha1.ReasonAmbiguousAddress,
		"%s, but several interfaces have its %s%s. %s", of.says(), knownBy(server, ips), s.candidates(all), of.choose(server, ips))
}

// interfacesOfServer are the interfaces of a server, none for none.
func (s *scope) interfacesOfServer(ctx context.Context, of named, server string, since time.Time) ([]cloud.Interface, error) {
	if server == "" {
		return nil, nil
	}
	all, err := s.Inventory.InterfacesOf(ctx, s.Cloud, server, since)
	if err != nil {
		return nil, fmt.Errorf("find the interfaces of the server %s of the node %q of %s: %w", server, of.NodeName, of.field, err)
	}
	return all, nil
}

// primaryOf is the primary interface of a server, of those that it has: that which the cloud says is, or the
// only one. Where neither is so, or the server is not known, the node's InternalIPs decide.
func primaryOf(server string, ips []netip.Addr, all []cloud.Interface) *cloud.Interface {
	if server != "" {
		is := func(i cloud.Interface) bool { return i.Primary }
		if first := slices.IndexFunc(all, is); first >= 0 && !slices.ContainsFunc(all[first+1:], is) {
			return &all[first]
		}
		if len(all) == 1 {
			return &all[0]
		}
	}
	return interfaceWith(ips, all)
}

// knownBy is what a node is found by.
func knownBy(server string, ips []netip.Addr) string {
	switch {
	case server == "":
		return ipsText(ips)
	case len(ips) == 0:
		return "server " + server
	}
	return "server " + server + " or its " + ipsText(ips)
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

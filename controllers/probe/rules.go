package probe

import (
	"cmp"
	"net/netip"
	"slices"

	"vpcmirror.io/operator/api/v1alpha1"
)

// packet is one that a rule is to accept, as the mirror source sees it.
type packet struct {
	rule     v1alpha1.Rule
	kind     v1alpha1.ProbeKind
	from, to netip.Addr
}

// inOrder are the rules in the order in which they are tried.
func inOrder(rules []v1alpha1.Rule) []v1alpha1.Rule {
	out := slices.Clone(rules)
	slices.SortStableFunc(out, func(a, b v1alpha1.Rule) int { return cmp.Compare(a.Priority, b.Priority) })
	return out
}

// decides is the first rule that matches a packet of a kind with these ports.
func decides(rules []v1alpha1.Rule, p packet, kind v1alpha1.ProbeKind, source, destination uint16) (v1alpha1.Rule, bool) {
	for _, r := range inOrder(rules) {
		if r.Direction == p.rule.Direction && r.IPv6 == p.from.Is6() && protocolFits(r, kind) &&
			within(r.Source, p.from) && within(r.Destination, p.to) &&
			(!hasPorts(r) || kind != v1alpha1.ProbeICMP && in(r.Source.Ports, source) && in(r.Destination.Ports, destination)) {
			return r, true
		}
	}
	return v1alpha1.Rule{}, false
}

func protocolFits(r v1alpha1.Rule, kind v1alpha1.ProbeKind) bool {
	switch r.Protocol {
	case v1alpha1.ProtocolTCP:
		return kind == v1alpha1.ProbeTCP
	case v1alpha1.ProtocolUDP:
		return kind == v1alpha1.ProbeUDP
	case v1alpha1.ProtocolICMP:
		return kind == v1alpha1.ProbeICMP && !r.IPv6
	case v1alpha1.ProtocolICMPv6:
		return kind == v1alpha1.ProbeICMP && r.IPv6
	case v1alpha1.ProtocolAll:
		return true
	}
	return false
}

func hasPorts(r v1alpha1.Rule) bool {
	return r.Source.Ports != (v1alpha1.PortRange{}) || r.Destination.Ports != (v1alpha1.PortRange{})
}

// in reports whether a port is in a range, of which the zero value has every port.
func in(r v1alpha1.PortRange, port uint16) bool {
	return r == (v1alpha1.PortRange{}) || r.Low <= port && port <= r.High
}

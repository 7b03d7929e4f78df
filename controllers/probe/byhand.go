package probe

import (
	"fmt"
	"net/netip"

	"vpcmirror.io/operator/api/v1alpha1"
)

// byHand is what a person runs, and where, to make a packet that a rule accepts; fits is false where the rule accepts
// none of the source.
func byHand(r v1alpha1.Rule, s source, target *v1alpha1.ResolvedTarget) (where, command string, fits bool) {
	if !r.Accept {
		return "", "", false
	}
	for _, own := range s.addresses {
		if own.Is4() == r.IPv6 || !within(ownEnd(r), own) {
			continue
		}
		if r.Direction == v1alpha1.DirectionIngress {
			return hostOf(r.Source), program(r, own), true
		}
		if peer, known := anAddress(r, target); known {
			return "the source " + own.String(), program(r, peer), true
		}
	}
	return "", "", false
}

// hostOf names the hosts that a packet may come from.
func hostOf(p v1alpha1.Peer) string {
	switch {
	case !p.Prefix.IsValid():
		return "any other host of the VPC"
	case p.Prefix.IsSingleIP():
		return "the host " + p.Prefix.Addr().String()
	}
	return "a host with an address in " + p.Prefix.String()
}

// anAddress is one that a packet of the source may go to.
func anAddress(r v1alpha1.Rule, target *v1alpha1.ResolvedTarget) (netip.Addr, bool) {
	p := r.Destination.Prefix
	switch {
	case p.IsValid() && p.IsSingleIP():
		return p.Addr(), true
	case p.IsValid():
		return p.Addr().Next(), true // the first is the subnet's own
	case target == nil:
		return netip.Addr{}, false
	}
	for _, a := range addressesOf(&target.ResolvedInterface) {
		if a.Is6() == r.IPv6 {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// program sends a packet that a rule accepts to an address.
func program(r v1alpha1.Rule, to netip.Addr) string {
	port, from := r.Destination.Ports.Low, ""
	if port == 0 {
		port = usualPorts[0]
	}
	if low := r.Source.Ports.Low; low != 0 {
		from = fmt.Sprintf("-p %d ", low)
	}
	switch kindsOf(r)[0] {
	case v1alpha1.ProbeUDP:
		return fmt.Sprintf("echo probe | nc -u -w 1 %s%s %d", from, to, port)
	case v1alpha1.ProbeICMP:
		return fmt.Sprintf("ping -c 1 %s", to)
	case v1alpha1.ProbeTCP:
	case v1alpha1.ProbeAll:
		if !hasPorts(r) {
			return fmt.Sprintf("ping -c 1 %s", to)
		}
	}
	return fmt.Sprintf("nc -z -w 1 %s%s %d", from, to, port)
}

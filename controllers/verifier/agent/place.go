package agent

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// Interface is a network interface of this host.
type Interface struct {
	Index     int
	Name      string
	MAC       string
	Addresses []netip.Addr
}

// LocalInterfaces returns the interfaces of the network namespace this process is in.
func LocalInterfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the network interfaces: %w", err)
	}
	out := make([]Interface, 0, len(all))
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			continue
		}
		local := Interface{Index: i.Index, Name: i.Name, MAC: i.HardwareAddr.String()}
		addresses, err := i.Addrs()
		if err != nil {
			continue // it went between the two calls
		}
		for _, a := range addresses {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				local.Addresses = append(local.Addresses, prefix.Addr().Unmap())
			}
		}
		out = append(out, local)
	}
	return out, nil
}

// placement is where a session is counted on this host, and how.
type placement struct {
	session *v1alpha1.MirrorSession
	local   Interface
	count   tally.Session
	// problem says why the session can't be counted although its target is here.
	problem string
}

// place finds the sessions whose target is here. rulesOf returns a session's rules,
// false when they are not known.
func place(sessions []v1alpha1.MirrorSession, local []Interface, rulesOf func(*v1alpha1.MirrorSession) ([]match.Rule, bool)) map[types.UID]placement {
	out := make(map[types.UID]placement)
	for i := range sessions {
		s := &sessions[i]
		if s.Status.VNI == nil || s.Status.Target == nil || len(s.Status.Sessions) == 0 {
			continue
		}
		at, here := find(*s.Status.Target, local)
		if !here {
			continue
		}
		p := placement{session: s, local: at}
		p.count = tally.Session{ID: string(s.UID), VNI: uint32(*s.Status.VNI), Sources: sources(s)}
		rules, known := rulesOf(s)
		if !known {
			p.problem = fmt.Sprintf("the MirrorFilter %q is not known here yet, so no packet can be judged", s.Spec.FilterRef.Name)
		}
		p.count.Rules = rules
		out[s.UID] = p
	}
	return out
}

// sessionsAt returns what is to be counted on one interface, in a stable order: of two
// sessions that claim one stream the first gets its counts.
func sessionsAt(placements map[types.UID]placement, index int) []tally.Session {
	var out []tally.Session
	for _, p := range placements {
		if p.local.Index == index {
			out = append(out, p.count)
		}
	}
	slices.SortFunc(out, func(a, b tally.Session) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// find returns the interface that owns the target: the one with its address, else the
// one with its MAC. The address goes first, because the members of a bond and the
// ports of a bridge can share a MAC.
func find(target v1alpha1.ResolvedInterface, local []Interface) (Interface, bool) {
	for _, address := range target.Addresses {
		want, err := netip.ParseAddr(address)
		if err != nil {
			continue
		}
		for _, i := range local {
			for _, have := range i.Addresses {
				if have == want.Unmap() {
					return i, true
				}
			}
		}
	}
	for _, i := range local {
		if target.MAC != "" && strings.EqualFold(i.MAC, target.MAC) {
			return i, true
		}
	}
	return Interface{}, false
}

func sources(s *v1alpha1.MirrorSession) []tally.Source {
	out := make([]tally.Source, 0, len(s.Status.Sources))
	for _, r := range s.Status.Sources {
		var source tally.Source
		if mac, err := net.ParseMAC(r.MAC); err == nil && len(mac) == len(source.MAC) {
			copy(source.MAC[:], mac)
		}
		for _, a := range r.Addresses {
			if address, err := netip.ParseAddr(a); err == nil {
				source.Addrs = append(source.Addrs, address.Unmap())
			}
		}
		// Copies come from the interface's own address; a secondary one is accepted
		// too, because the cloud does not say which it takes.
		source.OuterAddrs = source.Addrs
		out = append(out, source)
	}
	return out
}

// rulesFrom translates a filter's rules.
func rulesFrom(f *v1alpha1.MirrorFilter) ([]match.Rule, error) {
	out := make([]match.Rule, 0, len(f.Spec.Rules))
	for i := range f.Spec.Rules {
		r := &f.Spec.Rules[i]
		rule := match.Rule{
			Direction: match.Ingress,
			Priority:  int(r.Priority),
			Accept:    r.Action == v1alpha1.ActionAccept,
			IPv6:      r.EtherType == v1alpha1.EtherTypeIPv6,
			Protocol:  protocols[r.Protocol],
		}
		if r.Direction == v1alpha1.DirectionEgress {
			rule.Direction = match.Egress
		}
		var err error
		if rule.Source, rule.SourcePorts, err = peerFrom(r.Source); err != nil {
			return nil, fmt.Errorf("rules[%d].source of MirrorFilter %s: %w", i, client.ObjectKeyFromObject(f), err)
		}
		if rule.Destination, rule.DestinationPorts, err = peerFrom(r.Destination); err != nil {
			return nil, fmt.Errorf("rules[%d].destination of MirrorFilter %s: %w", i, client.ObjectKeyFromObject(f), err)
		}
		out = append(out, rule)
	}
	return out, nil
}

var protocols = map[v1alpha1.Protocol]uint8{
	v1alpha1.ProtocolAll:    match.AnyProtocol,
	v1alpha1.ProtocolTCP:    match.TCP,
	v1alpha1.ProtocolUDP:    match.UDP,
	v1alpha1.ProtocolICMP:   match.ICMP,
	v1alpha1.ProtocolICMPv6: match.ICMPv6,
}

func peerFrom(p *v1alpha1.RulePeer) (prefix netip.Prefix, ports [2]uint16, err error) {
	if p == nil {
		return prefix, ports, nil
	}
	if p.CIDR != "" {
		if prefix, err = netip.ParsePrefix(p.CIDR); err != nil {
			return prefix, ports, fmt.Errorf("cidr: %w", err)
		}
	}
	if p.Port != nil {
		ports = [2]uint16{uint16(*p.Port), uint16(*p.Port)}
		if p.EndPort != nil {
			ports[1] = uint16(*p.EndPort)
		}
	}
	return prefix, ports, nil
}

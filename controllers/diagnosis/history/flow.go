package history

import (
	"net/netip"
	"slices"
	"strings"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// vxlanPort is where copies go (RFC 7348 section 5).
const vxlanPort = 4789

// flow is a kind of packets that an interface receives or sends: copies at the target, and what
// the filter accepts at a source. Which rules can be about them is told generously: a rule that
// turns out to decide nothing does no harm in a list of changes.
type flow struct {
	direction cloud.Direction
	ipv6      bool
	protocol  cloud.Protocol
	// peer are addresses at the other end, the zero value for any.
	peer netip.Prefix
	// local is the interface's own address, the zero value for any.
	local netip.Addr
	// ports are the destination's, the zero value for any.
	ports cloud.PortRange
}

// flows are those that matter at an end of the session.
func (c *comparison) flows(e endpoint) []flow {
	if e.is == nil {
		return nil
	}
	if !e.isTarget {
		return c.mirrored()
	}
	var out []flow
	for _, p := range []*diagnosis.Path{c.before, c.now} {
		for _, source := range p.Sources {
			for _, a := range source.Addresses {
				out = append(out, copiesFrom(a, e.is.Addresses))
			}
		}
	}
	return out
}

// copiesFrom are the copies that an address sends to a target.
func copiesFrom(source netip.Addr, target []netip.Addr) flow {
	out := flow{
		direction: cloud.Ingress, ipv6: source.Is6(), protocol: cloud.UDP, peer: netip.PrefixFrom(source, source.BitLen()),
		ports: cloud.PortRange{Low: vxlanPort, High: vxlanPort},
	}
	if i := slices.IndexFunc(target, func(a netip.Addr) bool { return a.Is6() == source.Is6() }); i >= 0 {
		out.local = target[i]
	}
	return out
}

// mirrored are the packets that the filter accepts, before or now.
func (c *comparison) mirrored() []flow {
	var out []flow
	for _, p := range []*diagnosis.Path{c.before, c.now} {
		if p.Filter == nil {
			continue
		}
		for _, r := range p.Filter.Rules {
			if !r.Accept || r.Unreadable != "" {
				continue
			}
			peer := r.Source
			if r.Direction == cloud.Egress {
				peer = r.Destination
			}
			out = append(out, flow{direction: r.Direction, ipv6: r.IPv6, protocol: r.Protocol, peer: peer, ports: r.DestinationPorts})
		}
	}
	return out
}

// meetsGroupRule reports whether a rule of a security group can be about the packets.
func (f flow) meetsGroupRule(r cloud.GroupRule) bool {
	if r.Unreadable != "" {
		return true
	}
	return r.Direction == f.direction && r.IPv6 == f.ipv6 && f.meetsProtocol(r.Protocol) && f.meetsPorts(r.Ports) && meetsPrefix(f.peer, r.Remote)
}

// meetsACLRule reports the same of a rule of a network ACL.
func (f flow) meetsACLRule(direction cloud.Direction, r cloud.ACLRule) bool {
	if r.Unreadable != "" {
		return true
	}
	peer, local := r.Source, r.Destination
	if direction == cloud.Egress {
		peer, local = r.Destination, r.Source
	}
	return direction == f.direction && r.IPv6 == f.ipv6 && f.meetsProtocol(r.Protocol) && f.meetsPorts(r.DestinationPorts) &&
		meetsPrefix(f.peer, peer) && (!f.local.IsValid() || !local.IsValid() || local.Contains(f.local))
}

// protocolNumbers are those of the protocols that a mirror's rule can name (IANA).
var protocolNumbers = map[cloud.Protocol]string{cloud.TCP: "6", cloud.UDP: "17", cloud.ICMP: "1", cloud.ICMPv6: "58"}

func (f flow) meetsProtocol(name string) bool {
	return name == "" || name == "any" || name == "all" || f.protocol == cloud.All || f.protocol == "" ||
		strings.EqualFold(name, string(f.protocol)) || name == protocolNumbers[f.protocol]
}

func (f flow) meetsPorts(ports []cloud.PortRange) bool {
	return len(ports) == 0 || f.ports == (cloud.PortRange{}) ||
		slices.ContainsFunc(ports, func(p cloud.PortRange) bool { return p.Low <= f.ports.High && f.ports.Low <= p.High })
}

// meetsPrefix reports whether two sets of addresses can have one in common; the zero value is any.
func meetsPrefix(a, b netip.Prefix) bool { return !a.IsValid() || !b.IsValid() || a.Overlaps(b) }

package match

import "vpcmirror.io/operator/controllers/verifier/vxlan"

// usualRule is a rule for IPv4 and for TCP or UDP, as a packet of which every field is known needs it: two
// fit into a cache line. The address and the ports of such a packet are in a rule's or they are not.
type usualRule struct {
	source, sourceMask           uint32
	destination, destinationMask uint32
	sourceLow, sourceSpan        uint16 // from the lowest port so many more
	destinationLow               uint16
	destinationSpan              uint16
	index                        int16
	accept                       bool
}

// usualRules are the rules that a usual packet may match, in the order in which they are tried: by
// direction, then by whether the protocol is UDP. Those of other protocols are in none.
type usualRules [2][2][]usualRule

func makeUsual(lists *[2][2][]compiled) (out usualRules) {
	for d := range lists {
		for udp, protocol := range []uint8{TCP, UDP} {
			for i := range lists[d][family(false)] {
				c := &lists[d][family(false)][i]
				if c.protocol == anyProtocol || c.protocol == protocol {
					out[d][udp] = append(out[d][udp], c.usual())
				}
			}
		}
	}
	return out
}

func (c *compiled) usual() usualRule {
	return usualRule{
		source: uint32(c.source.low), sourceMask: uint32(c.source.lowMask),
		destination: uint32(c.destination.low), destinationMask: uint32(c.destination.lowMask),
		sourceLow: c.sourcePorts.Low, sourceSpan: c.sourcePorts.High - c.sourcePorts.Low,
		destinationLow: c.destinationPorts.Low, destinationSpan: c.destinationPorts.High - c.destinationPorts.Low,
		index: c.index, accept: c.accept,
	}
}

// CheckUsual is [Rules.Check] for a packet whose direction, Ingress or Egress, is known: whether it is
// Accepted, and else Unexpected, and the rule that decided, or NoRule.
func (r *Rules) CheckUsual(d Direction, p *vxlan.Usual) (accepted bool, rule int) {
	source, destination, sourcePort, destinationPort := p.InnerSource(), p.InnerDestination(), p.SourcePort(), p.DestinationPort()
	udp := 0
	if p.Protocol() == UDP {
		udp = 1
	}
	list := r.usual[d-Ingress][udp]
	for i := range list {
		c := &list[i]
		// A port below the lowest one is, less that, beyond every span.
		if source&c.sourceMask == c.source && destination&c.destinationMask == c.destination &&
			sourcePort-c.sourceLow <= c.sourceSpan && destinationPort-c.destinationLow <= c.destinationSpan {
			return c.accept, int(c.index)
		}
	}
	return false, NoRule
}

// UsualMAC is the MAC as a [vxlan.Usual] has those of a packet; 0 when it is not known.
func (s *Source) UsualMAC() (mac uint64) {
	for _, b := range s.MAC {
		mac = mac<<8 | uint64(b)
	}
	return mac
}

// UsualDirection is [Source.Direction] where the MACs tell it, else Unknown. mac is the source's UsualMAC.
func UsualDirection(mac uint64, p *vxlan.Usual) Direction {
	if mac == 0 {
		return Unknown
	}
	return direction(p.DestinationMAC() == mac, p.SourceMAC() == mac)
}

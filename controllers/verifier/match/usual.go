package match

import "vpcmirror.io/operator/controllers/verifier/vxlan"

// usualRule is a rule for IPv4 and for TCP or UDP as a packet of which every field is known is compared with
// it: it matches or it doesn't, which one comparison tells.
type usualRule struct {
	addresses, mask uint64 // the source's in the upper half, the destination's in the lower
	// The ports have 32 bits each, in the same order, of which inRange gets set by adding from, for those not
	// below the lowest port, and by taking them from to, for those not above the highest.
	from, to uint64
	index    int16
	verdict  Verdict
}

// inRange is the bit above those of a port.
const inRange = 1<<48 | 1<<16

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
		addresses: c.source.low<<32 | c.destination.low, mask: c.source.lowMask<<32 | c.destination.lowMask,
		from:  inRange - spread(c.sourcePorts.Low, c.destinationPorts.Low),
		to:    inRange + spread(c.sourcePorts.High, c.destinationPorts.High),
		index: c.index, verdict: verdict(c.accept),
	}
}

func spread(source, destination uint16) uint64 { return uint64(source)<<32 | uint64(destination) }

// CheckUsual is [Rules.Check] for a packet whose direction, Ingress or Egress, is known: Accepted or
// Unexpected, and the rule that decided, or NoRule.
func (r *Rules) CheckUsual(d Direction, p *vxlan.Usual) (v Verdict, rule int) {
	addresses, ports := p.InnerAddresses(), spread(p.SourcePort(), p.DestinationPort())
	udp := 0
	if p.Protocol() == UDP {
		udp = 1
	}
	list := r.usual[d-Ingress][udp]
	for i := range list {
		c := &list[i]
		if (addresses&c.mask^c.addresses)|((ports+c.from)&(c.to-ports)&inRange^inRange) == 0 {
			return c.verdict, int(c.index)
		}
	}
	return Unexpected, NoRule
}

// UsualMAC is the MAC as a [vxlan.Usual] has those of a packet; 0 when it is not known.
func (s *Source) UsualMAC() (mac uint64) {
	for _, b := range s.MAC {
		mac = mac<<8 | uint64(b)
	}
	return mac
}

// DirectionByMAC is [Source.Direction] by the source's UsualMAC alone: Unknown where that does not tell it.
func DirectionByMAC(mac uint64, p *vxlan.Usual) Direction {
	if mac == 0 {
		return Unknown
	}
	return direction(p.DestinationMAC() == mac, p.SourceMAC() == mac)
}

// DirectionByAddress is [Source.Direction] of a source of which nothing is known but one IPv4 address.
func DirectionByAddress(address uint32, p *vxlan.Usual) Direction {
	both := p.InnerAddresses()
	return direction(uint32(both) == address, uint32(both>>32) == address)
}

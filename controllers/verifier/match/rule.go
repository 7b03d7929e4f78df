package match

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// Direction is that of a packet as the mirror source's interface saw it.
type Direction uint8

const (
	// Unknown is no rule's direction: neither the MACs nor the addresses of
	// the packet are the source's.
	Unknown Direction = iota
	// Ingress is received by the source's interface.
	Ingress
	// Egress is sent by it.
	Egress
)

// String returns the name of the direction.
func (d Direction) String() string {
	switch d {
	case Ingress:
		return "ingress"
	case Egress:
		return "egress"
	case Unknown:
	}
	return "unknown"
}

// The protocols a rule can name, by their IP protocol numbers.
const (
	// ICMP is the protocol of that name.
	ICMP uint8 = 1
	// TCP is the protocol of that name.
	TCP uint8 = 6
	// UDP is the protocol of that name.
	UDP uint8 = 17
	// ICMPv6 is the protocol of that name.
	ICMPv6 uint8 = 58
)

// anyProtocol stands for every protocol.
const anyProtocol uint8 = 0

var protocols = map[v1alpha1.Protocol]uint8{
	v1alpha1.ProtocolAll:    anyProtocol,
	v1alpha1.ProtocolTCP:    TCP,
	v1alpha1.ProtocolUDP:    UDP,
	v1alpha1.ProtocolICMP:   ICMP,
	v1alpha1.ProtocolICMPv6: ICMPv6,
}

// Rules is a filter, compiled. The zero value has no rule and matches nothing.
// It is immutable and safe for concurrent use.
type Rules struct {
	lists [2][2][]compiled // by direction, then by family
	usual usualRules       // those of lists that most packets may match
	count int
}

// compiled is a rule with everything in the form the check wants it.
type compiled struct {
	source, destination block
	sourcePorts         v1alpha1.PortRange
	destinationPorts    v1alpha1.PortRange
	index               int16
	protocol            uint8
	accept              bool
	ports               bool // whether some ports don't match
	priority            int
}

// block is an address range as two masked words. For IPv4 the high word is
// not used.
type block struct{ high, low, highMask, lowMask uint64 }

// Compile checks rules and prepares them. Of each direction the smallest
// priority is tried first, and of the same priority in the order given. The
// results of [Rules.Check] name rules by their index in this list. An error
// names the rule and the field.
func Compile(rules []v1alpha1.Rule) (*Rules, error) {
	out := &Rules{count: len(rules)}
	for i, r := range rules {
		c, err := compile(r)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i, err)
		}
		c.index = int16(i)
		list := &out.lists[directions[r.Direction]-Ingress][family(r.IPv6)]
		*list = append(*list, c)
	}
	for _, byFamily := range out.lists {
		for _, list := range byFamily {
			slices.SortStableFunc(list, func(a, b compiled) int { return cmp.Compare(a.priority, b.priority) })
		}
	}
	out.usual = makeUsual(&out.lists)
	return out, nil
}

var directions = map[v1alpha1.Direction]Direction{v1alpha1.DirectionIngress: Ingress, v1alpha1.DirectionEgress: Egress}

func compile(r v1alpha1.Rule) (compiled, error) {
	source, destination := r.Source.Normal(), r.Destination.Normal()
	c := compiled{accept: r.Accept, priority: r.Priority, sourcePorts: allIfAny(source.Ports), destinationPorts: allIfAny(destination.Ports)}
	var known bool
	if _, known = directions[r.Direction]; !known {
		return c, fmt.Errorf("direction %q is neither ingress nor egress", r.Direction)
	}
	if c.protocol, known = protocols[r.Protocol]; !known {
		return c, fmt.Errorf("protocol %q is none that a rule can name", r.Protocol)
	}
	var err error
	if c.source, err = newBlock(source.Prefix, r.IPv6); err != nil {
		return c, fmt.Errorf("source: %w", err)
	}
	if c.destination, err = newBlock(destination.Prefix, r.IPv6); err != nil {
		return c, fmt.Errorf("destination: %w", err)
	}
	if c.sourcePorts.Low > c.sourcePorts.High || c.destinationPorts.Low > c.destinationPorts.High {
		return c, fmt.Errorf("a port range ends below its start: source %v, destination %v", source.Ports, destination.Ports)
	}
	c.ports = c.sourcePorts != allPorts || c.destinationPorts != allPorts
	return c, nil
}

var allPorts = v1alpha1.PortRange{Low: 0, High: 65535}

// allIfAny makes a range that every port is in of the zero value, which stands for that.
func allIfAny(p v1alpha1.PortRange) v1alpha1.PortRange {
	if p == (v1alpha1.PortRange{}) {
		return allPorts
	}
	return p
}

func newBlock(p netip.Prefix, v6 bool) (block, error) {
	if !p.IsValid() {
		return block{}, nil
	}
	if p.Addr().Is4() == v6 {
		return block{}, fmt.Errorf("%s is not of the rule's family", p)
	}
	bits := p.Bits()
	var b block
	if v6 {
		b.highMask, b.lowMask = mask(min(bits, 64)), mask(max(bits-64, 0))
	} else {
		b.lowMask = mask(bits) >> 32
	}
	b.high, b.low = words(p.Addr())
	b.high &= b.highMask
	b.low &= b.lowMask
	return b, nil
}

// mask has the upper n of 64 bits set.
func mask(n int) uint64 {
	return ^(^uint64(0) >> n)
}

// words splits an address; an IPv4 address is the lower half of the low word.
func words(a netip.Addr) (high, low uint64) {
	if a.Is4() {
		b := a.As4()
		return 0, uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

func (b *block) contains(high, low uint64) bool {
	return high&b.highMask == b.high && low&b.lowMask == b.low
}

// Len returns the number of rules.
func (r *Rules) Len() int { return r.count }

func family(v6 bool) int {
	if v6 {
		return 1
	}
	return 0
}

// answer is three-valued: a field that is missing may or may not match.
type answer uint8

const (
	no answer = iota
	maybe
	yes
)

// fields is a packet as the rules see it.
type fields struct {
	*vxlan.Inner
	sourceHigh, sourceLow           uint64
	destinationHigh, destinationLow uint64
}

// try reports whether the rule matches. "no" wins over "maybe": one field that
// surely differs is enough.
func (c *compiled) try(p *fields) answer {
	result := yes
	if p.HasAddresses {
		if !c.source.contains(p.sourceHigh, p.sourceLow) || !c.destination.contains(p.destinationHigh, p.destinationLow) {
			return no
		}
	} else if c.source != (block{}) || c.destination != (block{}) {
		result = maybe
	}
	if c.protocol != anyProtocol {
		if !p.HasProtocol {
			result = maybe
		} else if p.Protocol != c.protocol {
			return no
		}
	}
	if c.ports {
		switch got := c.tryPorts(p); got {
		case no:
			return no
		case maybe:
			result = maybe
		case yes:
		}
	}
	return result
}

func (c *compiled) tryPorts(p *fields) answer {
	switch {
	case p.HasPorts:
		if p.SourcePort < c.sourcePorts.Low || p.SourcePort > c.sourcePorts.High ||
			p.DestinationPort < c.destinationPorts.Low || p.DestinationPort > c.destinationPorts.High {
			return no
		}
		return yes
	case p.HasProtocol && p.Protocol != TCP && p.Protocol != UDP:
		return no // there are no ports to be in the range
	}
	return maybe
}

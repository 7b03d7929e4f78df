package match

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

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
	// AnyProtocol matches every protocol.
	AnyProtocol uint8 = 0
	// ICMP is the protocol of that name.
	ICMP uint8 = 1
	// TCP is the protocol of that name.
	TCP uint8 = 6
	// UDP is the protocol of that name.
	UDP uint8 = 17
	// ICMPv6 is the protocol of that name.
	ICMPv6 uint8 = 58
)

// Rule is one rule of a filter.
type Rule struct {
	// Direction is Ingress or Egress.
	Direction Direction
	// Priority orders the rules of a direction, smallest first. Rules of the
	// same priority are tried in the order given.
	Priority int
	// Accept copies the packet; otherwise the rule rejects it.
	Accept bool
	// IPv6 makes it a rule for IPv6 packets, otherwise it is for IPv4.
	IPv6 bool
	// Protocol is an IP protocol number, AnyProtocol for all.
	Protocol uint8
	// Source and Destination are address ranges; the zero Prefix is any.
	Source, Destination netip.Prefix
	// SourcePorts and DestinationPorts are inclusive ranges; {0, 0} and
	// {1, 65535} are any, and any includes protocols without ports.
	SourcePorts, DestinationPorts [2]uint16
}

// Rules is a filter, compiled. The zero value has no rule and matches nothing.
// It is immutable and safe for concurrent use.
type Rules struct {
	lists [2][2][]compiled // by direction, then by family
	count int
}

// compiled is a rule with everything in the form the check wants it.
type compiled struct {
	source, destination block
	sourcePorts         [2]uint16
	destinationPorts    [2]uint16
	index               int16
	protocol            uint8
	accept              bool
	ports               bool
	priority            int
}

// block is an address range as two masked words. For IPv4 the high word is
// not used.
type block struct{ high, low, highMask, lowMask uint64 }

// Compile checks rules and prepares them. The results of [Rules.Check] name
// rules by their index in this list. An error names the rule and the field.
func Compile(rules []Rule) (*Rules, error) {
	out := &Rules{count: len(rules)}
	for i, r := range rules {
		c, err := compile(r)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i, err)
		}
		c.index = int16(i)
		list := &out.lists[r.Direction-Ingress][family(r.IPv6)]
		*list = append(*list, c)
	}
	for _, byFamily := range out.lists {
		for _, list := range byFamily {
			slices.SortStableFunc(list, func(a, b compiled) int { return cmp.Compare(a.priority, b.priority) })
		}
	}
	return out, nil
}

func compile(r Rule) (compiled, error) {
	c := compiled{protocol: r.Protocol, accept: r.Accept, priority: r.Priority}
	if r.Direction != Ingress && r.Direction != Egress {
		return c, fmt.Errorf("direction %d is neither ingress nor egress", r.Direction)
	}
	var err error
	if c.source, err = newBlock(r.Source, r.IPv6); err != nil {
		return c, fmt.Errorf("source: %w", err)
	}
	if c.destination, err = newBlock(r.Destination, r.IPv6); err != nil {
		return c, fmt.Errorf("destination: %w", err)
	}
	c.sourcePorts, c.destinationPorts = anyPorts(r.SourcePorts), anyPorts(r.DestinationPorts)
	if c.sourcePorts[0] > c.sourcePorts[1] || c.destinationPorts[0] > c.destinationPorts[1] {
		return c, fmt.Errorf("a port range ends below its start: source %v, destination %v", r.SourcePorts, r.DestinationPorts)
	}
	c.ports = c.sourcePorts != allPorts || c.destinationPorts != allPorts
	return c, nil
}

var allPorts = [2]uint16{0, 65535}

func anyPorts(p [2]uint16) [2]uint16 {
	if p == [2]uint16{} || p == [2]uint16{1, 65535} {
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
	if c.protocol != AnyProtocol {
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
		if p.SourcePort < c.sourcePorts[0] || p.SourcePort > c.sourcePorts[1] ||
			p.DestinationPort < c.destinationPorts[0] || p.DestinationPort > c.destinationPorts[1] {
			return no
		}
		return yes
	case p.HasProtocol && p.Protocol != TCP && p.Protocol != UDP:
		return no // there are no ports to be in the range
	}
	return maybe
}

package diagnosis

import (
	"net/netip"
	"slices"

	"vpcmirror.io/operator/controllers/cloud"
)

// point is a place on a line: an address, or a port.
type point[T any] interface {
	Compare(other T) int
	Next() T
	Prev() T
}

// port is a number that can be stepped.
type port uint16

// Compare orders ports.
func (p port) Compare(other port) int { return int(p) - int(other) }

// Next is not asked for behind the last one.
func (p port) Next() port { return p + 1 }

// Prev is not asked for before the first one.
func (p port) Prev() port { return p - 1 }

// interval is from its first to its last point, both included.
type interval[T point[T]] struct{ first, last T }

func (i interval[T]) contains(p T) bool { return i.first.Compare(p) <= 0 && p.Compare(i.last) <= 0 }

func (i interval[T]) overlaps(o interval[T]) bool {
	return i.first.Compare(o.last) <= 0 && o.first.Compare(i.last) <= 0
}

// cut divides an interval by one that overlaps it, into what is outside of that and what is in it.
func (i interval[T]) cut(by interval[T]) (outside []interval[T], inside interval[T]) {
	if i.first.Compare(by.first) < 0 {
		outside = append(outside, interval[T]{i.first, by.first.Prev()})
		i.first = by.first
	}
	if by.last.Compare(i.last) < 0 {
		outside = append(outside, interval[T]{by.last.Next(), i.last})
		i.last = by.last
	}
	return outside, i
}

// protocols is a set of protocols.
type protocols uint8

const (
	tcp protocols = 1 << iota
	udp
	// icmp is ICMP of an IPv4 packet, and ICMPv6 of an IPv6 packet. Neither is in packets of the
	// other family.
	icmp
	// unnamed are all that a rule can't name.
	unnamed

	withPorts     = tcp | udp
	everyProtocol = tcp | udp | icmp | unnamed
)

var allPorts = interval[port]{1, 65535}

// box is the packets of one direction and family that have one of some protocols, and addresses
// and ports in intervals. Only packets of protocols that have ports are in a box that does not
// have all ports.
type box struct {
	direction                     cloud.Direction
	ipv6                          bool
	protocols                     protocols
	source, destination           interval[netip.Addr]
	sourcePorts, destinationPorts interval[port]
}

// boxOf is what a rule matches, and false where it can match nothing: where protocol or prefix are
// not of its family. A packet without ports never matches a rule with some.
func boxOf(r cloud.RuleSpec) (box, bool) {
	b := box{direction: r.Direction, ipv6: r.IPv6, protocols: protocolsOf(r)}
	var known [4]bool
	b.source, known[0] = addressesOf(r.Source, r.IPv6)
	b.destination, known[1] = addressesOf(r.Destination, r.IPv6)
	b.sourcePorts, known[2] = portsOf(r.SourcePorts)
	b.destinationPorts, known[3] = portsOf(r.DestinationPorts)
	if b.sourcePorts != allPorts || b.destinationPorts != allPorts {
		b.protocols &= withPorts
	}
	return b, b.protocols != 0 && !slices.Contains(known[:], false)
}

func protocolsOf(r cloud.RuleSpec) protocols {
	switch r.Protocol {
	case cloud.TCP:
		return tcp
	case cloud.UDP:
		return udp
	case cloud.ICMP, cloud.ICMPv6:
		if r.IPv6 == (r.Protocol == cloud.ICMPv6) {
			return icmp
		}
		return 0
	case cloud.All:
		return everyProtocol
	default: // of a rule that can't be read
		return 0
	}
}

func addressesOf(p netip.Prefix, ipv6 bool) (interval[netip.Addr], bool) {
	if !p.IsValid() {
		p = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if ipv6 {
			p = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
	}
	first := p.Masked().Addr()
	bytes := first.AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(bytes) // it has the length of an address
	return interval[netip.Addr]{first, last}, first.Is6() == ipv6
}

// portsOf reads a range of a rule, in which none and all mean the same.
func portsOf(r cloud.PortRange) (interval[port], bool) {
	if r.Low <= 1 && (r.High == 65535 || r == cloud.PortRange{}) {
		return allPorts, true
	}
	return interval[port]{port(r.Low), port(r.High)}, r.Low <= r.High
}

func (b box) overlaps(o box) bool {
	return b.direction == o.direction && b.ipv6 == o.ipv6 && b.protocols&o.protocols != 0 &&
		b.source.overlaps(o.source) && b.destination.overlaps(o.destination) &&
		b.sourcePorts.overlaps(o.sourcePorts) && b.destinationPorts.overlaps(o.destinationPorts)
}

// cut divides a box by one that overlaps it, into boxes outside of that and the one in it.
func (b box) cut(by box) (outside []box, inside box) {
	if more := b.protocols &^ by.protocols; more != 0 {
		part := b
		part.protocols = more
		outside = append(outside, part)
		b.protocols &= by.protocols
	}
	outside = append(outside, cutAlong(&b, by, func(b *box) *interval[netip.Addr] { return &b.source })...)
	outside = append(outside, cutAlong(&b, by, func(b *box) *interval[netip.Addr] { return &b.destination })...)
	outside = append(outside, cutAlong(&b, by, func(b *box) *interval[port] { return &b.sourcePorts })...)
	outside = append(outside, cutAlong(&b, by, func(b *box) *interval[port] { return &b.destinationPorts })...)
	return outside, b
}

// cutAlong divides a box along one of its sides, and leaves in it what is inside.
func cutAlong[T point[T]](b *box, by box, side func(*box) *interval[T]) (outside []box) {
	parts, inside := side(b).cut(*side(&by))
	for _, part := range parts {
		o := *b
		*side(&o) = part
		outside = append(outside, o)
	}
	*side(b) = inside
	return outside
}

// maxBoxes is how many boxes a set of packets has at most. Rules that people write give a few
// dozen; whoever writes others gets no answer, and holds up nobody.
const maxBoxes = 2000

// packets is a set of packets: boxes that don't overlap. The zero value is the empty set.
type packets struct {
	boxes []box
	// unknown is true of a set that would have too many boxes: nothing is known of it then.
	unknown bool
}

// none reports whether the set is surely empty, and some whether it surely is not.
func (p packets) none() bool { return !p.unknown && len(p.boxes) == 0 }
func (p packets) some() bool { return len(p.boxes) > 0 }

// split divides a set into the packets that are in a box and those that are not.
func (p packets) split(by box) (inside, outside packets) {
	inside.unknown, outside.unknown = p.unknown, p.unknown
	for _, b := range p.boxes {
		if !b.overlaps(by) {
			outside.boxes = append(outside.boxes, b)
			continue
		}
		parts, part := b.cut(by)
		outside.boxes = append(outside.boxes, parts...)
		inside.boxes = append(inside.boxes, part)
	}
	if len(outside.boxes) > maxBoxes {
		return packets{unknown: true}, packets{unknown: true}
	}
	return inside, outside
}

// minus is the set without the packets of another.
func (p packets) minus(other packets) packets {
	if other.unknown {
		return packets{unknown: true}
	}
	for _, b := range other.boxes {
		_, p = p.split(b)
	}
	return p
}

// plus is the set with the packets of another.
func (p packets) plus(other packets) packets {
	more := other.minus(p)
	if p.unknown || more.unknown || len(p.boxes)+len(more.boxes) > maxBoxes {
		return packets{unknown: true}
	}
	return packets{boxes: append(slices.Clone(p.boxes), more.boxes...)}
}

// matched is what each rule of a filter decides, by its index: what it matches and no rule
// before it does. The first rule of a direction that matches a packet decides. Nothing is known where
// a rule can't be read.
func matched(rules []cloud.Rule) ([]packets, bool) {
	decided := make([]packets, len(rules))
	var done []box
	for _, i := range inOrder(rules) {
		if rules[i].Unreadable != "" {
			return nil, false
		}
		b, some := boxOf(rules[i].RuleSpec)
		if !some {
			continue
		}
		decided[i] = packets{boxes: []box{b}}
		for _, before := range done {
			_, decided[i] = decided[i].split(before)
		}
		if decided[i].unknown {
			return nil, false
		}
		done = append(done, b)
	}
	return decided, true
}

// accepted is what a filter copies.
func accepted(rules []cloud.Rule) (all packets, known bool) {
	decided, known := matched(rules)
	for i, of := range decided {
		if rules[i].Accept {
			all.boxes = append(all.boxes, of.boxes...) // what rules decide does not overlap
		}
	}
	return all, known
}

// inOrder are the indexes of rules as the cloud tries them.
func inOrder(rules []cloud.Rule) []int {
	order := make([]int, len(rules))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return rules[a].Priority - rules[b].Priority })
	return order
}

// carrier is an interface as far as it decides which packets it can send and receive.
type carrier struct {
	// addresses are its own; with none, nothing is known of it.
	addresses []netip.Addr
	// only is whether it surely carries no packets from or for other addresses.
	only bool
}

func carrierOf(i cloud.Interface) carrier { return carrier{i.Addresses, i.OwnAddressesOnly} }

// has reports whether it has an address of a family, or that is not known.
func (c carrier) has(ipv6 bool) bool {
	return len(c.addresses) == 0 || slices.ContainsFunc(c.addresses, func(a netip.Addr) bool { return a.Is6() == ipv6 })
}

// carries are the boxes of a set of which the interface can send or receive a packet.
func (c carrier) carries(p packets) packets {
	return packets{boxes: slices.DeleteFunc(slices.Clone(p.boxes), func(b box) bool { return !c.carriesOf(b) }), unknown: p.unknown}
}

// carriesOf reports whether the interface can send or receive a packet of a box: it needs an
// address of the family. Where it forwards for nobody, one of its own addresses is the
// destination of what it receives, or one that concerns many, and the source of what it sends; and
// it neither receives from itself nor sends to itself, as such packets never leave the host.
func (c carrier) carriesOf(b box) bool {
	if !c.has(b.ipv6) {
		return false
	}
	if !c.only || len(c.addresses) == 0 {
		return true
	}
	own, peer := b.destination, b.source
	if b.direction == cloud.Egress {
		own, peer = b.source, b.destination
	}
	return (slices.ContainsFunc(c.addresses, own.contains) || special(own)) && c.isForeign(peer)
}

// isForeign reports whether an interval has an address that is not the interface's own.
func (c carrier) isForeign(in interval[netip.Addr]) bool {
	address := in.first
	for slices.Contains(c.addresses, address) {
		if address == in.last {
			return false
		}
		address = address.Next()
	}
	return true
}

// specials concern many, or are used before an interface knows its address: multicast, broadcast,
// the unspecified address and link-local ones.
var specials = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/32"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("255.255.255.255/32"),
	netip.MustParsePrefix("::/128"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
}

// special reports whether an interval consists of such addresses: a rule for them is meant so.
// One that merely holds some, such as every address, holds the interface's own too.
func special(in interval[netip.Addr]) bool {
	return slices.ContainsFunc(specials, func(p netip.Prefix) bool { return p.Contains(in.first) && p.Contains(in.last) })
}

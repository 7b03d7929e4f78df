package vxlan

import (
	"encoding/binary"
	"net/netip"
)

// Kind says what an inner frame carries.
type Kind uint8

const (
	// IPv4 is, with IPv6, what filter rules are about.
	IPv4 Kind = iota + 1
	// IPv6 is the other one.
	IPv6
	// NotIP is any other EtherType: ARP, LLDP, MPLS. No rule can match it.
	NotIP
	// Headless is a frame that was cut before its EtherType.
	Headless
	// BadInner is a frame whose headers contradict themselves.
	BadInner
)

// Inner is what the headers of an inner frame say, as far as the bytes reach.
type Inner struct {
	Kind Kind
	// HasMACs, HasAddresses, HasProtocol and HasPorts say which of the fields
	// below are known. Ports are known for TCP and UDP only, and not in later
	// fragments. A field that is not known is one that was cut off or
	// fragmented away, or one that the protocol does not have.
	HasMACs, HasAddresses, HasProtocol, HasPorts bool
	// DestinationMAC and SourceMAC are the original ones: they tell ingress
	// from egress.
	DestinationMAC, SourceMAC [6]byte
	// EtherType is the one behind the VLAN tags, at most three.
	EtherType uint16
	// Source and Destination are the inner IP addresses.
	Source, Destination netip.Addr
	// Protocol is the IP protocol behind the extension headers.
	Protocol uint8
	// SourcePort and DestinationPort are those of TCP or UDP.
	SourcePort, DestinationPort uint16
	// Fragment is set for each piece of a fragmented packet, LaterFragment for
	// all but its first.
	Fragment, LaterFragment bool
	// Declared is the length of the frame by its own headers, Ethernet
	// included; 0 when they do not say. More than the bytes present means that
	// the copy was cut.
	Declared int
	// Payload is the offset of the payload of TCP or UDP, 0 when unknown.
	Payload int
}

// Cut reports whether the frame by its own headers is longer than present
// bytes, or so short that the headers can't say.
func (p *Inner) Cut(present int) bool {
	return p.Kind == Headless || p.Declared > present
}

// Truncated reports whether the mirror cut the packet: the inner IP packet is by its own header
// longer than the length bytes of the frame that came on the wire, or not even that header
// came. captured is how many of them [WalkInner] saw; what only the capture left out is not
// held against the mirror.
func (p *Inner) Truncated(captured, length int) bool {
	if p.Declared > length {
		return true
	}
	ip := p.Kind == Headless || p.Kind == IPv4 || p.Kind == IPv6
	return ip && !p.HasAddresses && length > 0 && captured >= length
}

// WalkInner reads the headers of an inner frame into out. frame holds the
// bytes that are there; how many the frame had on its way is irrelevant here,
// since a copy may be cut anywhere.
func WalkInner(frame []byte, out *Inner) {
	*out = Inner{Kind: Headless}
	if len(frame) == 0 {
		out.Kind = BadInner // a mirror keeps at least one byte
		return
	}
	if len(frame) >= 12 {
		out.HasMACs = true
		out.DestinationMAC, out.SourceMAC = [6]byte(frame[0:6]), [6]byte(frame[6:12])
	}
	kind, at, ok := etherType(frame)
	if !ok {
		return
	}
	out.EtherType = kind
	switch kind {
	case typeIPv4:
		out.Kind = IPv4
		out.ipv4(frame, at)
	case typeIPv6:
		out.Kind = IPv6
		out.ipv6(frame, at)
	default:
		out.Kind = NotIP
	}
}

func (p *Inner) ipv4(b []byte, at int) {
	if len(b) > at && (b[at]>>4 != 4 || b[at]&0x0f < 5) {
		p.Kind = BadInner
		return
	}
	if len(b)-at < 10 {
		return
	}
	header, total := int(b[at]&0x0f)*4, int(binary.BigEndian.Uint16(b[at+2:at+4]))
	if total == 0 {
		total = unbounded // a super-frame does not say
	} else {
		p.Declared = at + total
	}
	if total < header {
		p.Kind = BadInner
		return
	}
	fragment := binary.BigEndian.Uint16(b[at+6 : at+8])
	p.Fragment, p.LaterFragment = fragment&0x3fff != 0, fragment&0x1fff != 0
	p.HasProtocol, p.Protocol = true, b[at+9]
	if len(b)-at < ipv4Header {
		return
	}
	p.HasAddresses = true
	p.Source, p.Destination = netip.AddrFrom4([4]byte(b[at+12:at+16])), netip.AddrFrom4([4]byte(b[at+16:at+20]))
	p.ports(b, at+header, at+total)
}

func (p *Inner) ipv6(b []byte, at int) {
	if len(b) > at && b[at]>>4 != 6 {
		p.Kind = BadInner
		return
	}
	if len(b)-at < ipv6Header {
		return
	}
	h := b[at : at+ipv6Header]
	total := ipv6Header + int(binary.BigEndian.Uint16(h[4:6]))
	if total == ipv6Header && h[6] != protoNone {
		total = unbounded // a jumbogram or a super-frame
	} else {
		p.Declared = at + total
	}
	p.HasAddresses = true
	p.Source, p.Destination = netip.AddrFrom16([16]byte(h[8:24])), netip.AddrFrom16([16]byte(h[24:40]))
	ext := extensions(b, h[6], at+ipv6Header, at+total)
	if ext.state == walkMalformed {
		p.Kind = BadInner
		return
	}
	p.Fragment, p.LaterFragment = ext.fragment, ext.later
	if ext.state == walkCut || isExtension(ext.protocol) {
		return
	}
	p.HasProtocol, p.Protocol = true, ext.protocol
	p.ports(b, ext.offset, at+total)
}

const (
	// protoNone is "no next header" (RFC 8200, section 4.7).
	protoNone = 59
	// unbounded stands for the length of a packet whose header does not say.
	unbounded = 1 << 30
)

// ports reads the first bytes of the transport header at offset at of a packet
// that ends at end by its own length.
func (p *Inner) ports(b []byte, at, end int) {
	if p.LaterFragment || p.Protocol != protoTCP && p.Protocol != protoUDP {
		return
	}
	if end-at < 4 {
		if !p.Fragment {
			p.Kind = BadInner
		}
		return
	}
	if len(b)-at < 4 {
		return
	}
	p.HasPorts = true
	p.SourcePort, p.DestinationPort = binary.BigEndian.Uint16(b[at:at+2]), binary.BigEndian.Uint16(b[at+2:at+4])
	switch {
	case p.Protocol == protoUDP:
		p.Payload = at + udpHeader
	case len(b)-at >= 13:
		p.Payload = at + int(b[at+12]>>4)*4
	}
}

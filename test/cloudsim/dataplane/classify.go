package dataplane

import (
	"encoding/binary"
	"net/netip"
)

// kind is what an Ethernet frame carries.
type kind uint8

const (
	kindOther kind = iota
	kindARP
	kindIPv4
	kindIPv6
)

// EtherTypes (IANA) and IP protocol numbers (IANA).
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherVLAN = 0x8100
	etherQinQ = 0x88a8
	etherIPv6 = 0x86dd

	protoICMP    = 1
	protoTCP     = 6
	protoUDP     = 17
	protoICMPv6  = 58
	protoHop     = 0
	protoRouting = 43
	protoFrag    = 44
	protoAH      = 51
	protoDest    = 60
)

const (
	ethernetLength = 14
	ipv4Length     = 20
	ipv6Length     = 40
	// maxTags bounds VLAN tags, maxExtensions IPv6 extension headers: more of
	// them than any real packet has is a way to keep a switch busy.
	maxTags       = 2
	maxExtensions = 8
)

// TCP flag bits (RFC 9293).
const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagRST = 0x04
	flagACK = 0x10
)

// packet is what the switch needs to know of a frame. It holds no reference to
// the frame.
type packet struct {
	kind      kind
	malformed bool // the headers do not add up; nothing below is to be trusted
	tagged    bool // carries a VLAN tag

	protocol            uint8
	source, destination netip.Addr

	fragment      bool   // a piece of a datagram
	laterFragment bool   // and not the first: it has no transport header
	fragmentID    uint32 // which datagram

	hasPorts                    bool // TCP or UDP, with both ports present
	sourcePort, destinationPort uint16
	tcpFlags                    uint8 // zero when not present

	hasICMP            bool // ICMP or ICMPv6, with the first 8 bytes present
	icmpType, icmpCode uint8
	icmpID             uint16 // bytes 4 and 5: the identifier of an echo

	network, transport int // where the network and transport headers begin
}

func (p *packet) isIP() bool { return p.kind == kindIPv4 || p.kind == kindIPv6 }

// classify reads the headers of an Ethernet frame.
func classify(frame []byte) packet {
	var p packet
	if len(frame) < ethernetLength {
		p.malformed = true
		return p
	}
	at := 12
	etherType := binary.BigEndian.Uint16(frame[at:])
	for tags := 0; etherType == etherVLAN || etherType == etherQinQ; tags++ {
		if tags == maxTags || len(frame) < at+6 {
			p.malformed = true
			return p
		}
		p.tagged = true
		at += 4
		etherType = binary.BigEndian.Uint16(frame[at:])
	}
	p.network = at + 2
	switch etherType {
	case etherARP:
		p.kind = kindARP
	case etherIPv4:
		p.kind = kindIPv4
		p.readIPv4(frame)
	case etherIPv6:
		p.kind = kindIPv6
		p.readIPv6(frame)
	}
	return p
}

// readIPv4 reads the header at p.network (RFC 791). Padding after the datagram
// is normal on Ethernet; a datagram longer than the frame is not.
func (p *packet) readIPv4(frame []byte) {
	b := frame[p.network:]
	if len(b) < ipv4Length || b[0]>>4 != 4 {
		p.malformed = true
		return
	}
	header, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < ipv4Length || total < header || total > len(b) {
		p.malformed = true
		return
	}
	p.protocol = b[9]
	p.source = netip.AddrFrom4([4]byte(b[12:16]))
	p.destination = netip.AddrFrom4([4]byte(b[16:20]))
	flags := binary.BigEndian.Uint16(b[6:])
	more, offset := flags&0x2000 != 0, flags&0x1fff
	p.fragment = more || offset != 0
	p.laterFragment = offset != 0
	p.fragmentID = uint32(binary.BigEndian.Uint16(b[4:]))
	p.transport = p.network + header
	p.readTransport(b[header:total])
}

// readIPv6 reads the header at p.network and walks the extension headers (RFC
// 8200) up to the transport header.
func (p *packet) readIPv6(frame []byte) {
	b := frame[p.network:]
	if len(b) < ipv6Length || b[0]>>4 != 6 {
		p.malformed = true
		return
	}
	end := ipv6Length + int(binary.BigEndian.Uint16(b[4:]))
	if end > len(b) {
		p.malformed = true
		return
	}
	b = b[:end]
	p.source = netip.AddrFrom16([16]byte(b[8:24]))
	p.destination = netip.AddrFrom16([16]byte(b[24:40]))
	next, at := b[6], ipv6Length
	for n := 0; n < maxExtensions && !p.laterFragment; n++ {
		length := extensionLength(next, b[at:])
		if length == 0 {
			break
		}
		if length > len(b)-at {
			p.malformed = true
			return
		}
		if next == protoFrag {
			flags := binary.BigEndian.Uint16(b[at+2:])
			p.fragment = flags&0xfff9 != 0
			p.laterFragment = flags&0xfff8 != 0
			p.fragmentID = binary.BigEndian.Uint32(b[at+4:])
		}
		next, at = b[at], at+length
	}
	p.protocol = next
	p.transport = p.network + at
	p.readTransport(b[at:])
}

// extensionLength is the length of the extension header at the beginning of b,
// or 0 when next is none that is walked. A length beyond b means that the
// header is cut.
func extensionLength(next uint8, b []byte) int {
	switch next {
	case protoHop, protoRouting, protoFrag, protoDest, protoAH:
	default:
		return 0
	}
	if len(b) < 8 {
		return len(b) + 1
	}
	switch next {
	case protoFrag:
		return 8
	case protoAH: // RFC 4302: in words of 4 bytes, minus 2
		return (int(b[1]) + 2) * 4
	default:
		return (int(b[1]) + 1) * 8
	}
}

// readTransport reads what is needed of TCP, UDP and ICMP. A transport header
// that is too short leaves the packet without ports; the receiver will drop it.
func (p *packet) readTransport(b []byte) {
	if p.laterFragment {
		return
	}
	switch p.protocol {
	case protoTCP, protoUDP:
		if len(b) < 4 {
			return
		}
		p.hasPorts = true
		p.sourcePort = binary.BigEndian.Uint16(b)
		p.destinationPort = binary.BigEndian.Uint16(b[2:])
		if p.protocol == protoTCP && len(b) > 13 {
			p.tcpFlags = b[13]
		}
	case protoICMP, protoICMPv6:
		if len(b) < 8 || (p.protocol == protoICMP) != (p.kind == kindIPv4) {
			return
		}
		p.hasICMP = true
		p.icmpType, p.icmpCode = b[0], b[1]
		p.icmpID = binary.BigEndian.Uint16(b[4:])
	}
}

// quoted reads the packet that an ICMP error quotes (RFC 792, RFC 4443). The
// quote is usually cut, so its lengths are not held against it. Not ok when the
// packet is no ICMP error or the quote is too short to tell its flow.
func (p *packet) quoted(frame []byte) (q packet, ok bool) {
	if !p.hasICMP || p.fragment || !isICMPError(p) {
		return q, false
	}
	at := p.transport + 8
	if at > len(frame) {
		return q, false
	}
	b := frame[at:]
	q.kind = p.kind
	if p.kind == kindIPv4 {
		if len(b) < ipv4Length || b[0]>>4 != 4 {
			return q, false
		}
		header := int(b[0]&0x0f) * 4
		if header < ipv4Length || len(b) < header || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			return q, false
		}
		q.protocol = b[9]
		q.source, q.destination = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		q.readTransport(b[header:])
	} else {
		if len(b) < ipv6Length || b[0]>>4 != 6 {
			return q, false
		}
		q.protocol = b[6] // a quote that begins with extension headers is not followed
		q.source, q.destination = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		q.readTransport(b[ipv6Length:])
	}
	return q, q.hasPorts || q.hasICMP
}

func isICMPError(p *packet) bool {
	if p.protocol == protoICMPv6 {
		return p.icmpType >= 1 && p.icmpType <= 4
	}
	return p.icmpType == 3 || p.icmpType == 11 || p.icmpType == 12
}

// Neighbour discovery message types (RFC 4861).
const (
	ndRouterSolicitation    = 133
	ndRouterAdvertisement   = 134
	ndNeighborSolicitation  = 135
	ndNeighborAdvertisement = 136
	ndRedirect              = 137
)

// isNeighborDiscovery is whether the packet is a neighbour solicitation or
// advertisement, which are to IPv6 what ARP is to IPv4.
func (p *packet) isNeighborDiscovery() bool {
	return p.kind == kindIPv6 && p.hasICMP && !p.fragment &&
		(p.icmpType == ndNeighborSolicitation || p.icmpType == ndNeighborAdvertisement)
}

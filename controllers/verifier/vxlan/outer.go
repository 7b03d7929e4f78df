package vxlan

import (
	"encoding/binary"
	"net/netip"
)

// Port is the UDP destination port of VXLAN (RFC 7348, section 8).
const Port = 4789

// HeaderSize is the length of a VXLAN header in bytes.
const HeaderSize = 8

// Class says what an outer frame is. Every frame has exactly one.
type Class uint8

const (
	// Stream is a UDP datagram to the VXLAN port with a valid header (I flag
	// set): one copy, or the first fragment of one.
	Stream Class = iota
	// NotVXLAN is everything that is surely something else: not IP, also behind MPLS labels
	// and in PPPoE, not UDP, another destination port.
	NotVXLAN
	// Fragment is a fragment of an outer UDP datagram that does not hold the
	// VXLAN header: a later one, or a first one that is too small. Its
	// datagram is counted by the first fragment, so it is no packet of its own.
	Fragment
	// BadHeader is a datagram to the VXLAN port that is too short for a VXLAN
	// header or has the I flag clear, so that its VNI means nothing.
	BadHeader
	// GPE is a datagram whose header is one of VXLAN-GPE beyond doubt and announces
	// something other than Ethernet: the P flag alone is a reserved bit, in which a
	// mirror may count its packets.
	GPE
	// Malformed is a frame whose outer headers contradict themselves or the
	// frame's length. A kernel would drop it.
	Malformed
	// Cut is a frame of which the capture holds too few bytes to tell.
	Cut

	// Classes is the number of classes, for arrays indexed by Class.
	Classes = int(Cut) + 1
)

// String returns the name that reports use for the class.
func (c Class) String() string {
	switch c {
	case Stream:
		return "stream"
	case NotVXLAN:
		return "notVXLAN"
	case Fragment:
		return "outerFragment"
	case BadHeader:
		return "badHeader"
	case GPE:
		return "gpe"
	case Malformed:
		return "malformed"
	case Cut:
		return "cut"
	}
	return "unknown"
}

// Outer is what the outermost headers of a frame say. Which fields are set
// depends on the class; for Stream all are.
type Outer struct {
	// Key is the stream: the outer source address and the VNI.
	Key Key
	// SourcePort is the outer UDP source port, a hash of the inner flow.
	SourcePort uint16
	// Flags is the first byte of the VXLAN header.
	Flags uint8
	// Reserved is set when a bit that RFC 7348 reserves is not zero. Such
	// bits are ignored on receipt.
	Reserved bool
	// FirstFragment is set when the outer datagram is fragmented and this is
	// its first fragment.
	FirstFragment bool
	// InnerOffset and InnerEnd delimit the captured bytes of the inner frame
	// within the outer one: frame[InnerOffset:InnerEnd].
	InnerOffset, InnerEnd int
	// InnerLength is the length of the inner frame on the wire in bytes, by
	// the length field of UDP: what the mirror sent, however few bytes the
	// capture holds. The three are also set for GPE, and for BadHeader where there is
	// a whole header.
	InnerLength int

	destination int // offset of the outer destination address
}

// Destination is the outer destination address in the frame that [Walk] was
// given, where it is: the invalid address unless Key has a source.
func (o *Outer) Destination(frame []byte) netip.Addr {
	if o.destination == 0 {
		return netip.Addr{}
	}
	size := 4
	if o.Key.v6 {
		size = 16
	}
	address, _ := netip.AddrFromSlice(frame[o.destination : o.destination+size])
	return address
}

// HasSource reports whether the frame has an outer source address, whatever came of the rest.
func (o *Outer) HasSource() bool { return o.destination != 0 }

const (
	etherHeader = 14
	vlanTag     = 4
	ipv4Header  = 20
	ipv6Header  = 40
	udpHeader   = 8

	// maxVLANs is the number of VLAN tags that are stepped over in a frame.
	maxVLANs = 3

	typeIPv4          = 0x0800
	typeIPv6          = 0x86dd
	typeMPLS          = 0x8847
	typeMPLSMulticast = 0x8848
	typePPPoE         = 0x8864 // of a session; what finds the other end has another

	flagVNI = 0x08 // I: the VNI is valid (RFC 7348, section 5)

	// A header of VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe, section 3) in its first word: the
	// flags I and P, version 0, reserved bits 0; the flags B and O and the next protocol are
	// left out.
	gpeMask = 0xfcffff00
	gpeWord = 0x0c000000
	nextEth = 3 // Ethernet in its list of next protocols, in which 0 is none
)

// Walk reads the outermost headers of an Ethernet frame into out and returns
// the frame's class. frame holds the captured bytes, wireLength is the frame's
// length on the wire (taken as len(frame) when it is smaller), port the UDP
// destination port that means VXLAN.
func Walk(frame []byte, wireLength int, port uint16, out *Outer) Class {
	if wireLength < len(frame) {
		wireLength = len(frame)
	}
	const atUDP, atVXLAN, headers = etherHeader + ipv4Header, etherHeader + ipv4Header + udpHeader, etherHeader + ipv4Header + udpHeader + HeaderSize
	if len(frame) < headers {
		return walk(frame, wireLength, port, out)
	}
	// Nearly all copies are IPv4 without tag, options or fragments, and nothing in them contradicts
	// itself: that is read here, in half of the time, and says what the walk says.
	b := (*[headers]byte)(frame) // checked once
	if binary.BigEndian.Uint32(b[12:16])&^0xff != typeIPv4<<16|0x4500 || binary.BigEndian.Uint16(b[20:22])&0x3fff != 0 ||
		b[23] != protoUDP || binary.BigEndian.Uint16(b[atUDP+2:]) != port {
		return walk(frame, wireLength, port, out)
	}
	total, length := int(binary.BigEndian.Uint16(b[16:18])), int(binary.BigEndian.Uint16(b[atUDP+4:]))
	word, vni := binary.BigEndian.Uint32(b[atVXLAN:]), binary.BigEndian.Uint32(b[atVXLAN+4:])
	if total > wireLength-etherHeader || length > total-ipv4Header || length < udpHeader+HeaderSize || word&(flagVNI<<24) == 0 ||
		word&gpeMask == gpeWord {
		return walk(frame, wireLength, port, out)
	}
	// Field by field: a literal is made elsewhere and copied, for which the processor has to wait.
	out.Key.high, out.Key.low, out.Key.vni, out.Key.v6 = 0, mapped4|uint64(binary.BigEndian.Uint32(b[26:30])), vni>>8, false
	out.SourcePort, out.Flags = binary.BigEndian.Uint16(b[atUDP:]), b[atVXLAN]
	out.Reserved, out.FirstFragment = word&^(flagVNI<<24) != 0 || vni&0xff != 0, false
	out.InnerOffset, out.InnerEnd = headers, min(atUDP+length, len(frame))
	out.InnerLength, out.destination = length-udpHeader-HeaderSize, 30
	return Stream
}

// walk reads any frame.
func walk(frame []byte, wireLength int, port uint16, out *Outer) Class {
	*out = Outer{}
	kind, offset, ok := etherType(frame)
	if !ok {
		if wireLength > len(frame) {
			return Cut
		}
		return Malformed
	}
	switch kind {
	case typeIPv4:
		return out.ipv4(frame, offset, wireLength, port)
	case typeIPv6:
		return out.ipv6(frame, offset, wireLength, port)
	case typeMPLS, typeMPLSMulticast:
		return out.mpls(frame, offset, wireLength, port)
	case typePPPoE:
		return out.pppoe(frame, offset, wireLength, port)
	}
	return NotVXLAN
}

// etherType steps over the Ethernet header and its VLAN tags. ok is false when
// the bytes end before the type is known.
func etherType(b []byte) (kind uint16, offset int, ok bool) {
	if len(b) < etherHeader {
		return 0, 0, false
	}
	kind, offset = binary.BigEndian.Uint16(b[12:14]), etherHeader
	for range maxVLANs {
		if !isVLAN(kind) {
			return kind, offset, true
		}
		if len(b) < offset+vlanTag {
			return 0, 0, false
		}
		kind = binary.BigEndian.Uint16(b[offset+2 : offset+4])
		offset += vlanTag
	}
	return kind, offset, true
}

// isVLAN knows the customer tag, the service tag and the older type of the
// latter that some switches still use.
func isVLAN(kind uint16) bool {
	return kind == 0x8100 || kind == 0x88a8 || kind == 0x9100
}

func (o *Outer) ipv4(b []byte, at, wire int, port uint16) Class {
	if wire-at < ipv4Header {
		return Malformed
	}
	if len(b)-at < ipv4Header {
		return Cut
	}
	h := b[at : at+ipv4Header]
	if h[0]>>4 != 4 {
		return Malformed
	}
	if h[9] != protoUDP {
		return NotVXLAN
	}
	o.Key, o.destination = key4(h[12:16]), at+16
	header := int(h[0]&0x0f) * 4
	total := int(binary.BigEndian.Uint16(h[2:4]))
	if total == 0 {
		total = wire - at // a super-frame: beyond 64 KiB it can't say its length, others leave it to the card
	}
	if header < ipv4Header || total < header || total > wire-at {
		return Malformed
	}
	fragment := binary.BigEndian.Uint16(h[6:8])
	if fragment&0x1fff != 0 {
		return Fragment
	}
	o.FirstFragment = fragment&0x2000 != 0
	return o.udp(b, at+header, at+total, false, port)
}

func (o *Outer) ipv6(b []byte, at, wire int, port uint16) Class {
	if wire-at < ipv6Header {
		return Malformed
	}
	if len(b)-at < ipv6Header {
		return Cut
	}
	h := b[at : at+ipv6Header]
	if h[0]>>4 != 6 {
		return Malformed
	}
	if h[6] != protoUDP && !isExtension(h[6]) {
		return NotVXLAN
	}
	o.Key, o.destination = key6(h[8:24]), at+24
	total := ipv6Header + int(binary.BigEndian.Uint16(h[4:6]))
	if total == ipv6Header && wire-at > 0xffff {
		total = wire - at
	}
	if total > wire-at {
		return Malformed
	}
	ext := extensions(b, h[6], at+ipv6Header, at+total)
	switch {
	case ext.state == walkCut:
		return Cut
	case ext.state == walkMalformed:
		return Malformed
	case ext.later && (ext.protocol == protoUDP || isExtension(ext.protocol)):
		return Fragment
	case ext.protocol != protoUDP:
		return NotVXLAN
	}
	o.FirstFragment = ext.fragment
	return o.udp(b, ext.offset, at+total, true, port)
}

// udp reads the UDP header at offset at of an IP packet that ends at end.
func (o *Outer) udp(b []byte, at, end int, v6 bool, port uint16) Class {
	short := Malformed
	if o.FirstFragment {
		short = Fragment // the rest of the header is in another fragment
	}
	payload := end - at
	if payload < 4 {
		return short
	}
	if len(b)-at < 4 {
		return Cut
	}
	if binary.BigEndian.Uint16(b[at+2:at+4]) != port {
		return NotVXLAN
	}
	if payload < udpHeader {
		return short
	}
	if len(b)-at < udpHeader {
		return Cut
	}
	o.SourcePort = binary.BigEndian.Uint16(b[at : at+2])
	length := int(binary.BigEndian.Uint16(b[at+4 : at+6]))
	if length == 0 && (v6 || payload > 0xffff) {
		length = payload // a jumbogram (RFC 2675) or a super-frame beyond 64 KiB
	}
	switch {
	case length < udpHeader, length > payload && !o.FirstFragment:
		return Malformed
	case length < udpHeader+HeaderSize:
		return BadHeader
	case payload < udpHeader+HeaderSize:
		return Fragment
	}
	return o.header(b, at+udpHeader, length-udpHeader, min(end, at+length))
}

// header reads the VXLAN header at offset at of a UDP payload of length bytes
// on the wire, of which those up to end are in this frame.
func (o *Outer) header(b []byte, at, length, end int) Class {
	if len(b)-at < HeaderSize {
		return Cut
	}
	h := b[at : at+HeaderSize]
	o.InnerOffset = at + HeaderSize
	o.InnerEnd = min(end, len(b))
	o.InnerLength = length - HeaderSize
	word, vni := binary.BigEndian.Uint32(h[0:4]), binary.BigEndian.Uint32(h[4:8])
	o.Flags = h[0]
	if o.Flags&flagVNI == 0 {
		return BadHeader
	}
	o.Reserved = word&^(flagVNI<<24) != 0 || vni&0xff != 0
	o.Key.vni = vni >> 8
	if word&gpeMask == gpeWord && vni&0xff == 0 && h[3] != 0 && h[3] != nextEth {
		return GPE
	}
	return Stream
}

// Shorten makes out, what [Walk] said of a super-frame in which the kernel
// glued UDP datagrams of size bytes of payload each under one header, be about
// the first of them.
func Shorten(out *Outer, size int) {
	out.InnerLength = min(out.InnerLength, max(size-HeaderSize, 0))
	out.InnerEnd = min(out.InnerEnd, out.InnerOffset+out.InnerLength)
}

// Datagram reads datagram number n (from 1) of such a super-frame; first is
// what [Walk] said of the whole, for which it is not cut. Cut means that the capture does not
// hold its header, so that it has a source but no VNI. Malformed means that the frame has no such datagram.
func Datagram(frame []byte, first *Outer, n, size int, out *Outer) Class {
	*out = Outer{Key: first.Key, SourcePort: first.SourcePort, destination: first.destination}
	out.Key.vni = 0
	total := first.InnerLength + HeaderSize
	if n < 1 || size <= 0 || n > (total-1)/size {
		return Malformed
	}
	start, length := n*size, min(size, total-n*size)
	if length < HeaderSize {
		return BadHeader
	}
	out.InnerLength = length - HeaderSize
	at := first.InnerOffset - HeaderSize + start
	return out.header(frame, at, length, at+length)
}

package frametest

import (
	"encoding/binary"
	"net/netip"
)

var (
	source6 = netip.MustParseAddr("2001:db8::230")
	target6 = netip.MustParseAddr("2001:db8::164")
	client6 = netip.MustParseAddr("2001:db8::161")
)

// Example is a frame with what must be said of it.
type Example struct {
	Name  string
	Frame []byte
	// Class is what the frame is, in the words of reports.
	Class string
}

// Corpus are all examples.
func Corpus() []Example { return append(Streams(), Others()...) }

func copy6(inner []byte, extensions ...Extension) Packet {
	p := Copy(1, inner)
	p.Source, p.Destination, p.Extensions = source6, target6, extensions
	return p
}

// Inner6 is an inner packet of IPv6 with extension headers.
func Inner6(extensions ...Extension) Packet {
	p := Inner("payload")
	p.Source, p.Destination, p.Extensions = client6, source6, extensions
	return p
}

// Edit returns the frame with some bytes replaced.
func Edit(frame []byte, at int, bytes ...byte) []byte {
	frame = append([]byte(nil), frame...)
	copy(frame[at:], bytes)
	return frame
}

// behind puts a header of the given EtherType between Ethernet and the rest.
func behind(frame []byte, etherType uint16, header ...byte) []byte {
	out := binary.BigEndian.AppendUint16(append([]byte(nil), frame[:12]...), etherType)
	return append(append(out, header...), frame[AtIP:]...)
}

// pppoe puts an IP packet into a PPPoE session, as a protocol of PPP.
func pppoe(frame []byte, protocol uint16) []byte {
	length := len(frame) - AtIP + 2
	return behind(frame, 0x8864, 0x11, 0, 0, 7, byte(length>>8), byte(length), byte(protocol>>8), byte(protocol))
}

// Offsets in a copy without tags, options or extension headers.
const (
	AtIP    = 14 // of the outer header
	AtUDP   = AtIP + 20
	AtVXLAN = AtUDP + 8
	AtInner = AtVXLAN + 8 // of the inner frame
)

// Extension headers of IPv6: options, a route of three addresses, a signature, and the parts of a
// fragmented packet.
var (
	HopByHop           = Extension{Protocol: 0, Body: []byte{1, 4, 0, 0, 0, 0}}
	DestinationOptions = Extension{Protocol: 60, Body: []byte{1, 4, 0, 0, 0, 0}}
	Routing            = Extension{Protocol: 43, Body: make([]byte, 22)}
	Authentication     = Extension{Protocol: 51, Body: make([]byte, 22)}
	FirstPiece         = Extension{Protocol: 44, Body: []byte{0, 1, 0, 0, 0, 7}}
	LaterPiece         = Extension{Protocol: 44, Body: []byte{0, 0x88, 0, 0, 0, 7}}
	onlyPiece          = Extension{Protocol: 44, Body: []byte{0, 0, 0, 0, 0, 7}}
)

// Streams are frames that are copies.
func Streams() []Example {
	inner := Inner("12345\n").Bytes()
	good := Copy(1, inner)
	plain := good.Bytes()
	tagged, twice, thrice, options := good, good, good, good
	tagged.VLANs, twice.VLANs, thrice.VLANs, options.Options = []uint16{7}, []uint16{7, 8}, []uint16{7, 8, 9}, 10
	firstFragment := Copy(1, make([]byte, 2000))
	firstFragment.More = true
	nested := Copy(9, Copy(77, inner).Bytes())
	return []Example{
		{"the walkthrough's copy", plain, "stream"},
		{"a VLAN tag", tagged.Bytes(), "stream"},
		{"two VLAN tags", twice.Bytes(), "stream"},
		{"three VLAN tags", thrice.Bytes(), "stream"},
		{"an MPLS label", behind(plain, 0x8847, 0, 1, 0x01, 64), "stream"},
		{"two MPLS labels before IPv6", behind(copy6(inner).Bytes(), 0x8848, 0, 1, 0, 64, 0, 1, 0x01, 64), "stream"},
		{"an MPLS label behind a VLAN tag", behind(plain, 0x8100, 0, 7, 0x88, 0x47, 0, 1, 0x01, 64), "stream"},
		{"a PPPoE session", pppoe(plain, 0x21), "stream"},
		{"a PPPoE session with IPv6", pppoe(copy6(inner).Bytes(), 0x57), "stream"},
		{"padding behind a PPPoE session", append(pppoe(plain, 0x21), 0, 0, 0), "stream"},
		{"an IPv4 total length of 0", Edit(plain, AtIP+2, 0, 0), "stream"},
		{"a service tag", Edit(tagged.Bytes(), 12, 0x88, 0xa8), "stream"},
		{"IPv4 options", options.Bytes(), "stream"},
		{"IPv6", copy6(inner).Bytes(), "stream"},
		{"IPv6 hop-by-hop options", copy6(inner, HopByHop).Bytes(), "stream"},
		{"IPv6 with four extension headers", copy6(inner, HopByHop, DestinationOptions, Routing, Authentication).Bytes(), "stream"},
		{"an IPv6 datagram that is its only fragment", copy6(inner, onlyPiece).Bytes(), "stream"},
		{"an IPv6 first fragment", copy6(inner, FirstPiece).Bytes(), "stream"},
		{"an IPv4 first fragment whose UDP length counts all", firstFragment.Bytes(), "stream"},
		{"no checksum", Edit(plain, AtUDP+6, 0, 0), "stream"},
		{"a wrong checksum", Edit(plain, AtUDP+6, 1, 2), "stream"},
		{"reserved bits set", Edit(plain, AtVXLAN, 0xff&^0x04, 1, 2, 3), "stream"},
		{"all flags and a running number, as a cloud's mirror sends them", Edit(plain, AtVXLAN, 0xff, 0x01, 0xd1, 0xf2, 0, 0, 0x0b, 0), "stream"},
		{"the P flag with a version", Edit(plain, AtVXLAN, 0x1c, 0, 0, 1), "stream"},
		{"the P flag with a reserved flag", Edit(plain, AtVXLAN, 0x4c, 0, 0, 1), "stream"},
		{"the P flag with a number in the first word", Edit(plain, AtVXLAN, 0x0c, 0, 1, 1), "stream"},
		{"the P flag with a direction in the last byte", Edit(plain, AtVXLAN, 0x0c, 0, 0, 1, 0, 0, 1, 1), "stream"},
		{"the P flag without a next protocol", Edit(plain, AtVXLAN, 0x0c), "stream"},
		{"the last reserved byte set", Edit(plain, AtVXLAN+7, 1), "stream"},
		{"VXLAN-GPE with Ethernet", Edit(plain, AtVXLAN, 0x0c, 0, 0, 3), "stream"},
		{"VXLAN in VXLAN", nested.Bytes(), "stream"},
		{"an inner frame of one byte", Copy(1, []byte{1}).Bytes(), "stream"},
		{"no inner frame", Copy(1, nil).Bytes(), "stream"},
		{"VNI 0", Copy(0, inner).Bytes(), "stream"},
		{"the largest VNI", Copy(0xffffff, inner).Bytes(), "stream"},
		{"an ARP request inside", Copy(1, ARP()).Bytes(), "stream"},
		{"padding behind the IP packet", append(append([]byte(nil), plain...), make([]byte, 30)...), "stream"},
		{"a UDP datagram shorter than its IP packet", Edit(plain, AtUDP+4, 0, 60), "stream"},
		{"an inner IPv6 packet", Copy(1, Inner6(HopByHop, DestinationOptions).Bytes()).Bytes(), "stream"},
	}
}

// Others are frames that are none.
func Others() []Example { return append(nothing(), malformed()...) }

// nothing are frames that are something else.
func nothing() []Example {
	inner := Inner("12345\n").Bytes()
	good := Copy(1, inner)
	plain := good.Bytes()
	tcp, otherPort, answer, four, later := good, good, good, good, good
	tcp.Protocol, otherPort.DestinationPort, four.VLANs = 6, 4790, []uint16{1, 2, 3, 4}
	answer.SourcePort, answer.DestinationPort = 4789, 53
	later.FragmentOffset = 185
	laterTCP := later
	laterTCP.Protocol = 6
	tiny := good
	tiny.Payload, tiny.More = nil, true
	short := good
	short.Payload = []byte{0x08, 0, 0, 0, 0, 0, 1}
	six6 := copy6(inner)
	six6.Protocol = 6
	icmp := good
	icmp.Protocol = 1
	return []Example{
		{"ARP", ARP(), "notVXLAN"},
		{"TCP to the port", tcp.Bytes(), "notVXLAN"},
		{"ICMP", icmp.Bytes(), "notVXLAN"},
		{"TCP over IPv6", six6.Bytes(), "notVXLAN"},
		{"VXLAN-GPE's own port", otherPort.Bytes(), "notVXLAN"},
		{"a datagram from the port but not to it", answer.Bytes(), "notVXLAN"},
		{"four VLAN tags", four.Bytes(), "notVXLAN"},
		{"TCP behind an MPLS label", behind(tcp.Bytes(), 0x8847, 0, 1, 0x01, 64), "notVXLAN"},
		{"a pseudowire behind an MPLS label", behind(plain, 0x8847, 0, 1, 0x01, 64, 0, 0, 0, 0), "notVXLAN"},
		{"TCP in a PPPoE session", pppoe(tcp.Bytes(), 0x21), "notVXLAN"},
		{"another protocol of PPP", pppoe(plain, 0xc021), "notVXLAN"},
		{"a later fragment of TCP", laterTCP.Bytes(), "notVXLAN"},
		{"a later fragment of TCP over IPv6", Edit(copy6(inner, LaterPiece).Bytes(), AtIP+40, 6), "notVXLAN"},
		{"a later fragment", later.Bytes(), "outerFragment"},
		{"a later fragment over IPv6", copy6(inner, LaterPiece).Bytes(), "outerFragment"},
		{"a later fragment over IPv6 whose protocol is in another one", Edit(copy6(inner, LaterPiece).Bytes(), AtIP+40, 60), "outerFragment"},
		{"a first fragment that ends before the VXLAN header", Edit(tiny.Bytes(), AtUDP+4, 0, 100), "outerFragment"},
		{"the I flag clear", Edit(plain, AtVXLAN, 0), "badHeader"},
		{"all flags but I", Edit(plain, AtVXLAN, 0xf7), "badHeader"},
		{"a UDP payload one byte short of a VXLAN header", short.Bytes(), "badHeader"},
		{"VXLAN-GPE with IPv4", Edit(plain, AtVXLAN, 0x0c, 0, 0, 1), "gpe"},
		{"VXLAN-GPE with IPv6, for all hosts and for maintenance", Edit(plain, AtVXLAN, 0x0f, 0, 0, 2), "gpe"},
	}
}

// malformed are frames that contradict themselves.
func malformed() []Example {
	inner := Inner("12345\n").Bytes()
	good := Copy(1, inner)
	plain, six := good.Bytes(), copy6(inner).Bytes()
	dot1q := good
	dot1q.VLANs = []uint16{1}
	many := make([]Extension, 9)
	for i := range many {
		many[i] = DestinationOptions
	}
	big := binary.BigEndian.AppendUint16(nil, uint16(len(plain)-AtIP+1))
	return []Example{
		{"version 6 under the type of IPv4", Edit(plain, AtIP, 0x65), "malformed"},
		{"version 4 under the type of IPv6", Edit(six, AtIP, 0x45), "malformed"},
		{"an IPv4 header of 16 bytes", Edit(plain, AtIP, 0x44), "malformed"},
		{"an IPv4 total length below the header", Edit(plain, AtIP+2, 0, 19), "malformed"},
		{"an IPv4 total length beyond the frame", Edit(plain, AtIP+2, big...), "malformed"},
		{"an IPv6 length beyond the frame", Edit(six, AtIP+4, 1, 0), "malformed"},
		{"nine IPv6 extension headers", copy6(inner, many...).Bytes(), "malformed"},
		{"an IPv6 extension header beyond the packet", Edit(copy6(inner, HopByHop).Bytes(), AtIP+41, 255), "malformed"},
		{"a UDP length of 0 over IPv4", Edit(plain, AtUDP+4, 0, 0), "malformed"},
		{"a UDP length of 7", Edit(plain, AtUDP+4, 0, 7), "malformed"},
		{"a UDP length beyond the IP packet", Edit(plain, AtUDP+4, 0, 89), "malformed"},
		{"an IP packet of a UDP header less than whole", Edit(plain, AtIP+2, 0, 27), "malformed"},
		{"seventeen MPLS labels", behind(plain, 0x8847, make([]byte, 17*4)...), "malformed"},
		{"a frame that ends in its MPLS label", behind(plain, 0x8847, 0, 1, 0)[:17], "malformed"},
		{"a frame that ends with its MPLS label", behind(plain, 0x8847, 0, 1, 1, 64)[:18], "malformed"},
		{"a PPPoE length beyond the frame", Edit(pppoe(plain, 0x21), AtIP+4, 1), "malformed"},
		{"a PPPoE length of 1", Edit(pppoe(plain, 0x21), AtIP+4, 0, 1), "malformed"},
		{"a PPPoE version of 2", Edit(pppoe(plain, 0x21), AtIP, 0x21), "malformed"},
		{"no bytes", nil, "malformed"},
		{"a frame of 13 bytes", plain[:13], "malformed"},
		{"a frame that ends in its VLAN tag", dot1q.Bytes()[:17], "malformed"},
	}
}

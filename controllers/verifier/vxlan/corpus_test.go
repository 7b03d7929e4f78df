package vxlan_test

import (
	"encoding/binary"
	"net/netip"

	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

var (
	source6 = netip.MustParseAddr("2001:db8::230")
	target6 = netip.MustParseAddr("2001:db8::164")
	client6 = netip.MustParseAddr("2001:db8::161")
)

// example is a frame with what must be said of it.
type example struct {
	name  string
	frame []byte
	class vxlan.Class
}

func copy6(vni uint32, inner []byte, extensions ...frametest.Extension) frametest.Packet {
	p := frametest.Copy(vni, inner)
	p.Source, p.Destination, p.Extensions = source6, target6, extensions
	return p
}

func inner6(extensions ...frametest.Extension) frametest.Packet {
	p := frametest.Inner("payload")
	p.Source, p.Destination, p.Extensions = client6, source6, extensions
	return p
}

// edit returns the frame with some bytes replaced.
func edit(frame []byte, at int, bytes ...byte) []byte {
	frame = append([]byte(nil), frame...)
	copy(frame[at:], bytes)
	return frame
}

// behind puts a header of the given EtherType between Ethernet and the rest.
func behind(frame []byte, etherType uint16, header ...byte) []byte {
	out := binary.BigEndian.AppendUint16(append([]byte(nil), frame[:12]...), etherType)
	return append(append(out, header...), frame[atIP:]...)
}

// pppoe puts an IP packet into a PPPoE session, as a protocol of PPP.
func pppoe(frame []byte, protocol uint16) []byte {
	length := len(frame) - atIP + 2
	return behind(frame, 0x8864, 0x11, 0, 0, 7, byte(length>>8), byte(length), byte(protocol>>8), byte(protocol))
}

// Offsets in a copy without tags, options or extension headers.
const (
	atIP, atUDP, atVXLAN, atInner = 14, 34, 42, 50
)

var (
	hopByHop    = frametest.Extension{Protocol: 0, Body: []byte{1, 4, 0, 0, 0, 0}}
	destination = frametest.Extension{Protocol: 60, Body: []byte{1, 4, 0, 0, 0, 0}}
	routing     = frametest.Extension{Protocol: 43, Body: make([]byte, 22)}
	auth        = frametest.Extension{Protocol: 51, Body: make([]byte, 22)}
	firstPiece  = frametest.Extension{Protocol: 44, Body: []byte{0, 1, 0, 0, 0, 7}}
	laterPiece  = frametest.Extension{Protocol: 44, Body: []byte{0, 0x88, 0, 0, 0, 7}}
	onlyPiece   = frametest.Extension{Protocol: 44, Body: []byte{0, 0, 0, 0, 0, 7}}
)

func streams() []example {
	inner := frametest.Inner("12345\n").Bytes()
	good := frametest.Copy(1, inner)
	plain := good.Bytes()
	tagged, twice, thrice, options := good, good, good, good
	tagged.VLANs, twice.VLANs, thrice.VLANs, options.Options = []uint16{7}, []uint16{7, 8}, []uint16{7, 8, 9}, 10
	firstFragment := frametest.Copy(1, make([]byte, 2000))
	firstFragment.More = true
	nested := frametest.Copy(9, frametest.Copy(77, inner).Bytes())
	return []example{
		{"the walkthrough's copy", plain, vxlan.Stream},
		{"a VLAN tag", tagged.Bytes(), vxlan.Stream},
		{"two VLAN tags", twice.Bytes(), vxlan.Stream},
		{"three VLAN tags", thrice.Bytes(), vxlan.Stream},
		{"an MPLS label", behind(plain, 0x8847, 0, 1, 0x01, 64), vxlan.Stream},
		{"two MPLS labels before IPv6", behind(copy6(1, inner).Bytes(), 0x8848, 0, 1, 0, 64, 0, 1, 0x01, 64), vxlan.Stream},
		{"an MPLS label behind a VLAN tag", behind(plain, 0x8100, 0, 7, 0x88, 0x47, 0, 1, 0x01, 64), vxlan.Stream},
		{"a PPPoE session", pppoe(plain, 0x21), vxlan.Stream},
		{"a PPPoE session with IPv6", pppoe(copy6(1, inner).Bytes(), 0x57), vxlan.Stream},
		{"padding behind a PPPoE session", append(pppoe(plain, 0x21), 0, 0, 0), vxlan.Stream},
		{"an IPv4 total length of 0", edit(plain, atIP+2, 0, 0), vxlan.Stream},
		{"a service tag", edit(tagged.Bytes(), 12, 0x88, 0xa8), vxlan.Stream},
		{"IPv4 options", options.Bytes(), vxlan.Stream},
		{"IPv6", copy6(1, inner).Bytes(), vxlan.Stream},
		{"IPv6 hop-by-hop options", copy6(1, inner, hopByHop).Bytes(), vxlan.Stream},
		{"IPv6 with four extension headers", copy6(1, inner, hopByHop, destination, routing, auth).Bytes(), vxlan.Stream},
		{"an IPv6 datagram that is its only fragment", copy6(1, inner, onlyPiece).Bytes(), vxlan.Stream},
		{"an IPv6 first fragment", copy6(1, inner, firstPiece).Bytes(), vxlan.Stream},
		{"an IPv4 first fragment whose UDP length counts all", firstFragment.Bytes(), vxlan.Stream},
		{"no checksum", edit(plain, atUDP+6, 0, 0), vxlan.Stream},
		{"a wrong checksum", edit(plain, atUDP+6, 1, 2), vxlan.Stream},
		{"reserved bits set", edit(plain, atVXLAN, 0xff&^0x04, 1, 2, 3), vxlan.Stream},
		{"all flags and a running number, as a cloud's mirror sends them", edit(plain, atVXLAN, 0xff, 0x01, 0xd1, 0xf2, 0, 0, 0x0b, 0), vxlan.Stream},
		{"the P flag with a version", edit(plain, atVXLAN, 0x1c, 0, 0, 1), vxlan.Stream},
		{"the P flag with a reserved flag", edit(plain, atVXLAN, 0x4c, 0, 0, 1), vxlan.Stream},
		{"the P flag with a number in the first word", edit(plain, atVXLAN, 0x0c, 0, 1, 1), vxlan.Stream},
		{"the P flag with a direction in the last byte", edit(plain, atVXLAN, 0x0c, 0, 0, 1, 0, 0, 1, 1), vxlan.Stream},
		{"the P flag without a next protocol", edit(plain, atVXLAN, 0x0c), vxlan.Stream},
		{"the last reserved byte set", edit(plain, atVXLAN+7, 1), vxlan.Stream},
		{"VXLAN-GPE with Ethernet", edit(plain, atVXLAN, 0x0c, 0, 0, 3), vxlan.Stream},
		{"VXLAN in VXLAN", nested.Bytes(), vxlan.Stream},
		{"an inner frame of one byte", frametest.Copy(1, []byte{1}).Bytes(), vxlan.Stream},
		{"no inner frame", frametest.Copy(1, nil).Bytes(), vxlan.Stream},
		{"VNI 0", frametest.Copy(0, inner).Bytes(), vxlan.Stream},
		{"the largest VNI", frametest.Copy(0xffffff, inner).Bytes(), vxlan.Stream},
		{"an ARP request inside", frametest.Copy(1, frametest.ARP()).Bytes(), vxlan.Stream},
		{"padding behind the IP packet", append(append([]byte(nil), plain...), make([]byte, 30)...), vxlan.Stream},
		{"a UDP datagram shorter than its IP packet", edit(plain, atUDP+4, 0, 60), vxlan.Stream},
		{"an inner IPv6 packet", frametest.Copy(1, inner6(hopByHop, destination).Bytes()).Bytes(), vxlan.Stream},
	}
}

func others() []example {
	inner := frametest.Inner("12345\n").Bytes()
	good := frametest.Copy(1, inner)
	plain, six := good.Bytes(), copy6(1, inner).Bytes()
	tcp, otherPort, answer, four, later, dot1q := good, good, good, good, good, good
	tcp.Protocol, otherPort.DestinationPort, four.VLANs = 6, 4790, []uint16{1, 2, 3, 4}
	answer.SourcePort, answer.DestinationPort = 4789, 53
	later.FragmentOffset, dot1q.VLANs = 185, []uint16{1}
	laterTCP := later
	laterTCP.Protocol = 6
	tiny := good
	tiny.Payload, tiny.More = nil, true
	short := good
	short.Payload = []byte{0x08, 0, 0, 0, 0, 0, 1}
	six6 := copy6(1, inner)
	six6.Protocol = 6
	icmp := good
	icmp.Protocol = 1
	many := make([]frametest.Extension, 9)
	for i := range many {
		many[i] = destination
	}
	big := binary.BigEndian.AppendUint16(nil, uint16(len(plain)-atIP+1))
	return []example{
		{"ARP", frametest.ARP(), vxlan.NotVXLAN},
		{"TCP to the port", tcp.Bytes(), vxlan.NotVXLAN},
		{"ICMP", icmp.Bytes(), vxlan.NotVXLAN},
		{"TCP over IPv6", six6.Bytes(), vxlan.NotVXLAN},
		{"VXLAN-GPE's own port", otherPort.Bytes(), vxlan.NotVXLAN},
		{"a datagram from the port but not to it", answer.Bytes(), vxlan.NotVXLAN},
		{"four VLAN tags", four.Bytes(), vxlan.NotVXLAN},
		{"TCP behind an MPLS label", behind(tcp.Bytes(), 0x8847, 0, 1, 0x01, 64), vxlan.NotVXLAN},
		{"a pseudowire behind an MPLS label", behind(plain, 0x8847, 0, 1, 0x01, 64, 0, 0, 0, 0), vxlan.NotVXLAN},
		{"TCP in a PPPoE session", pppoe(tcp.Bytes(), 0x21), vxlan.NotVXLAN},
		{"another protocol of PPP", pppoe(plain, 0xc021), vxlan.NotVXLAN},
		{"a later fragment of TCP", laterTCP.Bytes(), vxlan.NotVXLAN},
		{"a later fragment of TCP over IPv6", edit(copy6(1, inner, laterPiece).Bytes(), atIP+40, 6), vxlan.NotVXLAN},
		{"a later fragment", later.Bytes(), vxlan.Fragment},
		{"a later fragment over IPv6", copy6(1, inner, laterPiece).Bytes(), vxlan.Fragment},
		{"a later fragment over IPv6 whose protocol is in another one", edit(copy6(1, inner, laterPiece).Bytes(), atIP+40, 60), vxlan.Fragment},
		{"a first fragment that ends before the VXLAN header", edit(tiny.Bytes(), atUDP+4, 0, 100), vxlan.Fragment},
		{"the I flag clear", edit(plain, atVXLAN, 0), vxlan.BadHeader},
		{"all flags but I", edit(plain, atVXLAN, 0xf7), vxlan.BadHeader},
		{"a UDP payload one byte short of a VXLAN header", short.Bytes(), vxlan.BadHeader},
		{"VXLAN-GPE with IPv4", edit(plain, atVXLAN, 0x0c, 0, 0, 1), vxlan.GPE},
		{"VXLAN-GPE with IPv6, for all hosts and for maintenance", edit(plain, atVXLAN, 0x0f, 0, 0, 2), vxlan.GPE},
		{"version 6 under the type of IPv4", edit(plain, atIP, 0x65), vxlan.Malformed},
		{"version 4 under the type of IPv6", edit(six, atIP, 0x45), vxlan.Malformed},
		{"an IPv4 header of 16 bytes", edit(plain, atIP, 0x44), vxlan.Malformed},
		{"an IPv4 total length below the header", edit(plain, atIP+2, 0, 19), vxlan.Malformed},
		{"an IPv4 total length beyond the frame", edit(plain, atIP+2, big...), vxlan.Malformed},
		{"an IPv6 length beyond the frame", edit(six, atIP+4, 1, 0), vxlan.Malformed},
		{"nine IPv6 extension headers", copy6(1, inner, many...).Bytes(), vxlan.Malformed},
		{"an IPv6 extension header beyond the packet", edit(copy6(1, inner, hopByHop).Bytes(), atIP+41, 255), vxlan.Malformed},
		{"a UDP length of 0 over IPv4", edit(plain, atUDP+4, 0, 0), vxlan.Malformed},
		{"a UDP length of 7", edit(plain, atUDP+4, 0, 7), vxlan.Malformed},
		{"a UDP length beyond the IP packet", edit(plain, atUDP+4, 0, 89), vxlan.Malformed},
		{"an IP packet of a UDP header less than whole", edit(plain, atIP+2, 0, 27), vxlan.Malformed},
		{"seventeen MPLS labels", behind(plain, 0x8847, make([]byte, 17*4)...), vxlan.Malformed},
		{"a frame that ends in its MPLS label", behind(plain, 0x8847, 0, 1, 0)[:17], vxlan.Malformed},
		{"a frame that ends with its MPLS label", behind(plain, 0x8847, 0, 1, 1, 64)[:18], vxlan.Malformed},
		{"a PPPoE length beyond the frame", edit(pppoe(plain, 0x21), atIP+4, 1), vxlan.Malformed},
		{"a PPPoE length of 1", edit(pppoe(plain, 0x21), atIP+4, 0, 1), vxlan.Malformed},
		{"a PPPoE version of 2", edit(pppoe(plain, 0x21), atIP, 0x21), vxlan.Malformed},
		{"no bytes", nil, vxlan.Malformed},
		{"a frame of 13 bytes", plain[:13], vxlan.Malformed},
		{"a frame that ends in its VLAN tag", dot1q.Bytes()[:17], vxlan.Malformed},
	}
}

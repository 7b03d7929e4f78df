// Package frametest builds the frames that the tests of the verifier's packet
// path use, with google/gopacket, which shares no code with what is tested; and
// it joins network namespaces to send them through a real kernel.
//
// It is for tests only and may import nothing of ours.
package frametest

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// The walkthrough's hosts.
var (
	SourceAddr = netip.MustParseAddr("192.168.0.230")
	ClientAddr = netip.MustParseAddr("192.168.0.161")
	TargetAddr = netip.MustParseAddr("192.168.0.164")
	SourceMAC  = MAC("fa:16:3e:7e:d6:bc")
	ClientMAC  = MAC("fa:16:3e:7e:d6:77")
	TargetMAC  = MAC("fa:16:3e:7e:d6:7a")
	GatewayMAC = MAC("fa:16:3e:d1:6b:5d")
)

// MAC parses a hardware address.
func MAC(s string) [6]byte {
	m, err := net.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return [6]byte(m)
}

// Packet describes an Ethernet frame with an IP packet in it. The zero value
// of a field leaves it to the default.
type Packet struct {
	SourceMAC, DestinationMAC [6]byte
	// VLANs are the tags, the outermost first.
	VLANs []uint16
	// Source and Destination are both IPv4 or both IPv6.
	Source, Destination netip.Addr
	// Options are the options of IPv4, in 4-byte words of "no operation".
	Options int
	// Extensions are the extension headers of IPv6 between the fixed header
	// and the transport header.
	Extensions []Extension
	// Protocol is the IP protocol: TCP (6, default), UDP (17), ICMP (1),
	// ICMPv6 (58), or any other, whose payload is taken as it is.
	Protocol uint8
	// SourcePort and DestinationPort are those of TCP and UDP.
	SourcePort, DestinationPort uint16
	// TCPOptions adds a timestamp option.
	TCPOptions bool
	// FragmentOffset (in units of 8 bytes) and More make it an IPv4 fragment;
	// a later one has no transport header.
	FragmentOffset uint16
	More           bool
	// Payload follows the transport header.
	Payload []byte
}

// Extension is an extension header of IPv6.
type Extension struct {
	Protocol uint8
	// Body is the header from its third byte on. With the first two its length
	// is a multiple of 8 (or of 4, for the authentication header).
	Body []byte
}

// Inner is the packet of the walkthrough's client to its server, in the source
// interface's own direction ingress.
func Inner(payload string) Packet {
	return Packet{
		SourceMAC: ClientMAC, DestinationMAC: SourceMAC, Source: ClientAddr, Destination: SourceAddr,
		SourcePort: 38944, DestinationPort: 1234, Payload: []byte(payload),
	}
}

// Copy wraps an inner frame as the cloud does: the walkthrough's source sends
// it to the walkthrough's target.
func Copy(vni uint32, inner []byte) Packet {
	return Packet{
		SourceMAC: GatewayMAC, DestinationMAC: TargetMAC, Source: SourceAddr, Destination: TargetAddr,
		Protocol: 17, SourcePort: 32838, DestinationPort: 4789, Payload: append(VXLANHeader(vni), inner...),
	}
}

// VXLANHeader is a plain header with the I flag.
func VXLANHeader(vni uint32) []byte {
	h := make([]byte, 8)
	h[0] = 0x08
	binary.BigEndian.PutUint32(h[4:], vni<<8)
	return h
}

// Bytes serialises the frame, with right lengths and checksums.
func (p Packet) Bytes() []byte {
	var stack []gopacket.SerializableLayer
	stack = append(stack, p.link()...)
	network, transport := p.network()
	stack = append(stack, network...)
	stack = append(stack, transport...)
	stack = append(stack, gopacket.Payload(p.Payload))
	buffer := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buffer, options, stack...); err != nil {
		panic(fmt.Sprintf("serialise %+v: %v", p, err))
	}
	return append([]byte(nil), buffer.Bytes()...)
}

func (p Packet) etherType() layers.EthernetType {
	if p.Source.Is4() {
		return layers.EthernetTypeIPv4
	}
	return layers.EthernetTypeIPv6
}

func (p Packet) link() []gopacket.SerializableLayer {
	ethernet := &layers.Ethernet{SrcMAC: p.SourceMAC[:], DstMAC: p.DestinationMAC[:], EthernetType: p.etherType()}
	stack := []gopacket.SerializableLayer{ethernet}
	for i, id := range p.VLANs {
		tag := &layers.Dot1Q{VLANIdentifier: id, Type: p.etherType()}
		if i == 0 {
			ethernet.EthernetType = layers.EthernetTypeDot1Q
		} else {
			stack[i].(*layers.Dot1Q).Type = layers.EthernetTypeDot1Q
		}
		stack = append(stack, tag)
	}
	return stack
}

func (p Packet) network() (network, transport []gopacket.SerializableLayer) {
	protocol := layers.IPProtocol(p.Protocol)
	if protocol == 0 {
		protocol = layers.IPProtocolTCP
	}
	if p.Source.Is4() {
		ip := &layers.IPv4{
			Version: 4, TTL: 64, Protocol: protocol, FragOffset: p.FragmentOffset,
			SrcIP: p.Source.AsSlice(), DstIP: p.Destination.AsSlice(),
		}
		if p.More {
			ip.Flags = layers.IPv4MoreFragments
		}
		for range 4 * p.Options {
			ip.Options = append(ip.Options, layers.IPv4Option{OptionType: 1})
		}
		return []gopacket.SerializableLayer{ip}, p.transport(protocol, ip)
	}
	ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: p.Source.AsSlice(), DstIP: p.Destination.AsSlice()}
	var extensions gopacket.Payload
	for i, x := range p.Extensions {
		next := uint8(protocol)
		if i+1 < len(p.Extensions) {
			next = p.Extensions[i+1].Protocol
		}
		size := uint8((len(x.Body)+2)/8 - 1)
		if x.Protocol == 51 {
			size = uint8((len(x.Body)+2)/4 - 2)
		}
		extensions = append(append(extensions, next, size), x.Body...)
		ip.NextHeader = layers.IPProtocol(p.Extensions[0].Protocol)
	}
	return []gopacket.SerializableLayer{ip, extensions}, p.transport(protocol, ip)
}

func (p Packet) transport(protocol layers.IPProtocol, ip gopacket.NetworkLayer) []gopacket.SerializableLayer {
	if p.FragmentOffset != 0 {
		return nil
	}
	switch protocol {
	case layers.IPProtocolTCP:
		tcp := &layers.TCP{
			SrcPort: layers.TCPPort(p.SourcePort), DstPort: layers.TCPPort(p.DestinationPort),
			Seq: 1, Ack: 1, PSH: true, ACK: true, Window: 502,
		}
		if p.TCPOptions {
			tcp.Options = []layers.TCPOption{
				{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop},
				{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)},
			}
		}
		_ = tcp.SetNetworkLayerForChecksum(ip) // an IP layer is always accepted
		return []gopacket.SerializableLayer{tcp}
	case layers.IPProtocolUDP:
		udp := &layers.UDP{SrcPort: layers.UDPPort(p.SourcePort), DstPort: layers.UDPPort(p.DestinationPort)}
		_ = udp.SetNetworkLayerForChecksum(ip)
		return []gopacket.SerializableLayer{udp}
	case layers.IPProtocolICMPv4:
		return []gopacket.SerializableLayer{&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 1, Seq: 1}}
	default:
		return nil
	}
}

// ARP is a request, a frame without IP.
func ARP() []byte {
	ethernet := &layers.Ethernet{SrcMAC: ClientMAC[:], DstMAC: net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, EthernetType: layers.EthernetTypeARP}
	arp := &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPRequest, SourceHwAddress: ClientMAC[:], SourceProtAddress: ClientAddr.AsSlice(),
		DstHwAddress: make([]byte, 6), DstProtAddress: SourceAddr.AsSlice(),
	}
	buffer := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true}, ethernet, arp); err != nil {
		panic(err)
	}
	return append([]byte(nil), buffer.Bytes()...)
}

// Mapped makes an IPv6 address of an IPv4 one, in 2001:db8::/96.
func Mapped(a netip.Addr) netip.Addr {
	b := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	copy(b[12:], a.AsSlice())
	return netip.AddrFrom16(b)
}

package probe

import (
	"encoding/binary"
	"net/netip"
)

// The numbers of the protocols that are sent.
const (
	protocolICMP   = 1
	protocolTCP    = 6
	protocolUDP    = 17
	protocolICMPv6 = 58
)

const (
	ipv4Header = 20
	ipv6Header = 40
	tcpHeader  = 20
	udpHeader  = 8
	icmpHeader = 8
)

// note is in the payload of datagrams and echo requests, for whoever sees one and wonders.
const note = " vpcmirror probe"

// Packet is one packet of a probe.
type Packet struct {
	Protocol uint8 // protocolICMP for both families
	From, To netip.Addr
	// SourcePort and DestinationPort are of TCP and UDP alone.
	SourcePort, DestinationPort uint16
	HopLimit                    uint8
	Nonce                       uint32
	// Spoiled gives it a wrong checksum, so that the receiver's kernel throws it away.
	Spoiled bool
}

// Bytes are the packet from the IP header on.
func (p *Packet) Bytes() []byte {
	segment, checksum := p.segment()
	protocol := p.protocol()
	sum := internetChecksum(segment, p.pseudoHeader(protocol, len(segment)))
	if p.Spoiled {
		sum++ // which is another sum, but that 0xffff means the same as 0
		if sum == 0 {
			sum = 0x5555
		}
	}
	if protocol == protocolUDP && sum == 0 {
		sum = 0xffff // 0 says that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(segment[checksum:], sum)
	return append(p.ipHeader(protocol, len(segment)), segment...)
}

func (p *Packet) protocol() uint8 {
	if p.Protocol == protocolICMP && p.From.Is6() {
		return protocolICMPv6
	}
	return p.Protocol
}

// segment is the transport's part without a checksum, and where that goes.
func (p *Packet) segment() (b []byte, checksum int) {
	switch p.Protocol {
	case protocolTCP:
		b = make([]byte, tcpHeader)
		binary.BigEndian.PutUint16(b, p.SourcePort)
		binary.BigEndian.PutUint16(b[2:], p.DestinationPort)
		binary.BigEndian.PutUint32(b[atSequence:], p.Nonce)
		b[12], b[13] = tcpHeader/4<<4, 0x02 // SYN
		binary.BigEndian.PutUint16(b[14:], 1024)
		return b, 16
	case protocolUDP:
		b = append(make([]byte, udpHeader+4), note...)
		binary.BigEndian.PutUint16(b, p.SourcePort)
		binary.BigEndian.PutUint16(b[2:], p.DestinationPort)
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
		binary.BigEndian.PutUint32(b[atPayload:], p.Nonce)
		return b, 6
	}
	b = append(make([]byte, icmpHeader), note...)
	b[0] = 8 // echo request (RFC 792)
	if p.From.Is6() {
		b[0] = 128 // RFC 4443
	}
	binary.BigEndian.PutUint32(b[atIdentifier:], p.Nonce)
	return b, 2
}

// pseudoHeader is the sum of what the checksum covers beside the segment; ICMP for IPv4 has none.
func (p *Packet) pseudoHeader(protocol uint8, length int) (sum uint32) {
	if protocol == protocolICMP {
		return 0
	}
	for _, a := range [][]byte{p.From.AsSlice(), p.To.AsSlice()} {
		for i := 0; i < len(a); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(a[i:]))
		}
	}
	return sum + uint32(protocol) + uint32(length)
}

// internetChecksum is that of RFC 1071.
func internetChecksum(b []byte, sum uint32) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) > 0 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func (p *Packet) ipHeader(protocol uint8, length int) []byte {
	if p.From.Is6() {
		b := make([]byte, ipv6Header)
		b[0] = 6 << 4
		binary.BigEndian.PutUint16(b[4:], uint16(length))
		b[6], b[7] = protocol, p.HopLimit
		copy(b[8:], p.From.AsSlice())
		copy(b[24:], p.To.AsSlice())
		return b
	}
	b := make([]byte, ipv4Header)
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(ipv4Header+length))
	binary.BigEndian.PutUint16(b[4:], uint16(p.Nonce>>16)|1) // with 0 the kernel chooses one
	b[6] = 0x40                                              // don't fragment
	b[8], b[9] = p.HopLimit, protocol
	copy(b[12:], p.From.AsSlice())
	copy(b[16:], p.To.AsSlice())
	binary.BigEndian.PutUint16(b[10:], internetChecksum(b, 0))
	return b
}

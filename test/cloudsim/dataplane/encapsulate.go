package dataplane

import (
	"encoding/binary"
	"net/netip"
)

const (
	mtu          = 1500
	vxlanPort    = 4789
	udpLength    = 8
	vxlanLength  = 8
	maxFrame     = ethernetLength + 4*maxTags + mtu
	maxTunnel    = ethernetLength + mtu
	vxlanHasVNI  = 0x08 // the I flag (RFC 7348)
	tunnelTTL    = 64
	dontFragment = 0x4000
)

// tunnel is the outer side of a copy.
type tunnel struct {
	sourceMAC, destinationMAC [6]byte
	source, destination       netip.Addr // of one family
	sourcePort, port          uint16
	vni                       uint32
	id                        uint16 // of the IPv4 datagram
}

// encapsulate writes the copy of an inner frame into out, which must hold
// maxTunnel bytes, and gives its length and how much of the inner frame it
// holds: at most length bytes, and no more than fits the MTU.
func (t *tunnel) encapsulate(out, inner []byte, length int) (total, kept int) {
	header := ipv4Length
	if t.source.Is6() {
		header = ipv6Length
	}
	kept = min(len(inner), length, mtu-header-udpLength-vxlanLength)
	copy(out[0:], t.destinationMAC[:])
	copy(out[6:], t.sourceMAC[:])
	ip := out[ethernetLength:]
	udp := ip[header:]
	payload := udpLength + vxlanLength + kept

	binary.BigEndian.PutUint16(udp[0:], t.sourcePort)
	binary.BigEndian.PutUint16(udp[2:], t.port)
	binary.BigEndian.PutUint16(udp[4:], uint16(payload))
	binary.BigEndian.PutUint16(udp[6:], 0)
	vxlan := udp[udpLength:]
	binary.BigEndian.PutUint32(vxlan[0:], vxlanHasVNI<<24)
	binary.BigEndian.PutUint32(vxlan[4:], t.vni<<8)
	copy(vxlan[vxlanLength:], inner[:kept])

	if header == ipv4Length {
		binary.BigEndian.PutUint16(out[12:], etherIPv4)
		t.putIPv4(ip, payload)
	} else {
		binary.BigEndian.PutUint16(out[12:], etherIPv6)
		t.putIPv6(ip, payload)
		// A zero checksum is allowed over IPv4 only (RFC 768, RFC 8200 8.1).
		sum := ipv6Checksum(ip, protoUDP, udp[:payload])
		if sum == 0 {
			sum = 0xffff
		}
		binary.BigEndian.PutUint16(udp[6:], sum)
	}
	return ethernetLength + header + payload, kept
}

func (t *tunnel) putIPv4(ip []byte, payload int) {
	ip[0], ip[1] = 0x45, 0
	binary.BigEndian.PutUint16(ip[2:], uint16(ipv4Length+payload))
	binary.BigEndian.PutUint16(ip[4:], t.id)
	binary.BigEndian.PutUint16(ip[6:], dontFragment)
	ip[8], ip[9] = tunnelTTL, protoUDP
	ip[10], ip[11] = 0, 0
	source, destination := t.source.As4(), t.destination.As4()
	copy(ip[12:], source[:])
	copy(ip[16:], destination[:])
	binary.BigEndian.PutUint16(ip[10:], ^fold(sum(0, ip[:ipv4Length])))
}

func (t *tunnel) putIPv6(ip []byte, payload int) {
	binary.BigEndian.PutUint32(ip, 6<<28)
	binary.BigEndian.PutUint16(ip[4:], uint16(payload))
	ip[6], ip[7] = protoUDP, tunnelTTL
	source, destination := t.source.As16(), t.destination.As16()
	copy(ip[8:], source[:])
	copy(ip[24:], destination[:])
}

// ipv6Checksum is the checksum of an upper layer over IPv6 with its pseudo
// header (RFC 8200 8.1); the checksum field inside data must be zero.
func ipv6Checksum(ip []byte, protocol uint8, data []byte) uint16 {
	s := sum(0, ip[8:40]) + uint32(len(data)) + uint32(protocol)
	return ^fold(sum(s, data))
}

// sum adds the bytes as 16-bit words (RFC 1071); fold makes it 16 bits.
func sum(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// flowPort is the outer UDP source port: a hash (FNV-1a) of the inner flow in
// 32768 to 65535, so that the copies of one flow take one path and stay in order.
func flowPort(p *packet) uint16 {
	h := uint32(2166136261)
	mix := func(b byte) { h = (h ^ uint32(b)) * 16777619 }
	source, destination := p.source.As16(), p.destination.As16()
	for i := range source {
		mix(source[i])
		mix(destination[i])
	}
	mix(p.protocol)
	mix(byte(p.sourcePort >> 8))
	mix(byte(p.sourcePort))
	mix(byte(p.destinationPort >> 8))
	mix(byte(p.destinationPort))
	return 0x8000 | uint16(h>>16^h)
}

package vxlan

import "encoding/binary"

const (
	typeARP = 0x0806

	arpOverEthernet = 28
	icmpHeader      = 8
	tcpHeader       = 20
	sctpHeader      = 12

	protoICMP    = 1
	protoICMPv6  = 58
	protoSCTP    = 132
	protoUDPLite = 136
)

// HeaderEnd returns how many of an Ethernet frame's bytes are headers: those of Ethernet with its VLAN
// tags, of IP with options or extensions, and of TCP, UDP, ICMP or SCTP. It is at most len(frame). What
// comes behind is payload of somebody, or can't be told from it: of a protocol that is not known here
// everything is, and where a header contradicts itself nothing from there on is taken for one. Of ICMP
// eight bytes are header: an error has the packet behind them that it is about.
func HeaderEnd(frame []byte) int {
	kind, at, ok := etherType(frame)
	if !ok {
		return min(len(frame), etherHeader+maxVLANs*vlanTag)
	}
	end := at
	switch kind {
	case typeIPv4:
		end = headerEnd4(frame, at)
	case typeIPv6:
		end = headerEnd6(frame, at)
	case typeARP:
		end = at + arpOverEthernet
	}
	return min(end, len(frame))
}

func headerEnd4(b []byte, at int) int {
	if len(b)-at < ipv4Header {
		if len(b) > at && b[at]>>4 != 4 {
			return at
		}
		return len(b)
	}
	header := int(b[at]&0x0f) * 4
	if b[at]>>4 != 4 || header < ipv4Header {
		return at
	}
	if binary.BigEndian.Uint16(b[at+6:])&0x1fff != 0 {
		return at + header // a later fragment
	}
	return at + header + transportHeader(b, at+header, b[at+9])
}

func headerEnd6(b []byte, at int) int {
	if len(b)-at < ipv6Header {
		if len(b) > at && b[at]>>4 != 6 {
			return at
		}
		return len(b)
	}
	if b[at]>>4 != 6 {
		return at
	}
	ext := extensions(b, b[at+6], at+ipv6Header, len(b))
	switch {
	case ext.state != walkWhole:
		return at + ipv6Header
	case ext.later:
		return ext.offset
	}
	return ext.offset + transportHeader(b, ext.offset, ext.protocol)
}

// transportHeader is how long the header of a protocol at offset at is.
func transportHeader(b []byte, at int, protocol uint8) int {
	switch protocol {
	case protoTCP:
		if len(b)-at < 13 {
			return tcpHeader
		}
		return max(int(b[at+12]>>4)*4, tcpHeader)
	case protoUDP, protoUDPLite:
		return udpHeader
	case protoICMP, protoICMPv6:
		return icmpHeader
	case protoSCTP:
		return sctpHeader
	}
	return 0
}

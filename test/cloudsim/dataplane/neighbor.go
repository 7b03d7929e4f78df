package dataplane

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// arpLength is the length of an ARP packet for IPv4 over Ethernet (RFC 826).
const arpLength = 28

// suspiciousARP is why an ARP packet from the host is dropped: it is none, or it
// speaks for somebody else.
func (port *SwitchPort) suspiciousARP(config *compiled, p *packet, frame []byte) DropReason {
	arp := frame[p.network:]
	// Ethernet (1), IPv4 (0x0800), lengths 6 and 4, request (1) or reply (2).
	if len(arp) < arpLength || binary.BigEndian.Uint32(arp) != 0x0001_0800 || arp[4] != 6 || arp[5] != 4 ||
		arp[6] != 0 || arp[7] != 1 && arp[7] != 2 {
		return DropMalformed
	}
	if [6]byte(arp[8:14]) != port.mac {
		return DropSpoofedMAC
	}
	sender := netip.AddrFrom4([4]byte(arp[14:18]))
	if !sender.IsUnspecified() && !config.ports[port.index].noAddressCheck && !port.owns(sender) {
		return DropSpoofed
	}
	return ""
}

// receiveARP switches an ARP packet, which passes every group. A request for a
// gateway's address is answered here and goes no further.
func (port *SwitchPort) receiveARP(config *compiled, p *packet, frame []byte) {
	arp := frame[p.network:]
	wanted := netip.AddrFrom4([4]byte(arp[24:28]))
	n := port.network
	for i := range n.gateways {
		if n.gateways[i].address == wanted && arp[7] == 1 {
			port.answerARP(config, &n.gateways[i], arp)
			return
		}
	}
	if frame[0]&1 != 0 {
		for _, to := range n.ports {
			if to != port && config.onLink(port, to) {
				config.handOver(to, frame)
			}
		}
		return
	}
	if to := n.byMAC[[6]byte(frame[0:6])]; to != nil && to != port {
		config.handOver(to, frame)
		return
	}
	port.counters.droppedFromHost.add(DropNoSuchMAC)
}

// answerARP tells the host the gateway's MAC.
func (port *SwitchPort) answerARP(config *compiled, g *gateway, request []byte) {
	reply := port.replyBuffer[:ethernetLength+arpLength]
	copy(reply[0:], port.mac[:])
	copy(reply[6:], g.mac[:])
	binary.BigEndian.PutUint16(reply[12:], etherARP)
	arp := reply[ethernetLength:]
	copy(arp, request[:6])
	arp[6], arp[7] = 0, 2
	copy(arp[8:], g.mac[:])
	copy(arp[14:], request[24:28])
	copy(arp[18:], request[8:18])
	config.handOver(port, reply)
}

// neighborTarget is the address that a neighbour solicitation or advertisement
// is about (RFC 4861 4.3, 4.4); the zero Addr when it is cut.
func neighborTarget(p *packet, frame []byte) netip.Addr {
	if len(frame) < p.transport+24 {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte(frame[p.transport+8 : p.transport+24]))
}

// answerSolicitation answers a neighbour solicitation for a gateway's address
// with an advertisement. Not ok when it is about another address.
func (port *SwitchPort) answerSolicitation(config *compiled, p *packet, frame []byte) (ok bool) {
	if p.icmpType != ndNeighborSolicitation || p.source.IsUnspecified() {
		return false
	}
	target := neighborTarget(p, frame)
	for i := range port.network.gateways {
		if g := &port.network.gateways[i]; g.address == target {
			port.advertise(config, g, p.source)
			return true
		}
	}
	return false
}

// advertise sends the host a neighbour advertisement of the gateway.
func (port *SwitchPort) advertise(config *compiled, g *gateway, to netip.Addr) {
	const length = 32 // 24 of the message, 8 of the link-layer address option
	reply := port.replyBuffer[:ethernetLength+ipv6Length+length]
	clear(reply)
	copy(reply[0:], port.mac[:])
	copy(reply[6:], g.mac[:])
	binary.BigEndian.PutUint16(reply[12:], etherIPv6)
	ip := reply[ethernetLength:]
	(&tunnel{source: g.address, destination: to}).putIPv6(ip, length)
	ip[6], ip[7] = protoICMPv6, 255 // RFC 4861 7.1: anything but 255 came from afar
	na := ip[ipv6Length:]
	na[0] = ndNeighborAdvertisement
	na[4] = 0xe0 // router, solicited, override
	address := g.address.As16()
	copy(na[8:], address[:])
	na[24], na[25] = 2, 1 // target link-layer address, 8 bytes
	copy(na[26:], g.mac[:])
	binary.BigEndian.PutUint16(na[2:], ipv6Checksum(ip, protoICMPv6, na))
	config.handOver(port, reply)
}

// owns is whether the address is the port's: configured, or IPv6 link-local,
// which each host makes for itself.
func (port *SwitchPort) owns(a netip.Addr) bool {
	return slices.Contains(port.addresses, a) || a.Is6() && a.IsLinkLocalUnicast()
}

// maySendFrom is whether the packet's source address is the port's. The
// unspecified address is what a host uses while it checks that its IPv6 address
// is free.
func (port *SwitchPort) maySendFrom(p *packet) bool {
	if p.source.IsUnspecified() {
		return p.kind == kindIPv6 && p.protocol == protoICMPv6
	}
	return port.owns(p.source)
}

// firstAddress is the port's first address of a family, or the zero Addr.
func firstAddress(port *SwitchPort, six bool) netip.Addr {
	for _, a := range port.addresses {
		if a.Is6() == six {
			return a
		}
	}
	return netip.Addr{}
}

// gatewayOf is the gateway of the subnet that an address is in, or nil.
func (n *network) gatewayOf(a netip.Addr) *gateway {
	for i := range n.gateways {
		if n.gateways[i].subnet.Contains(a) {
			return &n.gateways[i]
		}
	}
	return nil
}

package dataplane

import (
	"encoding/binary"
	"time"
)

// Receive takes a frame that the port's host sent and brings it, and its
// copies, to where they belong before it returns. It may write into the frame.
// Per port, one goroutine at a time.
func (port *SwitchPort) Receive(frame []byte) {
	port.counters.fromHost.Add(1)
	config, now := port.sw.config.Load(), port.sw.now()
	if config.ports[port.index].cutOff {
		port.counters.droppedFromHost.add(DropCutOff)
		return
	}
	p := classify(frame)
	if why := port.suspicion(config, &p, frame); why != "" {
		port.counters.droppedFromHost.add(why)
		return
	}
	if p.kind == kindARP {
		port.receiveARP(config, &p, frame)
		return
	}
	if !p.isNeighborDiscovery() && !config.admits(byGroups, port, &p, frame, false, now) {
		port.counters.droppedFromHost.add(DropEgressGroup)
		return
	}
	if !p.isNeighborDiscovery() && !config.passesOut(port, &p, frame, now) {
		port.counters.droppedFromHost.add(DropEgressACL)
		return
	}
	config.mirror(port, port, &p, frame, false)
	port.forward(config, &p, frame, now)
}

// suspicion is why a frame from the host is not even considered: what is no
// proper packet of IP or ARP, and what port security holds back.
func (port *SwitchPort) suspicion(config *compiled, p *packet, frame []byte) DropReason {
	switch {
	case p.malformed:
		return DropMalformed
	case [6]byte(frame[6:12]) != port.mac && !config.ports[port.index].unsecured:
		return DropSpoofedMAC
	case len(frame)-p.network > mtu:
		return DropOversize
	case p.kind == kindARP && !p.tagged:
		return port.suspiciousARP(config, p, frame)
	case !p.isIP():
		return DropNotIP
	case p.kind == kindIPv6 && p.hasICMP && (p.icmpType == ndRouterAdvertisement || p.icmpType == ndRedirect):
		return DropRouterMessage
	case !config.ports[port.index].noAddressCheck && !port.speaksForItself(p, frame):
		return DropSpoofed
	}
	return ""
}

// speaksForItself is whether the source address is the port's, and, in a
// neighbour advertisement, the address that is advertised.
func (port *SwitchPort) speaksForItself(p *packet, frame []byte) bool {
	if p.isNeighborDiscovery() && p.icmpType == ndNeighborAdvertisement && !port.owns(neighborTarget(p, frame)) {
		return false
	}
	return port.maySendFrom(p)
}

// forward brings a frame to whoever its destination MAC names.
func (port *SwitchPort) forward(config *compiled, p *packet, frame []byte, now time.Time) {
	if frame[0]&1 != 0 { // broadcast and multicast
		if p.isNeighborDiscovery() && port.answerSolicitation(config, p, frame) {
			return
		}
		for _, to := range port.network.ports {
			if to != port && config.onLink(port, to) {
				config.hand(port, to, p, frame, now)
			}
		}
		return
	}
	destination := [6]byte(frame[0:6])
	if to := port.network.byMAC[destination]; to != nil && to != port {
		config.hand(port, to, p, frame, now)
		return
	}
	for i := range port.network.gateways {
		if port.network.gateways[i].mac == destination {
			port.route(config, p, frame, now)
			return
		}
	}
	port.counters.droppedFromHost.add(DropNoSuchMAC)
}

// onLink is whether a broadcast of one port reaches the other: they are in one
// subnet, or in none that is known.
func (c *compiled) onLink(a, b *SwitchPort) bool {
	s, other := c.ports[a.index].subnet, c.ports[b.index].subnet
	return s == nil || other == nil || s == other
}

// hand takes a frame through the receiver's groups and ingress tap to its host.
func (c *compiled) hand(from, to *SwitchPort, p *packet, frame []byte, now time.Time) {
	if c.ports[to.index].cutOff {
		to.counters.droppedToHost.add(DropCutOff)
		return
	}
	if !p.isNeighborDiscovery() && frame[0]&1 == 0 && c.guarded(to, from) && !c.admits(byACL, to, p, frame, true, now) {
		to.counters.droppedToHost.add(DropIngressACL)
		return
	}
	if !p.isNeighborDiscovery() && !c.admits(byGroups, to, p, frame, true, now) {
		to.counters.droppedToHost.add(DropIngressGroup)
		return
	}
	c.mirror(from, to, p, frame, true)
	c.handOver(to, frame)
}

// handOver gives a frame to the host, unless it is cut off.
func (c *compiled) handOver(port *SwitchPort, frame []byte) {
	if c.ports[port.index].cutOff {
		port.counters.droppedToHost.add(DropCutOff)
		return
	}
	if err := port.deliver(frame); err != nil {
		port.counters.droppedToHost.add(DropDevice)
		return
	}
	port.counters.toHost.Add(1)
}

// mirror copies the frame if the sessions of the source say so. by is the port
// whose Receive runs: the copy is built in its buffer.
func (c *compiled) mirror(by, source *SwitchPort, p *packet, frame []byte, ingress bool) {
	sessions := c.ports[source.index].sessions
	if len(sessions) == 0 {
		return
	}
	d := decide(sessions, p, ingress)
	if d.session == nil {
		return
	}
	count := d.session.counters
	if !d.accept {
		count.rejected.Add(1)
		return
	}
	target, t, ok := c.aim(source, d.session, p)
	kept := min(len(frame), d.session.length)
	total := 0
	if ok {
		total, kept = t.encapsulate(by.copyBuffer, frame, d.session.length)
	}
	count.copies.Add(1)
	count.innerBytes.Add(uint64(kept))
	switch {
	case target == nil:
		count.noTarget.Add(1)
	case c.ports[target.index].cutOff:
		count.targetDown.Add(1)
	case !ok:
		count.noRoute.Add(1)
	case c.copies.PassSourceACL && c.guarded(source, target) && !c.asks(byACL, source, t.question(false)):
		count.deniedBySourceACL.Add(1)
	case c.guarded(target, source) && !c.asks(byACL, target, t.question(true)):
		count.deniedByACL.Add(1)
	case !c.asks(byGroups, target, t.question(true)):
		count.denied.Add(1)
	case target.deliver(by.copyBuffer[:total]) != nil:
		count.device.Add(1)
	default:
		target.counters.toHost.Add(1)
		target.counters.copiesToHost.Add(1)
		count.delivered.Add(1)
	}
}

// tunnelFrom gives the outer addresses of a copy. Not ok when there is no way
// from the source to the target.
func (c *compiled) tunnelFrom(source, target *SwitchPort) (t tunnel, ok bool) {
	if target == nil {
		return t, false
	}
	t.destinationMAC = target.mac
	for _, six := range []bool{false, true} { // IPv4 is preferred
		from, to := firstAddress(source, six), firstAddress(target, six)
		if !from.IsValid() || !to.IsValid() {
			continue
		}
		if target.network != source.network && c.across(source, from, to) != target {
			continue
		}
		if g := target.network.gatewayOf(to); g != nil {
			t.source, t.destination, t.sourceMAC = from, to, g.mac
			return t, true
		}
	}
	return t, false
}

// question puts a copy into the words of the rules at its target, or at its
// source. Copies leave no flow behind: each is judged by the rules of its moment.
func (t *tunnel) question(ingress bool) question {
	return question{
		copied: true, ingress: ingress, ipv6: t.source.Is6(), protocol: protoUDP, source: t.source, destination: t.destination,
		hasPorts: true, sourcePort: t.sourcePort, destinationPort: t.port,
	}
}

// route forwards a packet sent to a gateway's MAC to the host in the VPC, or in
// one that a peering leads to, that has its destination address, as a router
// does: new MACs, one hop less.
func (port *SwitchPort) route(config *compiled, p *packet, frame []byte, now time.Time) {
	n := port.network
	for i := range n.gateways {
		if n.gateways[i].address == p.destination {
			if p.isNeighborDiscovery() && port.answerSolicitation(config, p, frame) {
				return
			}
			port.counters.droppedFromHost.add(DropToGateway)
			return
		}
	}
	to := n.byAddress[p.destination]
	if to == nil {
		to = config.across(port, p.source, p.destination)
	}
	if to == nil || to == port || p.isNeighborDiscovery() {
		port.counters.droppedFromHost.add(DropNoRoute)
		return
	}
	g := to.network.gatewayOf(p.destination)
	if g == nil {
		port.counters.droppedFromHost.add(DropNoRoute)
		return
	}
	ip := frame[p.network:]
	hops := &ip[8]
	if p.kind == kindIPv6 {
		hops = &ip[7]
	}
	if *hops <= 1 {
		port.counters.droppedFromHost.add(DropHopLimit)
		return
	}
	*hops--
	if p.kind == kindIPv4 { // RFC 1624, for a change of the word at offset 8 by -0x0100
		s := uint32(binary.BigEndian.Uint16(ip[10:])) + 0x0100
		binary.BigEndian.PutUint16(ip[10:], uint16(s+s>>16))
	}
	copy(frame[0:6], to.mac[:])
	copy(frame[6:12], g.mac[:])
	config.hand(port, to, p, frame, now)
}

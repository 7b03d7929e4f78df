package dataplane

import (
	"encoding/binary"
	"net/netip"
)

// balancer is a Balancer made ready for use.
type balancer struct {
	address      netip.Addr
	hidesClients bool
	members      []balanced
}

type balanced struct {
	port    *SwitchPort // nil when it is no interface here
	udpPort uint16
}

func compileBalancer(b *Balancer, plugged map[string]*SwitchPort) *balancer {
	if b == nil {
		return nil
	}
	c := &balancer{address: b.Address, hidesClients: b.HidesClients}
	for _, m := range b.Members {
		c.members = append(c.members, balanced{plugged[m.Port], m.UDPPort})
	}
	return c
}

// choose gives the member that gets a copy, by a hash (FNV-1a) of its outer addresses and ports: all copies of a
// flow go to one member. ok is false without members.
func (b *balancer) choose(source netip.Addr, sourcePort uint16) (m balanced, ok bool) {
	if len(b.members) == 0 {
		return m, false
	}
	h := uint32(2166136261)
	mix := func(octets []byte) {
		for _, o := range octets {
			h = (h ^ uint32(o)) * 16777619
		}
	}
	from, to := source.As16(), b.address.As16()
	mix(from[:])
	mix(to[:])
	mix([]byte{protoUDP})
	mix(binary.BigEndian.AppendUint16(nil, sourcePort))
	mix(binary.BigEndian.AppendUint16(nil, vxlanPort))
	return b.members[int((h^h>>16)%uint32(len(b.members)))], true
}

// aim gives where a copy of a source goes, and its tunnel. Not ok when there is no way, or nobody that takes it.
func (c *compiled) aim(source *SwitchPort, s *mirrorSession, p *packet) (target *SwitchPort, t tunnel, ok bool) {
	target = s.target
	to := uint16(vxlanPort)
	if s.balancer != nil {
		m, some := s.balancer.choose(firstAddress(source, s.balancer.address.Is6()), flowPort(p))
		if !some {
			return nil, t, false
		}
		target, to = m.port, m.udpPort
	}
	t, ok = c.tunnelFrom(source, target)
	t.sourcePort, t.port, t.vni, t.id = flowPort(p), to, s.vni, uint16(source.tunnelID.Add(1))
	if s.balancer != nil && s.balancer.hidesClients {
		t.source = s.balancer.address
	}
	return target, t, ok
}

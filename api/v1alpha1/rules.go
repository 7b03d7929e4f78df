package v1alpha1

import (
	"fmt"
	"net/netip"
)

// This file is the one reading of a rule: the manager sends the cloud, and the verifier
// judges copies by, what is read here.

// PortRange is Low to High, both included. The zero value stands for every port, and for
// packets that have none.
// +kubebuilder:object:generate=false
type PortRange struct {
	Low, High uint16
}

// Peer is one end of the packets that a rule matches, as read from the spec.
// +kubebuilder:object:generate=false
type Peer struct {
	// Prefix has no bits set behind its length. The zero value stands for every address.
	Prefix netip.Prefix
	Ports  PortRange
}

// Rule is a rule of a filter as read from the spec: defaults are filled in, and what
// means the same has the same value.
// +kubebuilder:object:generate=false
type Rule struct {
	Direction   Direction
	Priority    int
	Accept      bool
	IPv6        bool
	Protocol    Protocol
	Source      Peer
	Destination Peer
}

// ReadRules returns the rules of the spec in its order. An error names the field, its
// value and what is wrong with it; the API server refuses such a spec, as long as its
// checks are not switched off.
func (s *MirrorFilterSpec) ReadRules() ([]Rule, error) {
	out := make([]Rule, 0, len(s.Rules))
	for i := range s.Rules {
		rule, err := s.Rules[i].read()
		if err != nil {
			return nil, fmt.Errorf("spec.rules[%d].%w", i, err)
		}
		out = append(out, rule)
	}
	return out, nil
}

func (r *FilterRule) read() (Rule, error) {
	out := Rule{
		Direction: r.Direction,
		Priority:  int(r.Priority),
		Accept:    r.Action == ActionAccept,
		IPv6:      r.EtherType == EtherTypeIPv6,
		Protocol:  r.Protocol,
	}
	if out.Protocol == "" {
		out.Protocol = ProtocolAll
	}
	var err error
	if out.Source, err = r.Source.read(out.IPv6); err != nil {
		return Rule{}, fmt.Errorf("source.%w", err)
	}
	if out.Destination, err = r.Destination.read(out.IPv6); err != nil {
		return Rule{}, fmt.Errorf("destination.%w", err)
	}
	return out, nil
}

func (p *RulePeer) read(ipv6 bool) (Peer, error) {
	var out Peer
	if p == nil {
		return out, nil
	}
	if p.CIDR != "" {
		prefix, err := netip.ParsePrefix(p.CIDR)
		if err != nil {
			return Peer{}, fmt.Errorf("cidr: %q is not an address with a prefix length, such as 192.168.0.161/32", p.CIDR)
		}
		if prefix.Addr().Is4() == ipv6 {
			return Peer{}, fmt.Errorf("cidr: %q is not of the family of etherType: change one of the two", p.CIDR)
		}
		out.Prefix = prefix
	}
	if p.Port != nil {
		first, last := *p.Port, *p.Port
		if p.EndPort != nil {
			last = *p.EndPort
		}
		if first < 1 || last > 65535 || last < first {
			return Peer{}, fmt.Errorf("port: %d to %d is no range of ports: ports go from 1 to 65535, the smaller first", first, last)
		}
		out.Ports = PortRange{Low: uint16(first), High: uint16(last)}
	}
	return out.Normal(), nil
}

// Normal returns the peer in the form in which two that mean the same are equal: host
// bits of the prefix are cleared, a prefix of every address is none, and so is a range of
// every port.
func (p Peer) Normal() Peer {
	if !p.Prefix.IsValid() || p.Prefix.Bits() == 0 {
		p.Prefix = netip.Prefix{}
	}
	p.Prefix = p.Prefix.Masked()
	if p.Ports.Low <= 1 && p.Ports.High == 65535 {
		p.Ports = PortRange{}
	}
	return p
}

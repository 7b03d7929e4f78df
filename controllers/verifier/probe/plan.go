package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"vpcmirror.io/operator/api/v1alpha1"
)

// order is what a source's entry in status.probe asks for, as it is read and found to be within the bounds.
type order struct {
	kinds    []uint8
	from, to netip.Addr
	ports    v1alpha1.PortRange // zero for any
	port     uint16
	hopLimit uint8
	nonce    uint32
	answer   bool
}

// errBounds is an order that no verifier follows.
var errBounds = errors.New("it is not what a probe may send")

// read reads an order. What it must keep to is checked here too, whoever has written it: it goes to an address of the
// source it is about; or, where this host is the source itself, not beyond the subnet.
func read(s v1alpha1.ProbeSend, source v1alpha1.ResolvedInterface) (order, error) {
	from, err1 := netip.ParseAddr(s.From)
	to, err2 := netip.ParseAddr(s.To)
	if err1 != nil || err2 != nil || s.HopLimit < 1 || s.HopLimit > 64 {
		return order{}, fmt.Errorf("from %q to %q with the hop limit %d: %w", s.From, s.To, s.HopLimit, errBounds)
	}
	o := order{from: from.Unmap(), to: to.Unmap(), port: uint16(s.DestinationPort), hopLimit: uint8(s.HopLimit), nonce: uint32(s.Nonce), answer: s.Answer}
	o.ports = v1alpha1.PortRange{Low: uint16(s.SourcePort), High: uint16(max(s.SourcePort, s.SourceEndPort))}
	if !o.mayGo(source) {
		return order{}, fmt.Errorf("%s is no address that packets from %s may go to for the source %s: %w", s.To, s.From, s.InterfaceID, errBounds)
	}
	switch s.Kind {
	case v1alpha1.ProbeTCP:
		o.kinds = []uint8{protocolTCP, protocolTCP}
	case v1alpha1.ProbeUDP:
		o.kinds = []uint8{protocolUDP, protocolUDP}
	case v1alpha1.ProbeICMP:
		o.kinds = []uint8{protocolICMP, protocolICMP}
	case v1alpha1.ProbeAll:
		o.kinds = []uint8{protocolTCP, protocolUDP, protocolICMP}
	}
	if len(o.kinds) == 0 || len(o.kinds) > v1alpha1.MaxProbePackets {
		return order{}, fmt.Errorf("the kind %q: %w", s.Kind, errBounds)
	}
	return o, nil
}

// packet is one of the order's packets, from a port that was reserved for it.
func (o *order) packet(kind uint8, port uint16) Packet {
	p := Packet{Protocol: kind, From: o.from, To: o.to, HopLimit: o.hopLimit, Nonce: o.nonce}
	if kind != protocolICMP {
		p.SourcePort, p.DestinationPort, p.Spoiled = port, o.port, !o.answer
	}
	return p
}

// mayGo reports whether the packets go where those of a probe may.
func (o *order) mayGo(source v1alpha1.ResolvedInterface) bool {
	if o.from.Is4() != o.to.Is4() || o.from == o.to || o.to.IsMulticast() || o.to.IsLoopback() {
		return false
	}
	of := func(a netip.Addr) bool { return slices.Contains(source.Addresses, a.String()) }
	return of(o.to) || of(o.from) && o.hopLimit == 1
}

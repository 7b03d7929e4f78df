package dataplane

import (
	"cmp"
	"net/netip"
	"slices"
)

// Peering is a connection of two VPCs that is up.
type Peering struct {
	ID   string
	VPCs [2]string
}

// Route is a route of the table that a subnet obeys. The longest prefix decides.
// What is inside the VPC's own subnets is never routed away.
type Route struct {
	Destination netip.Prefix
	Peering     string // its ID; a route that goes elsewhere, or to a peering that is not up, leads nowhere
}

// peering is a Peering made ready for use.
type peering [2]*network

func (s *Switch) compilePeerings(all []Peering) map[string]peering {
	out := map[string]peering{}
	for _, p := range all {
		if a, b := s.networks[p.VPCs[0]], s.networks[p.VPCs[1]]; a != nil && b != nil && a != b {
			out[p.ID] = peering{a, b}
		}
	}
	return out
}

func compileRoutes(routes []Route) []Route {
	return slices.SortedStableFunc(slices.Values(routes), func(a, b Route) int {
		return cmp.Compare(b.Destination.Bits(), a.Destination.Bits())
	})
}

// next is the VPC that the route table of the port's subnet sends an address to,
// or nil.
func (c *compiled) next(port *SwitchPort, to netip.Addr) *network {
	s := c.ports[port.index].subnet
	if s == nil || port.network.gatewayOf(to) != nil {
		return nil
	}
	for _, r := range s.routes {
		if !r.Destination.Contains(to) {
			continue
		}
		switch p := c.peerings[r.Peering]; port.network {
		case p[0]:
			return p[1]
		case p[1]:
			return p[0]
		}
		return nil
	}
	return nil
}

// across is the port in another VPC that has an address, when both sides have
// routes to each other over a peering; nil otherwise.
func (c *compiled) across(port *SwitchPort, from, to netip.Addr) *SwitchPort {
	n := c.next(port, to)
	if n == nil {
		return nil
	}
	if other := n.byAddress[to]; other != nil && c.next(other, from) == port.network {
		return other
	}
	return nil
}

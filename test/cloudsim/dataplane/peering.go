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
	// Peering and Router are the ID of a peering, or of a router that joins all
	// VPCs with routes to it. A route with neither, or to a peering that is not up,
	// leads nowhere.
	Peering, Router string
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

// route is what the table of the port's subnet says about an address that is not
// in the VPC's own subnets.
func (c *compiled) route(port *SwitchPort, to netip.Addr) (r Route, ok bool) {
	s := c.ports[port.index].subnet
	if s == nil || port.network.gatewayOf(to) != nil {
		return r, false
	}
	i := slices.IndexFunc(s.routes, func(r Route) bool { return r.Destination.Contains(to) })
	if i < 0 {
		return r, false
	}
	return s.routes[i], true
}

// across is the port in another VPC that has an address, when the routes of both
// sides lead to each other over the same peering or router; nil otherwise.
func (c *compiled) across(port *SwitchPort, from, to netip.Addr) *SwitchPort {
	there, ok := c.route(port, to)
	if !ok {
		return nil
	}
	for _, n := range c.behind(there, port.network) {
		other := n.byAddress[to]
		if other == nil {
			continue
		}
		if back, ok := c.route(other, from); ok && back.Peering == there.Peering && back.Router == there.Router {
			return other
		}
	}
	return nil
}

// behind gives the VPCs that a route of a VPC may lead to.
func (c *compiled) behind(r Route, from *network) []*network {
	switch p := c.peerings[r.Peering]; {
	case r.Router != "":
		return c.networks
	case p[0] == from:
		return p[1:]
	case p[1] == from:
		return p[:1]
	}
	return nil
}

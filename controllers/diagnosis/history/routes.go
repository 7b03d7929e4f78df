package history

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// otherVPCs has an interface of each VPC of a source that is not the target's, in the order of the VPCs.
func (c *comparison) otherVPCs() []cloud.Interface {
	target := c.now.Target
	if target == nil || target.VPCID == "" {
		return nil
	}
	byVPC := map[string]cloud.Interface{}
	for _, s := range c.now.Sources {
		if _, known := byVPC[s.VPCID]; !known && s.VPCID != "" && s.VPCID != target.VPCID {
			byVPC[s.VPCID] = s
		}
	}
	out := make([]cloud.Interface, 0, len(byVPC))
	for _, vpc := range slices.Sorted(maps.Keys(byVPC)) {
		out = append(out, byVPC[vpc])
	}
	return out
}

// peerings compares those between the VPCs of sources and target.
func (c *comparison) peerings() {
	if !wereRead(c.before.Peerings, c.now.Peerings) {
		return
	}
	for _, source := range c.otherVPCs() {
		joins := func(p cloud.Peering) bool {
			return p.RequesterVPC == source.VPCID && p.AccepterVPC == c.now.Target.VPCID || p.AccepterVPC == source.VPCID && p.RequesterVPC == c.now.Target.VPCID
		}
		was, is := peeringsThat(c.before.Peerings.Value, joins), peeringsThat(c.now.Peerings.Value, joins)
		for _, id := range slices.Sorted(maps.Keys(was)) {
			if now, there := is[id]; !there {
				c.say("%s between the VPCs of source and target is gone", c.peering(was[id]))
			} else if now.Status != was[id].Status {
				c.say("%s between the VPCs of source and target was %s and is %s", c.peering(now), was[id].Status, now.Status)
			}
		}
		for _, id := range slices.Sorted(maps.Keys(is)) {
			if _, there := was[id]; !there {
				c.say("%s between the VPCs of source and target was made, and is %s", c.peering(is[id]), is[id].Status)
			}
		}
	}
}

func peeringsThat(all []cloud.Peering, fit func(cloud.Peering) bool) map[string]cloud.Peering {
	out := map[string]cloud.Peering{}
	for _, p := range all {
		if fit(p) {
			out[p.ID] = p
		}
	}
	return out
}

func (c *comparison) peering(p cloud.Peering) string {
	if c.private() {
		return "a peering"
	}
	return "the peering " + cmp.Or(p.Name, p.ID)
}

// routes compares where the subnets of sources and target send what is for each other.
func (c *comparison) routes() {
	if !wereRead(c.before.RouteTables, c.now.RouteTables) {
		return
	}
	done := map[string]bool{}
	for _, source := range c.otherVPCs() {
		for _, way := range [][2]cloud.Interface{{source, *c.now.Target}, {*c.now.Target, source}} {
			from, to := way[0], way[1]
			if len(to.Addresses) == 0 || done[from.SubnetID+to.Addresses[0].String()] {
				continue
			}
			done[from.SubnetID+to.Addresses[0].String()] = true
			was, known := c.routeOf(c.before, from, to.Addresses[0])
			is, still := c.routeOf(c.now, from, to.Addresses[0])
			if known && still && was != is {
				c.say("the route from the subnet of %s to %s was %s and is %s", c.called(from.ID), to.Addresses[0], c.route(was), c.route(is))
			}
		}
	}
}

// routeOf is the route that a subnet takes to an address, the zero value for none; known is
// whether its table was read.
func (c *comparison) routeOf(p *diagnosis.Path, from cloud.Interface, to netip.Addr) (out cloud.Route, known bool) {
	tables := p.RouteTables.Value
	i := slices.IndexFunc(tables, func(t cloud.RouteTable) bool { return slices.Contains(t.Subnets, from.SubnetID) })
	if i < 0 {
		i = slices.IndexFunc(tables, func(t cloud.RouteTable) bool { return t.Default && t.VPCID == from.VPCID })
	}
	if i < 0 || tables[i].Routes == nil {
		return out, false
	}
	for _, r := range tables[i].Routes {
		longer := !out.Destination.IsValid() || r.Destination.Bits() > out.Destination.Bits() ||
			r.Destination.Bits() == out.Destination.Bits() && r.Type+r.NextHop < out.Type+out.NextHop
		if r.Destination.IsValid() && r.Destination.Contains(to) && longer {
			out = r
		}
	}
	return out, true
}

func (c *comparison) route(r cloud.Route) string {
	switch {
	case !r.Destination.IsValid():
		return "none"
	case c.private():
		return "one by " + r.Type
	default:
		return fmt.Sprintf("%s by %s %s", r.Destination, r.Type, r.NextHop)
	}
}

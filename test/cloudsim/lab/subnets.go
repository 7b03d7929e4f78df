package lab

import (
	"slices"
	"strings"

	"vpcmirror.io/operator/test/cloudsim/dataplane"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// subnets are those of the state with what guards them.
func subnets(w *state.World) []dataplane.Subnet {
	var out []dataplane.Subnet
	for id := range w.Subnets {
		s := dataplane.Subnet{ID: id}
		if f, ok := w.FirewallOf(id); ok {
			s.ACL = &dataplane.ACL{Off: f.Off, Ingress: aclRules(w, f.Ingress), Egress: aclRules(w, f.Egress)}
		}
		if t, ok := w.RouteTableOf(id); ok {
			s.Routes = routes(t)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b dataplane.Subnet) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// routes of any other type than to a peering or an enterprise router lead nowhere.
func routes(t state.RouteTable) []dataplane.Route {
	var out []dataplane.Route
	for _, r := range t.Routes {
		route := dataplane.Route{Destination: prefix(r.Destination)}
		switch r.Type {
		case state.RoutePeering:
			route.Peering = r.NextHop
		case state.RouteRouter:
			route.Router = r.NextHop
		}
		out = append(out, route)
	}
	return out
}

// peerings are those that are up.
func peerings(w *state.World) []dataplane.Peering {
	var out []dataplane.Peering
	for _, p := range w.Peerings {
		if p.Status == state.PeeringActive {
			out = append(out, dataplane.Peering{ID: p.ID, VPCs: [2]string{p.Requester.VPCID, p.Accepter.VPCID}})
		}
	}
	slices.SortFunc(out, func(a, b dataplane.Peering) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func aclRules(w *state.World, rules []state.FirewallRule) []dataplane.ACLRule {
	out := make([]dataplane.ACLRule, 0, len(rules))
	for _, r := range rules {
		out = append(out, dataplane.ACLRule{
			IPv6: r.IPVersion == 6, Protocol: r.Protocol, Deny: r.Action == "deny", Disabled: !r.Enabled,
			Source: addresses(w, r.SourceAddress, r.SourceGroup), Destination: addresses(w, r.DestinationAddress, r.DestinationGroup),
			SourcePorts: r.SourcePort, DestinationPorts: r.DestinationPort,
		})
	}
	return out
}

// addresses are those of a CIDR or of an address group; nil, which is any, without both.
func addresses(w *state.World, cidr, group string) *dataplane.AddressSet {
	if group != "" {
		return addressGroup(w, group)
	}
	return dataplane.PrefixSet(prefix(cidr))
}

// addressGroup is nil without a group; a group that is gone has no members.
func addressGroup(w *state.World, id string) *dataplane.AddressSet {
	if id == "" {
		return nil
	}
	set := &dataplane.AddressSet{}
	for _, r := range w.AddressGroups[id].Ranges() {
		set.Ranges = append(set.Ranges, dataplane.AddressRange(r))
	}
	return set
}

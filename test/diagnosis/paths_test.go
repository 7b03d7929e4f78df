package diagnosis

import (
	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// acl gives a subnet of the row a network ACL with these rules; the last one allows all that
// leaves.
func (s *site) acl(n nic, up bool, ingress ...state.FirewallRuleInput) error {
	f, err := s.cloud.State.CreateFirewall(project, state.FirewallInput{Name: new("acl-" + s.id), Up: &up})
	if err != nil {
		return err
	}
	if _, err := s.cloud.State.InsertFirewallRules(project, f.ID, ingress, []state.FirewallRuleInput{aclRule("allow", "any")}, ""); err != nil {
		return err
	}
	_, err = s.cloud.State.AssociateSubnets(project, f.ID, []string{n.subnet})
	return err
}

func aclRule(action, protocol string) state.FirewallRuleInput {
	return state.FirewallRuleInput{Action: &action, Protocol: &protocol, IPVersion: new(4)}
}

// outOf gives a rule another protocol's port.
func toPort(r state.FirewallRuleInput, port string) state.FirewallRuleInput {
	r.DestinationPort = &port
	return r
}

// byACL is what is said of an ACL.
func byACL(subject string, words ...string) says {
	return says{
		reason: v1alpha1.ReasonNetworkACLDenies, subject: subject, path: "False", words: append([]string{"acl-{session}"}, words...),
	}
}

// byRoute is what is said of a missing route.
func byRoute(words ...string) says {
	return says{reason: v1alpha1.ReasonNoRoute, path: "False", words: words}
}

// routes changes the route table of a VPC.
func (s *site) routes(vpc string, in state.RouteTableInput) error {
	_, err := s.cloud.State.UpdateRouteTable(project, id("routes", vpc), in)
	return err
}

// there is the CIDR of the row's VPC.
func (s *site) there() string { return s.now().VPCs[id("vpc", s.id)].CIDR }

// peering gives the row's peering a status.
func (s *site) peering(status string) error {
	_, err := s.cloud.State.SetPeeringStatus(id("peering", s.id), status)
	return err
}

// otherPeering joins the main VPC with that of another row.
func (s *site) otherPeering() string {
	for _, other := range s.sites {
		if other.id != s.id && other.needs.vpc && !other.needs.unpeered {
			s.fresh = id("peering", other.id)
		}
	}
	return s.fresh
}

// pathCauses: network ACLs, and the way between VPCs.
var pathCauses = []cause{
	{
		id: "acl-default", name: "a network ACL that allows nothing in is put on the target's subnet", by: "read", flows: true,
		needs:  needs{targetSubnet: true},
		inject: func(s *site) error { return s.acl(s.target, true) },
		want:   byACL("{source}", "4789"),
	},
	{
		id: "acl-deny", name: "a network ACL on the target's subnet denies UDP before it allows all", by: "read", flows: true,
		needs:  needs{targetSubnet: true},
		inject: func(s *site) error { return s.acl(s.target, true, aclRule("deny", "udp"), aclRule("allow", "any")) },
		want:   byACL("{source}", "deny", "4789"),
	},
	{
		id: "acl-tcp", name: "the network ACL of the target's subnet allows TCP alone", by: "read", needs: needs{targetSubnet: true},
		inject: func(s *site) error { return s.acl(s.target, true, aclRule("allow", "tcp")) },
		want:   byACL("{source}", "4789"),
	},
	{
		id: "acl-port", name: "the network ACL of the target's subnet allows UDP 4790 alone", by: "read", needs: needs{targetSubnet: true},
		inject: func(s *site) error { return s.acl(s.target, true, toPort(aclRule("allow", "udp"), "4790")) },
		want:   byACL("{source}", "4789"),
	},
	{
		id: "acl-off", name: "the network ACL of the target's subnet is switched off, which denies all", by: "read", needs: needs{targetSubnet: true},
		inject: func(s *site) error { return s.acl(s.target, false, aclRule("allow", "any")) },
		want:   byACL("{source}", "off"),
	},
	{
		id: "acl-disabled", name: "the rule that allows in the network ACL of the target's subnet is switched off", by: "read", needs: needs{targetSubnet: true},
		inject: func(s *site) error {
			r := aclRule("allow", "any")
			r.Enabled = new(false)
			return s.acl(s.target, true, r)
		},
		want: byACL("{source}", "4789"),
	},
	{
		id: "acl-source", name: "the network ACL of the source's subnet does not let in what the filter accepts", by: "read",
		needs:  needs{sourceSubnet: true, port: lowPort},
		inject: func(s *site) error { return s.acl(s.sources[0], true, aclRule("allow", "tcp")) },
		want:   byACL("{source}", "514"),
	},
	{
		id: "acl-source-closed", name: "a network ACL on the source's subnet no longer lets in what the filter accepts", by: "read", flows: true,
		needs:  needs{sourceSubnet: true},
		inject: func(s *site) error { return s.acl(s.sources[0], true, aclRule("allow", "tcp")) },
		want:   byACL("{source}"),
	},
	{
		id: "vpc-alone", name: "source and target are in VPCs that no peering joins", by: "read", needs: needs{vpc: true, unpeered: true},
		want: says{reason: v1alpha1.ReasonNoPeering, path: "False", words: []string{"{source.vpc}", "{target.vpc}", "peering"}},
	},
	{
		id: "vpc-pending", name: "the peering of the two VPCs is not accepted yet", by: "read", needs: needs{vpc: true},
		inject: func(s *site) error { return s.peering(state.PeeringPending) },
		want:   says{reason: v1alpha1.ReasonNoPeering, path: "False", words: []string{"peering-{session}", "PENDING_ACCEPTANCE", "accept"}},
	},
	{
		id: "vpc-rejected", name: "the peering of the two VPCs is rejected", by: "read", needs: needs{vpc: true},
		inject: func(s *site) error { return s.peering(state.PeeringRejected) },
		want:   says{reason: v1alpha1.ReasonNoPeering, path: "False", words: []string{"peering-{session}", "REJECTED"}},
	},
	{
		id: "vpc-expired", name: "the peering of the two VPCs expires", by: "read", flows: true, needs: needs{vpc: true},
		inject: func(s *site) error { return s.peering(state.PeeringExpired) },
		want:   says{reason: v1alpha1.ReasonNoPeering, path: "False", words: []string{"peering-{session}", "EXPIRED"}},
	},
	{
		id: "vpc-unpeered", name: "the peering of the two VPCs is deleted", by: "read", flows: true, needs: needs{vpc: true},
		inject: func(s *site) error { return s.cloud.State.DeletePeering(project, id("peering", s.id)) },
		want:   says{reason: v1alpha1.ReasonNoPeering, path: "False", words: []string{"peering"}},
	},
	{
		id: "route-there", name: "the route from the source's VPC to the target's is deleted", by: "read", flows: true, needs: needs{vpc: true},
		inject: func(s *site) error { return s.routes(mainVPC, state.RouteTableInput{Delete: []string{s.there()}}) },
		want:   byRoute("rtb-main", "{target}", "peering-{session}"),
	},
	{
		id: "route-back", name: "the route from the target's VPC to the source's is deleted", by: "read", flows: true, needs: needs{vpc: true},
		inject: func(s *site) error { return s.routes(s.id, state.RouteTableInput{Delete: []string{"10.20.0.0/16"}}) },
		want:   byRoute("rtb-{session}", "{source}", "peering-{session}"),
	},
	{
		id: "route-elsewhere", name: "a longer route leads to a server in place of the target's VPC", by: "read", flows: true, needs: needs{vpc: true},
		inject: func(s *site) error {
			return s.routes(mainVPC, state.RouteTableInput{Add: []state.Route{
				{Type: "ecs", Destination: s.target.cidr(), NextHop: id("server", peerHost)},
			}})
		},
		want: byRoute("rtb-main", "{target}/32", "ecs"),
	},
	{
		id: "route-other-peering", name: "the route to the target's VPC leads to the peering with another VPC", by: "read", flows: true, needs: needs{vpc: true},
		inject: func(s *site) error {
			return s.routes(mainVPC, state.RouteTableInput{Modify: []state.Route{
				{Type: state.RoutePeering, Destination: s.there(), NextHop: s.otherPeering()},
			}})
		},
		want: byRoute("rtb-main", `leads to peering "peering-`, "peering-{session}"),
	},
	{
		id: "route-router", name: "the way to the target's VPC is by an enterprise router that has no attachment there", by: "read", needs: needs{vpc: true},
		inject: func(s *site) error {
			return s.routes(mainVPC, state.RouteTableInput{Modify: []state.Route{
				{Type: state.RouteRouter, Destination: s.there(), NextHop: id("router", s.id)},
			}})
		},
		want: says{condition: v1alpha1.ConditionPathClear, reason: v1alpha1.ReasonNotJudged, path: "Unknown", words: []string{"enterprise router"}},
	},
}

package diagnosis_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

var cmpFinding = cmp.AllowUnexported(finding{})

const nothingFound = "nothing that was read stands in the way of the copies to 10.0.0.1"

// noRule is what is found where no rule of the target's group lets copies of both sources in.
var noRule = []finding{{"Error", "TargetGroupDenies", "target 10.0.0.1",
	`security group "target" of 10.0.0.1 has no rule that allows UDP 4789 from 10.0.0.11 and 10.0.0.12`,
	`allow UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32 in security group "target"`}}

// deniedBy is the same where a rule denies them.
func deniedBy(rule, remedy string) []finding {
	return []finding{{"Error", "TargetGroupDenies", "target 10.0.0.1",
		`security group "target" of 10.0.0.1 denies UDP 4789 from 10.0.0.11 and 10.0.0.12: ` + rule, remedy}}
}

// with changes a rule.
func with(r cloud.GroupRule, edit func(*cloud.GroupRule)) cloud.GroupRule {
	edit(&r)
	return r
}

func TestTheTargetsGroupsKeepOutWhatNoRuleAllowsAndWhatOneDenies(t *testing.T) {
	open := allow("11111111-1", "", 0, "")
	later := with(open, func(r *cloud.GroupRule) { r.Priority = 9 })
	looks(t, map[string]look{
		"nothing is found where a rule allows UDP 4789 from all sources": {verdict: said{"True", "Clear", nothingFound}},
		"a rule may name the protocol by its number":                     {edit: func(w *way) { w.rules(groupOfTarget, allow("1", "17", 4789, "")) }},
		"a rule may be for every protocol":                               {edit: func(w *way) { w.rules(groupOfTarget, open) }},
		"a rule may name a range of ports": {edit: func(w *way) {
			w.rules(groupOfTarget, with(open, func(r *cloud.GroupRule) {
				r.Protocol, r.Ports = "udp", []cloud.PortRange{{Low: 22, High: 22}, {Low: 4000, High: 4789}}
			}))
		}},
		"nothing is let in without a rule": {edit: func(w *way) { w.rules(groupOfTarget) }, found: noRule},
		"a rule for another port is none":  {edit: func(w *way) { w.rules(groupOfTarget, allow("1", "udp", 4788, "")) }, found: noRule},
		"a rule for TCP is none":           {edit: func(w *way) { w.rules(groupOfTarget, allow("1", "tcp", 4789, "")) }, found: noRule},
		"a rule for IPv6 is none": {
			edit:  func(w *way) { w.rules(groupOfTarget, with(open, func(r *cloud.GroupRule) { r.IPv6 = true })) },
			found: noRule,
		},
		"a rule for what goes out is none": {edit: func(w *way) { w.rules(groupOfTarget, outwards("1")) }, found: noRule},
		"a rule that is switched off is none": {
			edit:  func(w *way) { w.rules(groupOfTarget, with(open, func(r *cloud.GroupRule) { r.Disabled = true })) },
			found: noRule,
		},
		"a rule for other addresses is none": {edit: func(w *way) { w.rules(groupOfTarget, allow("1", "udp", 4789, "10.0.1.0/24")) }, found: noRule},
		"a rule for one of two sources keeps out the other": {
			func(w *way) { w.rules(groupOfTarget, allow("11111111-1", "udp", 4789, "10.0.0.11/32")) },
			[]finding{{"Warning", "TargetGroupDenies", "source 10.0.0.12",
				`security group "target" of 10.0.0.1 has no rule that allows UDP 4789 from 10.0.0.12`,
				`allow UDP 4789 from 10.0.0.12/32 in security group "target"`}},
			said{"False", "TargetGroupDenies", `1 of 2 sources: security group "target" of 10.0.0.1 has no rule that allows UDP 4789 from 10.0.0.12`},
		},
		"a denial of a smaller priority number comes first": {
			edit: func(w *way) {
				w.rules(groupOfTarget, later, with(deny("9d1c0a2e-1", "udp", 0, "10.0.0.0/24"), func(r *cloud.GroupRule) {
					r.Priority, r.Ports = 5, []cloud.PortRange{{Low: 4000, High: 5000}}
				}))
			},
			found: deniedBy("rule 9d1c0a2e ingress deny udp 4000-5000 from 10.0.0.0/24, priority 5",
				`allow UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32 in security group "target" with priority 4, or narrow rule 9d1c0a2e`),
		},
		"of equal numbers a denial comes first": {
			edit: func(w *way) { w.rules(groupOfTarget, open, deny("9d1c0a2e-1", "", 0, "")) },
			found: deniedBy("rule 9d1c0a2e ingress deny all protocols from any address, priority 1",
				`narrow or remove rule 9d1c0a2e in security group "target", as no rule comes before one of priority 1, `+
					`and allow UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32`),
		},
		"an allowance of a smaller number comes first": {
			edit: func(w *way) {
				w.rules(groupOfTarget, open, with(deny("1", "", 0, ""), func(r *cloud.GroupRule) { r.Priority = 2 }))
			},
		},
		"an interface without any group lets nothing in": {
			edit: func(w *way) { w.Target.SecurityGroups = nil },
			found: []finding{{"Error", "TargetGroupDenies", "target 10.0.0.1",
				"the target 10.0.0.1 has no security group, so that nothing lets UDP 4789 in from 10.0.0.11 and 10.0.0.12",
				"give it a security group that allows UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32"}},
		},
		"without port security no group judges": {edit: func(w *way) { w.rules(groupOfTarget); w.Target.Unsecured = true }},
		"each source may be kept out by another rule": {
			edit: func(w *way) {
				w.rules(groupOfTarget, later, with(deny("aaaaaaaa-1", "udp", 4789, "10.0.0.11/32"), func(r *cloud.GroupRule) { r.Priority = 2 }),
					with(deny("bbbbbbbb-1", "", 0, "10.0.0.12/31"), func(r *cloud.GroupRule) { r.Priority = 3 }))
			},
			found: []finding{{"Error", "TargetGroupDenies", "target 10.0.0.1",
				`security group "target" of 10.0.0.1 denies UDP 4789 from 10.0.0.11: rule aaaaaaaa ingress deny udp 4789 from 10.0.0.11/32, priority 2; ` +
					`security group "target" of 10.0.0.1 denies UDP 4789 from 10.0.0.12: rule bbbbbbbb ingress deny all protocols from 10.0.0.12/31, priority 3`,
				`allow UDP 4789 from 10.0.0.11/32 in security group "target" with priority 1, or narrow rule aaaaaaaa; ` +
					`allow UDP 4789 from 10.0.0.12/32 in security group "target" with priority 2, or narrow rule bbbbbbbb`}},
		},
		"with credentials of several tenants neither group nor rule is named": {
			edit: func(w *way) { w.rules(groupOfTarget, deny("9d1c0a2e-1", "", 0, "")); w.Private = true },
			found: []finding{{"Error", "TargetGroupDenies", "target 10.0.0.1",
				"a security group of 10.0.0.1 denies UDP 4789 from 10.0.0.11 and 10.0.0.12",
				"narrow or remove the rule that denies them in a security group, as no rule comes before one of priority 1, " +
					"and allow UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32"}},
		},
		"IPv6 copies go by the rules for IPv6": {
			edit: func(w *way) {
				w.one()
				w.Target.Addresses = []netip.Addr{netip.MustParseAddr("fd00::1")}
				w.Sources[0].Addresses = append(w.Sources[0].Addresses, netip.MustParseAddr("fd00::11"))
			},
			found: []finding{{"Error", "TargetGroupDenies", "target fd00::1",
				`security group "target" of fd00::1 has no rule that allows UDP 4789 from 10.0.0.11`,
				`allow UDP 4789 from fd00::11/128 in security group "target"`}},
		},
	})
}

func TestOfSeveralGroupsTheFirstThatHasARuleForTheCopiesDecides(t *testing.T) {
	second := func(w *way, rules ...cloud.GroupRule) {
		w.Target.SecurityGroups = []string{groupOfTarget, "sg-3"}
		w.Groups.Value["sg-3"] = cloud.SecurityGroup{ID: "sg-3", Name: "second", Rules: rules}
	}
	looks(t, map[string]look{
		"an allowance in the second where the first has none": {
			edit: func(w *way) { w.rules(groupOfTarget); second(w, allow("1", "udp", 4789, "")) },
		},
		"no rule in any": {
			edit: func(w *way) { w.rules(groupOfTarget); second(w) },
			found: []finding{{"Error", "TargetGroupDenies", "target 10.0.0.1",
				`security group "target" and security group "second" of 10.0.0.1 have no rule that allows UDP 4789 from 10.0.0.11 and 10.0.0.12`,
				`allow UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32 in one of them`}},
		},
		"a denial in the second does not matter where the first allows": {
			edit: func(w *way) {
				w.rules(groupOfTarget, with(allow("1", "udp", 4789, ""), func(r *cloud.GroupRule) { r.Priority = 50 }))
				second(w, deny("2", "", 0, ""))
			},
		},
		"a denial in the second where the first has none": {
			edit: func(w *way) {
				w.rules(groupOfTarget)
				second(w, with(deny("9d1c0a2e-1", "", 0, ""), func(r *cloud.GroupRule) { r.Priority = 7 }))
			},
			found: []finding{{"Error", "TargetGroupDenies", "target 10.0.0.1",
				`security group "second" of 10.0.0.1 denies UDP 4789 from 10.0.0.11 and 10.0.0.12: ` +
					`rule 9d1c0a2e ingress deny all protocols from any address, priority 7`,
				`allow UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32 in security group "second" with priority 6, or narrow rule 9d1c0a2e`}},
		},
		"one that is not listed may decide": {
			edit:    func(w *way) { w.rules(groupOfTarget); w.Target.SecurityGroups = []string{"sg-9", groupOfTarget} },
			verdict: said{"Unknown", "NotJudged", "security group sg-9 is not in the cloud's list"},
		},
	})
}

func TestARuleForAGroupIsProbablyForTheCopiesOfItsMembers(t *testing.T) {
	members := func(allows bool) cloud.GroupRule {
		return with(allow("9d1c0a2e-1", "udp", 4789, ""), func(r *cloud.GroupRule) { r.Allow, r.RemoteGroupID, r.Priority = allows, groupOfSources, 3 })
	}
	const assumed = ", assuming that rule 9d1c0a2e in security group \"target\", which is for the members of security group \"sources\", is for their copies too"
	looks(t, map[string]look{
		"it admits them, which is assumed": {
			edit:    func(w *way) { w.rules(groupOfTarget, members(true)) },
			verdict: said{"True", "Clear", nothingFound + assumed},
		},
		"nothing is assumed where another rule admits them too": {
			edit: func(w *way) {
				w.rules(groupOfTarget, members(true), with(allow("1", "", 0, ""), func(r *cloud.GroupRule) { r.Priority = 9 }))
			},
			verdict: said{"True", "Clear", nothingFound},
		},
		"it probably denies them": {
			edit: func(w *way) {
				w.rules(groupOfTarget, members(false), with(allow("1", "", 0, ""), func(r *cloud.GroupRule) { r.Priority = 9 }))
			},
			found: []finding{{"Error", "TargetGroupDenies", "target 10.0.0.1",
				`security group "target" of 10.0.0.1 probably denies UDP 4789 from 10.0.0.11 and 10.0.0.12: ` +
					`rule 9d1c0a2e ingress deny udp 4789 from members of security group "sources", priority 3`,
				`allow UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32 in security group "target" with priority 2, or narrow rule 9d1c0a2e`}},
		},
		"it is not for who is no member": {
			edit: func(w *way) {
				w.rules(groupOfTarget, members(true))
				w.Sources[0].SecurityGroups, w.Sources[1].SecurityGroups = []string{"sg-3"}, []string{"sg-3"}
				w.Groups.Value["sg-3"] = cloud.SecurityGroup{ID: "sg-3", Rules: []cloud.GroupRule{allow("1", "", 0, "")}}
			},
			found: noRule,
		},
		"it is not for members in another VPC": {
			edit: func(w *way) {
				w.rules(groupOfTarget, members(true))
				joined(w)
			},
			found: noRule,
		},
	})
}

// joined puts the target into another VPC, to which a peering leads.
func joined(w *way) {
	w.Target.VPCID, w.Target.SubnetID = "vpc-2", "subnet-2"
	w.lists(*w.Target)
	w.Peerings.Value = []cloud.Peering{{ID: "peering-1", Name: "joins", Status: "ACTIVE", RequesterVPC: "vpc-2", AccepterVPC: vpcID}}
	w.RouteTables.Value = []cloud.RouteTable{
		{ID: "table-1", Name: "ours", VPCID: vpcID, Default: true, Routes: []cloud.Route{route("peering", "10.0.0.0/28", "peering-1")}},
		{ID: "table-2", Name: "theirs", VPCID: "vpc-2", Default: true, Routes: []cloud.Route{route("peering", "10.0.0.0/24", "peering-1")}},
	}
}

func route(kind, to, over string) cloud.Route {
	return cloud.Route{Type: kind, Destination: netip.MustParsePrefix(to), NextHop: over}
}

func TestARuleForAnAddressGroupIsForTheAddressesInIt(t *testing.T) {
	byGroup := with(allow("9d1c0a2e-1", "udp", 4789, ""), func(r *cloud.GroupRule) { r.RemoteAddressGroupID = "ag-1" })
	group := func(w *way, first, last, unreadable string) {
		w.rules(groupOfTarget, byGroup)
		w.AddressGroups.Value["ag-1"] = cloud.AddressGroup{ID: "ag-1", Name: "hosts", Unreadable: unreadable,
			Ranges: []cloud.AddressRange{{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}}}
	}
	looks(t, map[string]look{
		"they are in it": {edit: func(w *way) { group(w, "10.0.0.11", "10.0.0.12", "") }},
		"one is not in it": {
			edit: func(w *way) { group(w, "10.0.0.12", "10.0.0.20", "") },
			found: []finding{{"Warning", "TargetGroupDenies", "source 10.0.0.11",
				`security group "target" of 10.0.0.1 has no rule that allows UDP 4789 from 10.0.0.11`,
				`allow UDP 4789 from 10.0.0.11/32 in security group "target"`}},
		},
		"an entry that can't be read may have them": {
			edit:    func(w *way) { group(w, "10.0.0.40", "10.0.0.50", "10.0.0.x") },
			verdict: said{"Unknown", "NotJudged", `address group "hosts" has an entry that can't be read: 10.0.0.x`},
		},
		"an entry that can't be read does not matter where another has them": {
			edit: func(w *way) { group(w, "10.0.0.1", "10.0.0.50", "10.0.0.x") },
		},
		"groups that may not be read decide": {
			edit: func(w *way) {
				w.rules(groupOfTarget, byGroup)
				w.AddressGroups = refused[map[string]cloud.AddressGroup]("vpc:addressGroups:list")
			},
			verdict: said{"Unknown", "NotPermitted", "the account may not read address groups: grant it vpc:addressGroups:list"},
		},
		"groups that may not be read don't matter where another rule allows too": {
			edit: func(w *way) {
				w.rules(groupOfTarget, byGroup, with(allow("1", "", 0, ""), func(r *cloud.GroupRule) { r.Priority = 9 }))
				w.AddressGroups = refused[map[string]cloud.AddressGroup]("vpc:addressGroups:list")
			},
		},
	})
}

func TestWhatCantBeReadOfTheTargetsGroupsIsNotJudged(t *testing.T) {
	broken := with(allow("9d1c0a2e-1", "udp", 4789, ""), func(r *cloud.GroupRule) { r.Priority, r.Unreadable = 5, "action" })
	looks(t, map[string]look{
		"a rule": {
			edit:    func(w *way) { w.rules(groupOfTarget, broken) },
			verdict: said{"Unknown", "NotJudged", `rule 9d1c0a2e in security group "target" can't be read: action`},
		},
		"a rule of the same number as one that allows, as it may deny": {
			edit: func(w *way) {
				w.rules(groupOfTarget, allow("1", "", 0, ""), with(broken, func(r *cloud.GroupRule) { r.Priority = 1 }))
			},
			verdict: said{"Unknown", "NotJudged", `rule 9d1c0a2e in security group "target" can't be read: action`},
		},
		"not a rule that one comes before": {edit: func(w *way) { w.rules(groupOfTarget, broken, allow("1", "", 0, "")) }},
		"not a rule that is switched off": {
			edit:  func(w *way) { w.rules(groupOfTarget, with(broken, func(r *cloud.GroupRule) { r.Disabled = true })) },
			found: noRule,
		},
		"not a rule for what goes out": {
			edit: func(w *way) {
				w.rules(groupOfTarget, with(broken, func(r *cloud.GroupRule) { r.Direction = cloud.Egress }))
			},
			found: noRule,
		},
		"a rule of a protocol that nobody knows": {
			edit:    func(w *way) { w.rules(groupOfTarget, allow("9d1c0a2e-1", "quic", 0, "")) },
			verdict: said{"Unknown", "NotJudged", `rule 9d1c0a2e in security group "target" can't be judged`},
		},
		"all of them, for want of a right": {
			edit: func(w *way) { w.Groups = refused[map[string]cloud.SecurityGroup]("vpc:securityGroups:list") },
			verdict: said{"Unknown", "NotPermitted",
				"the account may not read security groups and their rules: grant it vpc:securityGroups:list"},
		},
		"all of them, as the region has no such call": {
			edit: func(w *way) {
				w.Groups = diagnosis.Answer[map[string]cloud.SecurityGroup]{Missing: &diagnosis.Missing{Says: "APIGW.0101"}}
			},
			verdict: said{"Unknown", "NotJudged", "security groups and their rules could not be read: APIGW.0101"},
		},
	})
}

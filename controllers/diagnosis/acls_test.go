package diagnosis_test

import (
	"net/netip"
	"strings"
	"testing"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// inbound is a rule of a network ACL that allows UDP 4789 from a prefix, or denies it.
func inbound(allow bool, from string) cloud.ACLRule {
	r := cloud.ACLRule{ID: "9d1c0a2e-1", Allow: allow, Protocol: "udp", DestinationPorts: []cloud.PortRange{{Low: 4789, High: 4789}}}
	if from != "" {
		r.Source = netip.MustParsePrefix(from)
	}
	return r
}

// guarded puts the target into another subnet of the VPC, which has a network ACL with these rules.
func guarded(w *way, ingress ...cloud.ACLRule) {
	w.Target.SubnetID = "subnet-2"
	w.lists(*w.Target)
	w.ACLs.Value = []cloud.NetworkACL{{
		ID: "acl-1", Name: "strict", Enabled: true, Subnets: []string{"subnet-2"}, Ingress: append([]cloud.ACLRule{}, ingress...), Egress: []cloud.ACLRule{},
	}}
}

func TestTheNetworkACLOfTheTargetsSubnetKeepsOutWhatNoRuleAllowsFirst(t *testing.T) {
	noRule := []finding{{"Error", "NetworkACLDenies", "target 10.0.0.1",
		`network ACL "strict" of the subnet of 10.0.0.1 has no inbound rule that allows UDP 4789 from 10.0.0.11 and 10.0.0.12`,
		`allow inbound UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32 to 10.0.0.1/32 in network ACL "strict", or take the subnet off it`}}
	looks(t, map[string]look{
		"a rule allows the copies":          {edit: func(w *way) { guarded(w, inbound(true, "10.0.0.0/24")) }},
		"no rule does":                      {edit: func(w *way) { guarded(w) }, found: noRule},
		"one that is switched off does not": {edit: func(w *way) { r := inbound(true, ""); r.Disabled = true; guarded(w, r) }, found: noRule},
		"one for IPv6 does not":             {edit: func(w *way) { r := inbound(true, ""); r.IPv6 = true; guarded(w, r) }, found: noRule},
		"one for other destinations doesn't": {edit: func(w *way) {
			r := inbound(true, "")
			r.Destination = netip.MustParsePrefix("10.0.0.2/32")
			guarded(w, r)
		}, found: noRule},
		"one that denies comes first": {
			edit: func(w *way) { guarded(w, inbound(false, "10.0.0.0/28"), inbound(true, "")) },
			found: []finding{{"Error", "NetworkACLDenies", "target 10.0.0.1",
				`network ACL "strict" of the subnet of 10.0.0.1 denies UDP 4789 from 10.0.0.11 and 10.0.0.12: ` +
					`rule 9d1c0a2e deny udp from 10.0.0.0/28 to any address port 4789`,
				`allow inbound UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32 to 10.0.0.1/32 in network ACL "strict" before rule 9d1c0a2e, or narrow that rule`}},
		},
		"one that denies comes later": {edit: func(w *way) { guarded(w, inbound(true, ""), inbound(false, "")) }},
		"one of two sources is allowed": {
			edit: func(w *way) { guarded(w, inbound(true, "10.0.0.12/32")) },
			found: []finding{{"Warning", "NetworkACLDenies", "source 10.0.0.11",
				`network ACL "strict" of the subnet of 10.0.0.1 has no inbound rule that allows UDP 4789 from 10.0.0.11`,
				`allow inbound UDP 4789 from 10.0.0.11/32 to 10.0.0.1/32 in network ACL "strict", or take the subnet off it`}},
		},
		"one that is switched off denies all": {
			edit: func(w *way) { guarded(w, inbound(true, "")); w.ACLs.Value[0].Enabled = false },
			found: []finding{{"Error", "NetworkACLDenies", "target 10.0.0.1",
				`network ACL "strict" of the subnet of 10.0.0.1 is switched off, which lets nothing in from other subnets, nor UDP 4789 from 10.0.0.11 and 10.0.0.12`,
				`switch network ACL "strict" on with an inbound rule that allows UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32, or take the subnet off it`}},
		},
		"not what stays inside of the subnet": {edit: func(w *way) { guarded(w); w.ACLs.Value[0].Subnets = []string{subnetID}; w.Target.SubnetID = subnetID }},
		"not that of the source's subnet":     {edit: func(w *way) { guarded(w); w.ACLs.Value[0].Subnets = []string{subnetID} }},
		"with credentials of several tenants it is not named": {
			edit: func(w *way) { guarded(w, inbound(false, "")); w.Private = true },
			found: []finding{{"Error", "NetworkACLDenies", "target 10.0.0.1",
				"a network ACL of the subnet of 10.0.0.1 denies UDP 4789 from 10.0.0.11 and 10.0.0.12",
				"allow inbound UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32 to 10.0.0.1/32 in a network ACL before the rule that denies them, or narrow that rule"}},
		},
		"rules that were not read are not judged": {
			edit:    func(w *way) { guarded(w); w.ACLs.Value[0].Ingress = nil },
			verdict: said{"Unknown", "NotJudged", `the rules of network ACL "strict" were not read`},
		},
		"one of which can't be read whether it is on is not judged": {
			edit: func(w *way) {
				guarded(w, inbound(true, "10.0.0.0/8"))
				w.ACLs.Value[0].Unreadable = `admin_state_up "0"`
			},
			verdict: said{"Unknown", "NotJudged", `network ACL "strict" of the subnet of 10.0.0.1 can't be read by this version: admin_state_up "0"`},
		},
		"a rule that can't be read is not judged": {
			edit:    func(w *way) { r := inbound(true, ""); r.Unreadable = "protocol"; guarded(w, r) },
			verdict: said{"Unknown", "NotJudged", `rule 9d1c0a2e in network ACL "strict" can't be read: protocol`},
		},
		"a rule for some source ports is not judged": {
			edit: func(w *way) {
				r := inbound(true, "")
				r.SourcePorts = []cloud.PortRange{{Low: 1, High: 1024}}
				guarded(w, r)
			},
			verdict: said{"Unknown", "NotJudged",
				`rule 9d1c0a2e in network ACL "strict" is about some source ports, and which ones copies have is not documented`},
		},
		"a rule for an address group that may not be read is not judged": {
			edit: func(w *way) {
				r := inbound(true, "")
				r.SourceAddressGroup = "ag-1"
				guarded(w, r)
				w.AddressGroups = refused[map[string]cloud.AddressGroup]("vpc:addressGroups:list")
			},
			verdict: said{"Unknown", "NotPermitted", "the account may not read address groups: grant it vpc:addressGroups:list"},
		},
		"ACLs that may not be read are not judged": {
			edit:    func(w *way) { guarded(w); w.ACLs = refused[[]cloud.NetworkACL]("vpc:firewalls:list") },
			verdict: said{"Unknown", "NotPermitted", "the account may not read network ACLs: grant it vpc:firewalls:list"},
		},
		"ACLs that may not be read don't matter inside of a subnet": {
			edit: func(w *way) { w.ACLs = refused[[]cloud.NetworkACL]("vpc:firewalls:list") },
		},
		"subnets that the cloud does not name are not judged": {
			edit: func(w *way) { guarded(w); w.Target.SubnetID = "" },
			verdict: said{"Unknown", "NotJudged", "the cloud does not say in which subnets 10.0.0.1 and 10.0.0.11 are, so their network ACL is not known; " +
				"the cloud does not say in which subnets 10.0.0.1 and 10.0.0.12 are, so their network ACL is not known"},
		},
	})
}

// The copies leave the source's subnet before they enter the target's.
func TestThatCopiesPassTheACLOfTheSourcesSubnetIsSaidToBeAssumed(t *testing.T) {
	w := newWay()
	guarded(w, inbound(true, ""))
	out := inbound(false, "")
	everything := cloud.ACLRule{ID: "all", Allow: true}
	w.ACLs.Value = append(w.ACLs.Value, cloud.NetworkACL{ID: "acl-2", Name: "out", Enabled: true, Subnets: []string{subnetID}, Ingress: []cloud.ACLRule{everything}, Egress: []cloud.ACLRule{out, everything}})
	if v := diagnosis.JudgePath(w.known); !strings.Contains(v.Message, `assuming that copies leave the subnet of 10.0.0.11 although network ACL "out" lets no UDP 4789 out`) {
		t.Errorf("%s %s: %s", v.Status, v.Reason, v.Message)
	}
}

package lab

import (
	"strings"
	"testing"

	"vpcmirror.io/operator/test/cloudsim/dataplane"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

func TestIPv6PassesGatewaysACLsAndCarriesCopies(t *testing.T) {
	text := strings.NewReplacer(
		"name: a1,", `name: a1, ipv6_cidr: "2001:db8:a1::/64",`,
		"name: a2,", `name: a2, ipv6_cidr: "2001:db8:a2::/64", ipv6_gateway: "2001:db8:a2::ff",`,
		"[192.168.0.10]", `[192.168.0.10, "2001:db8:a1::10"]`, "[192.168.0.20]", `[192.168.0.20, "2001:db8:a1::20"]`,
		"[192.168.1.30]", `["2001:db8:a2::30"]`, // alone, so that copies are of IPv6
		"{direction: ingress}", "{direction: ingress}, {direction: ingress, ethertype: IPv6}",
		"{direction: egress}", "{direction: egress}, {direction: egress, ethertype: IPv6}",
		"d1, direction: ingress}", "d1, direction: ingress}, {direction: ingress, ethertype: IPv6}",
	).Replace(twoVPCs)
	sc, err := scenario.Parse("ipv6.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	w := startWorld(t, sc)
	s, store, total := w.mirror("s", source, target, 1), w.cloud.State, dataplane.SessionStats{}
	w.after(&total, s.ID, delivered)
	w.send("client", "2001:db8:a2::30", 10)
	w.until("the target answers that nobody listens", func(s dataplane.Stats) bool { return s.Ports[target].FromHost > 2 })

	acl, err := store.CreateFirewall(w.project, state.FirewallInput{Name: ptr("acl")})
	w.must(err)
	_, err = store.AssociateSubnets(w.project, acl.ID, []string{subnetA2})
	w.must(err)
	allow := func(version int, from string) {
		_, err := store.InsertFirewallRules(w.project, acl.ID, []state.FirewallRuleInput{{
			Action: ptr("allow"), Protocol: ptr("udp"), IPVersion: &version, SourceAddress: &from, DestinationPort: ptr("4789"),
		}}, nil, "")
		w.must(err)
	}
	w.after(&total, s.ID, heldByACL)
	allow(4, "0.0.0.0/0")
	w.after(&total, s.ID, heldByACL)
	allow(6, "2001:db8:a1::21")
	w.after(&total, s.ID, heldByACL)
	allow(6, "2001:db8:a1::20/124")
	w.after(&total, s.ID, delivered)
}

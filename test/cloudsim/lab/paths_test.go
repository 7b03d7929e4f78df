package lab

import (
	"testing"

	"vpcmirror.io/operator/test/cloudsim/dataplane"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// twoVPCs has a client and a source in one subnet, a target in another of the same VPC, and one in another VPC.
const twoVPCs = `
region: cn-north-4
accounts:
  - name: a
    domain_id: d0000000000000000000000000000001
    access_key: EXAMPLEACCESSKEY0001
    secret_key: example-secret
    projects: [{id: 0123456789abcdef0123456789abcdef, name: cn-north-4}]
flavors: [{name: c7t.large.2, mirroring: true}]
vpcs:
  - id: 00000000-0000-4000-8000-00000000000a
    name: vpc-a
    subnets:
      - {id: 00000000-0000-4000-8000-0000000000a1, name: a1, cidr: 192.168.0.0/24, gateway: 192.168.0.1, gateway_mac: "fa:16:3e:00:0a:01"}
      - {id: 00000000-0000-4000-8000-0000000000a2, name: a2, cidr: 192.168.1.0/24, gateway: 192.168.1.1, gateway_mac: "fa:16:3e:00:0a:02"}
  - id: 00000000-0000-4000-8000-00000000000b
    name: vpc-b
    subnets:
      - {id: 00000000-0000-4000-8000-0000000000b1, name: b1, cidr: 10.2.0.0/24, gateway: 10.2.0.1, gateway_mac: "fa:16:3e:00:0b:01"}
security_groups:
  - id: 00000000-0000-4000-8000-0000000000c1
    name: sources
    rules: [{direction: ingress}, {direction: egress}]
  - id: 00000000-0000-4000-8000-0000000000c2
    name: targets
    rules: [{id: 00000000-0000-4000-8000-0000000000d1, direction: ingress}, {direction: egress}]
hosts:
  - {name: client, flavor: c7t.large.2, interfaces: [{id: 00000000-0000-4000-8000-000000000010, mac: "fa:16:3e:00:00:10", subnet: a1, addresses: [192.168.0.10], security_groups: [sources]}]}
  - {name: source, flavor: c7t.large.2, interfaces: [{id: 00000000-0000-4000-8000-000000000020, mac: "fa:16:3e:00:00:20", subnet: a1, addresses: [192.168.0.20], security_groups: [sources]}]}
  - {name: target, flavor: c7t.large.2, interfaces: [{id: 00000000-0000-4000-8000-000000000030, mac: "fa:16:3e:00:00:30", subnet: a2, addresses: [192.168.1.30], security_groups: [targets]}]}
  - {name: far, flavor: c7t.large.2, interfaces: [{id: 00000000-0000-4000-8000-000000000040, mac: "fa:16:3e:00:00:40", subnet: b1, addresses: [10.2.0.40], security_groups: [targets]}]}
`

const (
	vpcA      = "00000000-0000-4000-8000-00000000000a"
	vpcB      = "00000000-0000-4000-8000-00000000000b"
	subnetA1  = "00000000-0000-4000-8000-0000000000a1"
	subnetA2  = "00000000-0000-4000-8000-0000000000a2"
	subnetB1  = "00000000-0000-4000-8000-0000000000b1"
	groupOf   = "00000000-0000-4000-8000-0000000000c1" // of the sources
	groupTo   = "00000000-0000-4000-8000-0000000000c2" // of the targets
	ruleTo    = "00000000-0000-4000-8000-0000000000d1" // that lets everything into the targets
	source    = "00000000-0000-4000-8000-000000000020"
	target    = "00000000-0000-4000-8000-000000000030"
	farTarget = "00000000-0000-4000-8000-000000000040"
)

func startTwoVPCs(t *testing.T) *world {
	t.Helper()
	sc, err := scenario.Parse("two-vpcs.yaml", []byte(twoVPCs))
	if err != nil {
		t.Fatal(err)
	}
	return startWorld(t, sc)
}

// after sends a datagram to the source and expects the session's counters to have grown by these.
func (w *world) after(total *dataplane.SessionStats, session string, grown dataplane.SessionStats) {
	w.t.Helper()
	w.send("client", "192.168.0.20", 10)
	total.Copies += grown.Copies
	total.Delivered += grown.Delivered
	total.DeniedByTargetACL += grown.DeniedByTargetACL
	total.DeniedByTargetGroup += grown.DeniedByTargetGroup
	total.NoRoute += grown.NoRoute
	w.counts(session, *total)
}

var (
	delivered = dataplane.SessionStats{Copies: 1, Delivered: 1}
	heldByACL = dataplane.SessionStats{Copies: 1, DeniedByTargetACL: 1}
	heldByGrp = dataplane.SessionStats{Copies: 1, DeniedByTargetGroup: 1}
	noRoute   = dataplane.SessionStats{Copies: 1, NoRoute: 1}
)

func TestNetworkACLsAndGroupsOnRealPackets(t *testing.T) {
	w := startTwoVPCs(t)
	s, store, total := w.mirror("s", source, target, 1), w.cloud.State, dataplane.SessionStats{}
	w.after(&total, s.ID, delivered)

	acl, err := store.CreateFirewall(w.project, state.FirewallInput{Name: ptr("acl")})
	w.must(err)
	_, err = store.AssociateSubnets(w.project, acl.ID, []string{subnetA2})
	w.must(err)
	w.after(&total, s.ID, heldByACL)

	addresses, err := store.CreateAddressGroup(w.project, state.AddressGroupInput{Name: ptr("g"), IPVersion: ptr(4), Addresses: &[]string{"192.168.0.15-192.168.0.25"}})
	w.must(err)
	acl, err = store.InsertFirewallRules(w.project, acl.ID, []state.FirewallRuleInput{{
		Action: ptr("allow"), Protocol: ptr("udp"), IPVersion: ptr(4), SourceGroup: &addresses.ID, DestinationPort: ptr("4000,4789-4790"),
	}}, nil, "")
	w.must(err)
	w.after(&total, s.ID, delivered)

	_, err = store.UpdateFirewall(w.project, acl.ID, state.FirewallInput{Up: ptr(false)})
	w.must(err)
	w.after(&total, s.ID, heldByACL)
	_, err = store.UpdateFirewall(w.project, acl.ID, state.FirewallInput{Up: ptr(true)})
	w.must(err)
	_, err = store.UpdateFirewallRule(w.project, acl.ID, state.Ingress, state.FirewallRuleInput{ID: &acl.Ingress[0].ID, Enabled: ptr(false)})
	w.must(err)
	w.after(&total, s.ID, heldByACL)
	_, err = store.DisassociateSubnets(w.project, acl.ID, []string{subnetA2})
	w.must(err)
	w.after(&total, s.ID, delivered)

	t.Run("a group whose members are in another subnet", func(t *testing.T) {
		_, err := store.UpdateGroupRule(ruleTo, state.GroupRuleInput{RemoteGroup: ptr(groupTo)})
		w.must(err)
		w.after(&total, s.ID, heldByGrp)
		_, err = store.UpdateGroupRule(ruleTo, state.GroupRuleInput{RemoteGroup: ptr(groupOf)})
		w.must(err)
		w.after(&total, s.ID, delivered)
	})
	t.Run("a group, where its rules say nothing about copies", func(t *testing.T) {
		store.SetQuirks(state.Quirks{RemoteGroupsSkipCopies: true})
		w.after(&total, s.ID, heldByGrp)
		store.SetQuirks(state.Quirks{})
		w.after(&total, s.ID, delivered)
	})
	t.Run("an address group, and its addresses", func(t *testing.T) {
		_, err := store.UpdateGroupRule(ruleTo, state.GroupRuleInput{RemoteGroup: ptr(""), RemoteAddressGroup: &addresses.ID})
		w.must(err)
		w.after(&total, s.ID, delivered)
		_, err = store.UpdateAddressGroup(w.project, addresses.ID, state.AddressGroupInput{Addresses: &[]string{"192.168.0.21"}})
		w.must(err)
		w.after(&total, s.ID, heldByGrp)
	})
	t.Run("a rule that is switched off", func(t *testing.T) {
		_, err := store.UpdateGroupRule(ruleTo, state.GroupRuleInput{RemoteAddressGroup: ptr(""), Enabled: ptr(false)})
		w.must(err)
		w.after(&total, s.ID, heldByGrp)
	})
}

func TestPeeringsAndRoutesOnRealPackets(t *testing.T) {
	w := startTwoVPCs(t)
	s, store, total := w.mirror("s", source, farTarget, 1), w.cloud.State, dataplane.SessionStats{}
	w.after(&total, s.ID, noRoute)
	p, err := store.CreatePeering(w.project, state.PeeringInput{
		Name: ptr("p"), Requester: &state.PeeringSide{VPCID: vpcA}, Accepter: &state.PeeringSide{VPCID: vpcB},
	})
	w.must(err)
	w.after(&total, s.ID, noRoute)
	route := func(subnet, destination string) {
		t.Helper()
		table, _ := store.Snapshot().RouteTableOf(subnet)
		_, err := store.UpdateRouteTable(w.project, table.ID, state.RouteTableInput{Add: []state.Route{{Type: "peering", Destination: destination, NextHop: p.ID}}})
		w.must(err)
	}
	route(subnetA1, "10.2.0.0/24")
	w.after(&total, s.ID, noRoute)
	route(subnetB1, "192.168.0.0/16")
	w.after(&total, s.ID, delivered)

	t.Run("frames pass too, and are copied on their way back", func(t *testing.T) {
		w.send("far", "192.168.0.20", 10)
		total.Copies++
		total.Delivered++
		w.counts(s.ID, total)
	})
	t.Run("what the ACL of the source's subnet keeps out is not copied", func(t *testing.T) {
		acl, err := store.CreateFirewall(w.project, state.FirewallInput{Name: ptr("acl")})
		w.must(err)
		_, err = store.AssociateSubnets(w.project, acl.ID, []string{subnetA1})
		w.must(err)
		w.send("far", "192.168.0.20", 10)
		w.until("the frame is dropped", func(s dataplane.Stats) bool { return s.Ports[source].DroppedToHost[dataplane.DropIngressACL] == 1 })
		w.after(&total, s.ID, delivered) // of the same subnet
		_, err = store.DisassociateSubnets(w.project, acl.ID, []string{subnetA1})
		w.must(err)
	})
	_, err = store.SetPeeringStatus(p.ID, state.PeeringExpired)
	w.must(err)
	w.after(&total, s.ID, noRoute)
	t.Run("an enterprise router in the peering's place", func(t *testing.T) {
		for subnet, destination := range map[string]string{subnetA1: "10.2.0.0/24", subnetB1: "192.168.0.0/16"} {
			table, _ := store.Snapshot().RouteTableOf(subnet)
			_, err := store.UpdateRouteTable(w.project, table.ID, state.RouteTableInput{Modify: []state.Route{{Type: "er", Destination: destination, NextHop: "an-er"}}})
			w.must(err)
		}
		w.after(&total, s.ID, delivered)
	})
}

package lab

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/test/cloudsim/dataplane"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

var byValue = cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})

func ptr[T any](v T) *T { return &v }

func TestTheWalkthroughsNetworkIsTheGuides(t *testing.T) {
	sc := scenario.Walkthrough()
	got := Layout(sc, "p-")
	if err := got.Validate(); err != nil {
		t.Fatal(err)
	}
	gateway := netip.MustParseAddr("192.168.0.1")
	host := func(name, port, address string, i int) dataplane.Host {
		return dataplane.Host{Name: name, Interfaces: []dataplane.Interface{{
			PortID: port, Name: "eth0", MAC: sc.Hosts[i].Interfaces[0].MAC, Addresses: []netip.Prefix{netip.MustParsePrefix(address)},
			Gateway: gateway, VPC: scenario.WalkthroughVPC,
		}}}
	}
	want := dataplane.Layout{
		Prefix: "p-",
		Hosts: []dataplane.Host{
			host("ecs-source", scenario.WalkthroughSource, "192.168.0.230/24", 0),
			host("ecs-test", scenario.WalkthroughTest, "192.168.0.161/24", 1),
			host("ecs-target", scenario.WalkthroughTarget, "192.168.0.164/24", 2),
		},
		Gateways: []dataplane.Gateway{{
			VPC: scenario.WalkthroughVPC, Subnet: netip.MustParsePrefix("192.168.0.0/24"), Address: gateway, MAC: sc.VPCs[0].Subnets[0].GatewayMAC,
		}},
	}
	if diff := cmp.Diff(want, got, byValue); diff != "" {
		t.Fatalf("the layout (-want +got):\n%s", diff)
	}
}

func TestTheNetworkObeysWhatTheAPISays(t *testing.T) {
	cloud := sim.ForTest(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const project = scenario.WalkthroughProject
	filter, err := cloud.State.CreateFilter(project, state.FilterInput{Name: ptr("f")})
	must(err)
	_, err = cloud.State.CreateRule(project, state.RuleInput{
		FilterID: &filter.ID, Direction: ptr("ingress"), Protocol: ptr("tcp"), EtherType: ptr("IPv4"), Action: ptr("accept"), Priority: ptr(1),
		SourceCIDR: ptr("192.168.0.161/32"), DestinationPortRange: ptr("1234-1235"),
	})
	must(err)
	_, err = cloud.State.CreateRule(project, state.RuleInput{
		FilterID: &filter.ID, Direction: ptr("egress"), Protocol: ptr("ALL"), EtherType: ptr("IPv6"), Action: ptr("reject"), Priority: ptr(9),
	})
	must(err)
	made, err := cloud.State.CreateSession(project, state.SessionInput{
		Name: ptr("s"), FilterID: &filter.ID, Sources: &[]string{scenario.WalkthroughSource}, TargetID: ptr(scenario.WalkthroughTarget),
		TargetType: ptr("eni"), VNI: ptr(7), PacketLength: ptr(1460), Priority: ptr(3), Enabled: ptr(true),
	})
	must(err)
	_, err = cloud.State.CreateGroupRule(project, state.GroupRuleInput{
		GroupID: ptr(scenario.WalkthroughTargetGroup), Direction: ptr("egress"), EtherType: ptr("IPv6"), Protocol: ptr("icmpv6"),
		Action: ptr("deny"), Priority: ptr(1), Enabled: ptr(false), RemotePrefix: ptr("fd00::1/8"),
	})
	must(err)

	got := Config(cloud.State.Snapshot())
	must(got.Validate())
	want := []dataplane.Session{{
		ID: made.ID, Enabled: true, Priority: 3, VNI: 7, PacketLength: 1460, Sources: []string{scenario.WalkthroughSource},
		Target: scenario.WalkthroughTarget,
		Ingress: []dataplane.Rule{{
			Priority: 1, Accept: true, Protocol: "TCP", Source: netip.MustParsePrefix("192.168.0.161/32"),
			DestinationPorts: dataplane.PortRange{Low: 1234, High: 1235},
		}},
		Egress: []dataplane.Rule{{Priority: 9, IPv6: true, Protocol: "ALL"}},
	}}
	if diff := cmp.Diff(want, got.Sessions, byValue); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	const subnet = "5a1f0c7e-0000-4000-8000-000000000011"
	wantPorts := []dataplane.Port{
		{ID: scenario.WalkthroughTest, Subnet: subnet, Groups: []string{"5a1f0c7e-0000-4000-8000-0000000000a2"}, FlavorSupportsMirroring: true},
		{ID: scenario.WalkthroughTarget, Subnet: subnet, Groups: []string{scenario.WalkthroughTargetGroup}, FlavorSupportsMirroring: true},
		{ID: scenario.WalkthroughSource, Subnet: subnet, Groups: []string{scenario.WalkthroughSourceGroup}, FlavorSupportsMirroring: true},
	}
	if diff := cmp.Diff(wantPorts, got.Ports); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
	deny := dataplane.GroupRule{IPv6: true, Protocol: "icmpv6", Deny: true, Priority: 1, RemotePrefix: netip.MustParsePrefix("fd00::/8"), Disabled: true}
	vxlan := dataplane.GroupRule{Ingress: true, Protocol: "udp", Ports: "4789", Priority: 100, RemotePrefix: netip.MustParsePrefix("192.168.0.230/32")}
	members := dataplane.GroupRule{Ingress: true, Priority: 100, RemoteGroup: scenario.WalkthroughTargetGroup}
	for _, g := range got.Groups {
		if g.ID != scenario.WalkthroughTargetGroup {
			continue
		}
		if len(g.Rules) != 7 {
			t.Errorf("the target's group has %d rules, want 7", len(g.Rules))
		}
		for _, want := range []dataplane.GroupRule{deny, vxlan, members} {
			found := false
			for _, r := range g.Rules {
				found = found || r == want
			}
			if !found {
				t.Errorf("the target's group lacks the rule %+v", want)
			}
		}
	}
}

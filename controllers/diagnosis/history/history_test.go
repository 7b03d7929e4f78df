package history

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

const ownMark = "[vpcmirror 1a2b3c4d/11111111-0000-4000-8000-000000000001]"

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func onPort(p uint16) cloud.PortRange { return cloud.PortRange{Low: p, High: p} }

func read[T any](value T) diagnosis.Answer[T] { return diagnosis.Answer[T]{Value: value, Read: true} }

// twoVPCs is a path with a part of everything: a source in the target's subnet, and one in
// another VPC.
func twoVPCs() *diagnosis.Path {
	near := cloud.Interface{ID: "s1", VPCID: "v1", SubnetID: "n1", Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.14")},
		SecurityGroups: []string{"g-source"}, DeviceID: "d-s1", Status: "ACTIVE", Flavor: "c7t.large.2"}
	far := cloud.Interface{ID: "s2", VPCID: "v2", SubnetID: "n2", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.5")},
		SecurityGroups: []string{"g-source"}, DeviceID: "d-s2", Status: "ACTIVE", Flavor: "c7t.large.2"}
	target := cloud.Interface{ID: "t1", VPCID: "v1", SubnetID: "n1", Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.104")},
		SecurityGroups: []string{"g-target"}, DeviceID: "d-t1", Status: "ACTIVE", Flavor: "c7t.large.2"}
	return &diagnosis.Path{
		Session: cloud.Session{ID: "session-1", Sources: []string{"s1", "s2"}, SessionSpec: cloud.SessionSpec{
			Description: ownMark, FilterID: "f1", TargetID: "t1", VNI: 1, PacketLength: 1460, Priority: 10000, Enabled: true,
		}},
		Filter: &cloud.Filter{ID: "f1", Name: "web", Rules: []cloud.Rule{{ID: "r1", RuleSpec: cloud.RuleSpec{
			Direction: cloud.Ingress, Priority: 1, Accept: true, Protocol: cloud.TCP, Source: prefix("192.168.0.0/24"), DestinationPorts: onPort(80),
		}}}},
		Target: &target, Sources: []cloud.Interface{near, far},
		Others: []diagnosis.Other{{Name: "the session other", Session: cloud.Session{ID: "o1", Sources: []string{"s1"}, SessionSpec: cloud.SessionSpec{
			FilterID: "f2", TargetID: "t9", VNI: 7, Priority: 20000, Enabled: true,
		}}, Filter: &cloud.Filter{ID: "f2"}}},
		Groups: read(map[string]cloud.SecurityGroup{
			"g-target": {ID: "g-target", Name: "sg-closable", Rules: []cloud.GroupRule{
				{ID: "a", Direction: cloud.Ingress, Protocol: "udp", Ports: []cloud.PortRange{onPort(4789)}, Allow: true, Priority: 100, Remote: prefix("192.168.0.0/24")},
				{ID: "b", Direction: cloud.Ingress, Protocol: "tcp", Ports: []cloud.PortRange{onPort(22)}, Allow: true, Priority: 100},
				{ID: "c", Direction: cloud.Ingress, Protocol: "udp", Allow: true, Priority: 100, RemoteAddressGroupID: "ag"},
			}},
			"g-source": {ID: "g-source", Name: "sg-web", Rules: []cloud.GroupRule{
				{ID: "d", Direction: cloud.Ingress, Protocol: "tcp", Ports: []cloud.PortRange{onPort(80)}, Allow: true, Priority: 100},
			}},
		}),
		AddressGroups: read(map[string]cloud.AddressGroup{"ag": {ID: "ag", Name: "admins", Ranges: []cloud.AddressRange{
			{First: netip.MustParseAddr("10.0.0.0"), Last: netip.MustParseAddr("10.0.0.255")},
		}}}),
		ACLs: read([]cloud.NetworkACL{{ID: "acl1", Name: "edge", Enabled: true, Subnets: []string{"n1"}, Egress: []cloud.ACLRule{}, Ingress: []cloud.ACLRule{
			{ID: "x", Allow: true, Protocol: "udp", Source: prefix("10.0.0.0/8"), DestinationPorts: []cloud.PortRange{onPort(4789)}},
			{ID: "y", Protocol: "udp"},
		}}}),
		Peerings: read([]cloud.Peering{{ID: "p1", Name: "both", Status: "ACTIVE", RequesterVPC: "v1", AccepterVPC: "v2"}}),
		RouteTables: read([]cloud.RouteTable{
			{ID: "rt1", VPCID: "v1", Default: true, Routes: []cloud.Route{{Type: "peering", Destination: prefix("10.0.0.0/8"), NextHop: "p1"}}},
			{ID: "rt2", VPCID: "v2", Subnets: []string{"n2"}, Routes: []cloud.Route{{Type: "peering", Destination: prefix("192.168.0.0/16"), NextHop: "p1"}}},
		}),
		Servers: read([]cloud.Server{
			{ID: "d-s1", Running: true}, {ID: "d-s2", Running: true}, {ID: "d-t1", Running: true},
		}),
	}
}

// lookedAt is when the second path of a test was read.
var lookedAt = time.Date(2026, 1, 2, 19, 53, 57, 600, time.UTC)

// whatOf are what a change of the path is called.
func whatOf(change func(*diagnosis.Path)) []string {
	now := twoVPCs()
	change(now)
	var out []string
	for _, c := range Changed(twoVPCs(), now, lookedAt) {
		out = append(out, fmt.Sprintf("%s: %s", c.By, c.What))
	}
	return out
}

// groupWith changes the rules of a group.
func groupWith(p *diagnosis.Path, id string, change func([]cloud.GroupRule) []cloud.GroupRule) {
	g := p.Groups.Value[id]
	g.Rules = change(g.Rules)
	p.Groups.Value[id] = g
}

func TestAChangeInTheCloudIsSaidInOneSentence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*diagnosis.Path)
		want   []string
	}{
		"the session is switched off": {func(p *diagnosis.Path) { p.Session.Enabled = false }, []string{"Cloud: the session session-1 was switched off"}},
		"the session is gone":         {func(p *diagnosis.Path) { p.Session.ID = "" }, []string{"Cloud: the session session-1 is gone from the cloud"}},
		"another filter": {func(p *diagnosis.Path) { p.Session.FilterID, p.Filter = "f9", &cloud.Filter{ID: "f9"} },
			[]string{"Cloud: the session session-1 was given the filter f9 in place of f1"}},
		"another target": {func(p *diagnosis.Path) { p.Session.TargetID, p.Target = "t9", &cloud.Interface{ID: "t9"} },
			[]string{"Cloud: the session session-1 was given the target t9 in place of 192.168.0.104"}},
		"another VNI":   {func(p *diagnosis.Path) { p.Session.VNI = 2 }, []string{"Cloud: the session session-1 was given the VNI 2 in place of 1"}},
		"shorter":       {func(p *diagnosis.Path) { p.Session.PacketLength = 96 }, []string{"Cloud: the packet length of the session session-1 was changed from 1460 to 96"}},
		"later":         {func(p *diagnosis.Path) { p.Session.Priority = 15000 }, []string{"Cloud: the priority of the session session-1 was changed from 10000 to 15000"}},
		"a source less": {func(p *diagnosis.Path) { p.Session.Sources = []string{"s1"} }, []string{"Cloud: the source 10.0.0.5 was taken from the session session-1"}},
		"a source more": {func(p *diagnosis.Path) { p.Session.Sources = []string{"s1", "s2", "s3"} }, []string{"Cloud: the source s3 was added to the session session-1"}},

		"the filter is gone": {func(p *diagnosis.Path) { p.Filter = nil }, []string{`Cloud: the filter "web" is gone from the cloud`}},
		"a filter rule is gone": {func(p *diagnosis.Path) { p.Filter.Rules = nil },
			[]string{`Cloud: a rule (ingress 1: Accept IPv4 TCP from 192.168.0.0/24 to anywhere port 80) is gone from the filter "web"`}},
		"a filter rule is moved": {func(p *diagnosis.Path) { p.Filter.Rules[0].Priority = 5 },
			[]string{`Cloud: a rule (ingress 1: Accept IPv4 TCP from 192.168.0.0/24 to anywhere port 80) of the filter "web" is now ` +
				`ingress 5: Accept IPv4 TCP from 192.168.0.0/24 to anywhere port 80`}},
		"a filter rule is widened": {func(p *diagnosis.Path) { p.Filter.Rules[0].Source = netip.Prefix{} },
			[]string{`Cloud: a rule (ingress 1: Accept IPv4 TCP from 192.168.0.0/24 to anywhere port 80) of the filter "web" is now ` +
				`ingress 1: Accept IPv4 TCP from anywhere to anywhere port 80`}},
		"a filter rule more": {func(p *diagnosis.Path) {
			p.Filter.Rules = append(p.Filter.Rules, cloud.Rule{ID: "r0", RuleSpec: cloud.RuleSpec{Direction: cloud.Egress, Priority: 2, IPv6: true, Protocol: cloud.All}})
		}, []string{`Cloud: a rule (egress 2: Reject IPv6 All from anywhere to anywhere) was added to the filter "web"`}},
		"a filter rule made again as it was": {func(p *diagnosis.Path) { p.Filter.Rules[0].ID = "r2" }, nil},
		"a description of a filter rule":     {func(p *diagnosis.Path) { p.Filter.Rules[0].Description = "x" }, nil},

		"a rule of the target's group is gone": {func(p *diagnosis.Path) {
			groupWith(p, "g-target", func(all []cloud.GroupRule) []cloud.GroupRule { return all[1:] })
		}, []string{"Cloud: a rule (ingress udp 4789 from 192.168.0.0/24) is gone from sg-closable"}},
		"a deny is added": {func(p *diagnosis.Path) {
			groupWith(p, "g-target", func(all []cloud.GroupRule) []cloud.GroupRule {
				return append(all, cloud.GroupRule{ID: "e", Direction: cloud.Ingress, Protocol: "udp", Ports: []cloud.PortRange{{Low: 4000, High: 5000}}, Priority: 1})
			})
		}, []string{"Cloud: a rule (ingress deny udp 4000-5000 from anywhere, priority 1) was added to sg-closable"}},
		"a rule is switched off": {func(p *diagnosis.Path) {
			groupWith(p, "g-target", func(all []cloud.GroupRule) []cloud.GroupRule { all[0].Disabled = true; return all })
		}, []string{"Cloud: a rule (ingress udp 4789 from 192.168.0.0/24) of sg-closable is now ingress udp 4789 from 192.168.0.0/24, switched off"}},
		"a rule about SSH is gone": {func(p *diagnosis.Path) {
			groupWith(p, "g-target", func(all []cloud.GroupRule) []cloud.GroupRule { return slices.Delete(all, 1, 2) })
		}, nil},
		"a rule for other addresses is added": {func(p *diagnosis.Path) {
			groupWith(p, "g-target", func(all []cloud.GroupRule) []cloud.GroupRule {
				return append(all, cloud.GroupRule{ID: "e", Direction: cloud.Ingress, Protocol: "udp", Allow: true, Remote: prefix("172.16.0.0/12")})
			})
		}, nil},
		"what the source serves is closed": {func(p *diagnosis.Path) {
			groupWith(p, "g-source", func([]cloud.GroupRule) []cloud.GroupRule { return nil })
		}, []string{"Cloud: a rule (ingress tcp 80 from anywhere) is gone from sg-web"}},
		"an address group is narrowed": {func(p *diagnosis.Path) {
			p.AddressGroups.Value["ag"] = cloud.AddressGroup{ID: "ag", Name: "admins"}
		}, []string{"Cloud: the address group admins, which sg-closable names, had 10.0.0.0-10.0.0.255 and has nothing"}},
		"nothing may be named": {func(p *diagnosis.Path) {
			p.Private = true
			groupWith(p, "g-target", func(all []cloud.GroupRule) []cloud.GroupRule { return all[1:] })
		}, []string{"Cloud: a rule is gone from a security group"}},

		"the target is put into another group": {func(p *diagnosis.Path) { p.Target.SecurityGroups = []string{"g-source"} },
			[]string{"Cloud: the target 192.168.0.104 is no longer in sg-closable", "Cloud: the target 192.168.0.104 was put into sg-web"}},
		"a source is detached": {func(p *diagnosis.Path) { p.Sources[0].DeviceID = "" }, []string{"Cloud: the source 192.168.0.14 was detached from its server"}},
		"a source is down":     {func(p *diagnosis.Path) { p.Sources[0].Status = "DOWN" }, []string{"Cloud: the status of the source 192.168.0.14 was ACTIVE and is DOWN"}},
		"the target is switched off": {func(p *diagnosis.Path) { p.Target.AdminDown = true },
			[]string{"Cloud: the target 192.168.0.104 was switched off"}},
		"another flavor": {func(p *diagnosis.Path) { p.Sources[0].Flavor = "s2.small.1" }, []string{"Cloud: the server of the source 192.168.0.14 was c7t.large.2 and is s2.small.1"}},
		"another address": {func(p *diagnosis.Path) { p.Sources[0].Addresses = []netip.Addr{netip.MustParseAddr("192.168.0.15")} },
			[]string{"Cloud: the addresses of the source 192.168.0.15 were 192.168.0.14 and are 192.168.0.15"}},
		"a source is replaced": {func(p *diagnosis.Path) {
			p.Gone, p.Sources = []string{"s1"}, p.Sources[1:]
			p.Successors = map[string]cloud.Interface{"s1": {ID: "s7"}}
		}, []string{"Cloud: the interface s1 of the source 192.168.0.14 is gone from the cloud: another one, s7, has its address now"}},
		"a source is gone, and was taken off the session": {func(p *diagnosis.Path) {
			p.Former, p.Sources, p.Session.Sources = []cloud.Interface{p.Sources[0]}, p.Sources[1:], p.Session.Sources[1:]
		}, []string{"Cloud: the source 192.168.0.14 was taken from the session session-1", "Cloud: the interface s1 of the source 192.168.0.14 is gone from the cloud"}},
		"a server is stopped": {func(p *diagnosis.Path) { p.Servers.Value[0].Running = false },
			[]string{"Cloud: the server of the source 192.168.0.14 was stopped"}},
		"a server is gone": {func(p *diagnosis.Path) { p.Servers.Value = p.Servers.Value[:2] }, []string{"Cloud: the server of the target 192.168.0.104 is gone from the cloud"}},

		"an ACL's rule is gone": {func(p *diagnosis.Path) { p.ACLs.Value[0].Ingress = p.ACLs.Value[0].Ingress[1:] },
			[]string{"Cloud: a rule (ingress allow udp from 10.0.0.0/8 to anywhere port 4789) is gone from the network ACL edge"}},
		"an ACL's rules are exchanged": {func(p *diagnosis.Path) { slices.Reverse(p.ACLs.Value[0].Ingress) },
			[]string{"Cloud: the ingress rules of the network ACL edge are tried in another order"}},
		"an ACL is switched off": {func(p *diagnosis.Path) { p.ACLs.Value[0].Enabled = false },
			[]string{"Cloud: the network ACL edge of the subnet of the target 192.168.0.104 was switched off"}},
		"an ACL's switch that can't be read": {func(p *diagnosis.Path) { p.ACLs.Value[0].Enabled, p.ACLs.Value[0].Unreadable = false, "admin_state_up" }, nil},
		"an ACL is taken away": {func(p *diagnosis.Path) { p.ACLs.Value = nil },
			[]string{"Cloud: the subnet of the target 192.168.0.104 no longer has the network ACL edge"}},
		"another ACL": {func(p *diagnosis.Path) { p.ACLs.Value[0].ID, p.ACLs.Value[0].Name = "acl2", "tight" },
			[]string{"Cloud: the subnet of the target 192.168.0.104 was given the network ACL tight in place of the network ACL edge"}},
		"an ACL's rules that were not read": {func(p *diagnosis.Path) { p.ACLs.Value[0].Ingress = nil }, nil},

		"a peering is gone": {func(p *diagnosis.Path) { p.Peerings.Value = nil }, []string{"Cloud: the peering both between the VPCs of source and target is gone"}},
		"a peering is off": {func(p *diagnosis.Path) { p.Peerings.Value[0].Status = "DELETED" },
			[]string{"Cloud: the peering both between the VPCs of source and target was ACTIVE and is DELETED"}},
		"a peering of others": {func(p *diagnosis.Path) {
			p.Peerings.Value = append(p.Peerings.Value, cloud.Peering{ID: "p2", RequesterVPC: "v1", AccepterVPC: "v9"})
		}, nil},
		"a route is gone": {func(p *diagnosis.Path) { p.RouteTables.Value[1].Routes = []cloud.Route{} },
			[]string{"Cloud: the route from the subnet of 10.0.0.5 to 192.168.0.104 was 192.168.0.0/16 by peering p1 and is none"}},
		"a longer route comes before": {func(p *diagnosis.Path) {
			p.RouteTables.Value[0].Routes = append(p.RouteTables.Value[0].Routes, cloud.Route{Type: "ecs", Destination: prefix("10.0.0.0/24"), NextHop: "d9"})
		}, []string{"Cloud: the route from the subnet of 192.168.0.104 to 10.0.0.5 was 10.0.0.0/8 by peering p1 and is 10.0.0.0/24 by ecs d9"}},
		"a route to elsewhere": {func(p *diagnosis.Path) {
			p.RouteTables.Value[0].Routes = append(p.RouteTables.Value[0].Routes, cloud.Route{Type: "vpn", Destination: prefix("172.16.0.0/12"), NextHop: "x"})
		}, nil},

		"another session comes before": {func(p *diagnosis.Path) { p.Others[0].Priority = 5 },
			[]string{"Cloud: the session other, with the priority 5, now comes before this one at a source they share"}},
		"one of ours comes before": {func(p *diagnosis.Path) {
			p.Others[0].Priority, p.Others[0].Description = 5, strings.Replace(ownMark, "0001]", "0002]", 1)
		}, []string{"Operator: the session other, with the priority 5, now comes before this one at a source they share"}},
		"one of another cluster comes before": {func(p *diagnosis.Path) {
			p.Others[0].Priority, p.Others[0].Description = 5, strings.Replace(ownMark, "1a2b3c4d", "ffffffff", 1)
		}, []string{"Cloud: the session other, with the priority 5, now comes before this one at a source they share"}},
		"another session has our VNI": {func(p *diagnosis.Path) { p.Others[0].VNI, p.Others[0].TargetID = 1, "t1" },
			[]string{"Cloud: the session other now sends to this target with the same VNI 1"}},
		"a later session changes": {func(p *diagnosis.Path) { p.Others[0].PacketLength = 1 }, nil},
		"a later session goes":    {func(p *diagnosis.Path) { p.Others = nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, whatOf(c.change)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAChangeIsOfTheMomentWhenItWasSeen(t *testing.T) {
	t.Parallel()
	now := twoVPCs()
	now.Session.Enabled = false
	got := Changed(twoVPCs(), now, lookedAt)
	want := []v1alpha1.Change{{At: metav1.NewTime(lookedAt.Truncate(time.Second)), By: v1alpha1.ChangedByCloud, What: "the session session-1 was switched off"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWithoutAPathOfBeforeNothingIsSaid(t *testing.T) {
	t.Parallel()
	if got := Changed(nil, twoVPCs(), lookedAt); got != nil {
		t.Errorf("a process that begins says %v", got)
	}
	if got := Changed(twoVPCs(), nil, lookedAt); got != nil {
		t.Errorf("one that could not look says %v", got)
	}
}

func TestManyChangesAtOnceAreSummedUp(t *testing.T) {
	t.Parallel()
	got := whatOf(func(p *diagnosis.Path) {
		p.Session.Enabled, p.Session.VNI, p.Session.PacketLength, p.Session.Priority = false, 2, 96, 5
		p.Peerings.Value, p.Filter = nil, nil
	})
	want := []string{
		"Cloud: the session session-1 was switched off", "Cloud: the session session-1 was given the VNI 2 in place of 1",
		"Cloud: the packet length of the session session-1 was changed from 1460 to 96, and 3 more changes",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOfAPartThatWasNotReadNothingIsSaidAndItIsComparedWithTheLastRead(t *testing.T) {
	t.Parallel()
	first, unread, last := twoVPCs(), twoVPCs(), twoVPCs()
	unread.Groups = diagnosis.Answer[map[string]cloud.SecurityGroup]{Missing: &diagnosis.Missing{Says: "the cloud is away"}}
	groupWith(last, "g-target", func(all []cloud.GroupRule) []cloud.GroupRule { return all[1:] })
	if got := Changed(first, unread, lookedAt); got != nil {
		t.Errorf("of groups that were not read it says %v", got)
	}
	if got := Changed(unread, last, lookedAt); got != nil {
		t.Errorf("compared with groups that were not read it says %v", got)
	}
	got := Changed(Baseline(first, unread), last, lookedAt)
	if len(got) != 1 || got[0].What != "a rule (ingress udp 4789 from 192.168.0.0/24) is gone from sg-closable" {
		t.Errorf("compared with the groups that were read last it says %v", got)
	}
}

// shuffled is the same path with every list in another order, those whose order means something
// excepted.
func shuffled(t *rapid.T, p *diagnosis.Path) *diagnosis.Path {
	mix(t, "sources", p.Sources)
	mix(t, "IDs", p.Session.Sources)
	mix(t, "others", p.Others)
	for _, id := range slices.Sorted(maps.Keys(p.Groups.Value)) {
		mix(t, id, p.Groups.Value[id].Rules)
	}
	if p.Filter != nil {
		mix(t, "rules", p.Filter.Rules)
	}
	mix(t, "ACLs", p.ACLs.Value)
	mix(t, "peerings", p.Peerings.Value)
	mix(t, "tables", p.RouteTables.Value)
	for i := range p.RouteTables.Value {
		mix(t, "routes", p.RouteTables.Value[i].Routes)
	}
	return p
}

func mix[T any](t *rapid.T, name string, list []T) {
	mixed := rapid.Permutation(slices.Clone(list)).Draw(t, name)
	copy(list, mixed)
}

// edits are changes of a path, of which any number can come together.
var edits = []func(*diagnosis.Path){
	func(p *diagnosis.Path) { p.Session.Enabled = false },
	func(p *diagnosis.Path) { p.Session.Sources = p.Session.Sources[:1] },
	func(p *diagnosis.Path) { p.Session.VNI, p.Session.Priority = 9, 4 },
	func(p *diagnosis.Path) { p.Filter = nil },
	func(p *diagnosis.Path) { p.Target = nil },
	func(p *diagnosis.Path) { p.Sources = nil },
	func(p *diagnosis.Path) { p.Gone = []string{"s1", "t1"} },
	func(p *diagnosis.Path) {
		p.Others = append(p.Others, diagnosis.Other{Name: strings.Repeat("ü", 400), Session: p.Session})
	},
	func(p *diagnosis.Path) {
		groupWith(p, "g-target", func(all []cloud.GroupRule) []cloud.GroupRule {
			for i := range 30 {
				all = append(all, cloud.GroupRule{ID: fmt.Sprint(i), Direction: cloud.Ingress, Protocol: strings.Repeat("x", 20*i), Unreadable: "field\n"})
			}
			return all
		})
	},
	func(p *diagnosis.Path) { p.Groups = diagnosis.Answer[map[string]cloud.SecurityGroup]{} },
	func(p *diagnosis.Path) { p.ACLs.Value, p.Peerings.Value, p.RouteTables.Value = nil, nil, nil },
	func(p *diagnosis.Path) { p.Servers.Value, p.AddressGroups.Read = nil, false },
	func(p *diagnosis.Path) { p.Private = true },
}

func TestEqualPathsHaveNoChangesAndNoOrderMatters(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		which := rapid.SliceOfDistinct(rapid.IntRange(0, len(edits)-1), rapid.ID).Draw(t, "edits")
		slices.Sort(which)
		changed := func() *diagnosis.Path {
			p := twoVPCs()
			for _, i := range which {
				edits[i](p)
			}
			return p
		}
		if got := Changed(changed(), shuffled(t, changed()), lookedAt); got != nil {
			t.Fatalf("between a path and itself: %v", got)
		}
		want := Changed(twoVPCs(), changed(), lookedAt)
		if got := Changed(twoVPCs(), shuffled(t, changed()), lookedAt); !cmp.Equal(want, got) {
			t.Fatalf("in another order (-want +got):\n%s", cmp.Diff(want, got))
		}
		if len(want) > maxAtOnce {
			t.Fatalf("%d entries of one look", len(want))
		}
		for _, c := range want {
			if n := utf8.RuneCountInString(c.What); n == 0 || n > maxChange || strings.Contains(c.What, "\n") {
				t.Fatalf("a sentence of %d characters: %q", n, c.What)
			}
		}
	})
}

func TestChangesAreKeptNewestFirstAndOneIsSaidOnce(t *testing.T) {
	t.Parallel()
	at := func(second int, by v1alpha1.ChangedBy, what string) v1alpha1.Change {
		return v1alpha1.Change{At: metav1.NewTime(lookedAt.Truncate(time.Second).Add(time.Duration(second) * time.Second)), By: by, What: what}
	}
	first := []v1alpha1.Change{at(0, v1alpha1.ChangedByCloud, "gone"), at(0, v1alpha1.ChangedByOperator, "restored")}
	told := WithChanges(nil, first)
	want := []v1alpha1.Change{first[1], first[0]}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again := WithChanges(told, first); !cmp.Equal(want, again) {
		t.Errorf("said twice: %v", again)
	}
	for i := range 6 {
		told = WithChanges(told, []v1alpha1.Change{at(i+1, v1alpha1.ChangedBySpec, "edit")})
	}
	if len(told) != maxChanges || !told[0].At.Time.Equal(lookedAt.Truncate(time.Second).Add(6*time.Second)) {
		t.Errorf("there are %v", told)
	}
}

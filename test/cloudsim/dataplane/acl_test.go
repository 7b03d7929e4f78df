package dataplane

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"
)

// apart puts each of the walkthrough's hosts into a subnet of its own, named
// like the port, lets their groups pass everything of IPv4, and binds ACLs.
func apart(acls map[string]*ACL) func(*Config) {
	return func(c *Config) {
		for i := range c.Groups {
			c.Groups[i].Rules = []GroupRule{{Ingress: true}, {}, {Ingress: true, IPv6: true}, {IPv6: true}}
		}
		for i := range c.Ports {
			c.Ports[i].Subnet = c.Ports[i].ID
			c.Subnets = append(c.Subnets, Subnet{ID: c.Ports[i].ID, ACL: acls[c.Ports[i].ID]})
		}
	}
}

// only is an ACL that lets everything out and has these rules for what comes in.
func only(rules ...ACLRule) *ACL {
	return &ACL{Ingress: rules, Egress: []ACLRule{{}, {IPv6: true}}}
}

func some(prefix string) *AddressSet { return PrefixSet(netip.MustParsePrefix(prefix)) }

func TestACLRules(t *testing.T) {
	http := tcp(t, portTest, portSource, 40000, 80, "S", "")
	dns := udp(t, portTest, portSource, 40000, 53, "?")
	ping := echo(t, portTest, portSource, true, 7)
	for _, test := range []struct {
		name  string
		rules []ACLRule
		frame []byte
		want  bool
	}{
		{"nothing is allowed without a rule", nil, http, false},
		{"any is all protocols", []ACLRule{{Protocol: "any"}}, ping, true},
		{"a protocol in any case", []ACLRule{{Protocol: "TCP"}}, http, true},
		{"a protocol as a number", []ACLRule{{Protocol: "17"}}, dns, true},
		{"another protocol", []ACLRule{{Protocol: "udp"}}, http, false},
		{"a rule for IPv6 does not match IPv4", []ACLRule{{IPv6: true}}, http, false},
		{"a rule that is switched off does not match", []ACLRule{{Disabled: true}}, http, false},
		{"the first rule decides: deny", []ACLRule{{Deny: true, Protocol: "tcp"}, {}}, http, false},
		{"the first rule decides: allow", []ACLRule{{Protocol: "tcp"}, {Deny: true}}, http, true},
		{"a deny of something else changes nothing", []ACLRule{{Deny: true, Protocol: "udp"}, {}}, http, true},
		{"the source's prefix", []ACLRule{{Source: some("192.168.0.160/30")}}, http, true},
		{"another source", []ACLRule{{Source: some("192.168.0.164/30")}}, http, false},
		{"the destination's prefix", []ACLRule{{Destination: some("192.168.0.230/32")}}, http, true},
		{"another destination", []ACLRule{{Destination: some("192.168.0.161/32")}}, http, false},
		{"a range of addresses, its end included", []ACLRule{{Source: &AddressSet{[]AddressRange{{netip.MustParseAddr("192.168.0.2"), addrTest}}}}}, http, true},
		{"an address beyond the range", []ACLRule{{Source: &AddressSet{[]AddressRange{{netip.MustParseAddr("192.168.0.2"), addrTest.Prev()}}}}}, http, false},
		{"an empty group has no members", []ACLRule{{Source: &AddressSet{}}}, http, false},
		{"the destination's port in a list", []ACLRule{{Protocol: "tcp", DestinationPorts: "22,80-81"}}, http, true},
		{"the destination's port out of it", []ACLRule{{Protocol: "tcp", DestinationPorts: "22,81-90"}}, http, false},
		{"the source's port", []ACLRule{{Protocol: "tcp", SourcePorts: "40000"}}, http, true},
		{"the source's port is not the destination's", []ACLRule{{Protocol: "tcp", SourcePorts: "80"}}, http, false},
		{"ports do not match what has none", []ACLRule{{DestinationPorts: "1-65535"}}, ping, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for where, acls := range map[string]map[string]*ACL{
				"at the receiver": {portSource: only(test.rules...)},
				"at the sender":   {portTest: {Egress: test.rules}},
			} {
				l := walkthrough(t, apart(acls), func(c *Config) { c.Sessions = nil })
				if got := l.arrivals(portTest, test.frame)[portSource] == 1; got != test.want {
					t.Errorf("%s: arrived %v, want %v", where, got, test.want)
				}
			}
		})
	}
}

func TestAnACLRuleOfIPv6JudgesIPv6(t *testing.T) {
	six := func(source, destination string) []byte {
		e := &layers.Ethernet{SrcMAC: macTest, DstMAC: macSource, EthernetType: layers.EthernetTypeIPv6}
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolUDP,
			SrcIP: netip.MustParseAddr(source).AsSlice(), DstIP: netip.MustParseAddr(destination).AsSlice()}
		return build(t, e, ip, &layers.UDP{SrcPort: 40000, DstPort: 53}, gopacket.Payload("?"))
	}
	layout := walkthroughLayout("")
	for i, a := range []string{"2001:db8::230/64", "2001:db8::161/64"} {
		layout.Hosts[i].Interfaces[0].Addresses = append(layout.Hosts[i].Interfaces[0].Addresses, netip.MustParsePrefix(a))
	}
	for name, test := range map[string]struct {
		rule ACLRule
		want int
	}{
		"any":                      {ACLRule{IPv6: true}, 1},
		"its prefix":               {ACLRule{IPv6: true, Source: some("2001:db8::160/124"), Protocol: "udp", DestinationPorts: "53"}, 1},
		"another prefix":           {ACLRule{IPv6: true, Source: some("2001:db8:1::/64")}, 0},
		"all of IPv4 says nothing": {ACLRule{Source: some("0.0.0.0/0")}, 0},
		"icmp is ICMPv6, not UDP":  {ACLRule{IPv6: true, Protocol: "icmp"}, 0},
	} {
		l := newLab(t, layout, change(apart(map[string]*ACL{portSource: only(test.rule)}), func(c *Config) { c.Sessions = nil }))
		if got := l.arrivals(portTest, six("2001:db8::161", "2001:db8::230"))[portSource]; got != test.want {
			t.Errorf("%s: %d arrived, want %d", name, got, test.want)
		}
	}
}

func TestAnACLRemembersWhatItAllowed(t *testing.T) {
	to := func(flags string) []byte { return tcp(t, portTest, portSource, 40000, 80, flags, "") }
	back := func(flags string) []byte { return tcp(t, portSource, portTest, 80, 40000, flags, "") }
	http := only(ACLRule{Protocol: "tcp", DestinationPorts: "80"})
	http.Egress = nil
	without := func(c *Config) { c.Sessions = nil }
	for name, test := range map[string]struct {
		acls  map[string]*ACL
		steps []step
	}{
		"replies leave the subnet without a rule of their own": {map[string]*ACL{portSource: http}, []step{
			{0, portTest, to("S"), true, "SYN"}, {0, portSource, back("SA"), true, "SYN+ACK"}, {time.Minute, portTest, to("A"), true, "ACK"},
		}},
		"what the host opens does not": {map[string]*ACL{portSource: http}, []step{
			{0, portSource, tcp(t, portSource, portTest, 50000, 80, "S", ""), false, "SYN"},
		}},
		"replies enter the subnet of who asked": {map[string]*ACL{portTest: {Egress: []ACLRule{{}}}}, []step{
			{0, portTest, to("S"), true, "SYN"}, {0, portSource, back("SA"), true, "SYN+ACK"}, {0, portSource, tcp(t, portSource, portTest, 81, 40000, "SA", ""), false, "of another"},
		}},
		"both subnets judge": {map[string]*ACL{portSource: http, portTest: {}}, []step{{0, portTest, to("S"), false, "SYN"}}},
		"an ACL that is off denies everything, whatever its rules": {map[string]*ACL{portSource: {Off: true, Ingress: []ACLRule{{}}, Egress: []ACLRule{{}}}}, []step{
			{0, portTest, to("S"), false, "in"}, {0, portSource, tcp(t, portSource, portTest, 50000, 80, "S", ""), false, "out"},
		}},
		"ARP is never judged": {map[string]*ACL{portTest: {}}, []step{{0, portTest, arpTo(t), true, "ARP"}}},
	} {
		t.Run(name, func(t *testing.T) { run(t, walkthrough(t, apart(test.acls), without), test.steps) })
	}
	t.Run("what stays in the subnet is not judged", func(t *testing.T) {
		l := walkthrough(t, apart(map[string]*ACL{portSource: {}}), func(c *Config) { portOf(c, portTest).Subnet = portSource })
		run(t, l, []step{{0, portTest, udp(t, portTest, portSource, 1, 2, ""), true, "in the subnet"}, {0, portTarget, udp(t, portTarget, portSource, 1, 2, ""), false, "from outside"}})
	})
	t.Run("a connection is cut when the rule that let it in is gone", func(t *testing.T) {
		l := walkthrough(t, apart(map[string]*ACL{portSource: http}), without)
		run(t, l, []step{{0, portTest, to("S"), true, "SYN"}, {0, portSource, back("SA"), true, "SYN+ACK"}})
		l.sw.Apply(change(apart(map[string]*ACL{portSource: only()}), without))
		run(t, l, []step{{0, portTest, to("A"), false, "ACK"}})
	})
}

// arpTo is an ARP request of ecs-test to ecs-source alone.
func arpTo(t *testing.T) []byte {
	t.Helper()
	frame := arpRequest(t, portTest, portSource)
	copy(frame, macSource)
	return frame
}

func TestACLsAndCopies(t *testing.T) {
	syn := tcp(t, portTest, portSource, 40000, 1234, "S", "")
	vxlan := ACLRule{Protocol: "udp", Source: some("192.168.0.230/32"), DestinationPorts: "4789"}
	for name, test := range map[string]struct {
		acls map[string]*ACL
		want SessionStats
	}{
		"no ACL":                         {nil, SessionStats{Copies: 1, Delivered: 1}},
		"the target's denies by default": {map[string]*ACL{portTarget: only()}, SessionStats{Copies: 1, DeniedByTargetACL: 1}},
		"the target's lets UDP 4789 in":  {map[string]*ACL{portTarget: only(vxlan)}, SessionStats{Copies: 1, Delivered: 1}},
		"the target's lets copies of another in": {map[string]*ACL{portTarget: only(ACLRule{Protocol: "udp", Source: some("192.168.0.231/32")})},
			SessionStats{Copies: 1, DeniedByTargetACL: 1}},
		"a deny stands before":              {map[string]*ACL{portTarget: only(ACLRule{Deny: true, Protocol: "udp", DestinationPorts: "4000-5000"}, vxlan)}, SessionStats{Copies: 1, DeniedByTargetACL: 1}},
		"the target's is off":               {map[string]*ACL{portTarget: {Off: true, Ingress: []ACLRule{vxlan}}}, SessionStats{Copies: 1, DeniedByTargetACL: 1}},
		"the source's lets nothing out":     {map[string]*ACL{portSource: {Ingress: []ACLRule{{}}}}, SessionStats{Copies: 1, Delivered: 1}},
		"the source's keeps the packet out": {map[string]*ACL{portSource: only()}, SessionStats{}},
	} {
		t.Run(name, func(t *testing.T) {
			l := walkthrough(t, apart(test.acls))
			l.send(portTest, syn)
			got := l.sw.Stats().Sessions["session-1"]
			got.InnerBytes = 0
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a copy passes the source's ACL only where copies do", func(t *testing.T) {
		in := []ACLRule{{}}
		for _, test := range []struct {
			egress []ACLRule
			want   SessionStats
		}{
			{nil, SessionStats{Copies: 1, DeniedBySourceACL: 1}},
			{[]ACLRule{{Protocol: "udp", Destination: some("192.168.0.164/32"), DestinationPorts: "4789"}}, SessionStats{Copies: 1, Delivered: 1}},
		} {
			l := walkthrough(t, apart(map[string]*ACL{portSource: {Ingress: in, Egress: test.egress}}), func(c *Config) { c.Copies.PassSourceACL = true })
			l.send(portTest, syn)
			got := l.sw.Stats().Sessions["session-1"]
			got.InnerBytes = 0
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", test.egress, diff)
			}
		}
	})
	t.Run("what the source's ACL does not let out is not copied", func(t *testing.T) {
		out := func(c *Config) { c.Sessions[0].Egress = []Rule{{Priority: 1, Accept: true, Protocol: "ALL"}} }
		l := walkthrough(t, apart(map[string]*ACL{portSource: {}}), out)
		l.send(portSource, udp(t, portSource, portTest, 1, 2, ""))
		if got := l.sw.Stats().Sessions["session-1"].Copies; got != 0 {
			t.Errorf("%d copies, want none", got)
		}
	})
}

func TestAPrefixAndItsSetHaveTheSameMembers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) netip.Addr {
			if rapid.Bool().Draw(t, label+" is IPv6") {
				return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.ByteRange(0, 3), 16, 16).Draw(t, label)))
			}
			return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.ByteRange(0, 3), 4, 4).Draw(t, label)))
		}
		a, b := draw("prefix"), draw("address")
		p := netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits"))
		if got := PrefixSet(p).contains(b); got != p.Masked().Contains(b) {
			t.Fatalf("%s in %s: %v", b, p, got)
		}
	})
}

// drawACLRule makes a rule of the few addresses and ports that packets have.
func drawACLRule(t *rapid.T) ACLRule {
	set := func(label string) *AddressSet { return PrefixSet(rapid.SampledFrom(somePrefixes).Draw(t, label)) }
	return ACLRule{
		IPv6: rapid.Bool().Draw(t, "ipv6"), Deny: rapid.Bool().Draw(t, "deny"), Disabled: rapid.IntRange(0, 5).Draw(t, "disabled") == 0,
		Protocol: rapid.SampledFrom([]string{"", "any", "TCP", "udp", "47"}).Draw(t, "protocol"),
		Source:   set("from"), Destination: set("to"),
		SourcePorts:      rapid.SampledFrom([]string{"", "", "80", "1-79"}).Draw(t, "sports"),
		DestinationPorts: rapid.SampledFrom([]string{"", "", "80", "22,53,80-101"}).Draw(t, "dports"),
	}
}

func TestAnACLGivesTheVerdictOfItsFirstRuleThatMatches(t *testing.T) {
	protocols := map[string]uint8{"TCP": protoTCP, "udp": protoUDP, "47": 47}
	in := map[string]func(uint16) bool{
		"": func(uint16) bool { return true }, "80": func(p uint16) bool { return p == 80 }, "1-79": func(p uint16) bool { return p >= 1 && p < 80 },
		"22,53,80-101": func(p uint16) bool { return p == 22 || p == 53 || p >= 80 && p <= 101 },
	}
	// fits is the cloud's rule in the plainest words.
	fits := func(r ACLRule, p packet) bool {
		has := func(s *AddressSet, a netip.Addr) bool {
			return s == nil || s.Ranges[0].From.Is4() == a.Is4() && !a.Less(s.Ranges[0].From) && !s.Ranges[0].To.Less(a)
		}
		ports := r.SourcePorts+r.DestinationPorts == "" || p.hasPorts && in[r.SourcePorts](p.sourcePort) && in[r.DestinationPorts](p.destinationPort)
		protocol, named := protocols[r.Protocol]
		return !r.Disabled && r.IPv6 == p.source.Is6() && (!named || protocol == p.protocol) && has(r.Source, p.source) && has(r.Destination, p.destination) && ports
	}
	rapid.Check(t, func(t *rapid.T) {
		acl := &ACL{
			Off:     rapid.IntRange(0, 5).Draw(t, "off") == 0,
			Ingress: rapid.SliceOfN(rapid.Custom(drawACLRule), 0, 6).Draw(t, "ingress"), Egress: rapid.SliceOfN(rapid.Custom(drawACLRule), 0, 6).Draw(t, "egress"),
		}
		ready := compileSubnet(Subnet{ID: "s", ACL: acl})
		p, ingress := drawPacket(t), rapid.Bool().Draw(t, "is ingress")
		q, want := questionOf(&p, ingress), false
		for _, r := range map[bool][]ACLRule{true: acl.Ingress, false: acl.Egress}[ingress] {
			if fits(r, p) {
				want = !r.Deny && !acl.Off
				break
			}
		}
		if got := ready.allows(&q); got != want {
			t.Fatalf("packet %+v, ingress %v, ACL %+v: %v, want %v", p, ingress, acl, got, want)
		}
	})
}

package dataplane

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// quiet takes the mirror session away and leaves the named groups with the
// rules given, all egress allowed.
func quiet(rules map[string][]GroupRule) func(*Config) {
	return func(c *Config) {
		c.Sessions = nil
		for i, g := range c.Groups {
			if r, ok := rules[g.ID]; ok {
				c.Groups[i].Rules = append([]GroupRule{{Priority: 1}, {IPv6: true, Priority: 1}}, r...)
			}
		}
	}
}

func TestSecurityGroupRules(t *testing.T) {
	http := tcp(t, portTest, portSource, 40000, 80, "S", "")
	dns := udp(t, portTest, portSource, 40000, 53, "?")
	ping := echo(t, portTest, portSource, true, 7)
	in := func(r GroupRule) GroupRule { r.Ingress = true; return r }
	prefix := netip.MustParsePrefix
	tests := []struct {
		name  string
		rules []GroupRule
		frame []byte
		want  bool
	}{
		{"nothing is allowed without a rule", nil, http, false},
		{"an empty protocol is all protocols", []GroupRule{in(GroupRule{})}, http, true},
		{"an empty protocol is ICMP too", []GroupRule{in(GroupRule{})}, ping, true},
		{"a protocol is matched in any case", []GroupRule{in(GroupRule{Protocol: "Tcp"})}, http, true},
		{"a protocol may be a number", []GroupRule{in(GroupRule{Protocol: "17"})}, dns, true},
		{"another protocol does not match", []GroupRule{in(GroupRule{Protocol: "udp"})}, http, false},
		{"an egress rule does not let anything in", []GroupRule{{Protocol: "tcp"}}, http, false},
		{"an IPv6 rule does not match IPv4", []GroupRule{in(GroupRule{IPv6: true})}, http, false},
		{"a disabled rule does not match", []GroupRule{in(GroupRule{Disabled: true})}, http, false},
		{"one port", []GroupRule{in(GroupRule{Protocol: "tcp", Ports: "80"})}, http, true},
		{"a list of ports", []GroupRule{in(GroupRule{Protocol: "tcp", Ports: "22,3389,80"})}, http, true},
		{"a list that has another port", []GroupRule{in(GroupRule{Protocol: "tcp", Ports: "22,3389,81"})}, http, false},
		{"the end of a range", []GroupRule{in(GroupRule{Protocol: "tcp", Ports: "1-80"})}, http, true},
		{"ports are the destination's", []GroupRule{in(GroupRule{Protocol: "tcp", Ports: "40000"})}, http, false},
		{"ports do not match what has none", []GroupRule{in(GroupRule{Ports: "1-65535"})}, ping, false},
		{"the peer's prefix", []GroupRule{in(GroupRule{RemotePrefix: prefix("192.168.0.160/30")})}, http, true},
		{"another prefix", []GroupRule{in(GroupRule{RemotePrefix: prefix("192.168.0.164/30")})}, http, false},
		{"the peer is in the group", []GroupRule{in(GroupRule{RemoteGroup: "sg-test"})}, http, true},
		{"the peer is in another group", []GroupRule{in(GroupRule{RemoteGroup: "sg-source"})}, http, false},
		{"a group that does not exist has no members", []GroupRule{in(GroupRule{RemoteGroup: "sg-gone"})}, http, false},
		{"the peer is in the address group", []GroupRule{in(GroupRule{RemoteAddresses: PrefixSet(prefix("192.168.0.160/31"))})}, http, true},
		{"the peer is not in the address group", []GroupRule{in(GroupRule{RemoteAddresses: PrefixSet(prefix("192.168.0.162/31"))})}, http, false},
		{"an address group without addresses has no members", []GroupRule{in(GroupRule{RemoteAddresses: &AddressSet{}})}, http, false},
		{"the smaller priority comes first", []GroupRule{in(GroupRule{Priority: 2, Deny: true}), in(GroupRule{Priority: 1})}, http, true},
		{"deny comes before allow at the same priority", []GroupRule{in(GroupRule{Priority: 5}), in(GroupRule{Priority: 5, Deny: true})}, http, false},
		{"a deny of something else changes nothing", []GroupRule{in(GroupRule{Priority: 1, Deny: true, Protocol: "udp"}), in(GroupRule{Priority: 2})}, http, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := walkthrough(t, quiet(map[string][]GroupRule{"sg-source": test.rules}))
			got := l.arrivals(portTest, test.frame)[portSource] == 1
			if got != test.want {
				t.Errorf("arrived %v, want %v", got, test.want)
			}
		})
	}
}

func TestARuleThatNamesAGroupAdmitsCopiesUnlessTheyAreLeftOut(t *testing.T) {
	members := func(c *Config) {
		c.Groups[2].Rules = []GroupRule{{Ingress: true, RemoteGroup: "sg-source"}}
		c.Groups[1].Rules = append(c.Groups[1].Rules, GroupRule{Ingress: true})
	}
	for _, test := range []struct {
		rules CopyRules
		want  uint64
	}{{CopyRules{}, 1}, {CopyRules{NoRemoteGroups: true}, 0}} {
		l := walkthrough(t, members, func(c *Config) { c.Copies = test.rules })
		l.send(portTest, tcp(t, portTest, portSource, 40000, 1234, "S", ""))
		if got := l.sw.Stats().Sessions["session-1"].Delivered; got != test.want {
			t.Errorf("%+v: %d copies, want %d", test.rules, got, test.want)
		}
		if l.arrivals(portSource, udp(t, portSource, portTarget, 1, 2, ""))[portTarget] != 1 {
			t.Errorf("%+v: a packet of a member does not arrive", test.rules)
		}
	}
}

func TestAnEarlierGroupOfAPortComesBeforeALaterOne(t *testing.T) {
	frame := tcp(t, portTest, portSource, 40000, 80, "S", "")
	for _, test := range []struct {
		name   string
		groups []string
		want   int
	}{
		{"the group that denies is bound first", []string{"sg-deny", "sg-allow"}, 0},
		{"the group that allows is bound first, whatever the priorities", []string{"sg-allow", "sg-deny"}, 1},
		{"a group without a matching rule leaves it to the next", []string{"sg-test", "sg-allow"}, 1},
		{"a group that does not exist says nothing", []string{"sg-gone", "sg-allow"}, 1},
		{"a port without groups lets nothing in", nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := walkthrough(t, quiet(nil), func(c *Config) {
				c.Groups = append(c.Groups,
					Group{ID: "sg-deny", Rules: []GroupRule{{Ingress: true, Deny: true, Priority: 1}}},
					Group{ID: "sg-allow", Rules: []GroupRule{{Ingress: true, Priority: 100}}})
				c.Ports[0].Groups = test.groups
			})
			if got := l.arrivals(portTest, frame)[portSource]; got != test.want {
				t.Errorf("%d frames arrived, want %d", got, test.want)
			}
		})
	}
}

// step is a step of a conversation: who sends what to whom, after how long,
// and whether it arrives.
type step struct {
	after    time.Duration
	from     string
	frame    []byte
	arrives  bool
	annotate string
}

func run(t *testing.T, l *lab, steps []step) {
	t.Helper()
	for i, s := range steps {
		l.clock.pass(s.after)
		total := 0
		for _, n := range l.arrivals(s.from, s.frame) {
			total += n
		}
		if (total == 1) != s.arrives {
			t.Errorf("step %d (%s): arrived %d times, want arrival: %v", i, s.annotate, total, s.arrives)
		}
	}
}

func TestGroupsRememberWhatTheyAllowed(t *testing.T) {
	// ecs-source lets TCP 80 in and nothing out; ecs-test lets nothing in.
	strict := func(c *Config) {
		c.Sessions = nil
		c.Groups[0].Rules = []GroupRule{{Ingress: true, Protocol: "tcp", Ports: "80"}, {Ingress: true, Protocol: "udp", Ports: "53"}, {Ingress: true, Protocol: "icmp"}}
		c.Groups[1].Rules = []GroupRule{{Priority: 1}}
	}
	to := func(flags string) []byte { return tcp(t, portTest, portSource, 40000, 80, flags, "") }
	back := func(flags string) []byte { return tcp(t, portSource, portTest, 80, 40000, flags, "") }
	ask, answer := udp(t, portTest, portSource, 40000, 53, "?"), udp(t, portSource, portTest, 53, 40000, "!")
	for name, steps := range map[string][]step{
		"replies pass both groups": {
			{0, portTest, to("S"), true, "SYN"}, {0, portSource, back("SA"), true, "SYN+ACK"},
			{0, portTest, to("A"), true, "ACK"}, {time.Minute, portSource, back("PA"), true, "data"},
		},
		"a reply to nothing does not": {{0, portSource, back("SA"), false, "SYN+ACK"}},
		"a reply to another port does not": {
			{0, portTest, to("S"), true, "SYN"}, {0, portSource, tcp(t, portSource, portTest, 80, 40001, "SA", ""), false, "SYN+ACK"},
		},
		"a new connection over the ports of an old one does not": {
			{0, portTest, to("S"), true, "SYN"}, {0, portSource, back("SA"), true, "SYN+ACK"}, {0, portSource, back("S"), false, "SYN"},
		},
		"one-way UDP is forgotten after 30 s": {
			{0, portTest, ask, true, "ask"}, {30 * time.Second, portSource, answer, true, "answer in time"},
		},
		"one-way UDP is forgotten after 30 s, then no answer passes": {
			{0, portTest, ask, true, "ask"}, {31 * time.Second, portSource, answer, false, "late answer"},
		},
		"answered UDP is remembered for three minutes": {
			{0, portTest, ask, true, "ask"}, {time.Second, portSource, answer, true, "answer"},
			{179 * time.Second, portSource, answer, true, "in time"}, {181 * time.Second, portSource, answer, false, "late"},
		},
		"a TCP connection that was closed is soon forgotten": {
			{0, portTest, to("S"), true, "SYN"}, {0, portSource, back("SA"), true, "SYN+ACK"},
			{0, portTest, to("FA"), true, "FIN"}, {11 * time.Second, portSource, back("A"), false, "late ACK"},
		},
		"an echo reply passes with the identifier of the request": {
			{0, portTest, echo(t, portTest, portSource, true, 7), true, "request"},
			{0, portSource, echo(t, portSource, portTest, false, 7), true, "reply"},
			{0, portSource, echo(t, portSource, portTest, false, 8), false, "reply to nothing"},
			{0, portSource, echo(t, portSource, portTest, true, 7), false, "request the other way"},
		},
		"an ICMP error about a flow passes": {
			{0, portTest, ask, true, "ask"},
			{0, portSource, unreachable(t, portSource, portTest, ask), true, "port unreachable"},
		},
		"an ICMP error about something else does not": {
			{0, portTest, ask, true, "ask"},
			{0, portSource, unreachable(t, portSource, portTest, udp(t, portTest, portSource, 40001, 53, "?")), false, "port unreachable"},
		},
	} {
		t.Run(name, func(t *testing.T) { run(t, walkthrough(t, strict), steps) })
	}
}

// unreachable builds a port unreachable that quotes a packet.
func unreachable(t testing.TB, from, to string, about []byte) []byte {
	t.Helper()
	e, ip := ethernetIP4(from, to, layers.IPProtocolICMPv4)
	return build(t, e, ip, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodePort)},
		gopacket.Payload(about[ethernetLength:min(len(about), ethernetLength+28)]))
}

func TestAChangeOfRulesAndTheFlowsThatRun(t *testing.T) {
	to := func(flags string) []byte { return tcp(t, portTest, portSource, 40000, 80, flags, "") }
	back := func(flags string) []byte { return tcp(t, portSource, portTest, 80, 40000, flags, "") }
	start := []step{
		{0, portTest, to("S"), true, "SYN"}, {0, portSource, back("SA"), true, "SYN+ACK"}, {0, portTest, to("A"), true, "ACK"},
	}
	open80 := quiet(map[string][]GroupRule{"sg-source": {{Ingress: true, Protocol: "tcp", Ports: "80"}}})
	t.Run("a connection is cut when the ingress rule that let it in is gone, in both directions", func(t *testing.T) {
		l := walkthrough(t, open80)
		run(t, l, start)
		l.sw.Apply(change(quiet(map[string][]GroupRule{"sg-source": nil})))
		run(t, l, []step{{0, portTest, to("PA"), false, "data"}, {0, portSource, back("PA"), false, "data back"}, {0, portTest, to("PA"), false, "data"}})
		l.sw.Apply(change(open80))
		run(t, l, []step{{0, portTest, to("PA"), true, "data after the rule is back"}})
	})
	t.Run("a connection goes on when the egress rule that let it out is gone, and no new one starts", func(t *testing.T) {
		l := walkthrough(t, open80)
		run(t, l, start)
		l.sw.Apply(change(open80, func(c *Config) { c.Groups[1].Rules = nil }))
		run(t, l, []step{
			{0, portTest, to("PA"), true, "data"}, {0, portSource, back("PA"), true, "data back"},
			{0, portTest, tcp(t, portTest, portSource, 40001, 80, "S", ""), false, "another SYN"},
		})
	})
	t.Run("a change of something else disturbs nothing", func(t *testing.T) {
		l := walkthrough(t, open80)
		run(t, l, start)
		l.sw.Apply(change(open80, open("sg-target", anything)))
		run(t, l, []step{{0, portTest, to("PA"), true, "data"}, {0, portSource, back("PA"), true, "data back"}})
	})
}

// pieces cuts an IPv4 packet into fragments whose payloads have at most size
// bytes, a multiple of 8.
func pieces(t testing.TB, frame []byte, size int) [][]byte {
	t.Helper()
	payload := frame[ethernetLength+ipv4Length:]
	var out [][]byte
	for at := 0; at < len(payload); at += size {
		part := payload[at:min(len(payload), at+size)]
		f := append(append([]byte(nil), frame[:ethernetLength+ipv4Length]...), part...)
		ip := f[ethernetLength:]
		binary.BigEndian.PutUint16(ip[2:], uint16(ipv4Length+len(part)))
		binary.BigEndian.PutUint16(ip[4:], 4711)
		flags := uint16(at / 8)
		if at+size < len(payload) {
			flags |= 0x2000
		}
		binary.BigEndian.PutUint16(ip[6:], flags)
		binary.BigEndian.PutUint16(ip[10:], 0)
		binary.BigEndian.PutUint16(ip[10:], ^fold(sum(0, ip[:ipv4Length])))
		out = append(out, f)
	}
	return out
}

func TestFragments(t *testing.T) {
	parts := pieces(t, udp(t, portTest, portSource, 40000, 53, strings.Repeat("z", 100)), 48)
	if len(parts) != 3 {
		t.Fatalf("%d pieces", len(parts))
	}
	open53 := quiet(map[string][]GroupRule{"sg-source": {{Ingress: true, Protocol: "udp", Ports: "53"}}})
	t.Run("later ones follow the first that a rule with ports let in", func(t *testing.T) {
		run(t, walkthrough(t, open53), []step{{0, portTest, parts[0], true, "first"}, {0, portTest, parts[1], true, "second"}, {0, portTest, parts[2], true, "last"}})
	})
	t.Run("later ones alone do not match a rule with ports", func(t *testing.T) {
		run(t, walkthrough(t, open53), []step{{0, portTest, parts[1], false, "second"}, {0, portTest, parts[2], false, "last"}})
	})
	t.Run("of a mirror rule with ports only the first is copied, without ports all are", func(t *testing.T) {
		for ports, want := range map[PortRange]int{{53, 53}: 1, {}: 3} {
			l := walkthrough(t, open("sg-source", anything), func(c *Config) {
				c.Sessions[0].Ingress = []Rule{{Priority: 1, Accept: true, Protocol: "UDP", DestinationPorts: ports}}
			})
			copies := 0
			for _, part := range parts {
				copies += l.arrivals(portTest, part)[portTarget]
			}
			if copies != want {
				t.Errorf("ports %v: %d copies, want %d", ports, copies, want)
			}
		}
	})
}

func TestTheFlowTableIsBounded(t *testing.T) {
	l := walkthrough(t, quiet(map[string][]GroupRule{"sg-source": {anything}}))
	l.keep = false
	lasting := tcp(t, portTest, portSource, 40000, 80, "S", "")
	l.send(portTest, lasting)
	l.send(portSource, tcp(t, portSource, portTest, 80, 40000, "SA", ""))
	for port := range uint16(2 * maxFlows) {
		l.send(portTest, udp(t, portTest, portSource, port, 9, ""))
	}
	l.keep = true
	stats := l.sw.Stats().Ports[portSource]
	if want := uint64(2*maxFlows + 1 - maxFlows); stats.Flows != maxFlows || stats.FlowsEvicted != want {
		t.Errorf("%d flows, %d evicted, want %d and %d", stats.Flows, stats.FlowsEvicted, maxFlows, want)
	}
	if l.arrivals(portSource, tcp(t, portSource, portTest, 80, 40000, "PA", ""))[portTest] != 1 {
		t.Error("a conversation of two sides was forgotten before flows that nobody answered")
	}
	l.clock.pass(time.Hour)
	if diff := cmp.Diff(0, l.sw.Stats().Ports[portSource].Flows); diff != "" {
		t.Errorf("flows after an hour of silence (-want +got):\n%s", diff)
	}
}

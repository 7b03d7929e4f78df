package dataplane

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// copyView is a copy as gopacket reads it.
type copyView struct {
	OuterLength, InnerLength   int
	OuterFrom, OuterTo         string
	OuterSource, OuterTarget   string
	Port                       uint16
	TTL                        uint8
	DontFragment               bool
	VNIFlag                    bool
	VNI                        uint32
	InnerFrom, InnerTo         string
	InnerSource, InnerReceiver string
}

func view(t testing.TB, frame []byte) copyView {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	v := copyView{OuterLength: len(frame)}
	var seenOuter bool
	for _, layer := range p.Layers() {
		switch l := layer.(type) {
		case *layers.Ethernet:
			if !seenOuter {
				v.OuterFrom, v.OuterTo = l.SrcMAC.String(), l.DstMAC.String()
			} else {
				v.InnerFrom, v.InnerTo = l.SrcMAC.String(), l.DstMAC.String()
			}
		case *layers.IPv4:
			if !seenOuter {
				v.OuterSource, v.OuterTarget, v.TTL = l.SrcIP.String(), l.DstIP.String(), l.TTL
				v.DontFragment = l.Flags == layers.IPv4DontFragment
				if fold(sum(0, l.Contents)) != 0xffff {
					t.Errorf("outer IPv4 header checksum %#x is wrong", l.Checksum)
				}
			} else {
				v.InnerSource, v.InnerReceiver = l.SrcIP.String(), l.DstIP.String()
			}
		case *layers.IPv6:
			if !seenOuter {
				v.OuterSource, v.OuterTarget, v.TTL = l.SrcIP.String(), l.DstIP.String(), l.HopLimit
			}
		case *layers.UDP:
			if !seenOuter {
				v.Port = uint16(l.DstPort)
				if l.SrcPort < 32768 {
					t.Errorf("outer source port %d is below 32768", l.SrcPort)
				}
			}
		case *layers.VXLAN:
			seenOuter = true
			v.VNIFlag, v.VNI, v.InnerLength = l.ValidIDFlag, l.VNI, len(l.Payload)
		}
	}
	return v
}

func TestACopyLooksAsTheCloudsGuideShowsIt(t *testing.T) {
	l := walkthrough(t)
	l.send(portTest, tcp(t, portTest, portSource, 38944, 1234, "S", ""))
	line := tcp(t, portTest, portSource, 38944, 1234, "PA", "12345\n")
	got := l.send(portTest, line)

	if diff := cmp.Diff(map[string]int{portSource: 1, portTarget: 1}, counts(got)); diff != "" {
		t.Fatalf("who got how many frames (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(line, got[portSource][0]); diff != "" {
		t.Errorf("the frame itself (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(line, got[portTarget][0][50:]); diff != "" {
		t.Errorf("the inner frame of the copy (-want +got):\n%s", diff)
	}
	want := copyView{
		OuterLength: 122, InnerLength: 72,
		OuterFrom: "fa:16:3e:d1:6b:5d", OuterTo: "fa:16:3e:7e:d6:7a",
		OuterSource: "192.168.0.230", OuterTarget: "192.168.0.164", Port: 4789, TTL: 64, DontFragment: true,
		VNIFlag: true, VNI: 1,
		InnerFrom: "fa:16:3e:7e:d6:77", InnerTo: "fa:16:3e:7e:d6:bc",
		InnerSource: "192.168.0.161", InnerReceiver: "192.168.0.230",
	}
	if diff := cmp.Diff(want, view(t, got[portTarget][0])); diff != "" {
		t.Errorf("the copy (-want +got):\n%s", diff)
	}
}

func counts(got map[string][][]byte) map[string]int {
	out := map[string]int{}
	for id, frames := range got {
		out[id] = len(frames)
	}
	return out
}

func TestMirroring(t *testing.T) {
	session := func(f func(*Session)) func(*Config) { return func(c *Config) { f(&c.Sessions[0]) } }
	second := func(f func(*Session)) func(*Config) {
		return func(c *Config) {
			s := c.Sessions[0]
			s.ID, s.Priority, s.VNI = "session-2", 2, 2
			f(&s)
			c.Sessions = append(c.Sessions, s)
		}
	}
	both := map[string]int{portSource: 1, portTarget: 1}
	alone := map[string]int{portSource: 1}
	tests := []struct {
		name     string
		changes  []func(*Config)
		want     map[string]int
		sessions map[string]SessionStats
	}{
		{"an accepted packet is copied once", nil, both,
			map[string]SessionStats{"session-1": {Copies: 1, InnerBytes: 72, Delivered: 1}}},
		{"without the 4789 rule the copy is kept out by the target's group", []func(*Config){func(c *Config) {
			dropRules(t, c, "sg-target", func(r GroupRule) bool { return r.Ports == "4789" })
		}}, alone, map[string]SessionStats{"session-1": {Copies: 1, InnerBytes: 72, DeniedByTargetGroup: 1}}},
		{"a deny of higher priority at the target keeps the copy out", []func(*Config){
			open("sg-target", GroupRule{Ingress: true, Protocol: "udp", Deny: true, Priority: 0}),
		}, alone, map[string]SessionStats{"session-1": {Copies: 1, InnerBytes: 72, DeniedByTargetGroup: 1}}},
		{"a rule for the source's group lets the copy in", []func(*Config){func(c *Config) {
			dropRules(t, c, "sg-target", func(r GroupRule) bool { return r.Ports == "4789" })
		}, open("sg-target", GroupRule{Ingress: true, Protocol: "udp", Ports: "4789", RemoteGroup: "sg-source", Priority: 9})}, both,
			map[string]SessionStats{"session-1": {Copies: 1, InnerBytes: 72, Delivered: 1}}},
		{"the source's egress rules do not hold a copy back", []func(*Config){func(c *Config) {
			dropRules(t, c, "sg-source", func(r GroupRule) bool { return !r.Ingress })
		}}, both, map[string]SessionStats{"session-1": {Copies: 1, InnerBytes: 72, Delivered: 1}}},
		{"what the source's ingress group drops is not mirrored", []func(*Config){func(c *Config) {
			dropRules(t, c, "sg-source", func(r GroupRule) bool { return r.Ports == "1234" })
		}}, map[string]int{}, map[string]SessionStats{"session-1": {}}},
		{"a disabled session copies nothing and hides nothing", []func(*Config){
			session(func(s *Session) { s.Enabled = false }), second(func(s *Session) { s.Enabled = true }),
		}, both, map[string]SessionStats{"session-1": {}, "session-2": {Copies: 1, InnerBytes: 72, Delivered: 1}}},
		{"a source of a flavor that can't be mirrored carries nothing", []func(*Config){
			func(c *Config) { c.Ports[0].FlavorSupportsMirroring = false },
		}, alone, map[string]SessionStats{"session-1": {}}},
		{"an egress rule does not match what the source receives", []func(*Config){
			session(func(s *Session) { s.Egress, s.Ingress = s.Ingress, nil }),
		}, alone, map[string]SessionStats{"session-1": {}}},
		{"a filter without rules mirrors nothing", []func(*Config){
			session(func(s *Session) { s.Ingress = nil }),
		}, alone, map[string]SessionStats{"session-1": {}}},
		{"of two sessions that accept, the one of smaller priority makes the only copy", []func(*Config){
			session(func(s *Session) { s.Priority = 7 }), second(func(s *Session) {}),
		}, both, map[string]SessionStats{"session-1": {}, "session-2": {Copies: 1, InnerBytes: 72, Delivered: 1}}},
		{"a reject hides the packet from every later session", []func(*Config){
			session(func(s *Session) { s.Ingress = []Rule{{Priority: 1, Protocol: "ALL"}} }), second(func(s *Session) {}),
		}, alone, map[string]SessionStats{"session-1": {Rejected: 1}, "session-2": {}}},
		{"inside a session the rule of smaller priority decides", []func(*Config){
			session(func(s *Session) {
				s.Ingress[0].Priority = 5
				s.Ingress = append(s.Ingress, Rule{Priority: 4, Protocol: "TCP"})
			}),
		}, alone, map[string]SessionStats{"session-1": {Rejected: 1}}},
		{"a session whose rules do not match leaves the packet to the next", []func(*Config){
			session(func(s *Session) { s.Ingress[0].DestinationPorts = PortRange{80, 200} }), second(func(s *Session) {
				s.Ingress = []Rule{{Priority: 1, Accept: true, Protocol: "ALL"}}
			}),
		}, both, map[string]SessionStats{"session-1": {}, "session-2": {Copies: 1, InnerBytes: 72, Delivered: 1}}},
		{"a target that does not exist is counted", []func(*Config){
			session(func(s *Session) { s.Target = "port-gone" }),
		}, alone, map[string]SessionStats{"session-1": {Copies: 1, InnerBytes: 72, NoTarget: 1}}},
		{"a copy is never mirrored again, so that targets can't make a loop", []func(*Config){second(func(s *Session) {
			s.Sources, s.Target, s.Priority = []string{portTarget}, portSource, 1
			s.Ingress = []Rule{{Priority: 1, Accept: true, Protocol: "ALL"}}
		})}, both, map[string]SessionStats{"session-1": {Copies: 1, InnerBytes: 72, Delivered: 1}, "session-2": {}}},
		{"the packet length cuts the copy", []func(*Config){
			session(func(s *Session) { s.PacketLength = 64 }),
		}, both, map[string]SessionStats{"session-1": {Copies: 1, InnerBytes: 64, Delivered: 1}}},
		{"a source that is named twice is one source", []func(*Config){
			session(func(s *Session) { s.Sources = []string{portSource, portSource} }),
		}, both, map[string]SessionStats{"session-1": {Copies: 1, InnerBytes: 72, Delivered: 1}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := walkthrough(t, test.changes...)
			got := l.arrivals(portTest, tcp(t, portTest, portSource, 38944, 1234, "PA", "12345\n"))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("who got how many frames (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.sessions, l.sw.Stats().Sessions); diff != "" {
				t.Errorf("sessions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatTheWalkthroughsFilterLeavesOut(t *testing.T) {
	opened := []func(*Config){open("sg-source", anything), open("sg-test", anything), open("sg-target", anything)}
	for name, frame := range map[string]struct {
		from  string
		frame []byte
	}{
		"another port":           {portTest, tcp(t, portTest, portSource, 38944, 1235, "S", "")},
		"another client":         {portTarget, tcp(t, portTarget, portSource, 38944, 1234, "S", "")},
		"UDP to the same port":   {portTest, udp(t, portTest, portSource, 38944, 1234, "hello")},
		"an echo request":        {portTest, echo(t, portTest, portSource, true, 1)},
		"what the source sends":  {portSource, tcp(t, portSource, portTest, 1234, 38944, "SA", "")},
		"traffic between others": {portTest, tcp(t, portTest, portTarget, 38944, 1234, "S", "")},
	} {
		t.Run(name+" arrives and is not copied", func(t *testing.T) {
			l := walkthrough(t, opened...)
			p := classify(frame.frame)
			want := map[string]int{}
			for id, h := range hosts(walkthroughLayout("")) {
				if h.nic.Addresses[0].Addr() == p.destination {
					want[id] = 1
				}
			}
			if diff := cmp.Diff(want, l.arrivals(frame.from, frame.frame)); diff != "" {
				t.Errorf("who got how many frames (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEgressRuleCopiesWhatTheSourceSendsAndNothingElse(t *testing.T) {
	l := walkthrough(t, func(c *Config) {
		c.Sessions[0].Egress, c.Sessions[0].Ingress = []Rule{{Priority: 1, Accept: true, Protocol: "ALL"}}, nil
	})
	request, reply := tcp(t, portTest, portSource, 38944, 1234, "S", ""), tcp(t, portSource, portTest, 1234, 38944, "SA", "")
	if diff := cmp.Diff(map[string]int{portSource: 1}, l.arrivals(portTest, request)); diff != "" {
		t.Errorf("what the source receives (-want +got):\n%s", diff)
	}
	got := l.send(portSource, reply)
	if diff := cmp.Diff(map[string]int{portTest: 1, portTarget: 1}, counts(got)); diff != "" {
		t.Fatalf("what the source sends (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(reply, got[portTarget][0][50:]); diff != "" {
		t.Errorf("the inner frame (-want +got):\n%s", diff)
	}
}

func TestAPacketFromOneSourceToAnotherIsCopiedForEach(t *testing.T) {
	l := walkthrough(t, func(c *Config) {
		all := []Rule{{Priority: 1, Accept: true, Protocol: "ALL"}}
		c.Sessions[0].Sources, c.Sessions[0].Ingress, c.Sessions[0].Egress = []string{portSource, portTest}, all, all
	}, open("sg-target", anything))
	got := l.send(portTest, tcp(t, portTest, portSource, 38944, 1234, "S", ""))
	var sources []string
	for _, f := range got[portTarget] {
		sources = append(sources, view(t, f).OuterSource)
	}
	if diff := cmp.Diff([]string{"192.168.0.161", "192.168.0.230"}, sources); diff != "" {
		t.Errorf("outer sources: the sender's egress tap comes before the receiver's ingress tap (-want +got):\n%s", diff)
	}
}

func TestTheInnerFrameIsCutToThePacketLengthAndToTheMTU(t *testing.T) {
	for _, test := range []struct{ payload, length, kept, outer int }{
		{6, 1460, 72, 122},
		{6, 1, 1, 51},
		{1000, 96, 96, 146},
		{1394, 1460, 1460, 1510},
		{1395, 1460, 1460, 1510},
		{1448, 1460, 1460, 1510},
	} {
		l := walkthrough(t, func(c *Config) { c.Sessions[0].PacketLength = test.length })
		frame := tcp(t, portTest, portSource, 38944, 1234, "PA", strings.Repeat("x", test.payload))
		copies := l.send(portTest, frame)[portTarget]
		if len(copies) != 1 {
			t.Fatalf("%+v: %d copies", test, len(copies))
		}
		if got := len(copies[0]); got != test.outer || got-50 != test.kept {
			t.Errorf("payload %d, length %d: the copy has %d bytes, want %d", test.payload, test.length, got, test.outer)
		}
		if diff := cmp.Diff(frame[:test.kept], copies[0][50:]); diff != "" {
			t.Errorf("payload %d, length %d: inner (-want +got):\n%s", test.payload, test.length, diff)
		}
	}
}

func TestCopiesOfOneFlowShareAnOuterPortAndEachHasItsOwnID(t *testing.T) {
	l := walkthrough(t)
	ports, ids := map[uint16]bool{}, map[uint16]bool{}
	for range 10 {
		f := l.send(portTest, tcp(t, portTest, portSource, 38944, 1234, "A", ""))[portTarget][0]
		ports[classify(f).sourcePort], ids[uint16(classify(f).fragmentID)] = true, true
	}
	if len(ports) != 1 || len(ids) != 10 {
		t.Errorf("%d outer ports and %d IDs for 10 packets of one flow, want 1 and 10", len(ports), len(ids))
	}
	for source := range uint16(200) {
		f := l.send(portTest, tcp(t, portTest, portSource, 30000+source, 1234, "A", ""))[portTarget][0]
		ports[classify(f).sourcePort] = true
	}
	if len(ports) < 190 {
		t.Errorf("200 flows got only %d outer ports", len(ports))
	}
}

func TestHostsWithoutIPv4GetCopiesOverIPv6(t *testing.T) {
	layout := walkthroughLayout("")
	for i, last := range []string{"230", "161", "164"} {
		layout.Hosts[i].Interfaces[0].Addresses = []netip.Prefix{netip.MustParsePrefix("2001:db8::" + last + "/64")}
		layout.Hosts[i].Interfaces[0].Gateway = netip.Addr{}
	}
	layout.Gateways = []Gateway{{VPC: "vpc-1", Subnet: netip.MustParsePrefix("2001:db8::/64"), Address: netip.MustParseAddr("2001:db8::1"), MAC: macGateway}}
	l := newLab(t, layout, change(func(c *Config) {
		open("sg-source", GroupRule{Ingress: true, IPv6: true})(c)
		open("sg-target", GroupRule{Ingress: true, IPv6: true, Protocol: "udp", Ports: "4789"})(c)
		c.Sessions[0].Ingress = []Rule{{Priority: 1, Accept: true, IPv6: true, Protocol: "TCP"}}
	}))
	ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: net.ParseIP("2001:db8::161"), DstIP: net.ParseIP("2001:db8::230")}
	for length, want := range map[int]int{6: 70 + 80, 1380: 1514} {
		frame := build(t, &layers.Ethernet{SrcMAC: macTest, DstMAC: macSource, EthernetType: layers.EthernetTypeIPv6}, ip,
			&layers.TCP{SrcPort: 1, DstPort: 1234, ACK: true}, gopacket.Payload(strings.Repeat("y", length)))
		copies := l.send(portTest, frame)[portTarget]
		if len(copies) != 1 {
			t.Fatalf("%d copies of %d bytes", len(copies), length)
		}
		got := copies[0]
		if len(got) != want {
			t.Errorf("payload %d: the copy has %d bytes, want %d", length, len(got), want)
		}
		// A right checksum sums to all ones with the pseudo header.
		udp := got[ethernetLength+ipv6Length:]
		if rest := ipv6Checksum(got[ethernetLength:], protoUDP, udp); rest != 0 || udp[6] == 0 && udp[7] == 0 {
			t.Errorf("payload %d: UDP checksum %x is wrong by %#x", length, udp[6:8], rest)
		}
		v := view(t, got)
		if v.OuterSource != "2001:db8::230" || v.OuterTarget != "2001:db8::164" || v.VNI != 1 || !v.VNIFlag {
			t.Errorf("payload %d: %+v", length, v)
		}
	}
}

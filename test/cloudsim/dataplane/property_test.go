package dataplane

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"
)

// A few addresses and ports, so that rules and packets meet often.
var (
	someAddresses = []netip.Addr{
		netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.1.1"),
		netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8:1::1"),
	}
	somePrefixes = []netip.Prefix{
		{}, netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("0.0.0.0/0"),
		netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("2001:db8::1/128"), netip.MustParsePrefix("::/0"),
	}
	someRanges = []PortRange{{}, {80, 80}, {1, 100}, {53, 65535}, {65535, 65535}}
	somePorts  = []uint16{0, 1, 53, 80, 100, 101, 65535}
)

func drawPacket(t *rapid.T) packet {
	six := rapid.Bool().Draw(t, "six")
	p := packet{kind: kindIPv4, source: someAddresses[0], destination: someAddresses[1]}
	from, to := 0, 3
	if six {
		p.kind, from, to = kindIPv6, 3, 6
	}
	p.source = rapid.SampledFrom(someAddresses[from:to]).Draw(t, "source")
	p.destination = rapid.SampledFrom(someAddresses[from:to]).Draw(t, "destination")
	p.protocol = rapid.SampledFrom([]uint8{protoTCP, protoUDP, protoICMP, protoICMPv6, 47}).Draw(t, "protocol")
	p.laterFragment = rapid.IntRange(0, 9).Draw(t, "piece") == 0
	p.fragment = p.laterFragment
	if (p.protocol == protoTCP || p.protocol == protoUDP) && !p.laterFragment {
		p.hasPorts = true
		p.sourcePort = rapid.SampledFrom(somePorts).Draw(t, "sport")
		p.destinationPort = rapid.SampledFrom(somePorts).Draw(t, "dport")
	}
	return p
}

func drawRule(t *rapid.T) Rule {
	return Rule{
		Priority:         rapid.IntRange(1, 6).Draw(t, "priority"),
		Accept:           rapid.Bool().Draw(t, "accept"),
		IPv6:             rapid.Bool().Draw(t, "ipv6"),
		Protocol:         rapid.SampledFrom([]string{"TCP", "udp", "ICMP", "ICMPV6", "ALL", "ALL"}).Draw(t, "protocol"),
		Source:           rapid.SampledFrom(somePrefixes).Draw(t, "from"),
		Destination:      rapid.SampledFrom(somePrefixes).Draw(t, "to"),
		SourcePorts:      rapid.SampledFrom(someRanges).Draw(t, "sports"),
		DestinationPorts: rapid.SampledFrom(someRanges).Draw(t, "dports"),
	}
}

func drawSession(t *rapid.T, id int) Session {
	return Session{
		ID: fmt.Sprintf("s%d", id), Enabled: rapid.IntRange(0, 4).Draw(t, "enabled") > 0,
		Priority: id*7919%101 + 1, // unique, in no order
		VNI:      uint32(id), PacketLength: rapid.IntRange(1, 1460).Draw(t, "length"),
		Sources: []string{portSource}, Target: portTarget,
		Ingress: rapid.SliceOfN(rapid.Custom(drawRule), 0, 5).Draw(t, "ingress"),
		Egress:  rapid.SliceOfN(rapid.Custom(drawRule), 0, 5).Draw(t, "egress"),
	}
}

// plainDecision is the cloud's rule in the plainest words: of all enabled
// sessions' rules of the direction that match, the one of the smallest session
// priority, then of the smallest rule priority, then the first in the list.
func plainDecision(sessions []Session, p packet, ingress bool) (id string, accept bool) {
	type candidate struct {
		session, rule, position int
		id                      string
		accept                  bool
	}
	var all []candidate
	for _, s := range sessions {
		rules := map[bool][]Rule{true: s.Ingress, false: s.Egress}[ingress]
		for i, r := range rules {
			numbers := map[string]int{"TCP": 6, "udp": 17, "ICMP": 1, "ICMPV6": 58, "ALL": int(p.protocol)}
			in := func(n netip.Prefix, a netip.Addr) bool { return n == netip.Prefix{} || n.Contains(a) }
			fits := func(r PortRange, port uint16) bool {
				return r == PortRange{} || p.hasPorts && port >= r.Low && port <= r.High
			}
			if s.Enabled && r.IPv6 == p.source.Is6() && numbers[r.Protocol] == int(p.protocol) &&
				in(r.Source, p.source) && in(r.Destination, p.destination) &&
				fits(r.SourcePorts, p.sourcePort) && fits(r.DestinationPorts, p.destinationPort) {
				all = append(all, candidate{s.Priority, r.Priority, i, s.ID, r.Accept})
			}
		}
	}
	if len(all) == 0 {
		return "", false
	}
	best := slices.MinFunc(all, func(a, b candidate) int {
		return slices.Compare([]int{a.session, a.rule, a.position}, []int{b.session, b.rule, b.position})
	})
	return best.id, best.accept
}

func TestTheFirstMatchingRuleOfTheFirstMatchingSessionDecides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var config Config
		config.Ports = []Port{{ID: portSource, FlavorSupportsMirroring: true}}
		for i := range rapid.IntRange(0, 4).Draw(t, "sessions") {
			config.Sessions = append(config.Sessions, drawSession(t, i))
		}
		sw, err := NewSwitch(walkthroughLayout(""), func(string) Deliver { return func([]byte) error { return nil } }, newClock().now)
		if err != nil {
			t.Fatal(err)
		}
		sw.Apply(config)
		ready := sw.config.Load().ports[sw.Port(portSource).index].sessions
		for range 10 {
			p, ingress := drawPacket(t), rapid.Bool().Draw(t, "ingress")
			d := decide(ready, &p, ingress)
			gotID := ""
			for id, c := range sw.counters {
				if d.session != nil && d.session.counters == c {
					gotID = id
				}
			}
			wantID, wantAccept := plainDecision(config.Sessions, p, ingress)
			if gotID != wantID || d.accept != wantAccept {
				t.Fatalf("packet %+v, ingress %v: session %q accept %v, want %q %v", p, ingress, gotID, d.accept, wantID, wantAccept)
			}
		}
	})
}

func TestAPacketIsCopiedAtMostOncePerSourceWhateverTheSessions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sessions := make([]Session, rapid.IntRange(0, 5).Draw(t, "sessions"))
		for i := range sessions {
			sessions[i] = drawSession(t, i)
			for j := range sessions[i].Ingress { // rules of any address, so that they meet the walkthrough's
				sessions[i].Ingress[j].Source, sessions[i].Ingress[j].Destination = netip.Prefix{}, netip.Prefix{}
			}
		}
		var copies [][]byte
		sw, err := NewSwitch(walkthroughLayout(""), func(id string) Deliver {
			return func(f []byte) error {
				if id == portTarget {
					copies = append(copies, slices.Clone(f))
				}
				return nil
			}
		}, newClock().now)
		if err != nil {
			t.Fatal(err)
		}
		sw.Apply(change(open("sg-source", anything), func(c *Config) { c.Sessions = sessions }))
		frame := udpFrame(rapid.SampledFrom(somePorts[1:]).Draw(t, "sport"), rapid.SampledFrom(somePorts[1:]).Draw(t, "dport"))
		sw.Port(portTest).Receive(slices.Clone(frame))

		p := classify(frame)
		id, accept := plainDecision(sessions, p, true)
		var want [][]byte
		if accept {
			for _, s := range sessions {
				if s.ID == id {
					want = append(want, frame[:min(len(frame), s.PacketLength)])
				}
			}
		}
		var got [][]byte
		for _, c := range copies {
			got = append(got, c[50:])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("inner frames that reached the target (-want +got):\n%s", diff)
		}
	})
}

// udpFrame builds a packet of ecs-test to ecs-source with a payload that makes
// it longer than most packet lengths.
func udpFrame(source, destination uint16) []byte {
	e, ip := ethernetIP4(portTest, portSource, layers.IPProtocolUDP)
	u := &layers.UDP{SrcPort: layers.UDPPort(source), DstPort: layers.UDPPort(destination)}
	if err := u.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	b := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, e, ip, u, gopacket.Payload(make([]byte, 700)))
	if err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestGroupsGiveTheVerdictOfTheFirstRuleInOrder(t *testing.T) {
	protocols := map[string]uint8{"tcp": protoTCP, "udp": protoUDP, "47": 47}
	drawGroupRule := rapid.Custom(func(t *rapid.T) GroupRule {
		return GroupRule{
			Ingress: true, IPv6: rapid.Bool().Draw(t, "ipv6"), Deny: rapid.Bool().Draw(t, "deny"),
			Protocol:     rapid.SampledFrom([]string{"", "", "tcp", "udp", "47"}).Draw(t, "protocol"),
			Ports:        rapid.SampledFrom([]string{"", "", "80", "1-79", "22,53,80-101"}).Draw(t, "ports"),
			Priority:     rapid.IntRange(1, 4).Draw(t, "priority"),
			RemotePrefix: rapid.SampledFrom(somePrefixes).Draw(t, "prefix"),
			Disabled:     rapid.IntRange(0, 5).Draw(t, "disabled") == 0,
		}
	})
	inPorts := map[string]func(uint16) bool{
		"80": func(p uint16) bool { return p == 80 }, "1-79": func(p uint16) bool { return p >= 1 && p < 80 },
		"22,53,80-101": func(p uint16) bool { return p == 22 || p == 53 || p >= 80 && p <= 101 },
	}
	rapid.Check(t, func(t *rapid.T) {
		var groups []Group
		index, port := map[string]int{}, Port{ID: "p"}
		for i := range rapid.IntRange(1, 3).Draw(t, "groups") {
			g := Group{ID: fmt.Sprint("g", i), Rules: rapid.SliceOfN(drawGroupRule, 0, 5).Draw(t, "rules")}
			groups, port.Groups = append(groups, g), append(port.Groups, g.ID)
			index[g.ID] = i
		}
		policy := compilePolicy(port, groups, index)
		p := drawPacket(t)
		q := questionOf(&p, true)

		want, decided := false, false
		for _, g := range groups {
			for priority := 1; priority <= 4 && !decided; priority++ {
				for _, deny := range []bool{true, false} {
					for _, r := range g.Rules {
						if decided || r.Priority != priority || r.Deny != deny || r.Disabled || r.IPv6 != p.source.Is6() ||
							r.Protocol != "" && protocols[r.Protocol] != p.protocol ||
							r.RemotePrefix.IsValid() && !r.RemotePrefix.Contains(p.source) ||
							r.Ports != "" && (!p.hasPorts || !inPorts[r.Ports](p.destinationPort)) {
							continue
						}
						want, decided = !deny, true
					}
				}
			}
		}
		if got := policy.allows(&q); got != want {
			t.Fatalf("packet %+v, groups %+v: %v, want %v", p, groups, got, want)
		}
	})
}

func TestTheWalkAgreesWithGopacketOnWhatGopacketBuilt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var parts []gopacket.SerializableLayer
		e := &layers.Ethernet{SrcMAC: macTest, DstMAC: macSource}
		parts = append(parts, e)
		next := func(kind layers.EthernetType) { e.EthernetType = kind }
		if rapid.Bool().Draw(t, "vlan") {
			tag := &layers.Dot1Q{VLANIdentifier: 7}
			e.EthernetType = layers.EthernetTypeDot1Q
			parts, next = append(parts, tag), func(kind layers.EthernetType) { tag.Type = kind }
		}
		want := packet{tagged: len(parts) > 1}
		protocol := rapid.SampledFrom([]layers.IPProtocol{layers.IPProtocolTCP, layers.IPProtocolUDP}).Draw(t, "protocol")
		want.protocol = uint8(protocol)
		want.network = ethernetLength + 4*(len(parts)-1)
		var network gopacket.NetworkLayer
		if rapid.Bool().Draw(t, "six") {
			next(layers.EthernetTypeIPv6)
			ip := &layers.IPv6{Version: 6, HopLimit: 9, NextHeader: protocol, SrcIP: net.ParseIP("2001:db8::1"), DstIP: net.ParseIP("2001:db8::2")}
			want.kind, want.source, want.destination = kindIPv6, someAddresses[3], someAddresses[4]
			parts, network = append(parts, ip), ip
			want.transport = want.network + ipv6Length
			if n := rapid.IntRange(0, 3).Draw(t, "options"); n > 0 {
				ip.NextHeader = layers.IPProtocolIPv6Destination
				d := &layers.IPv6Destination{}
				d.NextHeader = protocol
				d.Options = []*layers.IPv6DestinationOption{{OptionType: 1, OptionData: make([]byte, 8*n-4), OptionLength: uint8(8*n - 4)}}
				parts = append(parts, d)
				want.transport += 8 * n
			}
		} else {
			next(layers.EthernetTypeIPv4)
			ip := &layers.IPv4{Version: 4, TTL: 9, Id: 77, Protocol: protocol, SrcIP: net.IP{10, 0, 0, 1}, DstIP: net.IP{10, 0, 0, 2}}
			n := rapid.IntRange(0, 9).Draw(t, "words of options")
			for range n {
				ip.Options = append(ip.Options, layers.IPv4Option{OptionType: 0x94, OptionLength: 4, OptionData: []byte{0, 0}})
			}
			want.kind, want.source, want.destination, want.fragmentID = kindIPv4, someAddresses[0], someAddresses[1], 77
			want.transport = want.network + ipv4Length + 4*n
			parts, network = append(parts, ip), ip
		}
		want.hasPorts = true
		want.sourcePort = rapid.Uint16().Draw(t, "sport")
		want.destinationPort = rapid.Uint16().Draw(t, "dport")
		if protocol == layers.IPProtocolTCP {
			l4 := &layers.TCP{SrcPort: layers.TCPPort(want.sourcePort), DstPort: layers.TCPPort(want.destinationPort), SYN: true, ACK: true}
			want.tcpFlags = flagSYN | flagACK
			_ = l4.SetNetworkLayerForChecksum(network)
			parts = append(parts, l4)
		} else {
			l4 := &layers.UDP{SrcPort: layers.UDPPort(want.sourcePort), DstPort: layers.UDPPort(want.destinationPort)}
			_ = l4.SetNetworkLayerForChecksum(network)
			parts = append(parts, l4)
		}
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, append(parts, gopacket.Payload("data"))...); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, classify(b.Bytes()), cmp.AllowUnexported(packet{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Fatalf("%x (-want +got):\n%s", b.Bytes(), diff)
		}
	})
}

func TestAChecksumAddsUpWhateverTheAddresses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tun := tunnel{
			source: netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "from"))), destination: netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "to"))),
			sourcePort: rapid.Uint16().Draw(t, "port"), vni: rapid.Uint32Range(0, maxVNI).Draw(t, "vni"),
		}
		inner := rapid.SliceOfN(rapid.Byte(), 0, 1600).Draw(t, "inner")
		length := rapid.IntRange(1, 1460).Draw(t, "length")
		out := make([]byte, maxTunnel)
		total, kept := tun.encapsulate(out, inner, length)
		if kept != min(len(inner), length, 1444) || total != 14+40+8+8+kept || total > maxTunnel {
			t.Fatalf("inner %d, length %d: kept %d of %d", len(inner), length, kept, total)
		}
		udp := out[54:total]
		if binary.BigEndian.Uint16(udp[6:]) == 0 || ipv6Checksum(out[14:], protoUDP, udp) != 0 {
			t.Fatalf("checksum %x", udp[6:8])
		}
	})
}

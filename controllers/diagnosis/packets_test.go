package diagnosis

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/cloud"
)

// packet is one, with all that a rule can ask for.
type packet struct {
	direction           cloud.Direction
	ipv6                bool
	protocol            cloud.Protocol // the last one stands for those that no rule names
	source, destination netip.Addr
	from, to            uint16 // 0 of a packet without ports
}

const otherProtocol cloud.Protocol = "other"

var (
	smallIPv4 = []string{"9.255.255.255", "10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.7", "224.0.0.1"}
	smallIPv6 = []string{"2001:db8::", "2001:db8::1", "2001:db8::7", "ff02::1"}
)

func smallAddress(t *rapid.T, ipv6 bool, name string) netip.Addr {
	of := smallIPv4
	if ipv6 {
		of = smallIPv6
	}
	return netip.MustParseAddr(rapid.SampledFrom(of).Draw(t, name))
}

func drawPacket(t *rapid.T) packet {
	p := packet{
		direction: rapid.SampledFrom([]cloud.Direction{cloud.Ingress, cloud.Egress}).Draw(t, "packet's direction"),
		ipv6:      rapid.Bool().Draw(t, "packet is IPv6"),
	}
	icmp := cloud.ICMP
	if p.ipv6 {
		icmp = cloud.ICMPv6
	}
	p.protocol = rapid.SampledFrom([]cloud.Protocol{cloud.TCP, cloud.UDP, icmp, otherProtocol}).Draw(t, "packet's protocol")
	p.source, p.destination = smallAddress(t, p.ipv6, "from"), smallAddress(t, p.ipv6, "to")
	if p.protocol == cloud.TCP || p.protocol == cloud.UDP {
		p.from, p.to = rapid.Uint16Range(1, 5).Draw(t, "from port"), rapid.Uint16Range(1, 5).Draw(t, "to port")
	}
	return p
}

func drawPrefix(t *rapid.T, ipv6 bool, name string) netip.Prefix {
	if rapid.Bool().Draw(t, name+" is any") {
		return netip.Prefix{}
	}
	a := smallAddress(t, ipv6, name)
	return netip.PrefixFrom(a, a.BitLen()-rapid.SampledFrom([]int{0, 1, 2, 3, 8, 29}).Draw(t, name+" bits")).Masked()
}

func drawPorts(t *rapid.T, name string) cloud.PortRange {
	if rapid.Bool().Draw(t, name+" are any") {
		return rapid.SampledFrom([]cloud.PortRange{{}, {Low: 1, High: 65535}}).Draw(t, name)
	}
	low := rapid.Uint16Range(1, 5).Draw(t, name+" from")
	return cloud.PortRange{Low: low, High: rapid.SampledFrom([]uint16{low, 5, 6, 65535}).Draw(t, name+" to")}
}

func drawRule(t *rapid.T) cloud.Rule {
	r := cloud.Rule{RuleSpec: cloud.RuleSpec{
		Direction: rapid.SampledFrom([]cloud.Direction{cloud.Ingress, cloud.Egress}).Draw(t, "direction"),
		Priority:  rapid.IntRange(1, 9).Draw(t, "priority"),
		Accept:    rapid.Bool().Draw(t, "accept"),
		IPv6:      rapid.Bool().Draw(t, "IPv6"),
		Protocol:  rapid.SampledFrom([]cloud.Protocol{cloud.All, cloud.TCP, cloud.UDP, cloud.ICMP, cloud.ICMPv6}).Draw(t, "protocol"),
	}}
	r.Source, r.Destination = drawPrefix(t, r.IPv6, "source"), drawPrefix(t, r.IPv6, "destination")
	r.SourcePorts, r.DestinationPorts = drawPorts(t, "source ports"), drawPorts(t, "destination ports")
	return r
}

func drawRules(t *rapid.T, most int) []cloud.Rule {
	return rapid.SliceOfN(rapid.Custom(drawRule), 0, most).Draw(t, "rules")
}

// naive reports whether a rule matches a packet, and knows nothing of sets.
func naive(r cloud.RuleSpec, p packet) bool {
	end := func(prefix netip.Prefix, ports cloud.PortRange, address netip.Addr, port uint16) bool {
		if prefix.IsValid() && !prefix.Contains(address) {
			return false
		}
		if ports == (cloud.PortRange{}) || ports == (cloud.PortRange{Low: 1, High: 65535}) {
			return true
		}
		return ports.Low <= port && port <= ports.High
	}
	return r.Direction == p.direction && r.IPv6 == p.ipv6 && (r.Protocol == cloud.All || r.Protocol == p.protocol) &&
		end(r.Source, r.SourcePorts, p.source, p.from) && end(r.Destination, r.DestinationPorts, p.destination, p.to)
}

// naiveRule is the index of the rule that decides, -1 for none.
func naiveRule(rules []cloud.Rule, p packet) int {
	decides := -1
	for i, r := range rules {
		if naive(r.RuleSpec, p) && (decides < 0 || r.Priority < rules[decides].Priority) {
			decides = i
		}
	}
	return decides
}

// has reports whether a set has a packet, and how many boxes say so.
func has(p packets, one packet) bool {
	count := 0
	for _, b := range p.boxes {
		of := map[cloud.Protocol]protocols{cloud.TCP: tcp, cloud.UDP: udp, cloud.ICMP: icmp, cloud.ICMPv6: icmp, otherProtocol: unnamed}[one.protocol]
		ports := one.from == 0 && b.sourcePorts == allPorts && b.destinationPorts == allPorts ||
			b.sourcePorts.contains(port(one.from)) && b.destinationPorts.contains(port(one.to))
		if b.direction == one.direction && b.ipv6 == one.ipv6 && b.protocols&of != 0 && b.source.contains(one.source) &&
			b.destination.contains(one.destination) && ports {
			count++
		}
	}
	if count > 1 {
		panic("boxes of a set overlap")
	}
	return count == 1
}

func TestSetsOfPacketsHaveThePacketsThatRulesMatchOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one, other := drawRules(t, 6), drawRules(t, 6)
		decided, known := matched(one)
		a, knownA := accepted(one)
		b, knownB := accepted(other)
		if !known || !knownA || !knownB {
			t.Fatal("some rules were too many")
		}
		for range 20 {
			p := drawPacket(t)
			byOne, byOther := naiveRule(one, p), naiveRule(other, p)
			for i := range one {
				if has(decided[i], p) != (i == byOne) {
					t.Fatalf("%+v: rule %d decides it: %v, want %v", p, i, has(decided[i], p), i == byOne)
				}
			}
			inA, inB := byOne >= 0 && one[byOne].Accept, byOther >= 0 && other[byOther].Accept
			for name, c := range map[string]struct {
				set  packets
				want bool
			}{
				"accepted": {a, inA}, "accepted by the other": {b, inB},
				"minus": {a.minus(b), inA && !inB}, "plus": {a.plus(b), inA || inB},
			} {
				if has(c.set, p) != c.want {
					t.Fatalf("%s: has %+v: %v, want %v", name, p, !c.want, c.want)
				}
			}
		}
		if !a.minus(a).none() || !b.minus(a.plus(b)).none() {
			t.Fatal("a set has packets that it has not")
		}
	})
}

func TestWhatAnInterfaceCarriesIsToldOfEachBoxAsOfEachPacketInIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := carrier{only: true}
		for _, a := range []string{"10.0.0.1", "10.0.0.2", "2001:db8::1"} {
			if rapid.Bool().Draw(t, "has "+a) {
				c.addresses = append(c.addresses, netip.MustParseAddr(a))
			}
		}
		p := drawPacket(t)
		own, peer := p.destination, p.source
		if p.direction == cloud.Egress {
			own, peer = peer, own
		}
		carries := slices.Contains(c.addresses, own) && !slices.Contains(c.addresses, peer)
		r := drawRule(t)
		b, some := boxOf(r.RuleSpec)
		if carries && some && naive(r.RuleSpec, p) && !c.carriesOf(b) {
			t.Fatalf("an interface with %v carries %+v, which %+v has, but nothing of that", c.addresses, p, b)
		}
	})
}

// Each rule cuts a hole into what is left by those before it.
func TestRulesThatWouldMakeTooManyBoxesAreNotJudged(t *testing.T) {
	rules := []cloud.Rule{{RuleSpec: cloud.RuleSpec{Direction: cloud.Ingress, Priority: 1000, Accept: true, Protocol: cloud.All}}}
	for i := range 400 {
		host := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i / 200), byte(i % 200), 1}), 32)
		one := cloud.PortRange{Low: uint16(10 + 2*i), High: uint16(10 + 2*i)}
		rules = append(rules, cloud.Rule{RuleSpec: cloud.RuleSpec{
			Direction: cloud.Ingress, Priority: i + 1, Protocol: cloud.TCP, Source: host, Destination: host, SourcePorts: one, DestinationPorts: one,
		}})
	}
	if _, known := matched(rules[:101]); !known {
		t.Error("100 rules are too many")
	}
	if all, known := accepted(rules); known || all.some() {
		t.Errorf("%d boxes are given for a set that is not known", len(all.boxes))
	}
}

func TestARuleThatCantBeReadLeavesItsFilterUnknown(t *testing.T) {
	rules := []cloud.Rule{{RuleSpec: cloud.RuleSpec{Direction: cloud.Ingress, Priority: 1, Accept: true}, Unreadable: "protocol"}}
	if all, known := accepted(rules); known || all.some() {
		t.Errorf("%+v is said of a rule that can't be read", all)
	}
}

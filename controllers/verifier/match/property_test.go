package match_test

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// The naive filter: it knows whole packets only, and rules in the order of
// their priorities, and asks net/netip whether an address is in a range.
func naive(rules []v1alpha1.Rule, d match.Direction, p *vxlan.Inner) (verdict match.Verdict, rule int) {
	order := make([]int, 0, len(rules))
	for i := range rules {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return rules[a].Priority - rules[b].Priority })
	for _, i := range order {
		r := rules[i]
		if (r.Direction == v1alpha1.DirectionIngress) != (d == match.Ingress) || r.IPv6 != (p.Kind == vxlan.IPv6) {
			continue
		}
		if number, some := numbers[r.Protocol]; some && number != p.Protocol {
			continue
		}
		if !naiveEnd(r.Source, p, p.Source, p.SourcePort) || !naiveEnd(r.Destination, p, p.Destination, p.DestinationPort) {
			continue
		}
		if r.Accept {
			return match.Accepted, i
		}
		return match.Unexpected, i
	}
	return match.Unexpected, match.NoRule
}

// numbers are those of the protocols that are one.
var numbers = map[v1alpha1.Protocol]uint8{
	v1alpha1.ProtocolTCP: match.TCP, v1alpha1.ProtocolUDP: match.UDP, v1alpha1.ProtocolICMP: match.ICMP, v1alpha1.ProtocolICMPv6: match.ICMPv6,
}

func naiveEnd(r v1alpha1.Peer, p *vxlan.Inner, address netip.Addr, port uint16) bool {
	if r.Prefix.IsValid() && !r.Prefix.Contains(address) {
		return false
	}
	if r.Ports == (v1alpha1.PortRange{}) || r.Ports == (v1alpha1.PortRange{Low: 1, High: 65535}) {
		return true
	}
	return (p.Protocol == match.TCP || p.Protocol == match.UDP) && r.Ports.Low <= port && port <= r.Ports.High
}

var ownMAC = [6]byte{2, 0, 0, 0, 0, 1}

// Small domains, so that rules and packets meet.
func address(v6 bool) *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		last := rapid.ByteRange(0, 7).Draw(t, "last byte")
		if v6 {
			return netip.AddrFrom16([16]byte{0: 0x20, 7: rapid.ByteRange(0, 1).Draw(t, "byte 7"), 15: last})
		}
		return netip.AddrFrom4([4]byte{10, 0, rapid.ByteRange(0, 1).Draw(t, "byte 2"), last})
	})
}

func prefix(t *rapid.T, v6 bool, name string) netip.Prefix {
	if rapid.Bool().Draw(t, name+" is any") {
		return netip.Prefix{}
	}
	a := address(v6).Draw(t, name)
	bits := rapid.SampledFrom([]int{0, 8, 22, 23, 29, 30, 31, 32}).Draw(t, name+" bits")
	if v6 {
		bits = rapid.SampledFrom([]int{0, 16, 56, 63, 64, 65, 125, 126, 127, 128}).Draw(t, name+" bits of IPv6")
	}
	return netip.PrefixFrom(a, bits)
}

func ports(t *rapid.T, name string) v1alpha1.PortRange {
	if rapid.Bool().Draw(t, name+" are any") {
		return rapid.SampledFrom([]v1alpha1.PortRange{{}, {Low: 1, High: 65535}}).Draw(t, name)
	}
	low := rapid.Uint16Range(1, 6).Draw(t, name+" from")
	return v1alpha1.PortRange{Low: low, High: rapid.Uint16Range(low, 7).Draw(t, name+" to")}
}

func drawRules(t *rapid.T) []v1alpha1.Rule {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) v1alpha1.Rule {
		r := v1alpha1.Rule{
			Direction: rapid.SampledFrom([]v1alpha1.Direction{v1alpha1.DirectionIngress, v1alpha1.DirectionEgress}).Draw(t, "direction"),
			Priority:  rapid.IntRange(1, 10).Draw(t, "priority"),
			Accept:    rapid.Bool().Draw(t, "accept"),
			IPv6:      rapid.Bool().Draw(t, "IPv6"),
			Protocol: rapid.SampledFrom([]v1alpha1.Protocol{
				v1alpha1.ProtocolAll, v1alpha1.ProtocolICMP, v1alpha1.ProtocolTCP, v1alpha1.ProtocolUDP, v1alpha1.ProtocolICMPv6,
			}).Draw(t, "protocol"),
		}
		r.Source = v1alpha1.Peer{Prefix: prefix(t, r.IPv6, "source"), Ports: ports(t, "source ports")}
		r.Destination = v1alpha1.Peer{Prefix: prefix(t, r.IPv6, "destination"), Ports: ports(t, "destination ports")}
		return r
	}), 0, 20).Draw(t, "rules")
}

// drawPacket makes a whole packet of which everything is known.
func drawPacket(t *rapid.T) (*vxlan.Inner, match.Direction) {
	d := rapid.SampledFrom([]match.Direction{match.Ingress, match.Egress}).Draw(t, "packet's direction")
	v6 := rapid.Bool().Draw(t, "packet is IPv6")
	p := &vxlan.Inner{
		Kind: vxlan.IPv4, HasMACs: true, HasAddresses: true, HasProtocol: true,
		Source: address(v6).Draw(t, "from"), Destination: address(v6).Draw(t, "to"),
		Protocol: rapid.SampledFrom([]uint8{1, 6, 17, 58, 132}).Draw(t, "packet's protocol"),
	}
	if v6 {
		p.Kind = vxlan.IPv6
	}
	if p.Protocol == match.TCP || p.Protocol == match.UDP {
		p.HasPorts = true
		p.SourcePort = rapid.Uint16Range(0, 8).Draw(t, "from port")
		p.DestinationPort = rapid.Uint16Range(0, 8).Draw(t, "to port")
	}
	if d == match.Ingress {
		p.DestinationMAC = ownMAC
	} else {
		p.SourceMAC = ownMAC
	}
	return p, d
}

func TestAWholePacketIsDecidedAsTheNaiveFilterDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		p, d := drawPacket(t)
		compiled, err := match.Compile(rules)
		if err != nil {
			t.Fatal(err)
		}
		got := compiled.Check(&match.Source{MAC: ownMAC}, p)
		verdict, rule := naive(rules, d, p)
		if got.Verdict != verdict || got.Rule != rule || got.Direction != d {
			t.Fatalf("%s by rule %d, %s; the naive filter says %s by rule %d, %s", got.Verdict, got.Rule, got.Direction, verdict, rule, d)
		}
	})
}

// hide makes fields of a whole packet unknown, as cutting or fragmenting does.
func hide(t *rapid.T, p *vxlan.Inner) *vxlan.Inner {
	cut := *p
	what := rapid.SampledFrom([]string{"ports", "protocol", "addresses"}).Draw(t, "hidden")
	cut.HasPorts, cut.SourcePort, cut.DestinationPort = false, 0, 0
	if what != "ports" {
		cut.HasProtocol, cut.Protocol = false, 0
	}
	if what == "addresses" {
		cut.HasAddresses, cut.Source, cut.Destination = false, netip.Addr{}, netip.Addr{}
		cut.HasProtocol, cut.Protocol = p.HasProtocol, p.Protocol // the protocol of IPv4 stands before the addresses
	}
	return &cut
}

func TestACutPacketIsDecidedOnlyAsEveryWholePacketItMayHaveBeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		p, d := drawPacket(t)
		compiled, err := match.Compile(rules)
		if err != nil {
			t.Fatal(err)
		}
		got := compiled.Check(&match.Source{MAC: ownMAC}, hide(t, p))
		verdict, rule := naive(rules, d, p)
		switch {
		case got.Verdict == match.Undecidable:
		case got.Verdict != verdict:
			t.Fatalf("the cut packet is %s, the whole one %s by rule %d", got.Verdict, verdict, rule)
		case got.Rule >= 0 && got.Rule != rule, got.Rule == match.NoRule && rule != match.NoRule:
			t.Fatalf("the cut packet was decided by rule %d, the whole one by rule %d", got.Rule, rule)
		}
	})
}

// The other half: undecidable is not a way out. Every verdict that is withheld
// is one that differs between two packets which the cut one may have been.
func TestAPacketWithoutPortsIsUndecidableOnlyWhereThePortsDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		p, d := drawPacket(t)
		if p.Protocol != match.TCP && p.Protocol != match.UDP {
			p.Protocol, p.HasPorts = match.TCP, true
		}
		compiled, err := match.Compile(rules)
		if err != nil {
			t.Fatal(err)
		}
		cut := *p
		cut.HasPorts, cut.SourcePort, cut.DestinationPort = false, 0, 0
		seen := map[match.Verdict]bool{}
		for from := range uint16(9) {
			for to := range uint16(9) {
				whole := *p
				whole.SourcePort, whole.DestinationPort = from, to
				verdict, _ := naive(rules, d, &whole)
				seen[verdict] = true
			}
		}
		if got := compiled.Check(&match.Source{MAC: ownMAC}, &cut).Verdict; got == match.Undecidable && len(seen) == 1 && !shadowed(rules) {
			t.Fatalf("undecidable, but with all ports the verdict is the same: %v", seen)
		}
	})
}

// shadowed reports whether two rules of a direction and family both ask for
// ports: then one may hide the other completely, which only solving all rules
// together would tell. Such a packet may be called undecidable too often,
// never wrongly decided.
func shadowed(rules []v1alpha1.Rule) bool {
	count := map[[2]any]int{}
	for _, r := range rules {
		if r.Source.Ports != (v1alpha1.PortRange{}) || r.Destination.Ports != (v1alpha1.PortRange{}) {
			count[[2]any{r.Direction, r.IPv6}]++
		}
	}
	for _, n := range count {
		if n > 1 {
			return true
		}
	}
	return false
}

package match_test

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// The naive filter: it knows whole packets only, and rules in the order of
// their priorities, and asks net/netip whether an address is in a range.
func naive(rules []match.Rule, d match.Direction, p *vxlan.Inner) (verdict match.Verdict, rule int) {
	order := make([]int, 0, len(rules))
	for i := range rules {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return rules[a].Priority - rules[b].Priority })
	for _, i := range order {
		r := rules[i]
		if r.Direction != d || r.IPv6 != (p.Kind == vxlan.IPv6) || r.Protocol != 0 && r.Protocol != p.Protocol {
			continue
		}
		if r.Source.IsValid() && !r.Source.Contains(p.Source) || r.Destination.IsValid() && !r.Destination.Contains(p.Destination) {
			continue
		}
		if !naivePort(r.SourcePorts, p, p.SourcePort) || !naivePort(r.DestinationPorts, p, p.DestinationPort) {
			continue
		}
		if r.Accept {
			return match.Accepted, i
		}
		return match.Unexpected, i
	}
	return match.Unexpected, match.NoRule
}

func naivePort(r [2]uint16, p *vxlan.Inner, port uint16) bool {
	if r == [2]uint16{0, 0} || r == [2]uint16{1, 65535} {
		return true
	}
	return (p.Protocol == match.TCP || p.Protocol == match.UDP) && r[0] <= port && port <= r[1]
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

func ports(t *rapid.T, name string) [2]uint16 {
	if rapid.Bool().Draw(t, name+" are any") {
		return rapid.SampledFrom([][2]uint16{{}, {1, 65535}}).Draw(t, name)
	}
	low := rapid.Uint16Range(1, 6).Draw(t, name+" from")
	return [2]uint16{low, rapid.Uint16Range(low, 7).Draw(t, name+" to")}
}

func drawRules(t *rapid.T) []match.Rule {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) match.Rule {
		r := match.Rule{
			Direction: rapid.SampledFrom([]match.Direction{match.Ingress, match.Egress}).Draw(t, "direction"),
			Priority:  rapid.IntRange(1, 10).Draw(t, "priority"),
			Accept:    rapid.Bool().Draw(t, "accept"),
			IPv6:      rapid.Bool().Draw(t, "IPv6"),
			Protocol:  rapid.SampledFrom([]uint8{0, 1, 6, 17, 58}).Draw(t, "protocol"),
		}
		r.Source, r.Destination = prefix(t, r.IPv6, "source"), prefix(t, r.IPv6, "destination")
		r.SourcePorts, r.DestinationPorts = ports(t, "source ports"), ports(t, "destination ports")
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
func shadowed(rules []match.Rule) bool {
	count := map[[2]any]int{}
	for _, r := range rules {
		if r.SourcePorts != [2]uint16{} || r.DestinationPorts != [2]uint16{} {
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

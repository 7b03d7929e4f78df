package match_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

var walkthrough = v1alpha1.Rule{
	Direction: v1alpha1.DirectionIngress, Priority: 1, Accept: true, Protocol: v1alpha1.ProtocolTCP,
	Source:      in("192.168.0.161/32"),
	Destination: v1alpha1.Peer{Prefix: netip.MustParsePrefix("192.168.0.230/32"), Ports: v1alpha1.PortRange{Low: 1234, High: 1234}},
}

// in is an end in a range of addresses.
func in(prefix string) v1alpha1.Peer { return v1alpha1.Peer{Prefix: netip.MustParsePrefix(prefix)} }

var source = match.Source{MAC: frametest.SourceMAC, Addrs: []netip.Addr{frametest.SourceAddr}}

func check(t *testing.T, frame []byte, rules ...v1alpha1.Rule) match.Result {
	t.Helper()
	compiled, err := match.Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	var p vxlan.Inner
	vxlan.WalkInner(frame, &p)
	return compiled.Check(&source, &p)
}

// change returns the rule with something changed.
func change(r v1alpha1.Rule, f func(*v1alpha1.Rule)) v1alpha1.Rule {
	f(&r)
	return r
}

func TestTheWalkthroughsFilterAcceptsItsPacketAndNothingElse(t *testing.T) {
	none := match.Result{Verdict: match.Unexpected, Rule: match.NoRule, Direction: match.Ingress}
	packet := func(f func(*frametest.Packet)) []byte {
		p := frametest.Inner("12345\n")
		f(&p)
		return p.Bytes()
	}
	for name, c := range map[string]struct {
		frame []byte
		want  match.Result
	}{
		"its packet":     {packet(func(*frametest.Packet) {}), match.Result{Verdict: match.Accepted, Rule: 0, Direction: match.Ingress}},
		"another port":   {packet(func(p *frametest.Packet) { p.DestinationPort = 1235 }), none},
		"another client": {packet(func(p *frametest.Packet) { p.Source = netip.MustParseAddr("192.168.0.162") }), none},
		"another server": {packet(func(p *frametest.Packet) { p.Destination = netip.MustParseAddr("192.168.0.231") }), none},
		"UDP":            {packet(func(p *frametest.Packet) { p.Protocol = 17 }), none},
		"ICMP":           {packet(func(p *frametest.Packet) { p.Protocol = 1 }), none},
		"the answer": {packet(func(p *frametest.Packet) {
			p.SourceMAC, p.DestinationMAC, p.Source, p.Destination = p.DestinationMAC, p.SourceMAC, p.Destination, p.Source
			p.SourcePort, p.DestinationPort = p.DestinationPort, p.SourcePort
		}), match.Result{Verdict: match.Unexpected, Rule: match.NoRule, Direction: match.Egress}},
		"the same packet sent out": {packet(func(p *frametest.Packet) {
			p.SourceMAC, p.DestinationMAC = p.DestinationMAC, p.SourceMAC
		}), match.Result{Verdict: match.Unexpected, Rule: match.NoRule, Direction: match.Egress}},
		"between strangers": {packet(func(p *frametest.Packet) {
			p.DestinationMAC, p.Destination = frametest.TargetMAC, frametest.TargetAddr
		}), match.Result{Verdict: match.DirectionUnknown, Rule: match.NoRule}},
		"with other MACs": {packet(func(p *frametest.Packet) {
			p.SourceMAC, p.DestinationMAC = frametest.GatewayMAC, frametest.TargetMAC
		}), match.Result{Verdict: match.Accepted, Rule: 0, Direction: match.Ingress}},
		"from the source to itself by another MAC": {packet(func(p *frametest.Packet) {
			p.SourceMAC, p.DestinationMAC, p.Source = frametest.GatewayMAC, frametest.TargetMAC, p.Destination
		}), match.Result{Verdict: match.DirectionUnknown, Rule: match.NoRule}},
		"ARP":                          {frametest.ARP(), match.Result{Verdict: match.NotIP, Rule: match.NoRule}},
		"a broken header":              {append(packet(func(*frametest.Packet) {})[:14], 0x65), match.Result{Verdict: match.Malformed, Rule: match.NoRule}},
		"cut behind the ports":         {packet(func(*frametest.Packet) {})[:38], match.Result{Verdict: match.Accepted, Rule: 0, Direction: match.Ingress}},
		"cut before the ports":         {packet(func(*frametest.Packet) {})[:37], match.Result{Verdict: match.Undecidable, Rule: match.NoRule, Direction: match.Ingress}},
		"cut in the Ethernet header":   {packet(func(*frametest.Packet) {})[:13], match.Result{Verdict: match.Undecidable, Rule: match.NoRule}},
		"a later fragment":             {packet(func(p *frametest.Packet) { p.FragmentOffset = 2 }), match.Result{Verdict: match.Undecidable, Rule: match.NoRule, Direction: match.Ingress}},
		"a later fragment of UDP":      {packet(func(p *frametest.Packet) { p.FragmentOffset, p.Protocol = 2, 17 }), none},
		"a stranger's later fragment":  {packet(func(p *frametest.Packet) { p.FragmentOffset, p.Source = 2, frametest.TargetAddr }), none},
		"cut, and from another client": {packet(func(p *frametest.Packet) { p.Source = frametest.TargetAddr })[:36], none},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, check(t, c.frame, walkthrough)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestThePrioritySmallestWins(t *testing.T) {
	frame := frametest.Inner("x").Bytes()
	reject := change(walkthrough, func(r *v1alpha1.Rule) { r.Accept, r.Priority = false, 10 })
	early := change(reject, func(r *v1alpha1.Rule) { r.Priority = 0 })
	got := []match.Result{check(t, frame, reject, walkthrough), check(t, frame, walkthrough, early)}
	want := []match.Result{
		{Verdict: match.Accepted, Rule: 1, Direction: match.Ingress},
		{Verdict: match.Unexpected, Rule: 1, Direction: match.Ingress},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAMissingFieldMattersOnlyWhereItDecides(t *testing.T) {
	cut := frametest.Inner("x").Bytes()[:36] // TCP, but which ports?
	all := v1alpha1.Rule{Direction: v1alpha1.DirectionIngress, Protocol: v1alpha1.ProtocolAll, Priority: 100, Accept: true}
	port := walkthrough
	ssh := change(walkthrough, func(r *v1alpha1.Rule) {
		r.Priority, r.Accept, r.Destination.Ports = 2, false, v1alpha1.PortRange{Low: 22, High: 22}
	})
	later := change(all, func(r *v1alpha1.Rule) { r.Accept = false })
	for name, c := range map[string]struct {
		rules []v1alpha1.Rule
		want  match.Result
	}{
		"it may match an accept or nothing":      {[]v1alpha1.Rule{port}, match.Result{Verdict: match.Undecidable, Rule: match.NoRule}},
		"all that may match accept":              {[]v1alpha1.Rule{port, all}, match.Result{Verdict: match.Accepted, Rule: match.SomeRule}},
		"a reject may match before the accept":   {[]v1alpha1.Rule{ssh, all}, match.Result{Verdict: match.Undecidable, Rule: match.NoRule}},
		"the reject behind a sure accept":        {[]v1alpha1.Rule{all, change(ssh, func(r *v1alpha1.Rule) { r.Priority = 200 })}, match.Result{Verdict: match.Accepted, Rule: 0}},
		"it may match a reject or nothing":       {[]v1alpha1.Rule{ssh}, match.Result{Verdict: match.Unexpected, Rule: match.SomeRule}},
		"a reject may match before a reject":     {[]v1alpha1.Rule{ssh, later}, match.Result{Verdict: match.Unexpected, Rule: match.SomeRule}},
		"an accept may match before a reject":    {[]v1alpha1.Rule{port, later}, match.Result{Verdict: match.Undecidable, Rule: match.NoRule}},
		"a rule that surely differs is left out": {[]v1alpha1.Rule{change(port, func(r *v1alpha1.Rule) { r.Protocol = v1alpha1.ProtocolUDP })}, match.Result{Verdict: match.Unexpected, Rule: match.NoRule}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Direction = match.Ingress
			if diff := cmp.Diff(c.want, check(t, cut, c.rules...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnyPortIncludesProtocolsWithoutPorts(t *testing.T) {
	icmp := frametest.Inner("x")
	icmp.Protocol = 1
	for name, ports := range map[string]v1alpha1.PortRange{"absent": {}, "1 to 65535": {Low: 1, High: 65535}} {
		t.Run(name, func(t *testing.T) {
			rule := v1alpha1.Rule{
				Direction: v1alpha1.DirectionIngress, Protocol: v1alpha1.ProtocolAll, Accept: true,
				Source: v1alpha1.Peer{Ports: ports}, Destination: v1alpha1.Peer{Ports: ports},
			}
			if got := check(t, icmp.Bytes(), rule); got.Verdict != match.Accepted {
				t.Error(got)
			}
		})
	}
}

func TestARuleThatCannotBeIsRefusedWithItsField(t *testing.T) {
	for name, c := range map[string]struct {
		rule v1alpha1.Rule
		want string
	}{
		"no direction":              {v1alpha1.Rule{}, "rule 0: direction"},
		"an unknown protocol":       {v1alpha1.Rule{Direction: v1alpha1.DirectionIngress, Protocol: "sctp"}, `rule 0: protocol "sctp"`},
		"IPv6 source of IPv4":       {v1alpha1.Rule{Direction: v1alpha1.DirectionIngress, Protocol: v1alpha1.ProtocolAll, Source: in("2001:db8::/32")}, "rule 0: source: 2001:db8::/32"},
		"IPv4 destination of IPv6":  {v1alpha1.Rule{Direction: v1alpha1.DirectionEgress, Protocol: v1alpha1.ProtocolAll, IPv6: true, Destination: in("10.0.0.0/8")}, "rule 0: destination: 10.0.0.0/8"},
		"ports the wrong way round": {v1alpha1.Rule{Direction: v1alpha1.DirectionEgress, Protocol: v1alpha1.ProtocolAll, Source: v1alpha1.Peer{Ports: v1alpha1.PortRange{Low: 9, High: 8}}}, "rule 0: a port range ends below its start"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := match.Compile([]v1alpha1.Rule{c.rule})
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestEachPrefixLengthEndsWhereItSays(t *testing.T) {
	// The packet's address differs from the rule's in exactly one bit.
	for _, own := range []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("2001:db8::1:2:3")} {
		for bits := range own.BitLen() + 1 {
			prefix := netip.PrefixFrom(own, bits)
			compiled, err := match.Compile([]v1alpha1.Rule{{
				Direction: v1alpha1.DirectionEgress, Protocol: v1alpha1.ProtocolAll, Accept: true, IPv6: own.Is6(), Source: v1alpha1.Peer{Prefix: prefix},
			}})
			if err != nil {
				t.Fatal(err)
			}
			for flipped := range own.BitLen() {
				b := own.AsSlice()
				b[flipped/8] ^= 0x80 >> (flipped % 8)
				p := vxlan.Inner{Kind: vxlan.IPv4, HasMACs: true, SourceMAC: frametest.SourceMAC, HasAddresses: true, Destination: own}
				if own.Is6() {
					p.Kind = vxlan.IPv6
				}
				p.Source, _ = netip.AddrFromSlice(b)
				want := match.Unexpected
				if prefix.Contains(p.Source) {
					want = match.Accepted
				}
				if got := compiled.Check(&source, &p); got.Verdict != want {
					t.Errorf("%s in %s: %s, want %s", p.Source, prefix, got.Verdict, want)
				}
			}
		}
	}
}

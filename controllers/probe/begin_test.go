package probe

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const (
	sourceAddr, nodeAddr, farAddr = "192.168.0.230", "192.168.0.161", "10.9.0.7"
	sourceAddr6, nodeAddr6        = "fd00::230", "fd00::161"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// rule is one that accepts, of these ends, either of which may be empty.
func rule(d v1alpha1.Direction, p v1alpha1.Protocol, from, to string, edits ...func(*v1alpha1.Rule)) v1alpha1.Rule {
	r := v1alpha1.Rule{Direction: d, Priority: 1, Accept: true, Protocol: p}
	for text, end := range map[string]*v1alpha1.Peer{from: &r.Source, to: &r.Destination} {
		if text != "" {
			end.Prefix = netip.MustParsePrefix(text)
			r.IPv6 = end.Prefix.Addr().Is6()
		}
	}
	for _, edit := range edits {
		edit(&r)
	}
	return r
}

func to(low, high uint16) func(*v1alpha1.Rule) {
	return func(r *v1alpha1.Rule) { r.Destination.Ports = v1alpha1.PortRange{Low: low, High: high} }
}

func from(low, high uint16) func(*v1alpha1.Rule) {
	return func(r *v1alpha1.Rule) { r.Source.Ports = v1alpha1.PortRange{Low: low, High: high} }
}

func second(r *v1alpha1.Rule)  { r.Priority = 2 }
func rejects(r *v1alpha1.Rule) { r.Accept = false }

// asked is a request that is taken, by these rules: one source, which is no node, two nodes near and one far away.
func asked(rules ...v1alpha1.Rule) Asked {
	s := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: map[string]string{
		v1alpha1.ProbeRequestedAnnotation: noon.Format(time.RFC3339),
	}}}
	s.Status.Sessions = []v1alpha1.CloudSession{{ID: "x"}}
	s.Status.Sources = []v1alpha1.ResolvedInterface{{InterfaceID: "source", Addresses: []string{sourceAddr, sourceAddr6}}}
	s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "target", Addresses: []string{"192.168.0.164"}}}
	return Asked{
		Session: s, Rules: rules, Watchers: []string{"target"}, Allowed: true, ID: 0x0badcafe, Now: noon,
		Nodes: []Node{
			{"a-far", []netip.Addr{addr(farAddr)}}, {"near", []netip.Addr{addr(nodeAddr), addr(nodeAddr6)}}, {"nearest", []netip.Addr{addr("192.168.0.228")}},
		},
	}
}

const (
	ingress, egress       = v1alpha1.DirectionIngress, v1alpha1.DirectionEgress
	tcp, udp, icmp, icmp6 = v1alpha1.ProtocolTCP, v1alpha1.ProtocolUDP, v1alpha1.ProtocolICMP, v1alpha1.ProtocolICMPv6
	every                 = v1alpha1.ProtocolAll
)

func TestForEachSourceThePacketIsChosenThatARuleAcceptsOfANode(t *testing.T) {
	isNode := func(a *Asked) {
		a.Nodes = append(a.Nodes, Node{"self", []netip.Addr{addr(sourceAddr)}})
	}
	send := func(kind v1alpha1.ProbeKind, node, from, to string, edits ...func(*v1alpha1.ProbeSend)) v1alpha1.ProbeSend {
		s := v1alpha1.ProbeSend{InterfaceID: "source", Node: node, Kind: kind, From: from, To: to, HopLimit: 64, Nonce: 0x0badcafe}
		for _, edit := range edits {
			edit(&s)
		}
		return s
	}
	ports := func(low, high, to int32) func(*v1alpha1.ProbeSend) {
		return func(s *v1alpha1.ProbeSend) { s.SourcePort, s.SourceEndPort, s.DestinationPort = low, high, to }
	}
	answered := func(s *v1alpha1.ProbeSend) { s.Answer = true }
	oneHop := func(s *v1alpha1.ProbeSend) { s.HopLimit = 1 }
	for name, c := range map[string]struct {
		asked Asked
		with  func(*Asked)
		want  []v1alpha1.ProbeSend
	}{
		"TCP from a node of the peer":                 {asked(rule(ingress, tcp, nodeAddr+"/32", sourceAddr+"/32", to(1234, 1234))), nil, []v1alpha1.ProbeSend{send("TCP", "near", nodeAddr, sourceAddr, ports(0, 0, 1234))}},
		"from the nearest of several":                 {asked(rule(ingress, udp, "", "", to(53, 53))), nil, []v1alpha1.ProbeSend{send("UDP", "nearest", "192.168.0.228", sourceAddr, ports(0, 0, 53))}},
		"from a port that the rule names":             {asked(rule(ingress, tcp, nodeAddr+"/32", "", from(2000, 2001), to(1234, 1234))), nil, []v1alpha1.ProbeSend{send("TCP", "near", nodeAddr, sourceAddr, ports(2000, 2001, 1234))}},
		"from those of them that need no privilege":   {asked(rule(ingress, tcp, nodeAddr+"/32", "", from(1, 65535), to(1234, 1234))), nil, []v1alpha1.ProbeSend{send("TCP", "near", nodeAddr, sourceAddr, ports(1024, 65535, 1234))}},
		"nothing from a port that needs a privilege":  {asked(rule(ingress, tcp, nodeAddr+"/32", "", from(20, 21), to(1234, 1234))), nil, nil},
		"a SYN to a service's port of a node itself":  {asked(rule(egress, tcp, "", nodeAddr+"/32", from(443, 443))), isNode, []v1alpha1.ProbeSend{send("TCP", "near", nodeAddr, sourceAddr, answered, ports(0, 0, 443))}},
		"from a port that no earlier rule rejects":    {asked(rule(ingress, tcp, "", "", rejects, from(32000, 50000)), rule(ingress, tcp, nodeAddr+"/32", "", second, to(7, 7))), nil, []v1alpha1.ProbeSend{send("TCP", "near", nodeAddr, sourceAddr, ports(50001, 60999, 7))}},
		"around what one rejects in the midst":        {asked(rule(ingress, tcp, "", "", rejects, from(40000, 50000)), rule(ingress, tcp, nodeAddr+"/32", "", second, to(7, 7))), nil, []v1alpha1.ProbeSend{send("TCP", "near", nodeAddr, sourceAddr, ports(32768, 39999, 7))}},
		"to a port that no earlier rule rejects":      {asked(rule(ingress, tcp, "", "", rejects, to(1000, 1000)), rule(ingress, tcp, nodeAddr+"/32", "", second, to(1000, 2000))), nil, []v1alpha1.ProbeSend{send("TCP", "near", nodeAddr, sourceAddr, ports(0, 0, 2000))}},
		"by the next rule where one is shadowed":      {asked(rule(ingress, tcp, "", "", rejects), rule(ingress, every, nodeAddr+"/32", "", second)), nil, []v1alpha1.ProbeSend{send("UDP", "near", nodeAddr, sourceAddr, ports(0, 0, 33434))}},
		"of all protocols where the rule is":          {asked(rule(ingress, every, nodeAddr+"/32", "")), nil, []v1alpha1.ProbeSend{send("All", "near", nodeAddr, sourceAddr, ports(0, 0, 33434))}},
		"an echo request":                             {asked(rule(ingress, icmp, nodeAddr+"/32", "")), nil, []v1alpha1.ProbeSend{send("ICMP", "near", nodeAddr, sourceAddr)}},
		"of IPv6":                                     {asked(rule(ingress, icmp6, nodeAddr6+"/128", "")), nil, []v1alpha1.ProbeSend{send("ICMP", "near", nodeAddr6, sourceAddr6)}},
		"an echo request that is answered":            {asked(rule(egress, icmp, "", nodeAddr+"/32")), nil, []v1alpha1.ProbeSend{send("ICMP", "near", nodeAddr, sourceAddr, answered)}},
		"a SYN that is answered":                      {asked(rule(egress, tcp, "", nodeAddr+"/32", from(8443, 8443))), nil, []v1alpha1.ProbeSend{send("TCP", "near", nodeAddr, sourceAddr, answered, ports(0, 0, 8443))}},
		"a SYN that is answered to a port of ours":    {asked(rule(egress, tcp, "", nodeAddr+"/32", from(8443, 8443), to(40000, 40010))), nil, []v1alpha1.ProbeSend{send("TCP", "near", nodeAddr, sourceAddr, answered, ports(40000, 40010, 8443))}},
		"what a source sends that is a node":          {asked(rule(egress, tcp, "", nodeAddr+"/32", to(1234, 1234))), isNode, []v1alpha1.ProbeSend{send("TCP", "self", sourceAddr, nodeAddr, oneHop, ports(0, 0, 1234))}},
		"nothing of itself to a source that's a node": {asked(rule(ingress, tcp, sourceAddr+"/32", "", to(1, 1))), isNode, nil},
		"nothing where no node is the peer":           {asked(rule(ingress, tcp, "10.99.0.0/24", "", to(1, 1))), nil, nil},
		"nothing to an address of no source":          {asked(rule(ingress, tcp, "", "192.168.7.7/32", to(1, 1))), nil, nil},
		"no datagram that only the source can send":   {asked(rule(egress, udp, "", nodeAddr+"/32")), nil, nil},
		"nothing outside, whatever the rule is":       {asked(rule(egress, tcp, "", "203.0.113.0/24")), isNode, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if c.with != nil {
				c.with(&c.asked)
			}
			p := Begin(c.asked)
			if diff := cmp.Diff(c.want, p.Sends); diff != "" {
				t.Errorf("(-want +got):\n%s\n%+v", diff, p)
			}
		})
	}
}

func TestWhatCannotBeSentSaysWhyAndWhatToRunWhere(t *testing.T) {
	for name, c := range map[string]struct {
		rules                    []v1alpha1.Rule
		reason, command, message string
	}{
		"a far host":          {[]v1alpha1.Rule{rule(ingress, tcp, "10.99.0.0/24", "", to(80, 80))}, "ProbeNoSender", "nc -z -w 1 192.168.0.230 80", "no node with a verifier can send what the ingress rule 1 accepts: run the command on a host with an address in 10.99.0.0/24, and look at the counts"},
		"one far host":        {[]v1alpha1.Rule{rule(ingress, udp, "10.99.0.1/32", "", from(7, 7), to(80, 80))}, "ProbeNoSender", "echo probe | nc -u -w 1 -p 7 192.168.0.230 80", "no node with a verifier can send what the ingress rule 1 accepts: run the command on the host 10.99.0.1, and look at the counts"},
		"a far echo":          {[]v1alpha1.Rule{rule(ingress, icmp, "10.99.0.1/32", "")}, "ProbeNoSender", "ping -c 1 192.168.0.230", "no node with a verifier can send what the ingress rule 1 accepts: run the command on the host 10.99.0.1, and look at the counts"},
		"the source's own":    {[]v1alpha1.Rule{rule(egress, udp, "", "192.168.0.161/32", to(53, 53))}, "ProbeNoSender", "echo probe | nc -u -w 1 192.168.0.161 53", "no node with a verifier can send what the egress rule 1 accepts: run the command on the source 192.168.0.230, and look at the counts"},
		"to anybody":          {[]v1alpha1.Rule{rule(egress, udp, "", "")}, "ProbeNoSender", "echo probe | nc -u -w 1 192.168.0.164 33434", "no node with a verifier can send what the egress rule 1 accepts: run the command on the source 192.168.0.230, and look at the counts"},
		"to a network":        {[]v1alpha1.Rule{rule(egress, tcp, "", "10.99.0.0/24", to(80, 90))}, "ProbeNoSender", "nc -z -w 1 10.99.0.1 80", "no node with a verifier can send what the egress rule 1 accepts: run the command on the source 192.168.0.230, and look at the counts"},
		"another's addresses": {[]v1alpha1.Rule{rule(ingress, tcp, "", "192.168.7.7/32")}, "ProbeNoRule", "", "no rule of the filter accepts a packet of 192.168.0.230: see PathClear"},
		"only rejects":        {[]v1alpha1.Rule{rule(ingress, tcp, "", "", rejects)}, "ProbeNoRule", "", "no rule of the filter accepts a packet of 192.168.0.230: see PathClear"},
	} {
		t.Run(name, func(t *testing.T) {
			a := asked(c.rules...)
			p := Begin(a)
			want := &v1alpha1.Probe{
				RequestedAt: noon.Format(time.RFC3339), StartedAt: metav1.NewTime(noon), FinishedAt: new(metav1.NewTime(noon)),
				Results: []v1alpha1.ProbeResult{{
					InterfaceID: "source", Address: sourceAddr, Outcome: "CannotSend", Reason: c.reason, Command: c.command, Message: c.message,
				}},
			}
			if c.command != "" {
				want.Results[0].Rule = &v1alpha1.ProbeRule{Direction: c.rules[0].Direction, Priority: 1}
			}
			if diff := cmp.Diff(want, p); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestARequestIsRefusedWithItsReasonAndNothingIsSent(t *testing.T) {
	request := func(v string) func(*Asked) {
		return func(a *Asked) { a.Session.Annotations[v1alpha1.ProbeRequestedAnnotation] = v }
	}
	for name, c := range map[string]struct {
		edit   func(*Asked)
		reason string
	}{
		"probes are switched off":     {func(a *Asked) { a.Allowed = false }, "ProbeNotAllowed"},
		"one of yesterday":            {request("2026-01-01T12:00:00Z"), "ProbeStale"},
		"one of tomorrow":             {request("2026-01-03T12:00:00Z"), "ProbeStale"},
		"one that is no time":         {request("now"), "ProbeStale"},
		"a suspended session":         {func(a *Asked) { a.Session.Spec.Suspend = true }, "ProbeSuspended"},
		"a session that is not there": {func(a *Asked) { a.Session.Status.Sessions = nil }, "ProbeNothingCopied"},
		"a session without sources":   {func(a *Asked) { a.Session.Status.Sources = nil }, "ProbeNothingCopied"},
		"one that is switched off":    {func(a *Asked) { a.Session.Spec.Enabled = new(false) }, "ProbeNothingCopied"},
		"a filter that is not known":  {func(a *Asked) { a.NoRules = "gone" }, "ProbeNoRule"},
		"copies that are too short":   {func(a *Asked) { a.Session.Spec.PacketLength = new(int32(65)) }, "ProbeUnseen"},
		"a target without a verifier": {func(a *Asked) { a.Watchers = nil }, "ProbeUnseen"},
		"copies that are long enough": {func(a *Asked) { a.Session.Spec.PacketLength = new(int32(66)) }, ""},
		"one of almost 5 minutes ago": {request("2026-01-02T11:55:00Z"), ""},
		"a zone of its own":           {request("2026-01-02T13:00:00+01:00"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := asked(rule(ingress, tcp, "", "", to(1, 1)))
			c.edit(&a)
			p := Begin(a)
			if p.Reason != c.reason || (c.reason == "") != p.Active() || (c.reason == "") != (p.Message == "") {
				t.Errorf("the reason is %q and it is active: %v, want %q: %+v", p.Reason, p.Active(), c.reason, p)
			}
		})
	}
}

func TestASessionHasOneProbeAMinuteAndEachRequestOnce(t *testing.T) {
	of := func(requested string, edit func(*v1alpha1.Probe)) *v1alpha1.Probe {
		p := &v1alpha1.Probe{RequestedAt: requested, ID: "1", StartedAt: metav1.NewTime(noon), FinishedAt: new(metav1.NewTime(noon))}
		if edit != nil {
			edit(p)
		}
		return p
	}
	goesOn := func(p *v1alpha1.Probe) { p.FinishedAt, p.Sends = nil, []v1alpha1.ProbeSend{{}} }
	refused := func(p *v1alpha1.Probe) { p.ID = "" }
	for name, c := range map[string]struct {
		request string
		before  *v1alpha1.Probe
		after   time.Duration
		begin   bool
		in      time.Duration
	}{
		"nobody asked":                        {"", nil, 0, false, 0},
		"the first":                           {"a", nil, 0, true, 0},
		"one that was handled":                {"a", of("a", nil), time.Hour, false, 0},
		"another, too soon":                   {"b", of("a", nil), 20 * time.Second, false, 41 * time.Second},
		"another, a minute later":             {"b", of("a", nil), 61 * time.Second, true, 0},
		"another, while one goes on":          {"b", of("a", goesOn), time.Hour, false, 0},
		"another, after one that was refused": {"b", of("a", refused), time.Second, true, 0},
		"another, and the clock was set back": {"b", of("a", nil), -time.Hour, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := asked().Session
			s.Annotations[v1alpha1.ProbeRequestedAnnotation], s.Status.Probe = c.request, c.before
			begin, in := Due(s, noon.Add(c.after))
			if begin != c.begin || in != c.in {
				t.Errorf("it begins: %v, in %s, want %v, %s", begin, in, c.begin, c.in)
			}
		})
	}
}

package probe

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
)

// anyAddress is one of a small world, so that things meet.
func anyAddress(t *rapid.T, label string) netip.Addr {
	last := byte(rapid.IntRange(1, 6).Draw(t, label))
	if rapid.Bool().Draw(t, label+" is IPv6") {
		return netip.AddrFrom16([16]byte{0xfd, 15: last})
	}
	return netip.AddrFrom4([4]byte{192, 168, 0, last})
}

func anyPeer(t *rapid.T, label string, v6 bool) (p v1alpha1.Peer) {
	if a := anyAddress(t, label); a.Is6() == v6 && rapid.Bool().Draw(t, label+" is narrow") {
		p.Prefix = netip.PrefixFrom(a, rapid.IntRange(a.BitLen()-3, a.BitLen()).Draw(t, label+" bits")).Masked()
	}
	if rapid.Bool().Draw(t, label+" has ports") {
		low := uint16(rapid.IntRange(1, 65535).Draw(t, label+" port"))
		p.Ports = v1alpha1.PortRange{Low: low, High: uint16(rapid.IntRange(int(low), 65535).Draw(t, label+" last port"))}
	}
	return p
}

func anyRule(t *rapid.T, priority int) v1alpha1.Rule {
	v6 := rapid.Bool().Draw(t, "IPv6")
	protocols := []v1alpha1.Protocol{tcp, udp, every, icmp}
	if v6 {
		protocols[3] = icmp6
	}
	r := v1alpha1.Rule{
		Direction: rapid.SampledFrom([]v1alpha1.Direction{ingress, egress}).Draw(t, "direction"), Priority: priority, IPv6: v6,
		Accept: rapid.IntRange(0, 3).Draw(t, "accept") > 0, Protocol: rapid.SampledFrom(protocols).Draw(t, "protocol"),
		Source: anyPeer(t, "source", v6), Destination: anyPeer(t, "destination", v6),
	}
	if r.Protocol != tcp && r.Protocol != udp {
		r.Source.Ports, r.Destination.Ports = v1alpha1.PortRange{}, v1alpha1.PortRange{}
	}
	return r
}

// anyAsked is any request that is taken.
func anyAsked(t *rapid.T) Asked {
	a := asked()
	a.Session.Status.Sources = nil
	for i := range rapid.IntRange(1, 4).Draw(t, "sources") {
		r := v1alpha1.ResolvedInterface{InterfaceID: fmt.Sprint("source-", i)}
		for range rapid.IntRange(0, 2).Draw(t, "addresses of a source") {
			r.Addresses = append(r.Addresses, anyAddress(t, "source").String())
		}
		a.Session.Status.Sources = append(a.Session.Status.Sources, r)
	}
	a.Nodes = nil
	for i := range rapid.IntRange(0, 4).Draw(t, "nodes") {
		n := Node{Name: fmt.Sprint("node-", i)}
		for range rapid.IntRange(0, 2).Draw(t, "addresses of a node") {
			n.Addresses = append(n.Addresses, anyAddress(t, "node"))
		}
		a.Nodes = append(a.Nodes, n)
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "rules") {
		a.Rules = append(a.Rules, anyRule(t, i+1))
	}
	a.ID = rapid.Uint32().Draw(t, "id")
	return a
}

// packetsOf are how many packets a kind stands for, as the verifiers send them.
var packetsOf = map[v1alpha1.ProbeKind]int{v1alpha1.ProbeTCP: 2, v1alpha1.ProbeUDP: 2, v1alpha1.ProbeICMP: 2, v1alpha1.ProbeAll: 3}

func TestWhateverIsAskedPacketsGoToSourcesAndNodesAloneAndAreFew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAsked(t)
		p := Begin(a)
		known := map[string]bool{}
		for _, n := range a.Nodes {
			for _, address := range n.Addresses {
				known[address.String()] = true
			}
		}
		for i := range a.Session.Status.Sources {
			for _, address := range a.Session.Status.Sources[i].Addresses {
				known[address] = true
			}
		}
		packets := map[string]int{}
		for _, s := range p.Sends {
			if !known[s.To] {
				t.Fatalf("%+v goes to an address of no source and no node", s)
			}
			i := slices.IndexFunc(a.Nodes, func(n Node) bool { return n.Name == s.Node })
			if i < 0 || !slices.Contains(a.Nodes[i].Addresses, netip.MustParseAddr(s.From)) {
				t.Fatalf("%+v comes from an address that its node does not have", s)
			}
			source := slices.IndexFunc(a.Session.Status.Sources, func(r v1alpha1.ResolvedInterface) bool { return r.InterfaceID == s.InterfaceID })
			of := a.Session.Status.Sources[source].Addresses
			if !slices.Contains(of, s.To) && (!slices.Contains(of, s.From) || s.HopLimit != 1) {
				t.Fatalf("%+v is neither to its source, nor from it within the subnet", s)
			}
			if packets[s.InterfaceID] += packetsOf[s.Kind]; packets[s.InterfaceID] > v1alpha1.MaxProbePackets || packetsOf[s.Kind] == 0 {
				t.Fatalf("%d packets are sent for %s", packets[s.InterfaceID], s.InterfaceID)
			}
		}
		if len(p.Results) != len(a.Session.Status.Sources) {
			t.Fatalf("there are %d results for %d sources", len(p.Results), len(a.Session.Status.Sources))
		}
	})
}

// Each packet is one of which a rule that accepts is the first that matches, by whatever port it is sent from.
func TestWhateverIsSentTheFilterAcceptsAsTheSourceSeesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAsked(t)
		for _, s := range Begin(a).Sends {
			p := packet{rule: v1alpha1.Rule{Direction: ingress}, from: netip.MustParseAddr(s.From), to: netip.MustParseAddr(s.To)}
			low, high := uint16(s.SourcePort), uint16(s.SourceEndPort)
			if s.SourcePort == 0 {
				low, high = freePorts.Low, freePorts.High
			}
			if low < firstFree {
				t.Fatalf("%+v comes from a port that needs a privilege", s)
			}
			source := slices.IndexFunc(a.Session.Status.Sources, func(r v1alpha1.ResolvedInterface) bool { return r.InterfaceID == s.InterfaceID })
			if !slices.Contains(a.Session.Status.Sources[source].Addresses, s.To) || s.Answer {
				p.rule.Direction = egress
			}
			for _, kind := range each(s.Kind) {
				for _, port := range []uint16{low, high, rapid.Uint16Range(low, high).Draw(t, "port that it gets")} {
					from, to := port, uint16(s.DestinationPort)
					seen := p
					if s.Answer {
						seen.from, seen.to, from, to = p.to, p.from, to, from
					}
					if r, found := decides(a.Rules, seen, kind, from, to); !found || !r.Accept {
						t.Fatalf("%s of %+v from port %d: %+v decides", kind, s, port, r)
					}
				}
			}
		}
	})
}

// Whatever the verifiers say, and whenever: a probe ends, with an outcome for each source, and then stays.
func TestEveryProbeEndsInTimeWithAnOutcomeForEachSource(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyAsked(t)
		p, now := Begin(a), noon
		sendingAt := time.Time{}
		for p.Active() {
			if passed := now.Sub(noon); passed > Longest+10*time.Second {
				t.Fatalf("it goes on after %s: %+v", passed, p)
			}
			var again time.Duration
			p, again = Advance(p, anyReports(t, p), now)
			if p.SendingAt != nil && sendingAt.IsZero() {
				sendingAt = p.SendingAt.Time
			}
			if p.SendingAt != nil && !p.SendingAt.Time.Equal(sendingAt) {
				t.Fatal("it was let send twice")
			}
			if p.Active() && again <= 0 {
				t.Fatal("nobody comes back to it")
			}
			now = now.Add(time.Duration(rapid.Int64Range(1, int64(5*time.Second)).Draw(t, "passes")))
			if rapid.Bool().Draw(t, "comes back when told") {
				now = now.Add(again)
			}
		}
		for _, r := range p.Results {
			if r.Outcome == "" || r.Outcome == v1alpha1.ProbeCannotSend && (r.Reason == "" || r.Message == "") {
				t.Fatalf("nothing is said of %s: %+v", r.InterfaceID, r)
			}
			if sendingAt.IsZero() && r.Outcome != v1alpha1.ProbeCannotSend {
				t.Fatalf("nothing was sent, and it says %+v", r)
			}
		}
		if len(p.Sends) > 0 || p.FinishedAt == nil {
			t.Fatalf("it is over, and says %+v", p)
		}
		if next, again := Advance(p, nil, now.Add(time.Hour)); next != p || again != 0 {
			t.Fatal("it goes on after its end")
		}
	})
}

func anyReports(t *rapid.T, p *v1alpha1.Probe) (out []v1alpha1.ProbeReport) {
	for i, node := range append([]string{"target", "stranger"}, "node-0", "node-1", "node-2") {
		if !rapid.Bool().Draw(t, "reports") {
			continue
		}
		r := v1alpha1.ProbeReport{Node: node, Probe: p.ID, Watching: i == 0 && rapid.Bool().Draw(t, "watches")}
		if rapid.IntRange(0, 4).Draw(t, "another") == 0 {
			r.Probe = "another"
		}
		for _, s := range p.Sends {
			switch {
			case i < 2 && rapid.Bool().Draw(t, "arrived"):
				r.Arrived = append(r.Arrived, v1alpha1.ProbeCopies{InterfaceID: s.InterfaceID, Packets: rapid.Int64Range(1, 4).Draw(t, "copies")})
			case i >= 2 && p.SendingAt != nil && rapid.Bool().Draw(t, "sent"):
				r.Sent = append(r.Sent, v1alpha1.ProbeSent{InterfaceID: s.InterfaceID, Packets: rapid.Int32Range(0, 3).Draw(t, "packets")})
			}
		}
		out = append(out, r)
	}
	return out
}

package probe

import (
	"cmp"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
)

// chosen is what is sent for a source, and by which rule it is copied.
type chosen struct {
	v1alpha1.ProbeSend
	rule v1alpha1.Rule
}

// Ports that are tried where a rule leaves them open. The first is one that no service listens on: traceroute's.
var usualPorts = []uint16{33434, 443, 80, 22, 53}

// freePorts are those from which the kernel takes one that nobody asked for.
var freePorts = v1alpha1.PortRange{Low: 32768, High: 60999}

// firstFree is the first port that a verifier can have: for those below it has no capability.
const firstFree = 1024

// manyHops lets a packet go anywhere in a VPC; oneHop keeps it in the subnet.
const (
	manyHops = 64
	oneHop   = 1
)

// toSource finds a packet that a node sends to the source, by an ingress rule.
func (a *Asked) toSource(s source) *chosen {
	return a.search(s, v1alpha1.DirectionIngress, func(rule v1alpha1.Rule, own netip.Addr) *chosen {
		for _, from := range a.near(s, own, rule.Source) {
			for _, kind := range kindsOf(rule) {
				p := packet{rule: rule, kind: kind, from: from.address, to: own}
				if send := a.fitted(p, false); send != nil {
					send.Node, send.HopLimit = from.node, manyHops
					return send
				}
			}
		}
		return nil
	})
}

// fromSource finds a packet that the source itself sends, where it is a node, by an egress rule. It goes to an address
// of another node or source, as there is no other that a probe may send to.
func (a *Asked) fromSource(s source) *chosen {
	node := slices.IndexFunc(a.Nodes, func(n Node) bool { return s.has(n.Addresses...) })
	if node < 0 {
		return nil
	}
	return a.search(s, v1alpha1.DirectionEgress, func(rule v1alpha1.Rule, own netip.Addr) *chosen {
		if !slices.Contains(a.Nodes[node].Addresses, own) {
			return nil // what the node does not have as its own it can't be seen to send
		}
		for _, to := range a.others(s, own, rule.Destination) {
			for _, kind := range kindsOf(rule) {
				p := packet{rule: rule, kind: kind, from: own, to: to}
				if send := a.fitted(p, false); send != nil {
					send.Node, send.HopLimit = a.Nodes[node].Name, oneHop
					return send
				}
			}
		}
		return nil
	})
}

// answerOfSource finds a packet that the source answers, where an egress rule accepts the answer: an echo request, or a
// SYN, which is answered whether anybody listens or not.
func (a *Asked) answerOfSource(s source) *chosen {
	return a.search(s, v1alpha1.DirectionEgress, func(rule v1alpha1.Rule, own netip.Addr) *chosen {
		for _, asker := range a.near(s, own, rule.Destination) {
			for _, kind := range []v1alpha1.ProbeKind{v1alpha1.ProbeICMP, v1alpha1.ProbeTCP} {
				p := packet{rule: rule, kind: kind, from: own, to: asker.address}
				if !slices.Contains(kindsOf(rule), kind) && rule.Protocol != v1alpha1.ProtocolAll {
					continue
				}
				if send := a.fitted(p, true); send != nil {
					send.Node, send.HopLimit = asker.node, manyHops
					return send
				}
			}
		}
		return nil
	})
}

// search tries the accepting rules of a direction in their order, with each address of the source that is the rule's.
func (a *Asked) search(s source, d v1alpha1.Direction, try func(v1alpha1.Rule, netip.Addr) *chosen) *chosen {
	for _, rule := range inOrder(a.Rules) {
		if !rule.Accept || rule.Direction != d {
			continue
		}
		for _, own := range s.addresses {
			if end := ownEnd(rule); own.Is4() == rule.IPv6 || !within(end, own) {
				continue
			}
			if found := try(rule, own); found != nil {
				return found
			}
		}
	}
	return nil
}

// ownEnd is the end of a rule that is the source's.
func ownEnd(r v1alpha1.Rule) v1alpha1.Peer {
	if r.Direction == v1alpha1.DirectionIngress {
		return r.Destination
	}
	return r.Source
}

func within(p v1alpha1.Peer, a netip.Addr) bool { return !p.Prefix.IsValid() || p.Prefix.Contains(a) }

// sender is a node that may send, from this address.
type sender struct {
	node    string
	address netip.Addr
}

// near are the nodes with an address of a rule's end, the source's own aside, the nearest first: those of the same
// subnet reach it whatever routes there are.
func (a *Asked) near(s source, to netip.Addr, end v1alpha1.Peer) (out []sender) {
	for _, n := range a.Nodes {
		if s.has(n.Addresses...) {
			continue
		}
		for _, address := range n.Addresses {
			if address.Is4() == to.Is4() && within(end, address) {
				out = append(out, sender{n.Name, address})
			}
		}
	}
	slices.SortStableFunc(out, func(x, y sender) int {
		return cmp.Or(cmp.Compare(common(y.address, to), common(x.address, to)), strings.Compare(x.node, y.node))
	})
	return out
}

// others are the addresses that a packet of the source may go to: of nodes, and of other sources.
func (a *Asked) others(s source, from netip.Addr, end v1alpha1.Peer) (out []netip.Addr) {
	for _, n := range a.near(s, from, end) {
		out = append(out, n.address)
	}
	for i := range a.Session.Status.Sources {
		for _, address := range addressesOf(&a.Session.Status.Sources[i]) {
			if address.Is4() == from.Is4() && within(end, address) && !s.has(address) && !slices.Contains(out, address) {
				out = append(out, address)
			}
		}
	}
	return out
}

// common is how many bits two addresses of one family begin with alike.
func common(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	for i := range x {
		if x[i] != y[i] {
			return 8*i + bits.LeadingZeros8(x[i]^y[i])
		}
	}
	return 8 * len(x)
}

// kindsOf are the kinds of packets that a rule may match, the best first.
func kindsOf(r v1alpha1.Rule) []v1alpha1.ProbeKind {
	switch r.Protocol {
	case v1alpha1.ProtocolTCP:
		return []v1alpha1.ProbeKind{v1alpha1.ProbeTCP}
	case v1alpha1.ProtocolUDP:
		return []v1alpha1.ProbeKind{v1alpha1.ProbeUDP}
	case v1alpha1.ProtocolICMP, v1alpha1.ProtocolICMPv6:
		return []v1alpha1.ProbeKind{v1alpha1.ProbeICMP}
	case v1alpha1.ProtocolAll:
	}
	return []v1alpha1.ProbeKind{v1alpha1.ProbeAll, v1alpha1.ProbeTCP, v1alpha1.ProbeUDP, v1alpha1.ProbeICMP}
}

// fitted gives a packet ports with which its rule is the one that decides about it, nil where there are none. Of an
// answer the packet that is sent goes the other way.
func (a *Asked) fitted(p packet, answer bool) *chosen {
	senders, fixed := p.rule.Source.Ports, p.rule.Destination.Ports
	if answer {
		senders, fixed = fixed, senders
	}
	for _, to := range portsOf(fixed) {
		from, found := a.free(senders, func(from uint16) bool {
			if answer {
				return a.decided(p, to, from)
			}
			return a.decided(p, from, to)
		})
		switch {
		case found && answer:
			return p.answered(to, from)
		case found:
			return p.sent(from, to)
		}
	}
	return nil
}

// free are the ports of a range that a verifier can have, and with each of which the packet is decided by its rule:
// whichever it gets must do. It is zero for any port that the kernel gives.
func (a *Asked) free(of v1alpha1.PortRange, decided func(uint16) bool) (_ v1alpha1.PortRange, found bool) {
	whole := of
	if of == (v1alpha1.PortRange{}) {
		whole = freePorts
	}
	whole.Low = max(whole.Low, firstFree)
	var first v1alpha1.PortRange
	all := true
	for _, part := range a.parts(whole) {
		switch fits := decided(part.Low); {
		case !fits:
			all = false
		case first == v1alpha1.PortRange{}:
			first = part
		}
	}
	switch {
	case first == v1alpha1.PortRange{}:
		return first, false
	case !all:
		return first, true
	case of == v1alpha1.PortRange{}:
		return of, true
	}
	return whole, true
}

// parts are those of a range in which no rule tells one port from another.
func (a *Asked) parts(of v1alpha1.PortRange) (out []v1alpha1.PortRange) {
	ends := []int{int(of.Low), int(of.High) + 1}
	for _, r := range a.Rules {
		for _, ports := range []v1alpha1.PortRange{r.Source.Ports, r.Destination.Ports} {
			for _, end := range []int{int(ports.Low), int(ports.High) + 1} {
				if int(of.Low) < end && end <= int(of.High) {
					ends = append(ends, end)
				}
			}
		}
	}
	slices.Sort(ends)
	ends = slices.Compact(ends)
	for i := 1; i < len(ends) && of.Low <= of.High; i++ {
		out = append(out, v1alpha1.PortRange{Low: uint16(ends[i-1]), High: uint16(ends[i] - 1)})
	}
	return out
}

// decided reports whether the packet's rule decides about it with these ports, whatever kind it is of.
func (a *Asked) decided(p packet, source, destination uint16) bool {
	return !slices.ContainsFunc(each(p.kind), func(kind v1alpha1.ProbeKind) bool {
		rule, found := decides(a.Rules, p, kind, source, destination)
		return !found || rule != p.rule
	})
}

// each are the kinds that are sent.
func each(k v1alpha1.ProbeKind) []v1alpha1.ProbeKind {
	if k == v1alpha1.ProbeAll {
		return []v1alpha1.ProbeKind{v1alpha1.ProbeTCP, v1alpha1.ProbeUDP, v1alpha1.ProbeICMP}
	}
	return []v1alpha1.ProbeKind{k}
}

// portsOf are the ports of a range that are tried.
func portsOf(r v1alpha1.PortRange) []uint16 {
	if r == (v1alpha1.PortRange{}) {
		return usualPorts
	}
	return []uint16{r.Low, r.High}
}

// sent is the packet as it is sent.
func (p packet) sent(from v1alpha1.PortRange, to uint16) *chosen {
	out := &chosen{rule: p.rule}
	out.Kind, out.From, out.To = p.kind, p.from.String(), p.to.String()
	if p.kind != v1alpha1.ProbeICMP {
		out.SourcePort, out.SourceEndPort, out.DestinationPort = int32(from.Low), int32(from.High), int32(to)
	}
	return out
}

// answered is what is sent so that the packet is the answer.
func (p packet) answered(port uint16, asker v1alpha1.PortRange) *chosen {
	asked := packet{rule: p.rule, kind: p.kind, from: p.to, to: p.from}
	out := asked.sent(asker, port)
	out.Answer = true
	return out
}

// text says what is sent.
func (c *chosen) text() string {
	what := map[v1alpha1.ProbeKind]string{
		v1alpha1.ProbeTCP: "a SYN to TCP %d", v1alpha1.ProbeUDP: "a datagram to UDP %d", v1alpha1.ProbeICMP: "an echo request",
		v1alpha1.ProbeAll: "packets of TCP, UDP (port %d) and ICMP",
	}[c.Kind]
	if strings.Contains(what, "%d") {
		what = fmt.Sprintf(what, c.DestinationPort)
	}
	copied := ""
	if c.Answer {
		copied = ", whose answer is copied,"
	}
	return fmt.Sprintf("%s%s from %s (%s) to %s, by %s", what, copied, c.From, v1alpha1.Fit(c.Node, 63), c.To, ruleText(c.rule))
}

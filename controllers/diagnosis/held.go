package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// firstOfClients is the first port from which a host opens connections by itself (Linux,
// net.ipv4.ip_local_port_range; other systems begin later).
const firstOfClients = 32768

// sourceGroupDenies: the groups of a source let nothing pass that a rule of the filter accepts, and
// "packets that a security group or network ACL of the mirror source drops are not mirrored" (user
// guide, constraints). Only where that is sure: groups are stateful, and answers to what they
// allow pass.
func sourceGroupDenies(k *Known) (seen sight) {
	k.guarded(k.groupGuard, func(source *cloud.Interface, g guard) { k.holdsBack(source, &seen, g) })
	return seen
}

// guarded calls with each source that has a guard of a kind.
func (k *Known) guarded(kind func(*cloud.Interface) *guard, look func(*cloud.Interface, guard)) {
	for i := range k.Path.Sources {
		source := &k.Path.Sources[i]
		if !slices.Contains(k.sources(), source.ID) {
			continue
		}
		if g := kind(source); g != nil {
			look(source, *g)
		}
	}
}

// groupGuard are the security groups of a source, nil where it has none, or they were not read.
func (k *Known) groupGuard(source *cloud.Interface) *guard {
	if !k.Path.Groups.Read || source.Unsecured || len(source.SecurityGroups) == 0 {
		return nil
	}
	return &guard{
		reason: v1alpha1.ReasonSourceGroupDenies,
		called: k.groupsCalled(source) + " of " + k.nameOf(source.ID),
		in:     k.firstGroup(source),
		steps: func(_ cloud.Rule, d cloud.Direction, t traffic) []step {
			return k.groupSteps(source, d, t, nil)
		},
	}
}

// sourceACLDenies: the same of the network ACL of a source's subnet. It does not judge what stays
// inside of the subnet, so nothing is said of rules whose peers may be there.
func sourceACLDenies(k *Known) (seen sight) {
	k.guarded(k.aclGuard, func(source *cloud.Interface, g guard) { k.holdsBack(source, &seen, g) })
	return seen
}

// aclGuard is the network ACL of a source's subnet, nil where it has none, or it was not or can't be read.
func (k *Known) aclGuard(source *cloud.Interface) *guard {
	if !k.Path.ACLs.Read || !k.Path.Interfaces.Read || source.SubnetID == "" {
		return nil
	}
	acl := k.aclOf(source.SubnetID)
	if acl == nil || acl.Unreadable != "" || acl.Enabled && (acl.Ingress == nil || acl.Egress == nil) {
		return nil
	}
	off := ""
	if !acl.Enabled {
		off = ", which is switched off,"
	}
	return &guard{
		reason: v1alpha1.ReasonNetworkACLDenies,
		called: fmt.Sprintf("%s of the subnet of %s%s", k.aclCalled(acl), k.nameOf(source.ID), off),
		in:     k.aclCalled(acl),
		steps: func(r cloud.Rule, d cloud.Direction, t traffic) []step {
			if k.inSubnet(source.SubnetID, peerOf(r)) {
				return []step{{fit: some, allow: true}}
			}
			return k.aclSteps(acl, d, t)
		},
	}
}

func peerOf(r cloud.Rule) netip.Prefix {
	if r.Direction == cloud.Ingress {
		return r.Source
	}
	return r.Destination
}

// inSubnet reports whether some of the addresses may be in a subnet, by the interfaces there. The
// zero value means any address.
func (k *Known) inSubnet(subnet string, addresses netip.Prefix) bool {
	return !addresses.IsValid() || k.Path.Interfaces.Value.InSubnet(subnet, addresses)
}

// guard is who may hold back packets at a source.
type guard struct {
	reason string
	// called is how a message calls it, and in where a rule is to be added.
	called, in string
	// steps are its rules as the traffic of a filter's rule meets them.
	steps func(r cloud.Rule, d cloud.Direction, t traffic) []step
}

// holdsBack looks at each rule of the filter that may accept packets of a source.
func (k *Known) holdsBack(source *cloud.Interface, seen *sight, g guard) {
	accepting, all := k.accepting(source)
	held := slices.DeleteFunc(slices.Clone(accepting), func(r cloud.Rule) bool { return !k.isHeldBack(source, r, g) })
	if len(held) > 0 {
		seen.stop(k.heldAt(source, g, held, !all || len(held) < len(accepting), ""))
		return
	}
	shut := slices.DeleteFunc(slices.Clone(accepting), func(r cloud.Rule) bool { return !g.holds(source, r) || !k.stoppedAt(source, r, g) })
	if len(shut) > 0 {
		answers := "what the source has opened"
		if shut[0].Direction == cloud.Egress {
			answers = "what was opened to the source"
		}
		seen.stop(k.heldAt(source, g, shut, true, ", unless it answers "+answers))
	}
}

// heldAt says which rules' packets the guard holds back.
func (k *Known) heldAt(source *cloud.Interface, g guard, held []cloud.Rule, partly bool, unless string) obstacle {
	first := held[0]
	verb, way := "in", "inbound"
	if first.Direction == cloud.Egress {
		verb, way = "out", "outbound"
	}
	more := ""
	if n := len(held) - 1; n > 0 {
		more = fmt.Sprintf(", nor those of %d more of its rules", n)
	}
	t, _ := trafficOf(source, first)
	peer := "any address"
	if p := peerOf(first); p.IsValid() {
		peer = p.String()
	}
	return obstacle{
		reason: g.reason, source: source.ID, partly: partly,
		message: plain("%s lets %s no packet that the filter's %s rule %d is to copy (%s)%s%s; what is held back there is never copied",
			g.called, verb, strings.ToLower(string(first.Direction)), first.Priority, plan.Describe(first.RuleSpec), more, unless),
		remedy: plain("allow %s %s%s %s %s in %s, or mirror something else", way, first.Protocol, portOf(t.destinationPorts),
			map[string]string{"in": "from", "out": "to"}[verb], peer, g.in),
	}
}

func portOf(r cloud.PortRange) string {
	if r == (cloud.PortRange{}) {
		return ""
	}
	return " " + portsText([]cloud.PortRange{r})
}

// accepting are the rules of the filter that may accept a packet of a source by its addresses, and
// whether these are all.
func (k *Known) accepting(source *cloud.Interface) (accepting []cloud.Rule, all bool) {
	if k.Path.Filter == nil {
		return nil, false
	}
	all = true
	for _, r := range plan.InOrder(k.Path.Filter.Rules) {
		if r.Unreadable != "" {
			all = false
			continue
		}
		if _, may := trafficOf(source, r); r.Accept && may {
			accepting = append(accepting, r)
		}
	}
	return accepting, all
}

// trafficOf is what a rule of the filter accepts at a source, and whether that is anything.
func trafficOf(source *cloud.Interface, r cloud.Rule) (traffic, bool) {
	t := traffic{
		ipv6: r.IPv6, source: r.Source, destination: r.Destination, sourcePorts: r.SourcePorts, destinationPorts: r.DestinationPorts,
		protocol: map[cloud.Protocol]int{
			cloud.TCP: protoTCP, cloud.UDP: protoUDP, cloud.ICMP: protoICMP, cloud.ICMPv6: protoICMPv6, cloud.All: allProtocols,
		}[r.Protocol],
	}
	local := &t.destination
	if r.Direction == cloud.Egress {
		local = &t.source
	}
	mine := slices.DeleteFunc(slices.Clone(source.Addresses), func(a netip.Addr) bool {
		return a.Is6() != r.IPv6 || local.IsValid() && !local.Contains(a)
	})
	if len(mine) == 1 {
		*local = netip.PrefixFrom(mine[0], mine[0].BitLen())
	}
	return t, len(mine) > 0
}

// answers is the traffic to which this one would be the answers.
func (t traffic) answers() traffic {
	t.source, t.destination = t.destination, t.source
	t.sourcePorts, t.destinationPorts = t.destinationPorts, t.sourcePorts
	return t
}

// isHeldBack reports whether no packet that a rule of the filter accepts passes the guard: none
// that opens a flow, and none that answers one.
func (k *Known) isHeldBack(source *cloud.Interface, r cloud.Rule, g guard) bool {
	t, _ := trafficOf(source, r)
	other := cloud.Egress
	if r.Direction == cloud.Egress {
		other = cloud.Ingress
	}
	return g.holds(source, r) && (k.noAnswers(r) || heldBack(g.steps(r, other, t.answers())))
}

// holds reports whether the guard lets no packet pass that a rule of the filter accepts, but what
// may answer one that went the other way.
func (g guard) holds(source *cloud.Interface, r cloud.Rule) bool {
	t, _ := trafficOf(source, r)
	return heldBack(g.steps(r, r.Direction, t))
}

// noAnswers reports whether the packets of a rule are surely no answers: they go to ports from which
// no host opens connections. With UDP some do, so that is sure only as long as nothing came, and of
// no port in [bothEnds].
func (k *Known) noAnswers(r cloud.Rule) bool {
	to, from := r.DestinationPorts, r.SourcePorts
	if to == (cloud.PortRange{}) || to.High >= firstOfClients || from != (cloud.PortRange{}) && from.Low < 1024 {
		return false
	}
	among := func(port uint16) bool { return to.Low <= port && port <= to.High }
	return r.Protocol == cloud.TCP || r.Protocol == cloud.UDP && !k.anyCame() && !slices.ContainsFunc(bothEnds, among)
}

// anyCame reports whether a copy that the filter accepts was counted since the last change.
func (k *Known) anyCame() bool {
	return slices.ContainsFunc(k.counters(), func(e v1alpha1.Verification) bool { return k.inEpoch(e).Packets > 0 })
}

// bothEnds are ports of UDP from which hosts also ask, so that what comes to them may be answers:
// DNS between servers, DHCP, NTP, NetBIOS, IKE, L2TP, mDNS, STUN, SIP, WireGuard and OpenVPN, by the
// services' registrations (IANA, Service Name and Transport Protocol Port Number Registry).
var bothEnds = []uint16{53, 67, 68, 123, 137, 138, 500, 1194, 1701, 3478, 4500, 5060, 5353, 51820}

// hold is a guard that lets pass nothing of a rule of the filter but what may be an answer.
type hold struct {
	source, reason string
	direction      cloud.Direction
	priority       int
}

// holdSince is what is known of a hold since it was seen first.
type holdSince struct {
	seen time.Time
	// came is whether copies of the source had been counted before.
	came bool
	// answers is whether some were counted that must have passed: they are answers.
	answers bool
}

// holds are those of all sources, by what was read of the way.
func (k *Known) holds() (all []hold) {
	for _, kind := range []func(*cloud.Interface) *guard{k.groupGuard, k.aclGuard} {
		k.guarded(kind, func(source *cloud.Interface, g guard) {
			accepting, _ := k.accepting(source)
			for _, r := range accepting {
				if g.holds(source, r) {
					all = append(all, hold{source.ID, g.reason, r.Direction, r.Priority})
				}
			}
		})
	}
	return all
}

// stoppedAt reports whether the copies of a source have stopped since a guard holds back what a rule
// of the filter accepts. Who has said so says it until copies come.
func (k *Known) stoppedAt(source *cloud.Interface, r cloud.Rule, g guard) bool {
	h, known := k.Movement.holds[hold{source.ID, g.reason, r.Direction, r.Priority}]
	return known && !h.answers && (h.came || k.reported(g.reason, k.sourceAbout(source.ID)) != nil) && !k.copying(source.ID)
}

// hold notes what is held back by the way as it was read last, and whether copies come nevertheless.
// One that comes within the time that counts take on their way says nothing.
func (m *Movement) hold(k *Known, before map[hold]holdSince, now time.Time) {
	if k.Path == nil {
		m.holds = before
		return
	}
	m.holds = map[hold]holdSince{}
	for _, h := range k.holds() {
		last := m.lastCame(k, h.source)
		was, known := before[h]
		if !known {
			was = holdSince{seen: now, came: !last.IsZero()}
		}
		passed := was.seen
		if was.came {
			passed = passed.Add(k.CountsDelay)
		}
		was.answers = was.answers || last.After(passed)
		m.holds[h] = was
	}
}

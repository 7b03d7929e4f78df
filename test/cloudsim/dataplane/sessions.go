package dataplane

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const (
	maxPacketLength = 1460
	maxVNI          = 1<<24 - 1
)

// mirrorRule is a Rule made ready for matching.
type mirrorRule struct {
	accept                       bool
	ipv6                         bool
	anyProtocol                  bool
	protocol                     uint8
	source, destination          netip.Prefix // invalid: any
	sourcePorts, destinationPort PortRange    // zero: any
	priority                     int
}

// compileRule reads a filter rule.
func compileRule(r Rule) (mirrorRule, error) {
	c := mirrorRule{
		accept: r.Accept, ipv6: r.IPv6, source: r.Source, destination: r.Destination,
		sourcePorts: r.SourcePorts, destinationPort: r.DestinationPorts, priority: r.Priority,
	}
	for _, ports := range []PortRange{r.SourcePorts, r.DestinationPorts} {
		if ports.Low > ports.High {
			return c, fmt.Errorf("ports %d-%d: the first must not be above the last", ports.Low, ports.High)
		}
	}
	switch strings.ToUpper(r.Protocol) {
	case "ALL":
		c.anyProtocol = true
	case "TCP":
		c.protocol = protoTCP
	case "UDP":
		c.protocol = protoUDP
	case "ICMP":
		c.protocol = protoICMP
	case "ICMPV6":
		c.protocol = protoICMPv6
	default:
		return c, fmt.Errorf("protocol %q: use TCP, UDP, ICMP, ICMPV6 or ALL", r.Protocol)
	}
	return c, nil
}

// matches is whether the rule decides the packet. A packet without ports (a
// later fragment, one that is cut, another protocol) never matches a rule with
// ports.
func (r *mirrorRule) matches(p *packet) bool {
	if !p.isIP() || r.ipv6 != (p.kind == kindIPv6) || !r.anyProtocol && r.protocol != p.protocol {
		return false
	}
	if r.source.IsValid() && !r.source.Contains(p.source) {
		return false
	}
	if r.destination.IsValid() && !r.destination.Contains(p.destination) {
		return false
	}
	return portMatches(r.sourcePorts, p.hasPorts, p.sourcePort) &&
		portMatches(r.destinationPort, p.hasPorts, p.destinationPort)
}

func portMatches(ports PortRange, hasPorts bool, port uint16) bool {
	return ports == PortRange{} || hasPorts && ports.contains(port)
}

// mirrorSession is a Session made ready for matching.
type mirrorSession struct {
	vni             uint32
	length          int
	target          *SwitchPort // nil when the target is no interface here
	balancer        *balancer   // nil when the target is no load balancer
	ingress, egress []mirrorRule
	counters        *sessionCounters
}

// decision is what the sessions of a source say about a packet.
type decision struct {
	session *mirrorSession // the one whose rule matched; nil for none
	accept  bool
}

// decide tries the sessions in their order, in each the rules of the packet's
// direction in theirs: the first rule that matches decides, and nothing after it
// is looked at. It gives one decision, so there is at most one copy.
func decide(sessions []*mirrorSession, p *packet, ingress bool) decision {
	for _, s := range sessions {
		rules := s.egress
		if ingress {
			rules = s.ingress
		}
		for i := range rules {
			if rules[i].matches(p) {
				return decision{session: s, accept: rules[i].accept}
			}
		}
	}
	return decision{}
}

// compileSessions gives each port the sessions that it is a source of, by
// priority (by ID among equals, so that the order never depends on the list's).
// Disabled sessions and ports whose flavor can't be mirrored are left out.
func (s *Switch) compileSessions(config Config, plugged map[string]*SwitchPort, into []portState) {
	sessions := slices.Clone(config.Sessions)
	slices.SortStableFunc(sessions, func(a, b Session) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.ID, b.ID))
	})
	canMirror := map[string]bool{}
	for _, p := range config.Ports {
		canMirror[p.ID] = p.FlavorSupportsMirroring
	}
	for _, session := range sessions {
		counters := s.countersOf(session.ID)
		if !session.Enabled {
			continue
		}
		m := &mirrorSession{
			vni: session.VNI & maxVNI, length: min(max(session.PacketLength, 0), maxPacketLength),
			target: plugged[session.Target], balancer: compileBalancer(session.Balancer, plugged), counters: counters,
			ingress: compileRules(session.Ingress), egress: compileRules(session.Egress),
		}
		for i, id := range session.Sources {
			port := plugged[id]
			if port == nil || !canMirror[id] || slices.Contains(session.Sources[:i], id) {
				continue
			}
			into[port.index].sessions = append(into[port.index].sessions, m)
		}
	}
}

func compileRules(rules []Rule) []mirrorRule {
	var out []mirrorRule
	for _, r := range rules {
		if c, err := compileRule(r); err == nil {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b mirrorRule) int { return cmp.Compare(a.priority, b.priority) })
	return out
}

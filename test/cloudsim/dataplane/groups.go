package dataplane

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// groupRule is a GroupRule made ready for matching.
type groupRule struct {
	ipv6        bool
	anyProtocol bool
	protocol    uint8
	ports       []PortRange // empty: all
	deny        bool
	prefix      netip.Prefix // invalid: any
	group       int          // index of the remote group, noGroup: any
	priority    int
}

const (
	noGroup      = -1
	unknownGroup = -2 // a group that does not exist has no members
)

// compileGroupRule reads the rule; groups gives the index of each group.
func compileGroupRule(r GroupRule, groups map[string]int) (groupRule, error) {
	c := groupRule{ipv6: r.IPv6, deny: r.Deny, prefix: r.RemotePrefix, group: noGroup, priority: r.Priority}
	var err error
	if c.ports, err = parsePorts(r.Ports); err != nil {
		return c, err
	}
	switch name := strings.ToLower(strings.TrimSpace(r.Protocol)); name {
	case "":
		c.anyProtocol = true
	case "tcp":
		c.protocol = protoTCP
	case "udp":
		c.protocol = protoUDP
	case "icmp":
		c.protocol = protoICMP
		if r.IPv6 { // the cloud's platform takes icmp on IPv6 as its ICMPv6
			c.protocol = protoICMPv6
		}
	case "icmpv6":
		c.protocol = protoICMPv6
	default:
		n, err := strconv.ParseUint(name, 10, 8)
		if err != nil {
			return c, fmt.Errorf("protocol %q: use tcp, udp, icmp, icmpv6, a number of 0 to 255, or nothing for all", r.Protocol)
		}
		c.protocol = uint8(n)
	}
	if r.RemoteGroup != "" {
		index, ok := groups[r.RemoteGroup]
		if !ok {
			index = unknownGroup
		}
		c.group = index
	}
	return c, nil
}

// portPolicy is what the groups of a port say, in the order in which the rules
// are to be tried.
type portPolicy struct {
	ingress, egress []groupRule
	memberOf        []int
}

// compilePolicy puts the rules of the port's groups in order: groups in binding
// order, inside a group by priority, among equals deny first.
func compilePolicy(p Port, groups []Group, index map[string]int) portPolicy {
	var policy portPolicy
	for _, id := range p.Groups {
		at, ok := index[id]
		if !ok {
			continue
		}
		policy.memberOf = append(policy.memberOf, at)
		var ingress, egress []groupRule
		for _, r := range groups[at].Rules {
			c, err := compileGroupRule(r, index)
			if err != nil || r.Disabled {
				continue
			}
			if r.Ingress {
				ingress = append(ingress, c)
			} else {
				egress = append(egress, c)
			}
		}
		policy.ingress = append(policy.ingress, sortRules(ingress)...)
		policy.egress = append(policy.egress, sortRules(egress)...)
	}
	return policy
}

func sortRules(rules []groupRule) []groupRule {
	slices.SortStableFunc(rules, func(a, b groupRule) int {
		if c := cmp.Compare(a.priority, b.priority); c != 0 {
			return c
		}
		switch {
		case a.deny == b.deny:
			return 0
		case a.deny:
			return -1
		default:
			return 1
		}
	})
	return rules
}

// question is what a security group rule can ask of a packet.
type question struct {
	ingress         bool
	ipv6            bool
	protocol        uint8
	remote          netip.Addr
	hasPorts        bool
	destinationPort uint16
	remoteGroups    []int // the groups of the port that has the remote address
}

// allows gives the verdict of the port's rules: the first that matches, and
// denied without one.
func (p *portPolicy) allows(q *question) bool {
	rules := p.egress
	if q.ingress {
		rules = p.ingress
	}
	for i := range rules {
		if rules[i].matches(q) {
			return !rules[i].deny
		}
	}
	return false
}

func (r *groupRule) matches(q *question) bool {
	if r.ipv6 != q.ipv6 || !r.anyProtocol && r.protocol != q.protocol {
		return false
	}
	if r.prefix.IsValid() && !r.prefix.Contains(q.remote) {
		return false
	}
	if r.group != noGroup && !slices.Contains(q.remoteGroups, r.group) {
		return false
	}
	if len(r.ports) == 0 {
		return true
	}
	if !q.hasPorts {
		return false
	}
	for _, ports := range r.ports {
		if ports.contains(q.destinationPort) {
			return true
		}
	}
	return false
}

// admits decides whether the packet may pass the port in the direction, and
// remembers what it allowed. frame is the frame that p was read from.
//
// A reply to something allowed passes without asking the rules. A flow that the
// peer opened is asked again once the configuration has changed, and cut when it
// is no longer allowed; one that the host opened keeps running. That is how the
// cloud documents changes of inbound and outbound rules.
func (c *compiled) admits(port *SwitchPort, p *packet, frame []byte, ingress bool, now time.Time) bool {
	t := port.flows
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.laterFragment {
		return t.find(piecesKey(p, ingress), now) != none || c.asks(port, questionOf(p, ingress))
	}
	key, tracked := keyOf(p, ingress)
	var allowed bool
	if !tracked {
		allowed = c.related(port, p, frame, ingress, now) || c.asks(port, questionOf(p, ingress))
	} else if i := t.find(key, now); i != none && !opens(p) {
		allowed = c.stillAllowed(port, &t.flows[i])
		t.touch(i, p, ingress, now)
	} else if allowed = c.asks(port, questionOf(p, ingress)); allowed {
		t.open(key, p, ingress, c.generation, now)
	}
	if allowed && p.fragment {
		t.open(piecesKey(p, ingress), p, ingress, c.generation, now)
	}
	return allowed
}

// stillAllowed is whether a remembered flow may go on under this configuration.
func (c *compiled) stillAllowed(port *SwitchPort, f *flow) bool {
	if f.ingress && f.generation != c.generation {
		f.generation = c.generation
		f.blocked = !c.asks(port, question{
			ingress: true, ipv6: f.key.remote.Is6(), protocol: f.key.protocol, remote: f.key.remote,
			hasPorts:        f.key.protocol == protoTCP || f.key.protocol == protoUDP,
			destinationPort: f.key.localPort,
		})
	}
	return !f.blocked
}

// related is whether the packet is an ICMP error about a flow that is allowed.
func (c *compiled) related(port *SwitchPort, p *packet, frame []byte, ingress bool, now time.Time) bool {
	q, ok := p.quoted(frame)
	if !ok {
		return false
	}
	// The error goes the other way than what it quotes.
	key, ok := keyOf(&q, !ingress)
	if !ok {
		return false
	}
	i := port.flows.find(key, now)
	return i != none && c.stillAllowed(port, &port.flows.flows[i])
}

// questionOf puts a packet into the words of the rules.
func questionOf(p *packet, ingress bool) question {
	q := question{
		ingress: ingress, ipv6: p.kind == kindIPv6, protocol: p.protocol, remote: p.destination,
		hasPorts: p.hasPorts, destinationPort: p.destinationPort,
	}
	if ingress {
		q.remote = p.source
	}
	return q
}

// asks puts the question to the port's rules, adding whose address the remote is.
func (c *compiled) asks(port *SwitchPort, q question) bool {
	if remote, ok := port.network.byAddress[q.remote]; ok {
		q.remoteGroups = c.ports[remote.index].policy.memberOf
	}
	return c.ports[port.index].policy.allows(&q)
}

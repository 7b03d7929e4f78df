package dataplane

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// groupRule is a GroupRule made ready for matching.
type groupRule struct {
	ipv6      bool
	protocol  protocol
	ports     []PortRange // empty: all
	deny      bool
	prefix    netip.Prefix // invalid: any
	group     int          // index of the remote group, noGroup: any
	addresses *AddressSet  // nil: any
	priority  int
}

const (
	noGroup      = -1
	unknownGroup = -2 // a group that does not exist has no members
)

// compileGroupRule reads the rule; groups gives the index of each group.
func compileGroupRule(r GroupRule, groups map[string]int) (groupRule, error) {
	c := groupRule{ipv6: r.IPv6, deny: r.Deny, prefix: r.RemotePrefix, group: noGroup, addresses: r.RemoteAddresses, priority: r.Priority}
	var err error
	if c.ports, err = parsePorts(r.Ports); err != nil {
		return c, err
	}
	if c.protocol, err = parseProtocol(r.Protocol, r.IPv6); err != nil {
		return c, err
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

// question is what a rule of a group or ACL can ask of a packet.
type question struct {
	copied                      bool // it is a mirrored copy
	ingress                     bool
	ipv6                        bool
	protocol                    uint8
	source, destination         netip.Addr
	hasPorts                    bool
	sourcePort, destinationPort uint16
	remoteGroups                []int // the groups of the port that has the remote address
}

// remote is the address of the port's peer.
func (q *question) remote() netip.Addr {
	if q.ingress {
		return q.source
	}
	return q.destination
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
	if r.ipv6 != q.ipv6 || !r.protocol.matches(q.protocol) {
		return false
	}
	if r.prefix.IsValid() && !r.prefix.Contains(q.remote()) || !r.addresses.admitsAddress(q.remote()) {
		return false
	}
	if r.group != noGroup && !slices.Contains(q.remoteGroups, r.group) {
		return false
	}
	return inPorts(r.ports, q.hasPorts, q.destinationPort)
}

// guard is who judges the packets of a port.
type guard uint8

const (
	byGroups guard = iota
	byACL
	guards // how many there are
)

// admits decides whether the guard lets the packet pass the port in the
// direction, and remembers what it allowed. frame is the frame that p was read
// from.
//
// A reply to something allowed passes without asking the rules. A flow that the
// peer opened is asked again once the configuration has changed, and cut when it
// is no longer allowed; one that the host opened keeps running. That is how the
// cloud documents changes of inbound and outbound rules.
func (c *compiled) admits(g guard, port *SwitchPort, p *packet, frame []byte, ingress bool, now time.Time) bool {
	t := port.flows[g]
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.laterFragment {
		return t.find(piecesKey(p, ingress), now) != none || c.asks(g, port, questionOf(p, ingress))
	}
	key, tracked := keyOf(p, ingress)
	var allowed bool
	if !tracked {
		allowed = c.related(g, port, p, frame, ingress, now) || c.asks(g, port, questionOf(p, ingress))
	} else if i := t.find(key, now); i != none && !opens(p) {
		allowed = c.stillAllowed(g, port, &t.flows[i])
		t.touch(i, p, ingress, now)
	} else if allowed = c.asks(g, port, questionOf(p, ingress)); allowed {
		t.open(key, p, ingress, c.generation, now)
	}
	if allowed && p.fragment {
		t.open(piecesKey(p, ingress), p, ingress, c.generation, now)
	}
	return allowed
}

// stillAllowed is whether a remembered flow may go on under this configuration.
func (c *compiled) stillAllowed(g guard, port *SwitchPort, f *flow) bool {
	if f.ingress && f.generation != c.generation {
		f.generation = c.generation
		f.blocked = !c.asks(g, port, question{
			ingress: true, ipv6: f.key.remote.Is6(), protocol: f.key.protocol, source: f.key.remote, destination: f.key.local,
			hasPorts:   f.key.protocol == protoTCP || f.key.protocol == protoUDP,
			sourcePort: f.key.remotePort, destinationPort: f.key.localPort,
		})
	}
	return !f.blocked
}

// related is whether the packet is an ICMP error about a flow that is allowed.
func (c *compiled) related(g guard, port *SwitchPort, p *packet, frame []byte, ingress bool, now time.Time) bool {
	q, ok := p.quoted(frame)
	if !ok {
		return false
	}
	// The error goes the other way than what it quotes.
	key, ok := keyOf(&q, !ingress)
	if !ok {
		return false
	}
	t := port.flows[g]
	i := t.find(key, now)
	return i != none && c.stillAllowed(g, port, &t.flows[i])
}

// questionOf puts a packet into the words of the rules.
func questionOf(p *packet, ingress bool) question {
	return question{
		ingress: ingress, ipv6: p.kind == kindIPv6, protocol: p.protocol, source: p.source, destination: p.destination,
		hasPorts: p.hasPorts, sourcePort: p.sourcePort, destinationPort: p.destinationPort,
	}
}

// asks puts the question to the port's rules, adding whose address the remote is.
func (c *compiled) asks(g guard, port *SwitchPort, q question) bool {
	if g == byACL {
		return c.ports[port.index].subnet.allows(&q)
	}
	if c.ports[port.index].unsecured {
		return true
	}
	if remote, ok := port.network.byAddress[q.remote()]; ok && (!q.copied || !c.copies.NoRemoteGroups) {
		q.remoteGroups = c.ports[remote.index].policy.memberOf
	}
	return c.ports[port.index].policy.allows(&q)
}

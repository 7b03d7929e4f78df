package dataplane

import (
	"fmt"
	"time"
)

// Subnet is what the cloud says about a subnet. Ports name it by its ID.
type Subnet struct {
	ID string
	// ACL judges what enters and leaves the subnet; nil for none. What stays
	// inside of it is never judged, nor are ARP and neighbour discovery.
	ACL *ACL
	// Routes lead out of the VPC.
	Routes []Route
}

// ACL is a network ACL. It is stateful, and what none of its rules allows is
// denied. One that is off denies everything: its rules don't count, and the
// final one that denies does.
type ACL struct {
	Off             bool
	Ingress, Egress []ACLRule // the first that matches decides
}

// ACLRule is a rule of a network ACL. A nil set of addresses means any.
type ACLRule struct {
	IPv6 bool // applies to IPv6; otherwise to IPv4
	// Protocol is tcp, udp, icmp, icmpv6 or a number, in any case; "" and any are
	// all.
	Protocol string
	Deny     bool
	// Source and Destination are of the packet, whatever its direction.
	Source, Destination *AddressSet
	// SourcePorts and DestinationPorts are written like those of a group's rule.
	SourcePorts, DestinationPorts string
	Disabled                      bool
}

// aclRule is an ACLRule made ready for matching.
type aclRule struct {
	ipv6                          bool
	protocol                      protocol
	deny                          bool
	source, destination           *AddressSet
	sourcePorts, destinationPorts []PortRange
}

func compileACLRule(r ACLRule) (c aclRule, err error) {
	c = aclRule{ipv6: r.IPv6, deny: r.Deny, source: r.Source, destination: r.Destination}
	if c.protocol, err = parseProtocol(r.Protocol, r.IPv6); err != nil {
		return c, err
	}
	if c.sourcePorts, err = parsePorts(r.SourcePorts); err != nil {
		return c, err
	}
	c.destinationPorts, err = parsePorts(r.DestinationPorts)
	return c, err
}

func (r *aclRule) matches(q *question) bool {
	return r.ipv6 == q.ipv6 && r.protocol.matches(q.protocol) &&
		r.source.admitsAddress(q.source) && r.destination.admitsAddress(q.destination) &&
		inPorts(r.sourcePorts, q.hasPorts, q.sourcePort) && inPorts(r.destinationPorts, q.hasPorts, q.destinationPort)
}

// subnet is a Subnet made ready for use.
type subnet struct {
	guarded         bool // there is an ACL
	ingress, egress []aclRule
	routes          []Route // the longest prefix first
}

func compileSubnet(s Subnet) *subnet {
	c := &subnet{routes: compileRoutes(s.Routes)}
	if s.ACL == nil {
		return c
	}
	c.guarded = true
	if !s.ACL.Off {
		c.ingress, c.egress = compileACLRules(s.ACL.Ingress), compileACLRules(s.ACL.Egress)
	}
	return c
}

func compileSubnets(all []Subnet) map[string]*subnet {
	out := map[string]*subnet{}
	for _, s := range all {
		out[s.ID] = compileSubnet(s)
	}
	return out
}

func compileACLRules(rules []ACLRule) []aclRule {
	var out []aclRule
	for _, r := range rules {
		if c, err := compileACLRule(r); err == nil && !r.Disabled {
			out = append(out, c)
		}
	}
	return out
}

// validate gives every mistake of the subnet's ACL.
func (s Subnet) validate() (wrong []error) {
	if s.ACL == nil {
		return nil
	}
	for i, r := range append(append([]ACLRule(nil), s.ACL.Ingress...), s.ACL.Egress...) {
		if _, err := compileACLRule(r); err != nil {
			wrong = append(wrong, fmt.Errorf("subnet %s, ACL rule %d: %w", s.ID, i, err))
		}
	}
	return wrong
}

// allows gives the verdict of the ACL: the first rule that matches, and denied
// without one.
func (s *subnet) allows(q *question) bool {
	rules := s.egress
	if q.ingress {
		rules = s.ingress
	}
	for i := range rules {
		if rules[i].matches(q) {
			return !rules[i].deny
		}
	}
	return false
}

// guarded is whether the ACL of the port's subnet judges what the port and the
// other one exchange; nil stands for an address that is nobody's.
func (c *compiled) guarded(port, other *SwitchPort) bool {
	s := c.ports[port.index].subnet
	return s != nil && s.guarded && (other == nil || c.ports[other.index].subnet != s)
}

// passesOut asks the ACL of the sender's subnet.
func (c *compiled) passesOut(port *SwitchPort, p *packet, frame []byte, now time.Time) bool {
	if s := c.ports[port.index].subnet; s == nil || !s.guarded {
		return true
	}
	if frame[0]&1 != 0 || !c.guarded(port, port.network.byAddress[p.destination]) {
		return true // broadcast and multicast stay inside
	}
	return c.admits(byACL, port, p, frame, false, now)
}

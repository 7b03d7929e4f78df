package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Config is everything that changes while the plane runs. Apply replaces it as
// a whole.
type Config struct {
	Ports    []Port
	Groups   []Group
	Subnets  []Subnet
	Peerings []Peering
	Copies   CopyRules
	Sessions []Session
}

// CopyRules say what of the cloud's documents leave open about copies.
type CopyRules struct {
	// NoRemoteGroups: a group's rule that names a group says nothing about copies.
	NoRemoteGroups bool
	// PassSourceACL: a copy passes the ACL of the source's subnet too.
	PassSourceACL bool
}

// Port is what the cloud says about an interface of the layout.
type Port struct {
	// ID is the port's ID, which sessions refer to.
	ID string
	// Interface is the PortID of the layout's interface that the port is plugged
	// into; empty when that is the ID itself. An interface that no port is
	// plugged into is cut off, unless the configuration has no ports at all.
	Interface string
	// Down cuts the interface off: the port is attached to nothing, or its server
	// is stopped. Its host sends and receives nothing then, not even ARP.
	Down bool
	// Subnet is the ID of its subnet.
	Subnet string
	// Groups are the IDs of its security groups in binding order: an earlier
	// group's rules come before a later one's. A port without any lets only
	// ARP and neighbour discovery pass.
	Groups []string
	// FlavorSupportsMirroring is whether the server's flavor can be a mirror
	// source; without it a session copies nothing from this port.
	FlavorSupportsMirroring bool
	// MTU of the host's device, 0 for 1500. The host sends no longer packets; what
	// copies are cut to is the network's own, 1500.
	MTU int
	// NoAddressCheck lets the host send from any source address (the cloud's
	// source/destination check switched off). The source MAC is always checked.
	NoAddressCheck bool
	// Unsecured is port security switched off: neither groups nor the check of
	// addresses and MAC apply.
	Unsecured bool
}

// Group is a security group. It is stateful, and what none of its rules allows
// is denied.
type Group struct {
	ID    string
	Rules []GroupRule
}

// GroupRule is a rule of a security group. A zero RemotePrefix with an empty
// RemoteGroup and no RemoteAddresses means any peer.
type GroupRule struct {
	Ingress bool // towards the port; otherwise egress
	IPv6    bool // applies to IPv6; otherwise to IPv4
	// Protocol is tcp, udp, icmp, icmpv6 or a number, in any case; "" is all.
	Protocol string
	// Ports are destination ports as the cloud writes them: "80", "1-30",
	// "22,3389,80"; "" is all. A rule with ports matches TCP and UDP only.
	Ports string
	Deny  bool
	// Priority is 1 to 100 inside the group, the smallest first; among equals
	// deny comes first.
	Priority     int
	RemotePrefix netip.Prefix
	RemoteGroup  string // the peer's address belongs to a port in this group
	// RemoteAddresses has the peer's address; nil for any.
	RemoteAddresses *AddressSet
	Disabled        bool
}

// Session is a mirror session with the rules of its filter.
type Session struct {
	ID      string
	Enabled bool
	// Priority orders the sessions of a source, the smallest first.
	Priority int
	// VNI is 0 to 16777215.
	VNI uint32
	// PacketLength is how much of the inner frame is kept, from its Ethernet
	// header on: 1 to 1460 bytes.
	PacketLength int
	Sources      []string // port IDs
	Target       string   // port ID; of a load balancer nothing
	// Balancer is the target where that is a load balancer; nil where it is a port.
	Balancer *Balancer
	Ingress  []Rule // for what a source receives
	Egress   []Rule // for what a source sends
}

// Balancer gives each copy to one of its members, by a hash of what tells flows apart: the copy's
// addresses and ports.
type Balancer struct {
	Address netip.Addr
	// HidesClients: a copy bears the load balancer's address in the place of the source's.
	HidesClients bool
	Members      []Member
}

// Member is who gets a share of the copies.
type Member struct {
	Port    string // the port's ID
	UDPPort uint16 // to which it gets copies
}

// Rule is a filter rule. A zero prefix or range means any.
type Rule struct {
	// Priority orders the rules of a direction, the smallest first.
	Priority int
	// Accept copies the packet; otherwise it is not copied, and no later rule or
	// session gets to see it.
	Accept bool
	IPv6   bool
	// Protocol is TCP, UDP, ICMP, ICMPV6 or ALL, in any case.
	Protocol    string
	Source      netip.Prefix
	Destination netip.Prefix
	// SourcePorts and DestinationPorts match only packets that carry ports: TCP
	// and UDP, and of a fragmented one the first fragment alone.
	SourcePorts, DestinationPorts PortRange
}

// PortRange is a range of ports, both ends included. The zero range is any.
type PortRange struct{ Low, High uint16 }

func (r PortRange) contains(port uint16) bool { return r.Low <= port && port <= r.High }

// Validate gives every mistake of the configuration, or nil. Apply takes a
// configuration with mistakes too: a rule that makes no sense then matches
// nothing, so that a mistaken allow opens nothing.
func (c Config) Validate() error {
	var wrong []error
	for _, g := range c.Groups {
		for i, r := range g.Rules {
			if _, err := compileGroupRule(r, nil); err != nil {
				wrong = append(wrong, fmt.Errorf("group %s, rule %d: %w", g.ID, i, err))
			}
		}
	}
	for _, s := range c.Subnets {
		wrong = append(wrong, s.validate()...)
	}
	for _, s := range c.Sessions {
		if s.PacketLength < 1 || s.PacketLength > maxPacketLength {
			wrong = append(wrong, fmt.Errorf("session %s: packet length %d is not within 1 and %d", s.ID, s.PacketLength, maxPacketLength))
		}
		if s.VNI > maxVNI {
			wrong = append(wrong, fmt.Errorf("session %s: VNI %d is not within 0 and %d", s.ID, s.VNI, maxVNI))
		}
		for i, r := range append(append([]Rule(nil), s.Ingress...), s.Egress...) {
			if _, err := compileRule(r); err != nil {
				wrong = append(wrong, fmt.Errorf("session %s, rule %d: %w", s.ID, i, err))
			}
		}
	}
	return errors.Join(wrong...)
}

// parsePorts reads the cloud's multiport form.
func parsePorts(s string) ([]PortRange, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var ranges []PortRange
	for _, part := range strings.Split(s, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		l, err := strconv.ParseUint(low, 10, 16)
		if err == nil {
			var h uint64
			if h, err = strconv.ParseUint(high, 10, 16); err == nil && h >= l {
				ranges = append(ranges, PortRange{uint16(l), uint16(h)})
				continue
			}
		}
		return nil, fmt.Errorf("ports %q: write them like 80, 1-30 or 22,3389,80", s)
	}
	return ranges, nil
}

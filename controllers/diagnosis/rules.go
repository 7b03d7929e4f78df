package diagnosis

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"vpcmirror.io/operator/controllers/cloud"
)

// traffic is a set of packets, as rules of groups and ACLs tell packets apart.
type traffic struct {
	ipv6 bool
	// protocol is a number, all for every one.
	protocol int
	// The zero values mean any address and any port.
	source, destination           netip.Prefix
	sourcePorts, destinationPorts cloud.PortRange
}

// Numbers of protocols (IANA).
const (
	allProtocols = -1
	protoICMP    = 1
	protoTCP     = 6
	protoUDP     = 17
	protoICMPv6  = 58
)

// copies is what the copies from one address to another are to rules: UDP to port 4789, from a port
// that depends on the flow (user guide, "Traffic Mirroring").
func copies(from, to netip.Addr) traffic {
	return traffic{
		ipv6: from.Is6(), protocol: protoUDP, source: netip.PrefixFrom(from, from.BitLen()), destination: netip.PrefixFrom(to, to.BitLen()),
		destinationPorts: cloud.PortRange{Low: vxlanPort, High: vxlanPort},
	}
}

// fit is how much of some traffic a rule is about.
type fit int

const (
	none fit = iota
	some
	every
	// unsure is where that can't be told.
	unsure
)

// both is how much of some traffic is in two sets that ask for different fields.
func both(fits ...fit) fit {
	switch {
	case slices.Contains(fits, none):
		return none
	case slices.Contains(fits, unsure):
		return unsure
	default:
		return slices.Min(fits)
	}
}

func (t traffic) ofProtocol(name string) fit {
	number, known := protocolNumber(name, t.ipv6)
	switch {
	case !known:
		return unsure
	case number == allProtocols || number == t.protocol:
		return every
	case t.protocol == allProtocols:
		return some
	default:
		return none
	}
}

// protocolNumber reads the protocol of a rule. Of IPv6 icmp means its own.
func protocolNumber(name string, ipv6 bool) (number int, known bool) {
	switch strings.ToLower(name) {
	case "", "any", "all":
		return allProtocols, true
	case "tcp":
		return protoTCP, true
	case "udp":
		return protoUDP, true
	case "icmp", "1":
		if ipv6 {
			return protoICMPv6, true
		}
		return protoICMP, true
	case "icmpv6", "icmp6", "ipv6-icmp":
		return protoICMPv6, true
	}
	number, err := strconv.Atoi(name)
	return number, err == nil && number >= 0 && number <= 255
}

// inPrefix is how much of a set of addresses is in a rule's prefix; the zero values mean any address.
func inPrefix(addresses, rule netip.Prefix) fit {
	switch {
	case !rule.IsValid():
		return every
	case !addresses.IsValid():
		if rule.Bits() == 0 {
			return every
		}
		return some
	case rule.Bits() <= addresses.Bits() && rule.Contains(addresses.Addr()):
		return every
	case rule.Overlaps(addresses):
		return some
	default:
		return none
	}
}

// inPorts is how much of the ports of some traffic is in a rule's; no ranges mean every port. What
// has no ports, such as ICMP, is in none.
func (t traffic) inPorts(ports cloud.PortRange, rule []cloud.PortRange) fit {
	switch {
	case len(rule) == 0:
		return every
	case t.protocol == allProtocols && slices.ContainsFunc(rule, func(r cloud.PortRange) bool { return overlap(whole(ports), whole(r)) }):
		return some
	case t.protocol != protoTCP && t.protocol != protoUDP:
		return none
	}
	covered := none
	for _, r := range rule {
		switch mine, r := whole(ports), whole(r); {
		case r.Low <= mine.Low && mine.High <= r.High:
			return every
		case overlap(mine, r):
			covered = some
		}
	}
	return covered
}

func whole(r cloud.PortRange) cloud.PortRange {
	if r == (cloud.PortRange{}) {
		return cloud.PortRange{Low: 0, High: 65535}
	}
	return r
}

func overlap(a, b cloud.PortRange) bool { return a.Low <= b.High && b.Low <= a.High }

// inRanges is how much of a set of addresses is in an address group; the zero prefix means any.
func inRanges(addresses netip.Prefix, group cloud.AddressGroup) fit {
	covered := none
	for _, r := range group.Ranges {
		switch {
		case !r.First.IsValid() || !r.Last.IsValid():
		case !addresses.IsValid():
			covered = some
		case r.First.Compare(addresses.Masked().Addr()) <= 0 && lastOf(addresses).Compare(r.Last) <= 0:
			return every
		case r.First.Compare(lastOf(addresses)) <= 0 && addresses.Masked().Addr().Compare(r.Last) <= 0:
			covered = some
		}
	}
	if group.Unreadable != "" {
		return unsure
	}
	return covered
}

// lastOf is the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for i := range bytes {
		if keep := p.Bits() - 8*i; keep < 8 {
			bytes[i] |= 0xff >> max(keep, 0)
		}
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// step is a rule as some traffic meets it.
type step struct {
	fit   fit
	allow bool
	// unreadable is whether not even the action is known.
	unreadable bool
	// probably is what has to be so for the rule to be about the traffic, empty where it surely is.
	probably string
	// why is the doubt of a fit that is unsure, or of some.
	why doubt
	// id, says and where name the rule: what it is, and whose.
	id, says, where string
	priority        int
}

// ruling is what rules in an order do to some traffic.
type ruling struct {
	verdict verdict
	// by is the step that decided, nil where none matched.
	by *step
	// probably is the assumption that it hangs on.
	probably string
	why      doubt
}

type verdict int

const (
	denied verdict = iota
	admitted
	undecided
)

// rule decides about traffic that no rule tells apart: the first that matches decides, and what
// none does is denied. Where a match is only probable, and the rules would decide otherwise
// without it, the ruling names the assumption.
func rule(steps []step) ruling {
	first := tried(steps)
	if first.by == nil || first.by.probably == "" {
		return first
	}
	without := tried(slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return s.probably != "" }))
	if without.verdict == first.verdict {
		return without
	}
	first.probably = first.by.probably
	return first
}

func tried(steps []step) ruling {
	decided := ruling{verdict: denied}
	var open []step
	for i := range steps {
		switch s := &steps[i]; s.fit {
		case none:
			continue
		case every:
			decided.by = s
			if s.allow {
				decided.verdict = admitted
			}
		default:
			open = append(open, *s)
			continue
		}
		break
	}
	for _, s := range open {
		if s.unreadable || s.allow != (decided.verdict == admitted) {
			return ruling{verdict: undecided, why: s.why}
		}
	}
	return decided
}

// heldBack reports whether rules surely let nothing pass of traffic that they may tell apart.
func heldBack(steps []step) bool {
	for _, s := range steps {
		switch {
		case s.fit == none:
		case s.allow || s.unreadable:
			return false
		case s.fit == every && s.probably == "":
			return true
		}
	}
	return true
}

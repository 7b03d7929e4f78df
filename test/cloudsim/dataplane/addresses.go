package dataplane

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// AddressSet is a set of addresses, such as an address group of the cloud. The
// empty one has no members.
type AddressSet struct{ Ranges []AddressRange }

// AddressRange is a range of addresses of one family, both ends included.
type AddressRange struct{ From, To netip.Addr }

func (s *AddressSet) contains(a netip.Addr) bool {
	for _, r := range s.Ranges {
		if r.From.Is4() == a.Is4() && r.From.Compare(a) <= 0 && a.Compare(r.To) <= 0 {
			return true
		}
	}
	return false
}

// admitsAddress is whether a rule that may name a set is about the address.
func (s *AddressSet) admitsAddress(a netip.Addr) bool { return s == nil || s.contains(a) }

// PrefixSet is the set of a prefix's addresses, nil (any) for the zero prefix.
func PrefixSet(p netip.Prefix) *AddressSet {
	if !p.IsValid() {
		return nil
	}
	first := p.Masked().Addr()
	last := first.AsSlice()
	for bit := p.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	to, _ := netip.AddrFromSlice(last) // of the length that an address has
	return &AddressSet{Ranges: []AddressRange{{From: first, To: to}}}
}

// protocol is what a rule says about the protocol of a packet.
type protocol struct {
	any    bool
	number uint8
}

func (p protocol) matches(number uint8) bool { return p.any || p.number == number }

// parseProtocol reads the protocol of a rule of a group or ACL.
func parseProtocol(text string, ipv6 bool) (protocol, error) {
	switch name := strings.ToLower(strings.TrimSpace(text)); name {
	case "", "any":
		return protocol{any: true}, nil
	case "tcp":
		return protocol{number: protoTCP}, nil
	case "udp":
		return protocol{number: protoUDP}, nil
	case "icmp":
		if ipv6 { // the cloud's platform takes icmp on IPv6 as its ICMPv6
			return protocol{number: protoICMPv6}, nil
		}
		return protocol{number: protoICMP}, nil
	case "icmpv6":
		return protocol{number: protoICMPv6}, nil
	default:
		n, err := strconv.ParseUint(name, 10, 8)
		if err != nil {
			return protocol{}, fmt.Errorf("protocol %q: use tcp, udp, icmp, icmpv6, a number of 0 to 255, or nothing for all", text)
		}
		return protocol{number: uint8(n)}, nil
	}
}

// inPorts is whether a port is in one of the ranges. Without ranges everything
// is; with them, nothing without ports.
func inPorts(ranges []PortRange, hasPorts bool, port uint16) bool {
	if len(ranges) == 0 {
		return true
	}
	if !hasPorts {
		return false
	}
	for _, r := range ranges {
		if r.contains(port) {
			return true
		}
	}
	return false
}

package diagnosis

import (
	"fmt"
	"net/netip"
	"strings"

	"vpcmirror.io/operator/controllers/cloud"
)

// ruleName is what a rule is told apart by in its filter.
func ruleName(r cloud.RuleSpec) string { return fmt.Sprintf("rule %s %d", r.Direction, r.Priority) }

func verbOf(r cloud.RuleSpec) string {
	if r.Accept {
		return "accepts"
	}
	return "rejects"
}

// matches reads like: TCP from 192.168.0.161/32 to 192.168.0.230/32 port 1234.
func matches(r cloud.RuleSpec) string {
	family, _ := families(r.IPv6)
	what := string(r.Protocol)
	switch {
	case r.Protocol == cloud.All:
		what = "all " + family
	case r.IPv6 || r.Protocol == cloud.ICMPv6:
		what += " over " + family
	}
	from, to := endText(r.Source, r.SourcePorts), endText(r.Destination, r.DestinationPorts)
	return strings.Join([]string{what, "from", from, "to", to}, " ")
}

func endText(p netip.Prefix, ports cloud.PortRange) string {
	text := prefixText(p)
	switch {
	case ports == cloud.PortRange{}:
		return text
	case ports.Low == ports.High:
		return fmt.Sprintf("%s port %d", text, ports.Low)
	default:
		return fmt.Sprintf("%s ports %d-%d", text, ports.Low, ports.High)
	}
}

func prefixText(p netip.Prefix) string {
	if !p.IsValid() || p.Bits() == 0 {
		return "any"
	}
	return p.String()
}

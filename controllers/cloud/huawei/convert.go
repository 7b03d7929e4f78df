package huawei

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/controllers/cloud"
)

func filterOf(m *model.TrafficMirrorFilter) (cloud.Filter, error) {
	if m == nil {
		return cloud.Filter{}, empty("filter")
	}
	if !uuidPattern.MatchString(m.Id) {
		return cloud.Filter{}, unreadable("the answer holds a filter whose ID %q is no UUID", shorten(m.Id))
	}
	filter := cloud.Filter{ID: m.Id, Name: m.Name, Description: m.Description}
	if m.CreatedAt != nil {
		filter.CreatedAt = time.Time(*m.CreatedAt)
	}
	for _, list := range []struct {
		rules     []model.TrafficMirrorFilterRule
		direction cloud.Direction
	}{{m.IngressRules, cloud.Ingress}, {m.EgressRules, cloud.Egress}} {
		for i := range list.rules {
			rule, err := ruleOf(&list.rules[i], list.direction)
			if err != nil {
				return cloud.Filter{}, err
			}
			filter.Rules = append(filter.Rules, rule)
		}
	}
	return filter, nil
}

// ruleOf reads a rule that stands in the list of the given direction. A field that
// can't be understood is named in Unreadable and does not fail the filter; only a
// rule without an ID does, because nobody could ever remove it.
func ruleOf(m *model.TrafficMirrorFilterRule, direction cloud.Direction) (cloud.Rule, error) {
	if !uuidPattern.MatchString(m.Id) {
		return cloud.Rule{}, unreadable("the answer holds a rule whose ID %q is no UUID", shorten(m.Id))
	}
	rule := cloud.Rule{ID: m.Id}
	rule.Direction, rule.Priority, rule.Description = direction, int(m.Priority), m.Description
	var bad []string
	check := func(field, value string, ok bool) {
		if !ok {
			bad = append(bad, field+" "+strconv.Quote(shorten(value)))
		}
	}
	var ok bool
	check("direction", m.Direction, m.Direction == "" || strings.EqualFold(m.Direction, string(direction)))
	check("priority", strconv.Itoa(int(m.Priority)), m.Priority >= 1 && m.Priority <= 65535)
	rule.Accept = strings.EqualFold(m.Action, actionAccept)
	check("action", m.Action, rule.Accept || strings.EqualFold(m.Action, actionReject))
	rule.IPv6 = strings.EqualFold(m.Ethertype, etherIPv6)
	check("ethertype", m.Ethertype, rule.IPv6 || strings.EqualFold(m.Ethertype, etherIPv4))
	rule.Protocol, ok = protocolOf(m.Protocol)
	check("protocol", m.Protocol, ok)
	rule.Source, ok = prefixOf(m.SourceCidrBlock)
	check("source_cidr_block", m.SourceCidrBlock, ok)
	rule.Destination, ok = prefixOf(m.DestinationCidrBlock)
	check("destination_cidr_block", m.DestinationCidrBlock, ok)
	rule.SourcePorts, ok = portsOf(m.SourcePortRange)
	check("source_port_range", m.SourcePortRange, ok)
	rule.DestinationPorts, ok = portsOf(m.DestinationPortRange)
	check("destination_port_range", m.DestinationPortRange, ok)
	if rule.Unreadable = strings.Join(bad, ", "); rule.Unreadable != "" {
		rule.Protocol = "" // a CIDR that could not be read must not pass for any address
	}
	return rule, nil
}

// The API's words.
const (
	actionAccept = "accept"
	actionReject = "reject"
	etherIPv4    = "IPv4"
	etherIPv6    = "IPv6"
)

// protocols in the API's spelling for requests; answers come in any case.
var protocols = map[cloud.Protocol]string{
	cloud.TCP:    "TCP",
	cloud.UDP:    "UDP",
	cloud.ICMP:   "ICMP",
	cloud.ICMPv6: "ICMPV6",
	cloud.All:    "ALL",
}

func protocolOf(s string) (cloud.Protocol, bool) {
	for protocol, name := range protocols {
		if strings.EqualFold(name, strings.TrimSpace(s)) {
			return protocol, true
		}
	}
	return "", false
}

// prefixOf reads a CIDR. Empty and null mean any address; the API's own examples have
// a trailing blank; an address alone is that one address.
func prefixOf(s string) (netip.Prefix, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return netip.Prefix{}, true
	}
	if prefix, err := netip.ParsePrefix(s); err == nil {
		return prefix, true
	}
	if address, err := netip.ParseAddr(s); err == nil && address.Zone() == "" {
		return netip.PrefixFrom(address, address.BitLen()), true
	}
	return netip.Prefix{}, false
}

// portsOf reads "80-200" or "80". Empty and null mean every port.
func portsOf(s string) (cloud.PortRange, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return cloud.PortRange{}, true
	}
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	low, err := strconv.ParseUint(strings.TrimSpace(from), 10, 16)
	if err != nil {
		return cloud.PortRange{}, false
	}
	high, err := strconv.ParseUint(strings.TrimSpace(to), 10, 16)
	if err != nil || low < 1 || high < low {
		return cloud.PortRange{}, false
	}
	return cloud.PortRange{Low: uint16(low), High: uint16(high)}, true
}

// wire is a rule in the API's words; nil leaves a field out.
type wire struct {
	direction, protocol, ethertype, action string
	priority                               int32
	source, destination                    *string
	sourcePorts, destinationPorts          *string
}

func wireRule(op string, rule cloud.RuleSpec) (wire, error) {
	protocol, ok := protocols[rule.Protocol]
	if !ok {
		return wire{}, invalid(op, "protocol %q: it must be TCP, UDP, ICMP, ICMPv6 or All", rule.Protocol)
	}
	if rule.Direction != cloud.Ingress && rule.Direction != cloud.Egress {
		return wire{}, invalid(op, "direction %q: it must be Ingress or Egress", rule.Direction)
	}
	if rule.Priority < 1 || rule.Priority > 65535 {
		return wire{}, invalid(op, "the rule's priority is %d, it must be from 1 to 65535", rule.Priority)
	}
	w := wire{
		direction:   strings.ToLower(string(rule.Direction)),
		protocol:    protocol,
		ethertype:   etherIPv4,
		action:      actionReject,
		priority:    int32(rule.Priority), // checked above
		source:      cidr(rule.Source),
		destination: cidr(rule.Destination),

		sourcePorts:      ports(rule.SourcePorts),
		destinationPorts: ports(rule.DestinationPorts),
	}
	if rule.IPv6 {
		w.ethertype = etherIPv6
	}
	if rule.Accept {
		w.action = actionAccept
	}
	return w, nil
}

func cidr(p netip.Prefix) *string {
	if !p.IsValid() {
		return nil
	}
	return new(p.String())
}

func ports(r cloud.PortRange) *string {
	if r == (cloud.PortRange{}) {
		return nil
	}
	return new(strconv.Itoa(int(r.Low)) + "-" + strconv.Itoa(int(r.High)))
}

// sessionOf reads a session. Target type and numbers are passed on as the cloud says
// them, also where this version would not write them: somebody else's session must
// not hide the others.
func sessionOf(m *model.TrafficMirrorSession) (cloud.Session, error) {
	if m == nil {
		return cloud.Session{}, empty("session")
	}
	if !uuidPattern.MatchString(m.Id) {
		return cloud.Session{}, unreadable("the answer holds a session whose ID %q is no UUID", shorten(m.Id))
	}
	return cloud.Session{
		ID: m.Id,
		SessionSpec: cloud.SessionSpec{
			Name:         m.Name,
			Description:  m.Description,
			FilterID:     m.TrafficMirrorFilterId,
			TargetID:     m.TrafficMirrorTargetId,
			TargetType:   cloud.TargetType(strings.ToLower(m.TrafficMirrorTargetType)),
			VNI:          int(m.VirtualNetworkId),
			PacketLength: int(m.PacketLength),
			Priority:     int(m.Priority),
			Enabled:      m.Enabled,
		},
		Sources:   m.TrafficMirrorSources,
		CreatedAt: timeOf(m.CreatedAt),
	}, nil
}

// timeOf reads a time of the API, zero when it is none: it orders objects, and decides
// nothing else.
func timeOf(text string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	return time.Time{}
}

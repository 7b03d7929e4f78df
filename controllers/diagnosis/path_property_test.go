package diagnosis_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// packet is what rules look at.
type packet struct {
	protocol               string
	source, destination    netip.Addr
	sourcePort, targetPort uint16
}

// oracle is groups and ACLs as the guide tells of them, without any cleverness: a packet is held
// against one rule after the other.
type oracle struct {
	groups    map[string]cloud.SecurityGroup
	addresses map[string]cloud.AddressGroup
	nics      map[string]cloud.Interface
	// broken is what rules that can't be read do: nothing, allow, or deny what they meet.
	broken string
}

var numbers = map[string]string{"tcp": "6", "udp": "17", "icmp": "1"}

func names(protocol string, p packet) bool {
	return protocol == "" || protocol == p.protocol || protocol == numbers[p.protocol]
}

func inRanges(ranges []cloud.PortRange, p packet, port uint16) bool {
	if len(ranges) == 0 {
		return true
	}
	return p.protocol != "icmp" && slices.ContainsFunc(ranges, func(r cloud.PortRange) bool { return r.Low <= port && port <= r.High })
}

func (o oracle) inGroup(id string, a netip.Addr) bool {
	return slices.ContainsFunc(o.addresses[id].Ranges, func(r cloud.AddressRange) bool { return r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0 })
}

func (o oracle) member(id string, a netip.Addr) bool {
	for _, i := range o.nics {
		if slices.Contains(i.SecurityGroups, id) && slices.Contains(i.Addresses, a) {
			return true
		}
	}
	return false
}

// allows is the verdict of an interface's groups about a packet.
func (o oracle) allows(i cloud.Interface, direction cloud.Direction, p packet) bool {
	remote := p.source
	if direction == cloud.Egress {
		remote = p.destination
	}
	for _, id := range i.SecurityGroups {
		for priority := range 101 {
			for _, deciding := range []bool{false, true} { // denials first
				for _, r := range o.groups[id].Rules {
					if r.Unreadable != "" && o.broken != "nothing" {
						r.Allow = o.broken == "allow"
					}
					switch {
					case r.Unreadable != "" && o.broken == "nothing":
					case r.Priority != priority, r.Allow != deciding, r.Disabled, r.Direction != direction, r.IPv6 != remote.Is6():
					case r.Unreadable == "" && (!names(r.Protocol, p) || !inRanges(r.Ports, p, p.targetPort)):
					case r.Unreadable == "" && (r.Remote.IsValid() && !r.Remote.Contains(remote) ||
						r.RemoteGroupID != "" && !o.member(r.RemoteGroupID, remote) ||
						r.RemoteAddressGroupID != "" && !o.inGroup(r.RemoteAddressGroupID, remote)):
					default:
						return r.Allow
					}
				}
			}
		}
	}
	return false
}

// lets is the verdict of a network ACL about a packet.
func (o oracle) lets(acl cloud.NetworkACL, rules []cloud.ACLRule, p packet) bool {
	for _, r := range rules {
		switch {
		case !acl.Enabled, r.Disabled, r.IPv6 != p.source.Is6(), !names(r.Protocol, p):
		case r.Source.IsValid() && !r.Source.Contains(p.source), r.Destination.IsValid() && !r.Destination.Contains(p.destination):
		case !inRanges(r.SourcePorts, p, p.sourcePort), !inRanges(r.DestinationPorts, p, p.targetPort):
		case r.SourceAddressGroup != "" && !o.inGroup(r.SourceAddressGroup, p.source):
		case r.DestinationAddressGroup != "" && !o.inGroup(r.DestinationAddressGroup, p.destination):
		default:
			return r.Allow
		}
	}
	return false
}

// The small world of the properties.
var (
	somePrefixes = prefixes("", "10.0.0.11/32", "10.0.0.12/31", "10.0.0.0/24", "10.9.0.0/30", "10.9.0.1/32", "0.0.0.0/0", "fd00::/8")
	somePorts    = []uint16{80, 443, 1234, 4789, 40000}
	somePeers    = []netip.Addr{address("10.9.0.1"), address("10.9.0.2"), address("10.0.0.12"), address("10.0.0.1")}
)

func address(a string) netip.Addr { return netip.MustParseAddr(a) }

func prefixes(all ...string) (out []netip.Prefix) {
	for _, p := range all {
		if p == "" {
			out = append(out, netip.Prefix{})
			continue
		}
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func anyPorts(t *rapid.T, label string) []cloud.PortRange {
	return rapid.SampledFrom([][]cloud.PortRange{
		nil, nil, {{Low: 4789, High: 4789}}, {{Low: 80, High: 443}, {Low: 4000, High: 5000}}, {{Low: 1, High: 65535}}, {{Low: 1234, High: 1234}}, {{Low: 40000, High: 50000}},
	}).Draw(t, label)
}

func anyGroupRule(t *rapid.T, breaks bool) cloud.GroupRule {
	r := cloud.GroupRule{
		ID: "9d1c0a2e-1", Direction: rapid.SampledFrom([]cloud.Direction{cloud.Ingress, cloud.Ingress, cloud.Egress}).Draw(t, "direction"),
		Protocol: rapid.SampledFrom([]string{"", "udp", "17", "tcp", "icmp"}).Draw(t, "protocol"), Ports: anyPorts(t, "ports"),
		Allow: rapid.Bool().Draw(t, "allow"), Priority: rapid.IntRange(1, 3).Draw(t, "priority"),
		IPv6: rapid.IntRange(0, 7).Draw(t, "IPv6") == 0, Disabled: rapid.IntRange(0, 5).Draw(t, "disabled") == 0,
	}
	switch rapid.IntRange(0, 5).Draw(t, "remote") {
	case 0:
		r.RemoteGroupID = rapid.SampledFrom([]string{groupOfTarget, groupOfSources, "sg-3"}).Draw(t, "group")
	case 1:
		r.RemoteAddressGroupID = "ag-1"
	default:
		r.Remote = rapid.SampledFrom(somePrefixes).Draw(t, "prefix")
	}
	if breaks && rapid.IntRange(0, 4).Draw(t, "unreadable") == 0 {
		r.Unreadable = "protocol"
	}
	return r
}

// anyGroups gives the groups of the world any rules, and the interfaces any of the groups.
func anyGroups(t *rapid.T, w *way, breaks bool) oracle {
	for _, id := range []string{groupOfTarget, groupOfSources, "sg-3"} {
		w.rules(id)
		for range rapid.IntRange(0, 4).Draw(t, "rules") {
			g := w.Groups.Value[id]
			g.Rules = append(g.Rules, anyGroupRule(t, breaks))
			w.Groups.Value[id] = g
		}
	}
	some := rapid.SampledFrom([][]string{{groupOfTarget}, {groupOfSources}, {groupOfTarget, "sg-3"}, {"sg-3", groupOfTarget}})
	w.Target.SecurityGroups = some.Draw(t, "the target's")
	for i := range w.Sources {
		w.Sources[i].SecurityGroups = some.Draw(t, "a source's")
		w.lists(w.Sources[i])
	}
	w.lists(*w.Target)
	ranges := rapid.SampledFrom([][]cloud.AddressRange{
		nil, {{First: address("10.0.0.11"), Last: address("10.0.0.11")}}, {{First: address("10.0.0.12"), Last: address("10.9.0.1")}},
	}).Draw(t, "addresses")
	w.AddressGroups.Value["ag-1"] = cloud.AddressGroup{ID: "ag-1", Ranges: ranges}
	return oracle{w.Groups.Value, w.AddressGroups.Value, w.Interfaces.Value.All(), ""}
}

// keptOut reports whether a finding of a reason says that a source's copies are.
func keptOut(w *way, reason, source string) bool {
	return slices.ContainsFunc(w.found(), func(f finding) bool {
		return f.reason == reason && (f.subject == "source "+source || strings.HasPrefix(f.subject, "target"))
	})
}

func TestAGroupIsSaidToKeepOutCopiesExactlyWhereItDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWay()
		w.Path.Filter = nil
		o := anyGroups(t, w, false)
		for _, source := range w.Sources {
			from := source.Addresses[0]
			admits := o.allows(*w.Target, cloud.Ingress, packet{"udp", from, w.Target.Addresses[0], 40000, 4789})
			if said := keptOut(w, v1alpha1.ReasonTargetGroupDenies, from.String()); said == admits {
				t.Fatalf("from %s: the oracle admits: %v, and a finding says that it is kept out: %v\n%+v", from, admits, said, w.found())
			}
		}
	})
}

func TestNothingIsSaidOfAGroupThatHangsOnARuleThatCantBeRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWay()
		w.one()
		w.Path.Filter = nil
		o := anyGroups(t, w, true)
		copied := packet{"udp", w.Sources[0].Addresses[0], w.Target.Addresses[0], 40000, 4789}
		var admitted []bool
		for _, o.broken = range []string{"nothing", "allow", "deny"} {
			admitted = append(admitted, o.allows(*w.Target, cloud.Ingress, copied))
		}
		found, verdict := w.found(), w.verdict()
		if len(found) > 0 && slices.Contains(admitted, true) {
			t.Fatalf("it may be admitted (%v): %+v", admitted, found)
		}
		if verdict.status == "True" && slices.Contains(admitted, false) {
			t.Fatalf("it may be denied (%v): %+v", admitted, verdict)
		}
	})
}

func anyACLRule(t *rapid.T) cloud.ACLRule {
	r := cloud.ACLRule{
		ID: "9d1c0a2e-1", Allow: rapid.Bool().Draw(t, "allow"), Protocol: rapid.SampledFrom([]string{"", "udp", "17", "tcp"}).Draw(t, "protocol"),
		Source: rapid.SampledFrom(somePrefixes).Draw(t, "source"), Destination: rapid.SampledFrom(somePrefixes).Draw(t, "destination"),
		SourcePorts: anyPorts(t, "source ports"), DestinationPorts: anyPorts(t, "destination ports"),
		IPv6: rapid.IntRange(0, 7).Draw(t, "IPv6") == 0, Disabled: rapid.IntRange(0, 5).Draw(t, "disabled") == 0,
	}
	if rapid.IntRange(0, 3).Draw(t, "a group") == 0 {
		r.Source, r.SourceAddressGroup = netip.Prefix{}, "ag-1"
	}
	return r
}

func TestANetworkACLIsSaidToKeepOutCopiesOnlyWhereItDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWay()
		w.one()
		guarded(w, rapid.SliceOfN(rapid.Custom(anyACLRule), 0, 5).Draw(t, "rules")...)
		acl := &w.ACLs.Value[0]
		acl.Enabled = rapid.IntRange(0, 4).Draw(t, "off") > 0
		w.AddressGroups.Value["ag-1"] = cloud.AddressGroup{ID: "ag-1", Ranges: []cloud.AddressRange{{First: address("10.0.0.11"), Last: address("10.0.0.40")}}}
		o := oracle{addresses: w.AddressGroups.Value}
		var admitted []bool
		for _, port := range somePorts { // that of a copy is not known
			admitted = append(admitted, o.lets(*acl, acl.Ingress, packet{"udp", w.Sources[0].Addresses[0], w.Target.Addresses[0], port, 4789}))
		}
		found, verdict := w.found(), w.verdict()
		if len(found) > 0 && slices.Contains(admitted, true) {
			t.Fatalf("some are admitted (%v): %+v", admitted, found)
		}
		if verdict.status == "True" && slices.Contains(admitted, false) {
			t.Fatalf("some are denied (%v): %+v", admitted, verdict)
		}
		if verdict.status == "Unknown" && !slices.ContainsFunc(acl.Ingress, func(r cloud.ACLRule) bool { return r.SourcePorts != nil }) {
			t.Fatalf("nothing is unknown there: %+v", verdict)
		}
	})
}

func anyFilterRule(t *rapid.T) cloud.Rule {
	one := func(label string) cloud.PortRange {
		return rapid.SampledFrom([]cloud.PortRange{{}, {}, {Low: 1234, High: 1234}, {Low: 443, High: 443}, {Low: 80, High: 4789}, {Low: 40000, High: 40000}}).Draw(t, label)
	}
	r := cloud.Rule{ID: "rule-f", RuleSpec: cloud.RuleSpec{
		Direction: rapid.SampledFrom([]cloud.Direction{cloud.Ingress, cloud.Egress}).Draw(t, "direction"), Priority: rapid.IntRange(1, 9).Draw(t, "priority"),
		Accept: rapid.IntRange(0, 3).Draw(t, "accept") > 0, Protocol: rapid.SampledFrom([]cloud.Protocol{cloud.TCP, cloud.UDP, cloud.ICMP, cloud.All}).Draw(t, "protocol"),
		Source: rapid.SampledFrom(somePrefixes[:7]).Draw(t, "source"), Destination: rapid.SampledFrom(somePrefixes[:7]).Draw(t, "destination"),
	}}
	if r.Protocol == cloud.TCP || r.Protocol == cloud.UDP {
		r.SourcePorts, r.DestinationPorts = one("source port"), one("destination port")
	}
	return r
}

func (p packet) answered() packet {
	return packet{p.protocol, p.destination, p.source, p.targetPort, p.sourcePort}
}

// accepts reports whether a rule of the filter is about a packet and accepts it.
func accepts(r cloud.Rule, p packet) bool {
	port := func(rule cloud.PortRange, port uint16) bool {
		return rule == (cloud.PortRange{}) || p.protocol != "icmp" && rule.Low <= port && port <= rule.High
	}
	return r.Accept && (r.Protocol == cloud.All || strings.EqualFold(string(r.Protocol), p.protocol)) &&
		(!r.Source.IsValid() || r.Source.Contains(p.source)) && (!r.Destination.IsValid() || r.Destination.Contains(p.destination)) &&
		port(r.SourcePorts, p.sourcePort) && port(r.DestinationPorts, p.targetPort)
}

// each calls with every packet of the small world that a source sends or receives.
func each(source netip.Addr, look func(cloud.Direction, packet)) {
	for _, peer := range somePeers {
		for _, protocol := range []string{"tcp", "udp", "icmp"} {
			for _, from := range somePorts {
				for _, to := range somePorts {
					look(cloud.Ingress, packet{protocol, peer, source, from, to})
					look(cloud.Egress, packet{protocol, source, peer, from, to})
				}
			}
		}
	}
}

func TestASourcesGroupIsSaidToHoldBackOnlyRulesOfWhichNoPacketPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWay()
		w.one()
		o := anyGroups(t, w, false)
		w.filter(rapid.SliceOfN(rapid.Custom(anyFilterRule), 1, 3).Draw(t, "filter")...)
		source := w.Sources[0]
		i := slices.IndexFunc(diagnosis.Findings(w.known), func(f v1alpha1.Finding) bool { return f.Reason == v1alpha1.ReasonSourceGroupDenies })
		if i < 0 {
			return
		}
		passes := make([]int, len(w.Filter.Rules))
		each(source.Addresses[0], func(d cloud.Direction, p packet) {
			passed := o.allows(source, d, p)
			if clients := p.protocol == "icmp" || p.targetPort >= 32768; !passed && clients { // else it is nobody's answer
				other := map[cloud.Direction]cloud.Direction{cloud.Ingress: cloud.Egress, cloud.Egress: cloud.Ingress}[d]
				passed = o.allows(source, other, p.answered())
			}
			for n, r := range w.Filter.Rules {
				if passed && r.Direction == d && accepts(r, p) {
					passes[n]++
				}
			}
		})
		f := diagnosis.Findings(w.known)[i]
		held := 0
		for n, r := range w.Filter.Rules {
			if r.Accept && passes[n] == 0 {
				held++
			}
			if f.Severity == v1alpha1.SeverityError && passes[n] > 0 {
				t.Fatalf("%d packets of rule %+v pass: %+v", passes[n], r, f)
			}
		}
		if held == 0 {
			t.Fatalf("packets of every rule pass: %+v", f)
		}
	})
}

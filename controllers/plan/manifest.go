package plan

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// This file is the way back: from what the cloud has to the spec that asks for just that, and imports it. Applied, such
// a spec changes nothing in the cloud but the mark in the description, and nothing at all where it only observes. What
// the definitions of the kinds refuse is in none. The caller adds where the object lives (credentials, region, project),
// and the filter of a session.

// Said is what becomes of an object of the cloud in a spec. The zero value: the spec says all of it.
type Said struct {
	// LeftOut is why no spec can stand for the object, a sentence about "it"; empty where one does.
	LeftOut string
	// Observe are the reasons for which the spec has managementPolicy Observe: managing the object would change it.
	Observe []string
	// Notes are what the spec leaves out, and stays as it is in the cloud.
	Notes []string
}

// The bounds of the definitions.
const (
	maxSaidDescription   = 160
	maxRuleDescription   = 255
	maxSourcesOfTarget   = 100
	maxSourcesOfBalancer = 200
	maxPacketLength      = 1460
)

var (
	saidName = regexp.MustCompile(`^[0-9A-Za-z_.\-\p{Han}]{1,64}$`)
	saidID   = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// roomBesideMark is how many bytes of a description go with the mark of an object of Kubernetes, whose UID has 36.
var roomBesideMark = maxDescription - len(Mark{Cluster: strings.Repeat("0", 8), UID: strings.Repeat("0", 36)}.String()) - 1

// FilterManifest is the spec for a filter of the cloud; it means nothing where that is left out.
func FilterManifest(have cloud.Filter) (spec v1alpha1.MirrorFilterSpec, said Said) {
	spec.CloudSpec = said.common(have.ID, have.Name, have.Description)
	said.leaveOut(func() (why string) {
		spec.Rules, why = said.rules(have.Rules)
		return why
	})
	said.conclude(&spec.CloudSpec)
	return spec, said
}

// SessionManifest is the spec for a session of the cloud, without its filter; it means nothing where that is left out.
func SessionManifest(have cloud.Session) (spec v1alpha1.MirrorSessionSpec, said Said) {
	spec.CloudSpec = said.common(have.ID, have.Name, have.Description)
	said.leaveOut(func() string { return endsSaid(&spec, have) })
	said.leaveOut(func() string { return numbersSaid(&spec, have) })
	if len(have.Sources) == 0 {
		said.Observe = append(said.Observe, "it has no source, without which no session is managed")
	}
	said.conclude(&spec.CloudSpec)
	return spec, said
}

// leaveOut asks for a reason to leave the object out, unless there is one already.
func (s *Said) leaveOut(why func() string) {
	if s.LeftOut == "" {
		s.LeftOut = why()
	}
}

// conclude says in the spec what is only observed.
func (s *Said) conclude(spec *v1alpha1.CloudSpec) {
	if len(s.Observe) > 0 {
		spec.ManagementPolicy = v1alpha1.ManagementObserve
	}
}

// common is what both kinds have alike.
func (s *Said) common(id, name, description string) v1alpha1.CloudSpec {
	spec := v1alpha1.CloudSpec{Import: &v1alpha1.Import{ID: id}, ManagementPolicy: v1alpha1.ManagementManaged, DeletionPolicy: v1alpha1.DeletionRetain}
	if !saidID.MatchString(id) {
		s.LeftOut = "its ID is no UUID in lower case, which spec.import.id has to be"
	}
	if saidName.MatchString(name) {
		spec.CloudName = name
	} else {
		s.Notes = append(s.Notes, "spec.cloudName takes no such name: the cloud's stays as it is")
	}
	text, angled := Unmarked(description), strings.ContainsAny(description, "<>")
	if angled {
		s.Observe = append(s.Observe, "its description has < or >, with which the cloud would not take the mark")
	}
	if len(text) > roomBesideMark {
		s.Observe = append(s.Observe, fmt.Sprintf("its description has %d bytes, of which the mark leaves room for %d", len(text), roomBesideMark))
	}
	if !angled && utf8.RuneCountInString(text) <= maxSaidDescription {
		spec.Description = text
	} else {
		s.Notes = append(s.Notes, "spec.description takes no such text: the cloud's stays as it is")
	}
	return spec
}

// rules are the rules as a spec says them, or why none can.
func (s *Said) rules(have []cloud.Rule) (rules []v1alpha1.FilterRule, leftOut string) {
	count, used := map[cloud.Direction]int{}, map[string]bool{}
	for _, r := range InOrder(have) {
		name := fmt.Sprintf("rules[%s %d]", r.Direction, r.Priority)
		if r.Unreadable != "" {
			return nil, fmt.Sprintf("%s has something that no spec can say: %s", name, r.Unreadable)
		}
		said := Normalise(r.RuleSpec)
		if why := unsaid(said); why != "" {
			return nil, fmt.Sprintf("%s %s", name, why)
		}
		if used[name] {
			return nil, fmt.Sprintf("it has two %s rules with the priority %d, and a spec has one", r.Direction, r.Priority)
		}
		used[name] = true
		if count[r.Direction]++; count[r.Direction] > documentedRuleLimit {
			return nil, fmt.Sprintf("it has more than %d %s rules, which are the most that a spec has", documentedRuleLimit, r.Direction)
		}
		if !takesRuleText(said.Description) {
			said.Description = ""
			s.Observe = append(s.Observe, name+" has a description that no spec takes, and managing it would take that away")
		}
		rules = append(rules, ruleSaid(said))
	}
	return rules, ""
}

// unsaid is what of a rule the definition refuses, empty for nothing.
func unsaid(r cloud.RuleSpec) string {
	hasPorts := r.SourcePorts != (cloud.PortRange{}) || r.DestinationPorts != (cloud.PortRange{})
	switch {
	case hasPorts && r.Protocol != cloud.TCP && r.Protocol != cloud.UDP:
		return fmt.Sprintf("has ports with protocol %s, and a spec has them with TCP and UDP", r.Protocol)
	case r.Protocol == cloud.ICMP && r.IPv6, r.Protocol == cloud.ICMPv6 && !r.IPv6:
		return fmt.Sprintf("has protocol %s with etherType %s, which a spec has not", r.Protocol, etherType(r))
	case otherFamily(r.Source, r.IPv6), otherFamily(r.Destination, r.IPv6):
		return fmt.Sprintf("has a CIDR that is not of its etherType, %s", etherType(r))
	default:
		return ""
	}
}

// takesRuleText reports whether the definition takes the description of a rule.
func takesRuleText(text string) bool {
	return !strings.ContainsAny(text, "<>") && utf8.RuneCountInString(text) <= maxRuleDescription && len(text) <= maxDescription
}

func otherFamily(p netip.Prefix, ipv6 bool) bool {
	return p.IsValid() && (p.Addr().Is4() == ipv6 || p.Addr().Is4In6())
}

// ruleSaid is a rule as the spec has it, with nothing left to defaults.
func ruleSaid(r cloud.RuleSpec) v1alpha1.FilterRule {
	return v1alpha1.FilterRule{
		Direction: v1alpha1.Direction(r.Direction), Priority: int32(r.Priority), Action: v1alpha1.Action(action(r)),
		EtherType: v1alpha1.EtherType(etherType(r)), Protocol: v1alpha1.Protocol(r.Protocol), Description: r.Description,
		Source: peerSaid(r.Source, r.SourcePorts), Destination: peerSaid(r.Destination, r.DestinationPorts),
	}
}

// peerSaid is nil for what matches everything.
func peerSaid(prefix netip.Prefix, ports cloud.PortRange) *v1alpha1.RulePeer {
	if !prefix.IsValid() && ports == (cloud.PortRange{}) {
		return nil
	}
	p := &v1alpha1.RulePeer{}
	if prefix.IsValid() {
		p.CIDR = prefix.String()
	}
	if ports != (cloud.PortRange{}) {
		p.Port = new(int32(ports.Low))
		if ports.High != ports.Low {
			p.EndPort = new(int32(ports.High))
		}
	}
	return p
}

// endsSaid says sources and target in the spec, or why a spec can't.
func endsSaid(spec *v1alpha1.MirrorSessionSpec, have cloud.Session) (leftOut string) {
	most := maxSourcesOfTarget
	switch {
	case !saidID.MatchString(have.TargetID):
		return "its target has no UUID in lower case, by which a spec names it"
	case have.TargetType == cloud.TargetInterface:
		spec.Target.InterfaceID = have.TargetID
	case have.TargetType == cloud.TargetLoadBalancer:
		spec.Target.LoadBalancerID, most = have.TargetID, maxSourcesOfBalancer
	default:
		return fmt.Sprintf("its target is of the type %q, and a spec has an interface or a load balancer", have.TargetType)
	}
	sources := slices.Compact(slices.Sorted(slices.Values(have.Sources)))
	switch {
	case len(sources) > most:
		return fmt.Sprintf("it has %d sources, and a spec has at most %d for such a target", len(sources), most)
	case slices.Contains(sources, have.TargetID):
		return "its target is one of its sources, which a spec can't say"
	}
	for _, id := range sources {
		if !saidID.MatchString(id) {
			return "one of its sources has no UUID in lower case, by which a spec names it"
		}
		spec.Sources = append(spec.Sources, v1alpha1.SourceSelector{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: id}})
	}
	return ""
}

// numbersSaid says the numbers of a session in the spec, or why a spec can't.
func numbersSaid(spec *v1alpha1.MirrorSessionSpec, have cloud.Session) (leftOut string) {
	for _, n := range []struct {
		name                string
		is, lowest, highest int
		field               **int32
	}{
		{"VNI", have.VNI, 0, v1alpha1.MaxVNI, &spec.VNI},
		{"priority", have.Priority, 1, v1alpha1.MaxSessionPriority, &spec.Priority},
		{"packet length", have.PacketLength, 1, maxPacketLength, &spec.PacketLength},
	} {
		if n.is < n.lowest || n.is > n.highest {
			return fmt.Sprintf("its %s is %d, and a spec takes %d to %d", n.name, n.is, n.lowest, n.highest)
		}
		*n.field = new(int32(n.is))
	}
	spec.Enabled = new(have.Enabled)
	return ""
}

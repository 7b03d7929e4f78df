package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// filterCauses are what keeps packets from being copied in the cloud: the filter itself, and
// other sessions that are tried before this one.
var filterCauses = []func(*Known) []v1alpha1.Finding{filterMatchesNothing, ruleMatchesNothing, takenEarlier}

// copying reports whether the way of the copies was looked at, and there are to be some.
func (k *Known) copying() bool { return k.Path != nil && k.off() == "" && !k.suspended() }

// copiedLately reports whether copies of a source were counted of late: what reads say against
// that is not so, then.
func (k *Known) copiedLately(source string) bool {
	traffic := k.Session.Status.Traffic
	counted := traffic != nil && traffic.InEpoch != nil && traffic.InEpoch.Packets > 0
	moved, watched := k.Movement.sources[source]
	return k.judged() && counted && watched && k.Now.Sub(moved) < k.CountsDelay
}

// filterMatchesNothing: the filter can accept no packet of any source, or none of one. By its
// rules, of which the first that matches decides, and by the addresses of the sources (user guide,
// "Traffic Mirroring": the destination of an Ingress rule is the mirror source, and the source of
// an Egress rule is).
func filterMatchesNothing(k *Known) []v1alpha1.Finding {
	view, known := viewOf(k)
	if !known {
		return nil
	}
	dead := view.deadSources(k)
	if len(dead) == 0 {
		return nil
	}
	f := warning(v1alpha1.DecidedByRead, v1alpha1.ReasonFilterMatchesNothing, filterName(k), "")
	if view.accepting() == 0 {
		f.Severity, f.DecidedBy = v1alpha1.SeverityError, v1alpha1.DecidedBySpec
		f.Message = view.acceptsNothing(filterName(k))
		f.Remedy = "add a rule with action Accept: Ingress for what the sources receive, Egress for what they send"
		return []v1alpha1.Finding{f}
	}
	if len(dead) == len(view.sources) {
		f.Severity = v1alpha1.SeverityError
		why, remedy := view.why(dead)
		f.Message, f.Remedy = fmt.Sprintf("%s accepts no packet of %s: %s", filterName(k), listed(addressesOfAll(dead)), why), remedy
		return []v1alpha1.Finding{f}
	}
	var all []v1alpha1.Finding
	for _, source := range dead {
		f.Subject = sourceSubject(source)
		why, remedy := view.why([]cloud.Interface{source})
		f.Message, f.Remedy = fmt.Sprintf("%s accepts no packet of %s: %s", filterName(k), addressOf(source), why), remedy
		all = append(all, f)
	}
	return all
}

// ruleMatchesNothing: a rule that is to accept packets accepts none, while others of the filter
// do. That it is about other interfaces than the sources is no fault, as a filter may serve several
// sessions; where it would match with its ends exchanged it may be one. What an earlier rule accepts
// is copied all the same.
func ruleMatchesNothing(k *Known) []v1alpha1.Finding {
	view, known := viewOf(k)
	if !known || len(view.deadSources(k)) == len(view.sources) {
		return nil
	}
	var all []v1alpha1.Finding
	for _, i := range inOrder(view.rules) {
		if !view.rules[i].Accept || view.alive(i, view.sources) {
			continue
		}
		cause := view.whyRule(i, view.sources)
		f := warning(v1alpha1.DecidedByRead, v1alpha1.ReasonRuleMatchesNothing, ruleName(view.rules[i].RuleSpec), cause.text)
		f.Remedy = cause.remedy
		switch cause.kind {
		case coveredByReject, contradictory:
			f.DecidedBy = v1alpha1.DecidedBySpec
		case exchanged:
			f.Severity = v1alpha1.SeverityInfo
		default:
			continue
		}
		all = append(all, f)
	}
	return all
}

// view is a filter as its sources see it.
type view struct {
	rules []cloud.Rule
	// decided is what each rule decides.
	decided []packets
	sources []cloud.Interface
}

// viewOf is that of the session's filter, false where it can't be judged.
func viewOf(k *Known) (v view, known bool) {
	if !k.copying() || k.Path.Filter == nil || len(k.Path.Sources) == 0 {
		return v, false
	}
	v = view{rules: k.Path.Filter.Rules, sources: k.Path.Sources}
	v.decided, known = matched(v.rules)
	return v, known
}

// accepting is the number of rules that accept.
func (v view) accepting() (n int) {
	for _, r := range v.rules {
		if r.Accept {
			n++
		}
	}
	return n
}

// alive reports whether a rule decides about a packet of one of the sources.
func (v view) alive(rule int, of []cloud.Interface) bool {
	return slices.ContainsFunc(of, func(i cloud.Interface) bool { return carrierOf(i).carries(v.decided[rule]).some() })
}

// deadSources are those of which no packet is accepted, as far as no count says otherwise.
func (v view) deadSources(k *Known) (dead []cloud.Interface) {
	for _, source := range v.sources {
		accepts := func(rule int) bool { return v.rules[rule].Accept && v.alive(rule, []cloud.Interface{source}) }
		if !slices.ContainsFunc(inOrder(v.rules), accepts) && !k.copiedLately(source.ID) {
			dead = append(dead, source)
		}
	}
	return dead
}

// acceptsNothing says that no rule accepts.
func (v view) acceptsNothing(name string) string {
	if len(v.rules) == 0 {
		return name + " has no rules: it copies nothing"
	}
	return fmt.Sprintf("%s has no rule that accepts, only %d that reject: it copies nothing", name, len(v.rules))
}

// why says of each rule that accepts why it accepts no packet of the sources.
func (v view) why(of []cloud.Interface) (message, remedy string) {
	var texts []string
	for _, i := range inOrder(v.rules) {
		if !v.rules[i].Accept {
			continue
		}
		cause := v.whyRule(i, of)
		texts = append(texts, cause.text)
		if remedy == "" {
			remedy = cause.remedy
		}
	}
	return listedBy(texts, "; "), remedy
}

// kind is of a cause why a rule accepts nothing.
type kind int

const (
	// contradictory: its own fields exclude each other.
	contradictory kind = iota
	// otherFamily: the sources have no address of its family.
	otherFamily
	// exchanged: it would match if its ends were exchanged, or in the other direction.
	exchanged
	// otherAddresses: it is about other interfaces.
	otherAddresses
	// coveredByReject and coveredByAccept: rules before it decide about all that it matches, and one
	// of them rejects, or they accept it.
	coveredByReject
	coveredByAccept
)

// ruleCause is why a rule accepts nothing, and what to do.
type ruleCause struct {
	kind         kind
	text, remedy string
}

// whyRule is why a rule accepts no packet of the sources, each of which it is dead for.
func (v view) whyRule(i int, of []cloud.Interface) ruleCause {
	rule := v.rules[i].RuleSpec
	name := ruleName(rule)
	whole, some := boxOf(rule)
	switch {
	case !some:
		return ruleCause{contradictory, name + " can match no packet, its fields exclude each other: " + matches(rule), "correct " + name}
	case !slices.ContainsFunc(of, func(s cloud.Interface) bool { return carrierOf(s).has(rule.IPv6) }):
		is, other := families(rule.IPv6)
		return ruleCause{otherFamily, fmt.Sprintf("%s is for %s, and %s an %s address", name, is, haveNot(of), is),
			fmt.Sprintf("set the etherType of %s to %s, or give the source an %s address", name, other, is)}
	case slices.ContainsFunc(of, func(s cloud.Interface) bool { return carrierOf(s).carriesOf(whole) }):
		return v.whyCovered(i, whole)
	default:
		return v.whyElsewhere(i, of)
	}
}

// whyCovered is of a rule all of whose packets are decided by rules before it.
func (v view) whyCovered(i int, whole box) ruleCause {
	cause := ruleCause{kind: coveredByAccept}
	var before []string
	for _, j := range inOrder(v.rules) {
		if j == i {
			break
		}
		if inside, _ := v.decided[j].split(whole); !inside.some() {
			continue
		}
		verb := "accepts"
		if !v.rules[j].Accept {
			cause.kind, verb = coveredByReject, "rejects"
		}
		before = append(before, fmt.Sprintf("%s %s %s", ruleName(v.rules[j].RuleSpec), verb, matches(v.rules[j].RuleSpec)))
	}
	name := ruleName(v.rules[i].RuleSpec)
	cause.text = fmt.Sprintf("all that %s is to accept (%s) is decided before it: %s", name, matches(v.rules[i].RuleSpec), listed(before))
	cause.remedy = fmt.Sprintf("give %s a smaller priority than the rule that rejects its packets, or narrow that one", name)
	return cause
}

// whyElsewhere is of a rule whose addresses are none that the sources have, at the end that they
// stand for.
func (v view) whyElsewhere(i int, of []cloud.Interface) ruleCause {
	rule := v.rules[i].RuleSpec
	name, own, peer := ruleName(rule), "destination", "source"
	ownPrefix, peerPrefix, other := rule.Destination, rule.Source, cloud.Egress
	if rule.Direction == cloud.Egress {
		own, peer = peer, own
		ownPrefix, peerPrefix, other = peerPrefix, ownPrefix, cloud.Ingress
	}
	text := fmt.Sprintf("%s is about what a mirror source %s, so ", name, doesOf(rule.Direction))
	if ownPrefix.IsValid() && !slices.ContainsFunc(allAddresses(of), ownPrefix.Contains) {
		text += fmt.Sprintf("its %s has to be one, and %s is not %s", own, ownPrefix, listedBy(addressesOfAll(of), " or "))
	} else {
		text += fmt.Sprintf("its %s is the other end, and %s is the mirror source", peer, peerPrefix)
	}
	flipped, swapped := rule, rule
	flipped.Direction = other
	swapped.Source, swapped.Destination = rule.Destination, rule.Source
	for _, variant := range []cloud.RuleSpec{flipped, swapped} {
		b, some := boxOf(variant)
		if some && slices.ContainsFunc(of, func(s cloud.Interface) bool { return carrierOf(s).carriesOf(b) }) {
			return ruleCause{exchanged,
				text + fmt.Sprintf(": its source and destination are swapped, or its direction is wrong, as it would match as %s", other),
				fmt.Sprintf("swap source and destination of %s, or give it the direction %s, if what a mirror source %s is meant", name, other, doesOf(other))}
		}
	}
	hosts := listedBy(hostPrefixes(of, rule.IPv6), " or ")
	if v.alive(i, v.sources) {
		return ruleCause{otherAddresses, text, fmt.Sprintf("add a rule like %s whose %s is %s, or take the source out of spec.sources", name, own, hosts)}
	}
	return ruleCause{otherAddresses, text, fmt.Sprintf("set the %s of %s to %s, or leave it out", own, name, hosts)}
}

func allAddresses(of []cloud.Interface) (all []netip.Addr) {
	for _, i := range of {
		all = append(all, i.Addresses...)
	}
	return all
}

func doesOf(d cloud.Direction) string {
	if d == cloud.Egress {
		return "sends"
	}
	return "receives"
}

func families(ipv6 bool) (is, other string) {
	if ipv6 {
		return "IPv6", "IPv4"
	}
	return "IPv4", "IPv6"
}

func haveNot(of []cloud.Interface) string {
	if len(of) == 1 {
		return addressOf(of[0]) + " has not"
	}
	return "none of " + listed(addressesOfAll(of)) + " has"
}

// hostPrefixes are the first addresses of a family of interfaces, as a rule names one.
func hostPrefixes(of []cloud.Interface, ipv6 bool) (all []string) {
	for _, i := range of {
		for _, a := range i.Addresses {
			if a.Is6() == ipv6 {
				all = append(all, fmt.Sprintf("%s/%d", a, a.BitLen()))
				break
			}
		}
	}
	return all
}

// filterName is how messages call the session's filter.
func filterName(k *Known) string { return "filter " + k.Session.Spec.FilterRef.Name }

// sourceSubject is the subject of a finding about one source.
func sourceSubject(i cloud.Interface) string { return "source " + addressOf(i) }

// addressOf is how people know an interface: its primary address, or its ID.
func addressOf(i cloud.Interface) string {
	if len(i.Addresses) > 0 {
		return i.Addresses[0].String()
	}
	return i.ID
}

func addressesOfAll(all []cloud.Interface) []string {
	out := make([]string, 0, len(all))
	for _, i := range all {
		out = append(out, addressOf(i))
	}
	return out
}

// listed joins texts of which not more than a few are worth reading.
func listed(texts []string) string { return listedBy(texts, ", ") }

func listedBy(texts []string, separator string) string {
	const most = 3
	if more := len(texts) - most; more > 0 {
		return strings.Join(texts[:most], separator) + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(texts, separator)
}

package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// filterCauses are what keeps packets from being copied in the cloud: the filter itself, and
// other sessions that are tried before this one.
var filterCauses = []func(*Known) []v1alpha1.Finding{changedInCloud, filterMatchesNothing, takenEarlier, ruleMatchesNothing, stillSaid}

// filterReasons are those of what they find.
var filterReasons = []string{
	v1alpha1.ReasonFilterMatchesNothing, v1alpha1.ReasonRuleMatchesNothing, v1alpha1.ReasonTakenEarlier, v1alpha1.ReasonRejectedEarlier,
	v1alpha1.ReasonChangedInCloud,
}

// stillSaid is what was found before, while nobody has looked.
func stillSaid(k *Known) []v1alpha1.Finding {
	if k.Path != nil || k.noCopiesWanted() != "" {
		return nil
	}
	return k.standing(filterReasons)
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
		f.Message, f.Remedy = fmt.Sprintf("%s accepts no packet of %s: %s", filterName(k), few(addressesOfAll(dead)), why), remedy
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
	if k.Path == nil || k.noCopiesWanted() != "" || len(k.Path.Sources) == 0 {
		return v, false
	}
	v.sources = k.Path.Sources
	switch {
	case k.Path.Wanted.Filter != nil: // what differs in the cloud is said apart
		v.rules = rulesOf(k.Path.Wanted.Filter.Rules)
	case k.Path.Filter != nil:
		v.rules = k.Path.Filter.Rules
	default:
		return v, false
	}
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
		if !slices.ContainsFunc(inOrder(v.rules), accepts) && !k.overcome(denial{v1alpha1.ReasonFilterMatchesNothing, source.ID, fmt.Sprint(v.rules)}) {
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
	return fewBy(texts, "; "), remedy
}

// filterName is how messages call the session's filter.
func filterName(k *Known) string { return fmt.Sprintf("filter %q", k.Session.Spec.FilterRef.Name) }

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

// few joins texts of which not more than a few are worth reading.
func few(texts []string) string { return fewBy(texts, ", ") }

func fewBy(texts []string, separator string) string {
	const most = 3
	if more := len(texts) - most; more > 0 {
		return strings.Join(texts[:most], separator) + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(texts, separator)
}

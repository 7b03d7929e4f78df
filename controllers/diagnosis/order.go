package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// takenEarlier: sessions that are tried before this one decide about packets that its filter
// accepts: about all, or some, of each source. By all sessions with a source in common and their
// filters: the smallest session priority is tried first, a packet is copied once at most, and a rule
// that rejects it keeps it from all later sessions (user guide, "Traffic Mirroring": matching of
// mirror sessions).
func takenEarlier(k *Known) []v1alpha1.Finding {
	if k.Path == nil || k.noCopiesWanted() != "" || k.Path.Filter == nil {
		return nil
	}
	own, known := accepted(k.Path.Filter.Rules)
	if !known || own.none() {
		return nil
	}
	var losses []loss
	wholly := 0
	for _, source := range k.Path.Sources {
		l := lossOf(source, own, k.Path.earlierAt(source.ID))
		if l.whole && k.overcome(denial{v1alpha1.ReasonTakenEarlier, source.ID, l.says()}) || len(l.takers) == 0 {
			continue
		}
		if l.whole {
			wholly++
		}
		losses = append(losses, l)
	}
	return k.Path.findingsOf(losses, wholly == len(k.Path.Sources))
}

// Deprived reports whether earlier sessions decide about some of the packets that the filter of the session accepts, at
// any of its sources, and whether about all of them, at every one.
func (p *Path) Deprived() (some, all bool) {
	if p.Filter == nil || len(p.Sources) == 0 {
		return false, false
	}
	own, known := accepted(p.Filter.Rules)
	if !known || own.none() {
		return false, false
	}
	all = true
	for _, source := range p.Sources {
		l := lossOf(source, own, p.earlierAt(source.ID))
		some, all = some || len(l.takers) > 0, all && l.whole && len(l.takers) > 0
	}
	return some, some && all
}

// earlierAt are the sessions that are tried before this one at a source, in their order.
func (p *Path) earlierAt(source string) []Other {
	var all []Other
	for _, o := range p.Others {
		if o.Enabled && o.Priority < p.priorityAt(source) && slices.Contains(o.Sources, source) {
			all = append(all, o)
		}
	}
	slices.SortStableFunc(all, inTurn)
	return all
}

// inTurn orders sessions as they are tried.
func inTurn(a, b Other) int { return cmp.Or(a.Priority-b.Priority, cmp.Compare(a.ID, b.ID)) }

// loss is what earlier sessions decide of the packets of a source that a filter accepts.
type loss struct {
	source cloud.Interface
	// whole is whether nothing is left.
	whole  bool
	takers []taker
	// unknown is the name of an earlier session of which it can't be told, as rules are too many;
	// nothing else is said then.
	unknown string
}

// says tells losses apart by who takes what.
func (l loss) says() (text string) {
	for _, t := range l.takers {
		text += fmt.Sprintln(t.session.ID, t.rule)
	}
	return text
}

// taker is a rule of an earlier session that decides about some of the packets.
type taker struct {
	session Other
	rule    cloud.RuleSpec
}

// lossOf goes through the rules of the earlier sessions as the cloud does. Of a session whose filter
// is not known, or has a rule that can't be read, nothing is said.
func lossOf(source cloud.Interface, own packets, earlier []Other) loss {
	by := carrierOf(source)
	l, left := loss{source: source}, by.carries(own)
	if !left.some() {
		return l // that the filter matches nothing is said apart
	}
	for _, session := range earlier {
		if session.Filter == nil || slices.ContainsFunc(session.Filter.Rules, unreadable) {
			continue
		}
		for _, i := range inOrder(session.Filter.Rules) {
			rule := session.Filter.Rules[i].RuleSpec
			whole, some := boxOf(rule)
			if !some {
				continue
			}
			taken, rest := left.split(whole)
			if rest.unknown {
				return loss{source: source, unknown: session.Name}
			}
			if by.carries(taken).some() {
				l.takers = append(l.takers, taker{session, rule})
			}
			left = by.carries(rest)
		}
	}
	l.whole = left.none()
	return l
}

// orderDoubts are what decides about packets of the sources before they are copied, and could not
// be judged: rules of the filter, or sessions that are tried before this one.
func orderDoubts(k *Known) (doubts []doubt) {
	if k.Path == nil {
		return nil
	}
	if f := k.Path.Filter; f == nil {
		doubts = append(doubts, doubt{says: "the filter is not in the cloud's list, so what it accepts is not known"})
	} else if i := slices.IndexFunc(f.Rules, unreadable); i >= 0 {
		doubts = append(doubts, doubt{says: fmt.Sprintf("%s of %s can't be read by this version: %s", ruleName(f.Rules[i].RuleSpec), filterName(k), f.Rules[i].Unreadable)})
	} else if all, _ := accepted(f.Rules); all.unknown {
		doubts = append(doubts, doubt{says: filterName(k) + " has too many rules to compare them as a whole"})
	}
	for _, o := range k.Path.with(k.Path.Precedes) {
		if o.Filter == nil || slices.ContainsFunc(o.Filter.Rules, unreadable) {
			doubts = append(doubts, doubt{says: o.Name + " is tried before this one, and which packets it decides about can't be told from its filter"})
		}
	}
	return append(doubts, tooMany(k.Path)...)
}

// tooMany are the earlier sessions of which it can't be told what they decide, as rules are too many.
func tooMany(p *Path) (doubts []doubt) {
	if p.Filter == nil || len(p.Others) == 0 {
		return nil
	}
	own, known := accepted(p.Filter.Rules)
	if !known || own.none() {
		return nil
	}
	var named []string
	for _, source := range p.Sources {
		if name := lossOf(source, own, p.earlierAt(source.ID)).unknown; name != "" && !slices.Contains(named, name) {
			named = append(named, name)
			doubts = append(doubts, doubt{says: name + " is tried before this one, and its filter and this one's have too many rules to tell which packets it decides about"})
		}
	}
	return doubts
}

func unreadable(r cloud.Rule) bool { return r.Unreadable != "" }

// findingsOf are the findings: one where all sources lose the same, else one for each source that
// loses something.
func (p *Path) findingsOf(losses []loss, all bool) []v1alpha1.Finding {
	if len(losses) == 0 {
		return nil
	}
	same := func(l loss) bool {
		return l.whole == losses[0].whole && slices.EqualFunc(l.takers, losses[0].takers, sameTaker)
	}
	if len(losses) == len(p.Sources) && !slices.ContainsFunc(losses, func(l loss) bool { return !same(l) }) {
		f := p.lost(losses[0], few(addressesOfAll(p.Sources)), p.prioritiesOf(losses))
		f.Subject = losses[0].takers[0].session.Name
		if all {
			f.Severity = v1alpha1.SeverityError
		}
		return []v1alpha1.Finding{f}
	}
	var findings []v1alpha1.Finding
	for _, l := range losses {
		f := p.lost(l, addressOf(l.source), p.prioritiesOf([]loss{l}))
		f.Subject = sourceSubject(l.source)
		if all {
			f.Severity = v1alpha1.SeverityError
		}
		findings = append(findings, f)
	}
	return findings
}

func sameTaker(a, b taker) bool { return a.session.ID == b.session.ID && a.rule == b.rule }

// prioritiesOf are those of the sessions that have the sources of losses, the smallest first.
func (p *Path) prioritiesOf(losses []loss) (priorities []int) {
	for _, l := range losses {
		priorities = append(priorities, p.priorityAt(l.source.ID))
	}
	slices.Sort(priorities)
	return slices.Compact(priorities)
}

// lost is the finding of a loss, of sources that the sessions with the given priorities have.
func (p *Path) lost(l loss, of string, priorities []int) v1alpha1.Finding {
	f := warning(v1alpha1.DecidedByRead, v1alpha1.ReasonTakenEarlier, "", "")
	if !l.takers[0].rule.Accept {
		f.Reason = v1alpha1.ReasonRejectedEarlier
	}
	what := "some"
	if l.whole {
		what = "all"
	}
	var by []string
	for _, t := range l.takers {
		by = append(by, p.says(t, priorities))
	}
	f.Message = fmt.Sprintf("%s of the packets of %s that the filter accepts are decided before it: %s; each packet is copied once at most",
		what, of, fewBy(by, "; "))
	f.Remedy = p.goBefore(l.takers, priorities)
	return f
}

// says what a rule of another session does.
func (p *Path) says(t taker, priorities []int) string {
	verb := "rejects"
	if t.rule.Accept {
		verb = "copies"
	}
	if p.Private {
		return t.session.Name + ", which is tried before this one, " + verb + " them"
	}
	return fmt.Sprintf("%s (priority %d, this one's %s) %s %s, by its %s", t.session.Name, t.session.Priority, are(priorities), verb, matches(t.rule), ruleName(t.rule))
}

// are reads like: is 500, or: are 500 and 501.
func are(priorities []int) string {
	last := len(priorities) - 1
	if last == 0 {
		return fmt.Sprintf("is %d", priorities[0])
	}
	texts := make([]string, 0, last)
	for _, priority := range priorities[:last] {
		texts = append(texts, strconv.Itoa(priority))
	}
	return fmt.Sprintf("are %s and %d", strings.Join(texts, ", "), priorities[last])
}

// goBefore is how the packets come to the sessions, whose priorities are given. Of several that stand for the object, the
// spec names the first one's alone, and the others keep theirs when that changes.
func (p *Path) goBefore(takers []taker, priorities []int) string {
	first := takers[0].session
	for _, t := range takers {
		if t.session.Priority < first.Priority {
			first = t.session
		}
	}
	largest := priorities[len(priorities)-1]
	named := len(priorities) == 1 && largest == p.Session.Priority
	switch {
	case p.Private && named:
		return "lower spec.priority, or mirror something else"
	case p.Private:
		return "mirror these sources with a MirrorSession of their own that has a lower spec.priority, or mirror something else"
	case first.Priority <= 1:
		return fmt.Sprintf("narrow the filter of %s, or give that session a priority above %d: none is below its own", first.Name, largest)
	case !named:
		return fmt.Sprintf("narrow the filter of %s, or give that session a priority above %d", first.Name, largest)
	default:
		return fmt.Sprintf("set spec.priority below %d, so that it gets the packets that both are to copy, or narrow the filter of %s", first.Priority, first.Name)
	}
}

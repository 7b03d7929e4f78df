package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vpcmirror.io/operator/controllers/cloud"
)

// FilterStep is one call that changes a filter or its rules; exactly one field is set.
type FilterStep struct {
	UpdateFilter *cloud.FilterUpdate
	CreateRule   *cloud.RuleSpec
	UpdateRule   *cloud.Rule
	DeleteRule   *cloud.Rule
}

// FilterDiff is how the cloud's filter differs from the wanted one.
type FilterDiff struct {
	// Changes are empty when nothing differs.
	Changes []Change

	update     cloud.FilterUpdate
	directions []edit
}

// DiffFilter compares have with want.
func DiffFilter(want WantedFilter, have cloud.Filter) FilterDiff {
	var d FilterDiff
	compare(&d.Changes, &d.update.Name, "name", have.Name, want.Name)
	compare(&d.Changes, &d.update.Description, "description", trim(have.Description), want.Description)
	for _, direction := range []cloud.Direction{cloud.Ingress, cloud.Egress} {
		e := newEdit(direction, want.Rules, have.Rules)
		d.Changes = append(d.Changes, e.changes()...)
		d.directions = append(d.directions, e)
	}
	return d
}

// documentedRuleLimit is the cloud's limit of rules for a direction where its quota has none.
const documentedRuleLimit = 10

// Steps orders the calls that mend the differences. When they are done the cloud must be
// compared again until nothing differs; two rounds are enough, see makeBeforeBreak. limit
// is how many rules a direction may have; 0 or less for unknown, which is taken for the
// documented 10. gap is true when packets that the old and the new rules copy may not be
// copied for the moment of the change, because no rule slot is free.
func (d *FilterDiff) Steps(limit int) (steps []FilterStep, gap bool) {
	if limit <= 0 {
		limit = documentedRuleLimit
	}
	if d.update != (cloud.FilterUpdate{}) {
		steps = append(steps, FilterStep{UpdateFilter: &d.update})
	}
	for _, e := range d.directions {
		e.limit = limit
		more, opens := e.steps()
		steps, gap = append(steps, more...), gap || opens
	}
	return steps, gap
}

// Narrowing are the steps that take accepting rules away whose packets the spec no longer
// accepts by one rule. They never copy more, whatever else is left undone, so they need not
// wait for it.
func (d *FilterDiff) Narrowing() (steps []FilterStep) {
	for _, e := range d.directions {
		for _, r := range slices.Backward(e.outgoing) {
			stays := slices.ContainsFunc(e.want, func(w cloud.RuleSpec) bool { return w.Accept && covers(w, r.RuleSpec) })
			if r.Accept && !unreadable(r) && !stays {
				steps = append(steps, FilterStep{DeleteRule: &r})
			}
		}
	}
	return steps
}

// covers reports whether a rule matches all that another of its direction does.
func covers(w, r cloud.RuleSpec) bool {
	prefix := func(w, r netip.Prefix) bool {
		return !w.IsValid() || r.IsValid() && w.Bits() <= r.Bits() && w.Contains(r.Addr())
	}
	ports := func(w, r cloud.PortRange) bool {
		return w == (cloud.PortRange{}) || r != (cloud.PortRange{}) && w.Low <= r.Low && r.High <= w.High
	}
	return w.IPv6 == r.IPv6 && (w.Protocol == cloud.All || w.Protocol == r.Protocol) &&
		prefix(w.Source, r.Source) && prefix(w.Destination, r.Destination) &&
		ports(w.SourcePorts, r.SourcePorts) && ports(w.DestinationPorts, r.DestinationPorts)
}

// edit is the change of one direction's rules.
//
// Packets are decided by the first rule that matches, so the order of the calls
// matters: taking a reject away above a broad accept copies what nobody wanted. Two
// facts carry the orders below. With D(x) the decision of the first matching rule:
//
//   - in a list that holds all old rules and the new ones up to a priority, each in
//     its own order, D(x) is the old or the new decision, because the first match of
//     the new list, if present, comes before any other new match; so new rules are
//     added in ascending order of priority. Mirrored, when all new rules are present,
//     old ones go in descending order;
//   - taking an accept away, or adding a reject, never copies more.
type edit struct {
	direction cloud.Direction
	limit     int
	// all rules of the direction, by priority
	want []cloud.RuleSpec
	have []cloud.Rule
	// what is not the same in both, by priority
	incoming []cloud.RuleSpec
	outgoing []cloud.Rule
}

func newEdit(direction cloud.Direction, want []cloud.RuleSpec, have []cloud.Rule) edit {
	e := edit{direction: direction}
	for _, r := range want {
		if r.Direction == direction {
			e.want = append(e.want, Normalise(r))
		}
	}
	for _, r := range have {
		if r.Direction == direction {
			e.have = append(e.have, cloud.Rule{ID: r.ID, RuleSpec: Normalise(r.RuleSpec), Unreadable: r.Unreadable})
		}
	}
	slices.SortFunc(e.want, func(a, b cloud.RuleSpec) int { return cmp.Compare(a.Priority, b.Priority) })
	slices.SortFunc(e.have, func(a, b cloud.Rule) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), strings.Compare(a.ID, b.ID))
	})
	for _, r := range e.want {
		if !slices.ContainsFunc(e.have, func(h cloud.Rule) bool { return h.Unreadable == "" && h.RuleSpec == r }) {
			e.incoming = append(e.incoming, r)
		}
	}
	for _, h := range e.have {
		if h.Unreadable != "" || !slices.Contains(e.want, h.RuleSpec) {
			e.outgoing = append(e.outgoing, h)
		}
	}
	return e
}

func (e edit) steps() (steps []FilterStep, gap bool) {
	if slices.ContainsFunc(e.outgoing, unreadable) {
		return e.breakBeforeMake()
	}
	if len(e.incoming) == 1 && len(e.outgoing) == 1 && canUpdate(e.outgoing[0].RuleSpec, e.incoming[0]) {
		// One PUT goes from the old list to the new one with nothing in between,
		// unless another rule has the wanted priority (then the rule there would be
		// outgoing too).
		return []FilterStep{{UpdateRule: &cloud.Rule{ID: e.outgoing[0].ID, RuleSpec: e.incoming[0]}}}, false
	}
	if steps, ok := e.makeBeforeBreak(); ok {
		return steps, false
	}
	return e.breakBeforeMake()
}

// makeBeforeBreak adds the new rules in ascending order and then removes the old ones
// in descending order. Where an old and a new rule have the same priority, a copy of
// the old rule is made at a free priority beside it first; the copy has no ID yet, so
// the removals then wait for the next comparison, which sees the copies as
// old rules like any other. ok is false when there is no free slot or no free
// priority for that.
func (e edit) makeBeforeBreak() (steps []FilterStep, ok bool) {
	used := e.priorities()
	count, copies := len(e.have), 0
	for _, n := range e.incoming {
		if count++; count > e.limit {
			return nil, false
		}
		i := slices.IndexFunc(e.outgoing, func(r cloud.Rule) bool { return r.Priority == n.Priority })
		if i < 0 {
			steps = append(steps, FilterStep{CreateRule: &n})
			continue
		}
		old := e.outgoing[i]
		beside, free := e.freeBeside(old.Priority, used)
		if !free {
			return nil, false
		}
		used[beside], copies = true, copies+1
		same := old.RuleSpec
		same.Priority = beside
		steps = append(steps, FilterStep{CreateRule: &same})
		if canUpdate(old.RuleSpec, n) {
			steps = append(steps, FilterStep{UpdateRule: &cloud.Rule{ID: old.ID, RuleSpec: n}})
		} else {
			steps = append(steps, FilterStep{DeleteRule: &old}, FilterStep{CreateRule: &n})
		}
	}
	if copies > 0 {
		return steps, true
	}
	for _, r := range slices.Backward(e.outgoing) {
		steps = append(steps, FilterStep{DeleteRule: &r})
	}
	return steps, true
}

// priorities returns those that an old or a new rule has.
func (e edit) priorities() map[int]bool {
	used := make(map[int]bool)
	for _, r := range e.want {
		used[r.Priority] = true
	}
	for _, r := range e.have {
		used[r.Priority] = true
	}
	return used
}

// freeBeside returns a free priority with no old rule between it and p, so that a copy
// of the rule at p has the same place among the old rules.
func (e edit) freeBeside(p int, used map[int]bool) (int, bool) {
	next, previous := 65536, 0
	for _, r := range e.have {
		if r.Priority > p {
			next = min(next, r.Priority)
		}
		if r.Priority < p {
			previous = max(previous, r.Priority)
		}
	}
	for q := p + 1; q < next; q++ {
		if !used[q] {
			return q, true
		}
	}
	for q := p - 1; q > previous; q-- {
		if !used[q] {
			return q, true
		}
	}
	return 0, false
}

// breakBeforeMake takes accepts away first and puts them back last. When rejects
// change as well, every accept goes: without one nothing can be copied, so the
// rejects can then be exchanged in any order.
func (e edit) breakBeforeMake() (steps []FilterStep, gap bool) {
	gone, back := slices.Clone(e.outgoing), slices.Clone(e.incoming)
	if e.rejectsChange() {
		for _, r := range e.have {
			if r.Accept && slices.Contains(e.want, r.RuleSpec) {
				gone, back = append(gone, r), append(back, r.RuleSpec)
			}
		}
	}
	// Both stay in the order of priority otherwise.
	slices.SortStableFunc(gone, func(a, b cloud.Rule) int { return cmp.Compare(number(b.Accept), number(a.Accept)) })
	slices.SortStableFunc(back, func(a, b cloud.RuleSpec) int { return cmp.Compare(number(a.Accept), number(b.Accept)) })
	for _, r := range gone {
		steps = append(steps, FilterStep{DeleteRule: &r})
		gap = gap || r.Accept
	}
	for _, r := range back {
		steps = append(steps, FilterStep{CreateRule: &r})
	}
	return steps, gap && len(back) > 0
}

func (e edit) rejectsChange() bool {
	return slices.ContainsFunc(e.incoming, func(r cloud.RuleSpec) bool { return !r.Accept }) ||
		slices.ContainsFunc(e.outgoing, func(r cloud.Rule) bool { return !r.Accept || unreadable(r) })
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// unreadable reports whether the rule has a field that the adapter can't read. Nobody knows
// what it matches, so it may stand for a reject, and it can neither be copied nor
// changed in place.
func unreadable(r cloud.Rule) bool { return r.Unreadable != "" }

// canUpdate reports whether one PUT turns old into wanted: it can't change the direction,
// and a field that is left out stays, so a CIDR or a port range can't be cleared.
func canUpdate(old, wanted cloud.RuleSpec) bool {
	return old.Direction == wanted.Direction &&
		(wanted.Source.IsValid() || !old.Source.IsValid()) &&
		(wanted.Destination.IsValid() || !old.Destination.IsValid()) &&
		(wanted.SourcePorts != (cloud.PortRange{}) || old.SourcePorts == (cloud.PortRange{})) &&
		(wanted.DestinationPorts != (cloud.PortRange{}) || old.DestinationPorts == (cloud.PortRange{}))
}

// changes lists the differences by priority, field by field where a rule was edited.
func (e edit) changes() []Change {
	var out []Change
	for _, r := range e.outgoing {
		name := fmt.Sprintf("rules[%s %d]", e.direction, r.Priority)
		i := slices.IndexFunc(e.incoming, func(n cloud.RuleSpec) bool { return n.Priority == r.Priority })
		if i < 0 {
			out = append(out, Change{Field: name, Have: Describe(r.RuleSpec)})
			continue
		}
		out = append(out, ruleChanges(name, r.RuleSpec, e.incoming[i])...)
	}
	for _, n := range e.incoming {
		if !slices.ContainsFunc(e.outgoing, func(r cloud.Rule) bool { return r.Priority == n.Priority }) {
			out = append(out, Change{Field: fmt.Sprintf("rules[%s %d]", e.direction, n.Priority), Want: Describe(n)})
		}
	}
	return out
}

func ruleChanges(name string, have, want cloud.RuleSpec) []Change {
	var out []Change
	note := func(field string, have, want any) {
		if have != want {
			out = append(out, Change{Field: name + "." + field, Have: show(have), Want: show(want)})
		}
	}
	note("action", action(have), action(want))
	note("etherType", etherType(have), etherType(want))
	note("protocol", have.Protocol, want.Protocol)
	note("source", peer(have.Source, have.SourcePorts), peer(want.Source, want.SourcePorts))
	note("destination", peer(have.Destination, have.DestinationPorts), peer(want.Destination, want.DestinationPorts))
	note("description", trim(have.Description), want.Description)
	return out
}

// Describe reads like: Accept IPv4 TCP from 192.168.0.161/32 to 192.168.0.230/32 port 1234.
func Describe(r cloud.RuleSpec) string {
	return fmt.Sprintf("%s %s %s from %s to %s", action(r), etherType(r), r.Protocol,
		peer(r.Source, r.SourcePorts), peer(r.Destination, r.DestinationPorts))
}

func action(r cloud.RuleSpec) string {
	if r.Accept {
		return "Accept"
	}
	return "Reject"
}

func etherType(r cloud.RuleSpec) string {
	if r.IPv6 {
		return "IPv6"
	}
	return "IPv4"
}

func peer(prefix interface {
	IsValid() bool
	String() string
}, ports cloud.PortRange) string {
	where := "anywhere"
	if prefix.IsValid() {
		where = prefix.String()
	}
	switch {
	case ports == (cloud.PortRange{}):
		return where
	case ports.Low == ports.High:
		return fmt.Sprintf("%s port %d", where, ports.Low)
	default:
		return fmt.Sprintf("%s ports %d-%d", where, ports.Low, ports.High)
	}
}

// InOrder returns rules in the order in which they are tried, ingress first.
func InOrder(rules []cloud.Rule) []cloud.Rule {
	sorted := slices.Clone(rules)
	slices.SortFunc(sorted, func(a, b cloud.Rule) int {
		return cmp.Or(-strings.Compare(string(a.Direction), string(b.Direction)), cmp.Compare(a.Priority, b.Priority))
	})
	return sorted
}

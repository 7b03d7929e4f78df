package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
	"vpcmirror.io/operator/controllers/plan"
)

const (
	// maxChanges is the bound of status.changes, and maxChange that of each sentence.
	maxChanges, maxChange = 5, 512
	// maxAtOnce is how many entries one look makes at most, so that what changed before it stays
	// to be read.
	maxAtOnce = 3
)

// Changed is what differs between two reads of the way of one session's copies and decides about
// them, the weightiest first: what the session copies, what its filter accepts, what lets the
// packets and their copies through, and who takes them first. seen is when the second was read.
// What was not read at both times is not compared. What bears the mark of this cluster's operator is
// the operator's, all else somebody's in the cloud; what the operator did to the session itself
// is not told apart here, so whoever calls this gives the session as the operator left it.
func Changed(before, now *diagnosis.Path, seen time.Time) []v1alpha1.Change {
	if before == nil || now == nil {
		return nil
	}
	c := &comparison{before: before, now: now}
	c.session()
	c.filter()
	c.interfaces()
	c.taken()
	c.balancer()
	c.groups()
	c.acls()
	c.peerings()
	c.routes()
	c.servers()
	c.others()
	return AtOnce(seen, c.found)
}

// AtOnce stamps what one look found with the time, and sums up what is too much to be listed.
func AtOnce(seen time.Time, found []v1alpha1.Change) []v1alpha1.Change {
	var out []v1alpha1.Change
	for _, change := range found {
		change.At = metav1.NewTime(seen.Truncate(time.Second))
		change.What = v1alpha1.Fit(strings.ReplaceAll(change.What, "\n", " "), maxChange)
		same := func(o v1alpha1.Change) bool { return o.By == change.By && o.What == change.What }
		if !slices.ContainsFunc(out, same) {
			out = append(out, change)
		}
	}
	if more := len(out) - maxAtOnce; more > 0 {
		out = out[:maxAtOnce]
		last := &out[maxAtOnce-1]
		note := fmt.Sprintf(", and %d more changes", more)
		last.What = v1alpha1.Fit(last.What, maxChange-len(note)) + note
	}
	return out
}

// Joined is what one party changed at one moment as one change of its own, which is none of none.
func Joined(by v1alpha1.ChangedBy, all []v1alpha1.Change) []v1alpha1.Change {
	if len(all) == 0 {
		return nil
	}
	texts := make([]string, 0, len(all))
	for _, c := range all {
		texts = append(texts, c.What)
	}
	return []v1alpha1.Change{{At: all[0].At, By: by, What: v1alpha1.Fit(strings.Join(texts, "; "), maxChange)}}
}

// WithChanges puts new changes before those that a status has: the newest first. Of new ones of one
// moment the operator's come first, as it answers to the others. One that is there already is not
// said again.
func WithChanges(told, more []v1alpha1.Change) []v1alpha1.Change {
	if len(more) == 0 {
		return told
	}
	var all []v1alpha1.Change
	for _, change := range more {
		same := func(o v1alpha1.Change) bool {
			return o.By == change.By && o.What == change.What && o.At.Time.Equal(change.At.Time)
		}
		if !slices.ContainsFunc(told, same) && !slices.ContainsFunc(all, same) {
			all = append(all, change)
		}
	}
	slices.SortStableFunc(all, func(a, b v1alpha1.Change) int { return changeOrder(a.By) - changeOrder(b.By) })
	all = append(all, told...)
	slices.SortStableFunc(all, func(a, b v1alpha1.Change) int { return b.At.Time.Compare(a.At.Time) })
	return all[:min(len(all), maxChanges)]
}

func changeOrder(by v1alpha1.ChangedBy) int {
	return slices.Index([]v1alpha1.ChangedBy{v1alpha1.ChangedByOperator, v1alpha1.ChangedBySpec, v1alpha1.ChangedByCloud}, by)
}

// Baseline is what the next look is compared with after this one: what was not read now stays as
// it was read last.
func Baseline(before, now *diagnosis.Path) *diagnosis.Path {
	if before == nil || now == nil {
		return cmp.Or(now, before)
	}
	if !less(now, before) {
		return now // which others keep too
	}
	base := *now
	if base.Target == nil && now.Session.TargetID == before.Session.TargetID {
		base.Target = before.Target
	}
	base.Sources = slices.Clone(now.Sources)
	for _, source := range before.Sources {
		if interfaceByID(now, source.ID) == nil {
			base.Sources = append(base.Sources, source)
		}
	}
	base.Balancer = keepBalancer(now, before)
	keep(&base.Groups, before.Groups)
	keep(&base.AddressGroups, before.AddressGroups)
	keep(&base.ACLs, before.ACLs)
	keep(&base.Peerings, before.Peerings)
	keep(&base.RouteTables, before.RouteTables)
	keep(&base.Servers, before.Servers)
	keep(&base.Flavors, before.Flavors)
	keep(&base.Interfaces, before.Interfaces)
	return &base
}

// less reports whether something was read before, and not now.
func less(now, before *diagnosis.Path) bool {
	if now.Target == nil && before.Target != nil || slices.ContainsFunc(before.Sources, func(i cloud.Interface) bool { return interfaceByID(now, i.ID) == nil }) {
		return true
	}
	if lessOfBalancer(now, before) {
		return true
	}
	read := func(p *diagnosis.Path) []bool {
		return []bool{
			p.Groups.Read, p.AddressGroups.Read, p.ACLs.Read, p.Peerings.Read, p.RouteTables.Read, p.Servers.Read, p.Flavors.Read, p.Interfaces.Read,
		}
	}
	is := read(now)
	for i, was := range read(before) {
		if was && !is[i] {
			return true
		}
	}
	return false
}

func keep[T any](now *diagnosis.Answer[T], before diagnosis.Answer[T]) {
	if !now.Read {
		*now = before
	}
}

// comparison gathers what differs between two paths of one session.
type comparison struct {
	before, now *diagnosis.Path
	found       []v1alpha1.Change
}

func (c *comparison) say(format string, args ...any) {
	c.sayBy(v1alpha1.ChangedByCloud, format, args...)
}

func (c *comparison) sayBy(by v1alpha1.ChangedBy, format string, args ...any) {
	c.found = append(c.found, v1alpha1.Change{At: metav1.Time{}, By: by, What: fmt.Sprintf(format, args...)})
}

// session compares what the cloud's session copies, to where, and how.
func (c *comparison) session() {
	was, is := c.before.Session, c.now.Session
	if was.ID == "" {
		return // what would be made follows the spec
	}
	name := "the session " + was.ID
	if was.ID != is.ID {
		c.say("%s is gone from the cloud", name)
		return
	}
	switch {
	case was.Enabled && !is.Enabled:
		c.say("%s was switched off", name)
	case !was.Enabled && is.Enabled:
		c.say("%s was switched on", name)
	}
	switch {
	case was.FilterID == is.FilterID:
	case c.private():
		c.say("%s was given another filter", name)
	default:
		c.say("%s was given the filter %s in place of %s", name, is.FilterID, was.FilterID)
	}
	if was.TargetID != is.TargetID {
		c.say("%s was given %s in place of %s", name, c.inRole("target", is.TargetID), c.called(was.TargetID))
	}
	if was.VNI != is.VNI {
		c.say("%s was given the VNI %d in place of %d", name, is.VNI, was.VNI)
	}
	for _, id := range missing(was.Sources, is.Sources) {
		c.say("%s was taken from %s", c.inRole("source", id), name)
	}
	for _, id := range missing(is.Sources, was.Sources) {
		c.say("%s was added to %s", c.inRole("source", id), name)
	}
	if was.PacketLength != is.PacketLength {
		c.say("the packet length of %s was changed from %d to %d", name, was.PacketLength, is.PacketLength)
	}
	if was.Priority != is.Priority {
		c.say("the priority of %s was changed from %d to %d", name, was.Priority, is.Priority)
	}
}

// missing are the members of a that b has not, sorted.
func missing(a, b []string) []string {
	var out []string
	for _, id := range a {
		if !slices.Contains(b, id) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// inRole is an interface as a source or the target.
func (c *comparison) inRole(role, id string) string {
	if c.foreign(id) {
		return "another " + role
	}
	return "the " + role + " " + c.called(id)
}

// foreign reports whether an interface may not be named: it is none of those that are known, so it
// may be anybody's.
func (c *comparison) foreign(id string) bool {
	return c.private() && interfaceByID(c.now, id) == nil && interfaceByID(c.before, id) == nil
}

// called is an interface by its first address, or by its ID where that is not known.
func (c *comparison) called(id string) string {
	for _, p := range []*diagnosis.Path{c.now, c.before} {
		if i := interfaceByID(p, id); i != nil && len(i.Addresses) > 0 {
			return i.Addresses[0].String()
		}
	}
	if c.foreign(id) {
		return "another interface"
	}
	return id
}

// interfaceByID is the target, a source, or a member of a target that is a load balancer, nil for none.
func interfaceByID(p *diagnosis.Path, id string) *cloud.Interface {
	if p.Target != nil && p.Target.ID == id {
		return p.Target
	}
	for i := range p.Sources {
		if p.Sources[i].ID == id {
			return &p.Sources[i]
		}
	}
	if p.Balancer != nil {
		for _, m := range p.Balancer.Members {
			if m.ID == id {
				return &m
			}
		}
	}
	return nil
}

// filter compares the rules of the session's filter. Rules that were removed and made again as
// they were accept what they did.
func (c *comparison) filter() {
	was, is := c.before.Filter, c.now.Filter
	switch {
	case was == nil || c.before.Session.FilterID != c.now.Session.FilterID:
		return
	case is == nil:
		c.say("the filter %s is gone from the cloud", filterOf(was))
		return
	case was.ID != is.ID:
		return
	}
	rules(c, was.Rules, is.Rules, ruleKind[cloud.Rule]{
		id:   func(r cloud.Rule) string { return r.ID },
		same: func(a, b cloud.Rule) bool { return sameRule(a, b) },
		describe: func(r cloud.Rule) string {
			return fmt.Sprintf("%s %d: %s", strings.ToLower(string(r.Direction)), r.Priority, describeRule(r))
		},
		decides: func(cloud.Rule) bool { return true },
		of:      "the filter " + filterOf(was),
	})
}

func filterOf(f *cloud.Filter) string { return `"` + cmp.Or(f.Name, f.ID) + `"` }

func sameRule(a, b cloud.Rule) bool {
	a.RuleSpec, b.RuleSpec = plan.Normalise(a.RuleSpec), plan.Normalise(b.RuleSpec)
	a.ID, a.Description, b.ID, b.Description = "", "", "", ""
	return a == b
}

func describeRule(r cloud.Rule) string {
	if r.Unreadable != "" {
		return "unknown, for its " + r.Unreadable
	}
	return plan.Describe(plan.Normalise(r.RuleSpec))
}

// ruleKind is what is to be known of a kind of rules to compare two lists of them.
type ruleKind[R any] struct {
	id func(R) string
	// same is whether two decide alike, whatever their IDs.
	same     func(a, b R) bool
	describe func(R) string
	// decides is whether a rule can be about the packets or their copies.
	decides func(R) bool
	// of is whose the rules are.
	of string
	// secret is true where no rule may be described.
	secret bool
}

// rules says which were removed, added and changed. A rule is known again by its ID, else by
// deciding alike.
func rules[R any](c *comparison, was, is []R, kind ruleKind[R]) {
	byID := func(a, b R) int { return strings.Compare(kind.id(a), kind.id(b)) }
	before, now := slices.SortedFunc(slices.Values(was), byID), slices.SortedFunc(slices.Values(is), byID)
	var gone, added []R
	for _, w := range before {
		i := slices.IndexFunc(now, func(n R) bool { return kind.id(n) == kind.id(w) })
		switch {
		case i < 0:
			gone = append(gone, w)
		case !kind.same(w, now[i]) && (kind.decides(w) || kind.decides(now[i])):
			c.say("a rule%s of %s is now %s", kind.text(w), kind.of, kind.after(now[i]))
		}
	}
	for _, n := range now {
		if !slices.ContainsFunc(before, func(w R) bool { return kind.id(n) == kind.id(w) }) {
			added = append(added, n)
		}
	}
	for _, w := range gone {
		if i := slices.IndexFunc(added, func(n R) bool { return kind.same(w, n) }); i >= 0 {
			added = slices.Delete(added, i, i+1) // it was made again
		} else if kind.decides(w) {
			c.say("a rule%s is gone from %s", kind.text(w), kind.of)
		}
	}
	for _, n := range added {
		if kind.decides(n) {
			c.say("a rule%s was added to %s", kind.text(n), kind.of)
		}
	}
}

func (k ruleKind[R]) text(r R) string {
	if k.secret {
		return ""
	}
	return " (" + k.describe(r) + ")"
}

func (k ruleKind[R]) after(r R) string {
	if k.secret {
		return "another one"
	}
	return k.describe(r)
}

// both reports whether a part was read at both times: nothing is known of the other.
func wereRead[T any](before, now diagnosis.Answer[T]) bool { return before.Read && now.Read }

package report

import (
	"slices"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Stored is what the API server has of one session's counts, as one node sees it.
type Stored struct {
	// Own is the node's entry, nil for none.
	Own *v1alpha1.Verification
	// Retired is traffic.retired: the entries of all nodes that the manager has folded.
	// Others is the sum of the other nodes' entries. Neither has anything of an epoch.
	Retired, Others v1alpha1.Tallies
}

// StoredIn returns what a session has of its counts.
func StoredIn(s *v1alpha1.MirrorSession, node string) Stored {
	out := Stored{Own: Own(s, node)}
	if s.Status.Traffic != nil {
		out.Retired = v1alpha1.RetiredTallies(s.Status.Traffic.Retired)
	}
	for i := range s.Status.Verification {
		if e := &s.Status.Verification[i]; e.Node != node {
			other := v1alpha1.TalliesOf(e)
			out.Others = out.Others.Plus(v1alpha1.Tallies{Counts: other.Counts, Sources: other.Sources})
		}
	}
	return out
}

// Ledger decides what one run of a verifier reports of one session. It does no I/O and
// knows no clock. Make it with NewLedger; it is not safe for concurrent use.
//
// A run is a verifier that counts the session, from when it begins until it ends. When a
// pod is replaced one run follows another, and for a while both may count: each then sees
// every packet that comes, both write the same entry, and neither knows of the other but by
// what it reads there. So the total that a run reports has two parts:
//
//	what the run has counted itself + what it has not seen, but others have
//
// How much the second is, nobody knows for sure. But what an entry reports had come by the
// time as of which it was observed, and the run knows how much it had itself counted by
// then: it has seen no more of the entry than that. The rest is a lower bound of the second
// part, and the highest one so far is taken. So
//
//   - no packet is reported twice, and no total falls below the entry;
//   - nothing is missing where the other run had counted all that this one had by then, as
//     a predecessor has, whether it is still there or not, provided that the history of the
//     own counts is exact there;
//   - what a run that is killed has not reported is lost, unless another has seen it.
//
// It is so for each count: those of the session, of each source, and of each rule. What is
// reported of an epoch begins, for each run, when that run sees the epoch. What it has counted
// before, and what is reported of another epoch, is nothing then; for the rest the same
// holds.
type Ledger struct {
	started time.Time
	// epoch is the one that is counted in, and before what this run had counted when it saw it.
	epoch  int64
	before v1alpha1.Tallies
	// listed are the sources and the rules of which counts are kept, with nothing counted.
	listed v1alpha1.Tallies
	// unseen is what has to be reported although this run has not seen it. It is less than
	// nothing where this run has counted what traffic.retired reports already.
	unseen Totals
	// closed is what this run has counted in stretches that are over. counted is closed and
	// the present stretch, as last recorded, and history what it was before. All three are of
	// the whole run, whatever the epoch.
	closed, counted Totals
	history         history
	// retired and others are those of the last Merge.
	retired, others v1alpha1.Tallies
	// reported is whether the API server may have had an entry of this node while this run
	// was there: else none can have been folded meanwhile.
	reported bool
}

// NewLedger makes the ledger of a run that begins to count at the given time, or as one
// that did then.
func NewLedger(start time.Time) *Ledger {
	l := &Ledger{started: start}
	l.history.add(start, v1alpha1.Tallies{})
	return l
}

// Started is when this run began to count.
func (l *Ledger) Started() time.Time { return l.started }

// MoveStart notes that the run began later than it was thought, because the ring was not
// open before. It does nothing once there may be an entry, which bears the time and is
// known by it.
func (l *Ledger) MoveStart(start time.Time) {
	if !l.reported && start.After(l.started) {
		l.started = start
	}
}

// List says which sources and rules the session has now, whatever is counted there. Their
// counts are kept; those of others are forgotten, and begin anew should they come back.
func (l *Ledger) List(sources []v1alpha1.SourceCounts, rules []v1alpha1.RuleCounts) {
	var listed v1alpha1.Tallies
	for _, s := range v1alpha1.SortedSources(sources) {
		listed.Sources = append(listed.Sources, v1alpha1.SourceCounts{InterfaceID: s.InterfaceID, Address: s.Address})
	}
	for _, r := range v1alpha1.SortedRules(rules) {
		listed.Rules = append(listed.Rules, v1alpha1.RuleCounts{Direction: r.Direction, Priority: r.Priority})
	}
	if l.listed.Equal(listed) {
		return
	}
	was := l.listed
	l.listed = listed
	l.history.relist(was, listed)
	for _, t := range []*v1alpha1.Tallies{&l.unseen.Tallies, &l.closed.Tallies, &l.counted.Tallies, &l.before} {
		*t = only(*t, listed)
	}
}

// only returns the counts of the sources and rules that are listed, those of which there are
// none included.
func only(t, listed v1alpha1.Tallies) v1alpha1.Tallies {
	listed.Epoch = t.Epoch
	out := listed.Plus(t)
	out.Sources = slices.DeleteFunc(out.Sources, func(s v1alpha1.SourceCounts) bool {
		return !slices.ContainsFunc(listed.Sources, func(l v1alpha1.SourceCounts) bool { return l.InterfaceID == s.InterfaceID })
	})
	out.Rules = slices.DeleteFunc(out.Rules, func(r v1alpha1.RuleCounts) bool {
		return !slices.ContainsFunc(listed.Rules, func(l v1alpha1.RuleCounts) bool { return l.Direction == r.Direction && l.Priority == r.Priority })
	})
	return out
}

// Epoch is the one that is counted in.
func (l *Ledger) Epoch() int64 { return l.epoch }

// SetEpoch says that a new epoch has begun, or another one: what was recorded so far is nothing
// in it. The counts of what came before must have been recorded.
func (l *Ledger) SetEpoch(epoch int64) {
	if epoch != l.epoch {
		l.epoch, l.before = epoch, l.counted.Tallies
		l.unseen.Tallies = l.unseen.Now(epoch)
	}
}

// reports are what a run that has counted so much reports of it: in the epoch, what it has
// counted since it saw that.
func (l *Ledger) reports(counted v1alpha1.Tallies) v1alpha1.Tallies {
	since := counted.Minus(l.before).Max(v1alpha1.Tallies{})
	return v1alpha1.Tallies{Counts: counted.Counts, Sources: counted.Sources, Epoch: l.epoch, InEpoch: since.Counts, Rules: since.Rules}
}

// Close adds a stretch of counting that is over.
func (l *Ledger) Close(stretch Totals) { l.closed = l.with(stretch) }

// with is what this run has counted with a stretch more.
func (l *Ledger) with(stretch Totals) Totals {
	sum := l.closed.Plus(stretch)
	sum.Tallies = only(sum.Tallies, l.listed)
	return sum
}

// Record notes what the present stretch has counted; nothing is missing in it that came
// before the given time, and nothing came later. The more often it is called while counts
// move, the better is known later what had been counted when.
func (l *Ledger) Record(at time.Time, stretch Totals) {
	l.counted = l.with(stretch)
	l.history.add(at, l.counted.Tallies)
}

// Totals are what is to be reported, as of the last Record.
func (l *Ledger) Totals() Totals {
	mine := l.counted
	mine.Tallies = l.reports(mine.Tallies)
	return l.unseen.Plus(mine)
}

// Reported notes that an entry was written. It must be called too when nobody knows
// whether the write took effect, or will: the next Merge finds out.
func (l *Ledger) Reported() { l.reported = true }

// Merge takes over what was read from the API server. It comes before each write, after
// the counts were recorded, and the write must fail if anything has changed in between.
func (l *Ledger) Merge(s Stored) {
	// What traffic.retired reports from now on, the entry must not.
	l.unseen.Tallies = l.unseen.Minus(l.folded(s))
	if s.Own != nil {
		entry := TotalsOf(*s.Own)
		counted := l.reports(l.history.asOf(s.Own.ObservedAt.Time, l.counted.Tallies))
		bound := entry.Now(l.epoch).Minus(counted)
		l.unseen = l.unseen.times(entry)
		l.unseen.Tallies = l.unseen.Max(bound)
		l.reported = true
	}
	l.unseen.Tallies = only(l.unseen.Tallies, l.listed)
	l.retired, l.others = s.Retired, s.Others
}

// folded is how much of this node's entries the manager has moved to traffic.retired since
// the last Merge. The entry that was moved may not be the one that was read then, so the
// growth of traffic.retired counts. It holds the entries of other nodes that were moved
// meanwhile, too; as they have gone from others by the same amount, these cancel out. Where
// such an entry had grown before it was moved, the growth is mistaken for this node's: then
// some of what this run has not reported yet is lost, and nothing is reported twice. Of an
// epoch nothing is ever retired.
func (l *Ledger) folded(s Stored) v1alpha1.Tallies {
	if !l.reported || l.wrote(s.Own) {
		return v1alpha1.Tallies{} // there was none, or it is still there
	}
	retired := s.Retired.Minus(l.retired)
	moved := s.Others.Minus(l.others).Plus(retired)
	mine := l.Totals()
	folded := retired.Min(moved).Min(mine.Tallies).Max(v1alpha1.Tallies{})
	return v1alpha1.Tallies{Counts: folded.Counts, Sources: folded.Sources}
}

// wrote reports whether an entry is this run's. The API server keeps microseconds.
func (l *Ledger) wrote(e *v1alpha1.Verification) bool {
	return e != nil && e.StartedAt.Equal(optional(l.started))
}

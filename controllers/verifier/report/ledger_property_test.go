package report_test

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
)

// world is what really happens to one session on one node: packets come, runs of the
// verifier begin and end, and the API server has what was written. Only the runs' ledgers
// are real.
type world struct {
	t   interface{ Fatalf(string, ...any) } // of a test or of a property
	now time.Time
	log []step

	bursts []v1alpha1.Tallies // what came, in order
	runs   []*run
	begun  int

	// epoch is the session's. entry is that of the node, with what it stands for; version
	// changes with each write.
	epoch   int64
	entry   *v1alpha1.Verification
	holds   set
	version int
	// retired and others are what the API server reports of all nodes, and moved what of
	// retired was this node's.
	retired, others, moved v1alpha1.Tallies
	// reported is what was in an entry once, and highest the highest total.
	reported set
	highest  v1alpha1.Tallies
	// inEpoch is what was in an entry of the present epoch, and owed what of that has to be in
	// the entry still: of an epoch nothing is retired.
	inEpoch, owed  set
	highestInEpoch v1alpha1.Tallies
	// blurred is how much ledgers must take for reported that is not, because nothing was
	// recorded at the moment that mattered.
	blurred v1alpha1.Tallies

	limits limits
}

// limits are what is left out of a world.
type limits struct {
	// runs is how many count at once at most.
	runs int
	// folded lets the manager fold the node's entry. Where runs can overlap it does so only
	// after each has seen that there is one: all read within a second after they begin.
	folded bool
	// othersCount lets another node count as well, and othersFolded lets the manager fold
	// its entry.
	othersCount, othersFolded bool
	// answered lets every write have an answer.
	answered bool
	// exact demands that nothing is lost. A run then begins, and goes over to an epoch, only
	// after the one that is left has read what the last one that ended has written.
	exact bool
}

// set is a set of bursts.
type set uint64

// run is a verifier that counts.
type run struct {
	name    string
	ledger  *report.Ledger
	seen    set // all that came since it began
	inEpoch set // since it saw the epoch
	counted v1alpha1.Tallies
	// counts and records are what was counted and recorded when.
	counts, records []record
	// unanswered is a write of which the run does not know whether it took effect.
	unanswered *attempt
	// sees is whether the run has seen the entry that there is, or one before it; heard
	// whether it has read since the last run ended.
	sees, heard bool
}

type record struct {
	at     time.Time
	counts v1alpha1.Tallies
}

type attempt struct {
	entry          v1alpha1.Verification
	holds, inEpoch set
	on             int // the version that it was made for
}

// step is what has happened, put into words only where somebody reads them.
type step struct {
	format string
	args   []any
}

func (w *world) logf(format string, args ...any) {
	w.log = append(w.log, step{format, args})
}

func (w *world) fatalf(format string, args ...any) {
	var steps strings.Builder
	for _, s := range w.log {
		fmt.Fprintf(&steps, s.format+"\n", s.args...)
	}
	w.t.Fatalf("%s, after:\n%s", fmt.Sprintf(format, args...), steps.String())
}

// pass lets time pass, so that no two things happen at once.
func (w *world) pass() { w.now = w.now.Add(time.Second) }

// size is how many packets a set has.
func (w *world) size(s set) (sum v1alpha1.Tallies) {
	for ; s != 0; s &= s - 1 {
		sum = sum.Plus(w.bursts[bits.TrailingZeros64(uint64(s))])
	}
	return sum
}

// begin starts a run.
func (w *world) begin() *run {
	w.pass()
	w.begun++
	r := &run{name: string(rune('A' + (w.begun-1)%26)), ledger: report.NewLedger(w.now)}
	r.ledger.List(sourcesOf(0, 0), rulesOf(0, 0))
	r.counts, r.records = []record{{w.now, r.counted}}, []record{{w.now, r.counted}}
	w.runs = append(w.runs, r)
	w.logf("%s begins", r.name)
	w.see(r)
	return r
}

// see lets a run see which epoch it is.
func (w *world) see(r *run) {
	if r.ledger.Epoch() != w.epoch {
		w.record(r)
		r.ledger.SetEpoch(w.epoch)
		r.inEpoch = 0
		w.logf("%s sees epoch %d", r.name, w.epoch)
	}
}

// raise begins an epoch, as the manager does.
func (w *world) raise() {
	w.version++
	w.epoch++
	w.inEpoch, w.owed, w.highestInEpoch = 0, 0, v1alpha1.Tallies{}
	w.logf("epoch %d begins", w.epoch)
}

// come lets a burst come, which every run sees.
func (w *world) come(burst v1alpha1.Tallies) {
	w.pass()
	one := set(1) << len(w.bursts)
	w.bursts = append(w.bursts, burst)
	for _, r := range w.runs {
		r.seen |= one
		r.inEpoch |= one
		r.counted = r.counted.Plus(burst)
		r.counts = append(r.counts, record{w.now, r.counted})
	}
	w.logf("%d and %d packets come from the sources %v, by the rules %v", burst.Packets, burst.Unexpected, burst.Sources, burst.Rules)
}

// record lets a run note what it has counted.
func (w *world) record(r *run) {
	w.pass()
	r.records = append(r.records, record{w.now, r.counted})
	r.ledger.Record(w.now, report.Totals{Tallies: r.counted})
}

// read lets a run read, and returns what it would write.
func (w *world) read(r *run) attempt {
	w.see(r)
	w.record(r)
	r.heard = true
	if w.entry != nil {
		r.sees = true
		w.blur(r)
	}
	r.ledger.Merge(report.Stored{Own: w.entry, Retired: w.retired, Others: w.others})
	return attempt{
		entry: r.ledger.Totals().Entry(report.Observation{Node: "node-1", At: w.now, Started: r.ledger.Started()}),
		holds: r.seen, inEpoch: r.inEpoch, on: w.version,
	}
}

// blur adds up what a run can't know of another one's entry: what it had counted when the
// entry was exact, if it recorded nothing just then.
func (w *world) blur(r *run) {
	if w.entry.StartedAt.Time.Equal(r.ledger.Started()) {
		return
	}
	as := w.entry.ObservedAt.Time
	var exact v1alpha1.Tallies
	for _, c := range r.counts {
		if !c.at.After(as) {
			exact = c.counts
		}
	}
	for _, c := range r.records {
		if c.at.After(as) {
			w.blurred = w.blurred.Plus(c.counts.Minus(exact))
			return
		}
	}
}

// take lets a write take effect.
func (w *world) take(a attempt) {
	w.version++
	w.entry, w.holds = &a.entry, w.holds|a.holds
	w.reported |= a.holds
	w.inEpoch |= a.inEpoch
	w.owed |= a.inEpoch
}

// write lets a run read and write, and get an answer.
func (w *world) write(r *run) {
	a := w.read(r)
	w.take(a)
	r.sees = true
	r.ledger.Reported()
	w.logf("%s writes %s", r.name, show(a.entry))
}

// writeUnanswered does the same without an answer.
func (w *world) writeUnanswered(r *run, effect bool) {
	a := w.read(r)
	r.ledger.Reported()
	r.unanswered = &a
	w.logf("%s writes %s without an answer", r.name, show(a.entry))
	if effect {
		w.effect(r)
	}
}

// effect lets a write take effect that had no answer.
func (w *world) effect(r *run) {
	w.take(*r.unanswered)
	r.unanswered, r.sees = nil, true
	w.logf("that of %s has taken effect", r.name)
}

// end ends a run, with or without its last write.
func (w *world) end(r *run, orderly bool) {
	if orderly {
		w.write(r)
	}
	w.logf("%s ends", r.name)
	var left []*run
	for _, other := range w.runs {
		if other != r {
			other.heard = false
			left = append(left, other)
		}
	}
	w.runs = left
}

// fold lets the manager fold the node's entry.
func (w *world) fold() {
	w.version++
	w.retired, w.moved = w.retired.Plus(lasting(w.entry)), w.moved.Plus(lasting(w.entry))
	w.entry, w.holds, w.owed, w.highestInEpoch = nil, 0, 0, v1alpha1.Tallies{}
	for _, r := range w.runs {
		r.sees = false
	}
	w.logf("the entry is folded: %d and %d are retired", w.retired.Packets, w.retired.Unexpected)
}

// foldOther lets the manager fold the entry of the other node.
func (w *world) foldOther() {
	w.version++
	w.retired, w.others = w.retired.Plus(w.others), v1alpha1.Tallies{}
	w.logf("another node's entry is folded: %d and %d are retired", w.retired.Packets, w.retired.Unexpected)
}

// lasting is what of an entry is of no epoch.
func lasting(e *v1alpha1.Verification) v1alpha1.Tallies {
	all := v1alpha1.TalliesOf(e)
	return v1alpha1.Tallies{Counts: all.Counts, Sources: all.Sources}
}

// show is an entry in short.
type show v1alpha1.Verification

func (e show) String() string {
	return fmt.Sprintf("%d and %d, of these in epoch %d %d and %d, from the sources %v, by the rules %v",
		e.Packets, e.Unexpected, e.Epoch, e.InEpoch.Packets, e.InEpoch.Unexpected, e.Sources, e.Rules)
}

// reports is what the API server reports of this node's packets.
func (w *world) reports() v1alpha1.Tallies {
	if w.entry == nil {
		return w.moved
	}
	return w.moved.Plus(lasting(w.entry))
}

// reportsInEpoch is what it reports of those of the present epoch, as if there were no other.
func (w *world) reportsInEpoch() v1alpha1.Tallies {
	if w.entry == nil || w.entry.Epoch != w.epoch {
		return v1alpha1.Tallies{}
	}
	return v1alpha1.Tallies{Counts: *w.entry.InEpoch, Rules: w.entry.Rules}
}

// less reports whether some count of a is less than its fellow of b.
func less(a, b v1alpha1.Tallies) bool {
	diff := a.Minus(b)
	return slices.Min(numbers(diff)) < 0
}

// numbers are all counts in a row.
func numbers(t v1alpha1.Tallies) []int64 {
	out := []int64{}
	for _, c := range []v1alpha1.Counts{t.Counts, t.InEpoch} {
		out = append(out, c.Packets, c.Bytes, c.Unexpected, c.Undecided, c.ForeignSource, c.Dropped, c.Truncated, c.Unreadable)
	}
	for _, s := range t.Sources {
		out = append(out, s.Packets, s.Bytes, s.Unexpected, s.Truncated)
	}
	for _, r := range t.Rules {
		out = append(out, r.Packets)
	}
	return out
}

// check fails unless the totals are right so far.
func (w *world) check() {
	total := w.reports().Plus(w.retired).Minus(w.moved).Plus(w.others)
	came, cameInEpoch := w.size(w.reported), w.size(w.inEpoch)
	switch {
	case w.entry != nil && less(v1alpha1.TalliesOf(w.entry), v1alpha1.Tallies{}):
		w.fatalf("the entry has fewer than none: %s", show(*w.entry))
	case less(total, w.highest):
		w.fatalf("the total fell from %+v to %+v", w.highest, total)
	case less(w.reportsInEpoch(), w.highestInEpoch):
		w.fatalf("in epoch %d it fell from %+v to %+v", w.epoch, w.highestInEpoch, w.reportsInEpoch())
	case less(v1alpha1.Tallies{Counts: came.Counts, Sources: came.Sources}, w.reports()):
		w.fatalf("reported are %+v, and only %+v came", w.reports(), came)
	case less(v1alpha1.Tallies{Counts: cameInEpoch.Counts, Rules: cameInEpoch.Rules}, w.reportsInEpoch()):
		w.fatalf("reported of epoch %d are %+v, and only %+v came", w.epoch, w.reportsInEpoch(), cameInEpoch)
	}
	w.highest, w.highestInEpoch = total, w.reportsInEpoch()
}

// checkAllReported lets every run write and fails unless all that came is reported then.
func (w *world) checkAllReported() {
	for range 2 {
		for _, r := range w.runs {
			w.write(r)
			w.check()
		}
	}
	came := w.size(w.reported)
	came.Rules = nil // they are of an epoch
	if less(w.reports(), came.Minus(w.blurred)) {
		w.fatalf("at the end %+v are reported; %+v came, and %+v are not known exactly", w.reports(), came, w.blurred)
	}
	came = w.size(w.owed)
	came.Sources = nil // they are of no epoch
	if less(w.reportsInEpoch(), came.Minus(w.blurred)) {
		w.fatalf("at the end %+v are reported of epoch %d; %+v came, and %+v are not known exactly", w.reportsInEpoch(), w.epoch, came, w.blurred)
	}
}

// mayEnter is whether a run may go over to the epoch now.
func (w *world) mayEnter(r *run) bool {
	return r.ledger.Epoch() == w.epoch || w.allHaveHeard(r)
}

// allHaveHeard is whether all runs but one have read since the last one ended.
func (w *world) allHaveHeard(but *run) bool {
	for _, r := range w.runs {
		if w.limits.exact && r != but && !r.heard && w.begun != len(w.runs) {
			return false
		}
	}
	return true
}

// any draws a run and skips the action if there is none.
func (w *world) any(t *rapid.T) *run {
	if len(w.runs) == 0 {
		t.Skip("nobody counts")
	}
	return w.runs[rapid.IntRange(0, len(w.runs)-1).Draw(t, "run")]
}

// sourcesOf are the counts of two sources that have sent so many accepted packets.
func sourcesOf(a, b int64) []v1alpha1.SourceCounts {
	return []v1alpha1.SourceCounts{{InterfaceID: "a", Packets: a}, {InterfaceID: "b", Packets: b}}
}

// rulesOf are those of two rules.
func rulesOf(first, second int64) []v1alpha1.RuleCounts {
	return []v1alpha1.RuleCounts{
		{Direction: v1alpha1.DirectionIngress, Priority: 1, Packets: first},
		{Direction: v1alpha1.DirectionIngress, Priority: 2, Packets: second},
	}
}

func drawBurst(t *rapid.T) (out v1alpha1.Tallies) {
	n := rapid.Int64Range(1, 9).Draw(t, "n")
	source, rule := rapid.IntRange(0, 1).Draw(t, "source"), rapid.IntRange(0, 1).Draw(t, "rule")
	out.Sources, out.Rules = sourcesOf(0, 0), rulesOf(0, 0)
	out.Rules[rule].Packets = n
	if rapid.Bool().Draw(t, "accepted") {
		out.Counts.Packets, out.Sources[source].Packets, out.Sources[source].Truncated = n, n, n
	} else {
		out.Counts.Unexpected, out.Sources[source].Unexpected = n, n
	}
	return out
}

// ofNoEpoch is a burst as another node's entry has it.
func ofNoEpoch(t v1alpha1.Tallies) v1alpha1.Tallies {
	t.Rules = nil
	return t
}

// actions are all that can happen.
func (w *world) actions(punctual bool) map[string]func(*rapid.T) {
	need := func(t *rapid.T, ok bool) {
		if !ok {
			t.Skip("it can't be now")
		}
	}
	reader := func(t *rapid.T) *run { // who reads sees the epoch
		r := w.any(t)
		need(t, w.mayEnter(r))
		return r
	}
	return map[string]func(*rapid.T){
		"packets come": func(t *rapid.T) {
			need(t, len(w.bursts) < 64 && len(w.runs) > 0)
			if punctual {
				for _, r := range w.runs {
					w.record(r)
				}
			}
			w.come(drawBurst(t))
		},
		"record": func(t *rapid.T) { w.record(w.any(t)) },
		"begin": func(t *rapid.T) {
			need(t, len(w.runs) < w.limits.runs)
			need(t, w.allHaveHeard(nil))
			w.begin()
		},
		"an epoch begins": func(t *rapid.T) { w.raise() },
		"see the epoch":   func(t *rapid.T) { w.see(reader(t)) },
		"write":           func(t *rapid.T) { w.write(reader(t)) },
		"read":            func(t *rapid.T) { w.read(reader(t)) },
		"write without answer": func(t *rapid.T) {
			need(t, !w.limits.answered)
			w.writeUnanswered(reader(t), rapid.Bool().Draw(t, "effect"))
		},
		"late effect": func(t *rapid.T) {
			r := w.any(t)
			need(t, r.unanswered != nil && r.unanswered.on == w.version)
			w.effect(r)
		},
		"end":   func(t *rapid.T) { w.end(reader(t), true) },
		"crash": func(t *rapid.T) { w.end(w.any(t), false) },
		"fold": func(t *rapid.T) {
			need(t, w.limits.folded && w.entry != nil)
			for _, r := range w.runs {
				need(t, r.sees || w.limits.runs == 1)
			}
			w.fold()
		},
		"the other node counts": func(t *rapid.T) {
			need(t, w.limits.othersCount)
			w.version++
			w.others = w.others.Plus(ofNoEpoch(drawBurst(t)))
			w.logf("another node reports %d and %d", w.others.Packets, w.others.Unexpected)
		},
		"fold the other node's": func(t *rapid.T) {
			need(t, w.limits.othersFolded)
			w.foldOther()
		},
		"": func(*rapid.T) { w.check() },
	}
}

// Whatever happens in whatever order, the totals of a node (its entry, and what of it is
// retired) never fall and never report a packet twice. Nothing is lost either, but what a
// run had not reported when it was killed, as long as the manager folds nothing while runs
// overlap, and no entry of another node that has just grown while this node's is folded or
// a write of it was not answered. It is so for the session, for each source, for what is of
// an epoch, and for each rule in it, whenever epochs begin and whenever runs see that.
func TestTotalsNeitherFallNorDoubleNorStayBehind(t *testing.T) {
	for name, l := range map[string]limits{
		"one run after another":                             {runs: 1, folded: true, othersFolded: true, exact: true},
		"one run after another while another node counts":   {runs: 1, folded: true, othersCount: true, exact: true},
		"one run after another while another node ends":     {runs: 1, othersCount: true, othersFolded: true, answered: true, exact: true},
		"one run after another with all that others can do": {runs: 1, folded: true, othersCount: true, othersFolded: true},
		"overlapping runs":                                  {runs: 2, othersCount: true, exact: true},
		"overlapping runs with all that others can do":      {runs: 3, folded: true, othersCount: true, othersFolded: true},
	} {
		t.Run(name, func(t *testing.T) {
			const hundreds = 15 // rapid draws a hundred interleavings at a time
			for range hundreds {
				rapid.Check(t, func(t *rapid.T) { playAll(t, l) })
				if t.Failed() {
					return
				}
			}
		})
	}
}

// playAll lets anything happen in a world, and checks it after each step.
func playAll(t *rapid.T, l limits) {
	w := &world{t: t, now: noon, limits: l}
	w.others = ofNoEpoch(drawBurst(t))
	punctual := rapid.Bool().Draw(t, "punctual")
	t.Repeat(w.actions(punctual))
	if l.exact {
		w.checkAllReported()
	}
	if punctual && slices.Max(numbers(w.blurred)) != 0 {
		t.Fatalf("all was recorded in time, and yet %+v are not known exactly", w.blurred)
	}
}

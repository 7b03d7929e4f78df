package report_test

import (
	"fmt"
	"math/bits"
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
	log []string

	bursts []v1alpha1.Counts // what came, in order
	runs   []*run
	begun  int

	// entry is that of the node, with what it stands for; version changes with each write.
	entry   *v1alpha1.Verification
	holds   set
	version int
	// retired and others are what the API server reports of all nodes, and moved what of
	// retired was this node's.
	retired, others, moved v1alpha1.Counts
	// reported is what was in an entry once, and highest the highest total.
	reported set
	highest  v1alpha1.Counts
	// blurred is how much ledgers must take for reported that is not, because nothing was
	// recorded at the moment that mattered.
	blurred v1alpha1.Counts

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
	// exact demands that nothing is lost. A run then begins only after the one that is left
	// has read what the last one that ended has written.
	exact bool
}

// set is a set of bursts.
type set uint64

// run is a verifier that counts.
type run struct {
	name    string
	ledger  *report.Ledger
	seen    set
	counted v1alpha1.Counts
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
	counts v1alpha1.Counts
}

type attempt struct {
	entry v1alpha1.Verification
	holds set
	on    int // the version that it was made for
}

func (w *world) logf(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

func (w *world) fatalf(format string, args ...any) {
	w.t.Fatalf("%s, after:\n%s", fmt.Sprintf(format, args...), strings.Join(w.log, "\n"))
}

// pass lets time pass, so that no two things happen at once.
func (w *world) pass() { w.now = w.now.Add(time.Second) }

// size is how many packets a set has.
func (w *world) size(s set) (sum v1alpha1.Counts) {
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
	r.counts, r.records = []record{{w.now, r.counted}}, []record{{w.now, r.counted}}
	w.runs = append(w.runs, r)
	w.logf("%s begins", r.name)
	return r
}

// come lets a burst come, which every run sees.
func (w *world) come(burst v1alpha1.Counts) {
	w.pass()
	one := set(1) << len(w.bursts)
	w.bursts = append(w.bursts, burst)
	for _, r := range w.runs {
		r.seen |= one
		r.counted = r.counted.Plus(burst)
		r.counts = append(r.counts, record{w.now, r.counted})
	}
	w.logf("%d and %d packets come", burst.Packets, burst.Unexpected)
}

// record lets a run note what it has counted.
func (w *world) record(r *run) {
	w.pass()
	r.records = append(r.records, record{w.now, r.counted})
	r.ledger.Record(w.now, report.Totals{Counts: r.counted})
}

// read lets a run read, and returns what it would write.
func (w *world) read(r *run) attempt {
	w.record(r)
	r.heard = true
	if w.entry != nil {
		r.sees = true
		w.blur(r)
	}
	r.ledger.Merge(report.Stored{Own: w.entry, Retired: w.retired, Others: w.others})
	return attempt{
		entry: r.ledger.Totals().Entry(report.Observation{Node: "node-1", At: w.now, Started: r.ledger.Started()}),
		holds: r.seen, on: w.version,
	}
}

// blur adds up what a run can't know of another one's entry: what it had counted when the
// entry was exact, if it recorded nothing just then.
func (w *world) blur(r *run) {
	if w.entry.StartedAt.Time.Equal(r.ledger.Started()) {
		return
	}
	as := w.entry.ObservedAt.Time
	var exact v1alpha1.Counts
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
}

// write lets a run read and write, and get an answer.
func (w *world) write(r *run) {
	a := w.read(r)
	w.take(a)
	r.sees = true
	r.ledger.Reported()
	w.logf("%s writes %d and %d", r.name, a.entry.Packets, a.entry.Unexpected)
}

// writeUnanswered does the same without an answer.
func (w *world) writeUnanswered(r *run, effect bool) {
	a := w.read(r)
	r.ledger.Reported()
	r.unanswered = &a
	w.logf("%s writes %d and %d without an answer", r.name, a.entry.Packets, a.entry.Unexpected)
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
	w.retired, w.moved = w.retired.Plus(w.entry.Counts), w.moved.Plus(w.entry.Counts)
	w.entry, w.holds = nil, 0
	for _, r := range w.runs {
		r.sees = false
	}
	w.logf("the entry is folded: %d and %d are retired", w.retired.Packets, w.retired.Unexpected)
}

// foldOther lets the manager fold the entry of the other node.
func (w *world) foldOther() {
	w.version++
	w.retired, w.others = w.retired.Plus(w.others), v1alpha1.Counts{}
	w.logf("another node's entry is folded: %d and %d are retired", w.retired.Packets, w.retired.Unexpected)
}

// reports is what the API server reports of this node's packets.
func (w *world) reports() v1alpha1.Counts {
	if w.entry == nil {
		return w.moved
	}
	return w.moved.Plus(w.entry.Counts)
}

func less(a, b v1alpha1.Counts) bool { return a.Any(b, func(a, b int64) bool { return a < b }) }

// check fails unless the totals are right so far.
func (w *world) check() {
	total := w.reports().Plus(w.retired).Minus(w.moved).Plus(w.others)
	switch {
	case w.entry != nil && less(w.entry.Counts, v1alpha1.Counts{}):
		w.fatalf("the entry has fewer than none: %+v", w.entry.Counts)
	case less(total, w.highest):
		w.fatalf("the total fell from %+v to %+v", w.highest, total)
	case less(w.size(w.reported), w.reports()):
		w.fatalf("reported are %+v, and only %+v came", w.reports(), w.size(w.reported))
	}
	w.highest = total
}

// checkAllReported lets every run write and fails unless all that came is reported then.
func (w *world) checkAllReported() {
	for range 2 {
		for _, r := range w.runs {
			w.write(r)
			w.check()
		}
	}
	came, reports := w.size(w.reported), w.reports()
	if less(reports, came.Minus(w.blurred)) {
		w.fatalf("at the end %+v are reported; %+v came, and %+v are not known exactly", reports, came, w.blurred)
	}
}

// any draws a run and skips the action if there is none.
func (w *world) any(t *rapid.T) *run {
	if len(w.runs) == 0 {
		t.Skip("nobody counts")
	}
	return w.runs[rapid.IntRange(0, len(w.runs)-1).Draw(t, "run")]
}

func drawBurst(t *rapid.T) v1alpha1.Counts {
	n := rapid.Int64Range(1, 9).Draw(t, "n")
	if rapid.Bool().Draw(t, "accepted") {
		return v1alpha1.Counts{Packets: n}
	}
	return v1alpha1.Counts{Unexpected: n}
}

// actions are all that can happen.
func (w *world) actions(punctual bool) map[string]func(*rapid.T) {
	need := func(t *rapid.T, ok bool) {
		if !ok {
			t.Skip("it can't be now")
		}
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
			for _, r := range w.runs {
				need(t, !w.limits.exact || r.heard || w.begun == len(w.runs))
			}
			w.begin()
		},
		"write": func(t *rapid.T) { w.write(w.any(t)) },
		"read":  func(t *rapid.T) { w.read(w.any(t)) },
		"write without answer": func(t *rapid.T) {
			need(t, !w.limits.answered)
			w.writeUnanswered(w.any(t), rapid.Bool().Draw(t, "effect"))
		},
		"late effect": func(t *rapid.T) {
			r := w.any(t)
			need(t, r.unanswered != nil && r.unanswered.on == w.version)
			w.effect(r)
		},
		"end":   func(t *rapid.T) { w.end(w.any(t), true) },
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
			w.others = w.others.Plus(drawBurst(t))
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
// a write of it was not answered.
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
			const hundreds = 40 // rapid draws a hundred interleavings at a time
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
	w.others = v1alpha1.Counts{Packets: rapid.Int64Range(0, 9).Draw(t, "others")}
	punctual := rapid.Bool().Draw(t, "punctual")
	t.Repeat(w.actions(punctual))
	if l.exact {
		w.checkAllReported()
	}
	if punctual && w.blurred != (v1alpha1.Counts{}) {
		t.Fatalf("all was recorded in time, and yet %+v are not known exactly", w.blurred)
	}
}

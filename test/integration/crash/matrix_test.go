package crash_test

import (
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/integration/harness"
)

// cell is one run of a scenario: the manager stops at an effect, or something goes wrong
// with that, or both.
type cell struct {
	play  play
	where harness.Effect
	// stop is empty where the manager is not stopped.
	stop harness.Moment
	// deleted: everything is deleted while no manager runs.
	deleted bool
	// trouble is what goes wrong with the effect; nil for nothing.
	trouble *trouble
}

// trouble is what can go wrong with one effect.
type trouble struct {
	name string
	// fits says with which effects it can go wrong.
	fits func(harness.Effect) bool
	// fault is the cloud's; nil where the connection to the API server breaks.
	fault func(harness.Effect) fault.Fault
	// breaks is when that breaks.
	breaks harness.Moment
}

func ofCloud(e harness.Effect) bool  { return e.Cloud && e.IsWrite() }
func ofServer(e harness.Effect) bool { return !e.Cloud }
func anything(harness.Effect) bool   { return true }

// at makes a fault strike at one effect.
func at(f fault.Fault) func(harness.Effect) fault.Fault {
	return func(e harness.Effect) fault.Fault {
		f.Method, f.Path, f.Skip, f.Times = e.Method(), e.Path(), e.Number-1, 1
		return f
	}
}

// troubles are the faults that everything is crossed with.
func troubles() []*trouble {
	late := func(f fault.Fault, in time.Duration) fault.Fault {
		f.EffectIn = fault.Duration(in)
		return f
	}
	throttle := fault.Throttle(1, "1")
	page := fault.Fault{Kind: fault.HTML, Status: 500}
	reset := fault.Fault{Kind: fault.Reset}
	return []*trouble{
		{name: "lost", fits: ofCloud, fault: at(fault.Fault{Kind: fault.Reset, AfterEffect: true})},
		{name: "late 3 s", fits: ofCloud, fault: at(late(reset, late3))},
		{name: "late 6 s", fits: ofCloud, fault: at(late(reset, late6))},
		{name: "late 6 s and accepted", fits: ofCloud, fault: at(late(fault.Fault{Kind: fault.Accepted}, late6))},
		{name: "late 6 s and a 500", fits: ofCloud, fault: at(late(page, late6))},
		{name: "empty 200", fits: ofCloud, fault: at(fault.Fault{Kind: fault.Empty})},
		{name: "HTML 500", fits: ofCloud, fault: at(page)},
		{name: "429", fits: ofCloud, fault: at(throttle)},
		{name: "no answer", fits: ofCloud, fault: at(fault.Fault{Kind: fault.Slow, Delay: fault.Duration(time.Minute)})},
		{name: "no connection", fits: ofCloud, fault: at(reset)},
		{name: stale, fits: anything, fault: func(harness.Effect) fault.Fault {
			return fault.Fault{Kind: fault.Stale, For: fault.Duration(stale5)}
		}},
		{name: "API server: no connection", fits: ofServer, breaks: harness.Before},
		{name: "API server: lost", fits: ofServer, breaks: harness.After},
	}
}

// String names a cell as its subtest.
func (c cell) String() string {
	parts := []string{c.play.name}
	if c.where != (harness.Effect{}) {
		parts = append(parts, strings.ReplaceAll(c.where.String(), "/", "."))
	}
	if c.trouble != nil {
		parts = append(parts, c.trouble.name)
	}
	if c.stop != "" {
		parts = append(parts, "stopped "+string(c.stop))
	}
	if c.deleted {
		parts = append(parts, "deleted meanwhile")
	}
	return strings.Join(parts, ", ")
}

// verdict is how a run ended.
type verdict struct {
	reached bool
	effects []harness.Effect
	written int // statuses
	// what went wrong, by class
	unsettled                 string
	leaked, doubled, statuses []string
	harmed                    []string // see stage.harmed
}

func (v verdict) good() bool {
	return v.unsettled == "" && len(v.leaked)+len(v.doubled)+len(v.statuses)+len(v.harmed) == 0
}

// stale is the name of the trouble with reads that are old.
const stale = "stale reads"

// run plays a cell.
func (c cell) run(t *testing.T) (v verdict) {
	t.Helper()
	s := newStage(t, c.play.limit)
	if c.trouble != nil && c.trouble.name == stale {
		s.judge.Behind = stale5
	}
	s.start()
	if c.play.before != nil {
		c.play.before(s)
		if _, wrong := s.settle(nil); wrong != "" {
			t.Fatalf("before it began: %s", wrong)
		}
		s.age(t)
	}
	if c.play.away {
		s.manager.Stop(s.World)
		c.play.act(s)
		c.arm(s.newGate(), s)
		s.startBehind()
	} else {
		c.arm(s.gate, s)
		c.play.act(s)
	}
	v.reached, v.unsettled = s.settle(s.gate.Died())
	v.effects = s.gate.Effects()
	if v.reached {
		s.manager.Stop(s.World)
		switch {
		case c.deleted:
			s.removeAll()
		case c.play.back != nil:
			c.play.back(s)
		}
		s.start()
		_, v.unsettled = s.settle(nil)
	}
	s.manager.Stop(s.World)
	v.written = s.judge.Written()
	v.leaked, v.doubled = s.leftovers()
	v.harmed = s.harmed()
	v.statuses = append(s.judge.Lies(), s.Misjudged()...)
	v.reached = v.reached || c.stop == ""
	return v
}

// arm sets the gate and the cloud up for what is to happen.
func (c cell) arm(g *harness.Gate, s *stage) {
	var stop, broken func(harness.Effect) (harness.Moment, bool)
	if c.stop != "" {
		stop = harness.Once(c.stop, c.where)
	}
	switch {
	case c.trouble == nil:
	case c.trouble.fault != nil:
		f := c.trouble.fault(c.where)
		s.lagging = f.Kind == fault.Stale
		s.Fault(f)
	default:
		broken = harness.Once(c.trouble.breaks, c.where)
	}
	g.Arm(stop, broken)
}

// cells are all of a scenario whose effects are known: the manager stopped before and after
// each, with and without deletion meanwhile; each fault at each effect that it fits, by
// itself, and with a stop right after it. Stopping before a read is as good as after what
// was before that.
func cells(p play, effects []harness.Effect) (all []cell) {
	for _, e := range effects {
		for _, deleted := range []bool{false, true} {
			all = append(all, cell{play: p, where: e, stop: harness.Before, deleted: deleted})
			if !e.IsWrite() {
				continue
			}
			all = append(all, cell{play: p, where: e, stop: harness.After, deleted: deleted})
			for _, tr := range troubles() {
				if tr.fits(e) {
					all = append(all, cell{play: p, where: e, stop: harness.After, trouble: tr, deleted: deleted})
				}
			}
		}
		for _, tr := range troubles() {
			if e.IsWrite() && tr.fits(e) && tr.name != stale {
				all = append(all, cell{play: p, where: e, trouble: tr})
			}
		}
	}
	for _, tr := range troubles() {
		if tr.name == stale {
			all = append(all, cell{play: p, trouble: tr})
		}
	}
	return all
}

// sample takes n of the cells, the same each time, and of every scenario as many.
func sample(byPlay [][]cell, n int) (taken []cell) {
	for i, all := range byPlay {
		byPlay[i] = slices.Clone(all)
		slices.SortFunc(byPlay[i], func(a, b cell) int { return int(hash(a)) - int(hash(b)) })
	}
	for round := 0; len(taken) < n; round++ {
		more := false
		for _, all := range byPlay {
			if round < len(all) && len(taken) < n {
				taken, more = append(taken, all[round]), true
			}
		}
		if !more {
			return taken
		}
	}
	return taken
}

func hash(c cell) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(c.String())) // it never fails
	return h.Sum32() >> 1
}

// sampled is how many cells a run of all tests takes. The variable says how many in their
// place, or all, or from which to which, such as 225-1000.
const (
	sampled  = 225
	variable = "VPCMIRROR_CRASH_CELLS"
)

// wanted is from which cell to which is run.
func wanted(t *testing.T) (from, to int) {
	t.Helper()
	text := os.Getenv(variable)
	switch text {
	case "":
		return 0, sampled
	case "all":
		return 0, math.MaxInt
	}
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		first, last = "0", first
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err1 != nil || err2 != nil || to < from {
		t.Fatalf("%s is %q; give a number, two such as 225-1000, or all", variable, text)
	}
	return from, to
}

// TestWhereverTheManagerStopsAndWhateverGoesWrongNothingIsLeftOrDoubledOrMisstated is the
// crash matrix. First each scenario is played undisturbed, which tells its effects.
func TestWhereverTheManagerStopsAndWhateverGoesWrongNothingIsLeftOrDoubledOrMisstated(t *testing.T) {
	from, to := wanted(t)
	var r results
	all := plays()
	census := make([][]harness.Effect, len(all))
	t.Run("undisturbed", func(t *testing.T) {
		for i, p := range all {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				v := cell{play: p}.run(t)
				census[i] = v.effects
				r.add(t, cell{play: p}, v)
				r.undisturbed.Add(1)
			})
		}
	})
	if t.Failed() {
		return
	}
	byPlay := make([][]cell, len(all))
	for i, p := range all {
		byPlay[i] = cells(p, census[i])
		r.points += len(census[i])
		r.possible += len(byPlay[i])
	}
	taken := sample(byPlay, to)
	taken = taken[min(from, len(taken)):]
	t.Run("disturbed", func(t *testing.T) {
		for _, c := range taken {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				r.add(t, c, c.run(t))
			})
		}
	})
	t.Log(r.report(len(all)))
}

// results gathers verdicts.
type results struct {
	mu               sync.Mutex
	points, possible int
	undisturbed      atomic.Int64

	runs, missed, written             int
	leaked, doubled, lying, unsettled int
	harmed                            int
}

func (r *results) add(t *testing.T, c cell, v verdict) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs++
	r.written += v.written
	r.leaked += len(v.leaked)
	r.doubled += len(v.doubled)
	r.lying += len(v.statuses)
	r.harmed += len(v.harmed)
	if !v.reached {
		r.missed++
	}
	if v.unsettled != "" {
		r.unsettled++
		t.Errorf("after %s it is not settled: %s", patience, v.unsettled)
	}
	for _, problem := range slices.Concat(v.leaked, v.doubled, v.statuses, v.harmed) {
		t.Error(problem)
	}
	if !v.good() {
		t.Logf("the effects of %s were %v", c, v.effects)
	}
}

func (r *results) report(scenarios int) string {
	undisturbed := int(r.undisturbed.Load())
	return fmt.Sprintf("Result: %d scenarios with %d points, crossed with %d faults, give %d cells; %d were run "+
		"(%d did not come to their point) beside %d undisturbed ones, and %d statuses judged: "+
		"%d leaked, %d duplicated, %d taken from others, %d wrong statuses, %d not converged",
		scenarios, r.points, len(troubles()), r.possible, r.runs-undisturbed, r.missed, undisturbed, r.written,
		r.leaked, r.doubled, r.harmed, r.lying, r.unsettled)
}

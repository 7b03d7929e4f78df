package diagnosis

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

const (
	// look is the time between two reads of all sessions.
	look = time.Second
	// patience is how many times the promise a machine may take that does other things too: what
	// is said after the promise, and before this, counts, and the table says that it was late.
	patience = 5
)

// short are the rows that are not told fully, with the points that they reach; every other row
// has all. A row is taken out of here when it is mended, and never put in.
var short = map[string]int{"source-group-out": 0} // its copies go on: the flow stays open

// reached are the points of a row: less is a step back.
func reached(row string) int {
	if points, is := short[row]; is {
		return points
	}
	return right
}

// catalogue are all rows.
func catalogue() []cause {
	all := slices.Concat(groupCauses, pathCauses, filterCauses, handCauses, interfaceCauses, rightCauses, quietCauses, nodeCauses, balancerCauses, away())
	if only := os.Getenv("VPCMIRROR_DIAGNOSIS_ROWS"); only != "" { // to look into some
		names := strings.Split(only, ",")
		all = slices.DeleteFunc(all, func(c cause) bool { return !slices.Contains(names, c.id) })
	}
	return all
}

func TestTheSessionItselfSaysWhyNoCopiesCome(t *testing.T) {
	causes := catalogue()
	w := startWorld(t, causes)
	began := time.Now()
	before := w.flow()
	t.Logf("copies flow after %.0f s", time.Since(began).Seconds())
	results := w.play(before)
	t.Logf("all is said after %.0f s", time.Since(began).Seconds())
	t.Logf("the catalogue:\n%s", table(results))
	sum := 0
	for _, r := range results {
		sum += r.points
		switch want := reached(r.cause.id); {
		case r.points < want:
			t.Errorf("%s (%s): %d points, it had %d: it lacks %s; said was %s", r.cause.id, r.cause.name, r.points, want, r.lacks, r.said)
		case r.points > want:
			t.Logf("%s has %d points now: take it out of short", r.cause.id, r.points)
		}
		if r.before != "" {
			t.Errorf("%s: while copies flowed it said: %s", r.cause.id, r.before)
		}
	}
	t.Logf("Result: %d of %d points over %d causes", sum, right*len(results), len(results))
}

// flow makes the sessions of the rows whose copies are to flow first, waits for that, and
// returns what was wrong with them then, by row.
func (w *world) flow() map[string]string {
	w.t.Helper()
	for _, s := range w.sites {
		if s.flows {
			w.must(s.prepared())
			w.must(s.apply())
		}
	}
	wrong := map[string]string{}
	end := time.Now().Add(startDeadline)
	for {
		clear(wrong)
		sessions := w.sessions()
		for _, s := range w.sites {
			if !s.flows {
				continue
			}
			m := sessions[s.id]
			if text := healthy(&m); text != "" {
				wrong[s.id] = text
			}
		}
		if len(wrong) == 0 || time.Now().After(end) || !w.awaited(sessions) {
			return wrong
		}
		w.pause()
	}
}

// awaited reports whether copies of some row are still to come.
func (w *world) awaited(sessions map[string]v1alpha1.MirrorSession) bool {
	return slices.ContainsFunc(w.sites, func(s *site) bool {
		return s.flows && !meta.IsStatusConditionTrue(sessions[s.id].Status.Conditions, v1alpha1.ConditionTrafficObserved)
	})
}

func (s *site) prepared() error {
	if s.prepare == nil {
		return nil
	}
	if err := s.prepare(s); err != nil {
		return fmt.Errorf("preparing row %s: %w", s.id, err)
	}
	return nil
}

// begin injects the cause, and makes the objects of what is to be broken from the beginning.
func (s *site) begin() error {
	if !s.flows {
		if err := s.prepared(); err != nil {
			return err
		}
	}
	if s.inject != nil {
		if err := s.inject(s); err != nil {
			return fmt.Errorf("injecting: %w", err)
		}
	}
	if s.flows {
		return nil
	}
	return s.apply()
}

// pause waits for the next look.
func (w *world) pause() {
	select {
	case <-time.After(look):
	case <-w.t.Context().Done():
	}
}

// sessions are all, by name.
func (w *world) sessions() map[string]v1alpha1.MirrorSession {
	w.t.Helper()
	var list v1alpha1.MirrorSessionList
	w.must(w.api.List(w.t.Context(), &list, client.InNamespace(namespace)))
	all := map[string]v1alpha1.MirrorSession{}
	for _, m := range list.Items {
		all[m.Name] = m
	}
	return all
}

// play injects every cause and looks until all is said, or it is too late. What is broken from the
// beginning comes after what breaks: that so many sessions are made at once is nothing that a
// promise is given for. The manager goes away last.
func (w *world) play(before map[string]string) []result {
	w.t.Helper()
	results := make([]result, len(w.sites))
	for i, s := range w.sites {
		results[i] = result{cause: s.cause, before: before[s.id], verdict: verdict{said: "nothing, as it was not looked at"}}
	}
	for _, now := range []turn{breaks, broken, alone} {
		if !slices.ContainsFunc(w.sites, func(s *site) bool { return s.turn() == now }) {
			continue
		}
		if now == alone {
			w.must(w.leave())
		}
		w.round(results, now)
	}
	return results
}

// turn is when a row is played.
type turn int

const (
	breaks turn = iota // after copies flowed
	broken             // from the beginning
	alone              // with the manager away
)

func (s *site) turn() turn {
	switch {
	case len(s.want.why) > 0:
		return alone
	case s.flows:
		return breaks
	default:
		return broken
	}
}

// round plays the rows whose turn it is.
func (w *world) round(results []result, now turn) {
	w.t.Helper()
	began := make([]atomic.Pointer[time.Time], len(w.sites))
	// What is injected first is looked at while the others are injected.
	var injecting sync.WaitGroup
	injecting.Go(func() {
		for i, s := range w.sites {
			if s.turn() != now {
				continue
			}
			if err := s.begin(); err != nil {
				w.t.Errorf("row %s: %v", s.id, err)
			}
			began[i].Store(new(time.Now()))
		}
	})
	defer injecting.Wait()
	for open := true; open; w.pause() {
		sessions := w.sessions()
		open = false
		for i, s := range w.sites {
			if s.turn() != now {
				continue
			}
			at := began[i].Load()
			open = open || at == nil
			if at == nil || results[i].points == right || results[i].looked && time.Since(*at) > patience*s.promise() {
				continue
			}
			open = true
			m := sessions[s.id]
			v := judge(s.want, s.names(), &m)
			if now == alone {
				v = judgeWhy(s.want, w.why(s.id))
			}
			if v.points > results[i].points || results[i].points == 0 {
				results[i].verdict, results[i].after = v, time.Since(*at)
			}
			results[i].looked = true
		}
	}
}

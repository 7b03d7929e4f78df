package plan_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

func TestSourcesAreDividedAsTheyStayAndAsThereIsRoom(t *testing.T) {
	for name, c := range map[string]struct {
		sources []string
		in      map[int][]string
		order   []int
		limit   int
		want    map[int][]string
	}{
		"none":                                   {want: map[int][]string{}},
		"all fit in one":                         {sources: ids("a", 10), want: map[int][]string{1: ids("a", 10)}},
		"one too many":                           {sources: ids("a", 11), want: map[int][]string{1: ids("a", 10), 2: ids("a", 11)[10:]}},
		"a quota that was raised":                {sources: ids("a", 11), limit: 20, want: map[int][]string{1: ids("a", 11)}},
		"a quota that was lowered moves nothing": {sources: ids("a", 8), in: map[int][]string{1: ids("a", 8)}, order: []int{1}, limit: 5, want: map[int][]string{1: ids("a", 8)}},
		"room in the middle": {
			sources: append(ids("a", 8), "x", "y", "z"), in: map[int][]string{1: ids("a", 5), 2: {"a5", "a6"}, 4: {"a7"}}, order: []int{2, 1, 4}, limit: 5,
			want: map[int][]string{1: ids("a", 5), 2: {"a5", "a6", "x", "y", "z"}, 4: {"a7"}},
		},
		"a new part gets the smallest free number": {
			sources: append(ids("a", 4), "x"), in: map[int][]string{1: ids("a", 2), 3: {"a2", "a3"}}, order: []int{1, 3}, limit: 2,
			want: map[int][]string{1: ids("a", 2), 2: {"x"}, 3: {"a2", "a3"}},
		},
		"a source that somebody put into two parts": {
			sources: []string{"a", "b"}, in: map[int][]string{1: {"a", "b"}, 2: {"b"}}, order: []int{2, 1},
			want: map[int][]string{1: {"a"}, 2: {"b"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, plan.Divide(c.sources, c.in, c.order, c.limit)); diff != "" {
				t.Errorf("what each part copies from (-want +got):\n%s", diff)
			}
		})
	}
}

// ids are so many IDs that begin so.
func ids(begin string, count int) (all []string) {
	for n := range count {
		all = append(all, fmt.Sprint(begin, n))
	}
	return all
}

func TestEachSourceHasOnePartWhichIsThatItHadAndNoneIsOverTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 4).Draw(t, "limit")
		some := rapid.SliceOfNDistinct(rapid.IntRange(0, 20), 0, 14, rapid.ID)
		was, is := some.Draw(t, "sources before"), some.Draw(t, "sources")
		name := func(numbers []int) (out []string) {
			for _, n := range numbers {
				out = append(out, fmt.Sprint(n))
			}
			return out
		}
		before := plan.Divide(name(was), nil, nil, limit)
		order := rapid.Permutation(slices.Sorted(keys(before))).Draw(t, "order")
		sources := name(is)
		after := plan.Divide(sources, before, order, limit)
		partOf := map[string]int{}
		for number, all := range after {
			if len(all) == 0 || len(all) > limit || number < 1 {
				t.Fatalf("the part %d has %v, and the limit is %d", number, all, limit)
			}
			for _, id := range all {
				if partOf[id] != 0 {
					t.Fatalf("%s is in the parts %d and %d", id, partOf[id], number)
				}
				partOf[id] = number
			}
		}
		for _, id := range sources {
			if partOf[id] == 0 {
				t.Fatalf("%s is in no part of %v", id, after)
			}
			for number, all := range before {
				if slices.Contains(all, id) && partOf[id] != number {
					t.Fatalf("%s was in the part %d and is in %d", id, number, partOf[id])
				}
			}
		}
		if len(partOf) != len(sources) {
			t.Fatalf("%d sources are in parts, of %d", len(partOf), len(sources))
		}
	})
}

func keys[V any](m map[int]V) func(func(int) bool) {
	return func(yield func(int) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// account is what a cloud has of the parts of one session: it refuses what the real one refuses.
type account struct {
	sessions map[int]cloud.Session
	limit    int
}

// allowed is why a state is refused, empty where it is not.
func (a *account) allowed() string {
	sourceOf, targetOf := map[string]int{}, map[string]int{}
	for number, s := range a.sessions {
		if len(s.Sources) > a.limit {
			return fmt.Sprintf("the part %d has %d sources", number, len(s.Sources))
		}
		if len(s.Sources) == 0 {
			return fmt.Sprintf("the part %d has no source", number)
		}
		targetOf[s.TargetID] = number
		for _, id := range s.Sources {
			sourceOf[id] = number
		}
	}
	for id, number := range sourceOf {
		if other := targetOf[id]; other != 0 {
			return fmt.Sprintf("%s is a source of the part %d and the target of %d", id, number, other)
		}
	}
	return ""
}

// do makes one call.
func (a *account) do(number int, step plan.SessionStep) {
	s := a.sessions[number]
	switch {
	case step.Update != nil && step.Update.TargetID != nil:
		s.TargetID = *step.Update.TargetID
	case len(step.AddSources) > 0:
		s.Sources = append(slices.Clone(s.Sources), step.AddSources...)
	case len(step.RemoveSources) > 0:
		s.Sources = slices.DeleteFunc(slices.Clone(s.Sources), func(id string) bool { return slices.Contains(step.RemoveSources, id) })
	}
	if step.Update != nil && step.Update.Enabled != nil {
		s.Enabled = *step.Update.Enabled
	}
	a.sessions[number] = s
}

// copied are the sources whose packets go to a target now.
func (a *account) copied() map[[2]string]bool {
	all := map[[2]string]bool{}
	for _, s := range a.sessions {
		for _, id := range s.Sources {
			if s.Enabled {
				all[[2]string{id, s.TargetID}] = true
			}
		}
	}
	return all
}

// The cloud takes no interface as the source of one session and the target of another, and no session without a source.
func TestPartsThatAreBroughtInLineInTurnAreNeverRefusedAndCopyNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(2, 3).Draw(t, "limit")
		some := rapid.SliceOfNDistinct(rapid.IntRange(0, 8), 2, 9, rapid.ID)
		was, is := some.Draw(t, "target and sources before"), some.Draw(t, "target and sources")
		name := func(n int) string { return fmt.Sprint("i", n) }
		names := func(numbers []int) (out []string) {
			for _, n := range numbers {
				out = append(out, name(n))
			}
			return out
		}
		wanted := func(target int, parts map[int][]string) map[int]plan.WantedSession {
			all := map[int]plan.WantedSession{}
			for number, sources := range parts {
				all[number] = plan.WantedSession{Sources: sources, SessionSpec: cloud.SessionSpec{TargetID: name(target), Enabled: true, Priority: number}}
			}
			return all
		}
		before := plan.Divide(names(was[1:]), nil, nil, limit)
		a := &account{sessions: map[int]cloud.Session{}, limit: limit}
		for number, w := range wanted(was[0], before) {
			a.sessions[number] = cloud.Session{ID: fmt.Sprint(number), SessionSpec: w.SessionSpec, Sources: w.Sources}
		}
		order := slices.Sorted(keys(before))
		want := wanted(is[0], plan.Divide(names(is[1:]), before, order, limit))
		either := a.copied()
		for _, w := range want {
			for _, id := range w.Sources {
				either[[2]string{id, w.TargetID}] = true
			}
		}
		check := func(did string) {
			if refused := a.allowed(); refused != "" {
				t.Fatalf("%s: %s", did, refused)
			}
			for c := range a.copied() {
				if !either[c] {
					t.Fatalf("%s: %s is copied to %s, as neither state would", did, c[0], c[1])
				}
			}
		}
		first, turn, last := plan.InTurn(want, a.sessions)
		remove := func(numbers []int) {
			for _, number := range numbers {
				delete(a.sessions, number)
			}
		}
		remove(first)
		again := turn
		for range 2 {
			for _, number := range again {
				w := plan.Meanwhile(want[number], a.sessions)
				have, there := a.sessions[number]
				if there && plan.MustReplace(w, have) {
					delete(a.sessions, number)
					there = false
				}
				if !there {
					a.sessions[number] = cloud.Session{ID: fmt.Sprint(number), SessionSpec: w.SessionSpec, Sources: w.Sources}
					check(fmt.Sprintf("the part %d is made with %v to %s", number, w.Sources, w.TargetID))
					continue
				}
				diff := plan.DiffSession(w, have)
				for _, step := range diff.Steps(limit) {
					a.do(number, step)
					check(fmt.Sprintf("part %d: %+v", number, step))
				}
			}
			remove(last)
			last = nil
		}
		for number, w := range want {
			if diff := cmp.Diff(plan.DiffSession(w, a.sessions[number]).Changes, []plan.Change(nil)); diff != "" {
				t.Fatalf("the part %d is not in line: %s", number, diff)
			}
		}
	})
}

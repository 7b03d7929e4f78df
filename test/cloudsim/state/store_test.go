package state

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/test/cloudsim/scenario"
)

const project = scenario.WalkthroughProject

func ptr[T any](v T) *T { return &v }

func newStore(now func() time.Time) *Store {
	return NewStore(FromScenario(scenario.Walkthrough(), now()), now)
}

func fixed() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 500, time.UTC) }

// TestNoSequenceOfCallsBreaksWhatTheCloudPromises: after any calls, accepted or refused, priorities are unique, references
// hold, quotas are kept and nobody is source and target.
func TestNoSequenceOfCallsBreaksWhatTheCloudPromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newStore(fixed)
		s.Edit(func(w *World) {
			w.Quotas.RulesPerDirection, w.Quotas.SessionsPerSource, w.Quotas.SessionsPerENITarget, w.Quotas.SessionsPerFilter = 3, 2, 2, 2
		})
		ids := func(list []string) string { // mostly one that exists
			if len(list) == 0 || rapid.IntRange(0, 9).Draw(rt, "stranger") == 0 {
				return "nobody"
			}
			return rapid.SampledFrom(list).Draw(rt, "id")
		}
		// Not by snapshots: what nobody holds is changed in place.
		filters := func() string {
			return ids(read(s, func(w *World) []string { return slices.Sorted(maps.Keys(w.Filters)) }))
		}
		sessions := func() string {
			return ids(read(s, func(w *World) []string { return slices.Sorted(maps.Keys(w.Sessions)) }))
		}
		rules := func() string {
			return ids(read(s, func(w *World) []string { return slices.Sorted(maps.Keys(w.Rules)) }))
		}
		var held *World
		var image string
		ports := rapid.SliceOfN(rapid.SampledFrom([]string{scenario.WalkthroughSource, scenario.WalkthroughTest, scenario.WalkthroughTarget}), 0, 2)
		priority := rapid.IntRange(0, 4)
		_, err := s.CreateFilter(project, FilterInput{Name: ptr("f")})
		check := func(err error) {
			var refused *Error
			if err != nil && !errors.As(err, &refused) {
				rt.Fatalf("error %v is no refusal", err)
			}
			if broken := read(s, promises); broken != "" {
				rt.Fatal(broken)
			}
			if broken := read(s, s.unrelated); broken != "" {
				rt.Fatal(broken)
			}
			if held != nil && pictured(held) != image {
				rt.Fatalf("a snapshot has changed, from\n%s\nto\n%s", image, pictured(held))
			}
		}
		check(err)
		sessionInput := func() SessionInput {
			return SessionInput{
				Name: ptr("s"), FilterID: ptr(filters()), Sources: ptr(ports.Draw(rt, "sources")), TargetType: ptr("eni"),
				TargetID: ptr(rapid.SampledFrom([]string{scenario.WalkthroughTarget, scenario.WalkthroughTest}).Draw(rt, "target")), Priority: ptr(priority.Draw(rt, "priority")),
			}
		}
		ruleInput := func() RuleInput {
			return RuleInput{
				FilterID: ptr(filters()), Direction: ptr(rapid.SampledFrom([]string{Ingress, Egress}).Draw(rt, "direction")), Protocol: ptr("TCP"),
				EtherType: ptr("IPv4"), Action: ptr("accept"), Priority: ptr(priority.Draw(rt, "priority")),
			}
		}
		createSession := func(*rapid.T) { _, err := s.CreateSession(project, sessionInput()); check(err) }
		// Sessions have the most promises, and most of those made up here are refused: so more are tried.
		rt.Repeat(map[string]func(*rapid.T){
			"create filter":  func(*rapid.T) { _, err := s.CreateFilter(project, FilterInput{Name: ptr("f")}); check(err) },
			"delete filter":  func(*rapid.T) { check(s.DeleteFilter(project, filters())) },
			"create rule":    func(*rapid.T) { _, err := s.CreateRule(project, ruleInput()); check(err) },
			"update rule":    func(*rapid.T) { _, err := s.UpdateRule(project, rules(), ruleInput()); check(err) },
			"delete rule":    func(*rapid.T) { check(s.DeleteRule(project, rules())) },
			"create session": createSession, "create another session": createSession, "create a third session": createSession,
			"update session": func(*rapid.T) { _, err := s.UpdateSession(project, sessions(), sessionInput()); check(err) },
			"add sources":    func(*rapid.T) { _, err := s.AddSources(project, sessions(), ports.Draw(rt, "sources")); check(err) },
			"remove sources": func(*rapid.T) { _, err := s.RemoveSources(project, sessions(), ports.Draw(rt, "sources")); check(err) },
			"delete session": func(*rapid.T) { check(s.DeleteSession(project, sessions())) },
			"take a snapshot": func(*rapid.T) {
				held = s.Snapshot()
				image = pictured(held)
			},
			"drift": func(*rapid.T) {
				s.Edit(func(w *World) { delete(w.Sessions, sessionsOf(w, rapid.IntRange(0, 3).Draw(rt, "which"))) })
				check(nil)
			},
		})
	})
}

func read[T any](s *Store, f func(*World) T) (out T) {
	s.Read(func(w *World) { out = f(w) })
	return out
}

func pictured(w *World) string {
	return fmt.Sprint(w.Version, w.Filters, w.Rules, w.Sessions, w.RulesOf(slices.Max(append(slices.Collect(maps.Keys(w.Filters)), "")), Ingress))
}

func sessionsOf(w *World, n int) string {
	all := slices.Sorted(maps.Keys(w.Sessions))
	if n < len(all) {
		return all[n]
	}
	return ""
}

// unrelated says where the relations are not those of the world.
func (s *Store) unrelated(w *World) string {
	fresh := &Store{memory: &memory{}}
	if diff := cmp.Diff(fresh.relate(w), s.relate(w)); diff != "" {
		return "the relations are not those of the world (-want +got):\n" + diff
	}
	return ""
}

// promises says which one the world breaks, in its own counting.
func promises(w *World) string {
	rulePriority := map[string]string{}
	perDirection := map[string]int{}
	for id, r := range w.Rules {
		key := fmt.Sprint(r.FilterID, r.Direction, r.Priority)
		if other, taken := rulePriority[key]; taken {
			return fmt.Sprintf("rules %s and %s have the same priority", id, other)
		}
		rulePriority[key] = id
		perDirection[r.FilterID+r.Direction]++
		if perDirection[r.FilterID+r.Direction] > w.Quotas.RulesPerDirection {
			return "too many rules of one direction"
		}
		if _, ok := w.Filters[r.FilterID]; !ok {
			return "a rule outlived its filter"
		}
	}
	sources, targets, filters, priorities := map[string]int{}, map[string]int{}, map[string]int{}, map[int]int{}
	for _, s := range w.Sessions {
		priorities[s.Priority]++
		targets[s.TargetID]++
		filters[s.FilterID]++
		for _, source := range s.Sources {
			sources[source]++
		}
		if _, ok := w.Filters[s.FilterID]; !ok || s.Priority < 1 {
			return fmt.Sprintf("session %+v has no filter or a bad priority", s)
		}
	}
	for id, n := range sources {
		if targets[id] > 0 || n > w.Quotas.SessionsPerSource {
			return fmt.Sprintf("port %s is a target too, or a source of %d sessions", id, n)
		}
	}
	for id, n := range targets {
		if n > w.Quotas.SessionsPerENITarget {
			return fmt.Sprintf("port %s is the target of %d sessions", id, n)
		}
	}
	for id, n := range filters {
		if n > w.Quotas.SessionsPerFilter {
			return fmt.Sprintf("filter %s has %d sessions", id, n)
		}
	}
	for p, n := range priorities {
		if n > 1 {
			return fmt.Sprintf("%d sessions have priority %d", n, p)
		}
	}
	return ""
}

func TestASnapshotNeverChanges(t *testing.T) {
	s := newStore(fixed)
	before := s.Snapshot()
	filter, err := s.CreateFilter(project, FilterInput{Name: ptr("f")})
	if err != nil {
		t.Fatal(err)
	}
	s.Edit(func(w *World) {
		p := w.Ports[scenario.WalkthroughSource]
		p.SecurityGroups[0] = "changed in place"
		w.Ports[p.ID] = p
	})
	if len(before.Filters) != 0 || before.Ports[scenario.WalkthroughSource].SecurityGroups[0] != scenario.WalkthroughSourceGroup {
		t.Fatalf("the snapshot holds %v and %v", before.Filters, before.Ports[scenario.WalkthroughSource].SecurityGroups)
	}
	if diff := cmp.Diff(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), filter.CreatedAt); diff != "" {
		t.Fatalf("created_at is not in whole seconds:\n%s", diff)
	}
}

func TestManyWritersLoseNothing(t *testing.T) {
	s := newStore(time.Now)
	var last uint64
	s.Subscribe(func(w *World) {
		if w.Version != 0 && w.Version != last+1 {
			t.Errorf("version %d after %d", w.Version, last)
		}
		last = w.Version
	})
	var all sync.WaitGroup
	const writers, each = 8, 25
	for range writers {
		all.Go(func() {
			for range each {
				if _, err := s.CreateFilter(project, FilterInput{Name: ptr("f")}); err != nil {
					t.Error(err)
				}
				s.AsOf(time.Now())
			}
		})
	}
	all.Wait()
	if n := len(s.Snapshot().Filters); n != writers*each {
		t.Fatalf("%d filters, want %d", n, writers*each)
	}
}

func TestASecretHidesItself(t *testing.T) {
	a := Account{AccessKey: "ak", SecretKey: "very-secret"}
	for _, text := range []string{fmt.Sprint(a), fmt.Sprintf("%+v", a), fmt.Sprintf("%#v", a), a.SecretKey.String()} {
		if !strings.Contains(text, "***") || strings.Contains(text, "very-secret") {
			t.Errorf("%q shows the secret", text)
		}
	}
}

package harness

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// Content is all that a cloud holds of mirroring.
type Content struct {
	Filters  []state.Filter
	Rules    []state.Rule // by filter, direction (ingress first) and priority
	Sessions []state.Session
}

// Content returns what the cloud has now, filters and sessions by name, those with one name by ID.
func (w *World) Content() Content {
	world := w.Cloud.State.Snapshot()
	c := Content{
		Filters:  slices.Collect(maps.Values(world.Filters)),
		Rules:    slices.Collect(maps.Values(world.Rules)),
		Sessions: slices.Collect(maps.Values(world.Sessions)),
	}
	slices.SortFunc(c.Filters, func(a, b state.Filter) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	sortRules(c.Rules)
	slices.SortFunc(c.Sessions, func(a, b state.Session) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return c
}

func sortRules(rules []state.Rule) {
	slices.SortFunc(rules, func(a, b state.Rule) int {
		return cmp.Or(cmp.Compare(a.FilterID, b.FilterID), -cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Priority, b.Priority))
	})
}

// identity is what the cloud itself chooses.
var identity = gocmp.Options{
	cmpopts.IgnoreFields(state.Filter{}, "CreatedAt", "UpdatedAt"),
	cmpopts.IgnoreFields(state.Rule{}, "ID", "CreatedAt", "UpdatedAt"),
	cmpopts.IgnoreFields(state.Session{}, "CreatedAt", "UpdatedAt"),
	cmpopts.SortSlices(func(a, b string) bool { return a < b }),
	cmpopts.EquateEmpty(),
}

// Holds fails the test unless the cloud has exactly this. IDs of rules and times are the
// cloud's own and not compared, sources have no order.
func (w *World) Holds(want Content) {
	w.t.Helper()
	if diff := gocmp.Diff(want, w.Content(), identity); diff != "" {
		w.t.Errorf("what the cloud has (-want +got):\n%s", diff)
	}
}

// Like reports whether the cloud has exactly this, see Holds.
func (w *World) Like(want Content) bool { return gocmp.Equal(want, w.Content(), identity) }

// Edit changes the cloud behind the manager's back.
func (w *World) Edit(edit func(*state.World)) { w.Cloud.State.Edit(edit) }

// EditSession changes one session behind the manager's back.
func (w *World) EditSession(id string, edit func(*state.Session)) {
	w.t.Helper()
	w.Edit(func(world *state.World) {
		s, ok := world.Sessions[id]
		if !ok {
			w.t.Errorf("the cloud has no session %s to edit", id)
			return
		}
		edit(&s)
		world.Sessions[id] = s
	})
}

// Operations names the requests, in their order, as the SDK does.
func Operations(entries []journal.Entry) []string {
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Operation)
	}
	return names
}

// Same fails the test unless two values are equal.
func Same[T any](t testing.TB, what string, want, got T, options ...gocmp.Option) {
	t.Helper()
	if diff := gocmp.Diff(want, got, options...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Count returns how often each operation was asked for.
func Count(entries []journal.Entry) map[string]int {
	count := map[string]int{}
	for _, e := range entries {
		count[e.Operation]++
	}
	return count
}

// Describe names a request and its outcome for a failure's message.
func Describe(e journal.Entry) string {
	return fmt.Sprintf("%s %s: %d %s", e.Operation, e.Body, e.Status, e.ErrorCode)
}

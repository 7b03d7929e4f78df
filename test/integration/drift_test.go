//go:build !oldest

package integration_test

import (
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestAnEditOutsideIsUndoneAndAnEventNamesTheField(t *testing.T) {
	t.Parallel()
	for field, c := range map[string]struct {
		edit  func(*state.World, *state.Session, *state.Filter, *state.Rule)
		event string
	}{
		"a session's VNI":         {func(_ *state.World, s *state.Session, _ *state.Filter, _ *state.Rule) { s.VNI = 99 }, "vni is 99, wanted 1"},
		"a session's priority":    {func(_ *state.World, s *state.Session, _ *state.Filter, _ *state.Rule) { s.Priority = 3 }, "priority is 3, wanted 10000"},
		"a session's length":      {func(_ *state.World, s *state.Session, _ *state.Filter, _ *state.Rule) { s.PacketLength = 96 }, "packetLength is 96, wanted 1460"},
		"a session's switch":      {func(_ *state.World, s *state.Session, _ *state.Filter, _ *state.Rule) { s.Enabled = false }, "enabled is false, wanted true"},
		"a session's name":        {func(_ *state.World, s *state.Session, _ *state.Filter, _ *state.Rule) { s.Name = "x" }, "name is x, wanted "},
		"a session's description": {func(_ *state.World, s *state.Session, _ *state.Filter, _ *state.Rule) { s.Description = "mine" }, "description is mine, wanted "},
		"a session's target": {func(_ *state.World, s *state.Session, _ *state.Filter, _ *state.Rule) {
			s.TargetID = scenario.WalkthroughTest
		}, "target is " + scenario.WalkthroughTest},
		"a session's sources": {func(_ *state.World, s *state.Session, _ *state.Filter, _ *state.Rule) {
			s.Sources = append([]string{scenario.WalkthroughTest}, s.Sources...)
		}, "sources is ["},
		"a filter's name":            {func(_ *state.World, _ *state.Session, f *state.Filter, _ *state.Rule) { f.Name = "x" }, "name is x, wanted "},
		"a filter's description":     {func(_ *state.World, _ *state.Session, f *state.Filter, _ *state.Rule) { f.Description = "" }, `description is "", wanted `},
		"a rule's action":            {func(_ *state.World, _ *state.Session, _ *state.Filter, r *state.Rule) { r.Action = "reject" }, "rules[Ingress 1].action is Reject, wanted Accept"},
		"a rule's destination ports": {func(_ *state.World, _ *state.Session, _ *state.Filter, r *state.Rule) { r.DestinationPortRange = "" }, "rules[Ingress 1].destination is 192.168.0.230/32, wanted 192.168.0.230/32 port 1234"},
		"a rule more": {func(w *state.World, _ *state.Session, _ *state.Filter, r *state.Rule) {
			extra := *r
			extra.ID, extra.Priority, extra.Protocol, extra.DestinationPortRange = "5a1f0c7e-0000-4000-8000-00000000eeee", 9, "ALL", ""
			w.Rules[extra.ID] = extra
		}, "rules[Ingress 9] is Accept IPv4 All from 192.168.0.161/32 to 192.168.0.230/32, not wanted"},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			first := w.Start()
			filter, session := w.Pair("drifting")
			first.Stop(w)
			want := w.Content()
			w.Edit(func(world *state.World) {
				s, f, r := world.Sessions[session.Status.Sessions[0].ID], world.Filters[filter.Status.ID], world.Rules[filter.Status.Rules[0].ID]
				c.edit(world, &s, &f, &r)
				world.Sessions[s.ID], world.Filters[f.ID], world.Rules[r.ID] = s, f, r
			})
			w.Start() // the manager was away meanwhile
			if strings.HasPrefix(field, "a session") {
				w.EventSays(session, "DriftCorrected", c.event)
			} else {
				w.EventSays(filter, "DriftCorrected", c.event)
			}
			harness.Poll(t, "the cloud is as before", func() bool { return w.Like(want) }, func(same bool) bool { return same })
			w.Holds(want)
			harness.Ready(w, filter)
			harness.Ready(w, session)
		})
	}
}

func TestDriftIsFoundByAResyncWhileTheManagerRuns(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start(harness.WithResync(300 * time.Millisecond))
	_, session := w.Pair("running")
	id, want := session.Status.Sessions[0].ID, w.Content()
	w.EditSession(id, func(s *state.Session) { s.VNI = 5 })
	w.EventSays(session, "DriftCorrected", "vni is 5, wanted 1")
	// A second drift, soon after, of another field has an event of its own.
	w.EditSession(id, func(s *state.Session) { s.PacketLength = 96 })
	w.EventSays(session, "DriftCorrected", "packetLength is 96, wanted 1460")
	harness.Poll(t, "the cloud is as before", func() bool { return w.Like(want) }, func(same bool) bool { return same })
}

func TestAnObjectThatWasDeletedOutsideIsMadeAnew(t *testing.T) {
	t.Parallel()
	t.Run("a session keeps its numbers", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		_, session := w.Pair("vanishing", func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(9)) })
		old, want := session.Status.Sessions[0].ID, w.Content()
		w.Edit(func(world *state.World) { delete(world.Sessions, old) })
		w.Clock.Advance(time.Minute) // so long ago was it seen
		harness.ReconcileNow(w, session)
		harness.Ready(w, session)
		want.Sessions[0].ID = session.Status.Sessions[0].ID
		w.Holds(want)
		w.EventSays(session, "DriftCorrected", "the session "+old+" is gone from the cloud")
	})
	t.Run("a filter comes back with its rules and its session follows", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		filter, session := w.Pair("vanishing")
		old, want := filter.Status.ID, w.Content()
		w.Edit(func(world *state.World) {
			delete(world.Filters, old)
			for id := range world.Rules {
				delete(world.Rules, id)
			}
		})
		w.Clock.Advance(time.Minute)
		harness.ReconcileNow(w, filter)
		harness.Until(w, filter, "a new ID", func(f *v1alpha1.MirrorFilter) bool { return f.Status.ID != old && f.Status.ID != "" })
		harness.Ready(w, filter)
		harness.Poll(t, "the session uses the new filter", func() string { return w.Content().Sessions[0].FilterID },
			func(id string) bool { return id == filter.Status.ID })
		want.Filters[0].ID, want.Rules[0].FilterID, want.Sessions[0].FilterID = filter.Status.ID, filter.Status.ID, filter.Status.ID
		w.Holds(want)
		harness.Ready(w, session)
	})
}

func TestAnAnswerThatLagsBehindMakesNoSecondObject(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("lagging")
	w.EventSays(session, "Synced", "")
	// For a moment the cloud does not show what was just made.
	gone := w.Content().Sessions[0]
	w.Edit(func(world *state.World) { delete(world.Sessions, gone.ID) })
	harness.ReconcileNow(w, session)
	harness.Because(w, session, v1alpha1.ReasonConflict, "was there a moment ago")
	w.Edit(func(world *state.World) { world.Sessions[gone.ID] = gone })
	harness.Ready(w, session)
	harness.Same(t, "the sessions", []state.Session{gone}, w.Content().Sessions)
}

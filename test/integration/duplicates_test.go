//go:build !oldest

package integration_test

import (
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

const (
	secondFilter  = "0f0f0f0f-0000-4000-8000-0000000000f1"
	secondSession = "0f0f0f0f-0000-4000-8000-0000000000f2"
)

// double gives the cloud a second filter and a second session with the marks of the first.
func double(w *harness.World, filter *v1alpha1.MirrorFilter, session *v1alpha1.MirrorSession, name func(string) string) {
	w.Edit(func(world *state.World) {
		f := world.Filters[filter.Status.ID]
		f.ID, f.Name = secondFilter, name(f.Name)
		world.Filters[f.ID] = f
		s := world.Sessions[session.Status.Sessions[0].ID]
		s.ID, s.Name, s.Priority = secondSession, name(s.Name), s.Priority+1
		world.Sessions[s.ID] = s
	})
}

func same(name string) string { return name }

func TestASecondObjectWithTheMarkOfALiveOneIsRemoved(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, session := w.Pair("doubled")
	want := w.Content()
	double(w, filter, session, same)
	w.Clock.Advance(time.Minute)
	w.RequestReconcile(filter)
	w.RequestReconcile(session)
	w.EventSays(filter, "DuplicateRemoved", secondFilter)
	w.EventSays(session, "DuplicateRemoved", secondSession)
	harness.WasBecause(w, filter, v1alpha1.ReasonProgressing, "a second filter", secondFilter)
	harness.WasBecause(w, session, v1alpha1.ReasonProgressing, "a second session", secondSession)
	harness.Ready(w, filter)
	harness.Ready(w, session)
	w.Holds(want)
}

func TestASecondObjectWithAnotherNameIsAConflictAndStays(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, session := w.Pair("doubled")
	double(w, filter, session, func(name string) string { return name + "-copy" })
	w.Clock.Advance(time.Minute)
	want := w.Content()
	w.RequestReconcile(filter)
	w.RequestReconcile(session)
	harness.Because(w, filter, v1alpha1.ReasonConflict, secondFilter, "-copy", w.Mark(filter).String())
	harness.Because(w, session, v1alpha1.ReasonConflict, secondSession, "-copy", w.Mark(session).String())
	w.Holds(want)

	w.Edit(func(world *state.World) {
		delete(world.Filters, secondFilter)
		delete(world.Sessions, secondSession)
	})
	w.Clock.Advance(time.Minute)
	harness.ReconcileNow(w, filter)
	harness.Ready(w, filter)
	harness.ReconcileNow(w, session)
	harness.Ready(w, session)
}

func TestOfTwoObjectsWithOneMarkTheOlderIsAdoptedWhenNoStatusNamesOne(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	first := w.Start()
	filter, session := w.Pair("doubled")
	want := w.Content()
	first.Stop(w)
	double(w, filter, session, same)
	w.Edit(func(world *state.World) {
		f := world.Filters[filter.Status.ID]
		f.CreatedAt = f.CreatedAt.Add(-1e9)
		world.Filters[f.ID] = f
		s := world.Sessions[session.Status.Sessions[0].ID]
		s.CreatedAt = s.CreatedAt.Add(-1e9)
		world.Sessions[s.ID] = s
	})
	harness.SetStatus(w, filter, &v1alpha1.MirrorFilter{})
	harness.SetStatus(w, session, &v1alpha1.MirrorSession{})
	w.Start()
	harness.Ready(w, filter)
	harness.Ready(w, session)
	w.EventSays(filter, "DuplicateRemoved", secondFilter)
	w.EventSays(session, "DuplicateRemoved", secondSession)
	harness.Same(t, "the filter", want.Filters[0].ID, filter.Status.ID)
	harness.Same(t, "the session", want.Sessions[0].ID, session.Status.Sessions[0].ID)
	w.Holds(want)
}

func TestASecondSessionGoesAlsoWhenTheFirstIsSwitchedOffOrWaits(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*v1alpha1.MirrorSession){
		"because no source is named": func(s *v1alpha1.MirrorSession) { s.Spec.Sources = nil },
		"because a source is gone": func(s *v1alpha1.MirrorSession) {
			s.Spec.Sources = append(s.Spec.Sources, harness.Sources(harness.At("192.168.0.99"))...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			filter, session := w.Pair("doubled")
			double(w, filter, session, same)
			w.Clock.Advance(time.Minute)
			harness.Change(w, session, edit)
			w.RequestReconcile(session)
			w.EventSays(session, "DuplicateRemoved", secondSession)
			harness.Same(t, "the sessions", 1, len(w.Content().Sessions))
		})
	}
}

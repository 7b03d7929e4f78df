package integration_test

import (
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// behind starts a manager whose cache can be held up.
func behind(t *testing.T) (*harness.World, *harness.Manager, *harness.Lag) {
	t.Helper()
	w, lag := harness.New(t), &harness.Lag{}
	m := w.Start(harness.WithResync(quietResync), harness.WithLag(lag))
	t.Cleanup(lag.Release) // before the manager is stopped
	return w, m, lag
}

// looks waits for so many looks more.
func looks(t *testing.T, m *harness.Manager, more int) {
	t.Helper()
	before := m.Looks()
	_ = harness.Poll(t, "it is looked at", func() int { return m.Looks() - before }, func(done int) bool { return done >= more })
}

func TestASessionWhoseIDTheCacheDoesNotShowYetIsNotMadeTwice(t *testing.T) {
	t.Parallel()
	w, m, lag := behind(t)
	filter, session := w.Filter("unseen"), w.Session("unseen", "unseen")
	w.Create(filter)
	harness.Ready(w, filter)
	w.Fault(fault.Fault{Kind: fault.Slow, Operation: "CreateTrafficMirrorSession", Delay: fault.Duration(time.Second)})
	asked := w.Cloud.Journal.Last()
	w.Create(session)
	_ = harness.Poll(t, "the session is made", w.Content, func(c harness.Content) bool { return len(c.Sessions) == 1 })
	lag.Hold()
	id := w.Content().Sessions[0].ID
	harness.Until(w, session, "its ID is stored", func(s *v1alpha1.MirrorSession) bool { return len(s.Status.Sessions) == 1 })
	looks(t, m, 4)
	lag.Release()
	looks(t, m, 4)
	harness.Ready(w, session)
	harness.Same(t, "the sessions in the cloud", []string{id}, []string{w.Content().Sessions[0].ID})
	harness.Same(t, "the calls that make a session", 1, harness.Count(w.Cloud.Journal.Since(asked))["CreateTrafficMirrorSession"])
}

func TestNothingIsMadeForAnObjectThatOnlyTheCacheStillShows(t *testing.T) {
	t.Parallel()
	w, m, lag := behind(t)
	filter := w.Filter("gone")
	w.Create(filter)
	harness.Ready(w, filter)
	lag.Hold()
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Finalizers = nil })
	w.Delete(filter)
	w.Gone(filter)
	w.Edit(func(world *state.World) { clear(world.Filters); clear(world.Rules) })
	w.Clock.Advance(time.Minute) // what was there a moment ago is not missed
	_ = harness.Poll(t, "the filter is asked for, or made", func() int {
		return len(w.Content().Filters) + strings.Count(strings.Join(m.Reads(), "\n"), "/mirrorfilters/"+filter.Name)
	}, func(n int) bool { return n > 0 })
	harness.Same(t, "what the cloud has", harness.Content{}, w.Content())
	lag.Release()
	w.Holds(harness.Content{})
}

func TestWhatTheUserHasChangedIsNotPutBackByACacheThatIsBehind(t *testing.T) {
	t.Parallel()
	w, m, lag := behind(t)
	_, session := w.Pair("corrected")
	lag.Hold()
	off := false
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = &off })
	// The manager that led before has brought it to the cloud.
	w.EditSession(session.Status.Sessions[0].ID, func(s *state.Session) { s.Enabled = false })
	asked := w.Cloud.Journal.Last()
	looks(t, m, 6)
	harness.Same(t, "the calls that change a session", 0, harness.Count(w.Cloud.Journal.Since(asked))["UpdateTrafficMirrorSession"])
	lag.Release()
	harness.Ready(w, session)
	harness.Same(t, "the switch in the cloud", false, w.Content().Sessions[0].Enabled)
	harness.Same(t, "the calls that change a session", 0, harness.Count(w.Cloud.Journal.Since(asked))["UpdateTrafficMirrorSession"])
}

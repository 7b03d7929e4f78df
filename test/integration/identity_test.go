package integration_test

import (
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestACopyThatWasRestoredWithItsStatusNeverTouchesTheOriginal(t *testing.T) {
	t.Parallel()
	for name, finalizers := range map[string][]string{
		"without finalizers": nil,
		"with finalizers":    {v1alpha1.Finalizer, v1alpha1.CredentialsFinalizer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			first := w.Start()
			filter, session := w.Pair("original")
			want := w.Content()
			first.Stop(w)
			asked := w.Cloud.Journal.Last()
			filterCopy := harness.Restore(w, filter, w.Filter("copy-of-filter"), finalizers...)
			sessionCopy := harness.Restore(w, session, w.Session("copy-of-session", "original"), finalizers...)
			w.Start()
			harness.Because(w, filterCopy, v1alpha1.ReasonConflict, filter.Status.ID, w.Mark(filter).String(), "delete it")
			harness.Because(w, sessionCopy, v1alpha1.ReasonConflict, session.Status.Sessions[0].ID, w.Mark(session).String(), "delete it")
			w.Delete(sessionCopy)
			w.Gone(sessionCopy)
			w.Delete(filterCopy)
			w.Gone(filterCopy)
			harness.Same(t, "what was written to the cloud", []string{}, harness.Operations(w.Cloud.Journal.Writes(asked)))
			w.Holds(want)
			harness.ReconcileNow(w, filter)
			harness.Ready(w, filter)
			harness.ReconcileNow(w, session)
			harness.Ready(w, session)
			w.Delete(session)
			w.Gone(session)
			w.Delete(filter)
			w.Gone(filter)
			w.Holds(harness.Content{})
		})
	}
}

func TestAnObjectWithoutAMarkIsOursOnlyByItsIDTogetherWithItsName(t *testing.T) {
	t.Parallel()
	t.Run("with its name it gets the mark back", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		_, session := w.Pair("bare")
		want := w.Content()
		w.EditSession(session.Status.Sessions[0].ID, func(s *state.Session) { s.Description = "" })
		harness.ReconcileNow(w, session)
		harness.Ready(w, session)
		w.Holds(want)
	})
	t.Run("with another name it is a conflict, and stays when the object is deleted", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		_, session := w.Pair("renamed")
		id := session.Status.Sessions[0].ID
		w.EditSession(id, func(s *state.Session) { s.Name, s.Description = "theirs", "mine now" })
		want := w.Content()
		harness.ReconcileNow(w, session)
		harness.Because(w, session, v1alpha1.ReasonConflict, id, `"theirs"`, w.Mark(session).String())
		w.Delete(session)
		w.Gone(session)
		w.Holds(want)
	})
}

func TestWhatTheStatusDoesNotKnowIsDeletedByItsMark(t *testing.T) {
	t.Parallel()
	for name, wipe := range map[string]func(*v1alpha1.MirrorSession){
		"the whole status is wiped": func(s *v1alpha1.MirrorSession) { s.Status = v1alpha1.MirrorSessionStatus{} },
		"the status names an older one that is gone": func(s *v1alpha1.MirrorSession) {
			s.Status.Sessions[0].ID = "5a1f0c7e-0000-4000-8000-00000000dead"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			first := w.Start()
			filter, session := w.Pair("unknown")
			first.Stop(w)
			other := session.DeepCopy()
			wipe(other)
			harness.SetStatus(w, session, other)
			w.Delete(session)
			w.Start()
			w.Gone(session)
			w.Delete(filter)
			w.Gone(filter)
			w.Holds(harness.Content{})
		})
	}
}

func TestASessionWithoutSourcesIsSwitchedOffThoughItsStatusWasWiped(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	first := w.Start()
	_, session := w.Pair("wiped")
	first.Stop(w)
	harness.SetStatus(w, session, &v1alpha1.MirrorSession{})
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = nil })
	w.Start()
	harness.Because(w, session, v1alpha1.ReasonNoSources, "switched off")
	harness.Same(t, "it is on", false, w.Content().Sessions[0].Enabled)
}

// A cloud whose reads are seconds old says that what was just made is gone. A process that
// has just begun to lead remembers nothing of its own writes.
func TestAFreshProcessDoesNotTakeWhatAStaleReadDoesNotShowForGone(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	first := w.Start()
	filter, session := w.Pair("stale")
	want := w.Content()
	first.Stop(w)
	w.Fault(fault.Fault{Kind: fault.Stale, For: fault.Duration(5 * time.Second)})
	w.Start(harness.WithTiming(lifecycle.DefaultTiming))
	harness.ReconcileNow(w, filter)
	harness.ReconcileNow(w, session)
	harness.Ready(w, filter)
	harness.Ready(w, session)
	w.Holds(want)
}

func TestTheListOfCloudSessionsIsTheManagersAlone(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	first := w.Start()
	_, session := w.Pair("meddled")
	want := session.Status.Sessions
	first.Stop(w)
	other := session.DeepCopy()
	other.Status.Sessions = append(other.Status.Sessions, v1alpha1.CloudSession{ID: "5a1f0c7e-0000-4000-8000-00000000dead", Priority: 1})
	harness.SetStatus(w, session, other)
	second := w.Start()
	harness.ReconcileNow(w, session)
	harness.Same(t, "the list", want, session.Status.Sessions)
	before := len(second.Writes())
	harness.ReconcileNow(w, session)
	harness.Same(t, "the writes of a reconcile, but for the echo", 1, len(second.Writes())-before)
}

package integration_test

import (
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/integration/harness"
)

// Somebody edits an object and takes that back at once: the cloud's reads still show what was before the edit, which is what is
// wanted again, though the manager has changed it.
func TestAnEditThatIsTakenBackWhileReadsAreOldIsTakenBackInTheCloudBeforeItIsCalledReady(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		filter  func(*v1alpha1.MirrorFilter)
		session func(*v1alpha1.MirrorSession)
	}{
		"a filter's name":        {filter: func(f *v1alpha1.MirrorFilter) { f.Spec.CloudName = "renamed" }},
		"a filter's description": {filter: func(f *v1alpha1.MirrorFilter) { f.Spec.Description = "for the IDS" }},
		"a rule less":            {filter: func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = nil }},
		"a rule's action":        {filter: func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Action = v1alpha1.ActionReject }},
		"a session's VNI":        {session: func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(99)) }},
		"a session's length":     {session: func(s *v1alpha1.MirrorSession) { s.Spec.PacketLength = new(int32(128)) }},
		"a session that is off":  {session: func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = new(false) }},
		"no source":              {session: func(s *v1alpha1.MirrorSession) { s.Spec.Sources = nil }},
		"another source": {session: func(s *v1alpha1.MirrorSession) {
			s.Spec.Sources = harness.Sources(harness.ID(scenario.WalkthroughTest))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start(harness.WithTiming(lifecycle.Timing{CallDeadline: 300 * time.Millisecond, Lag: 3 * time.Second, Recheck: 6 * time.Second}))
			filter, session := w.Pair("edited", func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(7)) })
			if c.filter != nil {
				takenBack(w, t, filter, func(f *v1alpha1.MirrorFilter) { c.filter(f) })
			} else {
				takenBack(w, t, session, func(s *v1alpha1.MirrorSession) { c.session(s) })
			}
		})
	}
}

// takenBack edits the object, and takes that back as soon as the cloud has been changed.
func takenBack[T status.Object](w *harness.World, t *testing.T, o T, edit func(T)) {
	t.Helper()
	was := w.Content()
	before := o.DeepCopyObject().(T)
	w.Fault(fault.Fault{Kind: fault.Stale, For: fault.Duration(2800 * time.Millisecond)})
	harness.Change(w, o, edit)
	_ = harness.Poll(t, "the edit is in the cloud", w.Content, func(harness.Content) bool { return !w.Like(was) })
	harness.Change(w, o, func(o T) {
		switch o := any(o).(type) {
		case *v1alpha1.MirrorFilter:
			o.Spec = any(before).(*v1alpha1.MirrorFilter).Spec
		case *v1alpha1.MirrorSession:
			o.Spec = any(before).(*v1alpha1.MirrorSession).Spec
		}
	})
	harness.Ready(w, o)
	w.Holds(was)
}

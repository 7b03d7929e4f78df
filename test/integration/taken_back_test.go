//go:build !oldest

package integration_test

import (
	"fmt"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/integration/harness"
)

// lagging is a cloud whose reads are behind by less than the lag that the manager expects.
var (
	lagging   = lifecycle.Timing{CallDeadline: 300 * time.Millisecond, Lag: 3 * time.Second, Recheck: 6 * time.Second}
	behindAll = fault.Fault{Kind: fault.Stale, For: fault.Duration(2800 * time.Millisecond)}
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
			w.Start(harness.WithTiming(lagging))
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
	w.Fault(behindAll)
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

// A deletion is a change of the cloud too: reads still show what it has taken away, which is what is wanted again.
func TestADeletionThatIsTakenBackWhileReadsAreOldIsTakenBackInTheCloudBeforeItIsCalledReady(t *testing.T) {
	t.Parallel()
	const a, b = scenario.WalkthroughSource, scenario.WalkthroughTarget
	for name, c := range map[string]struct {
		sources []string
		edit    func(*v1alpha1.MirrorSession)
	}{
		"a part less": {numbered(0, 12), func(s *v1alpha1.MirrorSession) { s.Spec.Sources = naming(numbered(0, 10)...) }},
		"roles that are exchanged": {[]string{a}, func(s *v1alpha1.MirrorSession) {
			s.Spec.Sources, s.Spec.Target = naming(b), harness.Target(harness.ID(a))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			servers(w, 12)
			w.Start(harness.WithTiming(lagging))
			session := dividedPair(w, c.sources...)
			was, spec := w.Content(), session.Spec.DeepCopy()
			shape := func() (all []string) { // what is made anew has another ID
				for _, d := range dividedIn(w) {
					all = append(all, fmt.Sprint(d))
				}
				for _, one := range w.Content().Sessions {
					all = append(all, one.TargetID)
				}
				return all
			}
			want := shape()
			w.Fault(behindAll)
			harness.Change(w, session, c.edit)
			_ = harness.Poll(t, "the edit is in the cloud", w.Content, func(harness.Content) bool { return !w.Like(was) })
			harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec = *spec })
			harness.Ready(w, session)
			harness.Same(t, "what the cloud has", want, shape())
			harness.Same(t, "what was told of drift", 0, len(w.Events(session, "DriftCorrected")))
		})
	}
}

// Who changes a filter, and then only observes it as it was before, is not told that it is so.
func TestWhatIsOnlyObservedIsNotSaidToBeAsItWasBeforeTheManagersOwnLastChange(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start(harness.WithTiming(lagging))
	filter, _ := w.Pair("watched")
	was := w.Content()
	w.Fault(behindAll)
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.CloudName = "renamed" })
	_ = harness.Poll(t, "the edit is in the cloud", w.Content, func(harness.Content) bool { return !w.Like(was) })
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) {
		f.Spec.CloudName, f.Spec.ManagementPolicy = was.Filters[0].Name, v1alpha1.ManagementObserve
	})
	harness.WasBecause(w, filter, v1alpha1.ReasonDiffers, "renamed")
}

package integration_test

import (
	"slices"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

const nowhere = "5a1f0c7e-0000-4000-8000-00000000dead"

// cloudSession is what the cloud has of a session.
func cloudSession(w *harness.World, s *v1alpha1.MirrorSession) state.Session {
	have := w.Cloud.State.Snapshot().Sessions[s.Status.Sessions[0].ID]
	have.Sources = slices.Sorted(slices.Values(have.Sources))
	return have
}

func TestNarrowingReachesTheCloudWhateverCanNotBeResolved(t *testing.T) {
	t.Parallel()
	both := harness.Sources(harness.ID(scenario.WalkthroughSource), harness.ID(scenario.WalkthroughTest))
	disable := func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = new(bool) }
	for name, c := range map[string]struct {
		lose   func(*v1alpha1.MirrorSession)
		reason string
		word   string
	}{
		"a filter that does not exist": {
			func(s *v1alpha1.MirrorSession) { s.Spec.FilterRef.Name = "none" }, v1alpha1.ReasonFilterNotFound, `"none"`,
		},
		"a source that is not there": {
			func(s *v1alpha1.MirrorSession) { s.Spec.Sources[1].InterfaceID = nowhere }, v1alpha1.ReasonInterfaceNotFound, "spec.sources[1].interfaceID",
		},
		"a target that is not there": {
			func(s *v1alpha1.MirrorSession) { s.Spec.Target.InterfaceID = nowhere }, v1alpha1.ReasonInterfaceNotFound, "spec.target.interfaceID",
		},
		"a node that is not there": {
			func(s *v1alpha1.MirrorSession) {
				s.Spec.Sources[1].InterfaceID, s.Spec.Sources[1].NodeName = "", "no-such-node"
			}, v1alpha1.ReasonNodeNotFound, "spec.sources[1].nodeName",
		},
		"a source that is the target": {
			func(s *v1alpha1.MirrorSession) { s.Spec.Target = harness.Target(harness.At("192.168.0.161")) }, v1alpha1.ReasonSourceIsTarget, "spec.sources[1]",
		},
		"a priority that is taken": {
			func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(5)) }, v1alpha1.ReasonPriorityTaken, someone,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			foreign(w, someone, 9, 5)
			w.Start()
			_, session := w.Pair("narrow", func(s *v1alpha1.MirrorSession) { s.Spec.Sources = both })
			before := cloudSession(w, session)
			harness.Change(w, session, func(s *v1alpha1.MirrorSession) {
				c.lose(s)
				disable(s)
			})
			harness.Because(w, session, c.reason, c.word)
			after := cloudSession(w, session)
			harness.Same(t, "it is on", false, after.Enabled)
			harness.Same(t, "the target", before.TargetID, after.TargetID)
			harness.Same(t, "the filter", before.FilterID, after.FilterID)
			if !slices.Contains(after.Sources, scenario.WalkthroughSource) {
				t.Errorf("the sources are %v: the one that can be resolved is not among them", after.Sources)
			}
		})
	}
}

func TestASourceThatIsTakenAwayLeavesTheCloudThoughAnotherCanNotBeResolved(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	node := w.Node("dies", "192.168.0.230")
	_, session := w.Pair("two", func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = harness.Sources(w.OnNode("dies"), harness.ID(scenario.WalkthroughTest))
	})
	w.Delete(node)
	harness.Because(w, session, v1alpha1.ReasonNodeNotFound, "spec.sources[0].nodeName")
	harness.Same(t, "the sources while the node is gone and its interface is not",
		[]string{scenario.WalkthroughTest, scenario.WalkthroughSource}, cloudSession(w, session).Sources)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = s.Spec.Sources[:1] })
	harness.Poll(t, "the other source is taken out", func() []string { return cloudSession(w, session).Sources },
		func(ids []string) bool { return slices.Equal(ids, []string{scenario.WalkthroughSource}) })
	harness.Because(w, session, v1alpha1.ReasonNodeNotFound, "spec.sources[0].nodeName")
}

func TestASourceThatNeverHadAnInterfaceIsLeftOut(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	w.Create(w.Filter("partial"))
	session := w.Session("partial", "partial", func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = harness.Sources(harness.ID(nowhere), harness.ID(scenario.WalkthroughSource))
	})
	w.Create(session)
	harness.Because(w, session, v1alpha1.ReasonInterfaceNotFound, "spec.sources[0].interfaceID", nowhere)
	harness.Same(t, "the sources", []string{scenario.WalkthroughSource}, cloudSession(w, session).Sources)
}

// toPort is a rule of that priority for another port than the walkthrough's.
func toPort(priority, port int32) v1alpha1.FilterRule {
	rule := harness.Rule(priority)
	rule.Destination.Port = &port
	return rule
}

func TestARuleThatIsTakenAwayLeavesTheCloudThoughAnotherIsRefused(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter := w.Filter("refused", func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = []v1alpha1.FilterRule{harness.Rule(1), toPort(2, 80)} })
	w.Create(filter)
	harness.Ready(w, filter)
	w.Fault(fault.Forbidden("UpdateTrafficMirrorFilterRule"))
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = []v1alpha1.FilterRule{harness.Rule(1), toPort(3, 443)} })
	harness.Because(w, filter, v1alpha1.ReasonPermissionDenied, "update rule Ingress 3")
	rule := harness.CloudRule(1)
	rule.FilterID = filter.Status.ID
	harness.Same(t, "the rules", 1, len(w.Content().Rules))
	harness.Same(t, "the one that is left", rule.Priority, w.Content().Rules[0].Priority)
}

func TestASourceThatIsTakenAwayLeavesTheCloudThoughAnotherIsRefused(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("refused", func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = harness.Sources(harness.ID(scenario.WalkthroughSource), harness.ID(scenario.WalkthroughTest))
	})
	w.Fault(fault.Forbidden("UpdateTrafficMirrorSession"))
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources, s.Spec.PacketLength = s.Spec.Sources[:1], new(int32(100))
	})
	harness.Because(w, session, v1alpha1.ReasonPermissionDenied)
	harness.Same(t, "the sources", []string{scenario.WalkthroughSource}, cloudSession(w, session).Sources)
}

func TestASessionWhoseSourcesStandForNothingAnyMoreIsSwitchedOff(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("replaced")
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = harness.Sources(harness.ID(nowhere)) })
	harness.Because(w, session, v1alpha1.ReasonInterfaceNotFound, nowhere)
	harness.Same(t, "it is on", false, cloudSession(w, session).Enabled)
}

func TestAnObjectWhoseFinalizersWereTakenOffByForceStillCleansUp(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, session := w.Pair("forced")
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Finalizers = nil })
	harness.ReconcileNow(w, session)
	w.Delete(session)
	w.Gone(session)
	w.Delete(filter)
	w.Gone(filter)
	w.Holds(harness.Content{})
}

package integration_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

const (
	nobody   = "5a1f0c7e-0000-4000-8000-00000000dead"
	otherVPC = "5a1f0c7e-0000-4000-8000-000000000002"
	twin     = "5a1f0c7e-0000-4000-8000-000000000231" // has ecs-source's address in the other VPC
)

func withTwin(w *harness.World) {
	w.Edit(func(world *state.World) {
		p := world.Ports[scenario.WalkthroughSource]
		p.ID, p.VPCID = twin, otherVPC
		world.Ports[p.ID] = p
	})
}

func TestWhatASpecNamesWronglyIsSaidAndHealsWhenItIsThere(t *testing.T) {
	t.Parallel()
	source := func(s v1alpha1.InterfaceSelector) func(*v1alpha1.MirrorSession) {
		return func(m *v1alpha1.MirrorSession) { m.Spec.Sources = harness.Sources(s) }
	}
	inVPC := func(ip, vpc string) v1alpha1.InterfaceSelector {
		s := harness.At(ip)
		s.Address.VPCID = vpc
		return s
	}
	for name, c := range map[string]struct {
		edit   func(*v1alpha1.MirrorSession)
		reason string
		words  []string
		heal   func(*harness.World, *v1alpha1.MirrorSession)
	}{
		"an unknown source ID": {
			source(harness.ID(nobody)), v1alpha1.ReasonInterfaceNotFound,
			[]string{"spec.sources[0].interfaceID names " + nobody, "project " + scenario.WalkthroughProject + " in region cn-north-4", "correct the ID"},
			func(w *harness.World, _ *v1alpha1.MirrorSession) {
				w.Edit(func(world *state.World) {
					p := world.Ports[scenario.WalkthroughSource]
					p.ID = nobody
					world.Ports[nobody] = p
				})
			},
		},
		"an unknown target address": {
			func(s *v1alpha1.MirrorSession) { s.Spec.Target = harness.Target(harness.At("10.9.8.7")) }, v1alpha1.ReasonInterfaceNotFound,
			[]string{"spec.target.address.ip names 10.9.8.7", "has that address"},
			func(w *harness.World, s *v1alpha1.MirrorSession) {
				harness.Change(w, s, func(s *v1alpha1.MirrorSession) { s.Spec.Target = harness.Target(harness.At("192.168.0.164")) })
			},
		},
		"an address in the wrong VPC": {
			source(inVPC("192.168.0.161", otherVPC)), v1alpha1.ReasonInterfaceNotFound,
			[]string{"192.168.0.161", "in VPC " + otherVPC},
			func(w *harness.World, s *v1alpha1.MirrorSession) {
				harness.Change(w, s, source(inVPC("192.168.0.161", scenario.WalkthroughVPC)))
			},
		},
		"an address that two VPCs have": {
			source(harness.At("192.168.0.230")), v1alpha1.ReasonAmbiguousAddress,
			[]string{
				"spec.sources[0].address.ip names 192.168.0.230", scenario.WalkthroughSource + " (VPC " + scenario.WalkthroughVPC + ")",
				twin + " (VPC " + otherVPC + ")", "Set spec.sources[0].address.vpcID",
			},
			func(w *harness.World, s *v1alpha1.MirrorSession) {
				harness.Change(w, s, source(inVPC("192.168.0.230", otherVPC)))
			},
		},
		"a source that is the target, spelled otherwise": {
			source(harness.At("192.168.0.164")), v1alpha1.ReasonSourceIsTarget,
			[]string{"spec.sources[0] is interface " + scenario.WalkthroughTarget, "also the target"},
			func(w *harness.World, s *v1alpha1.MirrorSession) {
				harness.Change(w, s, source(harness.At("192.168.0.161")))
			},
		},
		"no source": {
			func(s *v1alpha1.MirrorSession) { s.Spec.Sources = nil }, v1alpha1.ReasonNoSources,
			[]string{"spec.sources is empty: name at least one"},
			func(w *harness.World, s *v1alpha1.MirrorSession) {
				harness.Change(w, s, source(harness.At("192.168.0.161")))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			withTwin(w)
			w.Start()
			filter := w.Filter("wrong")
			w.Create(filter)
			harness.Ready(w, filter)
			asked := w.Cloud.Journal.Last()
			session := w.Session("wrong", "wrong", c.edit)
			w.Create(session)
			harness.Because(w, session, c.reason, c.words...)
			harness.Same(t, "what was written to the cloud", []string{}, harness.Operations(w.Cloud.Journal.Writes(asked)))
			c.heal(w, session)
			w.RequestReconcile(session)
			harness.Ready(w, session)
		})
	}
}

func TestASourceThatIsNamedTwiceInDifferentWaysIsOneSource(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("double", func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = harness.Sources(harness.At("192.168.0.230"), harness.ID(scenario.WalkthroughSource))
	})
	harness.Same(t, "the sources", []string{scenario.WalkthroughSource}, session.Status.Sessions[0].Sources)
}

func TestASessionThatLosesItsSourcesIsSwitchedOffAndComesBack(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("emptied")
	want := w.Content()
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = nil })
	harness.Because(w, session, v1alpha1.ReasonNoSources, "name at least one", session.Status.Sessions[0].ID+" is switched off")
	want.Sessions[0].Enabled = false
	w.Holds(want)
	w.EventSays(session, v1alpha1.ReasonNoSources, "switched the session")
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = harness.Sources(harness.ID(scenario.WalkthroughTest))
	})
	harness.Ready(w, session)
	want.Sessions[0].Enabled, want.Sessions[0].Sources = true, []string{scenario.WalkthroughTest}
	w.Holds(want)
}

func TestASuspendedObjectIsLeftAloneAndGoesOnAfterwards(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, session := w.Pair("suspended")
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.Suspend = true })
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Suspend = true })
	harness.Because(w, filter, v1alpha1.ReasonSuspended, "until it is false")
	harness.Because(w, session, v1alpha1.ReasonSuspended, "until it is false")
	asked := w.Cloud.Journal.Last()
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = nil })
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(5)) })
	harness.Because(w, filter, v1alpha1.ReasonSuspended)
	harness.Because(w, session, v1alpha1.ReasonSuspended)
	harness.Same(t, "what was asked of the cloud", []string{}, harness.Operations(w.Cloud.Journal.Since(asked)))
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.Suspend = false })
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Suspend = false })
	harness.Ready(w, filter)
	harness.Ready(w, session)
	if c := w.Content(); len(c.Rules) != 0 || c.Sessions[0].VNI != 5 {
		t.Errorf("the cloud has %+v, want no rules and VNI 5", c)
	}
}

func TestAnObjectThatIsSuspendedFromTheStartIsNotMade(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter := w.Filter("asleep", func(f *v1alpha1.MirrorFilter) { f.Spec.Suspend = true })
	w.Create(filter)
	harness.Because(w, filter, v1alpha1.ReasonSuspended)
	harness.Same(t, "what was asked of the cloud", []string{}, harness.Operations(w.Cloud.Journal.Since(0)))
	if meta.IsStatusConditionTrue(filter.Status.Conditions, v1alpha1.ConditionStalled) {
		t.Error("a suspended object counts as failed")
	}
	w.Delete(filter)
	w.Gone(filter)
}

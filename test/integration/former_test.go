package integration_test

import (
	"slices"
	"strings"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestASourceThatIsGoneStaysNamedAfterItWasTakenOffTheSessionAndByTheNextManager(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := w.Start()
	_, session := w.Pair("former", func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = harness.Sources(harness.ID(scenario.WalkthroughSource), harness.ID(scenario.WalkthroughTest))
	})
	harness.Ready(w, session)
	w.Edit(func(world *state.World) { delete(world.Ports, scenario.WalkthroughTest) })
	w.RequestReconcile(session)
	named := func(when string) {
		t.Helper()
		harness.Until(w, session, "the source is named "+when, func(s *v1alpha1.MirrorSession) bool {
			return len(s.Status.Sources) == 1 && slices.ContainsFunc(s.Status.Findings, func(f v1alpha1.Finding) bool {
				return f.Reason == v1alpha1.ReasonInterfaceGone && f.Subject == "source 192.168.0.161" && strings.Contains(f.Message, scenario.WalkthroughTest)
			})
		})
		pathClear(w, session, v1alpha1.ReasonInterfaceGone, "1 of 2 sources")
	}
	named("once it is taken off")
	harness.ReconcileNow(w, session)
	named("at the next look")
	m.Stop(w)
	w.Start()
	harness.ReconcileNow(w, session)
	named("by the next manager")
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = s.Spec.Sources[:1] })
	harness.Ready(w, session)
	pathClear(w, session, v1alpha1.ReasonClear)
}

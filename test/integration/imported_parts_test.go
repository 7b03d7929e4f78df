//go:build !oldest

package integration_test

import (
	"slices"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// sourcesOf lets a session in the cloud have these sources.
func sourcesOf(w *harness.World, id string, sources []string) {
	w.EditSession(id, func(s *state.Session) { s.Sources = slices.Clone(sources) })
}

// copying is which sources the cloud copies from, by sessions that are switched on.
func copying(w *harness.World) (sources []string) {
	for _, s := range w.Cloud.State.Snapshot().Sessions {
		if s.Enabled {
			sources = append(sources, s.Sources...)
		}
	}
	slices.Sort(sources)
	return sources
}

// importedInParts is an imported session with ten sources, which was divided as its spec names two more.
func importedInParts(t *testing.T, w *harness.World) *v1alpha1.MirrorSession {
	t.Helper()
	servers(w, 12)
	tfFilter, tfSession := w.Terraformed()
	sourcesOf(w, tfSession.ID, numbered(0, 10))
	filter, session := importing(w, v1alpha1.ManagementManaged, tfFilter, tfSession)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = naming(numbered(0, 12)...) })
	harness.Ready(w, filter)
	harness.Ready(w, session)
	harness.Same(t, "the part that leads", session.Spec.Import.ID, session.Status.Sessions[0].ID)
	harness.Same(t, "what is copied from", numbered(0, 12), copying(w))
	return session
}

func TestAnImportedFirstPartThatLosesAllItsSourcesCopiesFromThemNoMore(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	session := importedInParts(t, w)
	id := session.Spec.Import.ID
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = naming(numbered(10, 12)...) })
	harness.Because(w, session, v1alpha1.ReasonSourceIsTarget, id, "switched off")
	harness.Same(t, "what is copied from", numbered(10, 12), copying(w))
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = naming(numbered(9, 12)...) })
	harness.Ready(w, session)
	harness.Same(t, "what is copied from then", numbered(9, 12), copying(w))
}

func TestAnImportedSessionWhoseSourceAndTargetExchangeTheirRolesCopiesNoMore(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	tfFilter, tfSession := w.Terraformed()
	filter, session := importing(w, v1alpha1.ManagementManaged, tfFilter, tfSession)
	harness.Ready(w, filter)
	harness.Ready(w, session)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = naming(scenario.WalkthroughTarget)
		s.Spec.Target.InterfaceSelector = harness.ID(scenario.WalkthroughSource)
	})
	harness.Because(w, session, v1alpha1.ReasonSourceIsTarget, tfSession.ID, "switched off")
	harness.Same(t, "what is copied from", nil, copying(w))
}

func TestADividedSessionThatIsOnlyObservedIsShownWholeAndNotWritten(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	session := importedInParts(t, w)
	want := w.Content()
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { observe(s) })
	harness.Ready(w, session)
	type shown struct{ Parts, Sources int }
	is := func() shown { return shown{len(session.Status.Sessions), len(session.Status.Sources)} }
	harness.Same(t, "what the status shows", shown{2, 12}, is())

	// What somebody takes from the second part is told.
	var second string
	for i := range session.Status.Sessions {
		if session.Status.Sessions[i].Number() == 2 {
			second = session.Status.Sessions[i].ID
		}
	}
	sourcesOf(w, second, numbered(11, 12))
	w.RequestReconcile(session)
	harness.Because(w, session, v1alpha1.ReasonDiffers, interfaceID(1, 10))
	harness.Same(t, "what the status shows of less", shown{2, 11}, is())

	sourcesOf(w, second, numbered(10, 12))
	w.EditSession(second, func(s *state.Session) { s.Enabled, s.VNI = false, 78 })
	w.RequestReconcile(session)
	harness.Because(w, session, v1alpha1.ReasonDiffers, second, "is 78, wanted 77")
	w.EditSession(second, func(s *state.Session) { s.Enabled, s.VNI = true, 77 })
	w.RequestReconcile(session)
	harness.Ready(w, session)
	w.Holds(want)
}

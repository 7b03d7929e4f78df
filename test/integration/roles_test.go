//go:build !oldest

package integration_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestSourcesAndTargetExchangeTheirRolesWithoutARefusedCall(t *testing.T) {
	t.Parallel()
	const a, b, c = scenario.WalkthroughSource, scenario.WalkthroughTarget, scenario.WalkthroughTest
	ids := func(all ...string) []string { return all }
	type shape struct {
		sources []string
		target  string
	}
	for name, edit := range map[string][2]shape{
		"the only source and the target":            {{ids(a), b}, {ids(b), a}},
		"the target becomes another's":              {{ids(a), b}, {ids(c), a}},
		"the target becomes a source":               {{ids(a), b}, {ids(b), c}},
		"one source and the target, another stays":  {{ids(a, c), b}, {ids(b, c), a}},
		"one of two sources becomes the target":     {{ids(a, c), b}, {ids(b), a}},
		"the target moves on and a source comes":    {{ids(a), b}, {ids(a, b), c}},
		"a source becomes the target, another goes": {{ids(a, c), b}, {ids(c), a}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t, sim.WithQuirks(state.Quirks{StrictSources: true, RefuseLastSource: true}))
			w.Start()
			spec := func(to shape) func(*v1alpha1.MirrorSession) {
				return func(s *v1alpha1.MirrorSession) {
					s.Spec.Sources = nil
					for _, id := range to.sources {
						s.Spec.Sources = append(s.Spec.Sources, harness.Sources(harness.ID(id))...)
					}
					s.Spec.Target = harness.Target(harness.ID(to.target))
				}
			}
			_, session := w.Pair("roles", spec(edit[0]))
			asked := w.Cloud.Journal.Last()
			numbers := numbersOf([]*v1alpha1.MirrorSession{session})
			harness.Change(w, session, spec(edit[1]))
			harness.Ready(w, session)
			have := cloudSession(w, session)
			slices.Sort(edit[1].sources)
			harness.Same(t, "the cloud's session", edit[1], shape{have.Sources, have.TargetID}, cmp.AllowUnexported(shape{}))
			harness.Same(t, "the numbers", numbers, numbersOf([]*v1alpha1.MirrorSession{session}))
			for _, e := range w.Cloud.Journal.Writes(asked) {
				if e.Status >= 400 {
					t.Errorf("the cloud refused %s", harness.Describe(e))
				}
			}
			harness.Same(t, "the sessions", 1, len(w.Content().Sessions))
		})
	}
}

func TestOfTwoSessionsWithOneVNIAtATargetTheYoungerMoves(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("collides")
	vni := int(*session.Status.VNI)
	stranger := func(age time.Duration) {
		foreign(w, someone, vni, 5)
		w.EditSession(someone, func(s *state.Session) { s.CreatedAt = time.Now().Add(-age) })
		w.Clock.Advance(time.Minute)
		harness.ReconcileNow(w, session)
	}
	stranger(-time.Hour) // of the future
	harness.Ready(w, session)
	harness.Same(t, "the VNI beside a younger session", vni, cloudSession(w, session).VNI)
	harness.Until(w, session, "Ready says so", func(s *v1alpha1.MirrorSession) bool {
		return s.Status.Conditions[0].Message == "the cloud copies from 192.168.0.230 to 192.168.0.164 with VNI 1, which the session "+someone+
			" (foreign) to this target has too: their copies can't be told apart, so give one of the two another VNI"
	})
	stranger(24 * time.Hour)
	harness.Ready(w, session)
	harness.Same(t, "the VNI beside an older session", vni+1, cloudSession(w, session).VNI)
	w.EventSays(session, "VNIChanged", "this one's VNI changes from 1 to 2")

	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(vni)) })
	harness.Ready(w, session)
	harness.Same(t, "a VNI that the spec names", vni, cloudSession(w, session).VNI)
}

package integration_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestWhatSomebodyChangesInASuspendedFilterIsSaidOfItsSession(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := w.Start(patient)
	filter, session := w.Pair("left")
	pathClear(w, session, v1alpha1.ReasonClear)
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.Suspend = true })
	harness.Until(w, filter, "it is suspended", func(f *v1alpha1.MirrorFilter) bool {
		c := meta.FindStatusCondition(f.Status.Conditions, v1alpha1.ConditionReady)
		return c != nil && c.Reason == v1alpha1.ReasonSuspended
	})
	w.Clock.Advance(time.Minute)
	harness.ReconcileNow(w, session)
	pathClear(w, session, v1alpha1.ReasonClear)

	rule := filter.Status.Rules[0].ID
	w.Edit(func(world *state.World) {
		r := world.Rules[rule]
		r.Action = "reject"
		world.Rules[rule] = r
	})
	w.Clock.Advance(time.Minute)
	harness.ReconcileNow(w, session)
	c := pathClear(w, session, v1alpha1.ReasonChangedInCloud, "is not in the cloud as the spec has it", "nothing of what it is to accept is copied")
	harness.Same(t, "the status", metav1.ConditionFalse, c.Status)
	harness.Same(t, "the remedy", `set spec.suspend of the MirrorFilter "left" to false, and it is put back as the spec has it`, session.Status.Findings[0].Remedy)

	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.Suspend = false })
	harness.Ready(w, filter)
	w.Clock.Advance(time.Minute)
	harness.ReconcileNow(w, session)
	pathClear(w, session, v1alpha1.ReasonClear)
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Priority++ })
	harness.Ready(w, filter)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(9)) })
	harness.Ready(w, session)
	m.EventsSent(w)
	harness.Same(t, "events of a change in the cloud", 1, m.Evented(v1alpha1.ReasonChangedInCloud))
}

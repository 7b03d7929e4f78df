package integration_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/integration/harness"
)

// What a closed group keeps out is named on request, whatever optional list never works.
func TestOneListThatFailsForGoodHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Fault(fault.Fault{Kind: fault.Error, Operation: "ListFlavors", Status: 500, Code: "ECS.0001", Message: "internal"})
	w.Start(patient)
	_, session := w.Pair("lamed")
	pathClear(w, session, v1alpha1.ReasonNotJudged)
	for range 5 { // as a few edges would
		w.Clock.Advance(6 * time.Minute)
		harness.ReconcileNow(w, session)
	}
	setRule(w, false)
	w.Clock.Advance(10 * time.Second)
	harness.ReconcileNow(w, session)
	c := meta.FindStatusCondition(session.Status.Conditions, v1alpha1.ConditionPathClear)
	if c.Reason != v1alpha1.ReasonTargetGroupDenies {
		t.Errorf("10 s after the group was closed, on request, PathClear is %s %s: %s", c.Status, c.Reason, c.Message)
	}
}

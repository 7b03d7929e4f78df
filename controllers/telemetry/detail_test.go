package telemetry

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

func TestASessionIsInTroubleWhereSomethingIsBrokenAndNotWhereNobodyCanKnow(t *testing.T) {
	t.Parallel()
	const yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	for _, c := range []struct {
		kind   string
		status metav1.ConditionStatus
		reason string
		want   bool
	}{
		{v1alpha1.ConditionReady, no, v1alpha1.ReasonConflict, true},
		{v1alpha1.ConditionReady, unknown, v1alpha1.ReasonSuspended, false},
		{v1alpha1.ConditionStalled, yes, v1alpha1.ReasonConflict, true},
		{v1alpha1.ConditionReconciling, yes, v1alpha1.ReasonProgressing, false},
		{v1alpha1.ConditionPathClear, no, v1alpha1.ReasonNoRoute, true},
		{v1alpha1.ConditionPathClear, unknown, v1alpha1.ReasonNotPermitted, false},
		{v1alpha1.ConditionPathClear, unknown, v1alpha1.ReasonNotJudged, false},
		{v1alpha1.ConditionConsumerReady, unknown, v1alpha1.ReasonOutOfSight, false},
		{v1alpha1.ConditionConsumerReady, unknown, v1alpha1.ReasonNoCopies, false},
		{v1alpha1.ConditionTrafficObserved, unknown, v1alpha1.ReasonNoPackets, false},
		{v1alpha1.ConditionTrafficObserved, unknown, v1alpha1.ReasonDisabled, false},
		{v1alpha1.ConditionTrafficObserved, unknown, v1alpha1.ReasonVerifierLost, true},
		{v1alpha1.ConditionTrafficObserved, unknown, v1alpha1.ReasonNoVerifier, true},
		{v1alpha1.ConditionTrafficObserved, unknown, v1alpha1.ReasonCaptureFailed, true},
		{v1alpha1.ConditionTrafficObserved, no, v1alpha1.ReasonSilent, true},
	} {
		s := v1alpha1.MirrorSession{}
		s.Status.Conditions = []metav1.Condition{condition(c.kind, c.status, c.reason)}
		if got := troubled(&s); got != c.want {
			t.Errorf("%s %s %s is trouble: %t", c.kind, c.status, c.reason, got)
		}
	}
	info := healthy("info")
	info.Status.Findings = []v1alpha1.Finding{{Reason: v1alpha1.ReasonNoPackets, Severity: v1alpha1.SeverityInfo}}
	if troubled(&info) {
		t.Error("a finding that asks nobody for anything is trouble")
	}
}

func TestTheHelpNamesTheBound(t *testing.T) {
	t.Parallel()
	for _, d := range []*prometheus.Desc{withheld, withheldFilters} {
		if bound := fmt.Sprintf(" first %d ", Many); !strings.Contains(d.String(), bound) {
			t.Errorf("%s does not say %q", d, bound)
		}
	}
}

func TestNoMoreThanABoundOfWhatIsInTroubleHasSeriesAndTheRestIsCounted(t *testing.T) {
	t.Parallel()
	var sessions []v1alpha1.MirrorSession
	for n := range Many + 7 {
		s := healthy(fmt.Sprintf("s-%05d", n))
		s.Status.Conditions[0].Status = metav1.ConditionFalse
		sessions = append(sessions, s)
	}
	first, leftOut := choose(Troubled, sessions, troubled)
	if len(first) != Many || leftOut != 7 {
		t.Fatalf("%d have series and %d are left out", len(first), leftOut)
	}
	sessions = slices.Clone(sessions) // what was chosen points into it
	slices.Reverse(sessions)
	again, _ := choose(Troubled, sessions, troubled)
	for i := range first {
		if first[i].Name != again[i].Name {
			t.Fatalf("in another order %s has series in place of %s", again[i].Name, first[i].Name)
		}
	}
	if all, none := choose(All, sessions, troubled); len(all) != Many+7 || none != 0 {
		t.Errorf("of all, %d have series and %d are left out", len(all), none)
	}
	var filters []v1alpha1.MirrorFilter
	for n := range Many + 3 {
		filters = append(filters, filter(fmt.Sprintf("f-%05d", n), metav1.ConditionFalse, v1alpha1.ReasonPermissionDenied))
	}
	filters = append(filters, filter("ready", metav1.ConditionTrue, v1alpha1.ReasonSynced))
	if some, leftOut := choose(Auto.of(len(filters), 0), filters, unready); len(some) != Many || leftOut != 3 {
		t.Errorf("of filters, %d have series and %d are left out", len(some), leftOut)
	}
}

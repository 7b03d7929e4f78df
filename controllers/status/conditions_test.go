package status_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

var noTimes = cmpopts.IgnoreFields(metav1.Condition{}, "LastTransitionTime")

func same[T any](t *testing.T, what string, want, got T, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func condition(kind, value, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: metav1.ConditionStatus(value), Reason: reason, Message: message, ObservedGeneration: 4}
}

func TestWhateverWasBeforeEachSetterLeavesExactlyItsOwnConditions(t *testing.T) {
	setters := map[string]struct {
		set  func(status.Object)
		want []metav1.Condition
	}{
		"Synced": {
			func(o status.Object) { status.Synced(o, "done") },
			[]metav1.Condition{condition("Ready", "True", "Synced", "done")},
		},
		"Waiting": {
			func(o status.Object) { status.Waiting(o, "FilterNotReady", "soon") },
			[]metav1.Condition{condition("Ready", "False", "FilterNotReady", "soon"), condition("Reconciling", "True", "FilterNotReady", "soon")},
		},
		"Stalled": {
			func(o status.Object) { status.Stalled(o, "NoSources", "name one") },
			[]metav1.Condition{condition("Ready", "False", "NoSources", "name one"), condition("Stalled", "True", "NoSources", "name one")},
		},
		"Suspended": {
			status.Suspended,
			[]metav1.Condition{condition("Ready", "Unknown", "Suspended", "spec.suspend is true: nothing is read or changed in the cloud until it is false")},
		},
	}
	for before, first := range setters {
		for after, second := range setters {
			t.Run(before+" and then "+after, func(t *testing.T) {
				f := &v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
				f.Status.ObservedGeneration = -1
				first.set(f)
				f.Generation = 4
				second.set(f)
				same(t, "the conditions", second.want, f.Status.Conditions, noTimes,
					cmpopts.SortSlices(func(a, b metav1.Condition) bool { return a.Type < b.Type }))
				same(t, "the observed generation", int64(4), f.Status.ObservedGeneration)
				same(t, "synced", after == "Synced", status.IsSynced(f))
			})
		}
	}
}

func TestAConditionThatStaysTrueKeepsItsTime(t *testing.T) {
	f := &v1alpha1.MirrorFilter{}
	status.Waiting(f, "FilterNotReady", "soon")
	long := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	for i := range f.Status.Conditions {
		f.Status.Conditions[i].LastTransitionTime = long
	}
	status.Waiting(f, "CloudUnavailable", "later")
	for _, c := range f.Status.Conditions {
		same(t, "the time of "+c.Type, long, c.LastTransitionTime)
	}
}

func TestAnObjectIsSyncedOnlyForItsPresentSpec(t *testing.T) {
	f := &v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
	same(t, "before anyone looked", false, status.IsSynced(f))
	status.Synced(f, "")
	same(t, "once synced", true, status.IsSynced(f))
	f.Generation = 2
	same(t, "with a new spec", false, status.IsSynced(f))
}

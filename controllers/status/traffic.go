package status

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Traffic sets the sum of the verifiers' entries. No packet in it is later than now: the clock
// of a node may be ahead, and its times must not stand in the future.
func Traffic(s *v1alpha1.MirrorSession, now time.Time) {
	s.Status.Traffic = SumTraffic(&s.Status, now)
}

// TrafficObserved sets the condition, see [observed].
func TrafficObserved(s *v1alpha1.MirrorSession, value metav1.ConditionStatus, reason, message string) {
	observed(s, v1alpha1.ConditionTrafficObserved, value, reason, message)
}

// PathClear sets the condition, see [observed].
func PathClear(s *v1alpha1.MirrorSession, value metav1.ConditionStatus, reason, message string) {
	observed(s, v1alpha1.ConditionPathClear, value, reason, message)
}

// observed sets a condition about the copies. It must come after the conditions about the cloud:
// its observedGeneration is that of the spec only when the cloud matches that spec, so that
// whoever waits for the condition after an edit does not take an answer about what was before.
func observed(s *v1alpha1.MirrorSession, condition string, value metav1.ConditionStatus, reason, message string) {
	generation := int64(0)
	if was := meta.FindStatusCondition(s.Status.Conditions, condition); was != nil {
		generation = was.ObservedGeneration
	}
	if inEffect(s) {
		generation = s.Generation
	}
	meta.SetStatusCondition(&s.Status.Conditions, metav1.Condition{
		Type: condition, Status: value, ObservedGeneration: generation, Reason: reason, Message: message,
	})
}

// inEffect reports whether what the cloud does follows the present generation of the spec: it
// matches, or the session is switched off or suspended by it.
func inEffect(s *v1alpha1.MirrorSession) bool {
	ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.ObservedGeneration != s.Generation {
		return false
	}
	switch ready.Reason {
	case v1alpha1.ReasonSuspended, v1alpha1.ReasonNoSources, v1alpha1.ReasonNoNodeSelected:
		return true
	}
	return ready.Status == metav1.ConditionTrue
}

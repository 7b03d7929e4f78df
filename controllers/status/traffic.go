package status

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// SumTraffic returns the sum of the verifiers' entries and of what is retired, or nil
// when there is nothing to add up. before is the sum so far: its retired part stays,
// and so do its first and last packet when the entry they came from is gone.
func SumTraffic(before *v1alpha1.Traffic, entries []v1alpha1.Verification) *v1alpha1.Traffic {
	if len(entries) == 0 && (before == nil || before.Retired == nil) {
		return nil
	}
	var sum v1alpha1.Traffic
	if before != nil {
		sum.FirstPacketAt, sum.LastPacketAt = before.FirstPacketAt.DeepCopy(), before.LastPacketAt.DeepCopy()
		if before.Retired != nil {
			sum.Counts = before.Retired.InBounds()
			sum.Retired = before.Retired.DeepCopy()
		}
	}
	for _, e := range entries {
		sum.Counts = sum.Plus(e.Counts.InBounds())
		if e.FirstPacketAt != nil && (sum.FirstPacketAt == nil || e.FirstPacketAt.Time.Before(sum.FirstPacketAt.Time)) {
			sum.FirstPacketAt = seconds(e.FirstPacketAt)
		}
		if e.LastPacketAt != nil && (sum.LastPacketAt == nil || e.LastPacketAt.Time.After(sum.LastPacketAt.Time)) {
			sum.LastPacketAt = seconds(e.LastPacketAt)
		}
	}
	return &sum
}

// seconds cuts a time to what the API server keeps of a Time, so that comparing with
// what was read back finds no difference.
func seconds(t *metav1.MicroTime) *metav1.Time {
	return &metav1.Time{Time: t.Truncate(time.Second)}
}

// Traffic sets the sum of the verifiers' entries. No packet in it is later than now: the clock
// of a node may be ahead, and its times must not stand in the future.
func Traffic(s *v1alpha1.MirrorSession, now time.Time) {
	before := s.Status.Traffic
	sum := SumTraffic(before, s.Status.Verification)
	s.Status.Traffic = sum
	if sum == nil {
		return
	}
	sum.FirstPacketAt = notAfter(now, sum.FirstPacketAt)
	if before != nil && before.LastPacketAt != nil && before.Counts == sum.Counts {
		// Nothing came meanwhile. A time that was cut must not move on with the clock.
		sum.LastPacketAt = before.LastPacketAt.DeepCopy()
	}
	sum.LastPacketAt = notAfter(now, sum.LastPacketAt)
	for i := range sum.Sources {
		source := &sum.Sources[i]
		if at := source.LastPacketAt; at != nil && at.After(now) {
			source.LastPacketAt = new(metav1.NewMicroTime(now.Truncate(time.Second)))
			if was := countsOf(before, source.InterfaceID); was != nil && was.LastPacketAt != nil &&
				was.Packets == source.Packets && was.Unexpected == source.Unexpected {
				source.LastPacketAt = was.LastPacketAt.DeepCopy()
			}
		}
	}
}

func countsOf(t *v1alpha1.Traffic, source string) *v1alpha1.SourceCounts {
	if t == nil {
		return nil
	}
	for i := range t.Sources {
		if t.Sources[i].InterfaceID == source {
			return &t.Sources[i]
		}
	}
	return nil
}

func notAfter(now time.Time, t *metav1.Time) *metav1.Time {
	if t == nil || !t.After(now) {
		return t
	}
	return new(metav1.NewTime(now.Truncate(time.Second)))
}

// TrafficObserved sets the condition. It must come after the conditions about the cloud: its
// observedGeneration is that of the spec only when the cloud matches that spec, so that
// whoever waits for the condition after an edit does not take an answer about what was before.
func TrafficObserved(s *v1alpha1.MirrorSession, value metav1.ConditionStatus, reason, message string) {
	generation := int64(0)
	if was := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionTrafficObserved); was != nil {
		generation = was.ObservedGeneration
	}
	if inEffect(s) {
		generation = s.Generation
	}
	meta.SetStatusCondition(&s.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionTrafficObserved, Status: value, ObservedGeneration: generation, Reason: reason, Message: message,
	})
}

// inEffect reports whether what the cloud does follows the present generation of the spec: it
// matches, or the session is switched off or suspended by it.
func inEffect(s *v1alpha1.MirrorSession) bool {
	ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.ObservedGeneration != s.Generation {
		return false
	}
	return ready.Status == metav1.ConditionTrue || ready.Reason == v1alpha1.ReasonSuspended || ready.Reason == v1alpha1.ReasonNoSources
}

// TrafficIs returns the status of TrafficObserved, Unknown when it is not set.
func TrafficIs(s *v1alpha1.MirrorSession) metav1.ConditionStatus {
	if c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionTrafficObserved); c != nil {
		return c.Status
	}
	return metav1.ConditionUnknown
}

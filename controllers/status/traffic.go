package status

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Traffic sets the sum of the verifiers' entries and TrafficObserved. It must come
// after the conditions about the cloud. lost reports of a node whether its verifier has
// stopped renewing its lease, given what was reported of it before.
func Traffic(s *v1alpha1.MirrorSession, lost func(node string, reported bool) bool, now time.Time) {
	s.Status.Traffic = SumTraffic(&s.Status, now)
	value, reason, message := observed(s, lost)
	set(s, v1alpha1.ConditionTrafficObserved, value, reason, message)
}

// observed decides TrafficObserved by those verifiers that count now, and says which other
// sessions claim what they count.
func observed(s *v1alpha1.MirrorSession, lost func(node string, reported bool) bool) (metav1.ConditionStatus, string, string) {
	entries, gone := countingNow(s, lost)
	value, reason, message := judged(s, entries, gone)
	if shared := first(entries, func(e v1alpha1.Verification) string { return e.Shared }); shared != "" {
		message += "; " + shared
	}
	return value, reason, message
}

// judged decides by what the verifiers counted first: a packet that was seen stays seen,
// whatever happens to the session later.
func judged(s *v1alpha1.MirrorSession, entries, gone []v1alpha1.Verification) (metav1.ConditionStatus, string, string) {
	if len(entries) == 0 && len(gone) > 0 {
		return metav1.ConditionUnknown, v1alpha1.ReasonVerifierLost,
			"the verifier " + where(gone) + " has stopped renewing its lease: the counts are as of its last report. Is its pod running, and can it reach the API server?"
	}
	var t v1alpha1.Counts
	for _, e := range entries {
		t = t.Plus(e.Counts.InBounds())
	}
	switch {
	case t.Packets > 0:
		return metav1.ConditionTrue, v1alpha1.ReasonPacketsObserved,
			"copies that the filter accepts arrive " + where(entries)
	case t.Unexpected > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonUnexpectedPackets,
			"only packets that the filter does not accept arrive " + where(entries) +
				": look at the last packet in status.verification, and at the filter's directions, addresses and ports"
	case t.ForeignSource > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonForeignSource,
			"packets with the session's VNI arrive " + where(entries) +
				", but from an address that is no source of it: another session may use the same VNI for this target"
	case t.Undecided > 0:
		return metav1.ConditionFalse, v1alpha1.ReasonUndecided,
			"packets arrive " + where(entries) +
				", but whether the filter accepts them can't be told: raise spec.packetLength, or look at the last packet in status.verification"
	case !s.InCloud():
		return metav1.ConditionUnknown, v1alpha1.ReasonNotReady, "the session is not in the cloud yet"
	case s.Spec.Enabled != nil && !*s.Spec.Enabled:
		return metav1.ConditionUnknown, v1alpha1.ReasonDisabled, "spec.enabled is false: the cloud makes no copies"
	case len(entries) == 0:
		return metav1.ConditionUnknown, v1alpha1.ReasonNoVerifier,
			"no verifier has reported from the host that owns the target " + targetName(s) + ": run one there"
	case first(entries, messageOf) != "":
		return metav1.ConditionUnknown, v1alpha1.ReasonCaptureFailed, first(entries, messageOf)
	default:
		return metav1.ConditionUnknown, v1alpha1.ReasonNoPackets,
			"no packet has arrived " + where(entries) +
				" yet: is there traffic that the filter accepts, and does the target's security group allow UDP 4789 from the sources?"
	}
}

// countingNow are the entries of the verifiers that count the session now, and gone those
// of the ones that are lost. Nobody is missed while the session is not in the cloud.
func countingNow(s *v1alpha1.MirrorSession, lost func(node string, reported bool) bool) (now, gone []v1alpha1.Verification) {
	c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionTrafficObserved)
	reported := c != nil && c.Reason == v1alpha1.ReasonVerifierLost
	for _, e := range s.Status.Verification {
		switch {
		case e.Ended:
		case s.InCloud() && lost(e.Node, reported):
			gone = append(gone, e)
		default:
			now = append(now, e)
		}
	}
	return now, gone
}

func targetName(s *v1alpha1.MirrorSession) string {
	switch t := s.Status.Target; {
	case t == nil:
		return ""
	case len(t.Addresses) > 0:
		return t.Addresses[0]
	default:
		return t.InterfaceID
	}
}

// where reads like: on ecs-target (eth0).
func where(entries []v1alpha1.Verification) string {
	places := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.Interface == "" {
			places = append(places, e.Node)
			continue
		}
		places = append(places, fmt.Sprintf("%s (%s)", e.Node, e.Interface))
	}
	return "on " + strings.Join(places, ", ")
}

func messageOf(e v1alpha1.Verification) string { return e.Message }

// first is the first of a kind of text that an entry has, with the entry's node.
func first(entries []v1alpha1.Verification, text func(v1alpha1.Verification) string) string {
	for _, e := range entries {
		if said := text(e); said != "" {
			return e.Node + ": " + said
		}
	}
	return ""
}

// TrafficIs returns the status of TrafficObserved, Unknown when it is not set.
func TrafficIs(s *v1alpha1.MirrorSession) metav1.ConditionStatus {
	if c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionTrafficObserved); c != nil {
		return c.Status
	}
	return metav1.ConditionUnknown
}

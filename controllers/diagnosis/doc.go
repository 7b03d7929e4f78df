// Package diagnosis says of a session whether the copies that its filter accepts arrive, and
// what stands in the way: from what is known to the verdict of TrafficObserved and to
// findings, each with cause, subject and remedy. It has no clock and asks nobody: the same
// knowledge gives the same answer.
//
// A cause is one small function. What it goes by is in its comment.
//
// It may import api, controllers/cloud and controllers/plan.
package diagnosis

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Known is all that is known of one session.
type Known struct {
	// Session as it will be written: the conditions about the cloud are set, the counts are
	// summed up.
	Session *v1alpha1.MirrorSession
	// Reported is the status that stands at the API server, from which findings keep their
	// since.
	Reported *v1alpha1.MirrorSessionStatus
	// Lost are the nodes whose verifier has stopped renewing its lease.
	Lost map[string]bool
	// Overdue are the nodes whose verifier should have renewed its lease by now: it may be dead.
	Overdue map[string]bool
	// FilterChanging is whether the filter is not Ready: a verifier can't judge all copies then.
	FilterChanging bool
	// Movement is when the counts last moved, this look included.
	Movement Movement
	// Now is the time by the manager's clock.
	Now time.Time
	// CountsDelay is how long the counts of traffic that goes on may stand still in a status, and
	// how long an entry may wait for its turn to be written.
	CountsDelay time.Duration
	// SharedVNI is a sentence about another session that the cloud shows with the same VNI and
	// target, empty when there is none.
	SharedVNI string
	// Unknown are what the manifests have that is no field.
	Unknown Unknown
	// Path is what the cloud said of the way of the copies, nil while it was not looked at: what
	// was said of it then stays.
	Path *Path

	// denials, where it is not nil, takes in what is asked of [Known.overcome].
	denials *[]denial
}

// Unknown are the fields that Kubernetes has left out of the manifests of a session and of its filter, see
// [v1alpha1.UnknownFields].
type Unknown struct{ Filter, Session string }

// counting are the entries of the verifiers that count the session now, and gone those of the
// ones that are lost. Nobody is missed while the session is not in the cloud, nor on a node that
// the target has left: who is lost there can't end its entry.
func (k *Known) counting() (now, gone []v1alpha1.Verification) {
	for _, e := range k.Session.Status.Verification {
		switch {
		case e.Ended:
		case k.Session.InCloud() && k.Lost[e.Node]:
			if !k.Session.TargetElsewhere(e.Node) {
				gone = append(gone, e)
			}
		default:
			now = append(now, e)
		}
	}
	return now, gone
}

// inEpoch is what an entry counted in the present epoch of the session, which is compared by
// equality alone. In a status that never had an epoch everything is of the present one.
func (k *Known) inEpoch(e v1alpha1.Verification) v1alpha1.Counts {
	switch {
	case e.Epoch != k.Session.Status.Epoch:
		return v1alpha1.Counts{}
	case e.InEpoch != nil:
		return e.InEpoch.InBounds()
	case e.Epoch == 0:
		return e.Counts.InBounds()
	default:
		return v1alpha1.Counts{}
	}
}

// off says why the cloud makes no copies although it has the session, empty when it should
// make some.
func (k *Known) off() string {
	s := k.Session
	switch {
	case s.Spec.Enabled != nil && !*s.Spec.Enabled && !k.inLine():
		return "spec.enabled is false, but the cloud is not in line with the spec yet: it may still make copies, see the condition Ready"
	case s.Spec.Enabled != nil && !*s.Spec.Enabled:
		return "spec.enabled is false: the cloud makes no copies"
	case len(s.Spec.Sources) == 0:
		return "spec.sources is empty: no copies are to be made"
	case len(s.Status.Sources) == 0:
		return "no source of the spec is in the cloud: there is nothing to copy from"
	default:
		return ""
	}
}

// judged reports whether somebody counts what the cloud should copy, so that there is
// anything to be said about the traffic of now.
func (k *Known) judged() bool {
	return k.awaited() && len(k.counters()) > 0
}

// awaited reports whether the cloud should make copies now, so that somebody has to count.
func (k *Known) awaited() bool { return k.Session.InCloud() && k.off() == "" && !k.suspended() }

// counters are the entries of the verifiers that count the session now and can.
func (k *Known) counters() []v1alpha1.Verification {
	entries, _ := k.counting()
	return slices.DeleteFunc(entries, func(e v1alpha1.Verification) bool { return e.Message != "" })
}

func (k *Known) suspended() bool { return k.Session.Spec.Suspend }

func (k *Known) ready() *metav1.Condition {
	return meta.FindStatusCondition(k.Session.Status.Conditions, v1alpha1.ConditionReady)
}

// inLine reports whether the cloud matches the present spec.
func (k *Known) inLine() bool {
	ready := k.ready()
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == k.Session.Generation
}

// catchUp is how long a verifier may take to report a session that is new, or that it counts in a
// new epoch. It writes either at once, when it is the session's turn.
func (k *Known) catchUp() time.Duration { return max(catchUp, k.CountsDelay) }

// silenceAfter is for how long nothing may come, 0 when that is never judged. What is shorter
// than the counts' way into the status is as long as that.
func (k *Known) silenceAfter() time.Duration {
	if k.Session.Spec.SilenceAfter == nil || k.Session.Spec.SilenceAfter.Duration <= 0 {
		return 0
	}
	return max(k.Session.Spec.SilenceAfter.Duration, k.CountsDelay)
}

// heldBack reports whether a silence is not said yet, as a verifier that should count may be dead:
// it is lost soon, or has renewed its lease. One that was said before stays.
func (k *Known) heldBack(reason, subject string) bool {
	return k.overdue() && k.reported(reason, subject) == nil
}

func (k *Known) overdue() bool {
	return slices.ContainsFunc(k.counters(), func(e v1alpha1.Verification) bool {
		return k.Overdue[e.Node] && !k.Session.TargetElsewhere(e.Node)
	})
}

// reported is the finding that stands in the status, nil for none.
func (k *Known) reported(reason, subject string) *v1alpha1.Finding {
	if k.Reported == nil {
		return nil
	}
	for i := range k.Reported.Findings {
		if f := &k.Reported.Findings[i]; f.Reason == reason && f.Subject == subject {
			return f
		}
	}
	return nil
}

// Package status sets conditions so that people, kstatus and Argo CD read
// the same from them, sums up what the verifiers report, and writes the status with
// server-side apply, once, and only when it changed.
//
// It may import api.
package status

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Object is a MirrorFilter or a MirrorSession.
type Object interface {
	client.Object
	// Cloud returns the part of the spec that both kinds have.
	Cloud() *v1alpha1.CloudSpec
	// Common returns the part of the status that both kinds have.
	Common() *v1alpha1.CommonStatus
}

// Synced says that the cloud matches the spec: kstatus Current.
func Synced(o Object, message string) {
	setReady(o, metav1.ConditionTrue, v1alpha1.ReasonSynced, message, "")
}

// Waiting says that the cloud does not match the spec yet and that the manager goes
// on by itself: kstatus InProgress.
func Waiting(o Object, reason, message string) {
	setReady(o, metav1.ConditionFalse, reason, message, v1alpha1.ConditionReconciling)
}

// Stalled says that only a person can help: kstatus Failed.
func Stalled(o Object, reason, message string) {
	setReady(o, metav1.ConditionFalse, reason, message, v1alpha1.ConditionStalled)
}

// Suspended says that the manager keeps its hands off: kstatus InProgress, because
// whether the cloud matches the spec is not known.
func Suspended(o Object) {
	setReady(o, metav1.ConditionUnknown, v1alpha1.ReasonSuspended,
		"spec.suspend is true: nothing is read or changed in the cloud until it is false", "")
}

// setReady sets Ready and at most one of Reconciling and Stalled for the present
// generation, and removes the other: present means true, as kstatus wants it.
func setReady(o Object, ready metav1.ConditionStatus, reason, message, helper string) {
	common := o.Common()
	common.ObservedGeneration = o.GetGeneration()
	set(o, v1alpha1.ConditionReady, ready, reason, message)
	for _, other := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		if other == helper {
			set(o, other, metav1.ConditionTrue, reason, message)
		} else {
			meta.RemoveStatusCondition(&common.Conditions, other)
		}
	}
}

func set(o Object, kind string, value metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&o.Common().Conditions, metav1.Condition{
		Type:               kind,
		Status:             value,
		ObservedGeneration: o.GetGeneration(),
		Reason:             reason,
		Message:            message,
	})
}

// IsSynced reports whether the last reconcile found the cloud as the present generation of
// the spec wants it.
func IsSynced(o Object) bool {
	ready := meta.FindStatusCondition(o.Common().Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == o.GetGeneration() &&
		o.Common().ObservedGeneration == o.GetGeneration()
}

// Differs reports whether the last reconcile of the present generation of the spec only observed, and found the
// cloud in another way than the spec says. Nobody brings it in line, so it is used as it is.
func Differs(o Object) bool {
	ready := meta.FindStatusCondition(o.Common().Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Reason == v1alpha1.ReasonDiffers && ready.ObservedGeneration == o.GetGeneration() &&
		o.Common().ObservedGeneration == o.GetGeneration()
}

// Settled reports whether the cloud is as the present generation of the spec wants it, or is only observed: nothing
// more is to be done.
func Settled(o Object) bool { return IsSynced(o) || Differs(o) }

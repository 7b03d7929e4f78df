package mirrorsession

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// announceConsumer makes an event when ConsumerReady begins or ends to say whether something
// takes the copies, or says another thing of that.
func (s *scope) announceConsumer(before *v1alpha1.MirrorSessionStatus, verdict diagnosis.Verdict) {
	if tellsConsumer(before.Conditions, s.session.Status.Conditions) {
		note := verdict.Message
		for _, f := range s.session.Status.Findings {
			if f.Reason == verdict.Reason && f.Message == verdict.Message {
				note = strings.TrimSuffix(note+". Remedy: "+f.Remedy, ". Remedy: ")
			}
		}
		s.Event(eventType(verdict.Severity), verdict.Reason, "Verify consumer", "%s", note)
	}
}

// tellsConsumer reports whether ConsumerReady says something new. That nothing is known comes and
// goes, and where nothing is known of the traffic either that has its own event.
func tellsConsumer(before, now []metav1.Condition) bool {
	is := meta.FindStatusCondition(now, v1alpha1.ConditionConsumerReady)
	if is == nil {
		return false
	}
	was := meta.FindStatusCondition(before, v1alpha1.ConditionConsumerReady)
	if was == nil {
		was = &metav1.Condition{Status: metav1.ConditionUnknown}
	}
	traffic := meta.FindStatusCondition(now, v1alpha1.ConditionTrafficObserved)
	switch {
	case is.Status == was.Status && (is.Reason == was.Reason || is.Status == metav1.ConditionUnknown):
		return false
	case traffic != nil && traffic.Reason == is.Reason:
		return false
	}
	return true
}

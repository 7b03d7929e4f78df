package status

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// ConsumerReady sets the condition, see [observed].
func ConsumerReady(s *v1alpha1.MirrorSession, value metav1.ConditionStatus, reason, message string) {
	observed(s, v1alpha1.ConditionConsumerReady, value, reason, message)
}

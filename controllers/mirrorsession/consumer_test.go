package mirrorsession

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

func TestWhenThereIsAnEventAboutTheConsumer(t *testing.T) {
	conditions := func(traffic, consumer string) []metav1.Condition {
		statuses := map[string]metav1.ConditionStatus{"ConsumerSeen": "True", "NobodyListens": "False", "DroppedOnNode": "False"}
		of := func(kind, reason string) metav1.Condition {
			status, known := statuses[reason]
			if !known {
				status = metav1.ConditionUnknown
			}
			return metav1.Condition{Type: kind, Status: status, Reason: reason}
		}
		all := []metav1.Condition{of(v1alpha1.ConditionTrafficObserved, traffic)}
		if consumer != "" {
			all = append(all, of(v1alpha1.ConditionConsumerReady, consumer))
		}
		return all
	}
	const traffic = v1alpha1.ReasonPacketsObserved
	for name, c := range map[string]struct {
		before, now []metav1.Condition
		want        bool
	}{
		"nothing is known of a new session":          {conditions(traffic, ""), conditions(traffic, "NotObserved"), false},
		"a new session has a consumer":               {conditions(traffic, ""), conditions(traffic, "ConsumerSeen"), true},
		"nobody takes the copies":                    {conditions(traffic, "NoCopies"), conditions(traffic, "NobodyListens"), true},
		"still nobody takes the copies":              {conditions(traffic, "NobodyListens"), conditions(traffic, "NobodyListens"), false},
		"they are lost for another reason":           {conditions(traffic, "NobodyListens"), conditions(traffic, "DroppedOnNode"), true},
		"it is mended":                               {conditions(traffic, "NobodyListens"), conditions(traffic, "ConsumerSeen"), true},
		"who took them is gone":                      {conditions(traffic, "ConsumerSeen"), conditions(traffic, "NoCopies"), true},
		"nothing is known, now for another reason":   {conditions(traffic, "NoCopies"), conditions(traffic, "OutOfSight"), false},
		"the verifier is lost, which is told anyway": {conditions(traffic, "ConsumerSeen"), conditions("VerifierLost", "VerifierLost"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tellsConsumer(c.before, c.now); got != c.want {
				t.Errorf("an event: %t, want %t", got, c.want)
			}
		})
	}
}

package status_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

func TestOnlyVerifiersThatLookSpeakForTheTraffic(t *testing.T) {
	there := []v1alpha1.CloudSession{{ID: "1"}}
	seen := func(node string, packets int64, ended bool) v1alpha1.Verification {
		return v1alpha1.Verification{Node: node, Ended: ended, Counts: v1alpha1.Counts{Packets: packets}}
	}
	lostVerifier := []metav1.Condition{{Type: v1alpha1.ConditionTrafficObserved, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonVerifierLost}}
	gone := func(node string, _ bool) bool { return node == "lost" }
	for name, c := range map[string]struct {
		status v1alpha1.MirrorSessionStatus
		lost   func(string, bool) bool
		want   string
	}{
		"one that is lost makes it unknown": {
			v1alpha1.MirrorSessionStatus{Sessions: there, Verification: []v1alpha1.Verification{seen("lost", 3, false)}}, gone, v1alpha1.ReasonVerifierLost,
		},
		"one that is lost is not missed before the session is in the cloud": {
			v1alpha1.MirrorSessionStatus{Verification: []v1alpha1.Verification{seen("lost", 0, false)}}, gone, v1alpha1.ReasonNotReady,
		},
		"one that counts and has seen nothing is not spoken for by one that is lost": {
			v1alpha1.MirrorSessionStatus{Sessions: there, Verification: []v1alpha1.Verification{seen("lost", 3, false), seen("here", 0, false)}}, gone, v1alpha1.ReasonNoPackets,
		},
		"one that ended speaks for nobody": {
			v1alpha1.MirrorSessionStatus{Sessions: there, Verification: []v1alpha1.Verification{seen("before", 3, true)}}, gone, v1alpha1.ReasonNoVerifier,
		},
		"what was said before is known to whoever asks": {
			v1alpha1.MirrorSessionStatus{
				CommonStatus: v1alpha1.CommonStatus{Conditions: lostVerifier}, Sessions: there, Verification: []v1alpha1.Verification{seen("here", 3, false)},
			}, func(_ string, said bool) bool { return said }, v1alpha1.ReasonVerifierLost,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &v1alpha1.MirrorSession{Status: c.status}
			status.Traffic(s, c.lost, time.Now())
			var got string
			for _, condition := range s.Status.Conditions {
				if condition.Type == v1alpha1.ConditionTrafficObserved {
					got = condition.Reason
				}
			}
			same(t, "the reason", c.want, got)
		})
	}
}

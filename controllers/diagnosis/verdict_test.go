package diagnosis_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

type said struct{ status, reason, message string }

func TestTrafficObservedIsAboutWhatIsCopiedNow(t *testing.T) {
	const ask = ": is there traffic that the filter accepts, and does the target's security group allow UDP 4789 from the sources?"
	arrived := func(w *world) { w.counts(v1alpha1.Counts{Packets: 1}) }
	arrive := said{"True", "PacketsObserved", "copies that the filter accepts arrive on n (eth0)"}
	for name, c := range map[string]struct {
		edit func(*world)
		want said
	}{
		"true once a right packet came in this epoch, whatever else did": {
			func(w *world) { w.counts(v1alpha1.Counts{Packets: 1, Unexpected: 9, ForeignSource: 9, Undecided: 9}) }, arrive,
		},
		"unknown when all came before the last change": {
			func(w *world) { w.counts(v1alpha1.Counts{}) },
			said{"Unknown", "NoPackets", "no packet has arrived on n (eth0) since sources, target, VNI, enabled or filter last changed" + ask},
		},
		"unknown when the verifier counts in another epoch": {
			func(w *world) { arrived(w); w.entry().Epoch = 4 },
			said{"Unknown", "NoPackets", "no packet has arrived on n (eth0) since sources, target, VNI, enabled or filter last changed" + ask},
		},
		"unknown when the verifier knows no epochs": {
			func(w *world) { arrived(w); w.entry().Epoch, w.entry().InEpoch = 0, nil },
			said{"Unknown", "NoPackets", "no packet has arrived on n (eth0) since sources, target, VNI, enabled or filter last changed" + ask},
		},
		"true by all that was counted where there never was an epoch": {
			func(w *world) { arrived(w); w.session.Status.Epoch, w.entry().Epoch, w.entry().InEpoch = 0, 0, nil }, arrive,
		},
		"unknown while nothing ever came": {
			func(*world) {}, said{"Unknown", "NoPackets", "no packet has arrived on n (eth0) yet" + ask},
		},
		"unknown while it is suspended, whatever was seen": {
			func(w *world) { arrived(w); w.session.Spec.Suspend = true },
			said{"Unknown", "Suspended", "spec.suspend is true: what the cloud copies now is not known"},
		},
		"unknown when the cloud has no session, whatever was seen": {
			func(w *world) { arrived(w); w.session.Status.Sessions = nil },
			said{"Unknown", "NotReady", "the session is not in the cloud yet"},
		},
		"unknown while it is switched off, whatever was seen": {
			func(w *world) { arrived(w); w.session.Spec.Enabled = new(false) },
			said{"Unknown", "Disabled", "spec.enabled is false: the cloud makes no copies"},
		},
		"unknown when no source is named, whatever was seen": {
			func(w *world) { arrived(w); w.session.Spec.Sources = nil },
			said{"Unknown", "Disabled", "spec.sources is empty: no copies are to be made"},
		},
		"unknown when no source is in the cloud, whatever was seen": {
			func(w *world) { arrived(w); w.session.Status.Sources = nil },
			said{"Unknown", "Disabled", "no source of the spec is in the cloud: there is nothing to copy from"},
		},
		"unknown when no verifier reports": {
			func(w *world) { w.session.Status.Verification = nil },
			said{"Unknown", "NoVerifier", "no verifier has reported from the host that owns the target 10.0.0.1: run one there"},
		},
		"unknown when the one that reported has ended": {
			func(w *world) { arrived(w); w.entry().Ended = true },
			said{"Unknown", "NoVerifier", "no verifier has reported from the host that owns the target 10.0.0.1: run one there"},
		},
		"unknown when the verifier is lost, whatever was seen": {
			func(w *world) { arrived(w); w.lost["n"] = true },
			said{"Unknown", "VerifierLost", "the verifier on n (eth0) has stopped renewing its lease: the counts are as of its last report. " +
				"Is its pod running, and can it reach the API server?"},
		},
		"unknown when the capture has failed, whatever was seen": {
			func(w *world) { arrived(w); w.entry().Message = "no capability" },
			said{"Unknown", "CaptureFailed", "n: no capability"},
		},
		"unknown when one capture has failed and the other saw nothing": {
			func(w *world) {
				w.session.Status.Verification = append(w.session.Status.Verification, v1alpha1.Verification{Node: "m", Message: "no capability"})
			}, said{"Unknown", "CaptureFailed", "m: no capability"},
		},
		"not spoken for by a verifier that is lost when another counts": {
			func(w *world) {
				arrived(w)
				w.lost["n"] = true
				w.session.Status.Verification = append(w.session.Status.Verification, v1alpha1.Verification{Node: "m", Epoch: 3})
			}, said{"Unknown", "NoPackets", "no packet has arrived on m yet" + ask},
		},
		"false when only unexpected packets came": {
			func(w *world) { w.counts(v1alpha1.Counts{Unexpected: 1, ForeignSource: 1, Undecided: 1}) },
			said{"False", "UnexpectedPackets", "only packets that the filter does not accept arrive on n (eth0): " +
				"look at the last packet in status.verification, and at the filter's directions, addresses and ports"},
		},
		"false when only foreign packets came": {
			func(w *world) { w.counts(v1alpha1.Counts{ForeignSource: 1, Undecided: 1}) },
			said{"False", "ForeignSource", "packets with the session's VNI arrive on n (eth0), but from an address that is no source of it: " +
				"another session may use the same VNI for this target"},
		},
		"false when only foreign packets came, naming who sends the most": {
			func(w *world) { w.counts(v1alpha1.Counts{ForeignSource: 1}); w.entry().ForeignSender = "10.0.0.9" },
			said{"False", "ForeignSource", "packets with the session's VNI arrive on n (eth0) from 10.0.0.9, which is no source of it: " +
				"another session may use the same VNI for this target"},
		},
		"false when what came can't be decided": {
			func(w *world) { w.counts(v1alpha1.Counts{Undecided: 1}) },
			said{"False", "Undecided", "packets arrive on n (eth0), but whether the filter accepts them can't be told: " +
				"raise spec.packetLength, or look at the last packet in status.verification"},
		},
		"false when what came can't be decided, as the filter is not Ready": {
			func(w *world) { w.counts(v1alpha1.Counts{Undecided: 1}); w.changing = true },
			said{"False", "Undecided", "packets arrive on n (eth0), but whether the filter accepts them can't be told " +
				"while the MirrorFilter is not Ready: look at its conditions"},
		},
		"true, and says which other session claims the packets": {
			func(w *world) { arrived(w); w.entry().Shared = "they are another's too" },
			said{"True", "PacketsObserved", "copies that the filter accepts arrive on n (eth0); n: they are another's too"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			c.edit(w)
			v, findings := w.look(0)
			same(t, "the verdict", c.want, said{string(v.Status), v.Reason, v.Message}, cmpSaid)
			if v.Status != metav1.ConditionTrue && len(findings) == 0 {
				t.Error("TrafficObserved is not True, and nothing is found")
			}
		})
	}
}

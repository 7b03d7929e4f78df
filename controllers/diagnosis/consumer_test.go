package diagnosis_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// consumed is what a verifier says of the consumer.
func consumed(status metav1.ConditionStatus, reason string) *v1alpha1.Consumer {
	c := &v1alpha1.Consumer{Status: status, Reason: reason, Message: "it says " + reason}
	if status != metav1.ConditionTrue {
		c.Remedy = "mend it"
	}
	return c
}

func TestConsumerReadySaysWhetherSomethingTakesTheCopiesWhole(t *testing.T) {
	taken, refused := consumed("True", v1alpha1.ReasonConsumerSeen), consumed("False", v1alpha1.ReasonNobodyListens)
	says := func(c *v1alpha1.Consumer) func(*world) {
		return func(w *world) { w.counts(v1alpha1.Counts{Packets: 200}); w.entry().Consumer = c }
	}
	and := func(edits ...func(*world)) func(*world) {
		return func(w *world) {
			for _, edit := range edits {
				edit(w)
			}
		}
	}
	other := func(c *v1alpha1.Consumer) func(*world) {
		return func(w *world) {
			w.session.Status.Verification = append(w.session.Status.Verification,
				v1alpha1.Verification{Node: "o", Interface: "eth1", Epoch: 3, InEpoch: &v1alpha1.Counts{}, Consumer: c})
		}
	}
	cut := func(w *world) { w.counts(v1alpha1.Counts{Packets: 200, Truncated: 100}) }
	drops := func(w *world) { w.entry().Dropped = 1 }
	for name, c := range map[string]struct {
		edit func(*world)
		// want is the condition, and found what findings say of it.
		want  string
		found []string
	}{
		"something takes them": {says(taken), "True ConsumerSeen: it says ConsumerSeen", nil},
		"nobody does":          {says(refused), "False NobodyListens: it says NobodyListens", []string{"Error NobodyListens n"}},
		"a device of another VNI": {
			says(consumed("False", v1alpha1.ReasonWrongVNI)), "False WrongVNI: it says WrongVNI", []string{"Error WrongVNI n"},
		},
		"a device that is down": {
			says(consumed("False", v1alpha1.ReasonConsumerDown)), "False ConsumerDown: it says ConsumerDown", []string{"Error ConsumerDown n"},
		},
		"a node that throws them away": {
			says(consumed("False", v1alpha1.ReasonDroppedOnNode)), "False DroppedOnNode: it says DroppedOnNode", []string{"Error DroppedOnNode n"},
		},
		"a node that throws some away": {
			and(says(consumed("False", v1alpha1.ReasonDroppedOnNode)), func(w *world) { w.entry().Consumer.Partial = true }),
			"False DroppedOnNode: it says DroppedOnNode", []string{"Warning DroppedOnNode n"},
		},
		"none come that could be followed": {says(consumed("Unknown", v1alpha1.ReasonNoCopies)), "Unknown NoCopies: it says NoCopies", nil},
		"somebody out of sight":            {says(consumed("Unknown", v1alpha1.ReasonOutOfSight)), "Unknown OutOfSight: it says OutOfSight", nil},
		"a reason of a later version":      {says(consumed("False", "A new one")), "Unknown NotDecided: it says A new one", nil},
		"a verifier that has not looked": {
			says(nil), "Unknown NotObserved: the verifier on n (eth0) has not said yet what takes the copies there", nil,
		},
		"the worst of two": {
			and(says(taken), other(refused)), "False NobodyListens: it says NobodyListens", []string{"Error NobodyListens o"},
		},
		"of two that nobody knows of": {and(says(taken), other(consumed("Unknown", v1alpha1.ReasonNoCopies))), "Unknown NoCopies: it says NoCopies", nil},
		"copies that are cut, though taken": {
			and(says(taken), cut), "False PayloadTruncated: more than 3 in 100 copies are cut", []string{"Warning PayloadTruncated"},
		},
		"copies that are cut, and nobody knows who takes them": {
			and(says(nil), cut), "False PayloadTruncated: more than 3 in 100 copies are cut", []string{"Warning PayloadTruncated"},
		},
		"copies that are cut, but nobody takes them anyway": {
			and(says(refused), cut), "False NobodyListens: it says NobodyListens", []string{"Error NobodyListens n", "Warning PayloadTruncated"},
		},
		"more than the capture could read": {
			and(says(taken), drops), "False CaptureDrops: the capture on n (eth0) could not keep up", []string{"Warning CaptureDrops n"},
		},
		"a verifier that is lost": {
			and(says(refused), func(w *world) { w.lost["n"] = true }), "Unknown VerifierLost: ", []string{"Warning VerifierLost n"},
		},
		"a capture that failed": {
			and(says(refused), func(w *world) { w.entry().Message = "it is down" }), "Unknown CaptureFailed: n: it is down", []string{"Warning CaptureFailed n"},
		},
		"no verifier": {
			func(w *world) { w.session.Status.Verification = nil }, "Unknown NoVerifier: ", []string{"Info NoVerifier target 10.0.0.1"},
		},
		"a session that is switched off": {
			and(says(refused), func(w *world) { w.session.Spec.Enabled = new(false) }), "Unknown Disabled: spec.enabled is false", []string{"Info Disabled"},
		},
		"a session that is suspended": {
			and(says(refused), func(w *world) { w.session.Spec.Suspend = true }), "Unknown Suspended: ", []string{"Info Suspended"},
		},
		"a session that is not in the cloud": {
			and(says(refused), func(w *world) { w.session.Status.Sessions = nil }), "Unknown NotReady: ", []string{"Info NotReady"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.counts(v1alpha1.Counts{Packets: 1})
			w.look(0)
			c.edit(w)
			_, findings := w.look(1)
			v := diagnosis.JudgeConsumer(w.known)
			if got := string(v.Status) + " " + v.Reason + ": " + v.Message; !strings.HasPrefix(got, c.want) {
				t.Errorf("ConsumerReady is %q, want %q", got, c.want)
			}
			same(t, "the findings", c.found, reasons(findings))
			for _, f := range findings {
				if f.DecidedBy == v1alpha1.DecidedByNode && strings.HasPrefix(f.Message, "it says") && f.Remedy != "mend it" {
					t.Errorf("it says to %q", f.Remedy)
				}
			}
		})
	}
}

// conditionReason is what Kubernetes takes as the reason of a condition (metav1.Condition).
var conditionReason = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`)

func TestWhateverAVerifierSaysTheReasonIsOneOfOurs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.entry().Consumer = &v1alpha1.Consumer{
			Status: metav1.ConditionStatus(rapid.SampledFrom([]string{"True", "False", "Unknown", ""}).Draw(t, "status")),
			Reason: rapid.OneOf(rapid.StringMatching(`[ -~]{0,64}`), rapid.SampledFrom([]string{"ConsumerSeen", "NoCopies", "NobodyListens"})).Draw(t, "reason"),
		}
		_, findings := w.look(0)
		v := diagnosis.JudgeConsumer(w.known)
		if !slices.Contains([]metav1.ConditionStatus{"True", "False", "Unknown"}, v.Status) || !conditionReason.MatchString(v.Reason) {
			t.Fatalf("%+v", v)
		}
		for _, f := range findings {
			if v1alpha1.Remedy(f.Reason) == "" {
				t.Fatalf("%+v", f)
			}
		}
	})
}

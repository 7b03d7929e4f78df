package diagnosis_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// A verifier that is lost can't end its entry. Where the target is on another node now, nobody
// misses it.
func TestNobodyMissesTheVerifierOfANodeThatTheTargetHasLeft(t *testing.T) {
	left := func() *world {
		w := newWorld()
		w.session.Status.Target.NodeName = "m"
		w.lost["n"] = true
		w.from(5, 5)
		return w
	}
	t.Run("while the node that has it counts", func(t *testing.T) {
		w := left()
		w.session.Status.Verification = append(w.session.Status.Verification,
			v1alpha1.Verification{Node: "m", Interface: "eth0", Epoch: 3, InEpoch: &v1alpha1.Counts{Packets: 1}})
		v, findings := w.look(0)
		same(t, "the reason", "PacketsObserved", v.Reason)
		same(t, "what is found", nil, reasons(findings))
	})
	t.Run("while nobody counts there", func(t *testing.T) {
		v, findings := left().look(0)
		same(t, "the reason", "NoVerifier", v.Reason)
		same(t, "what is found", []string{"Info NoVerifier target 10.0.0.1"}, reasons(findings))
	})
	t.Run("but that of the node that the spec names is", func(t *testing.T) {
		w := left()
		w.session.Spec.Target.NodeName = "n"
		v, _ := w.look(0)
		same(t, "the reason", "VerifierLost", v.Reason)
	})
}

func TestAClockThatWasAheadIsNotAheadForEver(t *testing.T) {
	w := newWorld()
	w.from(1, 1)
	w.entry().ObservedAt = metav1.NewMicroTime(w.now.Add(time.Minute))
	_, findings := w.look(0)
	same(t, "what is found", []string{"Warning ClockAhead n"}, reasons(findings))
	w.restarted()
	_, findings = w.look(time.Minute)
	same(t, "what another manager finds", []string{"Warning ClockAhead n"}, reasons(findings))
	_, findings = w.look(10 * time.Minute) // with no entry since
	same(t, "what is found long after", nil, reasons(findings))
}

func TestAnotherManagerDoesNotCallSilentWhatCameMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		silent func(*world)
		came   func(*world)
		want   string
	}{
		"of all":            {func(w *world) { w.look(time.Minute) }, func(w *world) { w.from(2, 2) }, "PacketsObserved"},
		"of one source":     {func(w *world) { w.from(2, 1); w.look(59 * time.Second); w.look(time.Second) }, func(w *world) { w.from(3, 2) }, "PacketsObserved"},
		"of the other only": {func(w *world) { w.from(2, 1); w.look(59 * time.Second); w.look(time.Second) }, func(w *world) { w.from(3, 1) }, "SourceSilent"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			within(w, time.Minute)
			w.from(1, 1)
			w.look(0)
			c.silent(w)
			v, _ := w.look(0)
			same(t, "the status", metav1.ConditionFalse, v.Status)
			c.came(w)
			w.restarted()
			v, _ = w.look(time.Second)
			same(t, "the reason", c.want, v.Reason)
		})
	}
}

// Many sessions of one node take turns to be reported: after a change of a filter that all
// share, and when they are new.
func TestWhoWaitsForItsTurnIsNotBehind(t *testing.T) {
	const turn = 200 * time.Second
	w := newWorld()
	w.delay = turn
	w.from(1, 1)
	w.look(0)
	w.session.Status.Epoch = 4
	w.look(0)
	_, findings := w.look(turn - time.Second)
	same(t, "what is found before its turn", []string{"Info NoPackets"}, reasons(findings))
	_, findings = w.look(time.Second)
	same(t, "what is found after", []string{"Warning VerifierBehind n", "Info NoPackets"}, reasons(findings))

	w = newWorld()
	w.delay = turn
	w.session.Status.Verification = nil
	w.look(0)
	_, findings = w.look(turn - time.Second)
	same(t, "what is found before its turn", []string{"Info NoVerifier target 10.0.0.1"}, reasons(findings))
	_, findings = w.look(time.Second)
	same(t, "what is found after", []string{"Warning NoVerifier target 10.0.0.1"}, reasons(findings))
}

func TestNobodyIsToldThatNoCopiesAreMadeWhenThatIsNotKnown(t *testing.T) {
	w := newWorld()
	w.session.Spec.Enabled = new(false)
	v, _ := w.look(0)
	same(t, "what is said when the cloud is in line", "spec.enabled is false: the cloud makes no copies", v.Message)
	w.session.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: "CloudUnavailable", Message: "no answer"}}
	v, _ = w.look(0)
	same(t, "the verdict when it is not", said{"Unknown", "Disabled",
		"spec.enabled is false, but the cloud is not in line with the spec yet: it may still make copies, see the condition Ready"},
		said{string(v.Status), v.Reason, v.Message}, cmpSaid)
}

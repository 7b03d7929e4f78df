package e2e

import (
	"context"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/prometheus"
)

// leaseDuration is how long a verifier's lease lasts after its last renewal; within
// noticed after that the condition has to say so.
const (
	leaseDuration = 40 * time.Second
	noticed       = time.Minute
)

// playNodeDeath has the power of ecs-target fail. Its verifier can say no word any more.
func playNodeDeath(t *testing.T, w *world) {
	p := pair{namespace: "death", vni: 70}
	w.makePair(t, p)
	m := w.startPrometheus(t, prometheus.Every("1s"))
	j := w.watch(t, p)
	falls := w.watchTotals(t, p)
	w.sayOnce(t)
	before := w.agree(t, p, j, 0)

	if err := w.KillNode(ecsTarget); err != nil {
		t.Fatal(err)
	}
	died := time.Now()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := w.StartNode(ctx, ecsTarget); err != nil {
			t.Error(err)
		}
	})
	until(t, leaseDuration+noticed, "TrafficObserved says that the verifier is lost", func(ctx context.Context) error {
		s, err := w.session(ctx, p)
		if err != nil {
			return err
		}
		return conditionIs(s, v1alpha1.ConditionTrafficObserved, "Unknown", v1alpha1.ReasonVerifierLost)
	})
	lost := time.Since(died)
	if got := w.mustSession(t, p).Status.Traffic.Packets; got != before {
		t.Errorf("the total is %d, it was %d", got, before)
	}
	m.fires(t, "VPCMirrorVerifierMissing", p.labels(), died)

	if err := w.StartNode(t.Context(), ecsTarget); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	w.waitForPods(t)
	w.waitCondition(t, p, v1alpha1.ConditionTrafficObserved, "True", v1alpha1.ReasonPacketsObserved)
	again := time.Since(back)
	m.ends(t, "VPCMirrorVerifierMissing", p.labels(), back)
	w.waitCapturing(t, p)
	base := before - int64(j.at(t)[copies])
	w.sayOnce(t)
	total := w.agree(t, p, j, base)
	if total <= before {
		t.Errorf("nothing was counted after the node came back: %d, before %d", total, before)
	}
	falls.neverFell(t)
	w.checked(t, "VerifierLost %.0f s after the node's death (the lease lasts %.0f s), True again %.0f s after the node was Ready; %d packets before, %d after, and the kernel agrees",
		lost.Seconds(), leaseDuration.Seconds(), again.Seconds(), before, total)
}

// sayOnce has a short conversation.
func (w *world) sayOnce(t *testing.T) {
	t.Helper()
	l := w.connect(t)
	if err := l.say("12345"); err != nil {
		t.Fatal(err)
	}
	l.hangUp(t)
}

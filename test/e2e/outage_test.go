package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// away is how long the API server is stopped.
const away = time.Minute

// playOutage stops the API server under traffic. The verifier counts on, and reports once
// it can.
func playOutage(t *testing.T, w *world) {
	p := pair{namespace: "outage", vni: 50}
	w.makePair(t, p)
	j := w.watch(t, p)
	falls := w.watchTotals(t, p)
	pod, err := w.verifierPod(t.Context(), ecsTarget)
	if err != nil {
		t.Fatal(err)
	}
	talk := w.chat(t)
	w.waitPackets(t, p, 1)
	t.Cleanup(func() { // what follows needs it, also when this fails
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := w.StartAPIServer(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := w.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	at := j.at(t)[copies]
	until(t, 2*away, "the API server was away for a minute and copies have come all the time", func(context.Context) error {
		counts, err := j.target.Read()
		if err != nil {
			return err
		}
		if took := time.Since(stopped); took < away || counts[copies] < at+1000 {
			return fmt.Errorf("%s, %d copies", took, counts[copies]-at)
		}
		return nil
	})
	missed := j.at(t)[copies] - at
	if err := w.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	talk.stop(t)
	counted := w.agree(t, p, j, 0)
	took := time.Since(back)
	w.waitForPods(t)
	same, err := w.verifierPod(t.Context(), ecsTarget)
	if err != nil {
		t.Fatal(err)
	}
	if same.UID != pod.UID || same.Status.ContainerStatuses[0].RestartCount != pod.Status.ContainerStatuses[0].RestartCount {
		t.Error("the verifier was restarted, so it did not live through the outage")
	}
	falls.neverFell(t)
	w.checked(t, "%d copies came while it was away; %.1f s after it was ready again the verifier had reported all %d, as the kernel counted; the pod did not restart",
		missed, took.Seconds(), counted)
}

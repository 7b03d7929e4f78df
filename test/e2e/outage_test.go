package e2e

import (
	"context"
	"fmt"
	"net"
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
	routed := w.waitRouted(t)
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
	w.checked(t, "%d copies came while it was away; %.1f s after the nodes could reach it again (%.1f s after it was ready) the verifier had reported all %d, as the kernel counted; the pod did not restart",
		missed, took.Seconds(), routed.Seconds(), counted)
}

// An API server that ends takes its address out of its Service first, and then every
// kube-proxy refuses connections to the Service until it has read the address again. It
// waits longer from try to try, as every reflector of client-go does: up to 30 s, and by
// chance up to twice that.
const routedWithin = 3 * time.Minute

// waitRouted waits until the pods of every node can reach the API server by its Service,
// and returns how long that took.
func (w *world) waitRouted(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	for _, node := range []string{ecsSource, ecsTest, ecsTarget} {
		until(t, routedWithin, "the Service of the API server answers on "+node, func(context.Context) error {
			return w.InNode(node, func() error {
				conn, err := net.DialTimeout("tcp4", "10.96.0.1:443", time.Second)
				if err != nil {
					return err
				}
				return conn.Close()
			})
		})
	}
	return time.Since(began)
}

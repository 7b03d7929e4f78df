package e2e

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/capture"
)

// takes lets a program take the copies on a node until the test ends, as the tcpdump of the
// cloud's guide does: a mirror that nobody listens to is one that is not well.
func (w *world) takes(t *testing.T, node string) {
	t.Helper()
	if !w.taken[node] {
		w.take(t, node)
	}
}

// take is the same until what it returns is called, at the latest when the test ends. The program holds no port, and
// is no process in the node, so that it survives the death of that.
func (w *world) take(t *testing.T, node string) (stop func()) {
	t.Helper()
	var ring *capture.Ring
	err := w.InNode(node, func() error {
		nic, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		ring, err = capture.OpenRing(nic.Index, vxlanPort, capture.RingOptions{})
		return err
	})
	if err != nil {
		t.Fatalf("taking the copies on %s: %v", node, err)
	}
	w.taken[node] = true
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			block, err := ring.Next(time.Second)
			if err != nil {
				return // it was stopped, or its interface is gone
			}
			if block != nil {
				block.Release()
			}
		}
	}()
	stop = sync.OnceFunc(func() {
		ring.Stop()
		<-done
		delete(w.taken, node)
		if err := ring.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// checkNothingFound waits until the status says that something takes the copies, and that nothing
// stands in their way.
func (w *world) checkNothingFound(t *testing.T, p pair) {
	t.Helper()
	until(t, patience, "ConsumerReady is True, and nothing is found", func(ctx context.Context) error {
		s, err := w.session(ctx, p)
		if err == nil && len(s.Status.Findings) > 0 {
			err = fmt.Errorf("findings are %+v", s.Status.Findings)
		}
		if err != nil {
			return err
		}
		return conditionIs(s, v1alpha1.ConditionConsumerReady, "True", v1alpha1.ReasonConsumerSeen)
	})
	w.checked(t, "ConsumerReady is True for a program on ecs-target that reads eth0, and status.findings is empty")
}

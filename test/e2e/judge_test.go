package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/demo/kernel"
)

const (
	tcp, udp    = 6, 17
	servicePort = 1234
	vxlanPort   = 4789
)

// What the kernel of ecs-target counts, for one session.
const (
	copies  = "copies"  // datagrams with the session's VNI and a packet that its filter accepts
	ofVNI   = "vni"     // all with the session's VNI from ecs-source
	all4789 = "all4789" // all to UDP 4789
)

// requests are the packets that the filter accepts, as ecs-source receives them.
const requests = "requests"

// judge lets the kernels count for one scenario. Nothing of the product takes part.
type judge struct {
	source, target *kernel.Judge
}

// watch begins to count.
func (w *world) watch(t *testing.T, p pair) *judge {
	t.Helper()
	source, test := w.address(t, ecsSource), w.address(t, ecsTest)
	table := fmt.Sprintf("e2e-%d", p.vni)
	j := &judge{}
	j.source = w.kernel(t, ecsSource, table, []kernel.Counter{{Name: requests, Fields: []kernel.Field{
		kernel.Protocol(tcp), kernel.Source(test), kernel.Destination(source), kernel.DestinationPort(servicePort),
	}}})
	outer := []kernel.Field{kernel.Protocol(udp), kernel.DestinationPort(vxlanPort)}
	session := append(outer[:2:2], kernel.Source(source), kernel.VNI(p.vni))
	inner := []kernel.Field{
		kernel.Inner(kernel.Protocol(tcp)), kernel.Inner(kernel.Source(test)), kernel.Inner(kernel.Destination(source)),
		kernel.Inner(kernel.DestinationPort(servicePort)),
	}
	j.target = w.kernel(t, ecsTarget, table, []kernel.Counter{
		{Name: all4789, Fields: outer},
		{Name: ofVNI, Fields: session},
		{Name: copies, Fields: append(session[:len(session):len(session)], inner...)},
	})
	return j
}

func (w *world) kernel(t *testing.T, node, table string, counters []kernel.Counter) *kernel.Judge {
	t.Helper()
	n, err := w.Node(node)
	if err != nil {
		t.Fatal(err)
	}
	j, err := kernel.Watch(n.Namespace, table, counters)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func (w *world) address(t *testing.T, node string) netip.Addr {
	t.Helper()
	n, err := w.Node(node)
	if err != nil {
		t.Fatal(err)
	}
	return n.Address
}

// at reads the counters of ecs-target.
func (j *judge) at(t *testing.T) kernel.Counts {
	t.Helper()
	counts, err := j.target.Read()
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

// agree waits until the verifier of ecs-target has counted exactly what its kernel
// received beyond a base, and nothing else, and returns that number. What the kernel
// received has to be what ecs-source got: the switch must have lost nothing either.
func (w *world) agree(t *testing.T, p pair, j *judge, base int64) int64 {
	t.Helper()
	var counted int64
	until(t, patience, "kernel and verifier agree", func(ctx context.Context) error {
		before, err := j.target.Read()
		if err != nil {
			return err
		}
		sent, err := j.source.Read()
		if err != nil {
			return err
		}
		s, err := w.session(ctx, p)
		if err != nil {
			return err
		}
		entry, err := onlyEntry(s)
		if err != nil {
			return err
		}
		want := v1alpha1.Counts{Packets: base + int64(before[copies]), Bytes: entry.Bytes}
		if entry.Counts != want {
			return fmt.Errorf("the kernel received %d copies (%+v), the verifier says %+v", want.Packets, before, entry.Counts)
		}
		if s.Status.Traffic == nil || s.Status.Traffic.Counts != want {
			return fmt.Errorf("traffic is not the sum of the entries: %+v", s.Status.Traffic)
		}
		if before[copies] != before[ofVNI] || before[copies] != sent[requests] {
			return fmt.Errorf("ecs-source received %d requests, ecs-target %+v", sent[requests], before)
		}
		counted = entry.Packets
		return nil
	})
	return counted
}

// totals sees every version of a session and notes when its totals fall.
type totals struct {
	cancel context.CancelFunc
	done   chan struct{}
	fell   []string
	seen   int
}

// watchTotals begins to watch. It goes on when the API server was away.
func (w *world) watchTotals(t *testing.T, p pair) *totals {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	x := &totals{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(x.done)
		var last int64
		again := time.NewTicker(200 * time.Millisecond)
		defer again.Stop()
		for ctx.Err() == nil {
			last = x.follow(ctx, w, p, last)
			select {
			case <-ctx.Done():
			case <-again.C:
			}
		}
	}()
	return x
}

// follow looks at versions until the watch ends.
func (x *totals) follow(ctx context.Context, w *world, p pair, last int64) int64 {
	stream, err := w.api.Watch(ctx, &v1alpha1.MirrorSessionList{}, inNamespace(p.namespace))
	if err != nil {
		return last // the API server is away
	}
	defer stream.Stop()
	for event := range stream.ResultChan() {
		s, ok := event.Object.(*v1alpha1.MirrorSession)
		if !ok || s.Status.Traffic == nil {
			continue
		}
		x.seen++
		if now := s.Status.Traffic.Packets; now < last {
			x.fell = append(x.fell, fmt.Sprintf("from %d to %d in version %s", last, now, s.ResourceVersion))
		} else {
			last = now
		}
	}
	return last
}

// neverFell ends the watch and fails the test when a total fell.
func (x *totals) neverFell(t *testing.T) int {
	t.Helper()
	x.cancel()
	<-x.done
	if len(x.fell) > 0 {
		t.Errorf("totals fell: %v", x.fell)
	}
	if x.seen == 0 {
		t.Error("no version of the session was seen, so nothing is proved")
	}
	return x.seen
}

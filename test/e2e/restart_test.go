package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
)

// sample is what the kernel of ecs-target had counted at a moment.
type sample struct {
	from, to time.Time // it was read in between
	copies   uint64
}

// sampler reads the kernel's counter again and again.
type sampler struct {
	cancel  context.CancelFunc
	done    chan error
	samples []sample
}

func (j *judge) sample(t *testing.T) *sampler {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	s := &sampler{cancel: cancel, done: make(chan error, 1)}
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			from := time.Now()
			counts, err := j.target.Read()
			if err != nil {
				s.done <- err
				return
			}
			s.samples = append(s.samples, sample{from, time.Now(), counts[copies]})
			select {
			case <-ctx.Done():
				s.done <- nil
				return
			case <-tick.C:
			}
		}
	}()
	return s
}

func (s *sampler) stop(t *testing.T) {
	t.Helper()
	s.cancel()
	if err := <-s.done; err != nil {
		t.Fatal(err)
	}
}

// around returns bounds of what the kernel had counted at a moment: of the last reading
// that ended before it and of the first that began after it.
func (s *sampler) around(at time.Time) (low, high uint64) {
	for _, x := range s.samples {
		if x.to.Before(at) {
			low = x.copies
		}
		high = x.copies
		if x.from.After(at) {
			break
		}
	}
	return low, high
}

// playRestart deletes the verifier's pod under traffic. The totals must go on from what
// the old pod had counted; what came while no pod captured is the gap between the last
// observedAt of the old and startedAt of the new. The kernel's counter, read every 10 ms
// beside it, says how many copies came in the gap, so the final count is judged to within
// the packets of one reading at each of its ends.
func playRestart(t *testing.T, w *world) {
	p := pair{namespace: "restart", vni: 40}
	w.makePair(t, p)
	j := w.watch(t, p)
	falls := w.watchTotals(t, p)
	readings := j.sample(t)
	talk := w.chat(t)
	w.waitPackets(t, p, 50)
	old, err := w.verifierPod(t.Context(), ecsTarget)
	if err != nil {
		t.Fatal(err)
	}
	before := w.entryAfter(t, p, old.Name)
	after := w.mustEntry(t, p)
	w.waitPackets(t, p, after.Packets+50)
	talk.stop(t)
	last := w.lastWrite(t, p, j)
	readings.stop(t)

	received := j.at(t)[copies]
	gapLow, gapHigh := readings.gap(before.ObservedAt.Time, after.StartedAt.Time)
	low, high := int64(received)-int64(gapHigh), int64(received)-int64(gapLow)
	if last.Packets < low || last.Packets > high {
		t.Errorf("the kernel received %d copies, %d to %d of them between the old pod's last read and the new one's first; the verifiers counted %d, wanted are %d to %d",
			received, gapLow, gapHigh, last.Packets, low, high)
	}
	if last.Unexpected+last.Undecided+last.ForeignSource+last.Dropped != 0 {
		t.Errorf("there was nothing but copies: %+v", last.Counts)
	}
	versions := falls.neverFell(t)
	w.checked(t, "kernel %d, counted %d, %d to %d came in the gap of %.1f s (observedAt of the old pod to startedAt of the new); totals never fell in %d versions",
		received, last.Packets, gapLow, gapHigh, after.StartedAt.Sub(before.ObservedAt.Time).Seconds(), versions)
}

// gap bounds how many copies came between two moments.
func (s *sampler) gap(from, to time.Time) (low, high uint64) {
	fromLow, fromHigh := s.around(from)
	toLow, toHigh := s.around(to)
	if toLow > fromHigh {
		low = toLow - fromHigh
	}
	return low, toHigh - fromLow
}

// entryAfter deletes the verifier's pod and waits until its successor has written an
// entry. It returns the last entry of the deleted one.
func (w *world) entryAfter(t *testing.T, p pair, pod string) v1alpha1.Verification {
	t.Helper()
	first := w.mustEntry(t, p)
	stream, err := w.api.Watch(t.Context(), &v1alpha1.MirrorSessionList{}, inNamespace(p.namespace))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Stop()
	w.kubectl(t, "delete", "pod", "-n", system, pod, "--wait=false")
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	last := first
	for {
		select {
		case <-deadline.C:
			t.Fatalf("no successor of %s has written an entry within %s", pod, patience)
		case event := <-stream.ResultChan():
			s, ok := event.Object.(*v1alpha1.MirrorSession)
			if !ok {
				t.Fatalf("watching the session: %v", event)
			}
			entry, err := onlyEntry(s)
			if err != nil {
				t.Fatal(err)
			}
			if !entry.StartedAt.Equal(first.StartedAt) {
				return last
			}
			last = *entry
		}
	}
}

func (w *world) mustEntry(t *testing.T, p pair) v1alpha1.Verification {
	t.Helper()
	entry, err := onlyEntry(w.mustSession(t, p))
	if err != nil {
		t.Fatal(err)
	}
	return *entry
}

// waitPackets waits until the verifier has reported so many packets.
func (w *world) waitPackets(t *testing.T, p pair, count int64) {
	t.Helper()
	until(t, patience, fmt.Sprintf("%d packets are reported", count), func(ctx context.Context) error {
		s, err := w.session(ctx, p)
		if err != nil {
			return err
		}
		if s.Status.Traffic == nil || s.Status.Traffic.Packets < count {
			return fmt.Errorf("traffic is %+v", s.Status.Traffic)
		}
		return nil
	})
}

// lastWrite waits for the verifier's last write after the traffic has ended: its entry is
// as of a moment after the kernel's last copy.
func (w *world) lastWrite(t *testing.T, p pair, j *judge) v1alpha1.Verification {
	t.Helper()
	var last v1alpha1.Verification
	var quiet time.Time
	var received uint64
	until(t, patience, "the last counts are reported", func(ctx context.Context) error {
		counts, err := j.target.Read()
		if err != nil {
			return err
		}
		if quiet.IsZero() || counts[copies] != received {
			quiet, received = time.Now(), counts[copies]
		}
		s, err := w.session(ctx, p)
		if err != nil {
			return err
		}
		entry, err := onlyEntry(s)
		if err != nil {
			return err
		}
		last = *entry
		switch {
		case entry.LastPacketAt == nil || time.Since(quiet) < 30*time.Second && !entry.ObservedAt.After(quiet):
			return errors.New("it may not be the last entry yet")
		case s.Status.Traffic == nil || s.Status.Traffic.Packets != entry.Packets:
			return fmt.Errorf("traffic is not the sum of the entries: %+v", s.Status.Traffic)
		}
		return nil
	})
	return last
}

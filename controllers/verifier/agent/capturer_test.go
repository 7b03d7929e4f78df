package agent

import (
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/report"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// mark is a moment by which so many frames had come, for sure.
type mark struct {
	at     time.Time
	frames uint64
}

func TestCountsAreExactAsOfTheTimeOfTheSnapshot(t *testing.T) {
	w, session, h := counting(t)
	c := h.only()

	var came []mark  // by then at least so many had come
	var began []mark // by then no more than so many had been sent
	var sent uint64
	inTheRing := 0
	check := func() {
		t.Helper()
		s := c.snapshot()
		counts, _ := s.Session(string(session.UID))
		if counts.Arrived < sent {
			inTheRing++
		}
		for _, m := range came {
			if !m.at.After(s.at) && counts.Arrived < m.frames {
				t.Errorf("as of %s %d frames were counted, but by %s %d had come", s.at, counts.Arrived, m.at, m.frames)
			}
		}
		for _, m := range began {
			if m.at.After(s.at) && counts.Arrived > m.frames {
				t.Errorf("as of %s %d frames were counted, but by %s only %d had been sent", s.at, counts.Arrived, m.at, m.frames)
			}
		}
	}
	for round := range uint64(60) {
		began = append(began, mark{time.Now(), sent})
		w.send(good(int(round%7) + 1)...)
		sent += round%7 + 1
		w.until("the kernel has them all", func() bool { return w.kernel() == sent })
		came = append(came, mark{time.Now(), sent})
		check()
		if round%5 == 0 {
			h.count() // waits until the ring is empty
			check()
		}
	}
	if inTheRing == 0 {
		t.Error("no snapshot found frames in the ring: this test has shown nothing")
	}
}

func TestFramesThatTheRingHasNoRoomForAreReportedAsDropped(t *testing.T) {
	w := newWorld(t)
	w.filter("web")
	s := w.session("web", "web")
	h := w.host(node, w.pair)
	h.Open = func(local Interface, port uint16) (ring *capture.Ring, err error) {
		err = inside(w.pair, func() error {
			ring, err = capture.OpenRing(local.Index, port, capture.RingOptions{BlockSize: 4096, Blocks: 2})
			return err
		})
		return ring, err
	}
	h.step()
	var sent int64
	w.until("the ring was full once", func() bool {
		w.send(good(2000)...)
		sent += 2000
		return h.only().snapshot().stats.Drops > 0
	})
	h.trail()
	got := w.stored(s).Status.Verification[0]
	if kernel := int64(w.kernel()); got.Dropped == 0 || got.Packets+got.Dropped != sent || kernel != sent {
		t.Errorf("%d packets were counted and %d dropped; the kernel counted %d, sent were %d", got.Packets, got.Dropped, kernel, sent)
	}

	t.Run("a session that comes later is not charged with them", func(t *testing.T) {
		later := w.session("later", "web", func(status *v1alpha1.MirrorSessionStatus) { status.VNI = new(int32(2)) })
		h.trail()
		w.expectEntries(later, entry(0))
	})
	t.Run("they don't fall when the ring is opened anew", func(t *testing.T) {
		for range 2 {
			w.flap(h)
		}
		h.trail()
		if now := w.stored(s).Status.Verification[0]; now.Counts != got.Counts {
			t.Errorf("the counts were %+v and are now %+v", got.Counts, now.Counts)
		}
	})
	t.Run("nor over a restart", func(t *testing.T) {
		h.finish()
		again := w.host(node, w.pair)
		again.step()
		if now := w.stored(s).Status.Verification[0]; now.Counts != got.Counts {
			t.Errorf("the counts were %+v and are now %+v", got.Counts, now.Counts)
		}
	})
}

// flap sets the receiver down and up again, and waits for the agent to notice.
func (w *world) flap(h *host) {
	w.t.Helper()
	link := w.pair.Receiver.Link(w.t)
	if err := w.pair.Receiver.Netlink.LinkSetDown(link); err != nil {
		w.t.Fatal(err)
	}
	w.until("the ring is closed", func() bool { return h.only().snapshot().problem != "" })
	if err := w.pair.Receiver.Netlink.LinkSetUp(link); err != nil {
		w.t.Fatal(err)
	}
	w.pair.UntilUp(w.t)
	w.until("there is another", func() bool { return h.only().snapshot().problem == "" })
}

func TestNothingIsReportedBeforeTheRingIsOpen(t *testing.T) {
	w := newWorld(t)
	w.filter("web")
	s := w.session("web", "web")
	h := w.host(node, w.pair)
	open, may := h.Open, make(chan struct{})
	h.Open = func(local Interface, port uint16) (*capture.Ring, error) {
		<-may
		return open(local, port)
	}
	h.reconcile(t.Context())
	h.flushDue(t.Context())
	w.expectEntries(s) // an entry would say that somebody counts
	close(may)
	h.step()
	w.expectEntries(s, entry(0))
}

func TestAnEdgeGoesBeforeNumbersThatWaitLonger(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	a := New(Options{Node: node, Port: vxlan.Port, Clock: func() time.Time { return now }, Log: logr.Discard()})
	// Neither is counted any more, so that all that is to be reported stands in the ledger.
	add := func(uid string, writtenAgo time.Duration, was, is int64) *tracked {
		session := sessionHere(uid, time.Hour, nil)
		of := func(packets int64) report.Totals {
			counts := v1alpha1.Counts{Packets: packets}
			return report.TotalsOf(v1alpha1.Verification{Counts: counts, InEpoch: &counts})
		}
		tr := &tracked{session: &session, ledger: report.NewLedger(now)}
		tr.ledger.Close(of(is))
		written := of(was).Entry(report.Observation{Node: node})
		tr.pace.Written(now.Add(-writtenAgo), written, 0) // whose interval begins then
		a.tracked[session.UID] = tr
		return tr
	}
	numbers := add("numbers", 16*time.Second, 1, 2) // not yet so long that it is their turn
	edge := add("edge", 10*time.Second, 0, 1)
	expect := func(wantNext time.Time, want ...*tracked) {
		t.Helper()
		all, next := a.due()
		var got []*tracked
		for _, d := range all {
			got = append(got, d.tracked)
		}
		if !slices.Equal(got, want) || !next.Equal(wantNext) {
			t.Errorf("due are %d, and the next at %s", len(got), next)
		}
	}
	expect(time.Time{}, edge, numbers)
	edge.retryAt = now.Add(time.Second)
	expect(edge.retryAt, numbers)
}

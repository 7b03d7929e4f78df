package agent

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
)

// link is the way to the API server, and what can be wrong with it.
type link struct {
	client.Client
	down   *atomic.Bool
	calls  *atomic.Int64 // reads of one object, and writes
	writes *atomic.Int64
	// readOnly lets writes fail, and nobody knows whether they took effect.
	readOnly *atomic.Bool
	// hang, when it is not nil, is closed when a call hangs until its deadline.
	hang chan struct{}
	// before, when it is not nil, happens once between the next read and its write.
	before func()
}

func newLink() *link {
	return &link{down: new(atomic.Bool), calls: new(atomic.Int64), writes: new(atomic.Int64), readOnly: new(atomic.Bool)}
}

func (l *link) wrap(c client.Client) client.Client { l.Client = c; return l }

var errDown = errors.New("connection refused")

func (l *link) call(ctx context.Context) error {
	l.calls.Add(1)
	switch {
	case l.hang != nil:
		close(l.hang)
		<-ctx.Done()
		return ctx.Err()
	case l.down.Load():
		return errDown
	}
	return nil
}

func (l *link) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if l.down.Load() {
		return errDown
	}
	return l.Client.List(ctx, list, opts...)
}

func (l *link) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if _, filter := o.(*v1alpha1.MirrorFilter); !filter { // those come from the cache
		if err := l.call(ctx); err != nil {
			return err
		}
	}
	return l.Client.Get(ctx, key, o, opts...)
}

func (l *link) Status() client.SubResourceWriter { return statusLink{l.Client.Status(), l} }

type statusLink struct {
	client.SubResourceWriter
	link *link
}

func (s statusLink) Apply(ctx context.Context, o runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
	if err := s.link.call(ctx); err != nil {
		return err
	}
	if s.link.readOnly.Load() {
		return errDown
	}
	if between := s.link.before; between != nil {
		s.link.before = nil
		between()
	}
	s.link.writes.Add(1)
	return s.SubResourceWriter.Apply(ctx, o, opts...)
}

func TestNothingIsLostWhileTheAPIServerIsAway(t *testing.T) {
	t.Run("when it answers nothing", func(t *testing.T) {
		w, l := newWorld(t), newLink()
		w.filter("web")
		s := w.session("web", "web")
		h := w.host(node, w.pair, l.wrap)
		h.step()
		l.down.Store(true)
		for range 12 {
			w.send(good(10)...)
			w.later(5 * time.Second)
			h.step()
		}
		if got := l.calls.Load(); got > 2+12 {
			t.Errorf("%d calls in a minute without an answer", got)
		}
		w.expectEntries(s, entry(0))
		l.down.Store(false)
		h.trail()
		w.expectEntries(s, entry(120))
	})

	t.Run("when it answers reads and no write, from the first on", func(t *testing.T) {
		w, l := newWorld(t), newLink()
		l.readOnly.Store(true)
		w.filter("web")
		s := w.session("web", "web")
		h := w.host(node, w.pair, l.wrap)
		for range 4 {
			w.later(20 * time.Second)
			h.step()
			w.send(good(10)...)
		}
		w.expectEntries(s)
		l.readOnly.Store(false)
		h.trail()
		w.expectEntries(s, entry(40))
	})

	t.Run("when a run begins then: it waits for what earlier runs have counted", func(t *testing.T) {
		w, l := newWorld(t), newLink()
		w.filter("web")
		s := w.session("web", "web")
		first := w.host(node, w.pair)
		first.step()
		w.send(good(10)...)
		first.finish()

		h := w.host(node, w.pair, l.wrap)
		h.count()
		l.down.Store(true) // it knows the session from its cache alone
		w.send(good(5)...)
		w.later(time.Minute)
		h.flushDue(t.Context())
		w.expectEntries(s, entry(10))
		l.down.Store(false)
		h.trail()
		w.expectEntries(s, entry(15))
	})

	t.Run("when a run ends then: it tries for a while, and the end is not held up for ever", func(t *testing.T) {
		w, l := newWorld(t), newLink()
		w.filter("web")
		s := w.session("web", "web")
		h := w.host(node, w.pair, l.wrap)
		h.step()
		w.send(good(10)...)
		l.down.Store(true)
		time.AfterFunc(tick+tick/2, func() { l.down.Store(false) })
		h.finish()
		w.expectEntries(s, entry(10))
	})
}

func TestAttemptsBecomeRarerWhileTheAPIServerIsAway(t *testing.T) {
	w, l := newWorld(t), newLink()
	w.filter("web")
	w.session("web", "web")
	h := w.host(node, w.pair, l.wrap)
	h.count()
	l.down.Store(true)
	for range 240 { // two minutes of ticks
		w.later(tick)
		h.flushDue(t.Context())
	}
	if got := l.calls.Load(); got < 8 || got > 14 {
		t.Errorf("%d attempts in two minutes, want about one each 15 s after the first few", got)
	}
}

func TestNeitherReconcilingNorAScrapeWaitsForACallThatHangs(t *testing.T) {
	w, l := newWorld(t), newLink()
	w.filter("web")
	w.session("web", "web")
	h := w.host(node, w.pair, l.wrap)
	h.count()
	l.hang = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	flushed := make(chan struct{})
	go func() { defer close(flushed); h.flushDue(ctx) }()
	<-l.hang
	others := make(chan struct{})
	go func() {
		defer close(others)
		h.reconcile(ctx)
		metrics := make(chan prometheus.Metric, 100)
		h.Collect(metrics)
	}()
	select {
	case <-others:
	case <-flushed:
		t.Error("the call has ended before reconciling and scraping did")
	}
	cancel()
	<-flushed
	<-others
}

func TestWhatHappensBetweenAReadAndItsWriteIsNotUndone(t *testing.T) {
	t.Run("a session that is made anew is not touched", func(t *testing.T) {
		w, l := newWorld(t), newLink()
		w.filter("web")
		s := w.session("web", "web")
		h := w.host(node, w.pair, l.wrap)
		h.step()
		w.send(good(10)...)
		l.before = func() {
			if err := w.admin.Delete(t.Context(), s); err != nil {
				t.Error(err)
			}
			s = w.session("web", "web")
		}
		h.trail()
		w.expectEntries(s)
		h.step()
		w.expectEntries(s, entry(0))
	})

	t.Run("what another run has written is not overwritten", func(t *testing.T) {
		w, l := newWorld(t), newLink()
		w.filter("web")
		s := w.session("web", "web")
		other, h := w.host(node, w.pair), w.host(node, w.pair, l.wrap)
		other.step()
		w.send(good(10)...)
		other.count()
		h.step()
		w.send(good(5)...)
		l.before = other.finish
		h.trail()
		w.expectEntries(s, entry(15))
	})

	t.Run("the manager's write only delays it", func(t *testing.T) {
		w, l := newWorld(t), newLink()
		w.filter("web")
		s := w.session("web", "web")
		h := w.host(node, w.pair, l.wrap)
		h.step()
		w.send(good(10)...)
		l.before = func() { w.manage(s, func(status *v1alpha1.MirrorSessionStatus) { status.VNI = new(int32(5)) }) }
		h.trail()
		w.expectEntries(s, entry(10))
		if got := w.stored(s).Status.VNI; *got != 5 {
			t.Errorf("the VNI is %d again", *got)
		}
	})
}

func TestTheWritesOfAHostAreBounded(t *testing.T) {
	t.Run("nothing is written while nothing comes", func(t *testing.T) {
		w, l := newWorld(t), newLink()
		w.filter("web")
		w.session("web", "web")
		h := w.host(node, w.pair, l.wrap)
		h.step()
		w.send(good(10)...)
		h.trail()
		before := l.calls.Load()
		for range 500 {
			w.later(time.Minute)
			h.flushDue(t.Context())
		}
		h.trail()
		if got := l.calls.Load() - before; got != 0 {
			t.Errorf("%d calls while nothing came", got)
		}
	})

	t.Run("of many sessions each gets its turn: edges within seconds, then numbers, one a second", func(t *testing.T) {
		w, l := newWorld(t), newLink()
		w.filter("web")
		const sessions = 40
		var all []*v1alpha1.MirrorSession
		for i := range sessions {
			all = append(all, w.session("s"+string(rune('a'+i/26))+string(rune('a'+i%26)), "web",
				func(status *v1alpha1.MirrorSessionStatus) { status.VNI = new(100 + int32(i)) }))
		}
		h := w.host(node, w.pair, l.wrap)
		h.count()
		for range 20 {
			h.flushDue(t.Context())
			w.later(100 * time.Millisecond)
		}
		for _, s := range all {
			w.expectEntries(s, entry(0))
		}
		w.later(time.Minute) // the packets' own edges come later
		// All of them have numbers to report, and then one a first.
		for vni := range uint32(sessions - 1) {
			w.send(copies(100+vni, 1, frametest.Inner("12345\n").Bytes())...)
		}
		h.count()
		for range 2 * sessions {
			w.later(time.Second)
			h.flushDue(t.Context())
		}
		for vni := range uint32(sessions - 1) {
			w.send(copies(100+vni, 1, frametest.Inner("12345\n").Bytes())...)
		}
		w.later(time.Minute)
		w.send(copies(100+sessions-1, 1, frametest.Inner("12345\n").Bytes())...)
		h.count()
		h.flushDue(t.Context())
		w.expectEntries(all[sessions-1], entry(1))
		for range sessions {
			w.later(time.Second)
			h.flushDue(t.Context())
		}
		for _, s := range all[:sessions-1] {
			w.expectEntries(s, entry(2))
		}
	})
}

package agent

import (
	"context"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// finish ends a run as Start does.
func (h *host) finish() {
	h.w.t.Helper()
	h.end(h.w.t.Context())
}

func TestTotalsGoOnOverRestarts(t *testing.T) {
	t.Run("an orderly end writes the last counts, and the next run goes on from them", func(t *testing.T) {
		w := newWorld(t)
		w.filter("web")
		s := w.session("web", "web")
		var total int64
		for _, n := range []int{100, 1, 0, 250} {
			h := w.host(node, w.pair)
			h.step()
			w.send(good(n)...)
			total += int64(n)
			h.finish() // the frames are still in the ring, and no time has passed
			w.expectEntries(s, entry(total))
		}
		if got := w.kernel(); got != uint64(total) {
			t.Errorf("the kernel counted %d", got)
		}
	})

	t.Run("a run that is killed loses only what it had not written", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(10)...)
		h.trail()
		w.send(good(5)...)
		h.kill()
		h = w.host(node, w.pair)
		h.step()
		w.expectEntries(s, entry(10))
		w.send(good(3)...)
		h.trail()
		w.expectEntries(s, entry(13))
	})

	t.Run("a cache that is behind does not make totals fall", func(t *testing.T) {
		w := newWorld(t)
		w.filter("web")
		s := w.session("web", "web")
		old := w.stored(s)
		h := w.host(node, w.pair)
		h.step()
		w.send(good(10)...)
		h.finish()
		h = w.host(node, w.pair)
		h.Client = stale{h.Client, *old} // as it was before the first run
		h.step()
		w.send(good(1)...)
		h.trail()
		w.expectEntries(s, entry(11))
	})

	t.Run("a predecessor that ends after its successor has begun is not undone", func(t *testing.T) {
		w := newWorld(t)
		w.filter("web")
		s := w.session("web", "web")
		first := w.host(node, w.pair)
		first.step()
		w.send(good(10)...)
		first.trail()
		w.send(good(7)...) // counted by the first alone, and not written yet
		first.count()
		second := w.host(node, w.pair)
		second.step()
		w.expectEntries(s, entry(10))
		w.send(good(4)...) // counted by both
		second.count()
		first.finish()
		w.expectEntries(s, entry(21))
		second.trail()
		w.expectEntries(s, entry(21))
		w.send(good(2)...)
		second.trail()
		w.expectEntries(s, entry(23))
	})

	t.Run("a successor that has not read yet when its predecessor ends reports no packet again", func(t *testing.T) {
		w, s, first := counting(t)
		w.send(good(10)...)
		first.trail()
		second := w.host(node, w.pair)
		second.count()
		w.send(good(4)...) // counted by both
		second.count()
		first.finish()
		w.expectEntries(s, entry(14))
		second.trail()
		w.expectEntries(s, entry(14))
		if got := w.kernel(); got != 14 {
			t.Errorf("the kernel counted %d", got)
		}
	})

	t.Run("nor does it lose what came before or after both counted", func(t *testing.T) {
		w, s, first := counting(t)
		w.send(good(10)...)
		first.trail()
		w.send(good(7)...) // counted by the first alone, and not written yet
		first.count()
		second := w.host(node, w.pair)
		second.count()
		w.send(good(4)...) // counted by both
		second.count()
		first.finish()
		second.unwritten() // records what was counted, as each tick does
		w.send(good(3)...) // counted by the second alone
		second.trail()
		w.expectEntries(s, entry(24))
		if got := w.kernel(); got != 24 {
			t.Errorf("the kernel counted %d", got)
		}
	})
}

// stale lists sessions as they once were.
type stale struct {
	client.Client
	was v1alpha1.MirrorSession
}

func (c stale) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if sessions, ok := list.(*v1alpha1.MirrorSessionList); ok {
		sessions.Items = []v1alpha1.MirrorSession{c.was}
		return nil
	}
	return c.Client.List(ctx, list, opts...)
}

func TestASessionThatWasMadeAnewStartsFromNothing(t *testing.T) {
	w, s, h := counting(t)
	w.send(good(10)...)
	h.trail()
	w.send(good(5)...)
	if err := w.admin.Delete(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	s = w.session("web", "web")
	h.w.later(time.Minute)
	h.flushDue(t.Context()) // the agent knows only the old one, whose counts nobody wants
	w.expectEntries(s)
	h.step()
	w.expectEntries(s, entry(0))
	w.send(good(2)...)
	h.trail()
	w.expectEntries(s, entry(2))
}

package agent

import (
	"context"
	"testing"
	"time"

	kruntime "k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/capture"
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
			w.tells(s, entry(total))
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
		w.tells(s, entry(10))
		w.send(good(3)...)
		h.trail()
		w.tells(s, entry(13))
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
		w.tells(s, entry(11))
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
		w.tells(s, entry(10))
		w.send(good(4)...) // counted by both
		second.count()
		first.finish()
		w.tells(s, entry(21))
		second.trail()
		w.tells(s, entry(21))
		w.send(good(2)...)
		second.trail()
		w.tells(s, entry(23))
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
	h.deliver(t.Context()) // the agent knows only the old one, whose counts nobody wants
	w.tells(s)
	h.step()
	w.tells(s, entry(0))
	w.send(good(2)...)
	h.trail()
	w.tells(s, entry(2))
}

func TestEntriesOfOthersStay(t *testing.T) {
	t.Run("two nodes keep an entry each", func(t *testing.T) {
		w := newWorld(t)
		other := w.neighbour()
		w.filter("web")
		s := w.session("web", "web")
		one, two := w.host(node, w.pair), w.host("other-node", other)
		for range 3 {
			w.send(good(2)...)
			w.sendTo(other, good(3)...)
			one.trail()
			two.trail()
		}
		w.tells(s, entry(6-2), entry(9-3, func(e *v1alpha1.Verification) { e.Node = "other-node" }))
	})

	t.Run("the manager's and the verifier's writes leave each other's fields alone", func(t *testing.T) {
		w, s, h := counting(t)
		sum := func(status *v1alpha1.MirrorSessionStatus) {
			status.Traffic = &v1alpha1.Traffic{Counts: v1alpha1.Counts{Packets: 1}}
		}
		w.manage(s, sum)
		w.tells(s, entry(0))
		w.send(good(3)...)
		h.trail()
		w.tells(s, entry(3))
		if got := w.stored(s).Status; got.Traffic == nil || got.Traffic.Packets != 1 || got.VNI == nil || *got.VNI != 1 {
			t.Errorf("the manager's part is now %+v", got)
		}
	})

	t.Run("an entry that the manager retired is written again with what came since", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(3)...)
		h.trail()
		w.retires(s)
		w.tells(s)
		h.trail()
		w.tells(s, entry(0))
		w.send(good(2)...)
		h.trail()
		w.tells(s, entry(2))
	})

	t.Run("a run says that it began when its ring was open, not before", func(t *testing.T) {
		w := newWorld(t)
		w.filter("web")
		s := w.session("web", "web")
		h := w.host(node, w.pair)
		var opened time.Time
		open := h.Open
		h.Open = func(local Interface, port uint16) (*capture.Ring, error) {
			w.later(time.Second) // the kernel takes its time
			ring, err := open(local, port)
			opened = w.now()
			return ring, err
		}
		h.step()
		h.trail()
		if got := w.stored(s).Status.Verification; len(got) != 1 || got[0].StartedAt.Time.Before(opened.Truncate(time.Microsecond)) {
			t.Errorf("the ring was open at %s; told is %+v", opened, got)
		}
	})

	t.Run("an entry is ended when the target is on another host now", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(3)...)
		h.trail()
		w.moves(s, "elsewhere")
		h.trail()
		w.tells(s, entry(3, ended))
	})

	t.Run("an entry of an earlier run is ended when the target went to another host meanwhile", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(3)...)
		h.finish()
		w.moves(s, "elsewhere")
		h = w.host(node, w.pair)
		h.trail()
		w.tells(s, entry(3, ended))
		w.retires(s)
		h.trail()
		h.trail()
		w.tells(s)
	})

	t.Run("an entry that was retired meanwhile is not made again by a cache that is behind", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(3)...)
		h.finish()
		w.moves(s, "elsewhere")
		old := w.stored(s)
		w.retires(s)
		h = w.host(node, w.pair)
		h.Client = stale{h.Client, *old}
		h.trail()
		w.tells(s)
	})

	t.Run("an entry stays as it is while the session is only not in the cloud", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(3)...)
		h.finish()
		w.manage(s, func(status *v1alpha1.MirrorSessionStatus) { status.Sessions = nil })
		h = w.host(node, w.pair)
		h.trail()
		w.tells(s, entry(3))
	})

	t.Run("a run that begins after its entry was retired begins at nothing", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(3)...)
		h.finish()
		w.retires(s)
		h = w.host(node, w.pair)
		h.step()
		w.tells(s, entry(0))
		w.send(good(2)...)
		h.trail()
		w.tells(s, entry(2))
	})

	t.Run("a target that goes to another host and comes back keeps the total", func(t *testing.T) {
		for name, late := range map[string]bool{"with the entry retired meanwhile": false, "before the entry is retired": true} {
			t.Run(name, func(t *testing.T) {
				w, s, h := counting(t)
				var sent, retired int64
				for round := range 3 {
					n := round*2 + 1
					w.send(good(n)...)
					sent += int64(n)
					h.trail()
					w.moves(s, "elsewhere")
					h.trail()
					if !late {
						retired += w.retires(s)
					}
					w.manage(s)
					h.trail()
					if late && round == 1 {
						retired += w.retires(s) // as if it had been seen late
					}
				}
				w.send(good(4)...)
				h.trail()
				w.tells(s, entry(sent+4-retired))
			})
		}
	})

	t.Run("what a write without an answer told is not told again after the entry was retired", func(t *testing.T) {
		w := newWorld(t)
		w.filter("web")
		s := w.session("web", "web")
		line := &cut{}
		h := w.host(node, w.pair, func(c client.Client) client.Client { line.Client = c; return line })
		h.step()
		w.send(good(3)...)
		h.trail()
		w.send(good(2)...)
		line.cut = true
		h.trail()
		line.cut = false
		retired := w.retires(s)
		h.trail()
		w.send(good(1)...)
		h.trail()
		w.tells(s, entry(6-retired))
		if retired != 5 {
			t.Errorf("the write without an answer told %d, want 5", retired)
		}
	})
}

// ended is what an entry says of a target that went elsewhere.
func ended(e *v1alpha1.Verification) {
	e.Ended, e.Message = true, "no interface of this host has the target's address or MAC any more"
}

// moves gives the session another target, as the manager does.
func (w *world) moves(s *v1alpha1.MirrorSession, id string) {
	w.t.Helper()
	w.manage(s, func(status *v1alpha1.MirrorSessionStatus) {
		status.Target = &v1alpha1.ResolvedInterface{InterfaceID: id, Addresses: []string{"192.0.2.1"}}
	})
}

// retires removes all entries, as the manager does when it adds them to traffic.retired,
// and returns how many packets they told.
func (w *world) retires(s *v1alpha1.MirrorSession) (packets int64) {
	w.t.Helper()
	for _, e := range w.stored(s).Status.Verification {
		packets += e.Packets
	}
	if err := w.admin.Status().Patch(w.t.Context(), s, client.RawPatch("application/json-patch+json",
		[]byte(`[{"op":"remove","path":"/status/verification"}]`))); err != nil {
		w.t.Fatal(err)
	}
	return packets
}

// cut is a line to the API server that brings what is written, and no answer.
type cut struct {
	client.Client
	cut bool
}

func (c *cut) Status() client.SubResourceWriter { return cutStatus{c.Client.Status(), c} }

type cutStatus struct {
	client.SubResourceWriter
	line *cut
}

func (c cutStatus) Apply(ctx context.Context, o kruntime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
	err := c.SubResourceWriter.Apply(ctx, o, opts...)
	if c.line.cut {
		return context.DeadlineExceeded
	}
	return err
}

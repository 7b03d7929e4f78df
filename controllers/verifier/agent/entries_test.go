package agent

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/capture"
)

func TestTwoNodesKeepAnEntryEach(t *testing.T) {
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
	w.expectEntries(s, entry(6-2), entry(9-3, func(e *v1alpha1.Verification) { e.Node = "other-node" }))
}

func TestManagerAndVerifierLeaveEachOthersFieldsAlone(t *testing.T) {
	w, s, h := counting(t)
	w.manage(s, func(status *v1alpha1.MirrorSessionStatus) {
		status.Traffic = &v1alpha1.Traffic{Counts: v1alpha1.Counts{Packets: 1}}
	})
	w.expectEntries(s, entry(0))
	managed := w.stored(s).Status
	w.send(good(3)...)
	h.trail()
	w.expectEntries(s, entry(3))
	got := w.stored(s).Status
	got.Verification, managed.Verification = nil, nil
	if diff := cmp.Diff(managed, got); diff != "" {
		t.Errorf("the manager's part (-want +got):\n%s", diff)
	}
}

func TestARunSaysThatItBeganWhenItsRingWasOpenNotBefore(t *testing.T) {
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
		t.Errorf("the ring was open at %s; reported is %+v", opened, got)
	}
}

func TestWhatIsReportedAfterTheManagerHasFoldedTheEntry(t *testing.T) {
	t.Run("a run that goes on reports what came since", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(3)...)
		h.trail()
		w.folds(s)
		w.expectEntries(s)
		h.trail()
		w.expectEntries(s, entry(0, inEpoch(3)))
		w.send(good(2)...)
		h.trail()
		w.expectEntries(s, entry(2, inEpoch(3+2)))
	})

	t.Run("a run that begins afterwards begins at nothing", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(3)...)
		h.finish()
		w.folds(s)
		h = w.host(node, w.pair)
		h.step()
		w.expectEntries(s, entry(0))
		w.send(good(2)...)
		h.trail()
		w.expectEntries(s, entry(2))
	})

	t.Run("a cache that is behind makes no entry again", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(3)...)
		h.finish()
		w.moves(s, "elsewhere")
		old := w.stored(s)
		w.folds(s)
		h = w.host(node, w.pair)
		h.Client = stale{h.Client, *old}
		h.trail()
		w.expectEntries(s)
	})

	t.Run("what a write without an answer has reported is not reported again", func(t *testing.T) {
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
		folded := w.folds(s)
		h.trail()
		w.send(good(1)...)
		h.trail()
		w.expectEntries(s, entry(6-folded, inEpoch(6)))
		if folded != 5 {
			t.Errorf("the write without an answer reported %d, want 5", folded)
		}
	})
}

func TestAnEntryIsEndedWhenTheTargetIsOnAnotherHost(t *testing.T) {
	t.Run("by the run that counted", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(3)...)
		h.trail()
		w.moves(s, "elsewhere")
		h.trail()
		w.expectEntries(s, entry(3, ended))
	})

	t.Run("by a run that begins afterwards", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(3)...)
		h.finish()
		w.moves(s, "elsewhere")
		h = w.host(node, w.pair)
		h.trail()
		w.expectEntries(s, entry(3, ended))
		w.folds(s)
		h.trail()
		h.trail()
		w.expectEntries(s)
	})

	t.Run("but stays as it is while the session is only not in the cloud", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(3)...)
		h.finish()
		w.manage(s, func(status *v1alpha1.MirrorSessionStatus) { status.Sessions = nil })
		h = w.host(node, w.pair)
		h.trail()
		w.expectEntries(s, entry(3))
	})
}

// The API server takes no new entry from a node that the target is not on.
func TestATargetThatMovesBeforeItsFirstEntryIsWrittenGetsNone(t *testing.T) {
	w := newWorld(t)
	w.filter("web")
	s := w.session("web", "web")
	h := w.host(node, w.pair)
	h.count()
	w.send(good(3)...)
	h.count()
	w.manage(s, func(status *v1alpha1.MirrorSessionStatus) {
		status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "elsewhere", Addresses: []string{"192.0.2.1"}, NodeName: "elsewhere"}}
	})
	h.trail()
	h.trail()
	w.expectEntries(s)
	if len(h.tracked) != 0 {
		t.Errorf("%d sessions are still tracked", len(h.tracked))
	}
}

func TestATargetThatGoesToAnotherHostAndComesBackKeepsTheTotal(t *testing.T) {
	for name, late := range map[string]bool{"with the entry folded meanwhile": false, "before the entry is folded": true} {
		t.Run(name, func(t *testing.T) {
			w, s, h := counting(t)
			var sent, folded int64
			for round := range 3 {
				n := round*2 + 1
				w.send(good(n)...)
				sent += int64(n)
				h.trail()
				w.moves(s, "elsewhere")
				h.trail()
				if !late {
					folded += w.folds(s)
				}
				w.manage(s)
				h.trail()
				if late && round == 1 {
					folded += w.folds(s) // as if it had been seen late
				}
			}
			w.send(good(4)...)
			h.trail()
			var since int64 = 4 // what an entry that was folded had counted in the epoch is gone with it
			if late {
				since += sent
			}
			w.expectEntries(s, entry(sent+4-folded, inEpoch(since)))
		})
	}
}

// inEpoch is what an entry says after others were folded: of an epoch nothing is retired.
func inEpoch(packets int64) func(*v1alpha1.Verification) {
	return func(e *v1alpha1.Verification) {
		e.InEpoch = &v1alpha1.Counts{Packets: packets, Bytes: packets * goodBytes}
	}
}

// ended is what an entry says of a target that went elsewhere.
func ended(e *v1alpha1.Verification) {
	e.Ended, e.Message = true, "no interface of this host has the target's address or MAC any more"
}

// moves gives the session another target, as the manager does.
func (w *world) moves(s *v1alpha1.MirrorSession, id string) {
	w.t.Helper()
	w.manage(s, func(status *v1alpha1.MirrorSessionStatus) {
		status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: id, Addresses: []string{"192.0.2.1"}}}
	})
}

// folds moves all entries to traffic.retired, as the manager does, and returns how many
// packets they reported.
func (w *world) folds(s *v1alpha1.MirrorSession) (packets int64) {
	w.t.Helper()
	stored := w.stored(s)
	var retired v1alpha1.Tallies
	for i := range stored.Status.Verification {
		retired = retired.Plus(v1alpha1.TalliesOf(&stored.Status.Verification[i]))
	}
	packets = retired.Packets
	if t := stored.Status.Traffic; t != nil {
		retired = retired.Plus(v1alpha1.RetiredTallies(t.Retired))
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "remove", "path": "/status/verification"},
		{"op": "add", "path": "/status/traffic", "value": v1alpha1.Traffic{
			Counts: retired.Counts, Retired: &v1alpha1.Retired{Counts: retired.Counts, Sources: retired.Sources},
		}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.admin.Status().Patch(w.t.Context(), stored, client.RawPatch("application/json-patch+json", patch)); err != nil {
		w.t.Fatal(err)
	}
	return packets
}

// cut is a line to the API server that, when it is cut, still brings what is written, and
// no answer.
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

package agent

import (
	"context"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
)

// epoch is that of a status, or of an entry in which so much was counted of it.
func epoch(n int64) func(*v1alpha1.MirrorSessionStatus) {
	return func(status *v1alpha1.MirrorSessionStatus) { status.Epoch = n }
}

func inEpochOf(n, packets int64) func(*v1alpha1.Verification) {
	return func(e *v1alpha1.Verification) { e.Epoch = n; inEpoch(packets)(e) }
}

func TestWhatCameBeforeAnEpochWasSeenCountsAsNothingInIt(t *testing.T) {
	w, s, h := counting(t)
	w.manage(s, epoch(1))
	h.step()
	w.expectEntries(s, entry(0, inEpochOf(1, 0)))
	w.send(good(3)...)
	h.trail()
	w.expectEntries(s, entry(3, inEpochOf(1, 3)))

	w.manage(s, epoch(2))
	w.send(good(4)...) // they are in the ring when the epoch is seen
	h.trail()
	w.expectEntries(s, entry(7, inEpochOf(2, 0)))
	w.send(good(5)...)
	h.step() // the first packet in an epoch is worth a write
	w.expectEntries(s, entry(12, inEpochOf(2, 5)))
}

func TestARunThatBeginsGoesOnWithWhatWasCountedInTheEpochAndWithNothingOfAnother(t *testing.T) {
	w, s, h := counting(t)
	w.manage(s, epoch(1))
	h.step()
	w.send(good(3)...)
	h.trail()
	h.kill()
	h = w.host(node, w.pair)
	h.step()
	w.send(good(4)...)
	h.trail()
	w.expectEntries(s, entry(7, inEpochOf(1, 7)))
	h.kill()
	w.manage(s, epoch(2))
	h = w.host(node, w.pair)
	h.step()
	w.send(good(5)...)
	h.trail()
	w.expectEntries(s, entry(12, inEpochOf(2, 5)))
}

// behind is a cache that does not see some session change.
type behind struct {
	client.Client
	as *v1alpha1.MirrorSession // nil while it sees all
}

func (b *behind) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := b.Client.List(ctx, list, opts...)
	if sessions, ok := list.(*v1alpha1.MirrorSessionList); ok && b.as != nil {
		sessions.Items = []v1alpha1.MirrorSession{*b.as}
	}
	return err
}

// What is counted in an epoch is never written into the entry of another one.
func TestAnEpochOfWhichTheCacheDoesNotKnowBeginsBeforeTheNextWriteAndIsNotLeftAgain(t *testing.T) {
	w, s, h := counting(t)
	w.manage(s, epoch(1))
	h.step()
	cache := &behind{Client: h.Client, as: w.stored(s)}
	h.Client = cache
	w.manage(s, epoch(2))
	w.send(good(3)...)
	h.trail()
	w.expectEntries(s, entry(3, inEpochOf(2, 0)))
	w.send(good(4)...)
	h.trail()
	w.send(good(5)...)
	h.trail()
	w.expectEntries(s, entry(12, inEpochOf(2, 9)))
	cache.as = nil
	h.trail()
	w.send(good(1)...)
	h.trail()
	w.expectEntries(s, entry(13, inEpochOf(2, 10)))

	w.manage(s, epoch(3))
	w.send(good(2)...) // they are in the ring when the epoch is read
	for _, tracked := range h.tracked {
		if err := h.flush(t.Context(), tracked); err != nil {
			t.Fatal(err)
		}
	}
	w.expectEntries(s, entry(15, inEpochOf(3, 0)))
}

func TestASourceThatIsSilentIsSeenBesideOneThatIsNot(t *testing.T) {
	w := newWorld(t)
	w.filter("web")
	s := w.session("web", "web", func(status *v1alpha1.MirrorSessionStatus) {
		status.Sources = append(status.Sources, v1alpha1.ResolvedInterface{InterfaceID: "other", Addresses: []string{"192.168.0.231", "192.168.0.232"}})
	})
	h := w.host(node, w.pair)
	h.step()
	w.send(good(3)...)
	h.trail()
	other := v1alpha1.SourceCounts{InterfaceID: "other", Address: "192.168.0.231"}
	silent := func(e *v1alpha1.Verification) { e.Sources = []v1alpha1.SourceCounts{other, theSource(e.Counts)} }
	w.expectEntries(s, entry(3, silent))
	got := w.stored(s).Status.Verification[0]
	if silent, not := got.Sources[0].LastPacketAt, got.Sources[1].LastPacketAt; silent != nil || !not.Equal(got.LastPacketAt) {
		t.Errorf("the sources' last packets came at %v and %v, the session's at %v", silent, not, got.LastPacketAt)
	}

	t.Run("and goes with its counts when it is none any more", func(t *testing.T) {
		w.manage(s)
		w.manage(s, func(status *v1alpha1.MirrorSessionStatus) {
			status.Sources = []v1alpha1.ResolvedInterface{{InterfaceID: "other", Addresses: []string{"192.168.0.231"}}}
		})
		h.trail()
		w.expectEntries(s, entry(3, func(e *v1alpha1.Verification) { e.Sources = []v1alpha1.SourceCounts{other} }))
		w.manage(s)
		h.trail()
		w.send(good(2)...)
		h.trail()
		w.expectEntries(s, entry(5, func(e *v1alpha1.Verification) {
			e.Sources = []v1alpha1.SourceCounts{theSource(v1alpha1.Counts{Packets: 2, Bytes: 2 * goodBytes})}
		}))
	})
}

func TestEachRuleHasTheCountOfWhatItDecidedAboutInTheEpoch(t *testing.T) {
	w := newWorld(t)
	f := w.filter("web", func(f *v1alpha1.MirrorFilter) {
		ssh, dns := *f.Spec.Rules[0].DeepCopy(), *f.Spec.Rules[0].DeepCopy()
		ssh.Priority, ssh.Action, ssh.Destination.Port = 2, v1alpha1.ActionReject, new(int32(22))
		dns.Priority, dns.Destination.Port = 3, new(int32(53))
		f.Spec.Rules = append(f.Spec.Rules, ssh, dns)
	})
	s := w.session("web", "web", epoch(1))
	h := w.host(node, w.pair)
	h.step()
	ssh := frametest.Inner("12345\n")
	ssh.DestinationPort = 22
	w.send(good(3)...)
	w.send(copies(1, 2, ssh.Bytes())...)
	h.trail()
	rules := func(packets ...int64) func(*v1alpha1.Verification) {
		return func(e *v1alpha1.Verification) {
			e.Unexpected = 2
			for i, n := range packets {
				e.Rules = append(e.Rules, v1alpha1.RuleCounts{Direction: v1alpha1.DirectionIngress, Priority: int32(i + 1), Packets: n})
			}
		}
	}
	all := inEpochOf(1, 3)
	w.expectEntries(s, entry(3, rules(3, 2, 0), all, func(e *v1alpha1.Verification) { e.InEpoch.Unexpected = 2 }))

	f.Spec.Rules = f.Spec.Rules[:2]
	if err := w.admin.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	w.ready(f)
	w.manage(s, epoch(2))
	h.trail()
	w.send(good(4)...)
	h.trail()
	w.expectEntries(s, entry(7, rules(4, 0), inEpochOf(2, 4)))
}

package diagnosis

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

// atFirst is how many sources the session begins with, the most that it may have, of those in the world.
const atFirst, inWorld = 100, 115

// herdCause is no row of the catalogue: nothing is wrong.
var herdCause = cause{
	id: "herd", name: "nothing: a session has a hundred sources", needs: needs{sources: inWorld, perServer: 23, ownHost: true, byHand: true},
	shape: func(_ *site, f *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
		oneRule(f)
		m.Spec.Sources = m.Spec.Sources[:atFirst]
	},
}

// The cloud takes ten sources in a session, and ten sessions to a target: this is the largest that there is.
func TestWhileAHundredSourcesBecomeFewerAndMoreNoCopyOfOneThatStaysIsMissedOrDoubled(t *testing.T) {
	w := startWorld(t, []cause{herdCause})
	h := newHerd(w.sites[0])
	began := time.Now()
	w.must(h.apply())
	first := h.settled(10, atFirst)
	t.Logf("%d sources are mirrored in 10 sessions after %.1f s", atFirst, time.Since(began).Seconds())
	all := interfaceIDs(h.sources)
	h.sendEach(all[:atFirst])
	h.counted("before an edit", all[:atFirst])

	stay, leave := stayAndLeave(first)
	come := all[atFirst:]
	stop := h.hurry(stay)
	h.round(stay)
	w.must(h.edit(mirrors(stay)))
	h.settled(9, len(stay))
	h.round(stay)
	w.must(h.edit(mirrors(slices.Concat(stay, come))))
	last := h.settled(9, len(stay)+len(come))
	h.round(stay)
	t.Logf("%d datagrams went to the %d sources that stay while the spec was edited; all is done after %.1f s", stop(), len(stay), time.Since(began).Seconds())

	h.sendEach(come)
	h.sendUnmirrored(leave)
	h.counted("after the edits", slices.Concat(stay, come))
	if diff := cmp.Diff(placesOf(first, stay), placesOf(last, stay)); diff != "" {
		t.Errorf("which session in the cloud has a source that stays (-before +after):\n%s", diff)
	}
}

func interfaceIDs(all []nic) (ids []string) {
	for _, n := range all {
		ids = append(ids, n.id)
	}
	return ids
}

// mirrors names sources in the spec.
func mirrors(ids []string) func(*v1alpha1.MirrorSession) {
	return func(m *v1alpha1.MirrorSession) {
		m.Spec.Sources = nil
		for _, id := range ids {
			m.Spec.Sources = append(m.Spec.Sources, v1alpha1.SourceSelector{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: id}})
		}
	}
}

// stayAndLeave takes all sources of one session in the cloud, and three or four of each other one: sixty stay.
func stayAndLeave(m *v1alpha1.MirrorSession) (stay, leave []string) {
	for i := range m.Status.Sessions {
		sources := m.Status.Sessions[i].Sources
		goes := 3
		switch {
		case i == 4: // a part that ends
			goes = len(sources)
		case i < 3:
			goes = 4
		}
		leave, stay = append(leave, sources[:goes]...), append(stay, sources[goes:]...)
	}
	return stay, leave
}

// placesOf are the sessions in the cloud that have the sources, by source.
func placesOf(m *v1alpha1.MirrorSession, ids []string) map[string]string {
	places := map[string]string{}
	for i := range m.Status.Sessions {
		for _, id := range m.Status.Sessions[i].Sources {
			if slices.Contains(ids, id) {
				places[id] = m.Status.Sessions[i].ID
			}
		}
	}
	return places
}

// settled waits until so many sessions in the cloud mirror so many sources, and the verifier counts what is mirrored
// now, so that no copy from then on is one that it does not know.
func (h *herd) settled(sessions, sources int) *v1alpha1.MirrorSession {
	h.t.Helper()
	m := &v1alpha1.MirrorSession{}
	h.until(fmt.Sprintf("%d sources are mirrored in %d sessions, and counted", sources, sessions), startDeadline, func() error {
		if err := h.read(m, h.id); err != nil {
			return err
		}
		counts := len(m.Status.Verification) == 1 && m.Status.Verification[0].Epoch == m.Status.Epoch
		if !status.IsSynced(m) || len(m.Status.Sessions) != sessions || len(m.Status.Sources) != sources || !counts {
			return fmt.Errorf("%d sources in %d sessions, the present epoch is counted: %t, %v", len(m.Status.Sources), len(m.Status.Sessions), counts, m.Status.Conditions)
		}
		return nil
	})
	return m
}

// books are what is known of copies: in all, and by the address of the source.
type books struct {
	Total   v1alpha1.Counts
	Sources map[string]int64
}

// counted waits until what was sent is counted, each datagram once, in sum and by source; and holds it against the
// copies that the consumer got.
func (h *herd) counted(when string, sources []string) {
	h.t.Helper()
	var diff string
	want := h.books(sources)
	h.until("all is counted "+when, startDeadline, func() error {
		m := &v1alpha1.MirrorSession{}
		if err := h.read(m, h.id); err != nil {
			return err
		}
		got := books{Sources: map[string]int64{}}
		if traffic := m.Status.Traffic; traffic != nil {
			got.Total = traffic.Counts
			got.Total.Bytes = 0
			for _, of := range traffic.Sources {
				got.Sources[of.InterfaceID] = of.Packets
			}
		}
		if diff = cmp.Diff(want, got); diff != "" {
			return fmt.Errorf("counts (-sent +counted):\n%s", diff)
		}
		return nil
	})
	h.until("all copies are with the consumer "+when, startDeadline, h.copiesDiffer)
	h.until("the session is well "+when, startDeadline, func() error {
		m := &v1alpha1.MirrorSession{}
		if err := h.read(m, h.id); err != nil {
			return err
		}
		if wrong := healthy(m); wrong != "" {
			return errors.New(wrong)
		}
		return nil
	})
}

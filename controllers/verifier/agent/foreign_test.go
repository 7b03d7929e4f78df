package agent

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/vishvananda/netlink"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
)

// elsewhere is a target on no host of the test.
func elsewhere(status *v1alpha1.MirrorSessionStatus) {
	status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "elsewhere", Addresses: []string{"192.168.7.7"}, MAC: "02:00:00:00:07:07", NodeName: "other"}}
}

func (h *host) reconciled() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reconciles
}

func TestWhateverBecomesOfForeignSessionsAndFiltersNothingIsAssignedAnew(t *testing.T) {
	w := newWorld(t)
	h, _ := w.run()
	w.filter("web")
	own := w.session("web", "web")
	foreignFilter := w.filter("foreign")
	w.untilReported(own, "there is a first entry", func(e v1alpha1.Verification) bool { return e.Message == "" })
	w.until("the filter is known", func() bool { return h.judges(own) })
	before := h.reconciled()

	for i := range 5 {
		s := w.session(fmt.Sprint("foreign-", i), "foreign", elsewhere)
		for vni := range int32(5) {
			w.manage(s, elsewhere, func(status *v1alpha1.MirrorSessionStatus) { status.VNI = new(100 + vni) })
		}
		if i%2 == 0 {
			if err := w.admin.Delete(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	foreignFilter.Spec.Rules = nil
	if err := w.admin.Update(t.Context(), foreignFilter); err != nil {
		t.Fatal(err)
	}
	// Events come in order: once this one has been heeded, those before have been seen.
	w.manage(own, func(status *v1alpha1.MirrorSessionStatus) { status.VNI = new(int32(77)) })
	w.until("the own session's event is heeded", func() bool { return h.vni(own) == 77 })
	w.until("all sessions are known", func() bool { return h.index.Sessions() == 3 })
	w.send(copies(77, 3, frametest.Inner("12345\n").Bytes())...)
	w.untilReported(own, "its packets are counted by the new VNI", func(e v1alpha1.Verification) bool { return e.Packets == 3 })
	if got := h.reconciled() - before; got != 1 {
		t.Errorf("the sessions of this host were assigned %d times, want once, for its own session", got)
	}
}

// judges reports whether the session is counted by the rules of its filter.
func (h *host) judges(s *v1alpha1.MirrorSession) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tracked[s.UID] != nil && h.tracked[s.UID].judged
}

// vni is the one by which the session is counted.
func (h *host) vni(s *v1alpha1.MirrorSession) int32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return *h.tracked[s.UID].session.Status.VNI
}

// The interfaces are read again after a minute in any case, which is later than the test waits.
func TestASessionWhoseTargetAppearsLaterOnANewInterfaceIsCounted(t *testing.T) {
	for name, target := range map[string]v1alpha1.ResolvedInterface{
		"by its MAC":     {InterfaceID: "late", Addresses: []string{"192.168.9.9"}, MAC: "02:00:00:00:09:09"},
		"by its address": {InterfaceID: "late", Addresses: []string{"192.168.9.9"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h, _ := w.run()
			w.filter("web")
			s := w.session("web", "web", func(status *v1alpha1.MirrorSessionStatus) {
				status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: target}
			})
			w.until("the kernel's events are followed", h.interfacesWatched.Load)
			w.until("the session is known", func() bool { return h.index.Sessions() == 1 })
			w.expectEntries(s)

			late := w.lateInterface()
			w.untilReported(s, "it is counted", func(e v1alpha1.Verification) bool { return e.Interface == "late" && e.Message == "" })
			w.sendTo(late, good(4)...)
			w.untilReported(s, "its packets are", func(e v1alpha1.Verification) bool { return e.Packets == 4 })
		})
	}
}

// lateInterface gives the receiver another interface, with a wire of its own.
func (w *world) lateInterface() *frametest.Pair {
	w.t.Helper()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	host := w.pair.Receiver.Netlink
	must(host.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "late", HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 9, 9}}, PeerName: "wire",
	}))
	out := &frametest.Pair{Sender: w.pair.Receiver, Receiver: w.pair.Receiver}
	for name, side := range map[string]*frametest.Side{"late": &out.Receiver, "wire": &out.Sender} {
		link, err := host.LinkByName(name)
		must(err)
		side.Name, side.Index, side.MAC = name, link.Attrs().Index, [6]byte(link.Attrs().HardwareAddr)
		must(host.LinkSetUp(link))
	}
	address, err := netlink.ParseAddr("192.168.9.9/24")
	must(err)
	must(host.AddrAdd(out.Receiver.Link(w.t), address))
	out.UntilUp(w.t)
	return out
}

func TestWhereTheKernelTellsNothingOfInterfacesTheyAreReadEvery2Seconds(t *testing.T) {
	w := newWorld(t)
	w.refuse = errors.New("no netlink here")
	h, _ := w.run()
	w.filter("web")
	s := w.session("web", "web", func(status *v1alpha1.MirrorSessionStatus) {
		status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "late", MAC: "02:00:00:00:09:09"}}
	})
	w.until("the session is known", func() bool { return h.index.Sessions() == 1 })
	w.lateInterface()
	w.untilReported(s, "it is counted", func(e v1alpha1.Verification) bool { return e.Interface == "late" && e.Message == "" })
	if h.interfacesWatched.Load() {
		t.Error("the kernel's events are said to be followed")
	}
}

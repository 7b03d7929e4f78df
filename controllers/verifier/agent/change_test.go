package agent

import (
	"testing"

	"github.com/vishvananda/netlink"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
)

// neighbour is a second wire to a second host that also has the target's MAC.
func (w *world) neighbour() *frametest.Pair {
	w.t.Helper()
	other := frametest.NewPair(w.t)
	other.Receiver.Judge(w.t, 4789)
	w.setMAC(other, w.pair.Receiver.MAC)
	return other
}

func (w *world) setMAC(pair *frametest.Pair, mac [6]byte) {
	w.t.Helper()
	if err := pair.Receiver.Netlink.LinkSetHardwareAddr(pair.Receiver.Link(w.t), mac[:]); err != nil {
		w.t.Fatal(err)
	}
	pair.Receiver.MAC = mac
}

func TestASessionThatChangesWhileItIsCounted(t *testing.T) {
	w := newWorld(t)
	f := w.filter("web")
	s := w.session("web", "web")
	h := w.host(node, w.pair)
	h.step()
	w.send(good(10)...)
	h.trail()

	t.Run("gets its new VNI", func(t *testing.T) {
		w.manage(s, func(status *v1alpha1.MirrorSessionStatus) { status.VNI = new(int32(77)) })
		h.step()
		w.send(copies(77, 5, frametest.Inner("12345\n").Bytes())...)
		w.send(good(3)...) // the old VNI is nobody's now
		h.trail()
		w.expectEntries(s, entry(15))
	})
	moved := func(e *v1alpha1.Verification) {
		e.Sources = []v1alpha1.SourceCounts{theSource(e.Counts)}
		e.Sources[0].Address = frametest.ClientAddr.String()
	}
	t.Run("gets its new source", func(t *testing.T) {
		w.manage(s, func(status *v1alpha1.MirrorSessionStatus) {
			status.Sources[0].Addresses = []string{frametest.ClientAddr.String(), frametest.SourceAddr.String()}
		})
		h.step()
		w.send(good(2, from(frametest.ClientAddr))...)
		h.trail()
		w.expectEntries(s, entry(17, moved))
	})
	ssh := frametest.Inner("12345\n")
	ssh.DestinationPort = 22
	t.Run("counts what only one of two filters accepts as undecided until the cloud has the new one", func(t *testing.T) {
		f.Spec.Rules[0].Destination.Port = new(int32(22))
		if err := w.admin.Update(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		h.step()
		w.send(good(4)...)
		w.send(copies(1, 3, ssh.Bytes())...) // the cloud has a new rule already
		h.trail()
		w.expectEntries(s, entry(21, func(e *v1alpha1.Verification) { e.Undecided = 3 }, moved))

		w.ready(f)
		h.step()
		w.send(good(6)...)
		h.trail()
		w.expectEntries(s, entry(21, func(e *v1alpha1.Verification) { e.Undecided, e.Unexpected = 3, 6 }, moved))
	})
	t.Run("leaves with its last counts and comes back with its totals", func(t *testing.T) {
		others := func(e *v1alpha1.Verification) { e.Undecided, e.Unexpected = 3, 6 }
		gone := entry(22, others, moved)
		w.manage(s, func(status *v1alpha1.MirrorSessionStatus) { status.Sessions = nil })
		w.send(copies(1, 1, ssh.Bytes())...) // before the agent knows
		h.trail()
		w.expectEntries(s, gone)
		w.send(copies(1, 9, ssh.Bytes())...) // nobody counts them
		h.trail()
		w.expectEntries(s, gone)
		if len(h.tracked)+len(h.capturers) != 0 {
			t.Errorf("%d sessions are still tracked, %d interfaces captured on", len(h.tracked), len(h.capturers))
		}
		w.manage(s)
		h.step()
		w.send(copies(1, 2, ssh.Bytes())...)
		h.trail()
		w.expectEntries(s, entry(24, others))
	})
}

func TestARunThatBeginsWhileTheFilterIsBeingEditedFindsNothingUnexpected(t *testing.T) {
	w := newWorld(t)
	f := w.filter("web")
	s := w.session("web", "web")
	f.Spec.Rules[0].Destination.Port = new(int32(22))
	if err := w.admin.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	h := w.host(node, w.pair)
	h.step()
	w.send(good(4)...) // the cloud has the old rule still, and nobody here knows that one
	ssh := frametest.Inner("12345\n")
	ssh.DestinationPort = 22
	w.send(copies(1, 3, ssh.Bytes())...)
	h.trail()
	w.expectEntries(s, entry(3, func(e *v1alpha1.Verification) { e.Undecided = 4 }))

	w.ready(f)
	h.step()
	w.send(good(5)...)
	h.trail()
	w.expectEntries(s, entry(3, func(e *v1alpha1.Verification) { e.Undecided, e.Unexpected = 4, 5 }))
}

func TestASessionThatGetsAnotherFilter(t *testing.T) {
	w := newWorld(t)
	w.filter("web")
	w.filter("ssh", func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Destination.Port = new(int32(22)) })
	s := w.session("web", "web")
	h := w.host(node, w.pair)
	h.step()
	if err := w.admin.Get(t.Context(), client.ObjectKeyFromObject(s), s); err != nil {
		t.Fatal(err)
	}
	s.Spec.FilterRef.Name = "ssh"
	if err := w.admin.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	h.step()
	w.send(good(3)...) // the cloud still has the old one
	h.trail()
	w.expectEntries(s, entry(3))
	w.manage(s, func(status *v1alpha1.MirrorSessionStatus) {
		apimeta.SetStatusCondition(&status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Synced"})
	})
	h.step()
	w.send(good(4)...)
	h.trail()
	w.expectEntries(s, entry(3, func(e *v1alpha1.Verification) { e.Unexpected = 4 }))
}

func TestASessionThatGetsAFilterThatIsBeingEditedFindsNothingUnexpected(t *testing.T) {
	w := newWorld(t)
	w.filter("web")
	f := w.filter("ssh", func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Destination.Port = new(int32(22)) })
	s := w.session("web", "web")
	h := w.host(node, w.pair)
	h.step()
	if err := w.admin.Get(t.Context(), client.ObjectKeyFromObject(s), s); err != nil {
		t.Fatal(err)
	}
	s.Spec.FilterRef.Name = "ssh"
	if err := w.admin.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	f.Spec.Rules[0].Destination.Port = new(int32(23))
	if err := w.admin.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	w.manage(s, func(status *v1alpha1.MirrorSessionStatus) {
		apimeta.SetStatusCondition(&status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Synced"})
	})
	h.step()
	ssh := frametest.Inner("12345\n")
	ssh.DestinationPort = 22
	w.send(copies(1, 3, ssh.Bytes())...) // the cloud has that filter, and its old rule still
	h.trail()
	w.expectEntries(s, entry(0, func(e *v1alpha1.Verification) { e.Undecided = 3 }))

	w.ready(f)
	h.step()
	w.send(copies(1, 5, ssh.Bytes())...)
	h.trail()
	w.expectEntries(s, entry(0, func(e *v1alpha1.Verification) { e.Undecided, e.Unexpected = 3, 5 }))
}

func TestSessionsOnTwoInterfaces(t *testing.T) {
	w := newWorld(t)
	second := *w.pair
	second.Sender.Name, second.Receiver.Name = "left2", "right2"
	second.Receiver.MAC = frametest.TargetMAC
	w.connect(&second)
	w.filter("web")
	one := w.session("one", "web")
	two := w.session("two", "web", func(status *v1alpha1.MirrorSessionStatus) { status.Target.MAC = mac(frametest.TargetMAC) })
	onRight2 := func(e *v1alpha1.Verification) { e.Interface = "right2" }
	h := w.host(node, w.pair)
	h.step()
	w.send(good(3)...)
	w.sendTo(&second, good(5)...)
	h.trail()
	w.expectEntries(one, entry(3))
	w.expectEntries(two, entry(5, onRight2))

	t.Run("a session moves with its target and takes its totals along", func(t *testing.T) {
		w.sendTo(&second, good(2)...) // still in the ring when the target has moved
		w.manage(two, func(status *v1alpha1.MirrorSessionStatus) { status.VNI = new(int32(2)) })
		h.trail()
		w.send(copies(2, 4, frametest.Inner("12345\n").Bytes())...)
		h.trail()
		w.expectEntries(two, entry(11))
		if len(h.capturers) != 1 {
			t.Errorf("%d interfaces are still captured on", len(h.capturers))
		}
	})
	t.Run("an interface that is renamed goes on under its new name", func(t *testing.T) {
		w.rename(&w.pair.Receiver, "renamed")
		h.trail()
		w.send(good(1)...)
		h.trail()
		w.expectEntries(one, entry(4, func(e *v1alpha1.Verification) { e.Interface = "renamed" }))
	})
}

// rename gives an interface another name, which needs it to be down for a moment.
func (w *world) rename(side *frametest.Side, name string) {
	w.t.Helper()
	link := side.Link(w.t)
	for _, err := range []error{
		side.Netlink.LinkSetDown(link), side.Netlink.LinkSetName(link, name), side.Netlink.LinkSetUp(link),
	} {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	side.Name = name
	w.pair.UntilUp(w.t)
}

// ready writes that the cloud has the filter's present rules.
func (w *world) ready(f *v1alpha1.MirrorFilter) {
	w.t.Helper()
	f.Status.ObservedGeneration = f.Generation
	apimeta.SetStatusCondition(&f.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Synced", ObservedGeneration: f.Generation,
	})
	if err := w.admin.Status().Update(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

func TestWithoutItsFilterASessionsPacketsAreUndecided(t *testing.T) {
	w := newWorld(t)
	s := w.session("web", "web")
	h := w.host(node, w.pair)
	h.step()
	const message = `the MirrorFilter "web" does not exist, so no packet can be judged: create it`
	undecided := func(message string) func(*v1alpha1.Verification) {
		return func(e *v1alpha1.Verification) {
			e.Undecided, e.Unexpected, e.Message = 5, 1, message
			if message != "" {
				e.Rules = []v1alpha1.RuleCounts{} // nobody knows them
			}
		}
	}
	w.send(good(5)...)
	w.send(copies(1, 1, frametest.ARP())...) // no filter ever lets that pass
	h.trail()
	w.expectEntries(s, entry(0, undecided(message)))
	w.filter("web")
	h.trail()
	w.expectEntries(s, entry(0, undecided("")))
	w.send(good(7)...)
	h.trail()
	w.expectEntries(s, entry(7, undecided("")))
}

func TestAnInterfaceThatGoesAndComesBack(t *testing.T) {
	const gone = "no interface of this host has the target's address or MAC any more"
	says := func(message string) func(*v1alpha1.Verification) {
		return func(e *v1alpha1.Verification) { e.Message = message }
	}
	t.Run("down and up", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(10)...)
		link := w.pair.Receiver.Link(t)
		if err := w.pair.Receiver.Netlink.LinkSetDown(link); err != nil {
			t.Fatal(err)
		}
		w.until("the agent knows that it can't capture", func() bool { return h.only().snapshot().problem != "" })
		h.trail()
		w.expectEntries(s, entry(10, says("can't capture on right: the interface is down or gone")))
		if err := w.pair.Receiver.Netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
		w.pair.UntilUp(t)
		w.until("the agent captures again", func() bool { return h.only().snapshot().problem == "" })
		w.send(good(5)...)
		h.trail()
		w.expectEntries(s, entry(15))
	})

	t.Run("deleted and made anew", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(10)...)
		if err := w.pair.Sender.Netlink.LinkDel(w.pair.Sender.Link(t)); err != nil {
			t.Fatal(err)
		}
		h.trail()
		w.expectEntries(s, entry(10, says(gone)))
		h.trail()
		if len(h.tracked)+len(h.capturers) != 0 {
			t.Errorf("%d sessions are still tracked, %d interfaces captured on", len(h.tracked), len(h.capturers))
		}
		w.join()
		h.trail()
		w.expectEntries(s, entry(10))
		w.send(good(5)...)
		h.trail()
		w.expectEntries(s, entry(15))
	})

	t.Run("made anew before anybody noticed", func(t *testing.T) {
		w, s, h := counting(t)
		w.send(good(10)...)
		if err := w.pair.Sender.Netlink.LinkDel(w.pair.Sender.Link(t)); err != nil {
			t.Fatal(err)
		}
		w.join()
		h.step()
		w.send(good(5)...)
		h.trail()
		w.expectEntries(s, entry(15))
		if len(h.capturers) != 1 {
			t.Errorf("%d interfaces are captured on", len(h.capturers))
		}
	})
}

// only is the agent's one capturer.
func (h *host) only() *capturer {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.capturers) != 1 {
		h.w.t.Fatalf("%d interfaces are captured on, want 1", len(h.capturers))
	}
	for _, c := range h.capturers {
		return c
	}
	return nil
}

// join makes the wire anew after it was deleted: same names and MAC, other indexes.
func (w *world) join() {
	w.t.Helper()
	w.connect(w.pair)
}

// connect makes a wire with the names and the receiver's MAC of the pair.
func (w *world) connect(pair *frametest.Pair) {
	w.t.Helper()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	must(pair.Sender.Netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: pair.Sender.Name}, PeerName: pair.Receiver.Name,
		PeerNamespace: netlink.NsFd(pair.Receiver.Handle()), PeerHardwareAddr: pair.Receiver.MAC[:],
	}))
	for _, side := range []*frametest.Side{&pair.Sender, &pair.Receiver} {
		link := side.Link(w.t)
		side.Index = link.Attrs().Index
		must(side.Netlink.LinkSetUp(link))
	}
	pair.UntilUp(w.t)
}

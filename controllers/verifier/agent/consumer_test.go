package agent

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/nftables"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/consumer"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// addressed is a host that counts a session and has the address that the copies go to, without
// the judge, which drops them: its kernel gives them to whoever listens, or refuses them.
func addressed(t *testing.T) (*world, *v1alpha1.MirrorSession, *host) {
	t.Helper()
	w := newWorld(t)
	side := w.pair.Receiver
	side.Address(t, side.Link(t), netip.PrefixFrom(frametest.TargetAddr, 24), frametest.SourceAddr, w.pair.Sender.MAC)
	tables, err := nftables.New(nftables.WithNetNSFd(side.Handle()))
	if err != nil {
		t.Fatal(err)
	}
	tables.DelTable(&nftables.Table{Name: "judge", Family: nftables.TableFamilyIPv4})
	if err := tables.Flush(); err != nil {
		t.Fatal(err)
	}
	w.filter("web")
	s := w.session("web", "web")
	h := w.host(node, w.pair)
	h.step()
	return w, s, h
}

// observes lets the agent observe the host once, as it does every 5 seconds, and write what is
// worth it.
func (h *host) observes() {
	h.w.t.Helper()
	h.count()
	h.w.later(observeInterval)
	h.observeConsumers()
	h.w.until("all that came before is counted", h.followCopies)
	h.flushDue(h.w.t.Context())
}

// sees lets copies come between two observations.
func (h *host) sees(copies int) {
	h.w.t.Helper()
	h.w.send(good(copies)...)
	h.observes()
}

// listens opens a UDP socket on the receiver and reads it until the test ends, or it is closed.
func (w *world) listens() *net.UDPConn {
	w.t.Helper()
	var conn *net.UDPConn
	w.pair.Receiver.Do(w.t, func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{Port: vxlan.Port})
		return err
	})
	w.t.Cleanup(func() { _ = conn.Close() })
	go func() {
		for buffer := make([]byte, 2048); ; {
			if _, err := conn.Read(buffer); err != nil {
				return
			}
		}
	}()
	return conn
}

// consumerOf is what the only entry says of the consumer.
func (w *world) consumerOf(s *v1alpha1.MirrorSession) *v1alpha1.Consumer {
	w.t.Helper()
	entries := w.stored(s).Status.Verification
	if len(entries) != 1 {
		w.t.Fatalf("entries %+v", entries)
	}
	return entries[0].Consumer
}

// expectConsumer compares all but the texts, in which these parts must be.
func (w *world) expectConsumer(s *v1alpha1.MirrorSession, status metav1.ConditionStatus, reason string, parts ...string) {
	w.t.Helper()
	got := w.consumerOf(s)
	want := &v1alpha1.Consumer{Status: status, Reason: reason}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(v1alpha1.Consumer{}, "Message", "Remedy")); diff != "" {
		w.t.Fatalf("consumer %+v (-want +got):\n%s", got, diff)
	}
	for _, part := range parts {
		if !strings.Contains(got.Message+"\n"+got.Remedy, part) {
			w.t.Errorf("%q is not in %+v", part, *got)
		}
	}
}

func TestAnEntrySaysThatNobodyTakesTheCopiesAndThenWhoDoes(t *testing.T) {
	w, s, h := addressed(t)
	h.observes()
	if got := w.consumerOf(s); got != nil {
		t.Errorf("before anything could have come it says %+v", *got)
	}
	h.sees(20)
	w.expectConsumer(s, metav1.ConditionFalse, v1alpha1.ReasonNobodyListens,
		"on ecs-target no socket", `refused 20 datagrams with "port unreachable"`, "ip link add mirror0 type vxlan id 1 dev right")
	conn := w.listens()
	h.sees(20)
	w.expectConsumer(s, metav1.ConditionFalse, v1alpha1.ReasonNobodyListens) // one look may be wrong
	for range 3 {
		h.sees(20)
	}
	w.expectConsumer(s, metav1.ConditionTrue, v1alpha1.ReasonConsumerSeen, "UDP socket on 0.0.0.0:4789")
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		h.sees(20)
	}
	w.expectConsumer(s, metav1.ConditionFalse, v1alpha1.ReasonNobodyListens, "refused 20 datagrams")
}

func TestCopiesThatComeSeldomAreFollowedUntilThereAreEnough(t *testing.T) {
	w, s, h := addressed(t)
	h.observes()
	h.observes()
	w.expectConsumer(s, metav1.ConditionUnknown, v1alpha1.ReasonNoCopies)
	for range enough {
		h.sees(1)
	}
	w.later(observeInterval)
	h.observes() // it is 15 s after the first verdict was written
	w.expectConsumer(s, metav1.ConditionFalse, v1alpha1.ReasonNobodyListens, "refused")
}

func TestWhatIsSaidOfTheConsumerIsWrittenWhenItChangesAndElseGoesAlong(t *testing.T) {
	w, s, h := addressed(t)
	h.observes()
	h.sees(20)
	h.trail()
	w.expectConsumer(s, metav1.ConditionFalse, v1alpha1.ReasonNobodyListens, "refused 20 datagrams")
	written := w.stored(s).ResourceVersion
	for range 20 {
		h.observes()
	}
	if got := w.stored(s).ResourceVersion; got != written {
		t.Errorf("nothing came and nothing changed, and the entry was written: %+v", w.consumerOf(s))
	}
	h.sees(30)
	h.trail()
	w.expectConsumer(s, metav1.ConditionFalse, v1alpha1.ReasonNobodyListens, "refused 30 datagrams")
}

// storedFilter is the filter of a session.
func (w *world) storedFilter(s *v1alpha1.MirrorSession) *v1alpha1.MirrorFilter {
	w.t.Helper()
	f := &v1alpha1.MirrorFilter{}
	if err := w.admin.Get(w.t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: s.Spec.FilterRef.Name}, f); err != nil {
		w.t.Fatal(err)
	}
	return f
}

func TestAHostThatNoCopiesComeToIsObservedOnceAMinute(t *testing.T) {
	w, s, h := addressed(t)
	observed := func(what string, want bool) {
		t.Helper()
		if got := !h.nothingToObserve(); got != want {
			t.Errorf("%s: observed %t, want %t", what, got, want)
		}
	}
	ticks := func(n int) {
		for range n {
			if h.nothingToObserve() {
				w.later(observeInterval)
			} else {
				h.observes()
			}
		}
	}
	observed("before anything is known", true)
	h.observes()
	observed("before anything is said", true)
	h.sees(20)
	observed("when nothing has come since it was said that nobody listens", false)
	w.later(longestWait - observeInterval)
	observed("within the minute", false)
	w.send(good(1)...)
	h.count()
	observed("when a copy has come", true)
	h.observes()
	conn := w.listens()
	ticks(40) // the one copy is followed for a minute, and so are who listens is seen anew
	observed("when it was said that somebody listens", false)
	f := w.storedFilter(s)
	f.Spec.Rules[0].Destination.Port = new(int32(22))
	if err := w.admin.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	w.ready(f)
	h.step()
	observed("when the counts began anew, as the filter was edited", true)
	ticks(20)
	observed("when they are followed again", false)
	w.later(longestWait)
	observed("after the minute", true)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	h.observes()
	observed("when he was not seen any more, and that is not told yet", true)
}

func TestARunThatBeginsTakesNothingBackOfTheConsumer(t *testing.T) {
	w, s, h := addressed(t)
	h.observes()
	h.sees(20)
	h.trail()
	want := w.consumerOf(s)
	h.kill()
	h = w.host(node, w.pair)
	h.step()
	h.trail()
	if diff := cmp.Diff(want, w.consumerOf(s)); diff != "" || want == nil {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
	w.listens()
	h.observes()
	for range 4 {
		h.sees(20)
	}
	w.expectConsumer(s, metav1.ConditionTrue, v1alpha1.ReasonConsumerSeen)
}

func TestNothingIsSaidOfTheConsumerWhileNothingCanBeCounted(t *testing.T) {
	w, s, h := addressed(t)
	h.observes()
	h.sees(20)
	w.expectConsumer(s, metav1.ConditionFalse, v1alpha1.ReasonNobodyListens)
	side := w.pair.Receiver
	if err := side.Netlink.LinkSetDown(side.Link(t)); err != nil {
		t.Fatal(err)
	}
	w.until("the agent knows that it can't capture", func() bool { return h.only().snapshot().problem != "" })
	h.observes()
	h.trail()
	if got := w.consumerOf(s); got != nil {
		t.Errorf("the interface is down, and it says %+v", *got)
	}
}

func TestOfAPlaceWhereTheCopiesWentBeforeNothingIsSaid(t *testing.T) {
	w, s, h := addressed(t)
	h.observes()
	h.sees(20)
	w.expectConsumer(s, metav1.ConditionFalse, v1alpha1.ReasonNobodyListens)
	w.manage(s, func(status *v1alpha1.MirrorSessionStatus) { status.VNI, status.Epoch = new(int32(7)), 1 })
	h.observes()
	h.trail()
	if got := w.consumerOf(s); got != nil {
		t.Errorf("no copy with VNI 7 could have come, and it says %+v", *got)
	}
}

func TestTheHostIsNotObservedForNothing(t *testing.T) {
	w := newWorld(t)
	h := w.host(node, w.pair)
	observed := 0
	h.Observe = func(uint16) *consumer.Observation { observed++; return new(consumer.Observation) }
	h.observes()
	if observed != 0 {
		t.Error("no session is here, and the host was observed")
	}
	w.filter("web")
	w.session("web", "web")
	h.observes()
	if observed != 1 {
		t.Errorf("with a session it was observed %d times", observed)
	}
}

func TestCopiesAreFollowedOnceThoseOfBeforeHaveLeftTheRing(t *testing.T) {
	if longest := 2 * capture.DefaultBlockTimeout; consumer.Settle <= longest {
		t.Errorf("counting begins after %s, and a frame may wait in the ring for %s", consumer.Settle, longest)
	}
}

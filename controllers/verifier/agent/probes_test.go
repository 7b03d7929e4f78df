package agent

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/probe"
)

const (
	probeID    = "0badcafe"
	probeNonce = 0x0badcafe
	prober     = "ecs-test"
)

// goingOn makes a status that of a session whose probe goes on; with sends the senders may send.
func goingOn(sends bool) func(*v1alpha1.MirrorSessionStatus) {
	return func(s *v1alpha1.MirrorSessionStatus) {
		s.Probe = &v1alpha1.Probe{
			RequestedAt: "2026-01-02T12:00:00Z", ID: probeID, StartedAt: metav1.NewTime(time.Now()), Watchers: []string{node},
			Sends: []v1alpha1.ProbeSend{{
				InterfaceID: "source", Node: prober, Kind: v1alpha1.ProbeTCP, From: frametest.ClientAddr.String(), To: frametest.SourceAddr.String(),
				DestinationPort: 1234, HopLimit: 64, Nonce: probeNonce,
			}},
			Results: []v1alpha1.ProbeResult{{InterfaceID: "source"}},
		}
		if sends {
			s.Probe.SendingAt = new(metav1.NewTime(time.Now()))
		}
	}
}

func isOver(s *v1alpha1.MirrorSessionStatus) {
	goingOn(true)(s)
	s.Probe.Sends, s.Probe.FinishedAt = nil, new(metav1.NewTime(time.Now()))
}

// probe lets the agent do what probes ask of it, until it has sent what it sends.
func (h *host) probe() {
	h.w.t.Helper()
	h.reconcile(h.w.t.Context())
	var sending sync.WaitGroup
	h.probeOnce(h.w.t.Context(), &sending)
	sending.Wait()
	h.probeOnce(h.w.t.Context(), &sending)
	sending.Wait()
}

// expectReports fails the test unless these are what the verifiers say of the session's probe, times apart.
func (w *world) expectReports(s *v1alpha1.MirrorSession, want ...v1alpha1.ProbeReport) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.stored(s).Status.ProbeReports, cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(v1alpha1.ProbeSent{}, "At"), cmpopts.IgnoreFields(v1alpha1.ProbeCopies{}, "At")); diff != "" {
		w.t.Errorf("reports (-want +got):\n%s", diff)
	}
}

// expectSent fails the test unless so many orders were followed since it was asked last.
func (w *world) expectSent(n int) {
	w.t.Helper()
	if got := len(w.sent); got != n {
		w.t.Errorf("%d orders were followed, want %d", got, n)
	}
	for range len(w.sent) {
		<-w.sent
	}
}

var hasSent = v1alpha1.ProbeReport{Node: prober, Probe: probeID, Claimed: true, Sent: []v1alpha1.ProbeSent{{InterfaceID: "source", Packets: 2}}}

// probeSYN is the copy of the probe's packet.
func probeSYN() frametest.Packet {
	p := probe.Packet{Protocol: 6, From: frametest.ClientAddr, To: frametest.SourceAddr, SourcePort: 40000, DestinationPort: 1234, HopLimit: 64, Nonce: probeNonce, Spoiled: true}
	whole := frametest.Inner("").Bytes()
	return frametest.Copy(1, append(append([]byte(nil), whole[:14]...), p.Bytes()...))
}

func TestTheTargetsVerifierTellsOfAProbesCopiesAndCountsThemApart(t *testing.T) {
	w, s, h := counting(t)
	w.send(good(3)...)
	h.step()
	w.manage(s, goingOn(false))
	h.probe()
	h.count()
	h.probe()
	w.expectReports(s, v1alpha1.ProbeReport{Node: node, Probe: probeID, Watching: true})
	w.manage(s, goingOn(true))
	w.send(probeSYN(), probeSYN())
	w.send(good(1)...)
	h.count()
	h.probe()
	want := v1alpha1.ProbeReport{Node: node, Probe: probeID, Watching: true, Arrived: []v1alpha1.ProbeCopies{{InterfaceID: "source", Packets: 2}}}
	w.expectReports(s, want)
	w.expectSent(0)
	h.trail()
	w.expectEntries(s, entry(4))

	// What comes late is the probe's still, for a while.
	w.manage(s, isOver)
	h.count()
	w.send(probeSYN())
	h.count()
	h.trail()
	w.expectEntries(s, entry(4))
	w.later(probeLinger)
	h.count()
	w.send(probeSYN())
	h.trail()
	h.trail()
	w.expectEntries(s, entry(5, func(e *v1alpha1.Verification) { e.Bytes = 4*goodBytes + 54 }))
}

func TestAVerifierSendsOnceAndOnlyWhenItsWatchersAreReady(t *testing.T) {
	w := newWorld(t)
	w.filter("web")
	s := w.session("web", "web", goingOn(false))
	h := w.host(prober, w.elsewhere())
	h.probe()
	w.expectSent(0)
	w.manage(s, goingOn(true))
	h.probe()
	w.expectSent(1)
	w.expectReports(s, hasSent)
	h.probe()
	w.expectSent(0)

	// Nor does one that was started again.
	again := w.host(prober, w.elsewhere())
	again.probe()
	w.expectSent(0)
	w.expectReports(s, hasSent)
	w.manage(s, isOver)
	again.probe()
	w.expectSent(0)
}

func TestAVerifierThatStopsRightAfterItsClaimNeverSends(t *testing.T) {
	w := newWorld(t)
	w.filter("web")
	s := w.session("web", "web", goingOn(true))
	h := w.host(prober, w.elsewhere())
	h.SendProbe = func(context.Context, v1alpha1.ProbeSend, v1alpha1.ResolvedInterface) (probe.Sent, error) {
		<-h.w.t.Context().Done() // it is stopped here
		return probe.Sent{}, errors.New("stopped")
	}
	h.reconcile(t.Context())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go h.sendProbe(ctx, h.activeProbes()[0])
	claimed := v1alpha1.ProbeReport{Node: prober, Probe: probeID, Claimed: true}
	w.until("the claim is stored", func() bool { return len(w.stored(s).Status.ProbeReports) > 0 })
	w.expectReports(s, claimed)
	again := w.host(prober, w.elsewhere())
	again.probe()
	w.expectSent(0)
	w.expectReports(s, claimed)
}

func TestOnlyWhatStillGoesOnIsSent(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		edit func(*v1alpha1.MirrorSession)
		want bool
	}{
		"it goes on":                 {func(*v1alpha1.MirrorSession) {}, true},
		"another one does":           {func(s *v1alpha1.MirrorSession) { s.Status.Probe.ID = "00000000" }, false},
		"it is over":                 {func(s *v1alpha1.MirrorSession) { isOver(&s.Status) }, false},
		"its watchers are not ready": {func(s *v1alpha1.MirrorSession) { s.Status.Probe.SendingAt = nil }, false},
		"it should have been sent long ago, and the manager has been away since": {
			func(s *v1alpha1.MirrorSession) {
				s.Status.Probe.SendingAt = new(metav1.NewTime(now.Add(-probeStale - time.Second)))
			}, false,
		},
		"the manager's clock is ahead": {func(s *v1alpha1.MirrorSession) { s.Status.Probe.SendingAt = new(metav1.NewTime(now.Add(time.Hour))) }, true},
		"the session is suspended":     {func(s *v1alpha1.MirrorSession) { s.Spec.Suspend = true }, false},
		"the session is being deleted": {func(s *v1alpha1.MirrorSession) { s.DeletionTimestamp = new(metav1.NewTime(now)) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &v1alpha1.MirrorSession{}
			goingOn(true)(&s.Status)
			c.edit(s)
			if got := maySend(s, probeID, nil, now); got != c.want {
				t.Errorf("it may be sent: %v", got)
			}
			if maySend(s, probeID, &v1alpha1.ProbeReport{Claimed: true}, now) {
				t.Error("it may be sent twice")
			}
		})
	}
}

func TestAClaimThatCanNotBeStoredSendsNothing(t *testing.T) {
	w := newWorld(t)
	w.filter("web")
	w.session("web", "web", goingOn(true))
	h := w.host(prober, w.elsewhere(), func(c client.Client) client.Client { return unwritable{c} })
	h.probe()
	w.expectSent(0)
}

// unwritable answers no write of a status.
type unwritable struct{ client.Client }

func (u unwritable) Status() client.SubResourceWriter { return unanswering{u.Client.Status()} }

type unanswering struct{ client.SubResourceWriter }

func (unanswering) Apply(context.Context, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
	return errors.New("no answer")
}

func TestAVerifierSendsForASessionOnceAMinuteWhateverAStatusAsksFor(t *testing.T) {
	w := newWorld(t)
	w.filter("web")
	s := w.session("web", "web", goingOn(true))
	h := w.host(prober, w.elsewhere())
	h.probe()
	w.expectSent(1)
	w.manage(s, func(status *v1alpha1.MirrorSessionStatus) {
		goingOn(true)(status)
		status.Probe.ID = "00000002"
	})
	h.probe()
	w.expectSent(0)
}

func TestAVerifierThatHasNoPartInAProbeSaysNothingOfIt(t *testing.T) {
	w := newWorld(t)
	w.filter("web")
	s := w.session("web", "web", goingOn(true))
	h := w.host("ecs-other", w.elsewhere())
	h.probe()
	w.expectSent(0)
	w.expectReports(s)
}

// elsewhere is a wire of another host, on which no target is.
func (w *world) elsewhere() *frametest.Pair {
	w.t.Helper()
	return frametest.NewPair(w.t)
}

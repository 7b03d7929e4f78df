package integration_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
	"vpcmirror.io/operator/test/integration/harness"
)

// probeable is a session that a verifier counts, with a node in the peer of its rule.
func probeable(t *testing.T, w *harness.World, m *harness.Manager) *v1alpha1.MirrorSession {
	t.Helper()
	node := w.Node("ecs-test", "192.168.0.161")
	w.Node("ecs-target", "192.168.0.164")
	m.Alive(w, node.Name)
	m.Alive(w, target(w))
	_, s := w.Pair("copies")
	write(t, w, s, entry(target(w), v1alpha1.Counts{}, 0, 0))
	return s
}

// latest is the session as the API server has it.
func latest(t *testing.T, w *harness.World, s *v1alpha1.MirrorSession) *v1alpha1.MirrorSession {
	t.Helper()
	if err := w.Get(s); err != nil {
		t.Fatal(err)
	}
	return s
}

func target(w *harness.World) string { return w.NodeName("ecs-target") }

// request asks for a probe.
func request(w *harness.World, s *v1alpha1.MirrorSession, value string) {
	harness.Change(w, s, func(s *v1alpha1.MirrorSession) {
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.ProbeRequestedAnnotation, value)
	})
}

// says stores what a verifier did of the session's probe.
func reports(t *testing.T, w *harness.World, s *v1alpha1.MirrorSession, r v1alpha1.ProbeReport) {
	t.Helper()
	harness.Until(w, s, "the report of "+r.Node+" is written", func(s *v1alpha1.MirrorSession) bool {
		r.Probe = s.Status.Probe.ID
		err := report.WriteProbe(t.Context(), w.Cluster.Client, s, r)
		if err != nil && !errors.Is(err, report.ErrChanged) {
			t.Fatal(err)
		}
		return err == nil
	})
}

func probeIs(w *harness.World, s *v1alpha1.MirrorSession, what string, good func(*v1alpha1.Probe) bool) *v1alpha1.Probe {
	return harness.Until(w, s, "the probe "+what, func(s *v1alpha1.MirrorSession) bool {
		return s.Status.Probe != nil && good(s.Status.Probe)
	}).Status.Probe
}

func TestAProbeGoesFromTheRequestOverItsVerifiersToItsResult(t *testing.T) {
	w := harness.New(t)
	m := w.Start()
	s := probeable(t, w, m)
	first := w.Clock.Now().UTC().Format(time.RFC3339Nano)
	request(w, s, first)
	p := probeIs(w, s, "has begun", (*v1alpha1.Probe).Active)
	want := []v1alpha1.ProbeSend{{
		InterfaceID: s.Status.Sources[0].InterfaceID, Node: w.NodeName("ecs-test"), Kind: v1alpha1.ProbeTCP, From: "192.168.0.161", To: "192.168.0.230",
		DestinationPort: 1234, HopLimit: 64,
	}}
	if diff := cmp.Diff(want, p.Sends, cmpopts.IgnoreFields(v1alpha1.ProbeSend{}, "Nonce")); diff != "" || p.SendingAt != nil {
		t.Errorf("before its watcher is ready it sends, at %v (-want +got):\n%s", p.SendingAt, diff)
	}
	reports(t, w, s, v1alpha1.ProbeReport{Node: target(w), Watching: true})
	probeIs(w, s, "may be sent", func(p *v1alpha1.Probe) bool { return p.SendingAt != nil })

	// What a manager before it has let send, it does not let send again.
	m.Stop(w)
	m = w.Start()
	at := metav1.NewMicroTime(time.Now().Truncate(time.Microsecond))
	reports(t, w, s, v1alpha1.ProbeReport{Node: w.NodeName("ecs-test"), Claimed: true, Sent: []v1alpha1.ProbeSent{{InterfaceID: want[0].InterfaceID, Packets: 2, At: &at}}})
	later := metav1.NewMicroTime(at.Add(1400 * time.Microsecond))
	reports(t, w, s, v1alpha1.ProbeReport{Node: target(w), Watching: true, Arrived: []v1alpha1.ProbeCopies{{InterfaceID: want[0].InterfaceID, Packets: 2, At: later}}})
	over := probeIs(w, s, "is over", func(p *v1alpha1.Probe) bool { return p.FinishedAt != nil })
	result := []v1alpha1.ProbeResult{{
		InterfaceID: want[0].InterfaceID, Address: "192.168.0.230", Rule: &v1alpha1.ProbeRule{Direction: v1alpha1.DirectionIngress, Priority: 1},
		Outcome: v1alpha1.ProbeArrived, LatencyMicroseconds: new(int64(1400)),
		Message: "a SYN to TCP 1234 from 192.168.0.161 (" + v1alpha1.Fit(w.NodeName("ecs-test"), 63) + ") to 192.168.0.230, by the ingress rule 1",
	}}
	if diff := cmp.Diff(result, over.Results); diff != "" || over.ID != p.ID || over.RequestedAt != first || len(over.Sends) > 0 {
		t.Errorf("the probe %+v (-want +got):\n%s", over, diff)
	}

	// Another within the minute waits, whatever wakes the session.
	second := w.Clock.Now().Add(time.Second).UTC().Format(time.RFC3339Nano)
	request(w, s, second)
	m.Reconciled(w, s)
	if now := latest(t, w, s); now.Status.Probe.RequestedAt != first {
		t.Errorf("a second probe began within the minute: %+v", now.Status.Probe)
	}
	for range 8 { // slowly, so that no lease runs out
		w.Clock.Advance(8 * time.Second)
		w.Renew(w.NodeName("ecs-test"))
		w.Renew(target(w))
		m.Alive(w, w.NodeName("ecs-test"))
		m.Alive(w, target(w))
	}
	harness.Change(w, s, func(s *v1alpha1.MirrorSession) { metav1.SetMetaDataAnnotation(&s.ObjectMeta, "wake", "up") })
	next := probeIs(w, s, "of the second request has begun", func(p *v1alpha1.Probe) bool { return p.RequestedAt == second && p.Active() })
	if next.ID == p.ID || len(latest(t, w, s).Status.ProbeReports) > 0 {
		t.Errorf("it is %+v with the reports %+v of the one before", next, latest(t, w, s).Status.ProbeReports)
	}
}

func TestAProbeOfASuspendedSessionIsRefusedAndOneThatGoesOnEnds(t *testing.T) {
	w := harness.New(t)
	m := w.Start()
	s := probeable(t, w, m)
	request(w, s, w.Clock.Now().UTC().Format(time.RFC3339Nano))
	probeIs(w, s, "has begun", (*v1alpha1.Probe).Active)
	harness.Change(w, s, func(s *v1alpha1.MirrorSession) { s.Spec.Suspend = true })
	p := probeIs(w, s, "is over", func(p *v1alpha1.Probe) bool { return p.FinishedAt != nil })
	if r := p.Results[0]; r.Outcome != v1alpha1.ProbeCannotSend || r.Reason != v1alpha1.ReasonProbeSuspended {
		t.Errorf("it says %+v", r)
	}
}

func TestAStaleRequestSendsNothing(t *testing.T) {
	w := harness.New(t)
	m := w.Start()
	s := probeable(t, w, m)
	request(w, s, w.Clock.Now().Add(-6*time.Minute).UTC().Format(time.RFC3339))
	p := probeIs(w, s, "is refused", func(p *v1alpha1.Probe) bool { return p.Reason != "" })
	if p.Reason != v1alpha1.ReasonProbeStale || p.Active() {
		t.Errorf("it is %+v", p)
	}
}

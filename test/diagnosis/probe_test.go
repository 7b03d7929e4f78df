package diagnosis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// told is what a probe says of a source, {source} and {peer} being addresses.
type told struct {
	Outcome v1alpha1.ProbeOutcome
	Reason  string
	Command string
	// Sent is the beginning of the message of what was sent.
	Sent string
}

// probed is a row whose session is probed.
type probed struct {
	cause
	want told
}

// only makes the row's filter one rule, of a protocol with these ports.
func only(d v1alpha1.Direction, p v1alpha1.Protocol, edits ...func(s *site, r *v1alpha1.FilterRule)) func(*site, *v1alpha1.MirrorFilter, *v1alpha1.MirrorSession) {
	return func(s *site, f *v1alpha1.MirrorFilter, _ *v1alpha1.MirrorSession) {
		r := &f.Spec.Rules[0]
		r.Direction, r.Protocol, r.Source.Port, r.Destination.Port = d, p, nil, nil
		r.Source.CIDR, r.Destination.CIDR = s.peer.cidr(), s.sources[0].cidr()
		if d == v1alpha1.DirectionEgress {
			r.Source.CIDR, r.Destination.CIDR = r.Destination.CIDR, r.Source.CIDR
		}
		for _, edit := range edits {
			edit(s, r)
		}
	}
}

func destinedTo(port int32) func(*site, *v1alpha1.FilterRule) {
	return func(_ *site, r *v1alpha1.FilterRule) { r.Destination.Port = new(port) }
}

func comingFrom(port int32) func(*site, *v1alpha1.FilterRule) {
	return func(_ *site, r *v1alpha1.FilterRule) { r.Source.Port = new(port) }
}

func ofPeer(cidr string) func(*site, *v1alpha1.FilterRule) {
	return func(_ *site, r *v1alpha1.FilterRule) {
		if r.Direction == v1alpha1.DirectionIngress {
			r.Source.CIDR = cidr
		} else {
			r.Destination.CIDR = cidr
		}
	}
}

const (
	in, out = v1alpha1.DirectionIngress, v1alpha1.DirectionEgress
	far     = "10.99.0.0/24"
)

// probes are the kinds of packets, and what keeps a probe from an answer.
var probes = []probed{
	{cause{id: "probe-tcp", shape: only(in, v1alpha1.ProtocolTCP, destinedTo(servicePort))}, told{Outcome: v1alpha1.ProbeArrived, Sent: "a SYN to TCP 1234 from {peer}"}},
	{cause{id: "probe-tcp-from", shape: only(in, v1alpha1.ProtocolTCP, destinedTo(servicePort), comingFrom(20000))}, told{Outcome: v1alpha1.ProbeArrived, Sent: "a SYN to TCP 1234"}},
	{cause{id: "probe-udp", shape: only(in, v1alpha1.ProtocolUDP, destinedTo(servicePort))}, told{Outcome: v1alpha1.ProbeArrived, Sent: "a datagram to UDP 1234"}},
	{cause{id: "probe-icmp", shape: only(in, v1alpha1.ProtocolICMP)}, told{Outcome: v1alpha1.ProbeArrived, Sent: "an echo request from"}},
	{cause{id: "probe-all", shape: only(in, v1alpha1.ProtocolAll)}, told{Outcome: v1alpha1.ProbeArrived, Sent: "packets of TCP, UDP (port 33434) and ICMP"}},
	{cause{id: "probe-echo", shape: only(out, v1alpha1.ProtocolICMP)}, told{Outcome: v1alpha1.ProbeArrived, Sent: "an echo request, whose answer is copied,"}},
	{cause{id: "probe-reset", shape: only(out, v1alpha1.ProtocolTCP, comingFrom(8443))}, told{Outcome: v1alpha1.ProbeArrived, Sent: "a SYN to TCP 8443, whose answer is copied,"}},
	{cause{id: nodeSource, shape: only(out, v1alpha1.ProtocolTCP, destinedTo(servicePort))}, told{Outcome: v1alpha1.ProbeArrived, Sent: "a SYN to TCP 1234 from {source} (src-" + nodeSource + ") to {peer}"}},
	{cause{id: "probe-closed", shape: only(in, v1alpha1.ProtocolTCP, destinedTo(servicePort)), inject: func(s *site) error { return s.revoke(0) }}, told{Outcome: v1alpha1.ProbeNotArrived, Sent: "a SYN to TCP 1234"}},
	{
		cause{id: "probe-far", shape: only(in, v1alpha1.ProtocolTCP, destinedTo(servicePort), ofPeer(far))},
		told{Outcome: v1alpha1.ProbeCannotSend, Reason: v1alpha1.ReasonProbeNoSender, Command: "nc -z -w 1 {source} 1234", Sent: "no node with a verifier can send what the ingress rule 1 accepts: run the command on a host with an address in " + far},
	},
	{
		cause{id: "probe-datagram", shape: only(out, v1alpha1.ProtocolUDP, destinedTo(servicePort))},
		told{Outcome: v1alpha1.ProbeCannotSend, Reason: v1alpha1.ReasonProbeNoSender, Command: "echo probe | nc -u -w 1 {peer} 1234", Sent: "no node with a verifier can send what the egress rule 1 accepts: run the command on the source {source}"},
	},
}

// nodeSource is the row whose source is a node.
const nodeSource = "probe-node"

func TestAProbeTellsOfEachSourceWhetherACopyArrivesAndCountsItApart(t *testing.T) {
	causes := make([]cause, len(probes))
	for i := range probes {
		probes[i].needs.quiet = true
		causes[i] = probes[i].cause
	}
	w := startWorld(t, causes)
	w.node(peerHost, w.peer)
	for _, s := range w.sites {
		if s.id == nodeSource {
			w.node(s.sources[0].host, s.sources[0])
		}
		w.must(s.apply())
	}
	w.until("each session is counted", startDeadline, func() error {
		return w.each(func(m *v1alpha1.MirrorSession) error {
			if !meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.ConditionReady) || len(m.Status.Verification) == 0 {
				return errors.New("it is not")
			}
			return nil
		})
	})
	first := map[string]time.Time{}
	for _, s := range w.sites {
		if s.inject != nil {
			w.must(s.inject(s))
		}
	}
	w.until("the verifiers that send are known to be alive", startDeadline, func() error { return w.sendersKnown(first) })
	w.must(w.each(func(m *v1alpha1.MirrorSession) error {
		before := client.MergeFrom(m.DeepCopy())
		metav1.SetMetaDataAnnotation(&m.ObjectMeta, v1alpha1.ProbeRequestedAnnotation, time.Now().UTC().Format(time.RFC3339))
		return w.api.Patch(t.Context(), m, before)
	}))
	w.until("each probe is over", startDeadline, func() error {
		return w.each(func(m *v1alpha1.MirrorSession) error {
			if p := m.Status.Probe; p == nil || p.FinishedAt == nil {
				return errors.New("it is not")
			}
			return nil
		})
	})
	sessions := w.sessions()
	for i, s := range w.sites {
		t.Run(s.id, func(t *testing.T) {
			m := sessions[s.id]
			replace := strings.NewReplacer("{source}", s.sources[0].addr.String(), "{peer}", w.peer.addr.String())
			want := probes[i].want
			want.Command, want.Sent = replace.Replace(want.Command), replace.Replace(want.Sent)
			if diff := cmp.Diff(want, tellOf(&m, want)); diff != "" {
				t.Errorf("what it tells (-want +got):\n%s\nprobe: %+v\nreports: %+v", diff, m.Status.Probe, m.Status.ProbeReports)
			}
			if traffic := m.Status.Traffic; traffic != nil && (traffic.Packets > 0 || traffic.Unexpected > 0 || traffic.Undecided > 0 || traffic.LastPacketAt != nil) {
				t.Errorf("the probe was counted as traffic: %+v", traffic.Counts)
			}
			if meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.ConditionTrafficObserved) {
				t.Error("the probe was taken for traffic")
			}
			if want.Outcome == v1alpha1.ProbeArrived && m.Status.Probe.Results[0].LatencyMicroseconds == nil {
				t.Error("it does not say how long it took")
			}
		})
	}
}

// tellOf is what a session's probe tells of its one source, as far as it is asked.
func tellOf(m *v1alpha1.MirrorSession, want told) told {
	if len(m.Status.Probe.Results) != 1 {
		return told{Sent: fmt.Sprintf("%d results", len(m.Status.Probe.Results))}
	}
	r := m.Status.Probe.Results[0]
	got := told{Outcome: r.Outcome, Reason: r.Reason, Command: r.Command, Sent: r.Message}
	if strings.HasPrefix(r.Message, want.Sent) {
		got.Sent = want.Sent
	}
	return got
}

// node makes a host a node of the cluster, with a verifier.
func (w *world) node(host string, n nic) {
	w.t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: host}}
	w.must(w.api.Create(w.t.Context(), node))
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: n.addr.String()}}
	w.must(w.api.Status().Update(w.t.Context(), node))
	w.must(w.forward(host))
	w.startVerifier(host, 0)
}

// sendersKnown is nil once the leases of the nodes' verifiers were renewed: the manager looks at them more often.
func (w *world) sendersKnown(first map[string]time.Time) error {
	for _, host := range []string{peerHost, "src-" + nodeSource} {
		var lease coordinationv1.Lease
		if err := w.api.Get(w.t.Context(), client.ObjectKey{Namespace: system, Name: v1alpha1.LeaseName(host)}, &lease); err != nil {
			return err
		}
		if first[host].IsZero() {
			first[host] = lease.Spec.RenewTime.Time
		}
		if !lease.Spec.RenewTime.After(first[host]) {
			return errors.New("that of " + host + " was not renewed yet")
		}
	}
	return nil
}

// each does something with each session of the rows.
func (w *world) each(do func(*v1alpha1.MirrorSession) error) error {
	sessions := w.sessions()
	for _, s := range w.sites {
		m := sessions[s.id]
		if err := do(&m); err != nil {
			return fmt.Errorf("session %s: %w", s.id, err)
		}
	}
	return nil
}

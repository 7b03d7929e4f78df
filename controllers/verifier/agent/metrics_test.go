package agent

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
)

func TestMetricsShowWhatWasCounted(t *testing.T) {
	w, s, h := counting(t)
	wrongPort := frametest.Inner("12345\n")
	wrongPort.DestinationPort = 22
	w.send(good(10)...)
	w.send(copies(1, 2, wrongPort.Bytes())...)
	w.send(good(1, func(p *frametest.Packet) { p.Payload[0] = 0 })...) // no I flag
	w.send(good(3, from(frametest.ClientAddr))...)
	w.send(copies(9, 4, frametest.Inner("x").Bytes())...)
	h.trail()
	w.send(copies(1, 2, frametest.Inner("12345\n").Bytes()[:56])...)
	h.trail()
	want := strings.NewReplacer("NAMESPACE", s.Namespace).Replace(`
# HELP vpcmirror_verifier_bytes_total Bytes of the inner frames of a mirror session's accepted packets.
# TYPE vpcmirror_verifier_bytes_total counter
vpcmirror_verifier_bytes_total{namespace="NAMESPACE",session="web"} 712
# HELP vpcmirror_verifier_frames_total Frames that were read from an interface, each in exactly one class.
# TYPE vpcmirror_verifier_frames_total counter
vpcmirror_verifier_frames_total{class="attributed",interface="right"} 14
vpcmirror_verifier_frames_total{class="bad-header",interface="right"} 1
vpcmirror_verifier_frames_total{class="cut",interface="right"} 0
vpcmirror_verifier_frames_total{class="foreign-source",interface="right"} 3
vpcmirror_verifier_frames_total{class="foreign-vni",interface="right"} 4
vpcmirror_verifier_frames_total{class="gpe",interface="right"} 0
vpcmirror_verifier_frames_total{class="malformed",interface="right"} 0
vpcmirror_verifier_frames_total{class="not-vxlan",interface="right"} 0
vpcmirror_verifier_frames_total{class="other-host",interface="right"} 0
vpcmirror_verifier_frames_total{class="outer-fragment",interface="right"} 0
vpcmirror_verifier_frames_total{class="unknown-stream",interface="right"} 0
# HELP vpcmirror_verifier_packets_total Packets of a mirror session that reached this host, by what the session's filter says about them.
# TYPE vpcmirror_verifier_packets_total counter
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="accepted"} 12
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="direction-unknown"} 0
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="foreign-source"} 3
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="malformed"} 0
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="not-ip"} 0
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="undecidable"} 0
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="unexpected"} 2
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="unreadable"} 1
# HELP vpcmirror_verifier_ring_frames_total Frames that passed the kernel's filter on an interface: delivered, or dropped because the ring was full or the kernel could not describe them.
# TYPE vpcmirror_verifier_ring_frames_total counter
vpcmirror_verifier_ring_frames_total{interface="right",outcome="delivered"} 22
vpcmirror_verifier_ring_frames_total{interface="right",outcome="dropped"} 0
# HELP vpcmirror_verifier_ring_imbalance_frames By how many frames the books of an interface are off: read and never delivered (above 0), or delivered and never found (below). Other than 0 means that the counts are wrong.
# TYPE vpcmirror_verifier_ring_imbalance_frames gauge
vpcmirror_verifier_ring_imbalance_frames{interface="right"} 0
# HELP vpcmirror_verifier_source_packets_total Packets that reached this host from a source of a mirror session, by what the session's filter says about them.
# TYPE vpcmirror_verifier_source_packets_total counter
vpcmirror_verifier_source_packets_total{namespace="NAMESPACE",session="web",source="source",verdict="accepted"} 12
vpcmirror_verifier_source_packets_total{namespace="NAMESPACE",session="web",source="source",verdict="direction-unknown"} 0
vpcmirror_verifier_source_packets_total{namespace="NAMESPACE",session="web",source="source",verdict="malformed"} 0
vpcmirror_verifier_source_packets_total{namespace="NAMESPACE",session="web",source="source",verdict="not-ip"} 0
vpcmirror_verifier_source_packets_total{namespace="NAMESPACE",session="web",source="source",verdict="undecidable"} 0
vpcmirror_verifier_source_packets_total{namespace="NAMESPACE",session="web",source="source",verdict="unexpected"} 2
# HELP vpcmirror_verifier_source_truncated_packets_total Packets from a source of a mirror session that the mirror cut, whatever their verdict.
# TYPE vpcmirror_verifier_source_truncated_packets_total counter
vpcmirror_verifier_source_truncated_packets_total{namespace="NAMESPACE",session="web",source="source"} 2
# HELP vpcmirror_verifier_status_writes_total Writes of this host's entries to the API server: stored, gone (the session was deleted meanwhile), or failed and tried again.
# TYPE vpcmirror_verifier_status_writes_total counter
vpcmirror_verifier_status_writes_total{outcome="failed"} 0
vpcmirror_verifier_status_writes_total{outcome="gone"} 0
vpcmirror_verifier_status_writes_total{outcome="stored"} 3
# HELP vpcmirror_verifier_truncated_packets_total Packets of a mirror session that the mirror cut, whatever their verdict.
# TYPE vpcmirror_verifier_truncated_packets_total counter
vpcmirror_verifier_truncated_packets_total{namespace="NAMESPACE",session="web"} 2
`)
	if err := testutil.CollectAndCompare(h.Agent, strings.NewReader(want), "vpcmirror_verifier_bytes_total", "vpcmirror_verifier_frames_total",
		"vpcmirror_verifier_packets_total", "vpcmirror_verifier_ring_frames_total",
		"vpcmirror_verifier_ring_imbalance_frames", "vpcmirror_verifier_source_packets_total", "vpcmirror_verifier_source_truncated_packets_total",
		"vpcmirror_verifier_status_writes_total", "vpcmirror_verifier_truncated_packets_total"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(h.Agent); err != nil || len(problems) > 0 {
		t.Errorf("the metrics break Prometheus's rules: %v %v", problems, err)
	}
	last := w.stored(s).Status.Verification[0].LastPacketAt
	if last == nil {
		t.Fatal("no time of the last packet")
	}
	want = fmt.Sprintf("# HELP vpcmirror_verifier_last_packet_timestamp_seconds When the last packet of a mirror session came, in seconds since 1970.\n"+
		"# TYPE vpcmirror_verifier_last_packet_timestamp_seconds gauge\n"+
		"vpcmirror_verifier_last_packet_timestamp_seconds{namespace=%q,session=\"web\"} %v\n", s.Namespace, float64(last.UnixMicro())/1e6)
	if err := testutil.CollectAndCompare(h.Agent, strings.NewReader(want), "vpcmirror_verifier_last_packet_timestamp_seconds"); err != nil {
		t.Error(err)
	}
}

func TestMetricsOfASessionGoOnWhenItsRulesChange(t *testing.T) {
	w := newWorld(t)
	f := w.filter("web")
	w.session("web", "web")
	h := w.host(node, w.pair)
	h.step()
	w.send(good(3)...)
	h.count()
	f.Spec.Rules[0].Destination.Port = new(int32(22))
	if err := w.admin.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	h.count()
	w.ready(f)
	w.send(good(1)...)
	h.count()
	w.send(good(2)...)
	h.count()
	want := strings.NewReplacer("SESSION", fmt.Sprintf("namespace=%q,session=\"web\"", w.namespace)).Replace(`
# HELP vpcmirror_verifier_bytes_total Bytes of the inner frames of a mirror session's accepted packets.
# TYPE vpcmirror_verifier_bytes_total counter
vpcmirror_verifier_bytes_total{SESSION} 240
# HELP vpcmirror_verifier_source_packets_total Packets that reached this host from a source of a mirror session, by what the session's filter says about them.
# TYPE vpcmirror_verifier_source_packets_total counter
vpcmirror_verifier_source_packets_total{SESSION,source="source",verdict="accepted"} 4
vpcmirror_verifier_source_packets_total{SESSION,source="source",verdict="direction-unknown"} 0
vpcmirror_verifier_source_packets_total{SESSION,source="source",verdict="malformed"} 0
vpcmirror_verifier_source_packets_total{SESSION,source="source",verdict="not-ip"} 0
vpcmirror_verifier_source_packets_total{SESSION,source="source",verdict="undecidable"} 0
vpcmirror_verifier_source_packets_total{SESSION,source="source",verdict="unexpected"} 2
`)
	if err := testutil.CollectAndCompare(h.Agent, strings.NewReader(want), "vpcmirror_verifier_bytes_total", "vpcmirror_verifier_source_packets_total"); err != nil {
		t.Error(err)
	}
}

func TestMetricsSayWhetherAnInterfaceIsCaptured(t *testing.T) {
	w := newWorld(t)
	w.filter("web")
	w.session("web", "web")
	h := w.host(node, w.pair)
	open, refused := h.Open, errors.New("operation not permitted")
	h.Open = func(Interface, uint16) (*capture.Ring, error) { return nil, refused }
	running := func(want int) {
		t.Helper()
		w.until(fmt.Sprintf("the series says %d", want), func() bool {
			h.reconcile(t.Context())
			return testutil.CollectAndCompare(h.Agent, strings.NewReader(fmt.Sprintf(
				"# HELP vpcmirror_verifier_capture_running 1 where an interface with targets is captured, 0 where something keeps this process from it.\n"+
					"# TYPE vpcmirror_verifier_capture_running gauge\nvpcmirror_verifier_capture_running{interface=\"right\"} %d\n", want)),
				"vpcmirror_verifier_capture_running") == nil
		})
	}
	running(0)
	h.kill()
	again := w.host(node, w.pair)
	again.Open = open
	h = again
	running(1)
}

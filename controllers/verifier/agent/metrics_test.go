package agent

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

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
	want := strings.NewReplacer("NAMESPACE", s.Namespace).Replace(`
# HELP vpcmirror_verifier_bytes_total Bytes of the inner frames of a mirror session's accepted packets.
# TYPE vpcmirror_verifier_bytes_total counter
vpcmirror_verifier_bytes_total{namespace="NAMESPACE",session="web"} 600
# HELP vpcmirror_verifier_frames_total Frames that were read from an interface, each in exactly one class.
# TYPE vpcmirror_verifier_frames_total counter
vpcmirror_verifier_frames_total{class="attributed",interface="right"} 12
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
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="accepted"} 10
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="direction-unknown"} 0
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="foreign-source"} 3
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="malformed"} 0
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="not-ip"} 0
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="undecidable"} 0
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="unexpected"} 2
vpcmirror_verifier_packets_total{namespace="NAMESPACE",session="web",verdict="unreadable"} 1
# HELP vpcmirror_verifier_ring_frames_total Frames that passed the kernel's filter on an interface: delivered, or dropped because the ring was full or the kernel could not describe them.
# TYPE vpcmirror_verifier_ring_frames_total counter
vpcmirror_verifier_ring_frames_total{interface="right",outcome="delivered"} 20
vpcmirror_verifier_ring_frames_total{interface="right",outcome="dropped"} 0
# HELP vpcmirror_verifier_ring_imbalance_frames By how many frames the books of an interface are off: read and never delivered (above 0), or delivered and never found (below). Other than 0 means that the counts are wrong.
# TYPE vpcmirror_verifier_ring_imbalance_frames gauge
vpcmirror_verifier_ring_imbalance_frames{interface="right"} 0
# HELP vpcmirror_verifier_status_writes_total Writes of this host's entries to the API server: stored, gone (the session was deleted meanwhile), or failed and tried again.
# TYPE vpcmirror_verifier_status_writes_total counter
vpcmirror_verifier_status_writes_total{outcome="failed"} 0
vpcmirror_verifier_status_writes_total{outcome="gone"} 0
vpcmirror_verifier_status_writes_total{outcome="stored"} 2
`)
	if err := testutil.CollectAndCompare(h.Agent, strings.NewReader(want), "vpcmirror_verifier_bytes_total", "vpcmirror_verifier_frames_total",
		"vpcmirror_verifier_packets_total", "vpcmirror_verifier_ring_frames_total",
		"vpcmirror_verifier_ring_imbalance_frames", "vpcmirror_verifier_status_writes_total"); err != nil {
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

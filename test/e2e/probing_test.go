package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/demo/kernel"
)

// playProbe asks for a probe of the walkthrough's session while nobody sends anything: the verifier of ecs-test sends,
// by the rights of its pod alone, and that of ecs-target tells of the copies.
func playProbe(t *testing.T, w *world) {
	p := pair{namespace: "probe", vni: 140}
	w.makePair(t, p)
	arrived := w.kernel(t, ecsSource, "e2e-probe", []kernel.Counter{{Name: "packets", Fields: []kernel.Field{
		kernel.Protocol(tcp), kernel.Source(w.address(t, ecsTest)), kernel.DestinationPort(servicePort),
	}}})
	request := time.Now().UTC().Format(time.RFC3339)
	w.kubectl(t, "annotate", "-n", p.namespace, "mirrorsession", p.key().Name, v1alpha1.ProbeRequestedAnnotation+"="+request)
	until(t, patience, "the probe is over", func(ctx context.Context) error {
		s, err := w.session(ctx, p)
		if err == nil && (s.Status.Probe == nil || s.Status.Probe.FinishedAt == nil) {
			err = fmt.Errorf("it is %+v", s.Status.Probe)
		}
		return err
	})
	s := w.mustSession(t, p)
	probe := s.Status.Probe
	if len(probe.Results) != 1 || probe.Results[0].Outcome != v1alpha1.ProbeArrived || probe.Results[0].LatencyMicroseconds == nil {
		t.Fatalf("the probe is %+v, by the reports %+v", probe, s.Status.ProbeReports)
	}
	if s.Status.Traffic.Counts != (v1alpha1.Counts{}) {
		t.Errorf("the probe was counted as traffic: %+v", s.Status.Traffic.Counts)
	}
	counts, err := arrived.Read()
	if err != nil || counts["packets"] < 1 || counts["packets"] > v1alpha1.MaxProbePackets {
		t.Errorf("ecs-source received %d packets (%v), want 1 to %d", counts["packets"], err, v1alpha1.MaxProbePackets)
	}
	w.checked(t, "ecs-test sent %d packets to ecs-source, a copy reached ecs-target after %s, and the session counts no traffic", counts["packets"], time.Duration(*probe.Results[0].LatencyMicroseconds)*time.Microsecond)
}

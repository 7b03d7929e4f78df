package huawei_test

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/test/cloudsim/sim"
)

// Else an alert blames the cloud for what it was never asked, and half of all calls seem to take no time.
func TestACallThatWasNeverSentIsCountedAsThatAndHasNoDuration(t *testing.T) {
	s := sim.ForTest(t)
	registry := prometheus.NewRegistry()
	c := connect(t, huawei.Options{CallsPerSecond: 0.001, Burst: 1, PageSize: 1000, Registerer: registry}, credentialsOf(s))
	must[[]cloud.Peering](t)(c.ListPeerings(t.Context()))
	if _, err := c.ListPeerings(t.Context()); cloud.ClassOf(err) != cloud.ClassThrottled || !cloud.IsUnsent(err) {
		t.Errorf("a call beyond the own limit gives %v, want that the limit is used up", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.ListPeerings(ended); cloud.ClassOf(err) != cloud.ClassServer || !cloud.IsUnsent(err) {
		t.Errorf("a call that nobody waits for any more gives %v", err)
	}
	account := c.Account().Region + "/" + c.Account().ProjectID
	want := `
# HELP vpcmirror_cloud_calls_total Calls to the cloud's API by account (region/project, or unproven for keys that were never taken), operation and result: OK, the class of the error, or NotSent for what this manager held back, of which the cloud knows nothing.
# TYPE vpcmirror_cloud_calls_total counter
vpcmirror_cloud_calls_total{account="` + account + `",op="ListVpcPeerings",result="NotSent"} 2
vpcmirror_cloud_calls_total{account="` + account + `",op="ListVpcPeerings",result="OK"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "vpcmirror_cloud_calls_total"); err != nil {
		t.Error(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "vpcmirror_cloud_call_duration_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			if n := m.GetHistogram().GetSampleCount(); n != 1 {
				t.Errorf("%d calls have a duration, want the one that was sent", n)
			}
		}
	}
}

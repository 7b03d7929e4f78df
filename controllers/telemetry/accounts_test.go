package telemetry

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
)

func TestAnAccountIsToldByItsListsAndItsQuota(t *testing.T) {
	t.Parallel()
	known := []inventory.Known{
		{
			Account: cloud.Account{Region: "r", ProjectID: "full", Endpoint: "https://a"}, Quota: &cloud.Quota{Sessions: 20},
			Filters: inventory.Extent{Objects: 3, Began: at.Time}, Sessions: inventory.Extent{Objects: 19, Began: at.Add(time.Second)},
		},
		{ // by another endpoint
			Account: cloud.Account{Region: "r", ProjectID: "full", Endpoint: "https://b"}, Sessions: inventory.Extent{Objects: 4, Began: at.Time},
		},
		{ // that does not say what it may have
			Account: cloud.Account{Region: "r", ProjectID: "unsaid"}, Quota: &cloud.Quota{Sessions: -1}, Sessions: inventory.Extent{Objects: 2, Began: at.Time},
		},
		{Account: cloud.Account{Region: "r", ProjectID: "unlisted"}, Quota: &cloud.Quota{Sessions: 20}},
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&Accounts{Known: func() []inventory.Known { return known }})
	expect(t, registry, `
# HELP vpcmirror_cloud_list_timestamp_seconds When the last complete list of a kind of object was begun in an account of the cloud, in seconds since 1970.
# TYPE vpcmirror_cloud_list_timestamp_seconds gauge
vpcmirror_cloud_list_timestamp_seconds{account="r/full",kind="filter"} 1.767323045e+09
vpcmirror_cloud_list_timestamp_seconds{account="r/full",kind="session"} 1.767323046e+09
vpcmirror_cloud_list_timestamp_seconds{account="r/unsaid",kind="session"} 1.767323045e+09
# HELP vpcmirror_cloud_quota How many of a resource an account of the cloud may have, as it said within the last hour or so; not there where it does not say.
# TYPE vpcmirror_cloud_quota gauge
vpcmirror_cloud_quota{account="r/full",resource="session"} 20
# HELP vpcmirror_cloud_quota_used How many of a resource an account of the cloud has, whoever made them.
# TYPE vpcmirror_cloud_quota_used gauge
vpcmirror_cloud_quota_used{account="r/full",resource="session"} 19
vpcmirror_cloud_quota_used{account="r/unsaid",resource="session"} 2
`)
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("the rules of Prometheus: %v, %v", problems, err)
	}
}

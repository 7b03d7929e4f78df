package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"vpcmirror.io/operator/controllers/inventory"
)

// What the inventory knows of accounts, which are called region/project as in the metrics of calls.
var (
	listedAt = prometheus.NewDesc("vpcmirror_cloud_list_timestamp_seconds",
		"When the last complete list of a kind of object was begun in an account of the cloud, in seconds since 1970.", []string{"account", "kind"}, nil)
	quotaUsed = prometheus.NewDesc("vpcmirror_cloud_quota_used",
		"How many of a resource an account of the cloud has, whoever made them.", []string{"account", "resource"}, nil)
	quotaAllowed = prometheus.NewDesc("vpcmirror_cloud_quota",
		"How many of a resource an account of the cloud may have, as it said within the last hour or so; not there where it does not say.",
		[]string{"account", "resource"}, nil)
)

// Accounts tells of the accounts of the cloud that are in use, at most [inventory.MaxAccounts]. It is a
// [prometheus.Collector], and asks the cloud nothing.
type Accounts struct {
	Known func() []inventory.Known
}

// Describe lists the families.
func (a *Accounts) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{listedAt, quotaUsed, quotaAllowed} {
		out <- d
	}
}

// Collect reads what is known.
func (a *Accounts) Collect(out chan<- prometheus.Metric) {
	told := map[string]bool{}
	for _, k := range a.Known() {
		account := k.Account.Region + "/" + k.Account.ProjectID
		if told[account] {
			continue // by another endpoint; the first one stands for it
		}
		told[account] = true
		for kind, extent := range map[string]inventory.Extent{"filter": k.Filters, "session": k.Sessions} {
			if !extent.Began.IsZero() {
				gauge(out, listedAt, seconds(extent.Began), account, kind)
			}
		}
		if k.Sessions.Began.IsZero() {
			continue
		}
		gauge(out, quotaUsed, float64(k.Sessions.Objects), account, "session")
		if k.Quota != nil && k.Quota.Sessions >= 0 {
			gauge(out, quotaAllowed, float64(k.Quota.Sessions), account, "session")
		}
	}
}

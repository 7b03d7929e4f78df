package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vpcmirror.io/operator/controllers/inventory"
)

// What the inventory knows of accounts, which are called region/project as in the metrics of calls.
var (
	listedAt = prometheus.NewDesc("vpcmirror_cloud_list_timestamp_seconds",
		"When the last complete list of a kind of object was begun in an account of the cloud that objects use, in seconds since 1970; it stays while lists fail, and goes once nothing has asked for three resync intervals.", []string{"account", "kind"}, nil)
	quotaUsed = prometheus.NewDesc("vpcmirror_cloud_quota_used",
		"How many of a resource an account of the cloud has, whoever made them; not there once the last complete list is older than three resync intervals.", []string{"account", "resource"}, nil)
	quotaAllowed = prometheus.NewDesc("vpcmirror_cloud_quota",
		"How many of a resource an account of the cloud may have, as it said within the last two hours, or three resync intervals where that is longer; not there where it does not say, or can't be asked.",
		[]string{"account", "resource"}, nil)
)

const (
	// resyncs is after how many intervals without a list, or without anybody who asks for one, neither counts.
	resyncs = 3
	// leastInUse is what that is at least: what fails is tried again each two minutes only.
	leastInUse = 10 * time.Minute
	// quotaStands is how long a quota that can't be read anew is told.
	quotaStands = 2 * time.Hour
)

// Accounts tells of the accounts of the cloud that are in use, at most [inventory.MaxAccounts]. It is a
// [prometheus.Collector], and asks the cloud nothing.
type Accounts struct {
	Known func() []inventory.Known
	// Clock tells the time of a scrape.
	Clock func() time.Time
	// Resync is how often each object asks for the lists of its account, when nothing happens.
	Resync time.Duration
}

// Describe lists the families.
func (a *Accounts) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{listedAt, quotaUsed, quotaAllowed} {
		out <- d
	}
}

// Collect reads what is known.
func (a *Accounts) Collect(out chan<- prometheus.Metric) {
	now, stands := a.Clock(), max(resyncs*a.Resync, leastInUse)
	accounts := map[string]inventory.Known{}
	for _, k := range a.Known() {
		account := k.Account.Region + "/" + k.Account.ProjectID
		accounts[account] = younger(accounts[account], k)
	}
	for account, k := range accounts {
		for kind, extent := range map[string]inventory.Extent{"filter": k.Filters, "session": k.Sessions} {
			if !extent.Began.IsZero() && now.Sub(extent.Wanted) <= stands {
				gauge(out, listedAt, seconds(extent.Began), account, kind)
			}
		}
		if now.Sub(k.Sessions.Began) > stands {
			continue
		}
		gauge(out, quotaUsed, float64(k.Sessions.Objects), account, "session")
		if k.Quota != nil && k.Quota.Sessions >= 0 && now.Sub(k.QuotaBegan) <= max(quotaStands, resyncs*a.Resync) {
			gauge(out, quotaAllowed, float64(k.Quota.Sessions), account, "session")
		}
	}
}

// younger is what is known of one account by two of its endpoints: of each thing what was read last.
func younger(a, b inventory.Known) inventory.Known {
	if b.QuotaBegan.After(a.QuotaBegan) {
		a.Quota, a.QuotaBegan = b.Quota, b.QuotaBegan
	}
	a.Filters, a.Sessions = youngest(a.Filters, b.Filters), youngest(a.Sessions, b.Sessions)
	return a
}

func youngest(a, b inventory.Extent) inventory.Extent {
	if b.Began.After(a.Began) {
		a, b = b, a
	}
	if b.Wanted.After(a.Wanted) {
		a.Wanted = b.Wanted // whoever fails by one endpoint uses the account, too
	}
	return a
}

package telemetry

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
)

// extent is one that was listed and wanted so long ago.
func extent(objects int, listed, wanted time.Duration) inventory.Extent {
	return inventory.Extent{Objects: objects, Began: at.Add(-listed), Wanted: at.Add(-wanted)}
}

// ofAccounts is what is told at a moment, where the cloud is looked at each ten minutes.
func ofAccounts(known ...inventory.Known) *prometheus.Registry {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&Accounts{
		Known: func() []inventory.Known { return known }, Clock: func() time.Time { return at.Time }, Resync: 10 * time.Minute,
	})
	return registry
}

// series are what a registry gives of accounts, without its head.
func series(t *testing.T, registry *prometheus.Registry) (all []string) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			line := strings.TrimPrefix(family.GetName(), "vpcmirror_cloud_")
			for _, label := range m.GetLabel() {
				line += " " + label.GetValue()
			}
			if value := m.GetGauge().GetValue(); value > 1e9 {
				line += fmt.Sprintf(" %.0fs ago", seconds(at.Time)-value)
			} else {
				line += fmt.Sprintf(" %.0f", value)
			}
			all = append(all, line)
		}
	}
	return all
}

func TestAnAccountIsToldWhileSomebodyUsesItAndAsFarAsItIsKnown(t *testing.T) {
	t.Parallel()
	account := cloud.Account{Region: "r", ProjectID: "p", Endpoint: "https://a"}
	other := cloud.Account{Region: "r", ProjectID: "p", Endpoint: "https://b"}
	may := func(n int) *cloud.Quota { return &cloud.Quota{Sessions: n} }
	read := func(ago time.Duration) time.Time { return at.Add(-ago) }
	for name, c := range map[string]struct {
		known []inventory.Known
		want  []string
	}{
		"all of one that is in use": {
			[]inventory.Known{{Account: account, Sessions: extent(19, time.Minute, 0), Filters: extent(3, time.Minute, 0), Quota: may(20), QuotaBegan: read(time.Hour)}},
			[]string{"list_timestamp_seconds r/p filter 60s ago", "list_timestamp_seconds r/p session 60s ago", "quota r/p session 20", "quota_used r/p session 19"},
		},
		"nothing of one whose last object is gone": {
			[]inventory.Known{{Account: account, Sessions: extent(19, 31*time.Minute, 31*time.Minute), Filters: extent(3, time.Hour, time.Hour), Quota: may(20), QuotaBegan: read(time.Hour)}},
			nil,
		},
		"the age alone of one that is in use and whose lists fail": {
			[]inventory.Known{{Account: account, Sessions: extent(19, 31*time.Minute, time.Minute), Filters: extent(3, 5*time.Hour, time.Minute), Quota: may(20), QuotaBegan: read(time.Hour)}},
			[]string{"list_timestamp_seconds r/p filter 18000s ago", "list_timestamp_seconds r/p session 1860s ago"},
		},
		"no quota that could not be read for two hours": {
			[]inventory.Known{{Account: account, Sessions: extent(19, time.Minute, 0), Quota: may(20), QuotaBegan: read(2*time.Hour + time.Second)}},
			[]string{"list_timestamp_seconds r/p session 60s ago", "quota_used r/p session 19"},
		},
		"the younger of what two endpoints say": {
			[]inventory.Known{
				{Account: account, Sessions: extent(19, 20*time.Minute, 0), Filters: extent(3, time.Minute, 0), Quota: may(30), QuotaBegan: read(time.Minute)},
				{Account: other, Sessions: extent(4, time.Minute, 0), Filters: extent(2, 20*time.Minute, 0), Quota: may(20), QuotaBegan: read(time.Hour)},
			},
			[]string{"list_timestamp_seconds r/p filter 60s ago", "list_timestamp_seconds r/p session 60s ago", "quota r/p session 30", "quota_used r/p session 4"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := series(t, ofAccounts(c.known...)); !slices.Equal(got, c.want) {
				t.Errorf("it tells\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestAnAccountIsToldByItsListsAndItsQuota(t *testing.T) {
	t.Parallel()
	known := []inventory.Known{
		{
			Account: cloud.Account{Region: "r", ProjectID: "full", Endpoint: "https://a"}, Quota: &cloud.Quota{Sessions: 20}, QuotaBegan: at.Time,
			Filters: extent(3, 0, 0), Sessions: extent(19, time.Second, 0),
		},
		{ // that does not say what it may have
			Account: cloud.Account{Region: "r", ProjectID: "unsaid"}, Quota: &cloud.Quota{Sessions: -1}, QuotaBegan: at.Time, Sessions: extent(2, 0, 0),
		},
		{Account: cloud.Account{Region: "r", ProjectID: "unlisted"}, Quota: &cloud.Quota{Sessions: 20}},
	}
	registry := ofAccounts(known...)
	expect(t, registry, `
# HELP vpcmirror_cloud_list_timestamp_seconds When the last complete list of a kind of object was begun in an account of the cloud that objects use, in seconds since 1970; it stays while lists fail, and goes once nothing has asked for three resync intervals.
# TYPE vpcmirror_cloud_list_timestamp_seconds gauge
vpcmirror_cloud_list_timestamp_seconds{account="r/full",kind="filter"} 1.767323045e+09
vpcmirror_cloud_list_timestamp_seconds{account="r/full",kind="session"} 1.767323044e+09
vpcmirror_cloud_list_timestamp_seconds{account="r/unsaid",kind="session"} 1.767323045e+09
# HELP vpcmirror_cloud_quota How many of a resource an account of the cloud may have, as it said within the last two hours, or three resync intervals where that is longer; not there where it does not say, or can't be asked.
# TYPE vpcmirror_cloud_quota gauge
vpcmirror_cloud_quota{account="r/full",resource="session"} 20
# HELP vpcmirror_cloud_quota_used How many of a resource an account of the cloud has, whoever made them; not there once the last complete list is older than three resync intervals.
# TYPE vpcmirror_cloud_quota_used gauge
vpcmirror_cloud_quota_used{account="r/full",resource="session"} 19
vpcmirror_cloud_quota_used{account="r/unsaid",resource="session"} 2
`)
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("the rules of Prometheus: %v, %v", problems, err)
	}
}

package inventory_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
)

func TestWhatIsKnownOfAccountsIsTheirLastListsAndQuotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := inventory.New(time.Now)
		same(t, "before anything was read", nil, i.Known())
		south := &reader{account: cloud.Account{Region: "south", ProjectID: "p"}, sessions: []cloud.Session{{ID: "a"}, {ID: "b"}}}
		north := &reader{account: cloud.Account{Region: "north", ProjectID: "p"}, filters: []cloud.Filter{filter("a", "a")}}
		began := time.Now()
		if _, err := i.Sessions(t.Context(), south, began); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		later := time.Now()
		filters(t, i, north, later)
		if _, err := i.Quota(t.Context(), south, later); err != nil {
			t.Fatal(err)
		}
		want := []inventory.Known{
			{Account: north.account, Filters: inventory.Extent{Objects: 1, Began: later, Wanted: later}},
			{Account: south.account, Sessions: inventory.Extent{Objects: 2, Began: began, Wanted: began}, Quota: &cloud.Quota{Sessions: 7}, QuotaBegan: later},
		}
		same(t, "what is known", want, i.Known())

		// A list that failed is no list: the age goes on from the one before.
		south.failure = errors.New("the cloud is away")
		pass(time.Minute)
		if _, err := i.Sessions(t.Context(), south, time.Now()); err == nil {
			t.Fatal("the list did not fail")
		}
		// That somebody wants it goes on, too: so who reads this tells an account that fails from one that nobody uses.
		want[1].Sessions.Wanted = time.Now()
		same(t, "what is known after a list that failed", want, i.Known())
		same(t, "the calls", map[string]int{"ListSessions": 2, "GetQuota": 1}, south.calls)
	})
}

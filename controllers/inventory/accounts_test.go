package inventory_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
)

// tenant is a client of an account of its own that has these filters.
func tenant(n int, filters ...cloud.Filter) *reader {
	return &reader{account: cloud.Account{ProjectID: fmt.Sprint(n)}, filters: filters}
}

// huge are so many filters that four such accounts are more than may be kept.
func huge() []cloud.Filter {
	var all []cloud.Filter
	for n := range 1000 {
		all = append(all, cloud.Filter{ID: fmt.Sprint(n), Rules: make([]cloud.Rule, inventory.MaxBytes/3/1000/260)})
	}
	return all
}

func TestAccountsThatNobodyUsedForLongestAreDroppedAndReadAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, begin := inventory.New(time.Now), time.Now()
		first, second := tenant(0), tenant(1)
		filters(t, i, first, begin)
		filters(t, i, second, begin)
		for n := 2; n < inventory.MaxAccounts; n++ {
			filters(t, i, tenant(n), begin)
		}
		filters(t, i, first, begin) // used again
		filters(t, i, tenant(inventory.MaxAccounts), begin)
		filters(t, i, first, begin)
		filters(t, i, second, begin)
		same(t, "calls of the one that was used", 1, first.calls["ListFilters"])
		same(t, "calls of the one that was not", 2, second.calls["ListFilters"])
	})
}

func TestAListThatIsHugeCostsItsOwnAccountACallAndNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, begin := inventory.New(time.Now), time.Now()
		small, large := tenant(0, filter("a", "a")), []*reader{tenant(1, huge()...), tenant(2, huge()...), tenant(3, huge()...), tenant(4, huge()...)}
		filters(t, i, small, begin)
		calls := 0
		for range 2 {
			for _, r := range large {
				same(t, "filters of a huge account", 1000, len(filters(t, i, r, begin)))
			}
		}
		for _, r := range large {
			calls += r.calls["ListFilters"]
		}
		if calls <= len(large) {
			t.Errorf("%d calls for %d huge accounts: everything is kept", calls, len(large))
		}
		filters(t, i, small, begin)
		same(t, "calls of the small one", 1, small.calls["ListFilters"])
	})
}

func TestWhatWasNotedAShortTimeAgoOutlivesEveryBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, begin := inventory.New(time.Now), time.Now()
		mine := tenant(0, huge()...)
		filters(t, i, mine, begin)
		pass(time.Second)
		i.NoteFilter(mine.account, filter("new", "n"))
		i.ForgetFilter(mine.account, "7")
		for n := range inventory.MaxAccounts + 10 {
			filters(t, i, tenant(n+1), begin)
		}
		for n := range 4 {
			filters(t, i, tenant(1000+n, huge()...), begin)
		}
		same(t, "what was noted", true, i.FilterNoted(mine.account, "new", begin))
		got := map[string]bool{}
		for _, f := range filters(t, i, mine, begin) { // its list is of before the note
			got[f.ID] = true
		}
		same(t, "what was made, and what was deleted", []bool{true, false}, []bool{got["new"], got["7"]})
		same(t, "calls", 2, mine.calls["ListFilters"])

		pass(3 * time.Minute)
		for n := range inventory.MaxAccounts + 10 {
			filters(t, i, tenant(2000+n), begin)
		}
		same(t, "what was noted long ago", false, i.FilterNoted(mine.account, "new", begin))
	})
}

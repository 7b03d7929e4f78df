package inventory

import (
	"cmp"
	"slices"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// Known is what is known of an account without asking the cloud.
type Known struct {
	Account           cloud.Account
	Filters, Sessions Extent
	// Quota is what the account may have, nil while that was not read.
	Quota *cloud.Quota
	// QuotaBegan is when the call began that gave it.
	QuotaBegan time.Time
}

// Extent is how many objects of a kind an account has, what this process has noted included, and when the
// last complete list of them began: the zero time before there was one. Wanted is when somebody asked for the
// list last, whether or not the cloud gave it: of an account that no object uses any more nobody does.
type Extent struct {
	Objects       int
	Began, Wanted time.Time
}

// Known tells of every account that is kept, in the order of their names. It asks nobody anything.
func (i *Inventory) Known() []Known {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := make([]Known, 0, len(i.accounts.byID))
	for element := i.accounts.order.Front(); element != nil; element = element.Next() {
		k := element.Value.(*kept) // nothing else is stored
		is := Known{Account: k.id, Filters: k.filters.extent(), Sessions: k.sessions.extent()}
		if quota, began := k.quota.lastRead(struct{}{}); !began.IsZero() {
			is.Quota, is.QuotaBegan = &quota, began
		}
		all = append(all, is)
	}
	slices.SortFunc(all, func(a, b Known) int {
		return cmp.Or(cmp.Compare(a.Account.Region, b.Account.Region), cmp.Compare(a.Account.ProjectID, b.Account.ProjectID),
			cmp.Compare(a.Account.Endpoint, b.Account.Endpoint))
	})
	return all
}

func (c *listCache[T]) extent() Extent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Extent{Objects: c.listed.Len(), Began: c.began, Wanted: c.wanted}
}

// lastRead is what was read last, by whomever and however long ago, and when that call began: zero where there was none.
func (m *memo[K, V]) lastRead(key K) (value V, began time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.entries[key]; e != nil {
		return e.value, e.began
	}
	return value, time.Time{}
}

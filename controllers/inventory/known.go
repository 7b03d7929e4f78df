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
}

// Extent is how many objects of a kind an account has, what this process has noted included, and when the
// last complete list of them began: the zero time before there was one.
type Extent struct {
	Objects int
	Began   time.Time
}

// Known tells of every account that is kept, in the order of their names. It asks nobody anything.
func (i *Inventory) Known() []Known {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := make([]Known, 0, len(i.accounts.byID))
	for element := i.accounts.order.Front(); element != nil; element = element.Next() {
		k := element.Value.(*kept) // nothing else is stored
		is := Known{Account: k.id, Filters: k.filters.extent(), Sessions: k.sessions.extent()}
		if quota, read := k.quota.lastRead(struct{}{}); read {
			is.Quota = &quota
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
	return Extent{Objects: c.listed.Len(), Began: c.began}
}

// lastRead is what was read last, by whomever and however long ago.
func (m *memo[K, V]) lastRead(key K) (value V, read bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[key]
	if e == nil || e.began.IsZero() {
		return value, false
	}
	return e.value, true
}

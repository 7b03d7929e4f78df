package inventory

import (
	"cmp"
	"container/list"
	"slices"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// Bounds of what is kept.
const (
	// MaxAccounts is how many accounts are kept. Beyond it the least recently used is
	// dropped, and is read anew when it is needed again.
	MaxAccounts = 256
	// MaxBytes is about what all accounts may hold of memory together: 20,000 sessions with a filter
	// each, and what lies on their way. Beyond it lists of the accounts that hold more than their part
	// are dropped, one by one, so that what is huge costs nobody else a call.
	MaxBytes = 64 << 20
)

// accounts keeps the most recently used accounts. What this process has noted a short time
// ago is never dropped: what is made of it must not depend on how many others there are.
// The inventory's mutex guards it.
type accounts struct {
	byID  map[cloud.Account]*list.Element
	order *list.List // of *kept, the most recently used first
}

type kept struct {
	id cloud.Account
	*account
}

func newAccounts() accounts {
	return accounts{byID: map[cloud.Account]*list.Element{}, order: list.New()}
}

// get gives the account, made by create where there is none.
func (a *accounts) get(id cloud.Account, create func() *account) *account {
	if element, ok := a.byID[id]; ok {
		a.order.MoveToFront(element)
		return element.Value.(*kept).account // nothing else is stored
	}
	made := create()
	a.byID[id] = a.order.PushFront(&kept{id, made})
	return made
}

// trim drops what is too much.
func (a *accounts) trim(now time.Time) {
	for element := a.order.Back(); element != nil && a.order.Len() > MaxAccounts; {
		old := element
		element = element.Prev()
		if k := old.Value.(*kept); k.drop(now) { // nothing else is stored
			a.order.Remove(old)
			delete(a.byID, k.id)
		}
	}
	a.shrink(now)
}

// shrink drops lists until all accounts together hold no more than they may. An account that has no
// more than its part of that loses none.
func (a *accounts) shrink(now time.Time) {
	total, held := int64(0), map[*account]int64{}
	for element := a.order.Front(); element != nil; element = element.Next() {
		k := element.Value.(*kept) // nothing else is stored
		held[k.account] = k.size()
		total += held[k.account]
	}
	if total <= MaxBytes {
		return
	}
	part := int64(MaxBytes / len(held))
	var all []droppable
	for of, size := range held {
		if size > part {
			all = append(all, of.droppable(now)...)
		}
	}
	slices.SortFunc(all, func(x, y droppable) int { return cmp.Or(cmp.Compare(x.rank, y.rank), cmp.Compare(y.bytes, x.bytes)) })
	for _, one := range all {
		if total <= MaxBytes {
			return
		}
		if held[one.of] <= part {
			continue
		}
		one.drop()
		freed := one.bytes - one.size() // notes stay
		total, held[one.of] = total-freed, held[one.of]-freed
	}
}

// droppable is a list of an account.
type droppable struct {
	of    *account
	rank  int // what is larger goes later
	bytes int64
	size  func() int64
	drop  func()
}

// droppable are the lists of an account: what only a diagnosis needs goes first, then what resolves
// references, and last what each look needs: that is never dropped for what the others hold.
func (a *account) droppable(now time.Time) (all []droppable) {
	add := func(rank int, size func() int64, drop func()) {
		if bytes := size(); bytes > 0 {
			all = append(all, droppable{a, rank, bytes, size, drop})
		}
	}
	for _, k := range a.network.diagnosed() {
		add(0, k.size, k.drop)
	}
	for _, k := range []keeper{a.network.interfaces, a.interfaces, a.addresses, a.servers, a.quota} {
		add(1, k.size, k.drop)
	}
	add(2, a.filters.size, func() { a.filters.drop(now) })
	add(2, a.sessions.size, func() { a.sessions.drop(now) })
	return all
}

// size is about what the account holds of memory.
func (a *account) size() int64 {
	size := a.filters.size() + a.sessions.size() + a.interfaces.size() + a.addresses.size() + a.servers.size() + a.quota.size()
	for _, k := range a.network.all() {
		size += k.size()
	}
	return size
}

// drop forgets all but what was noted a short time ago, and reports whether nothing is left.
func (a *account) drop(now time.Time) (empty bool) {
	a.interfaces.drop()
	a.addresses.drop()
	a.servers.drop()
	a.quota.drop()
	for _, k := range a.network.all() {
		k.drop()
	}
	filters, sessions := a.filters.drop(now), a.sessions.drop(now)
	return filters && sessions
}

// sizeOfMemoized is about what the answer about one thing holds.
const sizeOfMemoized = 600

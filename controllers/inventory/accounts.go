package inventory

import (
	"container/list"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// Bounds of what is kept.
const (
	// MaxAccounts is how many accounts are kept. Beyond it the least recently used is
	// dropped, and is read anew when it is needed again.
	MaxAccounts = 256
	// MaxBytes is about what all accounts may hold of memory together. Beyond it the
	// largest lists are dropped, so that one that is huge costs nobody else a call.
	MaxBytes = 24 << 20
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
	for {
		total, largest, size := int64(0), (*account)(nil), int64(0)
		for element := a.order.Front(); element != nil; element = element.Next() {
			k := element.Value.(*kept) // nothing else is stored
			held := k.size()
			if total += held; held > size {
				largest, size = k.account, held
			}
		}
		if total <= MaxBytes {
			return
		}
		largest.drop(now)
		if largest.size() >= size {
			return // all of it are notes
		}
	}
}

// size is about what the account holds of memory.
func (a *account) size() int64 {
	size := a.filters.size() + a.sessions.size() + a.interfaces.size() + a.addresses.size() + a.quota.size()
	for _, k := range a.network.all() {
		size += k.size()
	}
	return size
}

// drop forgets all but what was noted a short time ago, and reports whether nothing is left.
func (a *account) drop(now time.Time) (empty bool) {
	a.interfaces.drop()
	a.addresses.drop()
	a.quota.drop()
	for _, k := range a.network.all() {
		k.drop()
	}
	filters, sessions := a.filters.drop(now), a.sessions.drop(now)
	return filters && sessions
}

// sizeOfMemoized is about what the answer about one thing holds.
const sizeOfMemoized = 600

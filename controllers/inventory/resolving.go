package inventory

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// Single interfaces are served from the list of all once many are asked for: a steady state with
// thousands of them then costs a few pages and not a call for each.
const (
	// fewInterfaces are how many different ones are read one by one, in a window.
	fewInterfaces = 8
	// askedWindow is how long what was asked counts. A window is followed by one in which it still does.
	askedWindow = 10 * time.Minute
	// settledAge is how old an answer may be where nothing has changed. Whoever wants a newer one
	// asks for a few interfaces of one object, for which the list would be far more.
	settledAge = 45 * time.Second
)

// interfaceList is what a list of all interfaces tells.
type interfaceList struct {
	all       *cloud.Interfaces
	byAddress map[netip.Addr][]string // IDs
	// odd is true where an interface was not understood, which may have any address.
	odd bool
}

// readInterfaceList makes a read of all interfaces one of such a list.
func readInterfaceList(list func(context.Context) ([]cloud.Interface, error)) func(context.Context, whole) (interfaceList, error) {
	return func(ctx context.Context, _ whole) (interfaceList, error) {
		all, err := list(ctx)
		if err != nil {
			return interfaceList{}, err
		}
		made := interfaceList{all: cloud.InterfacesOf(all), byAddress: make(map[netip.Addr][]string, len(all))}
		for _, one := range all {
			made.odd = made.odd || one.Unreadable != ""
			for _, address := range one.Addresses {
				made.byAddress[address] = append(made.byAddress[address], one.ID)
			}
		}
		return made, nil
	}
}

// size is about what the list holds of memory.
func (l interfaceList) size() int64 {
	return sizeOfMap(l.all.All()) + 100*int64(len(l.byAddress)) + 60*int64(len(l.all.All()))
}

// one gives an interface that the list surely shows.
func (l interfaceList) one(id string) (cloud.Interface, bool) {
	found, ok := l.all.ByID(id)
	return found, ok && found.Unreadable == ""
}

// at gives the one interface that has an address. None and several are left to a read of their
// own: an interface that is replaced while the pages are read is in none of them, or twice.
func (l interfaceList) at(address netip.Addr) (cloud.Interface, bool) {
	ids := l.byAddress[address.Unmap()]
	if l.odd || len(ids) != 1 {
		return cloud.Interface{}, false
	}
	return l.one(ids[0])
}

// resolving notes which interfaces of an account are asked for one by one.
type resolving struct {
	mu          sync.Mutex
	since       time.Time    // when the present window began
	asked       map[any]bool // in it, and no more than matter
	manyBefore  bool         // whether there were many in the window before
	lastListing map[cloud.Client]time.Time
}

// many notes that an interface is asked for, by its ID or its address, and reports whether there
// are many.
func (r *resolving) many(key any, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if passed := now.Sub(r.since); passed >= askedWindow {
		r.manyBefore = passed < 2*askedWindow && len(r.asked) > fewInterfaces
		r.since, r.asked = now, map[any]bool{}
	}
	if len(r.asked) <= fewInterfaces {
		r.asked[key] = true
	}
	return r.manyBefore || len(r.asked) > fewInterfaces
}

// mayList reports whether the client may read the list for somebody who wants an answer that is not
// older: a list that has failed, or was too large to be kept, is not read for each of many.
func (r *resolving) mayList(c cloud.Client, notBefore time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, listed := r.lastListing[c]
	return !listed || last.Before(notBefore)
}

func (r *resolving) listed(c cloud.Client, began time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lastListing == nil || len(r.lastListing) >= maxAuthorized {
		r.lastListing = map[cloud.Client]time.Time{}
	}
	r.lastListing[c] = began
}

// listing is a list of all interfaces that serves somebody who asks for one of them; it is empty
// where that one is to be read by itself.
type listing struct {
	interfaceList
	began time.Time
}

// atLeast is how new a read of one interface must be. What the list says other than what was read
// of that one before, without being able to prove it, is to be confirmed by a later read.
func (l listing) atLeast(notBefore time.Time) time.Time {
	if l.began.After(notBefore) {
		return l.began
	}
	return notBefore
}

// listFor gives the list that serves who asks for an interface by its ID or its address, of which
// the last read by itself began at single: the newest answer serves, so that what was read of the
// whole account is never followed by what was so before.
func (i *Inventory) listFor(ctx context.Context, c cloud.Client, key any, single, notBefore time.Time) listing {
	now, a := i.clock(), i.account(c.Account())
	lists, many := a.network.interfaces, a.resolving.many(key, now)
	list, kept := lists.have(c, whole{}, notBefore)
	if !kept {
		if !many || now.Sub(notBefore) < settledAge || !a.resolving.mayList(c, notBefore) {
			return listing{}
		}
		list = lists.answer(ctx, c, whole{}, notBefore, readInterfaceList(c.ListInterfaces))
		a.resolving.listed(c, now)
	}
	if list.err != nil || !single.Before(list.began) {
		return listing{}
	}
	return listing{interfaceList: list.value, began: list.began}
}

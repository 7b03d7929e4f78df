package inventory

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// Single interfaces are served from the list of all once many are asked for: a steady state with
// thousands of them then costs a few pages and not a call for each, and so does a wave of new objects.
const (
	// fewInterfaces are how many different ones are read one by one, in a window.
	fewInterfaces = 8
	// askedWindow is how long what was asked counts. A window is followed by one in which it still does.
	askedWindow = 10 * time.Minute
	// settledAge is how old an answer may be where nothing has changed, or as old as the resync interval
	// where that is shorter. Whoever wants a newer one may ask for a few interfaces of one object, for
	// which the list would be far more.
	settledAge = 45 * time.Second
	// interfacesOfPage are about how many a page of the list has.
	interfacesOfPage = 1000
	// shortestGap and longestGap bound how long after one list the next begins that whoever wants an
	// answer of now waits for, so that all who come meanwhile share it; it grows by gapOfPage.
	shortestGap, longestGap = 2 * time.Second, 20 * time.Second
	gapOfPage               = 400 * time.Millisecond
)

// interfaceList is what a list of all interfaces tells.
type interfaceList struct {
	all       *cloud.Interfaces
	byAddress map[netip.Addr][]string // IDs
	attached  []attachment            // by server, and then by interface
	// odd is true where an interface was not understood, which may have any address.
	odd bool
}

// serverID is the ID of a server.
type serverID string

// attachment is an interface of a server. In one slice they need half the memory of a map.
type attachment struct{ server, id string }

func (a attachment) compare(b attachment) int {
	return cmp.Or(strings.Compare(a.server, b.server), strings.Compare(a.id, b.id))
}

func newInterfaceList(all []cloud.Interface) interfaceList {
	made := interfaceList{all: cloud.InterfacesOf(all), byAddress: make(map[netip.Addr][]string, len(all))}
	for _, one := range all {
		if one.DeviceID != "" {
			made.attached = append(made.attached, attachment{one.DeviceID, one.ID})
		}
		made.odd = made.odd || one.Unreadable != ""
		for _, address := range one.Addresses {
			made.byAddress[address] = append(made.byAddress[address], one.ID)
		}
	}
	slices.SortFunc(made.attached, attachment.compare)
	made.attached = slices.Clip(made.attached)
	return made
}

// size is about what the list holds of memory.
func (l interfaceList) size() int64 {
	return sizeOfMap(l.all.All()) + 100*int64(len(l.byAddress)) + 60*int64(len(l.all.All())) + 32*int64(len(l.attached))
}

// one gives an interface that the list surely shows.
func (l interfaceList) one(id string) (cloud.Interface, bool) {
	found, ok := l.all.ByID(id)
	return found, ok && found.Unreadable == ""
}

// at gives the interfaces that have an address, where the list proves that, or agrees with what was
// read of the address by itself before. One interface is proof. None and several are not: an interface
// that is replaced while the pages are read is in none of them, or twice.
func (l interfaceList) at(address netip.Addr, before []cloud.Interface, known bool) ([]cloud.Interface, bool) {
	ids := l.byAddress[address.Unmap()]
	agrees := known && isOf(before, ids)
	if !agrees && (l.odd || len(ids) != 1) {
		return nil, false
	}
	return l.those(ids)
}

// of gives the interfaces of a server, where the list proves that, or agrees with what was read of the
// server by itself before. One that is its primary is proof, as who asks looks for that.
func (l interfaceList) of(server serverID, before []cloud.Interface, known bool) ([]cloud.Interface, bool) {
	first, _ := slices.BinarySearchFunc(l.attached, attachment{server: string(server)}, attachment.compare)
	var ids []string
	primary := 0
	for _, a := range l.attached[first:] {
		if a.server != string(server) {
			break
		}
		ids = append(ids, a.id)
		if one, _ := l.all.ByID(a.id); one.Primary {
			primary++
		}
	}
	if agrees := known && isOf(before, ids); !agrees && primary != 1 {
		return nil, false
	}
	return l.those(ids)
}

// those gives the interfaces with the IDs; false where one of them was not understood.
func (l interfaceList) those(ids []string) ([]cloud.Interface, bool) {
	found := make([]cloud.Interface, 0, len(ids))
	for _, id := range ids {
		one, ok := l.one(id)
		if !ok {
			return nil, false
		}
		found = append(found, one)
	}
	return found, true
}

// isOf reports whether interfaces are those that have the IDs, each once.
func isOf(all []cloud.Interface, ids []string) bool {
	return len(ids) == len(all) && !slices.ContainsFunc(all, func(i cloud.Interface) bool { return !slices.Contains(ids, i.ID) })
}

// sameIDs reports whether interfaces are the same ones.
func sameIDs(a, b []cloud.Interface) bool {
	ids := make([]string, 0, len(b))
	for _, i := range b {
		ids = append(ids, i.ID)
	}
	return isOf(a, ids)
}

// resolving notes which interfaces of an account are asked for one by one, and what that has cost.
type resolving struct {
	mu         sync.Mutex
	since      time.Time    // when the present window began
	asked      map[any]bool // in it, and no more than matter
	manyBefore bool         // whether there were many in the window before
	lists      map[cloud.Client]listRead
	// singles are how many were read one by one since the last list, where many were not asked for or
	// whoever asked wanted an answer of now.
	singles int
	pages   int // of the last list
	// named are how many interfaces the sessions of this cluster named that were listed last, and no more
	// than matter; or those that are said to come.
	named int
	// absent are the interfaces that the cloud has denied when each was asked for by itself last.
	absent map[string]absence
}

// listRead is how a client's last read of the list went.
type listRead struct {
	began  time.Time
	failed bool
}

// absence is how the cloud denied an interface.
type absence struct {
	began time.Time
	err   error
}

// many notes that an interface is asked for, by its ID, its address or its server, and reports whether there
// are many, or will be: every interface that a session names is asked for.
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
	return r.manyBefore || max(len(r.asked), r.named) > fewInterfaces
}

// expect notes which interfaces the sessions name that have the mark of the cluster.
func (r *resolving) expect(cluster string, sessions []cloud.Session) {
	named := map[string]bool{}
	for _, s := range sessions {
		if mark, ok := plan.MarkOf(s.Description); !ok || mark.Cluster != cluster {
			continue
		}
		for _, id := range append([]string{s.TargetID}, s.Sources...) {
			named[id] = true
		}
		if len(named) > fewInterfaces {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.named = len(named)
}

// coming notes that so many interfaces are asked for next, in answers of now. Where the list costs less than that, it
// is read for the first of them.
func (r *resolving) coming(count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if enough := max(fewInterfaces, r.pages); count > enough {
		r.named, r.singles = max(r.named, count), max(r.singles, enough)
	}
}

// byList reports whether the client is to read the list for somebody who wants an answer that is not
// older, and after how long. An answer of now is read by itself until that has cost what a list does.
// A list that has failed, or was too large to be kept, is not read for each of many.
func (r *resolving) byList(c cloud.Client, notBefore, now time.Time, settled time.Duration) (in time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, listed := r.lists[c]
	switch {
	case listed && !last.began.Before(notBefore):
		return 0, false
	case now.Sub(notBefore) >= settled:
		return 0, true
	case listed && last.failed && now.Sub(last.began) < askedWindow:
		return 0, false
	case r.singles < max(fewInterfaces, r.pages):
		r.singles++
		return 0, false
	}
	gap := min(max(shortestGap, time.Duration(r.pages)*gapOfPage), longestGap)
	return max(last.began.Add(gap).Sub(now), 0), true
}

// single notes that an interface is read by itself, as few are asked for.
func (r *resolving) single() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.singles++
}

// listed notes that the client has read the list.
func (r *resolving) listed(c cloud.Client, began time.Time, list interfaceList, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lists == nil || len(r.lists) >= maxAuthorized {
		r.lists = map[cloud.Client]listRead{}
	}
	r.lists[c] = listRead{began, err != nil}
	if err == nil {
		r.singles, r.pages = 0, 1+len(list.all.All())/interfacesOfPage
	}
}

// denied is how the cloud denied an interface that the list lacks, before that list began: both say
// that it is absent. nil where that was not so.
func (r *resolving) denied(id string, list listing) error {
	if list.began.IsZero() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	was, denied := r.absent[id]
	if _, shown := list.all.ByID(id); shown {
		delete(r.absent, id)
		return nil
	}
	if !denied || list.began.Before(was.began) {
		return nil
	}
	return was.err
}

// deny notes how a read of an interface by itself ended.
func (r *resolving) deny(id string, began time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !cloud.IsNotFound(err) {
		delete(r.absent, id)
		return
	}
	if r.absent == nil || len(r.absent) >= maxMemoized {
		r.absent = map[string]absence{}
	}
	r.absent[id] = absence{began, err}
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
	switch {
	case kept || !single.Before(notBefore):
	case many:
		list, kept = i.nextList(ctx, c, a, notBefore)
	default:
		a.resolving.single()
	}
	if !kept || list.err != nil || !single.Before(list.began) {
		return listing{}
	}
	return listing{interfaceList: list.value, began: list.began}
}

// nextList reads the list for somebody who wants an answer that is not older, with all who want one
// meanwhile; false where that one interface is to be read by itself.
func (i *Inventory) nextList(ctx context.Context, c cloud.Client, a *account, notBefore time.Time) (list answered[interfaceList], ok bool) {
	in, ok := a.resolving.byList(c, notBefore, i.clock(), i.settled)
	if !ok {
		return list, false
	}
	if in > 0 {
		turn := time.NewTimer(in)
		defer turn.Stop()
		select {
		case <-turn.C:
		case <-ctx.Done():
			return list, false
		}
	}
	return a.network.interfaces.answer(ctx, c, whole{}, notBefore, i.readInterfaces(c)), true
}

// readInterfaces reads the list of all interfaces, and notes that.
func (i *Inventory) readInterfaces(c cloud.Client) func(context.Context, whole) (interfaceList, error) {
	return func(ctx context.Context, _ whole) (interfaceList, error) {
		began, a := i.clock(), i.account(c.Account())
		all, err := c.ListInterfaces(ctx)
		made := newInterfaceList(all)
		a.resolving.listed(c, began, made, err)
		return made, err
	}
}

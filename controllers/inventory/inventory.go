// Package inventory shares reads of the cloud. One paged list of sessions and one of
// filters (with their rules) per account and interval serve every object of that
// account, so that a resync of a thousand objects costs two lists. So do one of all
// interfaces, where many are asked for, and one of each kind of thing in the network that
// tells why copies don't come.
//
// What this process writes is noted here too, so that a list that began before a
// write never hides it. The manager starts with an empty inventory and reconciles
// only while it leads, so every list in it began after this leader's term did.
//
// A client is served from what others read only once it has read the same kind of thing
// itself, with success. Otherwise a Secret with another tenant's project ID and a made-up
// key would show that tenant's network.
//
// It may import controllers/cloud and controllers/plan.
package inventory

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// Inventory caches reads of every account. Its methods may be called from several
// goroutines.
type Inventory struct {
	clock   cloud.Clock
	settled time.Duration
	cluster string

	mu       sync.Mutex
	accounts accounts
	// onFilters and onSessions are told of each list that was read.
	onFilters  []func(cloud.Client, time.Time, []cloud.Filter)
	onSessions []func(cloud.Client, time.Time, []cloud.Session)
}

type account struct {
	filters    *listCache[cloud.Filter]
	sessions   *listCache[cloud.Session]
	interfaces *memo[string, cloud.Interface]
	addresses  *memo[netip.Addr, []cloud.Interface]
	servers    *memo[serverID, []cloud.Interface]
	quota      *memo[struct{}, cloud.Quota]
	network    network
	resolving  resolving
}

// New returns an empty inventory.
func New(clock cloud.Clock) *Inventory {
	return &Inventory{clock: clock, settled: settledAge, accounts: newAccounts()}
}

// Cluster tells what this cluster is called in the marks of its objects. It is called before anything is read.
func (i *Inventory) Cluster(name string) { i.cluster = name }

// Resync tells how old an answer may be in the steady state. It is called before anything is read.
func (i *Inventory) Resync(interval time.Duration) { i.settled = min(settledAge, interval) }

// WatchFilters lets f be called with each list of filters that is read, with when that was begun, and with
// the client that has read it. It must return at once. WatchFilters is called before anything is read.
func (i *Inventory) WatchFilters(f func(cloud.Client, time.Time, []cloud.Filter)) {
	i.onFilters = append(i.onFilters, f)
}

// WatchSessions is the same for sessions.
func (i *Inventory) WatchSessions(f func(cloud.Client, time.Time, []cloud.Session)) {
	i.onSessions = append(i.onSessions, f)
}

// account gives what is kept of an account. What is stored there after others have pushed
// it out is lost, which costs a call.
func (i *Inventory) account(a cloud.Account) *account {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.locked(a)
}

// noting lets note store something that must not be lost.
func (i *Inventory) noting(a cloud.Account, note func(*account)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	note(i.locked(a))
}

// locked is account for who holds the mutex.
func (i *Inventory) locked(a cloud.Account) *account {
	got := i.accounts.get(a, func() *account {
		return &account{
			filters:    newListCache(i.clock, func(f cloud.Filter) string { return f.ID }, keysOfFilter, cloud.Filter.Size),
			sessions:   newListCache(i.clock, func(s cloud.Session) string { return s.ID }, keysOfSession, cloud.Session.Size),
			interfaces: newMemo[string, cloud.Interface](i.clock),
			addresses:  newMemo[netip.Addr, []cloud.Interface](i.clock),
			servers:    newMemo[serverID, []cloud.Interface](i.clock),
			quota:      newMemo[struct{}, cloud.Quota](i.clock),
			network:    newNetwork(i.clock),
		}
	})
	return got
}

// trim drops what is too much, after something was read.
func (i *Inventory) trim() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.accounts.trim(i.clock())
}

// Filters returns every filter of the account, from a list that began at or after
// notBefore.
func (i *Inventory) Filters(ctx context.Context, c cloud.Client, notBefore time.Time) (*Listed[cloud.Filter], error) {
	defer i.trim()
	return i.account(c.Account()).filters.list(ctx, c, notBefore, func(ctx context.Context) ([]cloud.Filter, error) {
		began := i.clock()
		all, err := c.ListFilters(ctx)
		if err == nil {
			for _, told := range i.onFilters {
				told(c, began, all)
			}
		}
		return all, err
	})
}

// NoteFilter records what this process has just read or written.
func (i *Inventory) NoteFilter(a cloud.Account, f cloud.Filter) {
	i.noting(a, func(of *account) { of.filters.note(f) })
}

// ForgetFilter records that a filter is gone.
func (i *Inventory) ForgetFilter(a cloud.Account, id string) {
	i.noting(a, func(of *account) { of.filters.forget(id) })
}

// Sessions returns every session of the account, from a list that began at or after
// notBefore.
func (i *Inventory) Sessions(ctx context.Context, c cloud.Client, notBefore time.Time) (Sessions, error) {
	defer i.trim()
	all, err := i.account(c.Account()).sessions.list(ctx, c, notBefore, func(ctx context.Context) ([]cloud.Session, error) {
		began := i.clock()
		all, err := c.ListSessions(ctx)
		if err == nil {
			i.account(c.Account()).resolving.expect(i.cluster, all)
			for _, told := range i.onSessions {
				told(c, began, all)
			}
		}
		return all, err
	})
	return Sessions{all}, err
}

// NoteSession records what this process has just read or written.
func (i *Inventory) NoteSession(a cloud.Account, s cloud.Session) {
	i.noting(a, func(of *account) { of.sessions.note(s) })
}

// ForgetSession records that a session is gone.
func (i *Inventory) ForgetSession(a cloud.Account, id string) {
	i.noting(a, func(of *account) { of.sessions.forget(id) })
}

// FilterNoted reports whether NoteFilter was called for the filter after since, and not
// ForgetFilter after that. A read can lag behind a write, so "not found" soon after a
// note means nothing.
func (i *Inventory) FilterNoted(a cloud.Account, id string, since time.Time) bool {
	return i.account(a).filters.notedSince(id, since)
}

// SessionNoted is FilterNoted for a session.
func (i *Inventory) SessionNoted(a cloud.Account, id string, since time.Time) bool {
	return i.account(a).sessions.notedSince(id, since)
}

// Interface returns an elastic network interface as read at or after notBefore: by itself, or
// where many are asked for in a list of all. Of the two the newer one serves. That it is absent a
// list says only of one that the cloud has denied before when it was asked for by itself.
func (i *Inventory) Interface(ctx context.Context, c cloud.Client, id string, notBefore time.Time) (cloud.Interface, error) {
	defer i.trim()
	a := i.account(c.Account())
	list := i.listFor(ctx, c, id, a.interfaces.began(c, id), notBefore)
	denied := a.resolving.denied(id, list)
	if found, ok := list.one(id); ok {
		return found, nil
	}
	if denied != nil {
		return cloud.Interface{}, denied
	}
	return a.interfaces.get(ctx, c, id, list.atLeast(notBefore), func(ctx context.Context, id string) (cloud.Interface, error) {
		began := i.clock()
		found, err := c.GetInterface(ctx, id)
		a.resolving.deny(id, began, err)
		return found, err
	})
}

// ExpectInterfaces says that so many interfaces are asked for next, as read at or after notBefore: where they are
// many and what was read before does not serve, they share one list from the first on.
func (i *Inventory) ExpectInterfaces(c cloud.Client, count int, notBefore time.Time) {
	a := i.account(c.Account())
	if _, kept := a.network.interfaces.have(c, whole{}, notBefore); !kept && i.clock().Sub(notBefore) < i.settled {
		a.resolving.coming(count)
	}
}

// InterfacesAt returns the interfaces that have an address, as read at or after notBefore. It reads
// as Interface does; that there are none or several a list says only where it agrees with what was
// read of the address by itself before.
func (i *Inventory) InterfacesAt(ctx context.Context, c cloud.Client, address netip.Addr, notBefore time.Time) ([]cloud.Interface, error) {
	return several(ctx, i, c, i.account(c.Account()).addresses, address, notBefore, interfaceList.at, c.FindInterfaces)
}

// InterfacesOf returns the interfaces that are attached to a server, as read at or after notBefore. It
// reads as InterfacesAt does; one that is the server's primary a list is believed at once.
func (i *Inventory) InterfacesOf(ctx context.Context, c cloud.Client, server string, notBefore time.Time) ([]cloud.Interface, error) {
	return several(ctx, i, c, i.account(c.Account()).servers, serverID(server), notBefore, interfaceList.of,
		func(ctx context.Context, server serverID) ([]cloud.Interface, error) {
			return c.FindServerInterfaces(ctx, string(server))
		})
}

// several returns the interfaces that have something: from a list where that proves it, else read by
// themselves. proven is what a list says beside what was read by itself before, where that is known.
func several[K comparable](ctx context.Context, i *Inventory, c cloud.Client, singles *memo[K, []cloud.Interface], key K, notBefore time.Time,
	proven func(list interfaceList, of K, before []cloud.Interface, known bool) ([]cloud.Interface, bool),
	read func(context.Context, K) ([]cloud.Interface, error),
) ([]cloud.Interface, error) {
	defer i.trim()
	before, began := singles.last(c, key)
	list := i.listFor(ctx, c, key, began, notBefore)
	if !list.began.IsZero() {
		if found, ok := proven(list.interfaceList, key, before, !began.IsZero()); ok {
			if !sameIDs(found, before) {
				singles.forget(key) // it is no second witness any more of what it showed
			}
			return found, nil
		}
	}
	return singles.get(ctx, c, key, list.atLeast(notBefore), read)
}

// objectsOfPage are about how many objects a page of a list has: of sessions, of filters, and of servers.
const objectsOfPage = 200

// Calls is about how many calls a round of all lists of the client's account costs, by what each has
// shown last.
func (i *Inventory) Calls(c cloud.Client) int {
	const kinds = 10 // of lists, each of a page at least
	a := i.account(c.Account())
	interfaces, servers := a.network.interfaces.peek(whole{}), a.network.servers.peek(whole{})
	return kinds + (a.filters.count()+a.sessions.count()+len(servers)/2)/objectsOfPage + len(interfaces.all.All())/interfacesOfPage
}

// Quota returns the account's limits as read at or after notBefore.
func (i *Inventory) Quota(ctx context.Context, c cloud.Client, notBefore time.Time) (cloud.Quota, error) {
	defer i.trim()
	return i.account(c.Account()).quota.get(ctx, c, struct{}{}, notBefore, func(ctx context.Context, _ struct{}) (cloud.Quota, error) {
		return c.GetQuota(ctx)
	})
}

package inventory_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
)

// reader answers reads from its fields and counts them. A call takes as long as slow.
type reader struct {
	cloud.Client // none of the other methods may be called

	account  cloud.Account
	slow     time.Duration
	failure  error
	filters  []cloud.Filter
	sessions []cloud.Session

	mu    sync.Mutex
	calls map[string]int
}

func (r *reader) Account() cloud.Account { return r.account }

func (r *reader) call(ctx context.Context, name string) error {
	r.mu.Lock()
	if r.calls == nil {
		r.calls = map[string]int{}
	}
	r.calls[name]++
	failure := r.failure
	r.mu.Unlock()
	select {
	case <-time.After(r.slow):
		return failure
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *reader) ListFilters(ctx context.Context) ([]cloud.Filter, error) {
	seen := r.filters
	return seen, r.call(ctx, "ListFilters")
}

func (r *reader) ListSessions(ctx context.Context) ([]cloud.Session, error) {
	seen := r.sessions
	return seen, r.call(ctx, "ListSessions")
}

func (r *reader) GetInterface(ctx context.Context, id string) (cloud.Interface, error) {
	return cloud.Interface{ID: id}, r.call(ctx, "GetInterface "+id)
}

func (r *reader) FindInterfaces(ctx context.Context, address netip.Addr) ([]cloud.Interface, error) {
	return []cloud.Interface{{ID: "at", Addresses: []netip.Addr{address}}}, r.call(ctx, "FindInterfaces")
}

func (r *reader) GetQuota(ctx context.Context) (cloud.Quota, error) {
	return cloud.Quota{Sessions: 7}, r.call(ctx, "GetQuota")
}

func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func filter(id, name string) cloud.Filter { return cloud.Filter{ID: id, Name: name} }

// filters reads the filters and fails the test on an error.
// pass lets the bubble's time go on; no real time passes.
func pass(d time.Duration) { <-time.After(d) }

func filters(t *testing.T, i *inventory.Inventory, r *reader, notBefore time.Time) []cloud.Filter {
	t.Helper()
	all, err := i.Filters(t.Context(), r, notBefore)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestLists(t *testing.T) {
	for name, test := range map[string]func(*testing.T, *inventory.Inventory, *reader){
		"one list serves everyone whose age it suits": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			r.filters = []cloud.Filter{filter("b", ""), filter("a", "")}
			began := time.Now()
			same(t, "the list", []cloud.Filter{filter("a", ""), filter("b", "")}, filters(t, i, r, time.Time{}))
			filters(t, i, r, began)
			same(t, "the calls", map[string]int{"ListFilters": 1}, r.calls)
			filters(t, i, r, began.Add(1))
			same(t, "the calls once it was too old", map[string]int{"ListFilters": 2}, r.calls)
		},
		"those who ask while it is read share it": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			r.slow, r.filters = time.Second, []cloud.Filter{filter("a", "")}
			asked := time.Now()
			var wait sync.WaitGroup
			for range 10 {
				wait.Go(func() { same(t, "the list", r.filters, filters(t, i, r, asked)) })
			}
			wait.Wait()
			same(t, "the calls", map[string]int{"ListFilters": 1}, r.calls)
		},
		"a list that began before one's question does not answer it": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			r.slow = time.Second
			var wait sync.WaitGroup
			wait.Go(func() { filters(t, i, r, time.Time{}) })
			pass(500 * time.Millisecond)
			wait.Go(func() { filters(t, i, r, time.Now()) })
			wait.Wait()
			same(t, "the calls", map[string]int{"ListFilters": 2}, r.calls)
		},
		"a list that is there is given out while a new one is read": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			filters(t, i, r, time.Time{})
			r.slow = time.Hour
			go func() { _, _ = i.Filters(t.Context(), r, time.Now().Add(1)) }() // it never ends
			synctest.Wait()
			before := time.Now()
			filters(t, i, r, time.Time{})
			same(t, "how long it took", 0, time.Since(before))
		},
		"one's own write survives a list that began before it": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			r.slow, r.filters = time.Second, []cloud.Filter{filter("changed", "old"), filter("deleted", ""), filter("other", "")}
			go func() {
				pass(500 * time.Millisecond) // while the list is read
				i.NoteFilter(r.account, filter("changed", "new"))
				i.NoteFilter(r.account, filter("created", ""))
				i.ForgetFilter(r.account, "deleted")
			}()
			want := []cloud.Filter{filter("changed", "new"), filter("created", ""), filter("other", "")}
			same(t, "the list", want, filters(t, i, r, time.Time{}))
		},
		"one's own write survives a list that may lag behind it, and no longer": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			i.NoteFilter(r.account, filter("a", "mine"))
			pass(inventory.Lag)
			r.filters = []cloud.Filter{filter("a", "theirs")}
			same(t, "the list", []cloud.Filter{filter("a", "mine")}, filters(t, i, r, time.Time{}))
			pass(time.Nanosecond)
			same(t, "a list a moment later", r.filters, filters(t, i, r, time.Now()))
		},
		"a write alone is no list": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			i.NoteFilter(r.account, filter("mine", ""))
			pass(time.Second)
			r.filters = []cloud.Filter{filter("mine", ""), filter("theirs", "")}
			same(t, "the list", r.filters, filters(t, i, r, time.Time{}))
		},
		"a failure is no empty list, and the old list stays": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			r.filters = []cloud.Filter{filter("a", "")}
			filters(t, i, r, time.Time{})
			r.failure, r.filters = errors.New("broken"), nil
			if all, err := i.Filters(t.Context(), r, time.Now().Add(1)); !errors.Is(err, r.failure) || all != nil {
				t.Errorf("the list is %v with the error %v, want none and %v", all, err, r.failure)
			}
			same(t, "the old list", []cloud.Filter{filter("a", "")}, filters(t, i, r, time.Time{}))
		},
		"who waits for somebody's list goes when its time is up": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			r.slow = time.Hour
			go func() { _, _ = i.Filters(t.Context(), r, time.Time{}) }()
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := i.Filters(ctx, r, time.Time{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the error is %v, want the end of its time", err)
			}
		},
		"accounts share nothing": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			other := &reader{account: cloud.Account{Region: "elsewhere"}, filters: []cloud.Filter{filter("x", "")}}
			filters(t, i, r, time.Time{})
			same(t, "the other's list", other.filters, filters(t, i, other, time.Time{}))
		},
		"who has never read for himself is not served what others read": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			r.filters = []cloud.Filter{filter("f", "")}
			filters(t, i, r, time.Time{})
			stranger := &reader{account: r.account, failure: errors.New("the cloud refused the signature")}
			for range 2 {
				if all, err := i.Filters(t.Context(), stranger, time.Time{}); !errors.Is(err, stranger.failure) {
					t.Errorf("a stranger got %v and %v", all, err)
				}
			}
			stranger.failure, stranger.filters = nil, r.filters
			filters(t, i, stranger, time.Time{})
			filters(t, i, stranger, time.Time{})
			filters(t, i, r, time.Time{})
			same(t, "the stranger's calls", map[string]int{"ListFilters": 3}, stranger.calls)
			same(t, "the owner's calls", map[string]int{"ListFilters": 1}, r.calls)
		},
		"sessions have a list of their own": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			r.sessions = []cloud.Session{{ID: "s"}}
			for range 2 {
				all, err := i.Sessions(t.Context(), r, time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				same(t, "the list", r.sessions, all)
			}
			i.NoteSession(r.account, cloud.Session{ID: "t"})
			i.ForgetSession(r.account, "s")
			all, err := i.Sessions(t.Context(), r, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			same(t, "the list after own writes", []cloud.Session{{ID: "t"}}, all)
			same(t, "the calls", map[string]int{"ListSessions": 1}, r.calls)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, inventory.New(time.Now), &reader{account: cloud.Account{Region: "here"}}) })
		})
	}
}

func TestSomethingCountsAsSeenForAsLongAsIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, account := inventory.New(time.Now), cloud.Account{Region: "here"}
		seen := func() []bool {
			since := time.Now().Add(-30 * time.Second)
			return []bool{i.FilterNoted(account, "f", since), i.SessionNoted(account, "s", since)}
		}
		same(t, "at first", []bool{false, false}, seen())
		i.NoteFilter(account, filter("f", ""))
		i.NoteSession(account, cloud.Session{ID: "s"})
		pass(29 * time.Second)
		same(t, "29 s later", []bool{true, true}, seen())
		pass(2 * time.Second)
		same(t, "31 s later", []bool{false, false}, seen())
		i.NoteFilter(account, filter("f", ""))
		i.ForgetFilter(account, "f")
		same(t, "once it is forgotten", []bool{false, false}, seen())
	})
}

func TestSingleReads(t *testing.T) {
	for name, test := range map[string]func(*testing.T, *inventory.Inventory, *reader){
		"an answer serves everyone whose age it suits": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			began := time.Now()
			for range 3 {
				got, err := i.Interface(t.Context(), r, "a", began)
				same(t, "the interface", cloud.Interface{ID: "a"}, got)
				same(t, "the error", error(nil), err)
			}
			if _, err := i.Interface(t.Context(), r, "b", began); err != nil {
				t.Error(err)
			}
			pass(time.Second)
			if _, err := i.Interface(t.Context(), r, "a", time.Now()); err != nil {
				t.Error(err)
			}
			same(t, "the calls", map[string]int{"GetInterface a": 2, "GetInterface b": 1}, r.calls)
		},
		"those who ask at the same time share the answer": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			r.slow = time.Second
			began := time.Now()
			var wait sync.WaitGroup
			for range 5 {
				wait.Go(func() {
					quota, err := i.Quota(t.Context(), r, began)
					same(t, "the quota", cloud.Quota{Sessions: 7}, quota)
					same(t, "the error", error(nil), err)
				})
			}
			wait.Wait()
			same(t, "the calls", map[string]int{"GetQuota": 1}, r.calls)
		},
		"who has never asked for himself is not served what others were told": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			if _, err := i.Interface(t.Context(), r, "a", time.Time{}); err != nil {
				t.Fatal(err)
			}
			stranger := &reader{account: r.account, failure: errors.New("the cloud refused the signature")}
			if got, err := i.Interface(t.Context(), stranger, "a", time.Time{}); !errors.Is(err, stranger.failure) {
				t.Errorf("a stranger got %v and %v", got, err)
			}
		},
		"a failure is not kept": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			address := netip.MustParseAddr("10.0.0.1")
			r.failure = &cloud.Error{Class: cloud.ClassNotFound}
			if got, err := i.InterfacesAt(t.Context(), r, address, time.Time{}); !cloud.IsNotFound(err) || got != nil {
				t.Errorf("the answer is %v and %v, want nothing and NotFound", got, err)
			}
			r.failure = nil
			got, err := i.InterfacesAt(t.Context(), r, address, time.Time{})
			same(t, "the interfaces", []cloud.Interface{{ID: "at", Addresses: []netip.Addr{address}}}, got)
			same(t, "the error", error(nil), err)
			same(t, "the calls", map[string]int{"FindInterfaces": 2}, r.calls)
		},
		"a failure leaves the old answer to those whom it suits": func(t *testing.T, i *inventory.Inventory, r *reader) {
			t.Helper()
			if _, err := i.Interface(t.Context(), r, "a", time.Time{}); err != nil {
				t.Error(err)
			}
			r.failure = errors.New("broken")
			if _, err := i.Interface(t.Context(), r, "a", time.Now().Add(1)); !errors.Is(err, r.failure) {
				t.Errorf("the error is %v, want %v", err, r.failure)
			}
			got, err := i.Interface(t.Context(), r, "a", time.Time{})
			same(t, "the interface", cloud.Interface{ID: "a"}, got)
			same(t, "the error", error(nil), err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, inventory.New(time.Now), &reader{}) })
		})
	}
}

package inventory_test

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
)

// reader is a client that answers reads from its fields and counts them. A call takes as
// long as slow, and fails with failure where one is set.
type reader struct {
	cloud.Client // none of the other methods may be called

	account  cloud.Account
	slow     time.Duration
	failure  error
	filters  []cloud.Filter
	sessions []cloud.Session
	groups   []cloud.SecurityGroup
	// interfaces are those of a list; unlisted is why there is none.
	interfaces []cloud.Interface
	unlisted   error
	// single is how an interface is that is read by itself, beside its ID; gone are those that are not
	// there, and exact lets an address have the interfaces of the list alone.
	single cloud.Interface
	gone   map[string]bool
	exact  bool

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
	one := r.single
	one.ID = id
	if err := r.call(ctx, "GetInterface "+id); err != nil || !r.gone[id] {
		return one, err
	}
	return cloud.Interface{}, &cloud.Error{Class: cloud.ClassNotFound, Op: "GetInterface"}
}

func (r *reader) FindInterfaces(ctx context.Context, address netip.Addr) ([]cloud.Interface, error) {
	one := r.single
	one.ID, one.Addresses = "at", []netip.Addr{address}
	found := []cloud.Interface{one}
	if r.exact {
		found = slices.DeleteFunc(slices.Clone(r.interfaces), func(i cloud.Interface) bool { return !slices.Contains(i.Addresses, address) })
	}
	return found, r.call(ctx, "FindInterfaces")
}

func (r *reader) FindServerInterfaces(ctx context.Context, server string) ([]cloud.Interface, error) {
	found := slices.DeleteFunc(slices.Clone(r.interfaces), func(i cloud.Interface) bool { return i.DeviceID != server })
	return found, r.call(ctx, "FindServerInterfaces")
}

func (r *reader) GetQuota(ctx context.Context) (cloud.Quota, error) {
	return cloud.Quota{Sessions: 7}, r.call(ctx, "GetQuota")
}

// world is an empty inventory, and a client that finds nothing in the cloud yet.
func world() (*inventory.Inventory, *reader) {
	return inventory.New(time.Now), &reader{account: cloud.Account{Region: "here"}}
}

// pass lets the time of a test's bubble pass: it does only while every goroutine waits.
func pass(d time.Duration) { <-time.After(d) }

func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateErrors()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func filter(id, name string) cloud.Filter { return cloud.Filter{ID: id, Name: name} }

// filters reads the filters and fails the test on an error.
func filters(t *testing.T, i *inventory.Inventory, r *reader, notBefore time.Time) []cloud.Filter {
	t.Helper()
	all, err := i.Filters(t.Context(), r, notBefore)
	if err != nil {
		t.Fatal(err)
	}
	return all.All()
}

// answer is all that a read of filters gives.
type answer struct {
	Filters []cloud.Filter
	Err     error
}

func ask(ctx context.Context, i *inventory.Inventory, r *reader, notBefore time.Time) answer {
	all, err := i.Filters(ctx, r, notBefore)
	if err != nil {
		return answer{Err: err}
	}
	return answer{Filters: all.All()}
}

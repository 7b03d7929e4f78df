package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
)

func (r *reader) ListInterfaces(ctx context.Context) ([]cloud.Interface, error) {
	seen := r.interfaces
	if seen == nil {
		seen = []cloud.Interface{{ID: "a"}}
	}
	if err := r.call(ctx, "ListInterfaces"); err != nil {
		return nil, err
	}
	return seen, r.unlisted
}

func (r *reader) ListSecurityGroups(ctx context.Context) ([]cloud.SecurityGroup, error) {
	return append([]cloud.SecurityGroup{{ID: "a"}}, r.groups...), r.call(ctx, "ListSecurityGroups")
}

func (r *reader) ListAddressGroups(ctx context.Context) ([]cloud.AddressGroup, error) {
	return []cloud.AddressGroup{{ID: "a"}}, r.call(ctx, "ListAddressGroups")
}

func (r *reader) ListNetworkACLs(ctx context.Context) ([]cloud.NetworkACL, error) {
	return []cloud.NetworkACL{{ID: "a"}}, r.call(ctx, "ListNetworkACLs")
}

func (r *reader) GetNetworkACL(ctx context.Context, id string) (cloud.NetworkACL, error) {
	return cloud.NetworkACL{ID: id}, r.call(ctx, "GetNetworkACL "+id)
}

func (r *reader) ListPeerings(ctx context.Context) ([]cloud.Peering, error) {
	return []cloud.Peering{{ID: "a"}}, r.call(ctx, "ListPeerings")
}

func (r *reader) ListRouteTables(ctx context.Context) ([]cloud.RouteTable, error) {
	return []cloud.RouteTable{{ID: "a"}}, r.call(ctx, "ListRouteTables")
}

func (r *reader) GetRouteTable(ctx context.Context, id string) (cloud.RouteTable, error) {
	return cloud.RouteTable{ID: id}, r.call(ctx, "GetRouteTable "+id)
}

func (r *reader) ListServers(ctx context.Context) ([]cloud.Server, error) {
	return []cloud.Server{{ID: "a"}}, r.call(ctx, "ListServers")
}

func (r *reader) ListFlavors(ctx context.Context) ([]cloud.Flavor, error) {
	return []cloud.Flavor{{Name: "a"}}, r.call(ctx, "ListFlavors")
}

// found is what a read of the network gives, by its IDs.
type found struct {
	IDs []string
	Err error
}

func idsOf[T any](all map[string]T, err error) found {
	f := found{Err: err}
	for id := range all {
		f.IDs = append(f.IDs, id)
	}
	return f
}

func idsIn[T any](all []T, err error, id func(T) string) found {
	f := found{Err: err}
	for _, one := range all {
		f.IDs = append(f.IDs, id(one))
	}
	return f
}

// networkReads are all reads of the network, by the name of the call that each makes.
var networkReads = map[string]func(context.Context, *inventory.Inventory, *reader, time.Time) found{
	"ListInterfaces": func(ctx context.Context, i *inventory.Inventory, r *reader, notBefore time.Time) found {
		all, err := i.Interfaces(ctx, r, notBefore)
		return idsOf(all.All(), err)
	},
	"ListSecurityGroups": func(ctx context.Context, i *inventory.Inventory, r *reader, notBefore time.Time) found {
		return idsOf(i.SecurityGroups(ctx, r, notBefore))
	},
	"ListAddressGroups": func(ctx context.Context, i *inventory.Inventory, r *reader, notBefore time.Time) found {
		return idsOf(i.AddressGroups(ctx, r, notBefore))
	},
	"ListNetworkACLs": func(ctx context.Context, i *inventory.Inventory, r *reader, notBefore time.Time) found {
		all, err := i.NetworkACLs(ctx, r, notBefore)
		return idsIn(all, err, func(a cloud.NetworkACL) string { return a.ID })
	},
	"GetNetworkACL a": func(ctx context.Context, i *inventory.Inventory, r *reader, notBefore time.Time) found {
		one, err := i.NetworkACL(ctx, r, "a", notBefore)
		return idsIn([]cloud.NetworkACL{one}, err, func(a cloud.NetworkACL) string { return a.ID })
	},
	"ListPeerings": func(ctx context.Context, i *inventory.Inventory, r *reader, notBefore time.Time) found {
		all, err := i.Peerings(ctx, r, notBefore)
		return idsIn(all, err, func(p cloud.Peering) string { return p.ID })
	},
	"ListRouteTables": func(ctx context.Context, i *inventory.Inventory, r *reader, notBefore time.Time) found {
		all, err := i.RouteTables(ctx, r, notBefore)
		return idsIn(all, err, func(t cloud.RouteTable) string { return t.ID })
	},
	"GetRouteTable a": func(ctx context.Context, i *inventory.Inventory, r *reader, notBefore time.Time) found {
		one, err := i.RouteTable(ctx, r, "a", notBefore)
		return idsIn([]cloud.RouteTable{one}, err, func(t cloud.RouteTable) string { return t.ID })
	},
	"ListServers": func(ctx context.Context, i *inventory.Inventory, r *reader, notBefore time.Time) found {
		return idsOf(i.Servers(ctx, r, notBefore))
	},
	"ListFlavors": func(ctx context.Context, i *inventory.Inventory, r *reader, notBefore time.Time) found {
		return idsOf(i.Flavors(ctx, r, notBefore))
	},
}

// eachRead runs a test in a bubble of time for each read of the network.
func eachRead(t *testing.T, test func(t *testing.T, call string, read func(r *reader, notBefore time.Time) found)) {
	t.Helper()
	for call, do := range networkReads {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := inventory.New(time.Now)
				test(t, call, func(r *reader, notBefore time.Time) found { return do(t.Context(), i, r, notBefore) })
			})
		})
	}
}

var ownRead = found{IDs: []string{"a"}}

func TestOneReadOfTheNetworkServesEveryoneForWhomItIsNewEnough(t *testing.T) {
	eachRead(t, func(t *testing.T, call string, read func(*reader, time.Time) found) {
		t.Helper()
		r := &reader{slow: time.Second}
		began := time.Now()
		var wait sync.WaitGroup
		for range 5 {
			wait.Go(func() { same(t, "what one of several gets", ownRead, read(r, began)) })
		}
		wait.Wait()
		same(t, "what one gets later", ownRead, read(r, began))
		same(t, "the calls", map[string]int{call: 1}, r.calls)

		same(t, "what one gets who wants it newer", ownRead, read(r, time.Now()))
		same(t, "the calls", map[string]int{call: 2}, r.calls)
	})
}

func TestAClientThatHasNeverReadTheNetworkItselfIsServedNothingOfIt(t *testing.T) {
	eachRead(t, func(t *testing.T, call string, read func(*reader, time.Time) found) {
		t.Helper()
		same(t, "what the account's own client gets", ownRead, read(&reader{}, time.Time{}))
		for _, class := range []cloud.Class{cloud.ClassAuthentication, cloud.ClassPermission, cloud.ClassServer} {
			stranger := &reader{failure: &cloud.Error{Class: class}}
			got := read(stranger, time.Time{})
			same(t, "what a stranger gets", stranger.failure, got.Err)
			same(t, "the calls of the stranger", map[string]int{call: 1}, stranger.calls)
		}
	})
}

func TestARefusalIsAnAnswerForTheClientThatGotItUntilSomebodyWantsANewerOne(t *testing.T) {
	eachRead(t, func(t *testing.T, call string, read func(*reader, time.Time) found) {
		t.Helper()
		for _, class := range []cloud.Class{cloud.ClassPermission, cloud.ClassUnsupported} {
			r := &reader{slow: time.Second, failure: &cloud.Error{Class: class}}
			began := time.Now()
			for range 3 {
				same(t, "the refusal", r.failure, read(r, began).Err)
				pass(time.Hour)
			}
			same(t, "the calls", map[string]int{call: 1}, r.calls)

			other := &reader{slow: time.Second}
			same(t, "what another client gets", ownRead, read(other, began))
			same(t, "the calls of the other client", map[string]int{call: 1}, other.calls)
			same(t, "what the refused one gets of that", r.failure, read(r, began).Err)
			same(t, "the calls", map[string]int{call: 1}, r.calls)

			r.failure = nil
			same(t, "what it gets when it wants a newer answer", ownRead, read(r, time.Now()))
			same(t, "the calls", map[string]int{call: 2}, r.calls)
			same(t, "what it gets then", ownRead, read(r, began))
			same(t, "the calls", map[string]int{call: 2}, r.calls)
		}
	})
}

func TestAClientWhoseRightWasTakenIsServedNothingOfWhatOthersRead(t *testing.T) {
	eachRead(t, func(t *testing.T, _ string, read func(*reader, time.Time) found) {
		t.Helper()
		r, other := &reader{slow: time.Second}, &reader{slow: time.Second}
		same(t, "what it gets at first", ownRead, read(r, time.Time{}))
		r.failure = &cloud.Error{Class: cloud.ClassPermission}
		same(t, "what it gets then", r.failure, read(r, time.Now()).Err)
		wanted := time.Now()
		same(t, "what another gets", ownRead, read(other, wanted))
		same(t, "what it gets after the other", r.failure, read(r, wanted).Err)
	})
}

func TestOneFailureIsThatOfAllWhoWaitedForIt(t *testing.T) {
	eachRead(t, func(t *testing.T, call string, read func(*reader, time.Time) found) {
		t.Helper()
		r := &reader{slow: 4 * time.Second, failure: &cloud.Error{Class: cloud.ClassServer}}
		began := time.Now()
		var wait sync.WaitGroup
		for range 100 {
			wait.Go(func() { same(t, "the failure", r.failure, read(r, time.Now()).Err) })
			pass(time.Millisecond)
		}
		wait.Wait()
		same(t, "the calls", map[string]int{call: 1}, r.calls)
		pass(5 * time.Second)
		same(t, "the failure soon after", r.failure, read(r, began).Err)
		same(t, "the calls", map[string]int{call: 1}, r.calls)
		pass(6 * time.Second)
		r.failure = nil
		same(t, "the answer a while after", ownRead, read(r, began))
		same(t, "the calls", map[string]int{call: 2}, r.calls)
	})
}

func TestAReadWhoseOwnCallerHadNoMoreTimeIsNobodyElsesFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := inventory.New(time.Now), &reader{slow: 4 * time.Second}
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := i.Interfaces(hurried, r, time.Time{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who had no more time gets %v", err)
			}
		})
		pass(time.Millisecond)
		wait.Go(func() {
			all, err := i.Interfaces(t.Context(), r, time.Time{})
			same(t, "what the patient one gets", ownRead, idsOf(all.All(), err))
		})
		wait.Wait()
	})
}

func TestANetworkThatIsHugeIsDroppedAsOtherListsAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, begin := inventory.New(time.Now), time.Now()
		var groups []cloud.SecurityGroup
		for n := range 100 {
			groups = append(groups, cloud.SecurityGroup{ID: fmt.Sprint(n), Rules: make([]cloud.GroupRule, inventory.MaxBytes/3/100/250)})
		}
		small, calls := tenant(0, filter("a", "a")), 0
		var large []*reader
		for n := range 4 {
			large = append(large, tenant(n+1))
			large[n].groups = groups
		}
		filters(t, i, small, begin)
		for range 2 {
			for _, r := range large {
				if all, err := i.SecurityGroups(t.Context(), r, begin); err != nil || len(all) != 101 {
					t.Fatalf("a huge account has %d groups and %v", len(all), err)
				}
			}
		}
		for _, r := range large {
			calls += r.calls["ListSecurityGroups"]
		}
		if calls <= len(large) {
			t.Errorf("%d calls for %d huge accounts: everything is kept", calls, len(large))
		}
		filters(t, i, small, begin)
		same(t, "calls of the small one", 1, small.calls["ListFilters"])
	})
}

func TestAReadThatNeverSucceedsIsMadeEverLater(t *testing.T) {
	for name, c := range map[string]struct {
		age  time.Duration
		most int
	}{
		"for who takes old answers":         {time.Hour, 12},
		"for whom only new ones will do":    {10 * time.Second, 70},
		"for who asks for an answer of now": {0, 70},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, r := world()
				r.failure = &cloud.Error{Class: cloud.ClassServer, HTTPStatus: 500}
				r.slow = time.Millisecond
				for range 360 { // an hour
					_, err := i.Flavors(t.Context(), r, time.Now().Add(-c.age))
					same(t, "the error", r.failure, err)
					pass(10 * time.Second)
				}
				if got := r.calls["ListFlavors"]; got > c.most {
					t.Errorf("%d calls in an hour, want at most %d", got, c.most)
				}
				r.failure = nil
				pass(time.Minute)
				if _, err := i.Flavors(t.Context(), r, time.Now()); err != nil {
					t.Errorf("a minute after it works again, who wants an answer of now gets %v", err)
				}
			})
		})
	}
}

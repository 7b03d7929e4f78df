package inventory_test

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

func TestOneReadServesEveryoneForWhomItIsNewEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		began := time.Now()
		read := func(id string, notBefore time.Time) {
			t.Helper()
			got, err := i.Interface(t.Context(), r, id, notBefore)
			same(t, "the interface", cloud.Interface{ID: id}, got)
			same(t, "the error", error(nil), err)
		}
		for _, id := range []string{"a", "a", "a", "b"} {
			read(id, began)
		}
		pass(time.Second)
		read("a", time.Now())

		same(t, "the calls", map[string]int{"GetInterface a": 2, "GetInterface b": 1}, r.calls)
	})
}

func TestCallersDuringAReadShareIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
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
	})
}

func TestAClientThatHasNeverReadItselfIsServedNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		if _, err := i.Interface(t.Context(), r, "a", time.Time{}); err != nil {
			t.Fatal(err)
		}
		stranger := &reader{account: r.account, failure: errors.New("the cloud refused the signature")}

		got, err := i.Interface(t.Context(), stranger, "a", time.Time{})
		same(t, "what a stranger gets", cloud.Interface{}, got)
		same(t, "its error", stranger.failure, err)
	})
}

func TestAFailedReadIsNotCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
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
	})
}

func TestAFailedReadLeavesTheCachedResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		if _, err := i.Interface(t.Context(), r, "a", time.Time{}); err != nil {
			t.Fatal(err)
		}
		r.failure = errors.New("broken")
		if _, err := i.Interface(t.Context(), r, "a", time.Now().Add(1)); !errors.Is(err, r.failure) {
			t.Errorf("the error is %v, want %v", err, r.failure)
		}

		got, err := i.Interface(t.Context(), r, "a", time.Time{})
		same(t, "the interface", cloud.Interface{ID: "a"}, got)
		same(t, "the error", error(nil), err)
	})
}

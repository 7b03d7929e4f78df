package inventory_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
	"vpcmirror.io/operator/controllers/plan"
)

const resync = 10 * time.Minute

// address is that of the n-th interface.
func address(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}) }

// interfaces are so many, each with an address of its own.
func interfaces(count int) (all []cloud.Interface) {
	for n := range count {
		all = append(all, cloud.Interface{ID: fmt.Sprint(n), Addresses: []netip.Addr{address(n)}})
	}
	return all
}

// asked sums up the calls: lists of all interfaces, and reads of single ones.
func asked(r *reader) (lists, singles int) {
	for call, n := range r.calls {
		if call == "ListInterfaces" {
			lists += n
		} else {
			singles += n
		}
	}
	return lists, singles
}

// resolve asks for so many interfaces, every other one by its address, and fails the test when one
// is not found.
func resolve(t *testing.T, i *inventory.Inventory, r *reader, count int, notBefore time.Time) {
	t.Helper()
	for n := range count {
		if n%2 == 0 {
			one, err := i.Interface(t.Context(), r, fmt.Sprint(n), notBefore)
			if err != nil || one.ID != fmt.Sprint(n) {
				t.Fatalf("interface %d is %v and %v", n, one, err)
			}
			continue
		}
		if all, err := i.InterfacesAt(t.Context(), r, address(n), notBefore); err != nil || len(all) != 1 || all[0].Addresses[0] != address(n) {
			t.Fatalf("at %s there are %v and %v", address(n), all, err)
		}
	}
}

func TestManyInterfacesCostAListInASteadyStateAndFewAReadEach(t *testing.T) {
	for count, want := range map[int][2]int{1: {0, 5}, 8: {0, 40}, 9: {5, 8}, 1000: {5, 8}} {
		t.Run(fmt.Sprint(count, " interfaces"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, r := world()
				r.interfaces = interfaces(count)
				for range 5 {
					began := time.Now()
					pass(resync / 2)
					resolve(t, i, r, count, began) // a list that begins now is new enough
					resolve(t, i, r, count, began)
					pass(resync / 2)
				}
				lists, singles := asked(r)
				same(t, "lists and single reads", want, [2]int{lists, singles})
			})
		})
	}
}

func TestInterfacesThatTheSessionsOfThisClusterNameAreListedFromTheFirst(t *testing.T) {
	const ours, theirs = "0123abcd", "0123abce"
	marked := func(cluster string, n int) cloud.Session {
		mark := plan.Mark{Cluster: cluster, UID: fmt.Sprintf("0f0f0f0f-0000-4000-8000-%012d", n), Part: 1}
		return cloud.Session{ID: fmt.Sprint(n), Sources: []string{fmt.Sprint(n)}, SessionSpec: cloud.SessionSpec{TargetID: "target", Description: mark.String()}}
	}
	for name, tc := range map[string]struct {
		cluster  string
		sessions int
		want     [2]int
	}{
		"many of this cluster":    {ours, 8, [2]int{1, 0}}, // with the target they name one more than a few
		"few of this cluster":     {ours, 7, [2]int{0, 3}},
		"many of another cluster": {theirs, 100, [2]int{0, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, r := world()
				i.Cluster(ours)
				r.interfaces = interfaces(3)
				for n := range tc.sessions {
					r.sessions = append(r.sessions, marked(tc.cluster, n))
				}
				began := time.Now()
				pass(resync)
				if _, err := i.Sessions(t.Context(), r, began); err != nil {
					t.Fatal(err)
				}
				delete(r.calls, "ListSessions")
				resolve(t, i, r, 3, began)
				lists, singles := asked(r)
				same(t, "lists and single reads", tc.want, [2]int{lists, singles})
			})
		})
	}
}

// settled is a world in which many interfaces are asked for, and a list is kept of now.
func settled(t *testing.T, all []cloud.Interface) (i *inventory.Inventory, r *reader, began time.Time) {
	t.Helper()
	i, r = world()
	r.interfaces = append(all, interfaces(20)...)
	began = time.Now()
	pass(resync)
	resolve(t, i, r, 20, began)
	if lists, singles := asked(r); lists != 1 || singles != 8 {
		t.Fatalf("to settle it took %d lists and %d single reads", lists, singles)
	}
	r.calls = nil
	return i, r, began
}

func TestWhatAListDoesNotSurelyShowIsReadByItself(t *testing.T) {
	twin := netip.MustParseAddr("10.9.0.1")
	for name, tc := range map[string]struct {
		more []cloud.Interface
		id   string
		at   netip.Addr
	}{
		"an interface that it lacks":           {id: "new"},
		"an address that it lacks":             {at: netip.MustParseAddr("10.9.0.9")},
		"an address that several have":         {more: []cloud.Interface{{ID: "x", Addresses: []netip.Addr{twin}}, {ID: "y", Addresses: []netip.Addr{twin}}}, at: twin},
		"an interface that was not understood": {more: []cloud.Interface{{ID: "x", Unreadable: "status"}}, id: "x"},
		"any address, where one was not":       {more: []cloud.Interface{{ID: "x", Addresses: []netip.Addr{twin}}, {ID: "y", Unreadable: "ip_address"}}, at: twin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				more := tc.more
				i, r := world()
				r.interfaces = append(more, interfaces(20)...)
				began := time.Now()
				pass(resync)
				for n := range 20 {
					if _, err := i.Interface(t.Context(), r, fmt.Sprint(n), began); err != nil {
						t.Fatal(err)
					}
				}
				r.calls = nil
				for range 2 {
					var err error
					if tc.id != "" {
						_, err = i.Interface(t.Context(), r, tc.id, began)
					} else {
						_, err = i.InterfacesAt(t.Context(), r, tc.at, began)
					}
					same(t, "the error", error(nil), err)
				}
				lists, singles := asked(r)
				same(t, "lists and single reads", [2]int{0, 1}, [2]int{lists, singles})
			})
		})
	}
}

func TestWhoeverWantsTheLatestOfOneInterfaceReadsItByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r, _ := settled(t, nil)
		pass(time.Minute)
		for _, age := range []time.Duration{0, 30 * time.Second} {
			r.calls = nil
			resolve(t, i, r, 2, time.Now().Add(-age))
			pass(31 * time.Second)
			lists, singles := asked(r)
			same(t, "lists and single reads", [2]int{0, 2}, [2]int{lists, singles})
		}
	})
}

func TestAClientThatHasNeverListedInterfacesItselfIsServedNoneOfTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r, began := settled(t, nil)
		stranger := &reader{account: r.account, failure: &cloud.Error{Class: cloud.ClassAuthentication}}
		for range 3 {
			one, err := i.Interface(t.Context(), stranger, "7", began)
			same(t, "what a stranger gets", cloud.Interface{}, one)
			same(t, "its error", stranger.failure, err)
		}
		other := &reader{account: r.account, interfaces: interfaces(20)}
		resolve(t, i, other, 20, began)
		lists, singles := asked(other)
		same(t, "lists and single reads of another that may", [2]int{1, 0}, [2]int{lists, singles})
	})
}

func TestAListThatIsRefusedOrTooLargeIsNotReadForEachOfManyInterfaces(t *testing.T) {
	huge := strings.Repeat("x", inventory.MaxBytes/20)
	for name, prepare := range map[string]func(*reader){
		"refused": func(r *reader) { r.unlisted = &cloud.Error{Class: cloud.ClassPermission} },
		"broken":  func(r *reader) { r.unlisted = &cloud.Error{Class: cloud.ClassServer} },
		"too large": func(r *reader) {
			for n := range r.interfaces {
				r.interfaces[n].Flavor = huge
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, r := world()
				r.interfaces = interfaces(100)
				prepare(r)
				for range 3 {
					pass(time.Second)
					began := time.Now()
					pass(resync)
					resolve(t, i, r, 100, began)
				}
				if lists, singles := asked(r); lists != 3 || singles < 280 {
					t.Errorf("it took %d lists and %d single reads, want one list each time and a read of each interface", lists, singles)
				}
			})
		})
	}
}

func TestOfAListAndAReadOfOneInterfaceTheNewerOneServes(t *testing.T) {
	at := address(1)
	for name, read := range map[string]func(context.Context, *inventory.Inventory, *reader, time.Time) (string, error){
		"by its ID": func(ctx context.Context, i *inventory.Inventory, r *reader, notBefore time.Time) (string, error) {
			one, err := i.Interface(ctx, r, "1", notBefore)
			return one.Flavor, err
		},
		"by its address": func(ctx context.Context, i *inventory.Inventory, r *reader, notBefore time.Time) (string, error) {
			all, err := i.InterfacesAt(ctx, r, at, notBefore)
			if err != nil || len(all) != 1 {
				return fmt.Sprint(all), err
			}
			return all[0].Flavor, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, r := world()
				began := time.Now()
				is := func(when, want string, notBefore time.Time) {
					t.Helper()
					got, err := read(t.Context(), i, r, notBefore)
					same(t, when+", the error", error(nil), err)
					same(t, when, want, got)
				}
				r.single.Flavor = "first"
				is("read by itself", "first", began)

				pass(time.Minute)
				r.interfaces = []cloud.Interface{{ID: "1", Addresses: []netip.Addr{at}, Flavor: "second"}}
				if _, err := i.Interfaces(t.Context(), r, time.Now()); err != nil {
					t.Fatal(err)
				}
				is("after a list of all", "second", began)

				pass(time.Minute)
				r.single.Flavor = "third"
				is("read by itself after the list", "third", time.Now())
				is("for somebody who takes any of the three", "third", began)
				lists, singles := asked(r)
				same(t, "lists and single reads", [2]int{1, 2}, [2]int{lists, singles})
			})
		})
	}
}

func TestAnInterfaceThatALaterListLacksIsReadAgainOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		began := time.Now()
		ask := func() {
			t.Helper()
			_, err := i.Interface(t.Context(), r, "1", began)
			same(t, "the error by ID", error(nil), err)
			_, err = i.InterfacesAt(t.Context(), r, address(1), began)
			same(t, "the error by address", error(nil), err)
		}
		ask()
		pass(time.Minute)
		if _, err := i.Interfaces(t.Context(), r, time.Now()); err != nil {
			t.Fatal(err)
		}
		ask()
		ask()
		lists, singles := asked(r)
		same(t, "lists and single reads", [2]int{1, 4}, [2]int{lists, singles})
	})
}

func TestAListThatShowsNothingNewIsKeptOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		list := func() *cloud.Interfaces {
			t.Helper()
			r.interfaces = interfaces(20)
			all, err := i.Interfaces(t.Context(), r, time.Now())
			same(t, "the error", error(nil), err)
			pass(time.Minute)
			return all
		}
		first, second := list(), list()
		lists, _ := asked(r)
		same(t, "lists", 2, lists)
		if first != second {
			t.Error("who keeps the first keeps a copy of the second")
		}
	})
}

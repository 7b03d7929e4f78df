package inventory_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
)

// wave asks for so many interfaces, one after the other by a few at a time, of objects that came
// evenly over so long. A look takes no time but that of its reads.
func wave(t *testing.T, count int, over time.Duration, slow time.Duration) (lists, singles int, took time.Duration) {
	t.Helper()
	i, r := world()
	r.interfaces, r.slow = interfaces(count), slow
	began := time.Now()
	todo := make(chan int)
	var looks sync.WaitGroup
	for range 4 {
		looks.Go(func() {
			for n := range todo {
				came := began.Add(over * time.Duration(n) / time.Duration(count))
				pass(time.Until(came))
				if one, err := i.Interface(t.Context(), r, fmt.Sprint(n), came); err != nil || one.ID != fmt.Sprint(n) {
					t.Errorf("interface %d is %v and %v", n, one, err)
				}
			}
		})
	}
	for n := range count {
		todo <- n
	}
	close(todo)
	looks.Wait()
	lists, singles = asked(r)
	return lists, singles, time.Since(began)
}

func TestObjectsThatComeTogetherShareFewListsHoweverFastTheirTurnsCome(t *testing.T) {
	for name, c := range map[string]struct {
		over, slow time.Duration
		lists      int
	}{
		"all at once":                        {0, 20 * time.Millisecond, 1},
		"as fast as they are looked at":      {10 * time.Second, 20 * time.Millisecond, 7},
		"slowly, with a cloud that is quick": {time.Minute, time.Millisecond, 31},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lists, singles, took := wave(t, 2000, c.over, c.slow)
				t.Logf("%d lists and %d single reads in %s", lists, singles, took)
				if lists > c.lists || singles > 8*(lists+1)+4 {
					t.Errorf("it took %d lists and %d single reads, want %d lists at most, and 8 reads for each", lists, singles, c.lists)
				}
				if most := c.over + 5*time.Second; took > most {
					t.Errorf("it took %s, want %s at most", took, most)
				}
			})
		})
	}
}

func TestAShortResyncIntervalCostsListsAloneToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r, _ := settled(t, nil)
		i.Resync(10 * time.Second)
		for range 5 {
			pass(10*time.Second + 1)
			resolve(t, i, r, 20, time.Now().Add(-10*time.Second))
		}
		lists, singles := asked(r)
		same(t, "lists and single reads", [2]int{5, 0}, [2]int{lists, singles})
	})
}

func TestAnEditOfOneAmongManyInterfacesWaitsForNoList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r, _ := settled(t, nil)
		pass(time.Minute)
		began := time.Now()
		resolve(t, i, r, 2, time.Now())
		same(t, "how long it took", time.Duration(0), time.Since(began))
	})
}

// later lets two minutes pass, after which many interfaces are asked for, as ever; it returns how old
// an answer may be then.
func later(t *testing.T, i *inventory.Inventory, r *reader) (since time.Time) {
	t.Helper()
	pass(2 * time.Minute)
	since = time.Now().Add(-time.Minute)
	for n := range 20 {
		if _, err := i.Interface(t.Context(), r, fmt.Sprint(n), since); err != nil {
			t.Fatal(err)
		}
	}
	return since
}

func TestAnInterfaceThatIsGoneIsAskedForByItselfOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r, _ := settled(t, nil)
		r.gone = map[string]bool{"gone": true}
		look := func() error {
			_, err := i.Interface(t.Context(), r, "gone", later(t, i, r))
			return err
		}
		first := look()
		if !cloud.IsNotFound(first) {
			t.Fatalf("the first look says %v", first)
		}
		for range 10 {
			same(t, "another look", first, look())
		}
		lists, singles := asked(r)
		same(t, "single reads", 1, singles)
		same(t, "lists", 11, lists)

		r.interfaces, r.gone = append(r.interfaces, cloud.Interface{ID: "gone"}), nil
		same(t, "once it is there", error(nil), look())
		r.interfaces, r.gone = interfaces(20), map[string]bool{"gone": true}
		if err := look(); !cloud.IsNotFound(err) {
			t.Errorf("once it is gone again it is %v", err)
		}
		_, singles = asked(r)
		same(t, "single reads, once it was there and went again", 2, singles)
	})
}

func TestWhatAListAgreesOnWithAReadOfTheAddressIsNotReadAgain(t *testing.T) {
	at := netip.MustParseAddr("10.9.0.1")
	twin := func(id string) cloud.Interface { return cloud.Interface{ID: id, Addresses: []netip.Addr{at}} }
	for name, c := range map[string]struct{ before, after []cloud.Interface }{
		"nobody has it":                       {nil, []cloud.Interface{twin("x")}},
		"several have it":                     {[]cloud.Interface{twin("x"), twin("y")}, []cloud.Interface{twin("x")}},
		"one has it beside one that is odd":   {[]cloud.Interface{twin("x"), {ID: "z", Unreadable: "status"}}, nil},
		"several, of which one is taken over": {[]cloud.Interface{twin("x"), twin("y")}, []cloud.Interface{twin("x"), twin("z")}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, r, _ := settled(t, nil)
				r.exact = true
				set := func(more []cloud.Interface) { r.interfaces = append(slices.Clone(more), interfaces(20)...) }
				look := func() (ids []string) {
					t.Helper()
					all, err := i.InterfacesAt(t.Context(), r, at, later(t, i, r))
					same(t, "the error", error(nil), err)
					for _, one := range all {
						ids = append(ids, one.ID)
					}
					slices.Sort(ids)
					return ids
				}
				set(c.before)
				first := look()
				for range 10 {
					same(t, "another look", first, look())
				}
				_, singles := asked(r)
				same(t, "single reads", 1, singles)
				set(c.after)
				var want []string
				for _, one := range c.after {
					want = append(want, one.ID)
				}
				same(t, "once it is different", want, look())
			})
		})
	}
}

func TestAListThatFailsIsNotReadForWhoeverWantsAnAnswerOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		r.interfaces, r.unlisted = interfaces(100), &cloud.Error{Class: cloud.ClassPermission}
		for n := range 100 {
			pass(time.Second)
			if _, err := i.Interface(t.Context(), r, fmt.Sprint(n), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		lists, singles := asked(r)
		same(t, "lists and single reads", [2]int{1, 100}, [2]int{lists, singles})
	})
}

// Once nobody's, then a list shows that x has it, then one list (torn pages) lacks it: that list alone
// must not say that the address is nobody's.
func TestAListThatLacksAnAddressIsNotBelievedAfterOneThatShowedIt(t *testing.T) {
	at := netip.MustParseAddr("10.9.0.1")
	x := cloud.Interface{ID: "x", Addresses: []netip.Addr{at}}
	synctest.Test(t, func(t *testing.T) {
		i, r, _ := settled(t, nil)
		r.exact = true
		look := func() (ids []string) {
			all, err := i.InterfacesAt(t.Context(), r, at, later(t, i, r))
			same(t, "the error", error(nil), err)
			for _, one := range all {
				ids = append(ids, one.ID)
			}
			return ids
		}
		same(t, "nobody", nil, look())
		r.interfaces = append(slices.Clone(interfaces(20)), x)
		same(t, "x, by the list", []string{"x"}, look())
		// torn: the list lacks x, a read by itself would show it
		r.interfaces, r.exact = interfaces(20), false // FindInterfaces now gives "at"
		same(t, "asked by itself", []string{"at"}, look())
	})
}

// A session with a hundred new sources asks for them one after the other: the list that serves nearly all of them
// should serve the first ones too.
func TestManyThatAreSaidToComeAreReadInAListFromTheFirstOn(t *testing.T) {
	for name, c := range map[string]struct {
		said, come int
		want       [2]int
	}{
		"many that nobody has said to come": {0, 100, [2]int{1, 8}},
		"many":                              {100, 100, [2]int{1, 0}},
		"few":                               {8, 8, [2]int{0, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, r := world()
				r.interfaces = interfaces(100)
				pass(time.Hour)
				now := time.Now()
				i.ExpectInterfaces(r, c.said, now)
				for n := range c.come {
					if _, err := i.Interface(t.Context(), r, fmt.Sprint(n), now); err != nil {
						t.Fatal(err)
					}
				}
				lists, singles := asked(r)
				same(t, "lists and single reads", c.want, [2]int{lists, singles})
			})
		})
	}
}

// In an account of many pages a few more than a few cost less one by one.
func TestFewerThanTheListHasPagesAreReadByThemselvesAlthoughTheyAreSaidToCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		r.interfaces = interfaces(30_000)
		if _, err := i.Interfaces(t.Context(), r, time.Now()); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		now := time.Now()
		i.ExpectInterfaces(r, 20, now)
		for n := range 20 {
			if _, err := i.Interface(t.Context(), r, fmt.Sprint(n), now); err != nil {
				t.Fatal(err)
			}
		}
		lists, singles := asked(r)
		same(t, "lists and single reads", [2]int{1, 20}, [2]int{lists, singles})
	})
}

// What is asked for in a steady state is served by what was read, and must not cost others a list.
func TestManyThatWhatWasReadServesCostNoList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		r.interfaces = interfaces(100)
		pass(time.Hour)
		i.ExpectInterfaces(r, 100, time.Now().Add(-time.Minute))
		if _, err := i.Interface(t.Context(), r, "1", time.Now()); err != nil {
			t.Fatal(err)
		}
		lists, singles := asked(r)
		same(t, "lists and single reads", [2]int{0, 1}, [2]int{lists, singles})
	})
}

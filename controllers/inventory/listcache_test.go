package inventory_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
)

func TestOneListServesEveryoneForWhomItIsNewEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		r.filters = []cloud.Filter{filter("b", ""), filter("a", "")}
		began := time.Now()

		first, second := filters(t, i, r, time.Time{}), filters(t, i, r, began)
		same(t, "the lists, by ID", [][]cloud.Filter{{filter("a", ""), filter("b", "")}, {filter("a", ""), filter("b", "")}}, [][]cloud.Filter{first, second})
		same(t, "the calls", map[string]int{"ListFilters": 1}, r.calls)

		filters(t, i, r, began.Add(1))
		same(t, "the calls once it was too old", map[string]int{"ListFilters": 2}, r.calls)
	})
}

// Each object of the account asks for it: what they keep of it must not be a copy for each.
func TestAllWhoAskForAListGetOneSliceUntilItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		r.filters = []cloud.Filter{filter("b", ""), filter("a", "")}
		first := filters(t, i, r, time.Time{})
		same(t, "one slice", true, &first[0] == &filters(t, i, r, time.Time{})[0])

		i.NoteFilter(r.account, filter("a", "new"))
		same(t, "after a note", []cloud.Filter{filter("a", "new"), filter("b", "")}, filters(t, i, r, time.Time{}))
		i.ForgetFilter(r.account, "a")
		same(t, "after one was deleted", []cloud.Filter{filter("b", "")}, filters(t, i, r, time.Time{}))
		pass(inventory.Lag + 1)
		same(t, "after another list", []cloud.Filter{filter("a", ""), filter("b", "")}, filters(t, i, r, time.Now()))
		same(t, "what was given before", []cloud.Filter{filter("a", ""), filter("b", "")}, first)
	})
}

func TestCallersDuringAListShareIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		r.slow, r.filters = time.Second, []cloud.Filter{filter("a", "")}
		asked := time.Now()

		var wait sync.WaitGroup
		for range 10 {
			wait.Go(func() { same(t, "the list", r.filters, filters(t, i, r, asked)) })
		}
		wait.Wait()

		same(t, "the calls", map[string]int{"ListFilters": 1}, r.calls)
	})
}

func TestAListThatBeganTooEarlyIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		r.slow = time.Second

		var wait sync.WaitGroup
		wait.Go(func() { filters(t, i, r, time.Time{}) })
		pass(500 * time.Millisecond)
		wait.Go(func() { filters(t, i, r, time.Now()) })
		wait.Wait()

		same(t, "the calls", map[string]int{"ListFilters": 2}, r.calls)
	})
}

func TestACachedListIsServedWhileANewOneIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		filters(t, i, r, time.Time{})
		r.slow = time.Hour
		go func() { _, _ = i.Filters(t.Context(), r, time.Now().Add(1)) }() // it never ends
		synctest.Wait()

		before := time.Now()
		filters(t, i, r, time.Time{})
		same(t, "how long it took", 0, time.Since(before))
	})
}

func TestACallerStopsWaitingForAListWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		r.slow = time.Hour
		go func() { _, _ = i.Filters(t.Context(), r, time.Time{}) }()
		synctest.Wait()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		same(t, "the answer", answer{Err: context.DeadlineExceeded}, ask(ctx, i, r, time.Time{}))
	})
}

func TestANoteSurvivesAListThatBeganBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		r.slow, r.filters = time.Second, []cloud.Filter{filter("changed", "old"), filter("deleted", ""), filter("other", "")}
		go func() {
			pass(500 * time.Millisecond) // while the list is read
			i.NoteFilter(r.account, filter("changed", "new"))
			i.NoteFilter(r.account, filter("created", ""))
			i.ForgetFilter(r.account, "deleted")
		}()

		got := filters(t, i, r, time.Time{})
		same(t, "the list", []cloud.Filter{filter("changed", "new"), filter("created", ""), filter("other", "")}, got)
	})
}

func TestANoteSurvivesAListThatMayLagBehindItAndNoLaterOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		i.NoteFilter(r.account, filter("a", "mine"))
		pass(inventory.Lag)
		r.filters = []cloud.Filter{filter("a", "theirs")}

		lagging := filters(t, i, r, time.Time{})
		pass(time.Nanosecond)
		later := filters(t, i, r, time.Now())
		same(t, "the two lists", [][]cloud.Filter{{filter("a", "mine")}, {filter("a", "theirs")}}, [][]cloud.Filter{lagging, later})
	})
}

func TestANoteAloneIsNoList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		i.NoteFilter(r.account, filter("mine", ""))
		pass(time.Second)
		r.filters = []cloud.Filter{filter("mine", ""), filter("theirs", "")}

		same(t, "the list", r.filters, filters(t, i, r, time.Time{}))
	})
}

func TestAFailedListIsNotEmptyAndLeavesTheCachedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		old := []cloud.Filter{filter("a", "")}
		r.filters = old
		filters(t, i, r, time.Time{})
		r.failure, r.filters = errors.New("broken"), nil

		failed, cached := ask(t.Context(), i, r, time.Now().Add(1)), ask(t.Context(), i, r, time.Time{})
		same(t, "the answers", []answer{{Err: r.failure}, {Filters: old}}, []answer{failed, cached})
		same(t, "a failed list is nil", true, failed.Filters == nil)
	})
}

func TestAccountsShareNoList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		other := &reader{account: cloud.Account{Region: "elsewhere"}, filters: []cloud.Filter{filter("x", "")}}
		filters(t, i, r, time.Time{})

		same(t, "the other account's list", other.filters, filters(t, i, other, time.Time{}))
	})
}

func TestAClientThatHasNeverReadAListItselfIsServedNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		r.filters = []cloud.Filter{filter("f", "")}
		filters(t, i, r, time.Time{})
		stranger := &reader{account: r.account, failure: errors.New("the cloud refused the signature")}

		refused := []answer{ask(t.Context(), i, stranger, time.Time{}), ask(t.Context(), i, stranger, time.Time{})}
		same(t, "the answers to a stranger", []answer{{Err: stranger.failure}, {Err: stranger.failure}}, refused)

		stranger.failure, stranger.filters = nil, r.filters
		for _, reader := range []*reader{stranger, stranger, r} {
			same(t, "the list once it has read it", r.filters, filters(t, i, reader, time.Time{}))
		}
		same(t, "the calls of the stranger and of the owner", []map[string]int{{"ListFilters": 3}, {"ListFilters": 1}}, []map[string]int{stranger.calls, r.calls})
	})
}

func TestSessionsHaveAListOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		r.sessions = []cloud.Session{{ID: "s"}}
		list := func() []cloud.Session {
			all, err := i.Sessions(t.Context(), r, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			return all.All()
		}

		first, second := list(), list()
		i.NoteSession(r.account, cloud.Session{ID: "t"})
		i.ForgetSession(r.account, "s")
		third := list()
		same(t, "the lists, the last one after own writes", [][]cloud.Session{{{ID: "s"}}, {{ID: "s"}}, {{ID: "t"}}}, [][]cloud.Session{first, second, third})
		same(t, "the calls", map[string]int{"ListSessions": 1}, r.calls)
	})
}

func TestSomethingCountsAsNotedForAsLongAsIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := world()
		noted := func() []bool {
			since := time.Now().Add(-30 * time.Second)
			return []bool{i.FilterNoted(r.account, "f", since), i.SessionNoted(r.account, "s", since)}
		}
		same(t, "at first", []bool{false, false}, noted())
		i.NoteFilter(r.account, filter("f", ""))
		i.NoteSession(r.account, cloud.Session{ID: "s"})
		pass(29 * time.Second)
		same(t, "29 s later", []bool{true, true}, noted())
		pass(2 * time.Second)
		same(t, "31 s later", []bool{false, false}, noted())
		i.NoteFilter(r.account, filter("f", ""))
		i.ForgetFilter(r.account, "f")
		same(t, "once it is forgotten", []bool{false, false}, noted())
	})
}

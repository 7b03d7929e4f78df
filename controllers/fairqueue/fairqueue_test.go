package fairqueue_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/fairqueue"
)

// waiter is somebody who waits: a smaller rank goes first.
type waiter struct{ rank, number int }

func before(a, b waiter) bool { return a.rank < b.rank }

// model is what the queue is to do, in as few words as possible.
type model struct {
	waiting []waiter // in the order of coming
	taken   int
}

func (m *model) pop() (waiter, bool) {
	if len(m.waiting) == 0 {
		return waiter{}, false
	}
	m.taken++
	next := m.waiting[0]
	if m.taken%4 != 0 {
		next = slices.MinFunc(m.waiting, func(a, b waiter) int { return a.rank - b.rank }) // the first of several
	}
	m.remove(next)
	return next, true
}

func (m *model) remove(w waiter) bool {
	i := slices.Index(m.waiting, w)
	if i >= 0 {
		m.waiting = slices.Delete(m.waiting, i, i+1)
	}
	return i >= 0
}

func TestWhoMattersMostGoesFirstThenWhoCameFirstAndEveryFourthTimeWhoWaitedLongest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, m, number := fairqueue.New(before, nil), &model{}, 0
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				if q.Len() != len(m.waiting) {
					t.Fatalf("%d wait, want %d", q.Len(), len(m.waiting))
				}
			},
			"push": func(t *rapid.T) {
				number++
				w := waiter{rapid.IntRange(0, 3).Draw(t, "rank"), number}
				q.Push(w)
				q.Push(w) // which changes nothing
				m.waiting = append(m.waiting, w)
				if !q.Has(w) {
					t.Fatal("who came does not wait")
				}
			},
			"pop": func(t *rapid.T) {
				got, ok := q.Pop()
				want, wanted := m.pop()
				if got != want || ok != wanted {
					t.Fatalf("%v goes next (%t), want %v (%t)", got, ok, want, wanted)
				}
			},
			"remove": func(t *rapid.T) {
				w := waiter{rapid.IntRange(0, 3).Draw(t, "rank"), rapid.IntRange(0, number).Draw(t, "number")}
				if got, want := q.Remove(w), m.remove(w); got != want {
					t.Fatalf("removing %v gives %t, want %t", w, got, want)
				}
			},
		})
	})
}

func TestNobodyWaitsForEverHoweverManyComeThatMatterMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, number := fairqueue.New(before, nil), 0
		push := func(rank int) waiter {
			number++
			w := waiter{rank, number}
			q.Push(w)
			return w
		}
		ahead := rapid.IntRange(0, 20).Draw(t, "ahead")
		for range ahead {
			push(rapid.IntRange(0, 3).Draw(t, "rank"))
		}
		last := push(9)
		for pops := 0; ; pops++ {
			if pops > 4*(ahead+1) {
				t.Fatalf("it still waits after %d others", pops)
			}
			if next, _ := q.Pop(); next == last {
				return
			}
			for range rapid.IntRange(0, 2).Draw(t, "come") {
				push(0)
			}
		}
	})
}

func TestWhoHasWaitedLongestIsWhatTheUserSays(t *testing.T) {
	q := fairqueue.New(before, func(a, b waiter) bool { return a.number < b.number })
	for _, number := range []int{5, 4, 3, 2, 1, 0} {
		q.Push(waiter{number % 2, number})
	}
	var order []int
	for range 6 {
		w, _ := q.Pop()
		order = append(order, w.number)
	}
	if want := []int{4, 2, 0, 1, 5, 3}; !slices.Equal(order, want) {
		t.Errorf("they go in the order %v, want %v", order, want)
	}
}

func TestAheadCountsWhoGoesBeforeANewcomer(t *testing.T) {
	q := fairqueue.New(before, nil)
	for number, rank := range []int{0, 1, 1, 2} {
		q.Push(waiter{rank, number})
	}
	for rank, want := range []int{1, 3, 4, 4} {
		if got := q.Ahead(waiter{rank, 9}); got != want {
			t.Errorf("%d go before one of rank %d, want %d", got, rank, want)
		}
	}
}

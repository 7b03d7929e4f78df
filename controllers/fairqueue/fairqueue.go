// Package fairqueue says who goes next of those who wait: who matters most, and from time to time
// whoever has waited longest, so that nobody waits for ever.
//
// It may import nothing of ours.
package fairqueue

import "container/heap"

// oldestEvery is how often whoever has waited longest goes next: once in so many times.
const oldestEvery = 4

// Queue holds those who wait, each of them once. Make one with New. It decides alone: it knows no
// time, and its users guard it.
type Queue[T comparable] struct {
	// first has on top who matters most, and oldest who has waited longest.
	first, oldest entries[T]
	of            map[T]*entry[T]
	came, taken   uint64
}

// New returns an empty queue. Of two that wait the one matters more that before says goes before the
// other, and the one has waited longer that older says; nil is for none. Else it is the one that came first.
func New[T comparable](before, older func(a, b T) bool) *Queue[T] {
	return &Queue[T]{first: entries[T]{before: before, heap: 0}, oldest: entries[T]{before: older, heap: 1}, of: map[T]*entry[T]{}}
}

type entry[T comparable] struct {
	item T
	came uint64
	at   [2]int // in each heap
}

// Len is how many wait.
func (q *Queue[T]) Len() int { return len(q.of) }

// Has reports whether somebody waits.
func (q *Queue[T]) Has(item T) bool { return q.of[item] != nil }

// Push lets somebody wait. Who waits already keeps its place.
func (q *Queue[T]) Push(item T) {
	if q.Has(item) {
		return
	}
	q.came++
	e := &entry[T]{item: item, came: q.came}
	q.of[item] = e
	heap.Push(&q.first, e)
	heap.Push(&q.oldest, e)
}

// Pop takes who goes next; false when nobody waits.
func (q *Queue[T]) Pop() (next T, ok bool) {
	if q.Len() == 0 {
		return next, false
	}
	q.taken++
	e := q.first.all[0]
	if q.taken%oldestEvery == 0 {
		e = q.oldest.all[0]
	}
	q.leave(e)
	return e.item, true
}

// Remove takes somebody out who waits no longer, and reports whether it did wait.
func (q *Queue[T]) Remove(item T) bool {
	e := q.of[item]
	if e == nil {
		return false
	}
	q.leave(e)
	return true
}

func (q *Queue[T]) leave(e *entry[T]) {
	heap.Remove(&q.first, e.at[q.first.heap])
	heap.Remove(&q.oldest, e.at[q.oldest.heap])
	delete(q.of, e.item)
}

// Ahead is about how many go before somebody who would come now.
func (q *Queue[T]) Ahead(item T) (ahead int) {
	for _, e := range q.first.all {
		if !q.first.before(item, e.item) {
			ahead++
		}
	}
	return ahead
}

// entries is one of the two heaps of those who wait.
type entries[T comparable] struct {
	before func(a, b T) bool
	heap   int
	all    []*entry[T]
}

// Len is of sort.Interface.
func (h *entries[T]) Len() int { return len(h.all) }

// Less is of sort.Interface.
func (h *entries[T]) Less(i, j int) bool {
	a, b := h.all[i], h.all[j]
	switch {
	case h.before == nil:
		return a.came < b.came
	case h.before(a.item, b.item):
		return true
	default:
		return !h.before(b.item, a.item) && a.came < b.came
	}
}

// Swap is of sort.Interface.
func (h *entries[T]) Swap(i, j int) {
	h.all[i], h.all[j] = h.all[j], h.all[i]
	h.all[i].at[h.heap], h.all[j].at[h.heap] = i, j
}

// Push is of heap.Interface.
func (h *entries[T]) Push(x any) {
	e := x.(*entry[T]) // nothing else is pushed
	e.at[h.heap] = len(h.all)
	h.all = append(h.all, e)
}

// Pop is of heap.Interface.
func (h *entries[T]) Pop() any {
	last := h.all[len(h.all)-1]
	h.all[len(h.all)-1] = nil
	h.all = h.all[:len(h.all)-1]
	return last
}

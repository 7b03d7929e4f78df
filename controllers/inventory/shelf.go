package inventory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// shelf keeps the newest complete list of one kind of thing, and this process's own
// notes that are newer than the list.
type shelf[T any] struct {
	clock cloud.Clock
	id    func(T) string
	// listing lets one list run at a time; the others wait for it and share it.
	listing chan struct{}

	proof proof

	mu    sync.Mutex
	began time.Time // of the list, zero when there is none
	items map[string]T
	noted map[string]time.Time // own notes, removals too
}

func newShelf[T any](clock cloud.Clock, id func(T) string) *shelf[T] {
	return &shelf[T]{clock: clock, id: id, listing: make(chan struct{}, 1), items: map[string]T{}, noted: map[string]time.Time{}}
}

// list returns everything. It asks the cloud only when the list it has began before
// notBefore, or who asks has never read one. A failed list is an error and leaves the
// old one as it was.
func (s *shelf[T]) list(ctx context.Context, who cloud.Client, notBefore time.Time, read func(context.Context) ([]T, error)) ([]T, error) {
	if all, ok := s.fresh(notBefore); ok && s.proof.has(who) {
		return all, nil
	}
	select {
	case s.listing <- struct{}{}:
		defer func() { <-s.listing }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a list that is under way: %w", ctx.Err())
	}
	if all, ok := s.fresh(notBefore); ok && s.proof.has(who) {
		return all, nil
	}
	began := s.clock()
	items, err := read(ctx)
	if err != nil {
		return nil, err
	}
	s.proof.give(who)
	s.replace(began, items)
	all, _ := s.fresh(time.Time{})
	return all, nil
}

func (s *shelf[T]) fresh(notBefore time.Time) ([]T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began.IsZero() || s.began.Before(notBefore) {
		return nil, false
	}
	all := make([]T, 0, len(s.items))
	for _, id := range slices.Sorted(maps.Keys(s.items)) {
		all = append(all, s.items[id])
	}
	return all, true
}

// Lag is how far the cloud's reads may lag behind this process's writes: a list that
// began sooner after a write may or may not show it.
const Lag = 5 * time.Second

// remembered is how long an own note can be asked for; longer than anybody does.
const remembered = 2 * time.Minute

// replace takes a list over, but keeps own notes that it may or may not show.
func (s *shelf[T]) replace(began time.Time, list []T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := make(map[string]T, len(list))
	for _, item := range list {
		items[s.id(item)] = item
	}
	for id, at := range s.noted {
		if at.Add(remembered).Before(began) {
			delete(s.noted, id)
		}
		if at.Add(Lag).Before(began) {
			continue
		}
		if own, there := s.items[id]; there {
			items[id] = own
		} else {
			delete(items, id)
		}
	}
	s.began, s.items = began, items
}

func (s *shelf[T]) put(item T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items[s.id(item)] = item
	s.noted[s.id(item)] = s.clock()
}

func (s *shelf[T]) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.items, id)
	s.noted[id] = s.clock()
}

// notedSince says whether there is an item with an own note after since.
func (s *shelf[T]) notedSince(id string, since time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, there := s.items[id]
	return there && s.noted[id].After(since)
}

// proof knows which clients have read for themselves. The zero value knows none.
type proof struct {
	mu      sync.Mutex
	clients map[cloud.Client]bool
}

// maxProven bounds what is known; when it is reached everyone reads for himself again.
const maxProven = 1024

func (p *proof) has(c cloud.Client) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clients[c]
}

func (p *proof) give(c cloud.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clients == nil || len(p.clients) >= maxProven {
		p.clients = make(map[cloud.Client]bool)
	}
	p.clients[c] = true
}

// lookups keeps answers to single questions. A failure, "not found" too, is not kept.
type lookups[K comparable, V any] struct {
	clock cloud.Clock
	proof proof
	mu    sync.Mutex
	known map[K]*answer[V]
}

// answer is what is known about one question.
type answer[V any] struct {
	// asking lets one ask at a time; the others wait and share what it learns.
	asking chan struct{}
	// value and at are written by who asks, with the lookups' mutex; at is when the
	// question was put, zero when there is no answer.
	value V
	at    time.Time
}

// maxLookups bounds what is kept; when it is reached everything is asked anew.
const maxLookups = 50_000

func newLookups[K comparable, V any](clock cloud.Clock) *lookups[K, V] {
	return &lookups[K, V]{clock: clock, known: map[K]*answer[V]{}}
}

// get returns the answer that was asked for at or after notBefore, and asks when there
// is none, or when who asks has never had an answer of this kind of his own.
func (l *lookups[K, V]) get(ctx context.Context, who cloud.Client, key K, notBefore time.Time, ask func(context.Context, K) (V, error)) (V, error) {
	var none V
	a := l.about(key)
	if value, ok := l.fresh(a, notBefore); ok && l.proof.has(who) {
		return value, nil
	}
	select {
	case a.asking <- struct{}{}:
		defer func() { <-a.asking }()
	case <-ctx.Done():
		return none, fmt.Errorf("wait for an answer of the cloud that is under way: %w", ctx.Err())
	}
	if value, ok := l.fresh(a, notBefore); ok && l.proof.has(who) {
		return value, nil
	}
	at := l.clock()
	value, err := ask(ctx, key)
	if err != nil {
		return none, err
	}
	l.proof.give(who)
	l.mu.Lock()
	defer l.mu.Unlock()
	a.value, a.at = value, at
	return value, nil
}

func (l *lookups[K, V]) about(key K) *answer[V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.known[key]
	if !ok {
		if len(l.known) >= maxLookups {
			clear(l.known)
		}
		a = &answer[V]{asking: make(chan struct{}, 1)}
		l.known[key] = a
	}
	return a
}

func (l *lookups[K, V]) fresh(a *answer[V], notBefore time.Time) (V, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return a.value, !a.at.IsZero() && !a.at.Before(notBefore)
}

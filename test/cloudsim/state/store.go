package state

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Store holds the world and changes it, one change at a time. It is safe for concurrent use.
type Store struct {
	*memory
	newID func() string
}

// memory is what stores that give out different IDs share.
type memory struct {
	clock   func() time.Time
	current atomic.Pointer[World]

	mu          sync.Mutex // one writer; guards all below
	given       bool       // somebody may hold the current world, so it must not change
	relations   relations  // of the current world; nil until they are asked for
	quirks      Quirks
	subscribers []*subscriber
	retain      time.Duration
	history     []moment // oldest first; only kept while retain > 0
}

type subscriber struct{ notify func(*World) }

// moment is a world and the time at which it stopped being the current one.
type moment struct {
	world *World
	until time.Time
}

// NewStore makes a store of a world that the caller gives away. The clock stamps objects (time.Now when nil).
func NewStore(world *World, clock func() time.Time) *Store {
	if clock == nil {
		clock = time.Now
	}
	s := &Store{memory: &memory{clock: clock}, newID: uuid.NewString}
	world.index = &index{}
	s.current.Store(world)
	return s
}

// Trial returns a store of its own that begins with the world as it is now: what is changed there is seen by nobody else.
// ids returns the IDs that it has given out.
func (s *Store) Trial() (trial *Store, ids func() []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var given []string
	trial = &Store{memory: &memory{clock: s.clock, quirks: s.quirks}, newID: func() string {
		id := s.newID()
		given = append(given, id)
		return id
	}}
	trial.current.Store(s.give())
	trial.given = true
	return trial, func() []string {
		trial.mu.Lock()
		defer trial.mu.Unlock()
		return slices.Clone(given)
	}
}

// WithIDs returns the store with the same world that gives out these IDs first.
func (s *Store) WithIDs(ids ...string) *Store {
	return &Store{memory: s.memory, newID: func() string { // the mutex is held
		if len(ids) == 0 {
			return s.newID()
		}
		id := ids[0]
		ids = ids[1:]
		return id
	}}
}

// SetQuirks switches quirks; it takes effect with the next request.
func (s *Store) SetQuirks(q Quirks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quirks = q
	if now := s.current.Load(); now.Quirks != q {
		next := now.clone()
		next.Quirks = q
		s.publish(next)
	}
}

// Snapshot returns the world as it is now. It must not be changed: it is shared, and what makes it cheap.
func (s *Store) Snapshot() *World {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.give()
}

// give hands the current world out, which stays as it is from then on. The mutex is held.
func (s *Store) give() *World {
	s.given = true
	return s.current.Load()
}

// Read calls f with the world as it is now, which f must neither change nor keep. Other than a snapshot it costs the next
// change nothing.
func (s *Store) Read(f func(*World)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.current.Load())
}

// Subscribe calls notify with the world as it is now, and then with each new one, in order, before the request that caused
// it is answered. notify must not call the store. The returned function ends the subscription.
func (s *Store) Subscribe(notify func(*World)) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := &subscriber{notify: notify}
	s.subscribers = append(s.subscribers, sub)
	notify(s.give())
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, other := range s.subscribers {
			if other == sub {
				s.subscribers = append(s.subscribers[:i:i], s.subscribers[i+1:]...)
				return
			}
		}
	}
}

// Edit changes the world behind the API's back, without any check: the drift that an operator has to notice. Values are
// written back into the maps; slices inside them are replaced, not changed in place.
func (s *Store) Edit(f func(*World)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.current.Load().clone()
	f(next)
	s.publish(next)
}

// Retain keeps worlds of the last d, so that AsOf can look back; 0 keeps none.
func (s *Store) Retain(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retain, s.given = d, true
	s.prune(s.clock())
}

// AsOf returns the world that was current at the time, or the oldest that is still known (see Retain).
func (s *Store) AsOf(t time.Time) *World {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.history {
		if m.until.After(t) {
			return m.world
		}
	}
	return s.give()
}

// amend is change for what concerns filters, rules and sessions alone: of an account with thousands of them not everything
// is copied, and nothing where nobody holds the world. f changes nothing of the world when it refuses, and replaces values
// and their slices.
func amend[T any](s *Store, f func(w *World, now time.Time) (T, error)) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.current.Load()
	if s.given {
		next = next.cloneMirrors()
	}
	next.index = nil // what it finds is changed
	out, err := f(next, s.clock().UTC().Truncate(time.Second))
	if err != nil {
		next.index = &index{}
		var zero T
		return zero, err
	}
	s.follow(next)
	return out, nil
}

// change runs f on a copy of the world and publishes it when f agrees. The mutex is held by f's whole run.
func change[T any](s *Store, f func(w *World, now time.Time) (T, error)) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.current.Load().clone()
	out, err := f(next, s.clock().UTC().Truncate(time.Second))
	if err != nil {
		var zero T
		return zero, err
	}
	s.publish(next)
	return out, nil
}

// publish makes a world the current one, whatever has changed in it.
func (s *Store) publish(next *World) {
	s.relations = nil
	s.follow(next)
}

// follow makes a world the current one whose relations are known.
func (s *Store) follow(next *World) {
	now := s.clock()
	before := s.current.Load()
	next.Version, next.index = before.Version+1, &index{}
	// What is kept, or what subscribers get, is held by somebody.
	s.given = s.retain > 0 || len(s.subscribers) > 0
	if s.retain > 0 {
		s.history = append(s.history, moment{world: before, until: now})
	}
	s.prune(now)
	s.current.Store(next)
	for _, sub := range s.subscribers {
		sub.notify(next)
	}
}

func (s *Store) prune(now time.Time) {
	if s.retain <= 0 {
		s.history = nil
		return
	}
	horizon := now.Add(-s.retain)
	keep := 0
	for keep < len(s.history) && !s.history[keep].until.After(horizon) {
		keep++
	}
	s.history = append([]moment(nil), s.history[keep:]...)
}

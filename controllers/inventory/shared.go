package inventory

import (
	"context"
	"reflect"
	"sync"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// shared keeps what one read gave for all, by a key where a call takes one. It differs from a memo
// in that a failure is kept too, for the client that got it: a right that is missing is asked for
// once in an interval and not once for every object.
type shared[K comparable, V any] struct {
	clock  cloud.Clock
	sizeOf func(V) int64

	mu         sync.Mutex
	authorized authorizedReaders
	entries    map[K]*sharedEntry[V]
	bytes      int64 // about what the values hold
}

// sharedEntry is what is known for one key.
type sharedEntry[V any] struct {
	reading chan struct{} // see cachedOrRead

	// The mutex of shared guards the rest.
	value    V
	bytes    int64
	began    time.Time // when the read began, zero before the first that succeeded
	failures map[cloud.Client]failure
}

// failure is how a client's last read failed.
type failure struct {
	err          error
	began, ended time.Time
	// held is for how long it is kept, where it is no refusal.
	held time.Duration
}

// A failure that is no refusal is kept, as many objects that need the same would fail alike, one after
// the other: first for failureHeld, and each time after that for twice as long, up to maxFailureHeld.
const (
	failureHeld    = 10 * time.Second
	maxFailureHeld = 10 * time.Minute
	// urgentHeld is how much longer than the first, at the most, it serves who wants a newer answer:
	// a read that never succeeds must not be made for each of many that are urgent.
	urgentHeld = time.Minute
)

// serves reports whether the failure is the answer for somebody who came then: a refusal is one
// until notBefore passes it, another failure for a while, and for whoever waited for it.
func (f failure) serves(notBefore, came, now time.Time) bool {
	switch held := now.Sub(f.ended); {
	case f.ended.After(came):
		return true
	case refused(f.err):
		return !f.began.Before(notBefore)
	case f.began.Before(notBefore):
		return held < min(f.held-failureHeld, urgentHeld)
	default:
		return held < f.held
	}
}

// after makes the failure one that follows another.
func (f failure) after(last failure) failure {
	f.held = min(max(2*last.held, failureHeld), maxFailureHeld)
	return f
}

func newShared[K comparable, V any](clock cloud.Clock, sizeOf func(V) int64) *shared[K, V] {
	return &shared[K, V]{clock: clock, sizeOf: sizeOf, authorized: authorizedReaders{}, entries: map[K]*sharedEntry[V]{}}
}

// answered is a result that is kept, which can be an error, and when its read began.
type answered[V any] struct {
	value V
	began time.Time
	err   error
}

// get returns the result of a read that began at or after notBefore. The cloud is asked when there
// is none, or when this client has never made such a read with success.
func (s *shared[K, V]) get(ctx context.Context, reader cloud.Client, key K, notBefore time.Time, read func(context.Context, K) (V, error)) (V, error) {
	got := s.answer(ctx, reader, key, notBefore, read)
	return got.value, got.err
}

// answer is get that also tells when the read began.
func (s *shared[K, V]) answer(ctx context.Context, reader cloud.Client, key K, notBefore time.Time, read func(context.Context, K) (V, error)) answered[V] {
	e, came := s.entry(key), s.clock()
	cached := func() (answered[V], bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.serves(e, reader, notBefore) {
			return answered[V]{value: e.value, began: e.began}, true
		}
		if f, failed := e.failures[reader]; failed && f.serves(notBefore, came, s.clock()) {
			return answered[V]{err: f.err}, true
		}
		return answered[V]{}, false
	}
	got, err := cachedOrRead(ctx, e.reading, cached, func() (answered[V], error) {
		began := s.clock()
		value, err := read(ctx, key)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil {
			s.failed(ctx, e, reader, failure{err: err, began: began, ended: s.clock()})
			return answered[V]{}, err
		}
		s.authorized.add(reader)
		delete(e.failures, reader)
		e.began = began
		if !reflect.DeepEqual(e.value, value) { // else what somebody keeps of before would be a second copy
			bytes := s.sizeOf(value)
			if s.entries[key] == e { // else it was dropped meanwhile
				s.bytes += bytes - e.bytes
			}
			e.value, e.bytes = value, bytes
		}
		return answered[V]{value: e.value, began: began}, nil
	})
	if err != nil {
		return answered[V]{err: err}
	}
	return got
}

// have returns the result of a read that began at or after notBefore, if there is one that this
// client may have. The cloud is not asked.
func (s *shared[K, V]) have(reader cloud.Client, key K, notBefore time.Time) (got answered[V], ok bool) {
	e := s.entry(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.serves(e, reader, notBefore) {
		return got, false
	}
	return answered[V]{value: e.value, began: e.began}, true
}

// peek returns what is kept for a key, however old and whoever may have it: for what depends on how much
// that is.
func (s *shared[K, V]) peek(key K) (value V) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[key]; ok {
		value = e.value
	}
	return value
}

// serves reports whether what is kept serves a client. The caller holds the mutex.
func (s *shared[K, V]) serves(e *sharedEntry[V], reader cloud.Client, notBefore time.Time) bool {
	return !e.began.IsZero() && !e.began.Before(notBefore) && s.authorized[reader]
}

// failed keeps how a read failed. Who is refused is served nothing any more of what others read,
// until it has read itself. The caller holds the mutex.
func (s *shared[K, V]) failed(ctx context.Context, e *sharedEntry[V], reader cloud.Client, f failure) {
	if refused(f.err) {
		delete(s.authorized, reader)
	}
	if ctx.Err() != nil {
		return // it was this one caller that had no more time
	}
	if e.failures == nil || len(e.failures) >= maxAuthorized {
		e.failures = map[cloud.Client]failure{}
	}
	e.failures[reader] = f.after(e.failures[reader])
}

// refused reports whether an error is an answer that will be the same when it is asked again soon.
func refused(err error) bool {
	class := cloud.ClassOf(err)
	return class == cloud.ClassPermission || class == cloud.ClassUnsupported
}

// entry returns the entry of a key, an empty one where there is none yet.
func (s *shared[K, V]) entry(key K) *sharedEntry[V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key]
	if !ok {
		if len(s.entries) >= maxMemoized {
			clear(s.entries)
			s.bytes = 0
		}
		e = &sharedEntry[V]{reading: make(chan struct{}, 1)}
		s.entries[key] = e
	}
	return e
}

// size is about what is held of memory.
func (s *shared[K, V]) size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes + int64(len(s.entries))*sizeOfMemoized/4
}

// drop forgets everything. Who waits for a read that is under way gets it.
func (s *shared[K, V]) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.entries)
	clear(s.authorized)
	s.bytes = 0
}

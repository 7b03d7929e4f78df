package inventory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// maxMemoized bounds the entries of a memo. A memo that reaches it starts anew.
const maxMemoized = 20_000

// memo caches the results of a call that reads one thing, by the key that the call
// takes. An error is not cached, "not found" included.
type memo[K comparable, V any] struct {
	clock cloud.Clock

	mu         sync.Mutex
	authorized authorizedReaders
	entries    map[K]*memoEntry[V]
}

// memoEntry is the cached result for one key.
type memoEntry[V any] struct {
	reading chan struct{} // see cachedOrRead

	// The memo's mutex guards these two.
	value V
	began time.Time // when the call began, zero before the first that succeeded
}

func newMemo[K comparable, V any](clock cloud.Clock) *memo[K, V] {
	return &memo[K, V]{clock: clock, authorized: authorizedReaders{}, entries: map[K]*memoEntry[V]{}}
}

// get returns the result of a call that began at or after notBefore. The cloud is asked
// when there is none, or when this client has never made this call with success.
func (m *memo[K, V]) get(ctx context.Context, reader cloud.Client, key K, notBefore time.Time, read func(context.Context, K) (V, error)) (V, error) {
	e := m.entry(key)
	cached := func() (V, bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		return e.value, !e.began.IsZero() && !e.began.Before(notBefore) && m.authorized[reader]
	}
	return cachedOrRead(ctx, e.reading, cached, func() (V, error) {
		began := m.clock()
		value, err := read(ctx, key)
		if err != nil {
			var none V
			return none, err
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.authorized.add(reader)
		e.value, e.began = value, began
		return value, nil
	})
}

// last is the result that this client would be served for a key, however old, and when its call
// began; zero where there is none.
func (m *memo[K, V]) last(reader cloud.Client, key K) (value V, began time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[key]; ok && m.authorized[reader] {
		return e.value, e.began
	}
	return value, time.Time{}
}

// began is when the call began whose result this client would be served for a key.
func (m *memo[K, V]) began(reader cloud.Client, key K) time.Time {
	_, began := m.last(reader, key)
	return began
}

// entry returns the entry of a key, an empty one where there is none yet.
func (m *memo[K, V]) entry(key K) *memoEntry[V] {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[key]
	if !ok {
		if len(m.entries) >= maxMemoized {
			clear(m.entries)
		}
		e = &memoEntry[V]{reading: make(chan struct{}, 1)}
		m.entries[key] = e
	}
	return e
}

// forget drops what is kept for a key. Who waits for a read that is under way gets it.
func (m *memo[K, V]) forget(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, key)
}

// size is about what the memo holds of memory.
func (m *memo[K, V]) size() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.entries)) * sizeOfMemoized
}

// drop forgets everything. Who waits for a read that is under way gets it.
func (m *memo[K, V]) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.entries)
	clear(m.authorized)
}

// cachedOrRead returns what cached has, or else what read gives. reading has room for
// one: one caller reads at a time, and the others wait, until their context ends, and
// then try the cache again, so that those whom the new result suits share it.
func cachedOrRead[V any](ctx context.Context, reading chan struct{}, cached func() (V, bool), read func() (V, error)) (V, error) {
	if value, ok := cached(); ok {
		return value, nil
	}
	select {
	case reading <- struct{}{}:
		defer func() { <-reading }()
	case <-ctx.Done():
		var none V
		return none, fmt.Errorf("wait for the same read that is under way: %w", ctx.Err())
	}
	if value, ok := cached(); ok {
		return value, nil
	}
	return read()
}

// authorizedReaders are the clients to which the cloud itself has answered a read of
// this kind. They alone are served from the cache.
type authorizedReaders map[cloud.Client]bool

// maxAuthorized bounds authorizedReaders. When it is reached everyone has to read for
// himself once more.
const maxAuthorized = 1024

func (r authorizedReaders) add(c cloud.Client) {
	if len(r) >= maxAuthorized {
		clear(r)
	}
	r[c] = true
}

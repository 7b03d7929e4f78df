package inventory

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// Lag is how far the cloud's reads may lag behind this process's writes: a list that was
// asked for sooner after a write may or may not show it.
const Lag = 5 * time.Second

// noteLifetime is how long a note is kept: longer than the age that anybody asks for in
// FilterNoted and SessionNoted.
const noteLifetime = 2 * time.Minute

// listCache holds the newest complete list of one kind of object of an account, and
// notes of what this process itself read or wrote one by one since.
type listCache[T any] struct {
	clock   cloud.Clock
	id      func(T) string
	sizeOf  func(T) int64
	reading chan struct{} // see cachedOrRead

	mu         sync.Mutex
	authorized authorizedReaders
	began      time.Time            // when the list was asked for, zero before the first one
	items      map[string]T         // by ID: the list with the notes applied
	all        []T                  // the items by ID, made when it is asked for; nil once they changed
	noted      map[string]time.Time // by ID: when it was noted, deletions included
	bytes      int64                // about what the items hold
}

func newListCache[T any](clock cloud.Clock, id func(T) string, sizeOf func(T) int64) *listCache[T] {
	return &listCache[T]{
		clock: clock, id: id, sizeOf: sizeOf, reading: make(chan struct{}, 1),
		authorized: authorizedReaders{}, items: map[string]T{}, noted: map[string]time.Time{},
	}
}

// list returns every object, in a slice that all callers share: nobody changes it. The cloud is asked only when the cached list began before
// notBefore, or when this client has never read one. A failed list is an error and
// leaves the cached one as it was.
func (c *listCache[T]) list(ctx context.Context, reader cloud.Client, notBefore time.Time, read func(context.Context) ([]T, error)) ([]T, error) {
	cached := func() ([]T, bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.began.IsZero() || c.began.Before(notBefore) || !c.authorized[reader] {
			return nil, false
		}
		return c.sorted(), true
	}
	return cachedOrRead(ctx, c.reading, cached, func() ([]T, error) {
		began := c.clock()
		list, err := read(ctx)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.authorized.add(reader)
		c.replace(began, list)
		return c.sorted(), nil
	})
}

// sorted returns the objects by ID: the same slice until they change, as it is asked for once for
// every object of the account. The caller holds the mutex.
func (c *listCache[T]) sorted() []T {
	if c.all != nil {
		return c.all
	}
	c.all = make([]T, 0, len(c.items))
	for _, id := range slices.Sorted(maps.Keys(c.items)) {
		c.all = append(c.all, c.items[id])
	}
	return c.all
}

// replace stores a new list. A note wins over it where the list may lag behind the note.
// The caller holds the mutex.
func (c *listCache[T]) replace(began time.Time, list []T) {
	items := make(map[string]T, len(list))
	for _, item := range list {
		items[c.id(item)] = item
	}
	for id, at := range c.noted {
		if at.Add(noteLifetime).Before(began) {
			delete(c.noted, id)
		}
		if at.Add(Lag).Before(began) {
			continue
		}
		if item, exists := c.items[id]; exists {
			items[id] = item
		} else {
			delete(items, id)
		}
	}
	c.began, c.items, c.all = began, items, nil
	c.weigh()
}

// weigh sums up what the items hold. The caller holds the mutex.
func (c *listCache[T]) weigh() {
	c.bytes = 0
	for _, item := range c.items {
		c.bytes += c.sizeOf(item)
	}
}

// size is about what the cache holds of memory.
func (c *listCache[T]) size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// drop forgets the list, and what was noted so long ago that nobody asks for it, and
// reports whether nothing is left.
func (c *listCache[T]) drop(now time.Time) (empty bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, at := range c.noted {
		if at.Add(noteLifetime).Before(now) {
			delete(c.noted, id)
		}
	}
	items := make(map[string]T)
	for id := range c.noted {
		if item, exists := c.items[id]; exists {
			items[id] = item
		}
	}
	c.began, c.items, c.all = time.Time{}, items, nil
	clear(c.authorized)
	c.weigh()
	return len(c.noted) == 0
}

// note records that the object is as given now.
func (c *listCache[T]) note(item T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, exists := c.items[c.id(item)]; exists {
		c.bytes -= c.sizeOf(before)
	}
	c.bytes += c.sizeOf(item)
	c.items[c.id(item)], c.all = item, nil
	c.noted[c.id(item)] = c.clock()
}

// forget records that the object does not exist any more.
func (c *listCache[T]) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, exists := c.items[id]; exists {
		c.bytes -= c.sizeOf(before)
	}
	delete(c.items, id)
	c.all = nil
	c.noted[id] = c.clock()
}

// notedSince reports whether the object exists and was noted after since.
func (c *listCache[T]) notedSince(id string, since time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, exists := c.items[id]
	return exists && c.noted[id].After(since)
}

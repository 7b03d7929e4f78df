package inventory

import (
	"context"
	"reflect"
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
	keys    func(T) []key
	sizeOf  func(T) int64
	reading chan struct{} // see cachedOrRead

	mu         sync.Mutex
	authorized authorizedReaders
	began      time.Time            // when the list was asked for, zero before the first one
	wanted     time.Time            // when somebody asked for it last
	listed     *Listed[T]           // the list with the notes applied
	noted      map[string]time.Time // by ID: when it was noted, deletions included
	bytes      int64                // about what the items hold
}

func newListCache[T any](clock cloud.Clock, id func(T) string, keys func(T) []key, sizeOf func(T) int64) *listCache[T] {
	return &listCache[T]{
		clock: clock, id: id, keys: keys, sizeOf: sizeOf, reading: make(chan struct{}, 1),
		authorized: authorizedReaders{}, listed: newListed(id, keys, 0), noted: map[string]time.Time{},
	}
}

// list returns every object, which all callers share: nobody changes it. The cloud is asked only when the cached list began before
// notBefore, or when this client has never read one. A failed list is an error and
// leaves the cached one as it was.
//
// What is returned shows notes that come later, too, until another list takes its place.
func (c *listCache[T]) list(ctx context.Context, reader cloud.Client, notBefore time.Time, read func(context.Context) ([]T, error)) (*Listed[T], error) {
	c.want()
	cached := func() (*Listed[T], bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.began.IsZero() || c.began.Before(notBefore) || !c.authorized[reader] {
			return nil, false
		}
		return c.listed, true
	}
	return cachedOrRead(ctx, c.reading, cached, func() (*Listed[T], error) {
		began := c.clock()
		list, err := read(ctx)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.authorized.add(reader)
		c.replace(began, list)
		return c.listed, nil
	})
}

func (c *listCache[T]) want() {
	now := c.clock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = now
}

// replace stores a new list. A note wins over it where the list may lag behind the note. What is as
// it was stays the same item: what somebody keeps of it would be a second copy.
// The caller holds the mutex.
func (c *listCache[T]) replace(began time.Time, list []T) {
	next := newListed(c.id, c.keys, len(list))
	for i := range list {
		item := list[i] // a pointer into the list would hold all of it
		if was := c.listed.item(c.id(item)); was != nil && reflect.DeepEqual(*was, item) {
			next.put(was)
		} else {
			next.put(&item)
		}
	}
	for id, at := range c.noted {
		if at.Add(noteLifetime).Before(began) {
			delete(c.noted, id)
		}
		if at.Add(Lag).Before(began) {
			continue
		}
		if item := c.listed.item(id); item != nil {
			next.put(item)
		} else {
			next.remove(id)
		}
	}
	c.began, c.listed = began, next
	c.weigh()
}

// weigh sums up what the items hold. The caller holds the mutex.
func (c *listCache[T]) weigh() {
	c.bytes = 0
	c.listed.each(func(item *T) { c.bytes += c.weight(*item) })
}

// sizeOfKey is about what it holds that an object is found by something.
const sizeOfKey = 80

// weight is about what an object holds, with what it is found by.
func (c *listCache[T]) weight(item T) int64 {
	return c.sizeOf(item) + sizeOfKey*int64(1+len(c.keys(item)))
}

// count is how many objects there are.
func (c *listCache[T]) count() int {
	c.mu.Lock()
	listed := c.listed
	c.mu.Unlock()
	return listed.Len()
}

// size is about what the cache holds of memory.
func (c *listCache[T]) size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// drop forgets the list, and what was noted so long ago that nobody asks for it, and
// reports whether nothing is left. Who has the list keeps it.
func (c *listCache[T]) drop(now time.Time) (empty bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, at := range c.noted {
		if at.Add(noteLifetime).Before(now) {
			delete(c.noted, id)
		}
	}
	rest := newListed(c.id, c.keys, len(c.noted))
	for id := range c.noted {
		if item := c.listed.item(id); item != nil {
			rest.put(item)
		}
	}
	c.began, c.listed = time.Time{}, rest
	clear(c.authorized)
	c.weigh()
	return len(c.noted) == 0
}

// note records that the object is as given now.
func (c *listCache[T]) note(item T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.listed.item(c.id(item)); before != nil {
		c.bytes -= c.weight(*before)
	}
	c.bytes += c.weight(item)
	c.listed.put(&item)
	c.noted[c.id(item)] = c.clock()
}

// forget records that the object does not exist any more.
func (c *listCache[T]) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.listed.item(id); before != nil {
		c.bytes -= c.weight(*before)
	}
	c.listed.remove(id)
	c.noted[id] = c.clock()
}

// notedSince reports whether the object exists and was noted after since.
func (c *listCache[T]) notedSince(id string, since time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.listed.item(id) != nil && c.noted[id].After(since)
}

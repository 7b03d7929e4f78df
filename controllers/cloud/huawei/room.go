package huawei

import (
	"context"
	"sync"
)

// What may be held of memory, by all together and by those of one endpoint: by answers while
// they are read and turned into our types, and by the pages of lists until their end. The
// bounds leave room for the rest in the memory that the chart gives the manager.
const (
	answersOfAll, answersOfEndpoint = 32 << 20, 24 << 20
	listsOfAll, listsOfEndpoint     = 24 << 20, maxList
)

// room is memory that is shared by all who hold some of it for a moment. Whoever needs more than there is
// waits for others to leave, as long as the call's time allows.
type room struct {
	all, each int64

	mu    sync.Mutex
	used  int64
	by    map[string]int64 // by endpoint
	freed chan struct{}    // closed and made anew when somebody leaves
}

func newRoom(all, each int64) *room {
	return &room{all: all, each: each, by: map[string]int64{}, freed: make(chan struct{})}
}

// take waits until n more bytes are free.
func (r *room) take(ctx context.Context, endpoint string, n int64) error {
	for {
		r.mu.Lock()
		if r.used+n <= r.all && r.by[endpoint]+n <= r.each {
			r.used += n
			r.by[endpoint] += n
			r.mu.Unlock()
			return nil
		}
		freed := r.freed
		r.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return errCrowded
		}
	}
}

func (r *room) leave(endpoint string, n int64) {
	if n == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used -= n
	if r.by[endpoint] -= n; r.by[endpoint] <= 0 {
		delete(r.by, endpoint)
	}
	close(r.freed)
	r.freed = make(chan struct{})
}

// holding is what one answer, or one list, holds of the room.
type holding struct {
	*room
	endpoint string
	free     int64 // what needs no room: small answers never wait for large ones
	size     int64 // what it holds, the free part included
}

// grow makes it at least that large.
func (h *holding) grow(ctx context.Context, size int64) error {
	more := max(size-h.free, 0) - max(h.size-h.free, 0)
	if more > 0 {
		if err := h.take(ctx, h.endpoint, more); err != nil {
			return err
		}
	}
	h.size = max(h.size, size)
	return nil
}

func (h *holding) end() {
	h.leave(h.endpoint, max(h.size-h.free, 0))
	h.size = 0
}

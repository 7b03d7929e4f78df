package tail

import (
	"bytes"
	"sync"
)

// queue is between who captures and who writes: whoever captures never waits, and what finds it full is
// lost.
type queue struct {
	room int // in bytes

	mu     sync.Mutex
	held   bytes.Buffer
	closed bool
	news   chan struct{} // holds at most one word that something is there
}

func newQueue(room int) *queue { return &queue{room: room, news: make(chan struct{}, 1)} }

// full reports whether something of so many bytes would be lost.
func (q *queue) full(size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held.Len()+size > q.room
}

// put adds a record whatever room there is: it was asked for before, by who alone puts.
func (q *queue) put(record []byte) {
	q.mu.Lock()
	q.held.Write(record)
	q.mu.Unlock()
	q.tell()
}

// close says that nothing more comes.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.tell()
}

func (q *queue) tell() {
	select {
	case q.news <- struct{}{}:
	default:
	}
}

// take moves all that is there into a buffer, and waits for that; it is false when nothing is left and
// nothing comes.
func (q *queue) take(into *bytes.Buffer) bool {
	into.Reset()
	for {
		q.mu.Lock()
		if q.held.Len() > 0 {
			*into, q.held = q.held, *into
			q.mu.Unlock()
			return true
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return false
		}
		<-q.news
	}
}

package packets

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// holdBack is how long a copy waits for older ones of other nodes, of which nothing has come.
const holdBack = 500 * time.Millisecond

// record is what is written at once: a line, or a block of a capture file.
type record struct {
	// at is when it was captured, in nanoseconds, and came when it was read.
	at   int64
	came time.Time
	// copied is whether it is a copy, which the limits count; first whether it goes before all that waits.
	copied, first bool
	data          []byte
}

// splitter makes records of what the verifier of one node writes.
type splitter interface {
	// split takes the whole records from the beginning of data, and returns what is left for the next time.
	split(data []byte, take func(record)) (rest []byte, err error)
}

// Merge makes one output of those of several nodes, in the order in which the copies were captured by the nodes' clocks.
type Merge struct {
	to       io.Writer
	clock    func() time.Time
	split    func(node string) splitter
	limits   Request
	complete func()

	mu      sync.Mutex
	streams []*stream
	// packets and bytes are what was written of the copies, and failed is why no more can be.
	packets, bytes int64
	failed         error
	// over is the limit that was reached, empty for none.
	over string
}

// NewMerge returns one that calls complete when the limits of the request are reached by all nodes together.
func NewMerge(to io.Writer, r Request, complete func()) *Merge {
	m := &Merge{to: to, clock: time.Now, limits: r, complete: complete}
	if r.Pcapng {
		c := &capture{}
		m.split = func(string) splitter { return &blocks{of: c} }
	} else {
		d := &day{}
		m.split = func(node string) splitter { return &lines{node: node, of: d} }
	}
	return m
}

// stream is the output of one node.
type stream struct {
	merge *Merge
	splitter
	rest  []byte
	queue []record
	ended bool
}

// Stream returns where the output of a node goes. All are made before one of them is written to.
func (m *Merge) Stream(node string) io.WriteCloser {
	s := &stream{merge: m, splitter: m.split(node)}
	m.streams = append(m.streams, s)
	return s
}

// Write queues the whole records, and writes what need not wait.
func (s *stream) Write(p []byte) (int, error) {
	m := s.merge
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	rest, err := s.split(append(s.rest, p...), func(r record) {
		r.came, r.data = now, append([]byte{}, r.data...)
		if r.first {
			m.write(r)
			return
		}
		s.queue = append(s.queue, r)
	})
	if err != nil {
		return 0, err
	}
	s.rest = append([]byte{}, rest...)
	m.flush(now)
	return len(p), m.failed
}

// Close says that nothing more comes of the node. What has no end is dropped.
func (s *stream) Close() error {
	m := s.merge
	m.mu.Lock()
	defer m.mu.Unlock()
	s.ended = true
	m.flush(m.clock())
	return m.failed
}

// Flush writes what has waited for long enough.
func (m *Merge) Flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flush(m.clock())
}

// flush writes records, the oldest first, as long as none can come that is older or it has waited.
func (m *Merge) flush(now time.Time) {
	for {
		var oldest *stream
		waits := false
		for _, s := range m.streams {
			switch {
			case len(s.queue) == 0:
				waits = waits || !s.ended
			case oldest == nil || s.queue[0].at < oldest.queue[0].at:
				oldest = s
			}
		}
		if oldest == nil || waits && now.Sub(oldest.queue[0].came) < holdBack {
			return
		}
		r := oldest.queue[0]
		oldest.queue = oldest.queue[1:]
		m.write(r)
	}
}

// write writes a record if the limits allow it.
func (m *Merge) write(r record) {
	if m.failed != nil || r.copied && m.full(len(r.data)) {
		return
	}
	if r.copied {
		m.packets++
		m.bytes += int64(len(r.data))
	}
	if _, m.failed = m.to.Write(r.data); m.failed != nil {
		m.complete()
	}
	m.full(0)
}

// full reports whether a copy of so many bytes would be too much, and completes what is then.
func (m *Merge) full(size int) bool {
	switch {
	case m.packets >= m.limits.Packets:
		m.over = fmt.Sprintf("%d copies of all nodes were shown (--packets)", m.packets)
	case m.bytes+int64(size) > m.limits.Bytes:
		m.over = fmt.Sprintf("%d bytes of all nodes were written (--bytes)", m.bytes)
	default:
		return false
	}
	m.complete()
	return true
}

// Over is the limit that was reached by all nodes together, empty for none.
func (m *Merge) Over() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.over
}

package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// capturer captures on one interface and counts what comes. It opens the ring again when
// the interface went and came back.
type capturer struct {
	local Interface
	port  uint16
	open  func(Interface, uint16) (*capture.Ring, error)
	clock func() time.Time
	tally *tally.Tally
	// list are the sessions that the tally counts; it belongs to the goroutine that reconciles.
	list []tally.Session
	log  logr.Logger
	news func()        // called when what a snapshot shows has changed, time apart
	quit chan struct{} // closed by stop
	done chan struct{} // closed when run has ended

	mu   sync.Mutex
	ring *capture.Ring
	past capture.Stats // of rings that are closed
	// books are those of the ring, pastOff by how many frames those of the closed ones
	// were off.
	books   books
	pastOff int64
	// unread are frames that were delivered to rings that were closed before they
	// were read.
	unread uint64
	tried  bool // a ring was opened, or could not be
	// since is when the first ring was open: what came before was not seen.
	since time.Time
	// empty is when the ring was last found empty.
	empty   time.Time
	problem string
	stopped bool // quit is closed
}

func (a *Agent) newCapturer(local Interface) *capturer {
	return &capturer{
		local: local, port: a.Port, open: a.Open, clock: a.Clock, tally: tally.New(a.Port), empty: a.Clock(), news: a.tellNews,
		log: a.Log.WithValues("interface", local.Name), quit: make(chan struct{}), done: make(chan struct{}),
	}
}

// OpenRing opens a ring of the default size in the network namespace that the process
// is in.
func OpenRing(local Interface, port uint16) (*capture.Ring, error) {
	return capture.OpenRing(local.Index, port, capture.RingOptions{})
}

const (
	// ringWait bounds the wait for the next block after one; when that has passed the ring is
	// empty, and idleWait bounds the wait for what comes then.
	ringWait = 500 * time.Millisecond
	idleWait = time.Minute
	// reopen is how long is waited before a ring that failed is opened again.
	reopen = time.Second
	// drainTimeout bounds the wait for the last frames.
	drainTimeout = time.Second
)

// run captures until stop is called.
func (c *capturer) run() {
	defer close(c.done)
	for {
		err := c.capture()
		if err == nil {
			return
		}
		what := err.Error()
		if errors.Is(err, capture.ErrInterfaceDown) {
			what = capture.ErrInterfaceDown.Error() // the rest is for the log
		}
		if c.setProblem("can't capture on " + c.local.Name + ": " + what) {
			c.log.Error(err, "Can't capture; it is tried again every second")
		}
		select {
		case <-c.quit:
			return
		case <-time.After(reopen):
		}
	}
}

// stop ends run and waits for that. It is called once.
func (c *capturer) stop() {
	c.mu.Lock()
	c.stopped = true
	close(c.quit)
	if c.ring != nil {
		c.ring.Stop()
	}
	c.mu.Unlock()
	<-c.done
}

// capture opens a ring and reads it until stop is called (nil) or it fails.
func (c *capturer) capture() error {
	ring, err := c.open(c.local, c.port)
	if err != nil {
		return err
	}
	c.opened(ring)
	defer c.closed(ring)
	for wait := ringWait; ; {
		block, err := ring.Next(wait)
		if err == nil {
			c.audit(ring, block == nil)
		}
		if errors.Is(err, capture.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if block == nil {
			wait = idleWait
			continue
		}
		wait = ringWait
		c.tally.Count(block)
		block.Release()
		c.news()
	}
}

func (c *capturer) opened(ring *capture.Ring) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ring, c.books, c.problem, c.tried = ring, books{}, "", true
	if c.since.IsZero() {
		c.since = c.clock()
	}
	if c.stopped {
		ring.Stop()
	}
	c.log.Info("Capturing", "port", c.port)
	c.news()
}

// audit checks the books, when that can tell something. They never are off unless a program
// has an error, this one or the kernel.
func (c *capturer) audit(ring *capture.Ring, idle bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.books.mayCheck(idle, ring.Blocks()) {
		return
	}
	stats, err := ring.Stats()
	if err != nil {
		c.log.Error(err, "The ring's counters can't be read")
		return
	}
	before := c.books.off
	if c.books.check(stats); c.books.off != before {
		c.log.Info("The books of the ring don't balance, or do again", "readAndNotDelivered", c.books.off, "before", before, "ring", stats)
		c.news()
	}
}

// closed takes the last counters along, so that drops never fall.
func (c *capturer) closed(ring *capture.Ring) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ring.Close(); err != nil {
		c.log.Error(err, "The ring was not closed properly")
	}
	stats, _ := ring.Stats() // of a closed ring, the last ones
	c.past = c.past.Add(stats)
	c.unread += stats.Delivered() - min(stats.Read, stats.Delivered())
	c.pastOff += c.books.off
	c.ring, c.books = nil, books{}
}

// setProblem reports whether it is another one than before.
func (c *capturer) setProblem(problem string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	other := c.problem != problem
	c.problem, c.tried = problem, true
	c.news()
	return other
}

// snapshot is what a capturer shows at one moment.
type snapshot struct {
	tally.Snapshot
	// at is the time as of which the counts are exact: no frame that came before is
	// missing, and none that came later is in.
	at    time.Time
	stats capture.Stats
	// problem is what keeps the capturer from capturing; ready is false until that, or
	// that nothing does, is known.
	problem string
	ready   bool
	// shortage is what the whole process is short of, empty for nothing.
	shortage string
	since    time.Time // when the first ring was open, zero before
	waiting  bool      // frames have come that are not counted yet
	// off is by how many frames the books are off: above 0 more were read than came, below
	// some that came were never found.
	off int64
}

// captures reports whether it is known that nothing keeps the capturer from capturing.
func (c *capturer) captures() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tried && c.problem == ""
}

// snapshot reads the counts of all rings of this interface.
func (c *capturer) snapshot() snapshot {
	s := snapshot{Snapshot: c.tally.Snapshot(), at: c.clock()}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.problem, s.ready, s.since, s.stats = c.problem, c.tried, c.since, c.past
	if c.ring != nil {
		stats, err := c.ring.Stats() // with an error, the last ones that could be read
		if err != nil {
			c.log.Error(err, "The ring's counters can't be read")
		}
		s.stats = s.stats.Add(stats)
	}
	s.off = c.pastOff + c.books.off
	s.waiting = s.stats.Delivered() > s.Frames.Read+c.unread+uint64(max(-c.books.off, 0))
	switch {
	case !s.waiting:
		c.empty = s.at // nothing came between the tally's snapshot and now
	case s.LastFrame.After(c.empty):
		s.at = s.LastFrame // frames are counted in the order of arrival
	default:
		s.at = c.empty
	}
	return s
}

// drain waits until the frames that have come are counted, for a short time at most: where
// frames never cease, a snapshot says as of when the counts are exact.
func (c *capturer) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	const step = 5 * time.Millisecond
	again := time.NewTicker(step)
	defer again.Stop()
	for c.snapshot().waiting {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

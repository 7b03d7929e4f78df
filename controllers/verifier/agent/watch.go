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

// watch captures on one interface and counts what comes. It opens the ring again when
// the interface went and came back.
type watch struct {
	local Interface
	port  uint16
	open  func(Interface, uint16) (*capture.Ring, error)
	clock func() time.Time
	tally *tally.Tally
	log   logr.Logger
	quit  chan struct{} // closed by stop
	done  chan struct{} // closed when run has ended

	counting sync.Mutex // held while a block is counted, before mu
	// latest is when the last frame came that was counted, or the last look at an
	// empty ring, whichever is later.
	latest time.Time

	mu   sync.Mutex
	ring *capture.Ring
	past capture.Stats // of rings that are closed
	// unread are frames that were delivered to rings that were closed before they
	// were read.
	unread uint64
	tried  bool // a ring was opened, or could not be
	// since is when the first ring was open: what came before was not seen.
	since   time.Time
	problem string
	ended   bool // quit is closed
}

// OpenRing opens a ring of the default size in the network namespace that the process
// is in.
func OpenRing(local Interface, port uint16) (*capture.Ring, error) {
	return capture.OpenRing(local.Index, port, capture.RingOptions{})
}

const (
	// ringWait bounds one wait for a block.
	ringWait = 500 * time.Millisecond
	// reopen is how long is waited before a ring that failed is opened again.
	reopen = time.Second
	// settleFor bounds the wait for the last frames.
	settleFor = time.Second
)

// run captures until stop is called.
func (w *watch) run() {
	defer close(w.done)
	for {
		err := w.capture()
		if err == nil {
			return
		}
		what := err.Error()
		if errors.Is(err, capture.ErrInterfaceDown) {
			what = capture.ErrInterfaceDown.Error() // the rest is for the log
		}
		if w.setProblem("can't capture on " + w.local.Name + ": " + what) {
			w.log.Error(err, "Can't capture; it is tried again every second")
		}
		select {
		case <-w.quit:
			return
		case <-time.After(reopen):
		}
	}
}

// stop ends run and waits for that. It is called once.
func (w *watch) stop() {
	w.mu.Lock()
	w.ended = true
	close(w.quit)
	if w.ring != nil {
		w.ring.Stop()
	}
	w.mu.Unlock()
	<-w.done
}

// capture opens a ring and reads it until stop is called (nil) or it fails.
func (w *watch) capture() error {
	ring, err := w.open(w.local, w.port)
	if err != nil {
		return err
	}
	w.opened(ring)
	defer w.closed(ring)
	for {
		block, err := ring.Next(ringWait)
		if errors.Is(err, capture.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if block == nil {
			continue
		}
		w.count(block)
		block.Release()
	}
}

func (w *watch) count(block *capture.Block) {
	w.counting.Lock()
	defer w.counting.Unlock()
	frames := timed{Block: block}
	w.tally.Count(&frames)
	w.notice(time.Unix(0, frames.last))
}

// notice moves latest forward; counting is held.
func (w *watch) notice(t time.Time) {
	if t.After(w.latest) {
		w.latest = t
	}
}

// timed is a block that notes when its last frame came.
type timed struct {
	*capture.Block
	last int64
}

// Next reads the next frame, as that of the block does.
func (b *timed) Next(f *capture.Frame) bool {
	if !b.Block.Next(f) {
		return false
	}
	b.last = f.Time
	return true
}

func (w *watch) opened(ring *capture.Ring) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ring, w.problem, w.tried = ring, "", true
	if w.since.IsZero() {
		w.since = w.clock()
	}
	if w.ended {
		ring.Stop()
	}
	w.log.Info("Capturing", "port", w.port)
}

// closed takes the last counters along, so that drops never fall.
func (w *watch) closed(ring *capture.Ring) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ring.Close(); err != nil {
		w.log.Error(err, "The ring was not closed properly")
	}
	stats, _ := ring.Stats() // of a closed ring, the last ones
	w.past = add(w.past, stats)
	w.ring = nil
	w.unread = w.past.Packets - w.past.Drops - w.tally.Snapshot().Frames.Read
}

// setProblem says whether it is another one than before.
func (w *watch) setProblem(problem string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	other := w.problem != problem
	w.problem, w.tried = problem, true
	return other
}

// look is what a watch shows at one moment.
type look struct {
	tally.Snapshot
	// at is the time as of which the counts are exact: no frame that came before is
	// missing, and none that came later is in.
	at    time.Time
	stats capture.Stats
	// problem is what keeps the watch from capturing; ready is false until that, or
	// that nothing does, is known.
	problem string
	ready   bool
	since   time.Time // when the first ring was open, zero before
}

// look reads the counts of all rings of this interface.
func (w *watch) look() look {
	w.counting.Lock()
	defer w.counting.Unlock()
	l := look{Snapshot: w.tally.Snapshot(), at: w.clock()}
	var waiting uint64
	l.stats, waiting = w.counters(l.Frames.Read)
	if waiting == 0 {
		w.notice(l.at) // the ring is empty: nothing came between the snapshot and now
	} else {
		l.at = w.latest // the ring is in the order of arrival: all before is counted
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l.problem, l.ready, l.since = w.problem, w.tried, w.since
	return l
}

// counters returns those of all rings, and how many frames are waiting to be read when
// so many were.
func (w *watch) counters(read uint64) (total capture.Stats, waiting uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	total = w.past
	if w.ring != nil {
		stats, err := w.ring.Stats() // with an error, the last ones that could be read
		if err != nil {
			w.log.Error(err, "The ring's counters can't be read")
		}
		total = add(total, stats)
	}
	if done, delivered := read+w.unread, total.Packets-total.Drops; delivered > done {
		waiting = delivered - done
	}
	return total, waiting
}

// settle waits until what has come was counted, for a short time at most: where frames
// never cease, look says as of when the counts are exact.
func (w *watch) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	const step = 5 * time.Millisecond
	again := time.NewTicker(step)
	defer again.Stop()
	for {
		read := w.tally.Snapshot().Frames.Read
		if _, waiting := w.counters(read); waiting == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

func add(a, b capture.Stats) capture.Stats {
	return capture.Stats{Packets: a.Packets + b.Packets, Drops: a.Drops + b.Drops, Freezes: a.Freezes + b.Freezes}
}

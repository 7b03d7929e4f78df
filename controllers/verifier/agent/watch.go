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
	tally *tally.Tally
	log   logr.Logger

	mu      sync.Mutex
	ring    *capture.Ring
	past    capture.Stats // of rings that are closed
	problem string
}

// OpenRing opens a ring of the default size in the network namespace that the process
// is in.
func OpenRing(local Interface, port uint16) (*capture.Ring, error) {
	return capture.OpenRing(local.Index, port, capture.RingOptions{})
}

func newWatch(local Interface, port uint16, open func(Interface, uint16) (*capture.Ring, error), log logr.Logger) *watch {
	return &watch{local: local, port: port, open: open, tally: tally.New(port), log: log.WithValues("interface", local.Name)}
}

const (
	// ringWait bounds how long the end of ctx can go unnoticed.
	ringWait = 500 * time.Millisecond
	// reopen is how long is waited before a ring that failed is opened again.
	reopen = 2 * time.Second
)

// run captures until ctx ends.
func (w *watch) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := w.capture(ctx)
		if err == nil {
			return
		}
		w.log.Error(err, "The capture ended; it is started again")
		w.setProblem("can't capture on " + w.local.Name + ": " + err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(reopen):
		}
	}
}

// capture opens a ring and reads it until ctx ends (nil) or it fails.
func (w *watch) capture(ctx context.Context) error {
	ring, err := w.open(w.local, w.port)
	if err != nil {
		return err
	}
	w.opened(ring)
	defer w.closed(ring)
	for ctx.Err() == nil {
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
		w.tally.Count(block)
		block.Release()
	}
	return nil
}

func (w *watch) opened(ring *capture.Ring) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ring, w.problem = ring, ""
	w.log.Info("Capturing", "port", w.port)
}

// closed takes the last counters along, so that drops never fall.
func (w *watch) closed(ring *capture.Ring) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s, err := ring.Stats(); err == nil {
		w.past = add(w.past, s)
	}
	w.ring = nil
	if err := ring.Close(); err != nil {
		w.log.Error(err, "The ring was not closed properly")
	}
}

func (w *watch) setProblem(problem string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problem = problem
}

// state returns the ring's counters over all rings of this interface, and what keeps
// it from capturing.
func (w *watch) state() (capture.Stats, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	total := w.past
	if w.ring != nil {
		if s, err := w.ring.Stats(); err == nil {
			total = add(total, s)
		}
	}
	return total, w.problem
}

func add(a, b capture.Stats) capture.Stats {
	return capture.Stats{Packets: a.Packets + b.Packets, Drops: a.Drops + b.Drops, Freezes: a.Freezes + b.Freezes}
}

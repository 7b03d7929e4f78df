// Package fence tells whether this process surely leads, so that one that was paused does
// not write to the cloud beside its successor: the cloud knows nothing of the lease.
//
// A pause between the check and the write can't be fenced. What comes of that is found by
// its ownership mark.
//
// It may import nothing of ours.
package fence

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// ErrClosed is why a write was not sent: this process can't be sure that it leads.
var ErrClosed = errors.New("the leader lease was not renewed for too long, so another manager may lead by now")

// Fence is open while the lease was renewed a short time ago. Its methods may be called
// from several goroutines.
type Fence struct {
	open  time.Duration
	clock func() time.Time

	mu sync.Mutex
	// renewed is when the last renewal that succeeded began; zero without one.
	renewed time.Time
}

// New returns a closed fence. A renewal opens it for the given time, which has to end so
// long before the lease does that a call to the cloud which began just before it has ended,
// too. The clock's times should have a monotonic reading, as those of time.Now have.
func New(open time.Duration, clock func() time.Time) *Fence { return &Fence{open: open, clock: clock} }

// Check returns ErrClosed, with for how long, unless this process surely leads.
func (f *Fence) Check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.renewed.IsZero() {
		return fmt.Errorf("%w: this one has no lease", ErrClosed)
	}
	now := f.clock()
	// The monotonic clock stands still while a machine sleeps, and the wall clock can be
	// set: the longer of the two counts.
	age := max(now.Sub(f.renewed), now.Round(0).Sub(f.renewed.Round(0)))
	if age >= f.open {
		return fmt.Errorf("%w: the last renewal began %s ago", ErrClosed, age.Round(time.Millisecond))
	}
	return nil
}

// Lock notes the renewals of the lease that lock is for.
func (f *Fence) Lock(lock resourcelock.Interface) resourcelock.Interface {
	return &noted{Interface: lock, fence: f}
}

// hold notes how an attempt to get or keep the lease ended that began at the given time.
func (f *Fence) hold(began time.Time, err error) {
	if err != nil {
		return // what the last success says still holds
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed = began
}

func (f *Fence) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed = time.Time{}
}

type noted struct {
	resourcelock.Interface
	fence *Fence
}

// Create takes a lease that nobody has had.
func (n *noted) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	began := n.fence.clock()
	err := n.Interface.Create(ctx, record)
	n.fence.hold(began, err)
	return err
}

// Update takes, renews or gives up the lease.
func (n *noted) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if record.HolderIdentity != n.Identity() {
		// It is given up: whether the API server heard it or not, others may have it.
		n.fence.close()
		return n.Interface.Update(ctx, record)
	}
	began := n.fence.clock()
	err := n.Interface.Update(ctx, record)
	n.fence.hold(began, err)
	return err
}

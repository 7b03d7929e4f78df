package lab

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// poll calls check every interval until it returns nil, and gives up with what it waited
// for and the last answer when ctx ends or the time is over.
func poll(ctx context.Context, limit, interval time.Duration, what string, check func() error) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		var stop *stopWaiting
		if errors.As(err, &stop) {
			return fmt.Errorf("wait until %s: %w", what, stop.error)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: interrupted; last seen: %w", what, err)
		case <-deadline.C:
			return fmt.Errorf("waited %s until %s, in vain: %w", limit, what, err)
		case <-tick.C:
		}
	}
}

// stopWaiting is an answer that no more waiting will change.
type stopWaiting struct{ error }

package huawei

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"vpcmirror.io/operator/controllers/cloud"
)

// sweepAt is how many limiters may exist before full ones are dropped.
const sweepAt = 256

// limiters holds one limiter per account, shared by all its clients that the cloud has
// accepted, and one for each other client: whoever makes up a key for another's project uses
// up nothing of that one's calls.
type limiters struct {
	perSecond rate.Limit
	burst     int

	mu   sync.Mutex
	byID map[limited]*rate.Limiter
}

// limited is whose calls are counted together.
type limited struct {
	account cloud.Account
	// unproven is that of the one client whose key the cloud has not accepted yet, nil for all others.
	unproven *atomic.Bool
}

func newLimiters(perSecond float64, burst int) *limiters {
	return &limiters{perSecond: rate.Limit(perSecond), burst: burst, byID: map[limited]*rate.Limiter{}}
}

// reserve reserves the account's next call. Finding the limiter and reserving are one
// step under the lock: a limiter that is full is the same as a new one, so dropping it
// changes nothing, unless somebody were about to use it.
func (l *limiters) reserve(whose limited, now time.Time) *rate.Reservation {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter, ok := l.byID[whose]
	if !ok {
		if len(l.byID) >= sweepAt {
			l.sweep(now)
		}
		limiter = rate.NewLimiter(l.perSecond, l.burst)
		l.byID[whose] = limiter
	}
	return limiter.ReserveN(now, 1)
}

func (l *limiters) sweep(now time.Time) {
	for whose, limiter := range l.byID {
		if limiter.TokensAt(now) >= float64(l.burst) {
			delete(l.byID, whose)
		}
	}
}

// busyError means that the limiter's queue is longer than a call may wait.
type busyError struct{ delay time.Duration }

// Error leaves the delay out, which differs each time: the condition that shows it would
// be written anew at each attempt.
func (e *busyError) Error() string {
	return "the operator's own limit of calls to this account is used up for the moment"
}

// wait returns when the account's next call may be sent, and how long that took. It
// refuses at once with a *busyError when that would be after patience or after the end
// of ctx, and with the error of ctx when that ends while it waits.
func (l *limiters) wait(ctx context.Context, whose limited, patience time.Duration) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	now := time.Now()
	reservation := l.reserve(whose, now)
	delay := reservation.DelayFrom(now)
	if delay == 0 {
		return 0, nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, deadline.Sub(now))
	}
	if delay > patience {
		reservation.CancelAt(now)
		return 0, &busyError{delay: delay}
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return delay, nil
	case <-ctx.Done():
		reservation.Cancel()
		return time.Since(now), ctx.Err()
	}
}

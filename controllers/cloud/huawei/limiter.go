package huawei

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/fairqueue"
)

// sweepAt is how many limiters may exist before full ones are dropped.
const sweepAt = 256

// firstHold and longestHold bound for how long an account is not asked whose calls the cloud throttles,
// the former where it does not say for how long.
const firstHold, longestHold = time.Second, 30 * time.Second

// limiters holds one limiter per account, shared by all its clients that the cloud has
// accepted, and one for each other client: whoever makes up a key for another's project uses
// up nothing of that one's calls.
type limiters struct {
	perSecond rate.Limit
	burst     int

	mu   sync.Mutex
	byID map[limited]*limiter
}

// limited is whose calls are counted together.
type limited struct {
	account cloud.Account
	// unproven is that of the one client whose key the cloud has not accepted yet, nil for all others.
	unproven *atomic.Bool
}

// limiter lets the calls of one account pass, who matters most first. The mutex of limiters guards it.
type limiter struct {
	*rate.Limiter
	queue *fairqueue.Queue[*waiter]
	// serving is true while a timer runs that lets the next of the queue pass.
	serving bool
	// holds are, by endpoint, until when the cloud is not to be asked.
	holds map[string]hold
}

// waiter is a call that waits to pass.
type waiter struct {
	rank   rank
	passes chan struct{} // closed when it may
}

// hold is until when a server is not asked, and for how long that was.
type hold struct {
	until time.Time
	lasts time.Duration
}

// rank is how soon a call passes: what somebody has just asked for before what comes again and again,
// and of each writes before reads. The smallest passes first.
type rank int

func rankOf(ctx context.Context, k kind) rank {
	r := rank(2)
	if cloud.UrgencyOf(ctx) == cloud.Edited {
		r = 0
	}
	if k == read {
		r++
	}
	return r
}

// admission is what is asked for a call that wants to pass.
type admission struct {
	whose    limited
	endpoint string
	rank     rank
	// patience is how long it can wait.
	patience time.Duration
}

func newLimiters(perSecond float64, burst int) *limiters {
	return &limiters{perSecond: rate.Limit(perSecond), burst: burst, byID: map[limited]*limiter{}}
}

// of finds the limiter of an account. A limiter that is full, and for which nobody waits, is the same
// as a new one, so dropping it changes nothing. The caller holds the mutex.
func (l *limiters) of(whose limited, now time.Time) *limiter {
	if found, ok := l.byID[whose]; ok {
		return found
	}
	if len(l.byID) >= sweepAt {
		l.sweep(now)
	}
	made := &limiter{
		Limiter: rate.NewLimiter(l.perSecond, l.burst), holds: map[string]hold{},
		queue: fairqueue.New(func(a, b *waiter) bool { return a.rank < b.rank }, nil),
	}
	l.byID[whose] = made
	return made
}

func (l *limiters) sweep(now time.Time) {
	for whose, of := range l.byID {
		for endpoint, h := range of.holds {
			if now.After(h.until.Add(h.lasts)) {
				delete(of.holds, endpoint)
			}
		}
		if of.queue.Len() == 0 && len(of.holds) == 0 && of.TokensAt(now) >= float64(l.burst) {
			delete(l.byID, whose)
		}
	}
}

// charge counts a call with an account's that was made already.
func (l *limiters) charge(whose limited, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of(whose, now).ReserveN(now, 1)
}

// hold keeps everybody of an account from asking a server that has just throttled one of its calls: for
// as long as it said, else for ever longer while it goes on; but never for longer than longestHold. A
// server can throttle one kind of call for an hour, and a deletion must not wait for that: whoever
// got the answer does.
func (l *limiters) hold(whose limited, endpoint string, said time.Duration, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.of(whose, now)
	was := of.holds[endpoint]
	said = min(said, longestHold)
	is := hold{until: now.Add(said), lasts: said}
	switch {
	case now.Before(was.until): // a call that was under way when the other one was throttled
		is = hold{until: laterOf(was.until, is.until), lasts: max(was.lasts, said)}
	case said == 0:
		is.lasts = min(max(2*was.lasts, firstHold), longestHold)
		is.until = now.Add(is.lasts)
	}
	of.holds[endpoint] = is
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// answered notes that a server has answered a call, so that it is not held longer than the first time
// when it throttles again. A hold goes on.
func (l *limiters) answered(whose limited, endpoint string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if of, ok := l.byID[whose]; ok && !now.Before(of.holds[endpoint].until) {
		delete(of.holds, endpoint)
	}
}

// busyError means that a call can't pass as soon as it would have to.
type busyError struct {
	delay time.Duration
	// held is true where the cloud has asked to wait.
	held bool
}

// Error leaves the delay out, which differs each time: the condition that shows it would
// be written anew at each attempt.
func (e *busyError) Error() string {
	if e.held {
		return "the cloud has throttled a call to this account, and asked to wait"
	}
	return "the operator's own limit of calls to this account is used up for the moment"
}

// wait returns when the call may be sent, and how long that took. It
// refuses with a *busyError, at once where that is known, when that would be after patience or after
// the end of ctx, and with the error of ctx when that ends while it waits.
func (l *limiters) wait(ctx context.Context, a admission) (time.Duration, error) {
	began := time.Now()
	if deadline, ok := ctx.Deadline(); ok {
		a.patience = min(a.patience, deadline.Sub(began))
	}
	for {
		if err := ctx.Err(); err != nil {
			return time.Since(began), err
		}
		held, err := l.pass(ctx, a, began)
		if err != nil || held == 0 {
			return time.Since(began), err
		}
		if err := rest(ctx, held); err != nil {
			return time.Since(began), err
		}
	}
}

// pass waits for the call's place in the queue. held is for how long the server must not be asked.
func (l *limiters) pass(ctx context.Context, a admission, began time.Time) (held time.Duration, err error) {
	w, held, err := l.enter(a, began)
	if w == nil {
		return held, err
	}
	inTime, cancel := context.WithDeadline(ctx, began.Add(a.patience))
	defer cancel()
	select {
	case <-w.passes:
		return l.heldFor(a), nil
	case <-inTime.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	of := l.of(a.whose, now)
	switch {
	case !of.queue.Remove(w):
		return 0, nil // it passes at this very moment
	case ctx.Err() != nil:
		return 0, ctx.Err()
	default:
		return 0, &busyError{delay: of.delay(a.rank, now)}
	}
}

// enter lets a call pass at once, gives it a place in the queue, or tells for how long the server must
// not be asked, or why it can't wait.
func (l *limiters) enter(a admission, began time.Time) (place *waiter, held time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	of, left := l.of(a.whose, now), began.Add(a.patience).Sub(now)
	if held := of.holds[a.endpoint].until.Sub(now); held > 0 {
		if held > left {
			return nil, 0, &busyError{delay: held, held: true}
		}
		return nil, held, nil
	}
	if of.queue.Len() == 0 && of.AllowN(now, 1) {
		return nil, 0, nil
	}
	if delay := of.delay(a.rank, now); delay > left {
		return nil, 0, &busyError{delay: delay}
	}
	place = &waiter{rank: a.rank, passes: make(chan struct{})}
	of.queue.Push(place)
	l.serve(of, now)
	return place, 0, nil
}

// heldFor is for how long the call's server must not be asked.
func (l *limiters) heldFor(a admission) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	return max(l.of(a.whose, now).holds[a.endpoint].until.Sub(now), 0)
}

// serve lets pass who may, and comes back when the next one may. The caller holds the mutex.
func (l *limiters) serve(of *limiter, now time.Time) {
	for of.queue.Len() > 0 && of.AllowN(now, 1) {
		if next, ok := of.queue.Pop(); ok {
			close(next.passes)
		}
	}
	if of.serving || of.queue.Len() == 0 {
		return
	}
	of.serving = true
	time.AfterFunc(of.until(1, now), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		of.serving = false
		l.serve(of, time.Now())
	})
}

// delay is about how long a call waits that comes now, where no more come that go before it.
func (l *limiter) delay(r rank, now time.Time) time.Duration {
	return l.until(1+l.queue.Ahead(&waiter{rank: r}), now)
}

// until is after how long so many calls can have passed.
func (l *limiter) until(calls int, now time.Time) time.Duration {
	missing := float64(calls) - l.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return max(time.Duration(missing/float64(l.Limit())*float64(time.Second)), 1)
}

// rest waits for so long, or for the end of ctx.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package credentials

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// The times of a Keeper.
const (
	// issueDeadline bounds one attempt to get keys.
	issueDeadline = 10 * time.Second
	// firstPause and longestPause are how long lies between two attempts that fail; it doubles from one to the next.
	firstPause   = time.Second
	longestPause = time.Minute
	// shortestTerm is between two renewals: whoever issues keys may give the same ones until shortly before they end.
	shortestTerm = time.Second
)

// Renewal is what came of an attempt to get keys.
type Renewal struct {
	// Expires is when the keys in force end; zero where there are none.
	Expires time.Time
	// Again is when the next attempt is due.
	Again time.Time
	// Err is why there are no new ones.
	Err error
}

// Keeper keeps temporary keys in force. Long before they end it gets others, one attempt at a time, whoever asks; while
// that fails, those that it has are used to their end. Whoever asks gets one set of keys that belong together: a Keeper
// never changes what it gave. Make it with NewKeeper.
type Keeper struct {
	origin string // in words, such as "the metadata service"
	issue  cloud.Issuer
	told   func(Renewal)

	mu      sync.Mutex
	keys    cloud.Keys
	due     time.Time     // when the next attempt is due
	failure error         // of the last attempt
	pause   time.Duration // after the last attempt, if it failed
	ended   chan struct{} // closed at the end of the attempt that is under way; nil for none
}

var _ cloud.KeySource = (*Keeper)(nil)

// NewKeeper has no keys yet. origin says in words who issues them; told hears of each attempt, nil for nobody.
func NewKeeper(origin string, issue cloud.Issuer, told func(Renewal)) *Keeper {
	if told == nil {
		told = func(Renewal) {}
	}
	return &Keeper{origin: origin, issue: issue, told: told}
}

// Keys gives keys that are in force. It waits only where there are none, and for one attempt at the most: that none can
// be had is an *Error with the reason Unavailable, which says why.
func (k *Keeper) Keys(ctx context.Context) (cloud.Keys, error) {
	keys, wait, err := k.take(ctx)
	if wait == nil {
		return keys, err
	}
	select {
	case <-wait:
	case <-ctx.Done():
		return cloud.Keys{}, k.unavailable(ctx.Err())
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.inForce(time.Now()) {
		return k.keys, nil
	}
	return cloud.Keys{}, k.unavailable(k.failure)
}

// take gives what there is, or what to wait for. It begins an attempt that is due.
func (k *Keeper) take(ctx context.Context) (cloud.Keys, <-chan struct{}, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if k.ended == nil && !now.Before(k.due) {
		k.ended = make(chan struct{})
		// It is for all who ask, and doesn't end with the one that came first.
		go k.renew(context.WithoutCancel(ctx))
	}
	switch {
	case k.inForce(now):
		return k.keys, nil, nil
	case k.ended != nil:
		return cloud.Keys{}, k.ended, nil
	default:
		return cloud.Keys{}, nil, k.unavailable(k.failure)
	}
}

func (k *Keeper) inForce(now time.Time) bool {
	return k.keys.AccessKey != "" && now.Before(k.keys.Expires)
}

// renew makes one attempt.
func (k *Keeper) renew(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, issueDeadline)
	defer cancel()
	keys, err := k.issue(ctx)
	now := time.Now()
	if err == nil && !now.Before(keys.Expires) {
		err = errors.New("the keys that it gives have expired already: compare its clock with that of this machine")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failure = err
	if err == nil {
		k.keys, k.pause = keys, 0
		k.due = now.Add(term(keys.Expires.Sub(now)))
	} else {
		k.pause = min(max(2*k.pause, firstPause), longestPause)
		k.due = now.Add(k.pause)
	}
	close(k.ended)
	k.ended = nil
	r := Renewal{Again: k.due, Err: err}
	if k.inForce(now) {
		r.Expires = k.keys.Expires
	}
	k.told(r)
}

// term is how long keys are used that are in force for so long, before others are got: two thirds. A third is for an
// issuer that is away. Of keys that are given again as they were, ever less is left, and so they are asked for ever sooner.
func term(left time.Duration) time.Duration { return max(left/3*2, shortestTerm) }

// Refused renews keys that the cloud took no longer, unless others are there by now. Between two attempts lies
// at least firstPause: keys that are refused as soon as they are issued must not make a storm.
func (k *Keeper) Refused(keys cloud.Keys) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys != keys || k.failure != nil {
		return
	}
	if soon := time.Now().Add(firstPause); k.due.After(soon) {
		k.due = soon
	}
}

// unavailable is the error for whoever needs keys when there are none.
func (k *Keeper) unavailable(cause error) error {
	why := "the answer takes too long"
	if cause != nil && !errors.Is(cause, context.DeadlineExceeded) && !errors.Is(cause, context.Canceled) {
		why = cause.Error()
	}
	return &Error{Reason: Unavailable, Cause: cause, Message: fmt.Sprintf("%s gives no keys: %s; it is asked again by itself", k.origin, why)}
}

// Run keeps the keys in force until ctx ends, though nobody asks for them.
func (k *Keeper) Run(ctx context.Context) error {
	for {
		// That there are none is told by renew.
		_, _ = k.Keys(ctx)
		k.mu.Lock()
		wait, ended := time.Until(k.due), k.ended
		k.mu.Unlock()
		timer := time.NewTimer(max(wait, 0))
		if ended != nil { // an attempt is under way, and sets another time
			timer.Stop()
			timer = time.NewTimer(issueDeadline)
		}
		select {
		case <-timer.C:
		case <-ended: // nil blocks
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
}

package status

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Pace lets so many sums a second be refreshed as the verifiers may report, however many have been
// told of at once, as when a manager begins that was away. It holds up nothing but numbers that move:
// see Refreshes. Nobody is passed over, and each waits at most for as long as all others take. The zero
// value is ready.
type Pace struct {
	mu sync.Mutex
	// next is when the next free turn is, and turns are those that were given and are not taken.
	next  time.Time
	turns map[types.UID]time.Time
}

// betweenRefreshes is the time from one turn to the next, and refreshesAtOnce are so many that a
// second's worth of them is written without waiting.
const (
	betweenRefreshes = time.Second / v1alpha1.ClusterReportsPerSecond
	refreshesAtOnce  = v1alpha1.ClusterReportsPerSecond
)

// Wait is how long the sum of a session has to wait before it is refreshed, 0 when that may be done now.
func (p *Pace) Wait(uid types.UID, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if turn, given := p.turns[uid]; given {
		if now.Before(turn) {
			return turn.Sub(now)
		}
		delete(p.turns, uid)
		return 0
	}
	if earliest := now.Add(-refreshesAtOnce * betweenRefreshes); p.next.Before(earliest) {
		p.next = earliest
	}
	p.next = p.next.Add(betweenRefreshes)
	if !p.next.After(now) {
		return 0
	}
	if p.turns == nil {
		p.turns = map[types.UID]time.Time{}
	}
	p.turns[uid] = p.next
	return p.next.Sub(now)
}

// Forget gives back the turn of a session that is gone, or whose status was written for another reason.
func (p *Pace) Forget(uid types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.turns, uid)
}

// Refreshes reports whether the status of after differs from that of before in nothing but numbers of
// status.traffic that have moved on. What comes for the first time, and whatever else is different,
// somebody waits for.
func Refreshes(before, after Object) bool {
	was, ok1 := before.(*v1alpha1.MirrorSession)
	is, ok2 := after.(*v1alpha1.MirrorSession)
	if !ok1 || !ok2 || was.Status.Traffic == nil || is.Status.Traffic == nil {
		return false
	}
	if !movesOn(was.Status.Traffic, is.Status.Traffic) {
		return false
	}
	without := *was
	without.Status.Traffic = is.Status.Traffic
	return Same(&without, after)
}

// movesOn reports whether the same things were counted, however often.
func movesOn(t, u *v1alpha1.Traffic) bool {
	switch {
	case !sameOutcomes(t.Counts, u.Counts), (t.InEpoch == nil) != (u.InEpoch == nil), t.InEpoch != nil && !sameOutcomes(*t.InEpoch, *u.InEpoch):
		return false
	case len(t.Rules) != len(u.Rules), !slices.EqualFunc(t.Sources, u.Sources, sameSource):
		return false
	case t.FirstPacketAt == nil, u.FirstPacketAt == nil, !t.FirstPacketAt.Equal(u.FirstPacketAt):
		return false
	default:
		return alike(&t.Since, &u.Since) && alike(&t.Retired, &u.Retired)
	}
}

// sameOutcomes reports whether the same things were counted, however often.
func sameOutcomes(a, b v1alpha1.Counts) bool {
	return !a.Any(b, func(mine, theirs int64) bool { return (mine > 0) != (theirs > 0) })
}

// sameSource reports whether of a source the same things were counted, however often.
func sameSource(a, b v1alpha1.SourceCounts) bool {
	return a.InterfaceID == b.InterfaceID && a.Address == b.Address && (a.Packets > 0) == (b.Packets > 0) &&
		(a.Unexpected > 0) == (b.Unexpected > 0) && (a.Truncated > 0) == (b.Truncated > 0)
}

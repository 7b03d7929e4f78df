package report

import (
	"math/rand/v2"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
)

const (
	// Level is the shortest time between two writes for one session that only move
	// numbers.
	Level = 15 * time.Second
	// clusterWrites is how many such writes the API server gets from all verifiers
	// together, per second.
	clusterWrites = 50
	// Silence is after how long without a packet a stream counts as silent; the last
	// counts are then written at once.
	Silence = 3 * time.Second
)

// Interval is the time between two writes for one session that only move numbers, when
// the cluster has so many sessions.
func Interval(sessions int) time.Duration {
	return max(Level, time.Duration(sessions)*time.Second/clusterWrites)
}

// Pace decides for one session when its entry is worth a write. It is not safe for
// concurrent use.
type Pace struct {
	written   v1alpha1.Verification
	writtenAt time.Time
	// due is when the next write that only moves numbers may come.
	due time.Time
	// silence is when the last write because of silence was; such writes are no more
	// frequent than the others.
	silence time.Time
}

// Due says whether the entry is to be written now: at once when it is the first one,
// when a kind of packet comes for the first time, when drops begin, when the message
// changes, and when a stream falls silent; else when the interval has passed and
// there is something new.
func (p *Pace) Due(now time.Time, entry v1alpha1.Verification, interval time.Duration) bool {
	switch {
	case p.writtenAt.IsZero():
		return true
	case same(p.written, entry):
		return false
	case edge(p.written, entry):
		return true
	case entry.LastPacketAt != nil && now.Sub(entry.LastPacketAt.Time) >= Silence && now.Sub(p.silence) >= interval:
		p.silence = now
		return true
	default:
		return !now.Before(p.due)
	}
}

// Written notes that the entry was stored.
func (p *Pace) Written(now time.Time, entry v1alpha1.Verification, interval time.Duration) {
	p.written, p.writtenAt = entry, now
	// Up to a tenth earlier, so that sessions that began together don't stay together.
	p.due = now.Add(interval - rand.N(interval/10))
}

// Last is when the entry was last stored; zero for never.
func (p *Pace) Last() time.Time { return p.writtenAt }

// Differs says whether the entry tells anything that is not stored yet.
func (p *Pace) Differs(entry v1alpha1.Verification) bool {
	return p.writtenAt.IsZero() || !same(p.written, entry)
}

// same compares what a reader could act on: an entry that differs only in when it was
// looked at is the same.
func same(a, b v1alpha1.Verification) bool {
	return a.Counts == b.Counts && a.Interface == b.Interface && a.Message == b.Message
}

// edge says whether something began, or what is wrong changed.
func edge(was, is v1alpha1.Verification) bool {
	began := func(was, is int64) bool { return was == 0 && is > 0 }
	return began(was.Packets, is.Packets) || began(was.Unexpected, is.Unexpected) ||
		began(was.Undecided, is.Undecided) || began(was.ForeignSource, is.ForeignSource) ||
		began(was.Dropped, is.Dropped) || was.Message != is.Message || was.Interface != is.Interface
}

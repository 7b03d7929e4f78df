package report

import (
	"math/rand/v2"
	"slices"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
)

const (
	// Level is the shortest time between two writes for one session that only move
	// numbers. It is also the shortest time between two writes because the epoch has changed,
	// between two because the consumer has, and between two because something else has that can
	// change again and again: message, interface, the other claimants, sources, rules.
	Level = v1alpha1.ReportInterval
	// Silence is after how long without a packet a stream counts as silent; its last
	// counts are then written at once.
	Silence = v1alpha1.ReportSilence
	// silenceInterval is the shortest time between two writes because a stream fell silent:
	// one that pauses every few seconds is not written at each pause. It is a second less
	// than Level, because a stream's last counts must be written within Level after its last
	// packet, and the write itself takes time.
	silenceInterval = Level - time.Second
)

// Interval is the time between two writes for one session that only move numbers, when
// the cluster has so many sessions.
func Interval(sessions int) time.Duration { return v1alpha1.ReportEvery(sessions) }

// Urgency is how much an entry is worth a write now.
type Urgency int

const (
	// Nothing is to be written.
	Nothing Urgency = iota
	// Numbers have moved, and the interval has passed.
	Numbers
	// Edge is something that a reader waits for: it goes before all numbers.
	Edge
)

// Pace decides for one session when its entry is worth a write. The zero value has
// written nothing yet. It is not safe for concurrent use.
type Pace struct {
	// written is the entry that was written last, and at when.
	written v1alpha1.Verification
	at      time.Time
	// from is where the interval to the next write that only moves numbers begins: when the
	// last entry was written, or somewhat later.
	from time.Time
	// silence is when an entry was last written because of silence, epoch when one of another
	// epoch was, consumer when one with another verdict about the consumer was, and change when
	// one that differed in more than numbers.
	silence, epoch, consumer, change time.Time
}

// Due returns how urgent a write of the entry is: an edge when it is the first one, when a
// kind of packet comes for the first time, or for the first time in an epoch, when drops
// begin, when the epoch, the verdict about the consumer, message, interface, other claimants,
// sources or rules change, and when a stream falls silent; else numbers, when the interval has passed and there is
// something new. Asking changes nothing.
func (p *Pace) Due(now time.Time, entry v1alpha1.Verification, interval time.Duration) Urgency {
	edge, soon := p.edgeAt(entry)
	switch {
	case soon && !now.Before(edge):
		return Edge
	case !p.Differs(entry), now.Before(p.from.Add(interval)):
		return Nothing
	default:
		return Numbers
	}
}

// Next is when the entry will be due, if nothing else changes until then; false for never. A time
// that has passed means that it is due.
func (p *Pace) Next(entry v1alpha1.Verification, interval time.Duration) (at time.Time, ever bool) {
	edge, soon := p.edgeAt(entry)
	if !soon && !p.Differs(entry) {
		return time.Time{}, false
	}
	at = p.from.Add(interval)
	if soon && edge.Before(at) {
		at = edge
	}
	return at, true
}

// edgeAt is when the entry will be an edge, if nothing else changes until then; false for never.
func (p *Pace) edgeAt(entry v1alpha1.Verification) (at time.Time, ever bool) {
	switch {
	case p.at.IsZero():
		return time.Time{}, true
	case !p.Differs(entry):
		return time.Time{}, false
	case began(p.written.Counts, entry.Counts), p.written.Epoch == entry.Epoch && began(inEpoch(&p.written), inEpoch(&entry)):
		return time.Time{}, true
	}
	consider := func(differs bool, when time.Time) {
		if differs && (!ever || when.Before(at)) {
			at, ever = when, true
		}
	}
	consider(p.written.Epoch != entry.Epoch, p.epoch.Add(Level))
	consider(otherConsumer(&p.written, &entry), p.consumer.Add(Level))
	consider(p.changed(entry), p.change.Add(Level))
	silence, falls := p.silentAt(entry)
	consider(falls, silence)
	return at, ever
}

// Written notes that the entry was stored.
func (p *Pace) Written(now time.Time, entry v1alpha1.Verification, interval time.Duration) {
	if p.at.IsZero() || p.changed(entry) {
		p.change = now
	}
	if !p.at.IsZero() && p.written.Epoch != entry.Epoch {
		p.epoch = now
	}
	if otherConsumer(&p.written, &entry) {
		p.consumer = now
	}
	if at, falls := p.silentAt(entry); falls && !now.Before(at) {
		p.silence = now
	}
	p.written, p.at = entry, now
	// Up to a tenth later, so that sessions that began together don't stay together.
	p.from = now.Add(rand.N(interval/10 + 1))
}

// Last is when the entry was last stored; zero for never.
func (p *Pace) Last() time.Time { return p.at }

// Differs reports whether the entry holds anything that is not stored yet. An entry that
// differs only in when it was observed does not.
func (p *Pace) Differs(entry v1alpha1.Verification) bool {
	was := &p.written
	return p.at.IsZero() || p.changed(entry) || otherConsumer(was, &entry) || was.ForeignSender != entry.ForeignSender || was.Imbalance != entry.Imbalance ||
		!v1alpha1.TalliesOf(was).Equal(v1alpha1.TalliesOf(&entry))
}

// changed reports whether more has changed than numbers. Who is the foreign sender can change
// with each packet: it goes with the numbers.
func (p *Pace) changed(entry v1alpha1.Verification) bool {
	was := &p.written
	return was.Message != entry.Message || was.Shared != entry.Shared || was.Interface != entry.Interface || was.Ended != entry.Ended ||
		(was.Imbalance == 0) != (entry.Imbalance == 0) || !sameLists(was, &entry)
}

// otherConsumer reports whether two entries say different things about what takes the copies.
// The names and numbers in the texts go with the next write.
func otherConsumer(a, b *v1alpha1.Verification) bool {
	if a.Consumer == nil || b.Consumer == nil {
		return a.Consumer != b.Consumer
	}
	return a.Consumer.Status != b.Consumer.Status || a.Consumer.Reason != b.Consumer.Reason
}

// sameLists reports whether two entries have counts of the same sources and rules.
func sameLists(a, b *v1alpha1.Verification) bool {
	return slices.EqualFunc(a.Sources, b.Sources, func(a, b v1alpha1.SourceCounts) bool {
		return a.InterfaceID == b.InterfaceID && a.Address == b.Address
	}) && slices.EqualFunc(a.Rules, b.Rules, func(a, b v1alpha1.RuleCounts) bool {
		return a.Direction == b.Direction && a.Priority == b.Priority
	})
}

// inEpoch are the counts of the entry's epoch.
func inEpoch(e *v1alpha1.Verification) v1alpha1.Counts {
	if e.InEpoch == nil {
		return v1alpha1.Counts{}
	}
	return *e.InEpoch
}

// silentAt is when the session's own packets count as stopped, and some of them are not written
// yet; false where they are.
func (p *Pace) silentAt(entry v1alpha1.Verification) (at time.Time, ever bool) {
	if entry.LastPacketAt == nil || own(p.written.Counts) == own(entry.Counts) {
		return time.Time{}, false
	}
	at = entry.LastPacketAt.Add(Silence)
	if rested := p.silence.Add(silenceInterval); rested.After(at) {
		at = rested
	}
	return at, true
}

// own are the packets that came from the session's own sources.
func own(c v1alpha1.Counts) int64 { return c.Packets + c.Unexpected + c.Undecided }

// began reports whether something is counted for the first time.
func began(was, is v1alpha1.Counts) bool {
	return is.Any(was, func(is, was int64) bool { return was == 0 && is > 0 })
}

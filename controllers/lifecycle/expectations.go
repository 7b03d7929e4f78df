package lifecycle

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
)

// Timing is how long the cloud may take. Tests shorten it.
type Timing struct {
	// CallDeadline bounds a call to the cloud: a write without an answer may reach it so
	// long after we gave up.
	CallDeadline time.Duration
	// Lag is how far reads of the cloud may be behind its writes.
	Lag time.Duration
	// Recheck is when an object is compared with the cloud once more after a write without
	// an answer.
	Recheck time.Duration
}

// DefaultTiming is for the real cloud.
var DefaultTiming = Timing{CallDeadline: 4 * time.Second, Lag: inventory.Lag, Recheck: 30 * time.Second}

// unsettled is how long after its end a write without an answer may still show no effect.
func (t Timing) unsettled() time.Duration { return t.CallDeadline + t.Lag }

// PartKey names one part of one object; parts are numbered from 1.
type PartKey struct {
	UID  types.UID
	Part int
}

// Expectations keep for each part since when the cloud may have something of it whose ID
// is in no status. A create has no idempotency token, so before another one its effect is
// looked for, in a list that is recent enough to show it.
//
// They are this process's memory. What an earlier process may have done is expected until
// so long after this one began to lead that its effect would show.
type Expectations struct {
	clock  cloud.Clock
	timing Timing

	mu sync.Mutex
	// began is when this process was first asked, as the leader; zero before.
	began time.Time
	parts map[PartKey]expectation
	// surplus has when a second object of a part was seen first.
	surplus map[PartKey]time.Time
	// written are the parts that were changed a short time ago, swept at swept.
	written map[PartKey]written
	swept   time.Time
	// rechecks are the objects that are to be compared with the cloud once more.
	rechecks map[types.UID]recheck
	// claimed are the objects that had no finalizer until this process stored it: nobody before it has made
	// anything of them.
	claimed map[types.UID]bool
}

// expectation is what is known of a part whose ID is not in the status, or wrong there.
type expectation struct {
	// found is the earliest begin of a list that can show it, absent that of one which
	// surely does.
	found, absent time.Time
	// unanswered is true once a create has ended of which nobody knows whether it made something.
	unanswered bool
}

// recheck is when an object is to be compared, and whether for a write without an answer.
type recheck struct {
	at         time.Time
	unanswered bool
}

// written is a change of a part that this process has made.
type written struct {
	// at is when it had ended, and left what the cloud had then, empty where that is not known.
	at   time.Time
	left string
	// deleted is the ID of what was deleted, empty for any other change.
	deleted string
}

// NewExpectations expect nothing yet.
func NewExpectations(clock cloud.Clock, timing Timing) *Expectations {
	return &Expectations{clock: clock, timing: timing, parts: make(map[PartKey]expectation), surplus: make(map[PartKey]time.Time), written: make(map[PartKey]written), rechecks: make(map[types.UID]recheck), claimed: make(map[types.UID]bool)}
}

// ExpectCreation notes that a create begins. It holds until CreationObserved.
func (e *Expectations) ExpectCreation(key PartKey) {
	now := e.clock()
	e.raise(key, now.Add(1), now.Add(e.timing.CallDeadline+e.timing.unsettled()), false)
}

// CreationEnded notes how a create ended that gave no ID: refused says that it surely made
// nothing.
func (e *Expectations) CreationEnded(key PartKey, refused bool) {
	now := e.clock()
	if !refused {
		e.raise(key, time.Time{}, now.Add(e.timing.unsettled()), true)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.parts, key)
}

// ExpectAbsence notes that a read said that the part whose ID was stored is gone. One read
// can be wrong: a list that begins after it has to agree before another one is made.
func (e *Expectations) ExpectAbsence(key PartKey) {
	after := e.clock().Add(1)
	e.raise(key, after, after, false)
}

// raise makes what is expected of a part no weaker than given.
func (e *Expectations) raise(key PartKey, found, absent time.Time, unanswered bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.parts[key]
	e.parts[key] = expectation{found: later(was.found, found), absent: later(was.absent, absent), unanswered: was.unanswered || unanswered}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// CreationObserved notes that the status has the ID of what the cloud has.
func (e *Expectations) CreationObserved(key PartKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.parts, key)
}

// forget drops what is expected of an object that is gone.
func (e *Expectations) forget(uid types.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key := range e.parts {
		if key.UID == uid {
			delete(e.parts, key)
		}
	}
	for key := range e.surplus {
		if key.UID == uid {
			delete(e.surplus, key)
		}
	}
	for key := range e.written {
		if key.UID == uid {
			delete(e.written, key)
		}
	}
	delete(e.rechecks, uid)
	delete(e.claimed, uid)
}

// Claimed notes that this process is the first that makes something of an object, whose finalizer it has just stored.
func (e *Expectations) Claimed(uid types.UID) {
	now := e.clock()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.begin(now)
	if now.Before(e.began.Add(e.timing.unsettled())) { // later nothing of an earlier process is awaited anyway
		e.claimed[uid] = true
	}
}

// Written notes that this process has just changed a part, and what the cloud has of it since, as text; empty for not known. Of
// what it has had of it before, reads may tell for Timing.Lag.
func (e *Expectations) Written(key PartKey, left string) { e.wrote(key, written{left: left}) }

// Deleted notes that this process has just deleted what the cloud had of a part.
func (e *Expectations) Deleted(key PartKey, id string) { e.wrote(key, written{deleted: id}) }

func (e *Expectations) wrote(key PartKey, what written) {
	now := e.clock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if now.Sub(e.swept) > e.timing.unsettled() { // nobody asks for older ones
		e.swept = now
		maps.DeleteFunc(e.written, func(_ PartKey, w written) bool { return now.Sub(w.at) > e.timing.unsettled() })
	}
	what.at = now
	e.written[key] = what
}

// HasDeleted reports whether the last change of a part, a short time ago, was to delete what has the ID: it is no wonder that it is
// not found, whatever was read meanwhile.
func (e *Expectations) HasDeleted(key PartKey, id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return id != "" && e.written[key].deleted == id
}

// Unshown is for how long a read that shows a part so may be of before what this process has changed of it. Not above
// zero for one that shows what the last change left.
func (e *Expectations) Unshown(key PartKey, shows string) time.Duration {
	now := e.clock()
	e.mu.Lock()
	defer e.mu.Unlock()
	last, is := e.written[key]
	if !is || last.left != "" && last.left == shows {
		return 0
	}
	return last.at.Add(e.timing.Lag).Sub(now)
}

// Settles is for how long what this process has written for an object may yet have no effect; not above zero once it
// has, or where nothing was written.
func (e *Expectations) Settles(uid types.UID) time.Duration {
	now := e.clock()
	e.mu.Lock()
	defer e.mu.Unlock()
	var last time.Time
	for key, w := range e.written {
		if key.UID == uid {
			last = later(last, w.at)
		}
	}
	return last.Add(e.timing.unsettled()).Sub(now)
}

// SurplusSeen notes that a list shows a second object of a part.
func (e *Expectations) SurplusSeen(key PartKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.surplus[key] = e.clock()
}

// SurplusSince is the earliest begin of a list that can confirm a second object of a part,
// zero when none was seen.
func (e *Expectations) SurplusSince(key PartKey) (since time.Time, seen bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, seen := e.surplus[key]
	if !seen {
		return time.Time{}, false
	}
	return at.Add(e.timing.Lag), true
}

// SurplusGone notes that a part has no second object.
func (e *Expectations) SurplusGone(key PartKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.surplus, key)
}

// Freshness is the earliest begin of a list in which the part can be looked for, and
// whether its absence from such a list is conclusive by now. owned is true for an object
// that has our finalizer: an earlier process may have created something of it, or changed
// it a moment ago. Without the finalizer there is nothing that a list could miss.
func (e *Expectations) Freshness(key PartKey, owned bool) (since time.Time, conclusive bool) {
	now := e.clock()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.begin(now)
	if !owned {
		return time.Time{}, true
	}
	expected := e.parts[key]
	absent := expected.absent
	if !e.claimed[key.UID] {
		absent = later(absent, e.began.Add(e.timing.unsettled()))
	}
	if now.Before(absent) {
		return expected.found, false
	}
	return absent, true
}

// FreshnessOfAll is that of a list in which every part of an object can be looked for, whatever their numbers.
func (e *Expectations) FreshnessOfAll(uid types.UID, owned bool) (since time.Time, conclusive bool) {
	since, conclusive = e.Freshness(PartKey{UID: uid, Part: 1}, owned)
	for _, number := range e.expected(uid) {
		of, is := e.Freshness(PartKey{UID: uid, Part: number}, owned)
		since, conclusive = later(since, of), conclusive && is
	}
	return since, conclusive
}

// expected are the numbers of the parts of an object of which something is expected.
func (e *Expectations) expected(uid types.UID) (numbers []int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key := range e.parts {
		if key.UID == uid {
			numbers = append(numbers, key.Part)
		}
	}
	return numbers
}

// begin notes when this process was first asked. The caller holds the mutex.
func (e *Expectations) begin(now time.Time) {
	if e.began.IsZero() {
		e.began = now
	}
}

// Inherited is about writes that an earlier process may have made without an answer: until
// is how long it takes until every object is to be compared once with a list that shows
// their effects, which begins at or after shown. Not above zero when that is due.
func (e *Expectations) Inherited() (shown time.Time, until time.Duration) {
	now := e.clock()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.begin(now)
	return e.began.Add(e.timing.unsettled()), e.began.Add(e.timing.Recheck).Sub(now)
}

// Behind is for how long reads may not yet show what an earlier process has written; not above
// zero once they do.
func (e *Expectations) Behind() time.Duration {
	now := e.clock()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.begin(now)
	return e.began.Add(e.timing.Lag).Sub(now)
}

// Latest is the earliest begin of a list that can show what every create has made that ended
// without an answer, and must show it where that is possible by now; zero when there is none. A
// create that is under way has its numbers reserved.
func (e *Expectations) Latest() time.Time {
	now := e.clock()
	e.mu.Lock()
	defer e.mu.Unlock()
	var latest time.Time
	for _, expected := range e.parts {
		switch {
		case !expected.unanswered:
		case now.Before(expected.absent):
			latest = later(latest, expected.found)
		default:
			latest = later(latest, expected.absent)
		}
	}
	return latest
}

// WriteUnanswered notes that a write for an object had no answer: its effect may still
// come, over whatever is written meanwhile.
func (e *Expectations) WriteUnanswered(uid types.UID) { e.compareOnceMore(uid, true) }

// WroteOver notes that a write for an object came right after another one, whose effect may
// still come, over it.
func (e *Expectations) WroteOver(uid types.UID) { e.compareOnceMore(uid, false) }

func (e *Expectations) compareOnceMore(uid types.UID, unanswered bool) {
	at := e.clock().Add(e.timing.Recheck)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rechecks[uid] = recheck{at: at, unanswered: unanswered || e.rechecks[uid].unanswered}
}

// Recheck returns how long it takes until an object is to be compared with the cloud once
// more; not above zero where that is due. ok is false when nothing is awaited.
func (e *Expectations) Recheck(uid types.UID) (in time.Duration, ok bool) {
	now := e.clock()
	e.mu.Lock()
	defer e.mu.Unlock()
	due, ok := e.rechecks[uid]
	return due.at.Sub(now), ok
}

// Unanswered is Recheck for a write without an answer alone: one that has made something more
// than the status knows, maybe.
func (e *Expectations) Unanswered(uid types.UID) (in time.Duration, ok bool) {
	now := e.clock()
	e.mu.Lock()
	defer e.mu.Unlock()
	due := e.rechecks[uid]
	return due.at.Sub(now), due.unanswered
}

// Rechecked notes that the comparison was made that was due.
func (e *Expectations) Rechecked(uid types.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.rechecks, uid)
}

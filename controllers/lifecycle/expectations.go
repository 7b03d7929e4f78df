package lifecycle

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
)

// PartKey names one part of one object; parts are numbered from 1.
type PartKey struct {
	UID  types.UID
	Part int
}

// Expectations keep for each part since when the cloud may have something of it whose ID
// is in no status: the begin of the last create, or of the search for it. A create has no
// idempotency token, so before another one its effect is looked for, in a list that is
// recent enough to show it.
//
// They are this process's memory. What an earlier process may have created is expected
// from the first question on, see Freshness.
type Expectations struct {
	clock cloud.Clock

	mu    sync.Mutex
	parts map[PartKey]expectation
}

// expectation is a create whose outcome is not in the object's status.
type expectation struct {
	since time.Time
	// refused is true when that create surely made nothing.
	refused bool
}

// NewExpectations expect nothing yet.
func NewExpectations(clock cloud.Clock) *Expectations {
	return &Expectations{clock: clock, parts: make(map[PartKey]expectation)}
}

// ExpectCreation notes that a create begins. It holds until CreationObserved.
func (e *Expectations) ExpectCreation(key PartKey) { e.set(key, false) }

// CreationRefused notes that the expected create surely made nothing.
func (e *Expectations) CreationRefused(key PartKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if was, ok := e.parts[key]; ok {
		e.parts[key] = expectation{since: was.since, refused: true}
	}
}

// ExpectAbsence notes that a read said that the part whose ID was stored is gone. One read
// can be wrong: a list that begins after it has to agree before another one is made.
func (e *Expectations) ExpectAbsence(key PartKey) { e.set(key, true) }

// CreationObserved notes that the status has the ID of what the cloud has, or that there
// is no object any more that could have one.
func (e *Expectations) CreationObserved(key PartKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.parts, key)
}

// forget drops what is expected of all parts of an object.
func (e *Expectations) forget(uid types.UID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key := range e.parts {
		if key.UID == uid {
			delete(e.parts, key)
		}
	}
}

func (e *Expectations) set(key PartKey, refused bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.parts[key] = expectation{since: e.clock(), refused: refused}
}

// Freshness is the earliest begin of a list in which the part can be looked for, and
// whether its absence from such a list is conclusive by now: reads may lag behind a create.
// bound is true for an object whose status names an account: it may have been created by a
// manager that was stopped before it could store the ID.
func (e *Expectations) Freshness(key PartKey, bound bool) (since time.Time, conclusive bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	expected, ok := e.parts[key]
	switch {
	case ok:
	case !bound:
		return time.Time{}, true
	default:
		expected = expectation{since: e.clock()}
		e.parts[key] = expected
	}
	return expected.freshness(e.clock())
}

// freshness decides Freshness at the time now.
func (e expectation) freshness(now time.Time) (since time.Time, conclusive bool) {
	found := e.since.Add(1)
	absent := found
	if !e.refused {
		absent = e.since.Add(inventory.Lag)
	}
	if now.Before(absent) {
		return found, false
	}
	return absent, true
}

// Latest is the earliest begin of a list that shows what every expected create has made,
// zero when none is expected.
func (e *Expectations) Latest() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	var latest time.Time
	for _, expected := range e.parts {
		if after := expected.since.Add(1); after.After(latest) {
			latest = after
		}
	}
	return latest
}

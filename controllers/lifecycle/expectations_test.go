package lifecycle

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/inventory"
)

// freshness is what Freshness returns.
type freshness struct {
	Since      time.Time
	Conclusive bool
}

func TestAListForAnEarlierCreationBeginsAfterTheLastAttempt(t *testing.T) {
	now := noon
	e := NewExpectations(func() time.Time { return now })
	own, other, second := PartKey{"u", 1}, PartKey{"other", 1}, PartKey{"u", 2}
	ask := func(key PartKey, bound bool) freshness {
		since, conclusive := e.Freshness(key, bound)
		return freshness{since, conclusive}
	}
	same(t, "without an attempt", freshness{time.Time{}, true}, ask(own, false))
	e.ExpectCreation(own)
	same(t, "after one without an answer", freshness{noon.Add(1), false}, ask(own, false))
	same(t, "for another object", freshness{time.Time{}, true}, ask(other, false))
	same(t, "for another part", freshness{time.Time{}, true}, ask(second, false))
	same(t, "for numbers that all share", noon.Add(1), e.Latest())
	now = noon.Add(inventory.Lag)
	same(t, "once reads can't lag any more", freshness{now, true}, ask(own, false))

	now = noon
	e.CreationRefused(own)
	same(t, "after a refusal", freshness{noon.Add(1), false}, ask(own, false))
	now = noon.Add(1)
	same(t, "a moment after a refusal", freshness{noon.Add(1), true}, ask(own, false))
	e.CreationObserved(own)
	same(t, "once the ID is stored", freshness{time.Time{}, true}, ask(own, false))
	same(t, "for numbers, once all IDs are stored", time.Time{}, e.Latest())

	now = noon
	same(t, "of an object that another manager may have created", freshness{noon.Add(1), false}, ask(other, true))
	e.forget("other")
	same(t, "of an object that is gone", freshness{time.Time{}, true}, ask(other, false))
}

// What is expected at any time follows from the calls alone: absence is believed only in
// a list that began after the last of them, and after the lag where a create may have had
// an effect.
func TestAbsenceIsNeverBelievedBeforeAnExpectedCreationCouldBeSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := noon
		e := NewExpectations(func() time.Time { return now })
		key := PartKey{"u", 1}
		var last time.Time // of a create or a search whose outcome is not stored
		var effect bool
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*inventory.Lag)).Draw(t, "pause")))
			switch rapid.SampledFrom([]string{"create", "refused", "observed", "absent"}).Draw(t, "step") {
			case "create":
				e.ExpectCreation(key)
				last, effect = now, true
			case "refused":
				e.CreationRefused(key)
				effect = false
			case "observed":
				e.CreationObserved(key)
				last = time.Time{}
			case "absent":
				e.ExpectAbsence(key)
				last, effect = now, false
			}
			since, conclusive := e.Freshness(key, false)
			switch {
			case last.IsZero():
				if !since.IsZero() || !conclusive {
					t.Fatalf("nothing is expected, and a list since %s is asked for", since)
				}
			case !since.After(last):
				t.Fatalf("a list since %s may miss what began at %s", since, last)
			case conclusive && effect && since.Before(last.Add(inventory.Lag)):
				t.Fatalf("absence is believed %s after a create", since.Sub(last))
			case conclusive && now.Before(since):
				t.Fatal("a list of the future is believed")
			}
		}
	})
}

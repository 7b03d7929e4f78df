package lifecycle

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// quick is a cloud that answers within 4 s and whose reads are at most 5 s old.
var quick = Timing{CallDeadline: 4 * time.Second, Lag: 5 * time.Second, Recheck: 30 * time.Second}

// freshness is what Freshness returns.
type freshness struct {
	Since      time.Time
	Conclusive bool
}

func TestAListForAnEarlierCreationBeginsAfterItsEffectCanCome(t *testing.T) {
	now := noon
	e := NewExpectations(func() time.Time { return now }, quick)
	own, other, second := PartKey{"u", 1}, PartKey{"other", 1}, PartKey{"u", 2}
	ask := func(key PartKey, owned bool) freshness {
		since, conclusive := e.Freshness(key, owned)
		return freshness{since, conclusive}
	}
	same(t, "of an object without our finalizer", freshness{time.Time{}, true}, ask(own, false))
	same(t, "of one that an earlier process may have created", freshness{time.Time{}, false}, ask(own, true))
	now = noon.Add(9 * time.Second)
	same(t, "once the effect of an earlier process must have come", freshness{now, true}, ask(own, true))

	now = noon.Add(time.Minute)
	began := now
	e.ExpectCreation(own)
	same(t, "while a create is under way", freshness{began.Add(1), false}, ask(own, true))
	same(t, "for another object", freshness{noon.Add(9 * time.Second), true}, ask(other, true))
	same(t, "for another part", freshness{noon.Add(9 * time.Second), true}, ask(second, true))
	same(t, "for numbers that all share, which it has reserved", time.Time{}, e.Latest())
	now = began.Add(3 * time.Second)
	e.CreationEnded(own, false)
	same(t, "for numbers that all share, once it had no answer", began.Add(1), e.Latest())
	now = began.Add(13*time.Second - 1)
	same(t, "while its effect can come", freshness{began.Add(1), false}, ask(own, true))
	now = began.Add(13 * time.Second)
	same(t, "once it must have come", freshness{now, true}, ask(own, true))
	same(t, "for numbers that all share, once it must have come", now, e.Latest())

	e.ExpectAbsence(own)
	same(t, "right after a read that said it is gone", freshness{now.Add(1), false}, ask(own, true))
	now = now.Add(1)
	same(t, "a moment later", freshness{now, true}, ask(own, true))

	e.ExpectCreation(own)
	e.CreationEnded(own, true)
	same(t, "after a create that was surely refused", freshness{noon.Add(9 * time.Second), true}, ask(own, true))
	e.ExpectCreation(own)
	e.CreationObserved(own)
	same(t, "once the ID is stored", freshness{noon.Add(9 * time.Second), true}, ask(own, true))
	same(t, "for numbers, once all IDs are stored", time.Time{}, e.Latest())
}

func TestNothingOfAnEarlierProcessIsAwaitedOfAnObjectThatThisOneHasClaimed(t *testing.T) {
	now := noon
	e := NewExpectations(func() time.Time { return now }, quick)
	ask := func(key PartKey) freshness {
		since, conclusive := e.Freshness(key, true)
		return freshness{since, conclusive}
	}
	first, second, other := PartKey{"u", 1}, PartKey{"u", 2}, PartKey{"other", 1}
	e.Claimed("u")
	e.ExpectCreation(first)
	same(t, "of the part that is made", freshness{noon.Add(1), false}, ask(first))
	same(t, "of the next part", freshness{time.Time{}, true}, ask(second))
	same(t, "of another object", freshness{time.Time{}, false}, ask(other))
	e.forget("u")
	same(t, "of the next part, once the finalizer is gone", freshness{time.Time{}, false}, ask(second))
	now = noon.Add(time.Minute)
	e.Claimed("u")
	same(t, "how many are remembered that need not be", 0, len(e.claimed))
}

func TestAReadThatDeniesAnObjectDoesNotCoverUpACreateWithoutAnAnswer(t *testing.T) {
	now := noon
	e := NewExpectations(func() time.Time { return now }, quick)
	key := PartKey{"u", 1}
	e.Freshness(key, true) // the process begins to lead
	now = noon.Add(time.Hour)
	e.ExpectCreation(key)
	e.CreationEnded(key, false)
	e.ExpectAbsence(key)
	_, conclusive := e.Freshness(key, true)
	same(t, "its absence can be believed", false, conclusive)
}

func TestAWriteWithoutAnAnswerIsComparedOnceMore(t *testing.T) {
	now := noon
	e := NewExpectations(func() time.Time { return now }, quick)
	_, awaited := e.Recheck("u")
	same(t, "before", false, awaited)
	e.WriteUnanswered("u")
	now = noon.Add(10 * time.Second)
	in, awaited := e.Recheck("u")
	same(t, "after", true, awaited)
	same(t, "when", 20*time.Second, in)
	e.WroteOver("u")
	in, awaited = e.Recheck("u")
	same(t, "after one write over another", true, awaited)
	same(t, "when that is", 30*time.Second, in)
	_, awaited = e.Unanswered("u")
	same(t, "whether the one without an answer is forgotten", true, awaited)
	e.Rechecked("u")
	_, awaited = e.Recheck("u")
	same(t, "once it was compared", false, awaited)
	e.WroteOver("u")
	_, awaited = e.Unanswered("u")
	same(t, "whether one write over another has no answer", false, awaited)
}

func TestReadsMayNotShowForALagWhatThisProcessHasChangedAndEffectsMayComeLater(t *testing.T) {
	now := noon
	e := NewExpectations(func() time.Time { return now }, quick)
	own, second, other := PartKey{"u", 1}, PartKey{"u", 2}, PartKey{"other", 1}
	same(t, "what nobody has changed is believed", time.Duration(0), e.Unshown(own, "a"))
	e.Written(own, "a")
	now = noon.Add(time.Second)
	same(t, "what was left is believed", time.Duration(0), e.Unshown(own, "a"))
	same(t, "what was not left is not", 4*time.Second, e.Unshown(own, "b"))
	same(t, "another part is", time.Duration(0), e.Unshown(second, "b"))
	e.Written(own, "")
	same(t, "nothing is while it is not known what was left", 5*time.Second, e.Unshown(own, ""))
	now = noon.Add(3 * time.Second)
	e.Written(second, "c")
	same(t, "an effect may come for as long after the last write for an object", 9*time.Second, e.Settles("u"))
	same(t, "nothing was written for another", true, e.Settles("other") <= 0)
	now = noon.Add(6 * time.Second)
	same(t, "once reads must show it, it is believed", time.Duration(0), e.Unshown(own, "b"))
	now = noon.Add(12 * time.Second)
	same(t, "every effect has come", time.Duration(0), e.Settles("u"))
	e.Deleted(second, "gone")
	same(t, "what was deleted is not believed to be there", 5*time.Second, e.Unshown(second, "c"))
	same(t, "and is not missed", []bool{true, false, false, false}, []bool{
		e.HasDeleted(second, "gone"), e.HasDeleted(second, "another"), e.HasDeleted(own, "gone"), e.HasDeleted(own, ""),
	})
	now = noon.Add(time.Minute)
	e.Written(other, "d")
	same(t, "what is remembered later", 1, len(e.written))
	e.forget("other")
	same(t, "what is remembered of an object that is gone", 0, len(e.written))
}

func TestWhatAnEarlierProcessWroteIsComparedOnceInAListThatShowsIt(t *testing.T) {
	now := noon
	e := NewExpectations(func() time.Time { return now }, quick)
	e.Freshness(PartKey{"u", 1}, true) // the process begins to lead
	now = noon.Add(10 * time.Second)
	shown, until := e.Inherited()
	same(t, "the list's begin", noon.Add(9*time.Second), shown)
	same(t, "how long that takes", 20*time.Second, until)
	now = noon.Add(time.Hour)
	shown, until = e.Inherited()
	same(t, "the list's begin afterwards", noon.Add(9*time.Second), shown)
	same(t, "whether it is due", true, until <= 0)
}

// What is expected follows from the calls alone: absence is believed only in a list that
// began after all that can have had an effect must show it.
func TestAbsenceIsNeverBelievedBeforeAnExpectedCreationMustShow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := noon
		e := NewExpectations(func() time.Time { return now }, quick)
		key := PartKey{"u", 1}
		e.Freshness(key, true)
		shows := noon.Add(9 * time.Second) // of what an earlier process did
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "pause")))
			switch rapid.SampledFrom([]string{"unanswered", "refused", "observed", "absent"}).Draw(t, "step") {
			case "unanswered":
				e.ExpectCreation(key)
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(4*time.Second)).Draw(t, "call")))
				e.CreationEnded(key, false)
				shows = later(shows, now.Add(9*time.Second))
			case "refused": // only what was looked for is created
				if _, conclusive := e.Freshness(key, true); conclusive {
					e.ExpectCreation(key)
					e.CreationEnded(key, true)
					shows = noon.Add(9 * time.Second)
				}
			case "observed":
				e.CreationObserved(key)
				shows = noon.Add(9 * time.Second)
			case "absent":
				e.ExpectAbsence(key)
				shows = later(shows, now.Add(1))
			}
			since, conclusive := e.Freshness(key, true)
			if conclusive && (since.Before(shows) || now.Before(since)) {
				t.Fatalf("at %s absence is believed in a list since %s, and effects show until %s", now, since, shows)
			}
		}
	})
}

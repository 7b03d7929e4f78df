package diagnosis_test

import (
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// changes are how often PathClear changes in a time with a look each 5 seconds, and what it is in the
// end; came says how many copies have come by then.
func (w *way) changes(of time.Duration, came func(time.Duration) int64) (n int, last string) {
	begin := w.known.Now
	for after := time.Duration(0); after < of; after += 5 * time.Second {
		w.known.Now = begin.Add(after)
		e := &w.known.Session.Status.Verification[0]
		e.InEpoch = &v1alpha1.Counts{Packets: came(after)}
		e.Counts, e.ObservedAt.Time = *e.InEpoch, w.known.Now
		w.known.Movement = w.known.Movement.Next(w.known)
		verdict := string(diagnosis.JudgePath(w.known).Status)
		if last != "" && verdict != last {
			n++
		}
		last = verdict
	}
	return n, last
}

func oneEach(gap time.Duration) func(time.Duration) int64 {
	return func(after time.Duration) int64 { return int64(after/gap) + 1 }
}

func TestCopiesThatComeNowAndThenAreOneVerdictWhateverIsRead(t *testing.T) {
	for name, deny := range map[string]func(*way){
		"a group that denies": func(w *way) { w.rules(groupOfTarget) },
		"a session that is tried before": func(w *way) {
			w.Others = []diagnosis.Other{{Name: "the session other", Filter: w.Filter, Session: cloud.Session{
				ID: "o", Sources: w.Session.Sources, SessionSpec: cloud.SessionSpec{Enabled: true, Priority: 1},
			}}}
			w.Session.Priority = 2
		},
		"a filter that accepts nothing": func(w *way) { w.Filter.Rules = nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWay()
			w.one()
			deny(w)
			n, last := w.changes(20*time.Minute, oneEach(2*time.Minute))
			if n > 2 { // the first gap looks like the end
				t.Errorf("PathClear changed %d times while nothing that is read did", n)
			}
			same(t, "in the end", "True", last)
			w.known.Now = w.known.Now.Add(5 * time.Second)
			_, last = w.changes(5*time.Minute, func(time.Duration) int64 { return 10 })
			same(t, "once none comes for long", "False", last)
		})
	}
}

func TestWhatIsReadAnewIsBelievedAsSoonAsCopiesStop(t *testing.T) {
	w := newWay()
	w.one()
	w.rules(groupOfTarget)
	w.changes(20*time.Minute, oneEach(2*time.Minute))
	w.rules(groupOfTarget, deny("9", "udp", 4789, ""))
	w.known.Now = w.known.Now.Add(5 * time.Second)
	_, last := w.changes(2*time.Minute, func(time.Duration) int64 { return 11 })
	same(t, "the verdict", "False", last)
}

func TestTheNextLookIsWhenWhatIsReadWouldBeBelieved(t *testing.T) {
	w := newWay()
	w.one()
	w.rules(groupOfTarget)
	w.changes(10*time.Minute, oneEach(2*time.Minute))
	w.known.Session.Spec.SilenceAfter = nil
	in := diagnosis.Next(w.known)
	w.known.Now = w.known.Now.Add(in - time.Second)
	same(t, "just before", "True", string(diagnosis.JudgePath(w.known).Status))
	w.known.Now = w.known.Now.Add(time.Second)
	same(t, "then", "False", string(diagnosis.JudgePath(w.known).Status))
}

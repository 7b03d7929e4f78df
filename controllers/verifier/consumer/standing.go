package consumer

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Standing is the verdict that is told of a session. One look may be wrong: a program was
// restarted just then, or the few copies between two looks say nothing. So another verdict
// has to come again before it is told, and the more often the faster they changed lately. The
// zero value tells nothing yet. It is a value: no method changes it.
type Standing struct {
	verdict Verdict
	told    bool
	// confirmed is when a verdict of the same status and reason was reached last.
	confirmed time.Time
	// rival is another one that was reached so many times in a row.
	rival Verdict
	times int
	// changes are the last times when another one was told.
	changes [rememberedChanges]time.Time
}

const (
	// lately is how long a change makes the next one harder.
	lately = 5 * time.Minute
	// rememberedChanges bounds how much harder: one that comes twelve times is told.
	rememberedChanges = 6
	// holds is for how long a verdict stands that nothing confirms and nothing contradicts.
	holds = 5 * time.Minute
)

// Stands is a standing verdict, as one that was stored. It is not settled: who stored it has seen it.
func Stands(now time.Time, v Verdict) Standing {
	s := Standing{}.Next(now, v)
	s.times = 1 // of no rival
	return s
}

// Verdict is what is told, if anything is.
func (s Standing) Verdict() (v Verdict, told bool) { return s.verdict, s.told }

// Settled reports whether something is told, and nothing else was seen last.
func (s Standing) Settled() bool { return s.told && s.times == 0 }

// Next is what is told after another verdict was reached.
func (s Standing) Next(now time.Time, v Verdict) Standing {
	switch {
	case !s.told:
		return Standing{verdict: v, told: true, confirmed: now}
	case same(s.verdict, v):
		s.verdict, s.confirmed, s.times = v, now, 0
		return s
	case s.outweighs(v) && now.Sub(s.confirmed) < holds:
		return s
	}
	if s.times > 0 && same(s.rival, v) {
		s.times++
	} else {
		s.rival, s.times = v, 1
	}
	if s.times < s.needed(now) {
		return s
	}
	copy(s.changes[1:], s.changes[:])
	s.changes[0] = now
	s.verdict, s.confirmed, s.times = v, now, 0
	return s
}

func same(a, b Verdict) bool { return a.Status == b.Status && a.Reason == b.Reason }

// outweighs says that another verdict has nothing against the one that is told: it only lacks
// copies that would show.
func (s Standing) outweighs(v Verdict) bool {
	switch v.Reason {
	case v1alpha1.ReasonNotDecided:
		return s.verdict.Status != metav1.ConditionUnknown
	case v1alpha1.ReasonNoCopies: // nobody is seen either: who was there is gone
		return s.verdict.Status == metav1.ConditionFalse && s.verdict.Reason != v1alpha1.ReasonConsumerDown
	}
	return false
}

// needed is how often in a row another verdict must be reached to be told.
func (s Standing) needed(now time.Time) int {
	recent := 0
	for _, at := range s.changes {
		if !at.IsZero() && now.Sub(at) < lately {
			recent++
		}
	}
	if recent == 0 && s.verdict.Status == metav1.ConditionUnknown {
		return 1
	}
	return 2 * max(recent, 1)
}

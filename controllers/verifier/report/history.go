package report

import (
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
)

// maxMoments bounds a history. While counts move the agent records them every half second,
// and an entry is read again after 15 s or somewhat more.
const maxMoments = 64

// history is what a run had counted at some moments, the oldest first: at each, everything
// that came before and nothing that came later.
type history []moment

type moment struct {
	at     time.Time // the last time as of which the counts were these
	counts v1alpha1.Counts
}

// add notes what is counted as of some time.
func (h *history) add(at time.Time, counts v1alpha1.Counts) {
	last := len(*h) - 1
	switch {
	case last < 0:
	case at.Before((*h)[last].at):
		// The clock was set back: nobody knows any more which of the moments were before
		// another one.
		*h = (*h)[:0]
	case (*h)[last].counts == counts:
		(*h)[last].at = at
		return
	case last+1 == maxMoments:
		h.thin()
	}
	*h = append(*h, moment{at: at, counts: counts})
}

// thin drops every other moment, but neither the first, when nothing was counted yet, nor
// the last.
func (h *history) thin() {
	kept := (*h)[:1]
	for i := 1; i < len(*h); i += 2 {
		kept = append(kept, (*h)[i])
	}
	*h = kept
}

// asOf returns the most that can have been counted by some time: what was at the first
// moment that is surely not before it, now where there is none. The time is one that the
// API server has cut to microseconds.
func (h *history) asOf(t time.Time, now v1alpha1.Counts) v1alpha1.Counts {
	end := t.Add(time.Microsecond)
	for _, m := range *h {
		if !m.at.Before(end) {
			return m.counts
		}
	}
	return now
}

// forgetBefore drops the moments before some time, of which nobody will ask any more. If
// somebody does, the answer is too high, which is safe.
func (h *history) forgetBefore(t time.Time) {
	for len(*h) > 0 && (*h)[0].at.Before(t) {
		*h = (*h)[1:]
	}
}

package report

import (
	"slices"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
)

// maxMoments bounds a history. While counts move the agent records them every half second,
// and an entry is read again after 15 s, or somewhat more in a large cluster.
const maxMoments = 128

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
		// The first is kept: nothing was counted then.
		*h = slices.Delete(*h, 1, 2)
	}
	*h = append(*h, moment{at: at, counts: counts})
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

package report

import (
	"slices"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
)

const (
	// maxMoments bounds a history. While counts move the agent records them every half
	// second, and an entry is read again after 15 s, or somewhat more in a large cluster.
	maxMoments = 128
	// maxNumbers bounds it where there are many sources and rules, but fewMoments are kept
	// in any case: enough for the time between two readings.
	maxNumbers, fewMoments = 4096, 48
)

// history is what a run had counted at some moments, the oldest first: at each, everything
// that came before and nothing that came later. All moments have the same sources and rules.
type history []moment

type moment struct {
	at     time.Time // the last time as of which the counts were these
	counts v1alpha1.Counts
	rest   []int64 // the counts of each source and each rule
}

// add notes what is counted as of some time.
func (h *history) add(at time.Time, counted v1alpha1.Tallies) {
	now := moment{at: at, counts: counted.Counts, rest: numbers(&counted)}
	last := len(*h) - 1
	switch {
	case last < 0:
	case at.Before((*h)[last].at):
		// The clock was set back: nobody knows any more which of the moments were before
		// another one.
		*h = (*h)[:0]
	case (*h)[last].counts == now.counts && slices.Equal((*h)[last].rest, now.rest):
		(*h)[last].at = at
		return
	case last+1 >= most(len(now.rest)):
		// The first is kept: nothing was counted then.
		*h = slices.Delete(*h, 1, 2)
	}
	*h = append(*h, now)
}

// most is how many moments are kept with so many sources and rules.
func most(rest int) int {
	const counts = 8 // numbers that each moment has
	return min(max(maxNumbers/(counts+rest), fewMoments), maxMoments)
}

// asOf returns the most that can have been counted by some time: what was at the first
// moment that is surely not before it, now where there is none. The time is one that the
// API server has cut to microseconds.
func (h *history) asOf(t time.Time, now v1alpha1.Tallies) v1alpha1.Tallies {
	end := t.Add(time.Microsecond)
	for i := range *h {
		if m := &(*h)[i]; !m.at.Before(end) {
			return m.tallies(now)
		}
	}
	return now
}

// relist makes a history with the sources and rules of before one with those of after. Of
// what is new nothing had been counted.
func (h *history) relist(before, after v1alpha1.Tallies) {
	for i := range *h {
		m := &(*h)[i]
		t := only(m.tallies(before), after)
		m.rest = numbers(&t)
	}
	if extra := len(*h) - most(len((*h)[0].rest)); extra > 0 {
		*h = slices.Delete(*h, 1, 1+extra)
	}
}

// numbers are the counts of sources and rules in a row.
func numbers(t *v1alpha1.Tallies) []int64 {
	out := make([]int64, 0, 4*len(t.Sources)+len(t.Rules))
	for i := range t.Sources {
		s := &t.Sources[i]
		out = append(out, s.Packets, s.Bytes, s.Unexpected, s.Truncated)
	}
	for i := range t.Rules {
		out = append(out, t.Rules[i].Packets)
	}
	return out
}

// tallies are those of a moment; like has the same sources and rules.
func (m *moment) tallies(like v1alpha1.Tallies) v1alpha1.Tallies {
	out, rest := v1alpha1.Tallies{Counts: m.counts}, m.rest
	for i := range like.Sources {
		out.Sources = append(out.Sources, v1alpha1.SourceCounts{
			InterfaceID: like.Sources[i].InterfaceID, Packets: rest[0], Bytes: rest[1], Unexpected: rest[2], Truncated: rest[3],
		})
		rest = rest[4:]
	}
	for i, r := range like.Rules {
		out.Rules = append(out.Rules, v1alpha1.RuleCounts{Direction: r.Direction, Priority: r.Priority, Packets: rest[i]})
	}
	return out
}

package mirrorsession

import (
	"slices"
	"time"

	"vpcmirror.io/operator/controllers/diagnosis"
)

const (
	// edgeAge is how much older than an edge an answer of the cloud may be that serves it. Copies are
	// missed only after they did not come for longer, so whatever stopped them was there before.
	// And as any answer that young serves, the edges of an account ask no more often.
	edgeAge = 10 * time.Second
	// firstRepeat is after how long the cloud is asked again while copies don't come. Each time
	// after that takes twice as long.
	firstRepeat = 20 * time.Second
	// atOnce is after how long a reconcile follows one that ended after the next was due: as good as
	// at once, and no reconcile without a pause where that one could not ask the cloud.
	atOnce = time.Second
	// steadyFlow is how long copies must have come without a gap for the next one to count like the
	// first, whatever came to nothing before.
	steadyFlow = 10 * time.Minute
)

// edges are the moments at which the counts of a session give reason to ask the cloud what has
// changed: copies have stopped, or don't come, or come again. It is a value that a process keeps
// for each session. The zero value has seen nothing.
type edges struct {
	// streams are what is awaited. They are few, and a list of them takes a third of what a map does; it is
	// never changed.
	streams []stream
	// resumed is when to ask because copies come again that were said to be kept out, zero for not.
	resumed time.Time
}

// stream is what is awaited from one source, or from all.
type stream struct {
	// source is its interface; all sources together have no name.
	source string
	// moved is when its count moved last.
	moved time.Time
	// due is when to ask the cloud if it does not move, zero for not at all.
	due time.Time
	// repeat is how long after that to ask again.
	repeat time.Duration
	// missed is true once the cloud was asked, because it stood still, and found once that has shown
	// something.
	missed, found bool
	// moves is true once it was seen to move, and steady since when it has without a gap.
	moves  bool
	steady time.Time
	// patience is how long it may stand still, where that is longer than what is awaited: each time
	// that asking showed nothing doubles it. Traffic that comes in bursts would ask for ever.
	patience time.Duration
	// most is how long that can get.
	most time.Duration
}

// movedTo is the stream once it has moved again.
func (s stream) movedTo(a diagnosis.Awaited) stream {
	next := stream{source: s.source, moved: a.Since, moves: true, steady: s.steady, patience: max(s.patience, a.Within)}
	if a.Since.Sub(s.moved) > a.Within {
		next.steady = a.Since
	}
	switch {
	case s.missed && s.found, a.Since.Sub(next.steady) >= steadyFlow:
		next.patience = a.Within
	case s.missed && s.moves: // before the first copy nobody knew how they come
		next.patience = max(min(2*next.patience, s.most), a.Within)
	}
	return next.awaiting(a.Within)
}

// awaiting sets when to ask the cloud.
func (s stream) awaiting(within time.Duration) stream {
	s.due, s.repeat = s.moved.Add(s.patience), firstRepeat
	if s.patience > within {
		s.repeat = max(s.patience, firstRepeat)
	}
	return s
}

// track takes in what is awaited now. blocked is whether something was said to be in the way.
func (e edges) track(now time.Time, awaited []diagnosis.Awaited, blocked bool) edges {
	next := edges{streams: make([]stream, 0, len(awaited)), resumed: e.resumed}
	for _, a := range awaited {
		was, known := e.of(a.Source)
		switch {
		case !known:
			was = stream{source: a.Source, moved: a.Since, steady: a.Since, patience: a.Within}.awaiting(a.Within)
		case was.moved.Equal(a.Since) && was.missed:
			was.found = was.found || blocked
		case was.moved.Equal(a.Since):
			was.patience = max(was.patience, a.Within)
			was = was.awaiting(a.Within)
		default:
			was.found = was.found || blocked
			if was.missed && blocked && next.resumed.IsZero() {
				// An answer of before may say what is over by now.
				next.resumed = now.Add(edgeAge)
			}
			was = was.movedTo(a)
		}
		next.streams = append(next.streams, was)
	}
	if len(awaited) == 0 {
		next.resumed = time.Time{}
	}
	return next
}

// of is what is awaited from a source.
func (e edges) of(source string) (s stream, known bool) {
	for i := range e.streams {
		if e.streams[i].source == source {
			return e.streams[i], true
		}
	}
	return s, false
}

// due reports whether the cloud is to be asked now.
func (e edges) due(now time.Time) bool { return e.next(now) == 0 }

// asked notes that the cloud is asked now. Beyond most the copies that don't come are left to
// the comparison that comes so often anyway.
func (e edges) asked(now time.Time, most time.Duration) edges {
	next := edges{streams: slices.Clone(e.streams)}
	for i := range next.streams {
		s := &next.streams[i]
		if !s.due.IsZero() && !now.Before(s.due) {
			s.missed, s.due, s.most = true, time.Time{}, most
			if s.repeat < most {
				s.due = now.Add(s.repeat)
			}
			s.repeat *= 2
		}
	}
	return next
}

// found notes that what the cloud was asked for last has shown something.
func (e edges) found() edges {
	next := edges{streams: slices.Clone(e.streams), resumed: e.resumed}
	for i := range next.streams {
		next.streams[i].found = next.streams[i].missed
	}
	return next
}

// never is longer than anything waits.
const never = time.Duration(1<<63 - 1)

// next is after how long the cloud is to be asked, never when nothing is awaited.
func (e edges) next(now time.Time) time.Duration {
	soonest := never
	at := func(due time.Time) {
		if !due.IsZero() {
			soonest = min(soonest, max(due.Sub(now), 0))
		}
	}
	at(e.resumed)
	for i := range e.streams {
		at(e.streams[i].due)
	}
	return soonest
}

// comesBack is after how long a reconcile is to follow for an edge that is due in so long. What became
// due while this one went on is not forgotten; one that did not get to the cloud comes later, and one
// that waits for its account's next round comes with that.
func (s *scope) comesBack(in time.Duration) time.Duration {
	switch {
	case in == 0 && s.began.IsZero():
		return holdOff
	case in == 0:
		return max(s.edgeIn, atOnce)
	default:
		return max(in, atOnce)
	}
}

// pathAgainIn is after how long the way can be read that could not be now, 0 where it was.
func (s *scope) pathAgainIn(now time.Time) time.Duration {
	if s.pathAgain.IsZero() {
		return 0
	}
	return max(s.pathAgain.Sub(now), atOnce)
}

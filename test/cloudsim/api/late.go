package api

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"vpcmirror.io/operator/test/cloudsim/journal"
)

// effects are those that are still to come, of requests that were answered already.
type effects struct {
	mu      sync.Mutex
	pending []*effect
	dropped bool // none comes any more
}

// effect is what a request does later than it is answered.
type effect struct {
	told     journal.Effect
	sequence uint64 // of the request in the journal; 0 before it is there
	take     func() response
	timer    *time.Timer
}

// later answers as if the request took effect now, and lets it take effect when the fault says so. What it makes gets the
// IDs that the answer tells.
func (c *call) later(h handler) response {
	trial, ids := c.State.Trial()
	tried := *c
	tried.State = trial
	answer := h(&tried)
	given := ids()
	late := *c
	late.State = c.State.WithIDs(given...)
	in := time.Duration(c.fault.EffectIn)
	c.effect = &effect{told: journal.Effect{Due: c.Clock().UTC().Add(in)}, take: func() response { return h(&late) }}
	c.schedule(c.effect, in)
	return answer
}

func (s *Server) schedule(e *effect, in time.Duration) {
	s.late.mu.Lock()
	defer s.late.mu.Unlock()
	if s.late.dropped {
		return
	}
	s.late.pending = append(s.late.pending, e)
	// The server's clock decides; where it does not go with the time of day, every request asks it too.
	e.timer = time.AfterFunc(in, func() {
		s.TakeEffect()
		s.late.again(e, in)
	})
}

// again sets the timer of an effect anew that is not due yet by the server's clock.
func (l *effects) again(e *effect, in time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Contains(l.pending, e) {
		e.timer.Reset(max(in, time.Millisecond))
	}
}

// TakeEffect lets what is due take effect, in the order in which it fell due.
func (s *Server) TakeEffect() {
	s.late.mu.Lock()
	defer s.late.mu.Unlock()
	now := s.Clock().UTC()
	due := slices.DeleteFunc(slices.Clone(s.late.pending), func(e *effect) bool { return e.told.Due.After(now) })
	s.late.pending = slices.DeleteFunc(s.late.pending, func(e *effect) bool { return !e.told.Due.After(now) })
	slices.SortStableFunc(due, func(a, b *effect) int { return cmp.Compare(a.told.Due.UnixNano(), b.told.Due.UnixNano()) })
	for _, e := range due {
		e.timer.Stop()
		answer := e.take()
		e.told.Came, e.told.Status, e.told.ErrorCode = &now, answer.status, answer.code
		if e.sequence != 0 {
			s.Journal.Took(e.sequence, e.told)
		}
	}
}

// recordWithEffect puts a request into the journal with what is known of its effect, which may come meanwhile.
func (s *Server) recordWithEffect(entry journal.Entry, e *effect) {
	if e == nil {
		s.Journal.Add(entry)
		return
	}
	s.late.mu.Lock()
	defer s.late.mu.Unlock()
	told := e.told
	entry.Effect = &told
	e.sequence = s.Journal.Add(entry)
}

// drop lets no effect come any more.
func (l *effects) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped = true
	for _, e := range l.pending {
		e.timer.Stop()
	}
	l.pending = nil
}

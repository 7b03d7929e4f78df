package agent

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
)

// parcel is one thing to do at the API server for one session.
type parcel struct {
	to *tracked
	// session is the one that was tracked when the parcel was made.
	session *v1alpha1.MirrorSession
	// read is whether the stored entry is to be read; else entry is to be written.
	read     bool
	entry    v1alpha1.Verification
	at       time.Time
	interval time.Duration
}

// deliver does what is worth it now, within the host's budget, the most urgent first
// and of the same urgency the one that waits longest.
func (a *Agent) deliver(ctx context.Context) {
	for ctx.Err() == nil {
		p := a.next()
		if p == nil {
			return
		}
		a.carry(ctx, p)
	}
}

// carry does one thing and notes what became of it.
func (a *Agent) carry(ctx context.Context, p *parcel) {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if p.read {
		stored, err := report.Read(call, a.Reader, p.session, a.Node)
		a.learned(ctx, p, stored, err)
		return
	}
	a.written(ctx, p, report.Write(call, a.Client, p.session, p.entry))
}

// next chooses what to do next, nil for nothing. What an earlier run had counted is
// read before anything is written: without it totals would fall.
func (a *Agent) next() *parcel {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.Clock()
	looks := a.looks()
	var best *tracked
	var urgency report.Urgency
	for uid, t := range a.tracked {
		if now.Before(t.retryAt) {
			continue
		}
		if t.stored == nil {
			return a.parcel(t, now, nil)
		}
		l := looks[t.watch]
		entry, _ := t.entry(a.Node, l)
		switch {
		case t.watch == nil && !t.pace.Differs(entry):
			delete(a.tracked, uid) // it has left, and all is written
			continue
		case t.watch != nil && !l.ready:
			continue // an entry says that somebody counts: not before it is so
		}
		due := t.pace.Due(now, entry, report.Interval(a.sessions))
		if due == report.Nothing {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(due, urgency), best.pace.Last().Compare(t.pace.Last())) > 0 {
			best, urgency = t, due
		}
	}
	if best == nil || !a.budget.AllowN(now, 1) {
		return nil
	}
	return a.parcel(best, now, looks[best.watch])
}

// looks are those of all watches; at the end of the agent, the last ones.
func (a *Agent) looks() map[*watch]*look {
	if a.lastLooks != nil {
		return a.lastLooks
	}
	out := make(map[*watch]*look, len(a.watches))
	for _, w := range a.watches {
		l := w.look()
		out[w] = &l
	}
	return out
}

func (a *Agent) parcel(t *tracked, now time.Time, l *look) *parcel {
	p := &parcel{to: t, session: t.session, read: t.stored == nil, at: now, interval: report.Interval(a.sessions)}
	if !p.read {
		entry, totals := t.entry(a.Node, l)
		entry.LastPacket = totals.LastPacket()
		p.entry = entry
	}
	return p
}

// learned notes what an earlier run had counted.
func (a *Agent) learned(ctx context.Context, p *parcel, stored v1alpha1.Verification, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := p.to
	if err != nil && !errors.Is(err, report.ErrGone) {
		a.failed(ctx, t, err)
		return
	}
	totals := report.TotalsOf(stored)
	t.stored, t.storedAt = &totals, stored.ObservedAt.Time
	a.succeeded(t)
}

// written notes what became of a write. A session that is gone has no entry either.
func (a *Agent) written(ctx context.Context, p *parcel, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil:
		a.writes.stored++
	case errors.Is(err, report.ErrGone):
		a.writes.gone++
	default:
		a.writes.failed++
		a.failed(ctx, p.to, err)
		return
	}
	p.to.pace.Written(p.at, p.entry, p.interval)
	a.succeeded(p.to)
}

// failed lets a session wait before the next attempt, at most for report.Level, so that
// an API server that comes back is not met by all at once. The counts stay where they
// are, and the first failure in a row is logged.
func (a *Agent) failed(ctx context.Context, t *tracked, err error) {
	if ctx.Err() != nil {
		return // the end of the agent is no failure: all is written once more
	}
	t.failures++
	t.retryAt = a.Clock().Add(min(tick<<min(t.failures, 8), report.Level))
	if t.failures == 1 {
		a.log(t).Error(err, "The API server did not take or tell a session's counts; counting goes on, and it is tried again until it works")
	}
}

func (a *Agent) succeeded(t *tracked) {
	if t.failures > 0 {
		a.log(t).Info("The API server answers again; nothing that was counted meanwhile is lost", "failures", t.failures)
	}
	t.failures, t.retryAt = 0, time.Time{}
}

// deliverLast writes all that is not written yet, without a budget: afterwards nobody
// has it any more. It tries until ctx ends.
func (a *Agent) deliverLast(ctx context.Context) {
	again := time.NewTicker(tick)
	defer again.Stop()
	for {
		waiting := a.last()
		for _, p := range waiting {
			a.carry(ctx, p)
		}
		switch {
		case len(waiting) == 0:
			return
		case ctx.Err() == nil && !a.failing():
			continue // what was read is to be written now
		}
		select {
		case <-ctx.Done():
			a.Log.Info("The last counts of some sessions could not be written before the end; their totals go on from the entries written before", "sessions", len(waiting))
			return
		case <-again.C:
		}
	}
}

// last is what is still to be done for each session.
func (a *Agent) last() (out []*parcel) {
	a.mu.Lock()
	defer a.mu.Unlock()
	looks := a.looks()
	for _, t := range a.tracked {
		l := looks[t.watch]
		if entry, _ := t.entry(a.Node, l); t.stored == nil || t.pace.Differs(entry) {
			out = append(out, a.parcel(t, a.Clock(), l))
		}
	}
	return out
}

// failing says whether the last call for some session has failed.
func (a *Agent) failing() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.tracked {
		if t.failures > 0 {
			return true
		}
	}
	return false
}

func (a *Agent) log(t *tracked) logr.Logger {
	return a.Log.WithValues("session", client.ObjectKeyFromObject(t.session))
}

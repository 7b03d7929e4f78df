package agent

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
)

// flushDue writes the entries that are worth it now, within the host's budget, the most
// urgent first and of the same urgency the one that waits longest.
func (a *Agent) flushDue(ctx context.Context) {
	for ctx.Err() == nil {
		t := a.nextDue()
		if t == nil {
			return
		}
		_ = a.flush(ctx, t) // which has noted the error
	}
}

// nextDue chooses what to write next, nil for nothing. Numbers that have waited for their turn go
// with the edges: there may be more of these than a host may write, without end.
func (a *Agent) nextDue() *tracked {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.Clock()
	snapshots := a.snapshots()
	sessions := a.clusterSessions()
	turn := v1alpha1.ReportTurn(sessions, len(a.tracked))
	var best *tracked
	var urgency report.Urgency
	for uid, t := range a.tracked {
		s := snapshots[t.capturer]
		entry := t.entry(a.Node, s)
		switch {
		case now.Before(t.retryAt):
			continue
		case t.capturer == nil && !t.pace.Differs(entry):
			delete(a.tracked, uid) // it is not counted any more, and all is written
			continue
		case t.capturer != nil && !s.ready:
			continue // an entry says that somebody counts: not before it is so
		}
		due := t.pace.Due(now, entry, report.Interval(sessions))
		if due == report.Nothing {
			continue
		}
		if now.Sub(t.pace.Last()) >= turn {
			due = report.Edge
		}
		if best == nil || cmp.Or(cmp.Compare(due, urgency), best.pace.Last().Compare(t.pace.Last())) > 0 {
			best, urgency = t, due
		}
	}
	if best == nil || !a.budget.AllowN(now, 1) {
		return nil
	}
	return best
}

// clusterSessions is how many sessions the cluster has; a.mu is held.
func (a *Agent) clusterSessions() int { return max(a.index.Sessions(), len(a.tracked)) }

// flush writes a session's entry and notes what became of that. An error means that the
// counts are not stored, and that their session is still there.
func (a *Agent) flush(ctx context.Context, t *tracked) error {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	const attempts = 4 // the manager writes the same object, but seldom
	var err error
	for range attempts {
		if err = a.readModifyWrite(call, t); !errors.Is(err, report.ErrChanged) {
			break
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil:
		a.writes.stored++
		a.succeeded(t)
	case errors.Is(err, report.ErrGone):
		a.writes.gone++
		a.succeeded(t)
		return nil
	case ctx.Err() == nil: // the end of the agent is no failure: all is written once more
		a.writes.failed++
		a.failed(t, err)
	}
	return err
}

// readModifyWrite reads what the API server has of a session's counts and writes the entry
// that follows from that and from what was counted. If anything has changed in between, the
// write fails and report.ErrChanged is returned.
func (a *Agent) readModifyWrite(ctx context.Context, t *tracked) error {
	read, err := report.Read(ctx, a.Reader, a.object(t))
	if err == nil {
		a.drainForEpoch(ctx, t, read)
		entry, made, needed := a.compose(t, read)
		if needed {
			err = report.Write(ctx, a.Client, read, entry)
		}
		a.noteWrite(t, made, entry, err)
	}
	if errors.Is(err, report.ErrGone) {
		a.noteGone(t)
	}
	return err
}

// drainForEpoch lets the frames that have come be counted before a session goes over to
// another epoch, of which the cache does not know yet.
func (a *Agent) drainForEpoch(ctx context.Context, t *tracked, read *v1alpha1.MirrorSession) {
	a.mu.Lock()
	begins, c := t.begins(read), t.capturer
	if a.finalSnapshots != nil {
		c = nil // nothing is counted any more
	}
	a.mu.Unlock()
	if begins && c != nil {
		c.drain(ctx)
	}
}

func (a *Agent) object(t *tracked) *v1alpha1.MirrorSession {
	a.mu.Lock()
	defer a.mu.Unlock()
	return t.session
}

// compose makes the entry that goes on from what was read, and returns when it was made
// and whether it has to be written. It has not when the session is not counted any more and
// nothing is left to report, because the manager has folded the entry already, or nothing
// may be reported any more.
func (a *Agent) compose(t *tracked, read *v1alpha1.MirrorSession) (entry v1alpha1.Verification, made time.Time, needed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.snapshots()[t.capturer]
	t.enter(a.Node, read, now) // no entry is of another epoch than its session
	stored := report.StoredIn(read, a.Node)
	t.inheritConsumer(stored.Own, now, a.Clock())
	observation := t.observe(a.Node, now)
	t.ledger.Merge(stored)
	totals := t.ledger.Totals()
	entry = totals.Entry(observation)
	if !t.concealed { // nor is a line kept that the entry had before
		entry.LastPacket = totals.LastPacket(a.Port)
	}
	switch counted := entry.Counts != (v1alpha1.Counts{}); {
	case t.capturer != nil || stored.Own != nil:
		needed = true
	case counted && read.TargetElsewhere(a.Node):
		a.log(t).Info("The target moved to another node before these counts were written: they are lost", "packets", entry.Packets)
	default:
		needed = counted
	}
	return entry, a.Clock(), needed
}

// noteWrite notes what became of an entry that was made to be written.
func (a *Agent) noteWrite(t *tracked, made time.Time, entry v1alpha1.Verification, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil || unanswered(err) {
		t.ledger.Reported()
	}
	if err == nil {
		t.pace.Written(made, entry, report.Interval(a.clusterSessions()))
	}
}

// unanswered reports whether a write may have taken effect although it failed.
func unanswered(err error) bool {
	var answer apierrors.APIStatus
	return !errors.As(err, &answer) || answer.Status().Code >= http.StatusInternalServerError
}

// noteGone notes that there is no session any more to write to.
func (a *Agent) noteGone(t *tracked) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t.pace.Written(a.Clock(), t.entry(a.Node, a.snapshots()[t.capturer]), report.Interval(a.clusterSessions()))
}

// snapshots are those of all capturers; at the end of the agent, the last ones.
func (a *Agent) snapshots() map[*capturer]*snapshot {
	if a.finalSnapshots != nil {
		return a.finalSnapshots
	}
	out := make(map[*capturer]*snapshot, len(a.capturers))
	for _, c := range a.capturers {
		s := c.snapshot()
		out[c] = &s
	}
	return out
}

// failed lets a session wait before the next attempt, at most for report.Level, so that
// an API server that comes back is not met by all at once. The counts stay where they
// are, and the first failure in a row is logged.
func (a *Agent) failed(t *tracked, err error) {
	t.failures++
	t.retryAt = a.Clock().Add(min(tick<<min(t.failures, 8), report.Level))
	if t.failures == 1 {
		a.log(t).Error(err, "The API server did not take a session's counts; counting goes on, and it is tried again until it does")
	}
}

func (a *Agent) succeeded(t *tracked) {
	if t.failures > 0 {
		a.log(t).Info("The API server answers again; nothing that was counted meanwhile is lost", "failures", t.failures)
	}
	t.failures, t.retryAt = 0, time.Time{}
}

// flushLast writes all that is not written yet, without a budget: afterwards nobody
// has it any more. It tries until ctx ends.
func (a *Agent) flushLast(ctx context.Context) {
	again := time.NewTicker(tick)
	defer again.Stop()
	for waiting := a.unwritten(); len(waiting) > 0; waiting = a.unwritten() {
		failed := false
		for _, t := range waiting {
			failed = a.flush(ctx, t) != nil || failed
		}
		if !failed {
			continue
		}
		select {
		case <-ctx.Done():
			a.Log.Info("The last counts of some sessions could not be written before the end; their totals go on from the entries written before", "sessions", len(waiting))
			return
		case <-again.C:
		}
	}
}

// unwritten are the sessions of which something is not written yet.
func (a *Agent) unwritten() (out []*tracked) {
	a.mu.Lock()
	defer a.mu.Unlock()
	snapshots := a.snapshots()
	for _, t := range a.tracked {
		if t.pace.Differs(t.entry(a.Node, snapshots[t.capturer])) {
			out = append(out, t)
		}
	}
	return out
}

package agent

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
)

// flushUntilDone writes the entries that are worth it until ctx ends. It looks for them when
// something has changed, and when the time has come for what had to wait; while nothing changes
// it sleeps.
func (a *Agent) flushUntilDone(ctx context.Context) {
	next, rested := time.NewTimer(0), time.NewTimer(tick)
	defer next.Stop()
	defer rested.Stop()
	var news chan struct{} // nil while it has to wait
	for {
		select {
		case <-ctx.Done():
			return
		case <-rested.C:
			news = a.news
			continue
		case <-news:
		case <-next.C:
		}
		at := a.flushDue(ctx)
		news = nil
		rested.Reset(tick)
		if next.Stop(); !at.IsZero() {
			next.Reset(max(at.Sub(a.Clock()), minFlushInterval))
		}
	}
}

// tellNews says that an entry may have changed; several times in a row become one.
func (a *Agent) tellNews() {
	select {
	case a.news <- struct{}{}:
	default:
	}
}

// flushDue writes the entries that are worth it now, within the host's budget, the most
// urgent first and of the same urgency the one that waits longest. It returns when one will be
// that is not now, zero for never.
func (a *Agent) flushDue(ctx context.Context) (next time.Time) {
	for ctx.Err() == nil {
		due, later := a.due()
		written, next := a.flushFirst(ctx, due)
		if written == 0 || !next.IsZero() { // nothing was due, or the budget is spent
			return earlier(next, later)
		}
	}
	return time.Time{}
}

// flushFirst writes the first entries, as many as the budget allows and for a tick at most: then
// others may be more urgent. Where the budget is spent, next is when there is some again.
func (a *Agent) flushFirst(ctx context.Context, due []due) (written int, next time.Time) {
	began := time.Now()
	var flushes sync.WaitGroup
	defer flushes.Wait()
	free := make(chan struct{}, flushesAtOnce)
	for _, d := range due {
		free <- struct{}{}
		now := a.Clock()
		if ctx.Err() != nil || time.Since(began) > tick {
			return written, next
		}
		if !a.budget.Spend(now, d.urgency) {
			next = earlier(next, a.budget.Next(now, d.urgency))
			<-free
			continue
		}
		written++
		flushes.Go(func() {
			_ = a.flush(ctx, d.tracked) // which has noted the error
			<-free
		})
	}
	return written, next
}

// earlier is the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// due is a session whose entry is worth a write.
type due struct {
	*tracked
	urgency report.Urgency
	// first is true for edges, and for numbers that have waited for their turn: there may be more
	// edges than a host may write, without end.
	first bool
}

// due returns what is worth a write, in the order in which it is to be written, and when something
// else will be, zero for never.
func (a *Agent) due() (out []due, next time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, sessions, snapshots := a.Clock(), a.clusterSessions(), a.snapshots()
	a.budget.Share(now, sessions, len(a.tracked))
	interval, turn := report.Interval(sessions), v1alpha1.ReportTurn(sessions, len(a.tracked))
	for uid, t := range a.tracked {
		s := snapshots[t.capturer]
		entry := t.entry(a.Node, s)
		switch {
		case now.Before(t.retryAt):
			next = earlier(next, t.retryAt)
			continue
		case t.capturer == nil && !t.pace.Differs(entry):
			delete(a.tracked, uid) // it is not counted any more, and all is written
			continue
		case t.capturer != nil && !s.ready:
			continue // an entry says that somebody counts: not before it is so
		}
		urgency := t.pace.Due(now, entry, interval)
		if urgency != report.Nothing {
			out = append(out, due{t, urgency, urgency == report.Edge || now.Sub(t.pace.Last()) >= turn})
		} else if at, ever := t.pace.Next(entry, interval); ever {
			next = earlier(next, at)
		}
	}
	slices.SortFunc(out, func(a, b due) int {
		if a.first != b.first {
			return map[bool]int{true: -1, false: 1}[a.first]
		}
		return a.pace.Last().Compare(b.pace.Last())
	})
	return out, next
}

// clusterSessions is how many sessions the cluster has; a.mu is held.
func (a *Agent) clusterSessions() int { return max(a.index.Sessions(), len(a.tracked)) }

// flush writes a session's entry and notes what became of that. An error means that the
// counts are not stored, and that their session is still there.
func (a *Agent) flush(ctx context.Context, t *tracked) error {
	ctx = a.begin(ctx)
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
		a.succeeded(ctx, t)
	case errors.Is(err, report.ErrGone):
		a.writes.gone++
		a.succeeded(ctx, t)
		return nil
	case ctx.Err() == nil: // the end of the agent is no failure: all is written once more
		a.writes.failed++
		a.failed(ctx, t, err)
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
		entry, made, needed := a.compose(ctx, t, read)
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
func (a *Agent) compose(ctx context.Context, t *tracked, read *v1alpha1.MirrorSession) (entry v1alpha1.Verification, made time.Time, needed bool) {
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
		a.log(ctx, t).Info("The target moved to another node before these counts were written: they are lost", "packets", entry.Packets)
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
		s.shortage = a.shortage()
		out[c] = &s
	}
	return out
}

// failed lets a session wait before the next attempt, at most for report.Level, so that
// an API server that comes back is not met by all at once. The counts stay where they
// are, and the first failure in a row is logged.
func (a *Agent) failed(ctx context.Context, t *tracked, err error) {
	t.failures++
	wait := min(tick<<min(t.failures, 8), report.Level)
	t.retryAt = a.Clock().Add(wait - rand.N(wait/4)) // so that hosts that failed together don't come back together
	if t.failures == 1 {
		a.log(ctx, t).Error(err, "The API server did not take a session's counts; counting goes on, and it is tried again until it does")
	}
}

func (a *Agent) succeeded(ctx context.Context, t *tracked) {
	if t.failures > 0 {
		a.log(ctx, t).Info("The API server answers again; nothing that was counted meanwhile is lost", "failures", t.failures)
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

package agent

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
)

// deliver writes what is worth it now, within the host's budget, the most urgent first
// and of the same urgency the one that waits longest.
func (a *Agent) deliver(ctx context.Context) {
	for ctx.Err() == nil {
		t := a.next()
		if t == nil {
			return
		}
		a.carry(ctx, t)
	}
}

// next chooses what to write next, nil for nothing.
func (a *Agent) next() *tracked {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.Clock()
	looks := a.looks()
	var best *tracked
	var urgency report.Urgency
	for uid, t := range a.tracked {
		l := looks[t.watch]
		entry, _ := t.entry(a.Node, l)
		switch {
		case now.Before(t.retryAt):
			continue
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
	return best
}

// carry writes a session's entry and notes what became of that.
func (a *Agent) carry(ctx context.Context, t *tracked) {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	const attempts = 4 // the manager writes the same object, but seldom
	var err error
	for range attempts {
		if err = a.exchange(call, t); !errors.Is(err, report.ErrChanged) {
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
	case ctx.Err() == nil: // the end of the agent is no failure: all is written once more
		a.writes.failed++
		a.failed(t, err)
	}
}

// exchange reads what the API server has and writes the session's entry over it. What
// another run has written there since this one looked is taken over first: totals never
// fall.
func (a *Agent) exchange(ctx context.Context, t *tracked) error {
	read, err := report.Read(ctx, a.Reader, a.object(t))
	if err == nil {
		entry, made, needed := a.compose(t, read)
		if needed {
			err = report.Write(ctx, a.Client, read, entry)
		}
		switch {
		case err == nil:
			a.wrote(t, made, entry)
		case unanswered(err):
			// If it took effect, and the manager retires the entry, what it told must
			// not be told again.
			a.maybeTold(t, read, entry)
		}
	}
	if errors.Is(err, report.ErrGone) {
		a.lost(t)
	}
	return err
}

func (a *Agent) object(t *tracked) *v1alpha1.MirrorSession {
	a.mu.Lock()
	defer a.mu.Unlock()
	return t.session
}

// unanswered says whether a write may have taken effect although it failed.
func unanswered(err error) bool {
	var answer apierrors.APIStatus
	return !errors.As(err, &answer) || answer.Status().Code >= http.StatusInternalServerError
}

func (a *Agent) maybeTold(t *tracked, read *v1alpha1.MirrorSession, entry v1alpha1.Verification) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t.told = report.TotalsOf(entry)
	if report.Own(read, a.Node) == nil {
		t.doubt = new(retired(read))
	}
}

// retired are the counts of entries that the manager has folded together.
func retired(s *v1alpha1.MirrorSession) v1alpha1.Counts {
	if s.Status.Traffic == nil || s.Status.Traffic.Retired == nil {
		return v1alpha1.Counts{}
	}
	return *s.Status.Traffic.Retired
}

// compose makes the entry that goes on from what is stored, and says when it was made and
// whether it has to be written.
func (a *Agent) compose(t *tracked, read *v1alpha1.MirrorSession) (entry v1alpha1.Verification, made time.Time, needed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.looks()[t.watch]
	own := report.Own(read, a.Node)
	t.learn(a.Node, l, own, retired(read))
	entry, totals := t.entry(a.Node, l)
	entry.LastPacket = totals.LastPacket(a.Port)
	return entry, a.Clock(), !t.nothing(own, entry)
}

func (a *Agent) wrote(t *tracked, made time.Time, entry v1alpha1.Verification) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t.told = report.TotalsOf(entry)
	t.pace.Written(made, entry, report.Interval(a.sessions))
}

// lost notes that there is no session any more to write to.
func (a *Agent) lost(t *tracked) {
	a.mu.Lock()
	defer a.mu.Unlock()
	entry, _ := t.entry(a.Node, a.looks()[t.watch])
	t.pace.Written(a.Clock(), entry, report.Interval(a.sessions))
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

// deliverLast writes all that is not written yet, without a budget: afterwards nobody
// has it any more. It tries until ctx ends.
func (a *Agent) deliverLast(ctx context.Context) {
	again := time.NewTicker(tick)
	defer again.Stop()
	for {
		waiting := a.last()
		if len(waiting) == 0 {
			return
		}
		for _, t := range waiting {
			a.carry(ctx, t)
		}
		if !a.failing() && ctx.Err() == nil {
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

// last are the sessions of which something is not written yet.
func (a *Agent) last() (out []*tracked) {
	a.mu.Lock()
	defer a.mu.Unlock()
	looks := a.looks()
	for _, t := range a.tracked {
		if entry, _ := t.entry(a.Node, looks[t.watch]); t.pace.Differs(entry) {
			out = append(out, t)
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
	return a.Log.WithValues("session", klog.KObj(t.session))
}

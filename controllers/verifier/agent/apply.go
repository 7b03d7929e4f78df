package agent

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// reconcile brings what is counted in line with the sessions and the interfaces.
func (a *Agent) reconcile(ctx context.Context) {
	ctx = a.begin(ctx)
	local, err := a.Interfaces()
	if err != nil {
		a.logFailure(ctx, err, "The interfaces of this host can't be read; counting goes on as before")
		a.again = a.Clock().Add(unwatchedInterval)
		return
	}
	sessions, err := a.index.Concerning(places(local), a.followed())
	if err != nil {
		a.logFailure(ctx, err, "The sessions can't be read; counting goes on as before")
		a.again = a.Clock().Add(unwatchedInterval)
		return
	}
	a.lastFailure, a.local, a.again = "", local, time.Time{}
	alive := make(map[types.UID]*v1alpha1.MirrorSession, len(sessions))
	for _, s := range sessions {
		alive[s.UID] = s
	}
	a.rules.keep(a.index.Has)
	assignments := assign(sessions, local, a.rules.of)
	a.noteProbes(sessions)
	a.withProbes(assignments)
	assigned := make(map[types.UID]*assignment, len(assignments))
	for i := range assignments {
		assigned[assignments[i].session.UID] = &assignments[i]
	}

	for _, c := range a.draining(assigned) {
		c.drain(ctx)
	}
	a.trackInherited(alive, local)
	for _, c := range a.apply(ctx, assignments, assigned, alive) {
		c.stop()
		c.log.Info("No longer capturing: no session needs it")
	}
	a.tellNews()
	a.tellProbes()
	select {
	case <-a.assigned:
	default:
		close(a.assigned) // by this goroutine alone
		logr.FromContextOrDiscard(ctx).Info("The sessions are known, and those whose target is on this host are counted", "sessions", a.index.Sessions(), "here", len(assignments))
	}
}

// followed are the sessions that are counted, or were and have counts that are not written yet.
func (a *Agent) followed() []types.NamespacedName {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]types.NamespacedName, 0, len(a.tracked))
	for _, t := range a.tracked {
		out = append(out, client.ObjectKeyFromObject(t.session))
	}
	return out
}

// logFailure logs what keeps the agent from reconciling, once until it is another or gone.
func (a *Agent) logFailure(ctx context.Context, err error, message string) {
	if ctx.Err() == nil && a.lastFailure != err.Error() {
		a.lastFailure = err.Error()
		logr.FromContextOrDiscard(ctx).Error(err, message)
	}
}

// draining returns the capturers that lose a session, or by which one is judged, is
// concealed no more, or is counted in another epoch from now on. Frames that are still in their rings are counted first:
// they came before, and must neither be missed nor be treated as those of afterwards.
func (a *Agent) draining(assigned map[types.UID]*assignment) []*capturer {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[*capturer]bool) // each waits, so each once
	for uid, t := range a.tracked {
		now := assigned[uid]
		if t.capturer == nil {
			continue
		}
		if now == nil || now.local.key() != t.capturer.local.key() || (now.judged && !t.judged) ||
			(t.concealed && !now.count.Concealed) || t.begins(now.session) {
			out[t.capturer] = true
		}
	}
	return slices.Collect(maps.Keys(out))
}

// apply makes the capturers count what is assigned to them, and returns those that no
// session needs any more.
func (a *Agent) apply(ctx context.Context, assignments []assignment, assigned map[types.UID]*assignment, alive map[types.UID]*v1alpha1.MirrorSession) (idle []*capturer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reconciles++
	left, fresh := a.untrack(ctx, assigned, alive), map[interfaceKey]*capturer{}
	lists := make(map[interfaceKey][]tally.Session)
	for i := range assignments {
		now := &assignments[i]
		key := now.local.key()
		if a.capturers[key] == nil {
			fresh[key] = a.newCapturer(now.local)
			a.capturers[key] = fresh[key]
		}
		lists[key] = append(lists[key], now.count)
		a.track(ctx, now, a.capturers[key])
	}
	for key, c := range a.capturers {
		a.recount(c, lists[key])
		if len(lists[key]) == 0 {
			delete(a.capturers, key)
			idle = append(idle, c)
		}
	}
	snapshots := a.snapshots()
	for uid, now := range assigned {
		t := a.tracked[uid] // its epoch begins after the last frame that was counted by the rules of before
		t.enter(a.Node, now.session, snapshots[t.capturer])
	}
	for t, c := range left {
		t.leftAt = c.snapshot().at
	}
	for _, c := range fresh {
		go c.run() // now that it knows its sessions
	}
	a.again = earlier(a.missingAt(), a.probesEnd())
	a.logProblems(ctx)
	return idle
}

// missingAt is when the first of the entries counts as gone that were written and are not in the
// status, zero for none.
func (a *Agent) missingAt() (first time.Time) {
	for _, t := range a.tracked {
		if t.capturer == nil || t.pace.Last().IsZero() || report.Own(t.session, a.Node) != nil {
			continue
		}
		if at := t.pace.Last().Add(report.Level + time.Second); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// logProblems logs each session's problem, and with whom it shares its copies, when that
// has changed.
func (a *Agent) logProblems(ctx context.Context) {
	for _, t := range a.tracked {
		if t.problem != t.logged {
			a.log(ctx, t).Info("What keeps a session from being counted as it should has changed", "problem", t.problem, "before", t.logged)
			t.logged = t.problem
		}
		if t.shared != t.loggedShared {
			a.log(ctx, t).Info("Which other sessions claim a session's copies has changed", "shared", t.shared, "before", t.loggedShared)
			t.loggedShared = t.shared
		}
	}
}

// recount gives a capturer its sessions, and keeps what it had counted for those that it
// no longer has.
func (a *Agent) recount(c *capturer, list []tally.Session) {
	if reflect.DeepEqual(list, c.list) {
		return // building the table costs more than all else here
	}
	c.list = list
	removed, err := c.tally.SetSessions(list)
	if err != nil {
		// Each session was checked before, so this is a bug. Nothing is lost by it:
		// the counts so far are kept, and the status says that no more come.
		c.log.Error(err, "The sessions of an interface can't be counted")
		removed, _ = c.tally.SetSessions(nil) // an empty list is always good
		c.list = nil                          // and this one is tried, and told, again
		for _, s := range list {
			if t, _ := a.trackedBy(s.ID); t != nil {
				t.problem = "the session can't be counted: " + err.Error()
			}
		}
	}
	for i := range removed {
		if t, judged := a.trackedBy(removed[i].ID); t != nil {
			t.ledger.Close(report.Counted(removed[i], 0, judged))
			t.past = past{t.past.plus(removed[i])}
			t.basis = nil // it is of counts that begin anew
		}
	}
}

// trackedBy finds the session that a tally counts under this ID, and reports whether its
// rules are known there.
func (a *Agent) trackedBy(id string) (t *tracked, judged bool) {
	uid, found := strings.CutSuffix(id, unjudged)
	return a.tracked[types.UID(uid)], !found
}

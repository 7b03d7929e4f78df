package scale

import (
	"context"
	"fmt"
	"time"

	"vpcmirror.io/operator/test/bench/cluster"
	"vpcmirror.io/operator/test/bench/result"
)

// converge makes all objects at once and measures until the cloud has them and all is said of it.
func (t *trial) converge(ctx context.Context) error {
	if err := t.startManager(ctx, settings{callsPerSecond: fast, workers: workers}); err != nil {
		return err
	}
	span := t.fresh(nil)
	took, err := t.raise(ctx)
	if err != nil {
		return err
	}
	if err := t.report(ctx, min(t.sessions, reported)); err != nil {
		return err
	}
	did, err := span.end(ctx)
	if err != nil {
		return err
	}
	fewest := t.writes() + t.pages() + handful
	t.say("calls to converge: %s; the fewest are %d writes, %d pages of lists and %d other calls", cluster.Describe(did.calls), t.writes(), t.pages(), handful)
	t.say("requests to the API server: %s", cluster.Describe(did.requests))
	calls := float64(did.calls.sum())
	t.row(result.Row{What: "calls to converge", Value: calls / float64(fewest), Unit: "x the fewest", AtMost: 1.05, Count: true})
	t.row(result.Row{What: "calls to converge, all", Value: calls, Unit: "calls"})
	t.row(result.Row{What: "time to converge", Value: took.Seconds(), Unit: "s"})
	t.row(result.Row{What: "manager's CPU to converge", Value: did.cpu.Seconds(), Unit: "s"})
	return nil
}

// handful are the interfaces that are asked for one by one, because nobody knows at first that a list of all
// will be worth it, and the quota.
const handful = 8 + 1

// raise makes all objects at once and returns after how long the last was Ready.
func (t *trial) raise(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	if err := t.create(ctx); err != nil {
		return 0, err
	}
	t.say("the objects are made after %.0f s", time.Since(began).Seconds())
	last, err := t.ready(ctx, 15*time.Minute)
	return last.Sub(began), err
}

// writes is how many calls it takes to make everything, one for each filter, rule and session.
func (l layout) writes() int { return l.filters()*(1+rulesPerFilter) + l.sessions }

// pages is one round of lists: each list once, and what has no list with all that is in it once for each.
func (l layout) pages() int {
	servers := l.sessions + l.hosts()
	all := ceil(l.sessions, objectPage) + ceil(l.filters(), filterPage) + ceil(l.sessions+l.targets(), objectPage) + ceil(servers, serverPage)
	const (
		groups, flavors = 2, 1 // the groups and their rules
		acls            = 2    // the list, and the one that there is
		paths           = 4    // peerings, route tables, and the two that there are
	)
	return all + groups + flavors + acls + paths
}

// secondLook is what it takes to compare all once more half a minute after the start: what the process
// before may have sent without an answer shows by then.
func (l layout) secondLook() int { return ceil(l.sessions, objectPage) + ceil(l.filters(), filterPage) }

// inOneGo measures the time at the default limit of calls.
func inOneGo(sessions int) *trial {
	const perSecond, burst = 5, 10 // of the manager's flags
	t := &trial{name: fmt.Sprintf("%d sessions at the default %d calls a second", sessions, perSecond), layout: newLayout(sessions)}
	t.parts = []func(context.Context) error{func(ctx context.Context) error {
		if err := t.startManager(ctx, settings{}); err != nil {
			return err
		}
		span := t.fresh(nil)
		took, err := t.raise(ctx)
		if err != nil {
			return err
		}
		did, err := span.end(ctx)
		if err != nil {
			return err
		}
		need := float64(t.writes()-burst) / perSecond
		t.say("calls: %s; the %d writes alone take %.0f s", cluster.Describe(did.calls), t.writes(), need)
		t.row(result.Row{What: "time to converge", Value: took.Seconds() / need, Unit: "x what the writes alone need", AtMost: 1.1})
		t.row(result.Row{What: "time to converge, all", Value: took.Seconds(), Unit: "s"})
		return nil
	}}
	return t
}

// amongNodes measures a start where all targets are nodes, among many others.
func amongNodes(sessions, nodes int) *trial {
	t := &trial{name: fmt.Sprintf("%d sessions among %d nodes", sessions, nodes), layout: layout{sessions: sessions, nodes: nodes, byNode: true}}
	t.parts = []func(context.Context) error{func(ctx context.Context) error {
		if err := t.startManager(ctx, settings{callsPerSecond: fast, workers: workers}); err != nil {
			return err
		}
		if _, err := t.raise(ctx); err != nil {
			return err
		}
		if err := t.report(ctx, t.sessions); err != nil {
			return err
		}
		if err := t.startManager(ctx, settings{callsPerSecond: fast, workers: workers}); err != nil {
			return err
		}
		did, err := t.looked(ctx, t.fresh(nil), 5*time.Minute)
		if err != nil {
			return err
		}
		t.row(result.Row{What: "manager's CPU until everything was looked at after a restart", Value: did.cpu.Seconds(), Unit: "s", AtMost: 2})
		t.row(result.Row{What: "allocations until then", Value: did.allocated, Unit: "MiB", AtMost: 200})
		return nil
	}}
	return t
}

package scale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"vpcmirror.io/operator/test/bench/proc"
	"vpcmirror.io/operator/test/bench/result"
)

// Options says what is measured.
type Options struct {
	// Programs is the folder with the programs manager and cloudsim.
	Programs string
	// Sizes are numbers of sessions; by default 200, 2,000 and 20,000, with Quick 200.
	Sizes []int
	// Quick leaves out what takes longer than a minute.
	Quick bool
}

const (
	fast    = 1000 // calls per second where the limit is not what is measured
	workers = 16
	// reported is how many sessions have an entry of a verifier: each is a request or two of ours.
	reported = 2000
)

// Run measures, and tells on out what it does meanwhile.
func Run(ctx context.Context, o Options, out io.Writer) ([]result.Row, error) {
	var err error
	if o.Programs, err = filepath.Abs(o.Programs); err != nil {
		return nil, fmt.Errorf("find the folder of the programs: %w", err)
	}
	if len(o.Sizes) == 0 {
		o.Sizes = []int{200, 2000, 20000}
		if o.Quick {
			o.Sizes = o.Sizes[:1]
		}
	}
	var rows []result.Row
	for _, sessions := range o.Sizes {
		more, err := runSize(ctx, o, sessions, out)
		rows = append(rows, more...)
		if err != nil {
			return rows, fmt.Errorf("measure %d sessions: %w", sessions, err)
		}
	}
	return rows, nil
}

// trial is one size's measurement.
type trial struct {
	*stage
	rows []result.Row
}

func (t *trial) row(r result.Row) {
	r.What = fmt.Sprintf("%d sessions: %s", t.sessions, r.What)
	t.rows = append(t.rows, r)
}

func runSize(ctx context.Context, o Options, sessions int, out io.Writer) (_ []result.Row, err error) {
	began := time.Now()
	s, err := newStage(ctx, o, newLayout(sessions), out)
	defer func() { err = errors.Join(err, s.close()) }()
	if err != nil {
		return nil, err
	}
	t := &trial{stage: s}
	for _, measure := range []func(context.Context) error{t.join, t.converge, t.steady} {
		if err := measure(ctx); err != nil {
			return t.rows, err
		}
	}
	t.say("all took %.0f s", time.Since(began).Seconds())
	return t.rows, nil
}

// lists is how many pages a list of so many takes.
func lists(n int) int { return max(1, ceil(n, pageSize)) }

// converge makes all objects at once and measures until the cloud has them and all is said of it.
func (t *trial) converge(ctx context.Context) error {
	if err := t.startManager(ctx, settings{callsPerSecond: fast, workers: workers}); err != nil {
		return err
	}
	span := t.fresh(nil)
	began := time.Now()
	if err := t.create(ctx); err != nil {
		return err
	}
	t.say("the objects are made after %.0f s", time.Since(began).Seconds())
	last, err := t.ready(ctx, 15*time.Minute)
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
	round := t.pages()
	writes := t.filters()*(1+rulesPerFilter) + t.sessions
	fewest := float64(writes + round)
	t.say("calls to converge: %s", describe(did.calls))
	t.say("the fewest are %d writes and %d pages of lists", writes, round)
	t.say("requests to the API server: %s", describe(did.requests))
	t.row(result.Row{What: "calls to converge", Value: float64(did.calls.sum()) / fewest, Unit: "x the fewest", AtMost: 1.05, Count: true})
	t.row(result.Row{What: "calls to converge, all", Value: float64(did.calls.sum()), Unit: "calls"})
	t.row(result.Row{What: "time to converge", Value: last.Sub(began).Seconds(), Unit: "s"})
	t.row(result.Row{What: "manager's CPU to converge", Value: did.cpu.Seconds(), Unit: "s"})
	return nil
}

// pages is what one round of lists takes at least: as many pages as there are objects, and what has
// no list with all that is in it once for each.
func (t *trial) pages() int {
	servers := t.sessions + t.hosts()
	all := lists(t.sessions) + lists(t.filters()) + lists(t.sessions+t.targets()) + ceil(servers, serverPage)
	const (
		groups, flavors = 2, 1 // the groups and their rules
		acls            = 2    // the list, and the one that there is
		paths           = 4    // peerings, route tables, and the two that there are
	)
	return all + groups + flavors + acls + paths
}

// steadyInterval is the resync interval with which the steady state is measured: all that happens
// in the 10 minutes of an installation happens in so long.
func (t *trial) steadyInterval() time.Duration {
	switch {
	case t.sessions <= 200:
		return 10 * time.Second
	case t.sessions <= 2000:
		return 20 * time.Second
	default:
		return 60 * time.Second
	}
}

// intervals is for how many of them it is measured.
const intervals = 3

// steady measures what the manager asks for when nothing happens.
func (t *trial) steady(ctx context.Context) error {
	interval := t.steadyInterval()
	if err := t.startManager(ctx, settings{callsPerSecond: fast, workers: workers, resync: interval}); err != nil {
		return err
	}
	t.say("a resync interval of %s; the first passes unmeasured", interval)
	if err := pause(ctx, interval*11/10); err != nil {
		return err
	}
	did, err := t.pass(ctx, intervals*interval)
	if err != nil {
		return err
	}
	listed := did.calls.only("List", "ShowFirewall", "ShowRouteTable")
	reads, writes := did.requests.split()
	round := float64(t.pages())
	t.say("calls in %d steady intervals: %s; a round is %g pages", intervals, describe(did.calls), round)
	t.say("requests to the API server meanwhile: %s", describe(did.requests))
	count := func(what string, n int, unit string) {
		t.row(result.Row{What: "steady state, " + what, Value: float64(n), Unit: fmt.Sprintf("%s in %d intervals", unit, intervals), AtMost: none, Count: true})
	}
	t.row(result.Row{
		What: "steady state, lists", Value: float64(listed.sum()) / round, Unit: fmt.Sprintf("rounds in %d intervals", intervals),
		AtMost: intervals + 1, Count: true,
	})
	count("other calls", did.calls.sum()-listed.sum(), "calls")
	count("reads of the API server", reads, "requests")
	count("writes to the API server", writes, "requests")
	t.row(result.Row{What: "steady state, looks", Value: did.looks / float64(intervals*(t.sessions+t.filters())), Unit: "an object and interval"})
	t.row(result.Row{What: "manager's CPU a look", Value: did.cpu.Seconds() / max(did.looks, 1) * 1e3, Unit: "ms"})
	t.row(result.Row{What: fmt.Sprintf("manager's CPU with all of it in %s", interval), Value: did.percent, Unit: "% of a core"})
	_, most, err := proc.Memory(t.manager.process.PID)
	if err != nil {
		return err
	}
	t.row(result.Row{What: "manager's memory, at most", Value: most, Unit: "MiB"})
	return nil
}

// none is the goal of what is counted and must not be: a goal of 0 would be no goal.
const none = 0.5

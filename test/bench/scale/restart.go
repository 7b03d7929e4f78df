package scale

import (
	"context"
	"errors"
	"time"

	"vpcmirror.io/operator/test/bench/cluster"
	"vpcmirror.io/operator/test/bench/result"
)

// restart starts the manager anew and measures the minute after it.
func (t *trial) restart(ctx context.Context) error {
	before, err := t.cloud.stats(ctx)
	if err != nil {
		return err
	}
	if err := t.stopManager(); err != nil {
		return err
	}
	if _, err := t.Audit.Next(); err != nil {
		return err
	}
	if err := t.startManager(ctx, settings{callsPerSecond: fast, workers: workers}); err != nil {
		return err
	}
	span := t.fresh(before.Operations)
	first, err := t.looked(ctx, span, 10*time.Minute)
	if err != nil {
		return err
	}
	if err := cluster.Pause(ctx, time.Minute-time.Since(span.began)); err != nil {
		return err
	}
	did, err := span.end(ctx)
	if err != nil {
		return err
	}
	reads, writes := did.requests.Split()
	round := float64(t.pages())
	t.say("calls in the minute after a restart: %s; a round is %g pages", cluster.Describe(did.calls), round)
	t.say("requests to the API server meanwhile: %s", cluster.Describe(did.requests))
	t.row(result.Row{What: "calls in the minute after a restart", Value: float64(did.calls.sum()) / round, Unit: "rounds of lists"})
	fewest := round + float64(t.secondLook())
	t.row(result.Row{
		What: "calls in the minute after a restart", Value: float64(did.calls.sum()) / fewest, Unit: "x a round and a second look", AtMost: 1.05, Count: true,
	})
	t.row(result.Row{What: "writes to the API server in the minute after a restart", Value: float64(writes), Unit: "requests", AtMost: none, Count: true})
	t.row(result.Row{What: "reads of the API server in the minute after a restart", Value: float64(reads), Unit: "requests"})
	t.row(result.Row{What: "manager's CPU until everything was looked at after a restart", Value: first.cpu.Seconds(), Unit: "s"})
	t.resting, err = t.rest(ctx)
	return err
}

// looked waits until every object was looked at since the manager's start.
func (t *trial) looked(ctx context.Context, since *span, patience time.Duration) (spent, error) {
	err := cluster.Until(ctx, patience, 100*time.Millisecond, "every object was looked at", func() (bool, error) {
		f, err := t.manager.figures(ctx)
		return f.looks >= float64(t.sessions+t.filters()), err
	})
	if err != nil {
		return spent{}, err
	}
	return since.peek(ctx)
}

// rest is what the manager does while there is nothing to do but what comes in each of its resync intervals:
// once it looks at no more objects than that.
func (t *trial) rest(ctx context.Context) (spent, error) {
	const window, interval = 10 * time.Second, 10 * time.Minute // the manager's own
	usual := float64(t.sessions+t.filters()) * window.Seconds() / interval.Seconds()
	for range 18 {
		did, err := t.pass(ctx, window)
		if err != nil || did.looks <= max(2*usual, 10) {
			t.say("at rest %.0f looks in %s, and %.1f %% of a core", did.looks, window, did.percent)
			return did, err
		}
	}
	return spent{}, errors.New("the manager does not come to rest")
}

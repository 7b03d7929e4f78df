package scale

import (
	"context"
	"fmt"
	"time"

	"vpcmirror.io/operator/test/bench/cluster"
	"vpcmirror.io/operator/test/bench/proc"
	"vpcmirror.io/operator/test/bench/result"
)

// steadyInterval is the resync interval with which the steady state is measured: all that happens
// in the 10 minutes of an installation happens in so long.
func (t *trial) steadyInterval() time.Duration {
	switch {
	case t.sessions <= 200:
		return 10 * time.Second
	case t.sessions <= 2000:
		return 20 * time.Second
	default:
		return 120 * time.Second
	}
}

// intervals is for how many of them it is measured.
func (t *trial) intervals() int {
	if t.options.Quick || t.sessions > most {
		return 2
	}
	return 3
}

// steady measures what the manager asks for when nothing happens.
func (t *trial) steady(ctx context.Context) error {
	interval := t.steadyInterval()
	if err := t.startManager(ctx, settings{callsPerSecond: fast, workers: workers, resync: interval}); err != nil {
		return err
	}
	if _, err := t.looked(ctx, t.fresh(nil), 10*time.Minute); err != nil {
		return err
	}
	t.say("a resync interval of %s; what comes first is not measured", interval)
	// No copies come here. A manager that has just begun asks the cloud why, after 20 s, 40 s, and twice as
	// long each time up to an interval: only then is it in its steady state.
	if err := cluster.Pause(ctx, interval*3/2); err != nil {
		return err
	}
	intervals := t.intervals()
	did, err := t.pass(ctx, time.Duration(intervals)*interval)
	if err != nil {
		return err
	}
	listed := did.calls.only("List", "ShowFirewall", "ShowRouteTable")
	reads, writes := did.requests.Split()
	const secret = "get secrets"
	round := float64(t.pages())
	t.say("calls in %d steady intervals: %s; a round is %g pages", intervals, cluster.Describe(did.calls), round)
	t.say("requests to the API server meanwhile: %s", cluster.Describe(did.requests))
	count := func(what string, n int, unit string) {
		t.row(result.Row{What: "steady state, " + what, Value: float64(n), Unit: fmt.Sprintf("%s in %d intervals", unit, intervals), AtMost: none, Count: true})
	}
	t.row(result.Row{
		What: "steady state, lists", Value: float64(listed.sum()) / round, Unit: fmt.Sprintf("rounds in %d intervals", intervals),
		AtMost: float64(intervals + 1), Count: true,
	})
	count("other calls", did.calls.sum()-listed.sum(), "calls")
	count("reads of the API server, but of the Secret", reads-did.requests[secret], "requests")
	t.row(result.Row{
		What: "steady state, reads of the one Secret", Value: float64(did.requests[secret]), Unit: fmt.Sprintf("requests in %d intervals", intervals),
		AtMost: float64(intervals + 1), Count: true,
	})
	count("writes to the API server", writes, "requests")
	t.row(result.Row{What: "steady state, looks", Value: did.looks / float64(intervals*(t.sessions+t.filters())), Unit: "an object and interval"})
	t.row(result.Row{What: "manager's CPU a look", Value: did.cpu.Seconds() / max(did.looks, 1) * 1e3, Unit: "ms"})
	// All that happens in an interval happens in 10 minutes; what it costs to do nothing takes as long as it lasts.
	const usual = 600.0
	look := did.cpu.Seconds() / max(did.looks, 1)
	idle := max(t.resting.cpu.Seconds()-look*t.resting.looks, 0) / max(t.resting.took.Seconds(), 1)
	busy := did.cpu.Seconds()/float64(intervals) - idle*interval.Seconds()
	t.row(result.Row{What: "manager's CPU in the steady state at 10 min", Value: 100 * (busy/usual + idle), Unit: "% of a core", AtMost: 5})
	_, most, err := proc.Memory(t.manager.process.PID)
	if err != nil {
		return err
	}
	t.row(result.Row{What: "manager's memory, at most", Value: most, Unit: "MiB", AtMost: 400})
	return nil
}

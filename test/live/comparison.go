package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"vpcmirror.io/operator/test/live/cases"
	"vpcmirror.io/operator/test/live/compare"
	"vpcmirror.io/operator/test/live/play"
	"vpcmirror.io/operator/test/live/report"
)

// comparison puts the same cases to two sides. The left one is a simulator, by whose switches differences are explained.
type comparison struct {
	left  *simulator
	right *play.Side
	// switches are those of the left.
	switches []string
	cases    []cases.Case
	// progress gets a line for each case; nil for none.
	progress io.Writer
	// lag is how long a create without an answer may still take effect.
	lag time.Duration
	// before is called before each case; nil outside of tests.
	before func(name string)

	report report.Report
}

// cleanTime bounds cleaning up, and cleanCalls how many requests it may make beyond the run's budget.
const (
	cleanTime  = 5 * time.Minute
	cleanCalls = 400
)

// run plays all cases and cleans up, however the playing ended: at the last case, by an error, an interruption or a panic. The
// report is complete then; an error is only that of a write that the guard refused, of the ledger, or of a panic.
func (c *comparison) run(ctx context.Context) error {
	c.report.Began = time.Now().UTC()
	err := c.play(ctx)
	if err != nil {
		c.report.Stopped = err.Error()
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	for _, side := range []*play.Side{c.left.Side, c.right} {
		side.Client.Allow(cleanCalls + 3*len(side.Ledger.Open()))
		if err := side.Clean(clean, c.lag); err != nil {
			c.report.Remains = strings.TrimPrefix(c.report.Remains+"; "+side.Name+": "+err.Error(), "; ")
		}
	}
	c.report.Took = time.Since(c.report.Began)
	c.report.Mark = c.right.Ledger.Run().Mark
	c.report.Left, c.report.Right = sideOf(c.left.Side), sideOf(c.right)
	c.report.Differences = compare.Group(c.report.Differences)
	return err
}

func sideOf(s *play.Side) report.Side {
	return report.Side{Name: s.Name, Calls: s.Client.Calls(), Throttled: s.Throttled, Latencies: s.Times.Latencies(), Waits: s.Times.Waits()}
}

func (c *comparison) play(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	for i, one := range c.cases {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("interrupted after %d of %d cases: %w", i, len(c.cases), context.Cause(ctx))
		}
		if c.before != nil {
			c.before(one.Name)
		}
		answered, err := c.one(ctx, one)
		c.report.Cases = append(c.report.Cases, answered)
		if c.progress != nil {
			// Progress that can't be shown is no reason to stop.
			_, _ = fmt.Fprintf(c.progress, "%3d/%d %s: %s\n", i+1, len(c.cases), one.Name, sum(answered, err))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func sum(c report.Case, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case c.Skipped != "":
		return c.Skipped
	case c.Differs == 0:
		return "the same"
	}
	return fmt.Sprintf("%d differences", c.Differs)
}

// one puts one case to both sides.
func (c *comparison) one(ctx context.Context, one cases.Case) (report.Case, error) {
	out := report.Case{Name: one.Name, Asks: one.Asks}
	for _, side := range []*play.Side{c.right, c.left.Side} {
		if out.Skipped = side.Skip(one); out.Skipped != "" {
			return out, nil
		}
	}
	right, err := c.right.Play(ctx, one)
	out.Right = right.Steps
	if err != nil {
		return out, err
	}
	left, err := c.left.Play(ctx, one)
	out.Left = left.Steps
	if err != nil {
		return out, err
	}
	differences := compare.Case(one.Name, left.Steps, right.Steps)
	out.Differs = compare.Deciding(differences)
	if out.Differs > 0 {
		if err := c.explain(ctx, one, right.Steps, differences); err != nil {
			return out, err
		}
	}
	c.report.Differences = append(c.report.Differences, differences...)
	return out, nil
}

// explain marks the differences that are gone where the simulator has some switches on.
func (c *comparison) explain(ctx context.Context, one cases.Case, right []compare.Step, differences []compare.Difference) error {
	switches := candidates()
	if slices.ContainsFunc(differences, func(d compare.Difference) bool { return d.Kind == compare.Looks }) {
		switches = append(switches, lagSwitch+"500ms")
	}
	switches = slices.DeleteFunc(switches, func(s string) bool { return slices.Contains(c.switches, s) })
	remaining := map[string][]compare.Difference{}
	on, _, err := compare.Explain(compare.Deciding(differences), switches, func(on []string) (int, error) {
		left, err := c.again(ctx, one, on)
		if err != nil {
			return 0, err
		}
		remain := compare.Case(one.Name, left, right)
		remaining[strings.Join(on, ",")] = remain
		return compare.Deciding(remain), nil
	})
	if err != nil || len(on) == 0 {
		return err
	}
	for i, d := range differences {
		if !slices.ContainsFunc(remaining[strings.Join(on, ",")], func(r compare.Difference) bool { return r.Name() == d.Name() }) {
			differences[i].Explained = on
		}
	}
	return nil
}

// again plays the case on a new simulator that has further switches on.
func (c *comparison) again(ctx context.Context, one cases.Case, on []string) ([]compare.Step, error) {
	other, err := startSimulator(ctx, "again", append(slices.Clone(c.switches), on...), c.left.Vars, nil)
	if err != nil {
		return nil, err
	}
	defer other.close()
	result, err := other.Play(ctx, one)
	return result.Steps, err
}

// folder names the files of a run.
type folder string

func (f folder) file(name string) string { return filepath.Join(string(f), name) }

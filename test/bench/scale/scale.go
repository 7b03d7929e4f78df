package scale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"vpcmirror.io/operator/test/bench/result"
)

// Options says what is measured.
type Options struct {
	// Programs is the folder with the programs manager and cloudsim.
	Programs string
	// Sizes are numbers of sessions; by default 200, 2,000 and 20,000, with Quick 200.
	Sizes []int
	// Others leaves out what is measured at sizes: what remains is the default limit of calls, and many nodes.
	Others bool
	// Quick leaves out what takes longer than a minute.
	Quick bool
}

const (
	fast    = 1000 // calls per second where the limit is not what is measured
	workers = 16
	// reported is how many sessions have an entry of a verifier: each is a request or two of ours.
	reported = 2000
	// many is from how many sessions on the minute after a restart is measured.
	many = 2000
	// most is up to how many sessions the manager makes all itself.
	most = 5000
	// none is the goal of what is counted and must not be: a goal of 0 would be no goal.
	none = 0.5
)

// Run measures, and tells on out what it does meanwhile.
func Run(ctx context.Context, o Options, out io.Writer) ([]result.Row, error) {
	var err error
	if o.Programs, err = filepath.Abs(o.Programs); err != nil {
		return nil, fmt.Errorf("find the folder of the programs: %w", err)
	}
	given := len(o.Sizes) > 0
	switch {
	case given, o.Others:
	case o.Quick:
		o.Sizes = []int{200}
	default:
		o.Sizes = []int{200, 2000, 20000}
	}
	var trials []*trial
	for _, sessions := range o.Sizes {
		t := &trial{name: fmt.Sprintf("%d sessions", sessions), layout: newLayout(sessions)}
		t.parts = []func(context.Context) error{t.converge, t.steady, t.edit}
		if sessions >= many {
			t.parts = []func(context.Context) error{t.converge, t.restart, t.steady, t.edit}
		}
		if sessions > most {
			t.parts[0] = t.fill
		}
		trials = append(trials, t)
	}
	if !given && !o.Quick {
		trials = append(trials, inOneGo(200), amongNodes(1000, 3000))
	}
	var rows []result.Row
	for _, t := range trials {
		err := t.run(ctx, o, out)
		rows = append(rows, t.rows...)
		if err != nil {
			return rows, fmt.Errorf("measure %s: %w", t.name, err)
		}
	}
	return rows, nil
}

// trial is what is measured of one network and of one manager after the other.
type trial struct {
	*stage
	layout layout
	name   string
	parts  []func(context.Context) error
	rows   []result.Row
	// resting is what the manager does while there is nothing to do.
	resting spent
}

func (t *trial) row(r result.Row) {
	r.What = t.name + ": " + r.What
	t.rows = append(t.rows, r)
}

func (t *trial) run(ctx context.Context, o Options, out io.Writer) (err error) {
	began := time.Now()
	t.stage, err = newStage(ctx, o, t.layout, t.name, out)
	defer func() { err = errors.Join(err, t.Close()) }()
	if err != nil {
		return err
	}
	if err := t.join(ctx); err != nil {
		return err
	}
	for _, part := range t.parts {
		if err := part(ctx); err != nil {
			return err
		}
	}
	t.row(result.Row{What: "the whole measurement", Value: time.Since(began).Seconds(), Unit: "s"})
	return nil
}

// Package live measures what it costs to count copies as they arrive: a ladder of rates, and at each
// rate the verifier beside those that do less, or more, with the same frames. Sender and readers are
// processes on cores of their own, in network namespaces that the benchmark makes. It may import
// api, controllers/verifier, test/bench/copies, test/bench/core and test/bench/result.
package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"vpcmirror.io/operator/test/bench/result"
)

// Options of the benchmark. The zero value of each field is its default.
type Options struct {
	// Runs is how often each reader is measured at each rate; default 5, with Quick 1.
	Runs int
	// Quick takes two rates and short rounds.
	Quick bool
}

// full is the rate that means as many frames as can be sent.
const full = 0

// rates are the steps, frames a second.
func (o *Options) rates() []int {
	if o.Quick {
		return []int{50_000, full}
	}
	return []int{50_000, 100_000, 200_000, 400_000, full}
}

func (o *Options) setDefaults() error {
	if o.Runs == 0 {
		o.Runs = 5
		if o.Quick {
			o.Runs = 1
		}
	}
	if os.Geteuid() != 0 {
		return errors.New(`it makes network namespaces, which needs root: sudo env "PATH=$PATH" make bench; or leave it out with --only`)
	}
	if _, err := exec.LookPath(tcpdump[0]); err != nil {
		return fmt.Errorf("tcpdump is what the verifier is measured against: install the package tcpdump: %w", err)
	}
	return nil
}

// Run climbs the ladder. With the error of the context come the rows of what was measured until then.
func Run(ctx context.Context, o Options, out io.Writer) ([]result.Row, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, whose processes send and read: %w", err)
	}
	w, err := newWire()
	if err != nil {
		return nil, err
	}
	defer w.close()
	l := &ladder{wire: w, self: self, seconds: 2}
	if o.Quick {
		l.seconds = 0.5
	}
	fmt.Fprintf(out, "Frames for %d sessions of %d sources and %d rules; sender on core %d, reader on core %d; rounds of %g s, %d of each reader at each rate in turn\n",
		sessionCount, sourceCount, ruleCount, w.sender.core, w.receiver.core, l.seconds, o.Runs)
	if !w.apart {
		fmt.Fprintln(out, "Both are threads of one physical core: every figure is higher than it would be on two")
	}
	all := newCells(o.rates())
	for run := range o.Runs {
		for _, rate := range o.rates() {
			for i := range readers {
				// Each run begins with another reader: what an earlier one left behind hits all.
				c := all.at(rate, readers[(i+run)%len(readers)])
				if err := c.fill(ctx, l.measure, out); err != nil {
					return all.rows(o.Runs), err
				}
			}
		}
	}
	return all.rows(o.Runs), nil
}

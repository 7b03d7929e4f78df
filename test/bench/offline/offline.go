// Package offline measures "verifier read" against tcpdump on a file that it generates: whole
// processes, run in turn, bound to one core. It may import test/bench/copies, test/bench/core and
// test/bench/result.
package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"vpcmirror.io/operator/test/bench/copies"
	"vpcmirror.io/operator/test/bench/core"
	"vpcmirror.io/operator/test/bench/result"
)

// Goals of the two ratios.
const (
	mostOfCounting  = 0.45 // at most this many times tcpdump --count
	timesOfPrinting = 60   // at least this many times faster than tcpdump -nneS
)

// Options of the benchmark. The zero value of each field is its default.
type Options struct {
	// Verifier is the verifier's binary; default bin/verifier.
	Verifier string
	// Runs is how often each program runs; default 7, with Quick 3.
	Runs int
	// Quick takes a smaller file.
	Quick bool
}

// packets is how many copies the file has.
func (o *Options) packets() int {
	if o.Quick {
		return 300_000
	}
	return 2_000_000
}

func (o *Options) setDefaults() error {
	if o.Verifier == "" {
		o.Verifier = filepath.Join("bin", "verifier")
	}
	if o.Runs == 0 {
		o.Runs = 7
		if o.Quick {
			o.Runs = 3
		}
	}
	if _, err := exec.LookPath("tcpdump"); err != nil {
		return fmt.Errorf("tcpdump is what the verifier is measured against: install the package tcpdump: %w", err)
	}
	if _, err := os.Stat(o.Verifier); err != nil {
		return fmt.Errorf("the verifier's binary is missing, make build makes it: %w", err)
	}
	return nil
}

// Run measures. Its rows are the medians and their ratios; they are void where the verifier's
// counts are not those of the file.
func Run(ctx context.Context, o Options, out io.Writer) (rows []result.Row, err error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "vpcmirror-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the generated file: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	file, packets := filepath.Join(folder, "copies.pcap"), o.packets()
	fmt.Fprintf(out, "A file of %d copies, %d bytes of inner frame, %d sources, %d VNIs; %d runs of each program in turn, after one that does not count\n",
		packets, copies.InnerBytes, copies.Sources, copies.VNIs, o.Runs)
	if err := generate(file, packets); err != nil {
		return nil, fmt.Errorf("generate %s: %w", file, err)
	}
	counted, wrong, err := counts(ctx, o.Verifier, file, packets)
	if err != nil {
		return nil, err
	}
	_, one, _, err := core.Two()
	if err != nil {
		one = -1 // the only core that there is
	}
	programs := []*program{
		{name: "verifier read", argv: []string{o.Verifier, "read", file}, cpu: one},
		{name: "tcpdump --count -r", argv: []string{"tcpdump", "--count", "-r", file}, cpu: one},
		{name: "tcpdump -nneS -r", argv: []string{"tcpdump", "-nneS", "-r", file}, cpu: one},
		{name: "verifier read on all cores", argv: []string{o.Verifier, "read", file}, cpu: -1},
	}
	if err := measure(ctx, programs, o.Runs, out); err != nil {
		return nil, err
	}
	return rate(programs, packets, counted, wrong), nil
}

// rate makes the rows of the times of the four programs, in the order in which Run has them.
func rate(programs []*program, packets, counted int, wrong string) []result.Row {
	read, counting, printing := programs[0].seconds(), programs[1].seconds(), programs[2].seconds()
	rows := []result.Row{
		{
			What: "offline, copies counted right", Value: float64(counted), Unit: fmt.Sprintf("of %d", packets),
			AtLeast: float64(packets), AtMost: float64(packets), Count: true,
		},
		{What: "offline, verifier read", Value: read / counting, Unit: "x tcpdump --count -r", AtMost: mostOfCounting},
		{What: "offline, tcpdump -nneS -r", Value: printing / read, Unit: "x verifier read", AtLeast: timesOfPrinting},
	}
	for _, p := range programs {
		rows = append(rows, result.Row{What: "offline, time of " + p.name, Value: p.seconds() / float64(packets) * 1e6, Unit: "us/packet"})
	}
	// Other work on the machine takes a program's time more than its CPU.
	for _, p := range programs {
		rows = append(rows, result.Row{What: "offline, CPU of " + p.name, Value: median(p.used).Seconds() / float64(packets) * 1e6, Unit: "us/packet"})
	}
	for i := range rows {
		rows[i].Void = wrong
	}
	return rows
}

// Command bench measures the project against tcpdump and against its own goals: benchmarks of
// several kinds in one run, the machine described, and one table in which each figure stands beside
// its goal. It fails where one is missed. README.md beside it says how to read the table. It may
// import everything below test/bench and test/env/interrupt.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"vpcmirror.io/operator/test/bench/live"
	"vpcmirror.io/operator/test/bench/node"
	"vpcmirror.io/operator/test/bench/offline"
	"vpcmirror.io/operator/test/bench/result"
	"vpcmirror.io/operator/test/bench/scale"
	"vpcmirror.io/operator/test/env/interrupt"
)

// common is what the flags say to every benchmark.
type common struct {
	runs  int // 0 for the benchmark's own number
	quick bool
}

// benchmark is one of those that --only names.
type benchmark struct {
	name string
	run  func(context.Context, common, io.Writer) ([]result.Row, error)
}

var benchmarks = []benchmark{
	{"offline", func(ctx context.Context, c common, out io.Writer) ([]result.Row, error) {
		return offline.Run(ctx, offline.Options{Runs: c.runs, Quick: c.quick}, out)
	}},
	{"live", func(ctx context.Context, c common, out io.Writer) ([]result.Row, error) {
		return live.Run(ctx, live.Options{Runs: c.runs, Quick: c.quick}, out)
	}},
	{"scale", func(ctx context.Context, c common, out io.Writer) ([]result.Row, error) {
		return scale.Run(ctx, scale.Options{Programs: programs, Quick: c.quick}, out)
	}},
	{"node", func(ctx context.Context, c common, out io.Writer) ([]result.Row, error) {
		return node.Run(ctx, node.Options{Programs: programs, Quick: c.quick}, out)
	}},
}

// programs is where make build puts them.
const programs = "bin"

func main() {
	if code, is := live.Child(os.Args); is {
		os.Exit(code)
	}
	var c common
	only := flag.String("only", "", "`names` of the benchmarks to run, with commas between them ("+names()+"); default all")
	flag.IntVar(&c.runs, "runs", 0, "`number` of runs of each measurement; 0 is each benchmark's own")
	flag.BoolVar(&c.quick, "quick", false, "measure for seconds instead of minutes, and fail only where a count is wrong: times of so short a run decide nothing")
	flag.Parse()
	// An interrupt ends the run in progress, which removes what it made; a second one ends at once.
	ctx, stop := interrupt.Context(context.Background())
	defer stop()
	context.AfterFunc(ctx, stop)
	if err := bench(ctx, *only, c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench runs the benchmarks that only names, and prints what they say. One that can't run does not
// keep the others from it.
func bench(ctx context.Context, only string, c common, out io.Writer) error {
	if c.runs < 0 {
		return fmt.Errorf("--runs=%d: name a number of at least 1, or 0 for each benchmark's own", c.runs)
	}
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, machine())
	var rows []result.Row
	var errs []error
	for _, b := range chosen {
		fmt.Fprintf(out, "\n== %s\n", b.name)
		begin := time.Now()
		measured, err := b.run(ctx, c, out)
		fmt.Fprintf(out, "== %s took %s\n", b.name, time.Since(begin).Round(time.Second))
		rows = append(rows, measured...)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", b.name, err))
		}
		if ctx.Err() != nil { // what was measured before is shown all the same
			errs = append(errs, errors.New("interrupted"))
			break
		}
	}
	fmt.Fprintln(out)
	if c.quick {
		fmt.Fprintln(out, "A short run: counts alone decide about its success. The other figures show that measuring works, not how fast anything is.")
	}
	errs = append(errs, result.Print(out, rows), result.Err(rows, c.quick))
	return errors.Join(errs...)
}

// choose returns the benchmarks that a list names, in the order in which they run.
func choose(only string) ([]benchmark, error) {
	if only == "" {
		return benchmarks, nil
	}
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		if !slices.ContainsFunc(benchmarks, func(b benchmark) bool { return b.name == name }) {
			return nil, fmt.Errorf("--only=%s: there is no benchmark %q: choose from %s", only, name, names())
		}
	}
	return slices.DeleteFunc(slices.Clone(benchmarks), func(b benchmark) bool { return !slices.Contains(wanted, b.name) }), nil
}

func names() string {
	var all []string
	for _, b := range benchmarks {
		all = append(all, b.name)
	}
	return strings.Join(all, ",")
}

// Command live asks a real account and the simulated cloud the same, and prints how their answers differ. README.md beside it
// says what it asks, what it makes, and how it cleans up.
//
// It may import test/cloudsim, test/env/interrupt, test/live/account, test/live/cases, test/live/compare, test/live/ledger, test/live/play and
// test/live/report.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"vpcmirror.io/operator/test/env/interrupt"
	"vpcmirror.io/operator/test/live/cases"
)

const usage = `Usage: live COMMAND [FLAGS]

Asks a cloud and the simulated one the same, and prints how their answers differ.

  live run        a real account against the simulator; needs keys, --region, --project, --confirm
  live rehearse   two simulators in this process; --quirks are those of the second
  live clean      deletes what a run left that was killed, by its ledger, or by --mark
  live cases      lists what is asked

live COMMAND --help lists the flags. The exit code is 0 where nothing differs, 1 where something does, and 2 where the run
could not be made, was interrupted, or left something behind.
`

// The exit codes.
const (
	exitSame    = 0
	exitDiffers = 1
	exitFailed  = 2
)

func main() {
	ctx, stop := interrupt.Context(context.Background())
	defer stop()
	context.AfterFunc(ctx, func() {
		stop() // a second one ends at once
		fmt.Fprintln(os.Stderr, "live: interrupted; it cleans up now. Once more ends it at once: run live clean then")
	})
	os.Exit(program{getenv: os.Getenv, out: os.Stdout, progress: os.Stderr}.run(ctx, os.Args[1:]))
}

// program is what a command needs of the process.
type program struct {
	getenv        func(string) string
	out, progress io.Writer
}

// errDiffers means that the sides differ: it was said already.
var errDiffers = errors.New("the two sides differ")

// run runs a command, and returns the exit code.
func (p program) run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		p.say("%s", usage)
		return exitFailed
	}
	commands := map[string]func(context.Context, []string) error{"run": p.live, "rehearse": p.rehearse, "clean": p.clean, "cases": p.cases}
	command, is := commands[args[0]]
	if !is {
		p.say("%s", usage)
		if args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
			return exitSame
		}
		return exitFailed
	}
	err := command(ctx, args[1:])
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitSame
	case errors.Is(err, errDiffers):
		return exitDiffers
	}
	p.say("live: %v\n", err)
	return exitFailed
}

// say writes to whom watches; nobody may be there any more.
func (p program) say(format string, args ...any) { _, _ = fmt.Fprintf(p.progress, format, args...) }

// flags makes a command's flag set.
func (p program) flags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet("live "+name, flag.ContinueOnError)
	flags.SetOutput(p.progress)
	return flags
}

func (p program) cases(_ context.Context, args []string) error {
	if err := p.flags("cases").Parse(args); err != nil {
		return err
	}
	for _, c := range cases.All() {
		if _, err := fmt.Fprintf(p.out, "%-32s %s\n", c.Name, c.Asks); err != nil {
			return err
		}
	}
	return nil
}

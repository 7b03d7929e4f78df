// Package startup is what the programs have in common before their own work begins: how
// flags, --help and mistakes on the command line look, the log, and the way to the API
// server.
//
// It may import nothing of ours.
package startup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
)

// Command is a program, or one command of a program, that takes flags only and runs until
// it is stopped.
type Command struct {
	Name    string // as it is called, for example "verifier run"
	About   string // the first sentence of --help
	Notes   string // the end of --help
	Version string // what --version prints
	// Flags are in groups, each with the name that is its headline in --help.
	Flags []*pflag.FlagSet
	// Check refuses values that can't be, with a sentence that names flag and remedy.
	Check func() error
	// Run does the work until ctx ends.
	Run func(ctx context.Context) error
}

// Flags returns a group of flags that are shown in the order of their declaration.
func Flags(headline string) *pflag.FlagSet {
	flags := pflag.NewFlagSet(headline, pflag.ContinueOnError)
	flags.SortFlags = false
	return flags
}

// Main runs the command with its arguments and returns the exit code: 0, or 1 when it ran
// and failed, or 2 when the command line is wrong. The first SIGINT or SIGTERM ends its
// context, a second one the process.
func (c Command) Main(args []string, stdout, stderr io.Writer) int {
	var logs logOptions
	logging, other := Flags("Logging"), Flags("Other")
	logs.declare(logging)
	version := other.Bool("version", false, "print the version and stop")
	c.Flags = append(c.Flags, logging, other)

	switch err := c.parse(args, stdout); {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		return Usage(c.Name, err, stderr)
	case *version:
		fmt.Fprintln(stdout, c.Name, c.Version)
		return 0
	}
	if err := cmp.Or(c.Check(), logs.check()); err != nil {
		return Usage(c.Name, err, stderr)
	}
	logs.set(stderr)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if err := c.Run(ctx); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", c.Name, err)
		return 1
	}
	return 0
}

func (c Command) parse(args []string, stdout io.Writer) error {
	all := pflag.NewFlagSet(c.Name, pflag.ContinueOnError)
	for _, group := range c.Flags {
		all.AddFlagSet(group)
	}
	all.Usage = func() {
		fmt.Fprintln(stdout, c.About)
		for _, group := range c.Flags {
			fmt.Fprintf(stdout, "\n%s:\n%s", group.Name(), group.FlagUsages())
		}
		fmt.Fprint(stdout, c.Notes)
	}
	err := all.Parse(args)
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		// pflag's own sentence names functions of Go.
		return fmt.Errorf("--%s=%q: give %s", bad.GetFlag().Name, bad.GetValue(), values[bad.GetFlag().Value.Type()])
	}
	if err == nil && all.NArg() > 0 {
		return fmt.Errorf("unknown argument %q: %s takes flags only", all.Arg(0), c.Name)
	}
	return err
}

// values are what the types of flags take, in words.
var values = map[string]string{
	"bool":     "true or false",
	"duration": "a time such as 30s or 10m",
	"float64":  "a number",
	"int":      "a whole number",
	"loopback": "an address of the loopback interface with a port, such as 127.0.0.1:6060 or [::1]:6060; 0 switches it off",
	"uint16":   "a whole number from 0 to 65535",
}

// Usage writes a mistake on the command line as one sentence, and returns the exit code.
func Usage(name string, err error, stderr io.Writer) int {
	fmt.Fprintf(stderr, "%s: %v; see %s --help\n", name, err, name)
	return 2
}

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

// The exit codes of every program.
const (
	ExitOK     = 0
	ExitFailed = 1 // it ran and failed
	ExitUsage  = 2 // the command line is wrong
)

// Command is a program, or one command of a program, that takes flags only and runs until
// it is stopped.
type Command struct {
	// Name as it is called, for example "verifier run".
	Name string
	// About is the first sentence of --help, Notes its end.
	About, Notes string
	// Version is printed for --version.
	Version string
	// Groups are the flags as --help shows them.
	Groups []Group
	// Check refuses values that can't be, with a sentence that names flag and remedy.
	Check func() error
	// Run does the work until ctx ends.
	Run func(ctx context.Context) error
}

// Group is a headline of --help and the flags below it.
type Group struct {
	Title string
	*pflag.FlagSet
}

// NewGroup returns a group without flags.
func NewGroup(title string) Group {
	g := Group{title, pflag.NewFlagSet(title, pflag.ContinueOnError)}
	g.SortFlags = false
	return g
}

// Main runs the command with its arguments and returns the exit code. The first SIGINT or
// SIGTERM ends its context, a second one the process.
func (c Command) Main(args []string, stdout, stderr io.Writer) int {
	var logs logOptions
	logging, other := NewGroup("Logging"), NewGroup("Other")
	logs.declare(logging.FlagSet)
	version := other.Bool("version", false, "print the version and stop")
	c.Groups = append(c.Groups, logging, other)

	switch err := c.parse(args, stdout); {
	case errors.Is(err, pflag.ErrHelp):
		return ExitOK
	case err != nil:
		return Usage(c.Name, err, stderr)
	case *version:
		fmt.Fprintln(stdout, c.Name, c.Version)
		return ExitOK
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
		return ExitFailed
	}
	return ExitOK
}

func (c Command) parse(args []string, stdout io.Writer) error {
	all := pflag.NewFlagSet(c.Name, pflag.ContinueOnError)
	for _, g := range c.Groups {
		all.AddFlagSet(g.FlagSet)
	}
	all.Usage = func() { c.help(stdout) }
	if err := all.Parse(args); err != nil {
		return explain(err)
	}
	if all.NArg() > 0 {
		return fmt.Errorf("unknown argument %q: %s takes flags only", all.Arg(0), c.Name)
	}
	return nil
}

func (c Command) help(stdout io.Writer) {
	fmt.Fprintln(stdout, c.About)
	for _, g := range c.Groups {
		fmt.Fprintf(stdout, "\n%s:\n%s", g.Title, g.FlagUsages())
	}
	fmt.Fprint(stdout, c.Notes)
}

// Usage writes a mistake on the command line as one sentence, and returns the exit code.
func Usage(name string, err error, stderr io.Writer) int {
	fmt.Fprintf(stderr, "%s: %v; see %s --help\n", name, err, name)
	return ExitUsage
}

// values are what the types of flags take, in words.
var values = map[string]string{
	"bool":     "true or false",
	"duration": "a time such as 30s or 10m",
	"float64":  "a number",
	"int":      "a whole number",
	"uint16":   "a whole number from 0 to 65535",
}

// explain puts a value that a flag can't take into words that name no function of Go.
func explain(err error) error {
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		if want := values[bad.GetFlag().Value.Type()]; want != "" {
			return fmt.Errorf("--%s=%q: give %s", bad.GetFlag().Name, bad.GetValue(), want)
		}
	}
	return err
}

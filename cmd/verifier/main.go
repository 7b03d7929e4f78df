// Command verifier proves that mirrored packets arrive. "verifier run" counts the
// copies on the host that owns a mirror target and reports them in the status of the
// MirrorSessions; "verifier read" counts the copies in capture files; "verifier tail" shows
// those of one session as they arrive.
//
// It only wires: what is captured, decided and reported is in controllers/verifier. It
// holds no credentials of the cloud. It may import api, cmd/internal and controllers/verifier.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"vpcmirror.io/operator/cmd/internal/startup"
	"vpcmirror.io/operator/controllers/verifier/read"
)

const help = `verifier proves that mirrored packets arrive.

Usage:
  verifier run [flags]           count the copies that reach this host, and report them
  verifier read FILE... [flags]  count the copies in pcap and pcapng files and streams
  verifier tail SESSION [flags]  show the copies of one session as they reach this host
  verifier version               print the version

"verifier run --help", "verifier read --help" and "verifier tail --help" list the flags.
`

// version is set by the linker.
var version = "unknown"

func main() { os.Exit(program(os.Args[1:], os.Stdout, os.Stderr)) }

// program runs the command that the arguments name and returns the exit code.
func program(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		return startup.Usage("verifier", errors.New("name a command: run, read, tail or version"), stderr)
	}
	name, args := args[0], args[1:]
	switch name {
	case "run":
		return command(run).Main(args, stdout, stderr)
	case "read":
		return read.Main(read.Terminal{In: os.Stdin, Out: stdout, Err: stderr, Interrupt: interrupts()}, args)
	case "tail":
		return tailMain(args, os.Stdin, stdout, stderr)
	case "version", "--version", "help", "--help", "-h":
		if len(args) > 0 {
			return startup.Usage("verifier", fmt.Errorf("unknown argument %q behind %s", args[0], name), stderr)
		}
		if strings.HasSuffix(name, "version") {
			fmt.Fprintln(stdout, "verifier", version)
		} else {
			fmt.Fprint(stdout, help)
		}
		return 0
	}
	return startup.Usage("verifier", fmt.Errorf("unknown command %q: use run, read, tail or version", name), stderr)
}

// interrupts are the signals by which a person ends what runs.
func interrupts() <-chan os.Signal {
	c := make(chan os.Signal, 2) // the second is not to be missed
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	return c
}

package read

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// Exit codes of the command.
const (
	ExitOK    = 0 // every file was read to its end, a stream also to an interrupt
	ExitFile  = 1 // a file could not be read, or not to its end
	ExitUsage = 2 // the command line is wrong
)

const usage = `Count the copies in captures, per outer source address and VNI.

Usage:
  verifier read FILE... [flags]

FILE is a pcap or pcapng file, plain or packed with gzip or zstd; "-" is the
standard input, which may be the pipe of a running tcpdump: an interrupt ends it
with a report. Link types are Ethernet, LINUX_SLL, LINUX_SLL2, RAW, IPV4, IPV6,
NULL and LOOP, in any mixture; frames of others are counted by link type.

A packet is one UDP datagram to the VXLAN port whose VXLAN header has the I flag;
the outermost header counts. Bytes are those of the inner frames on the wire,
also where the capture or its snap length cut them. A frame that is no packet is
counted under "other" by what it is, so that frames = frames of all streams + all
of other. A frame in which the kernel merged several datagrams before the capture
saw them is one packet here, since a file does not say how many they were; the
live verifier knows.

The exit code is 0 when all files were read, 1 when one was not or not to its
end (what was read is reported), 2 when the command line is wrong.

Flags:
`

// Terminal is what the command reads from and writes to.
type Terminal struct {
	In       io.Reader
	Out, Err io.Writer
	// Interrupt ends the reading, with a report.
	Interrupt <-chan os.Signal
}

// command is a command line that was understood.
type command struct {
	terminal Terminal
	port     uint16
	every    time.Duration
	filter   *filter
	write    func(io.Writer, Report) error
}

// Main runs "verifier read" with the arguments behind these two words and
// returns the exit code.
func Main(t Terminal, args []string) int {
	flags := pflag.NewFlagSet("verifier read", pflag.ContinueOnError)
	flags.SetOutput(t.Err)
	output := flags.StringP("output", "o", "text", "text, or json for one JSON object per file and line")
	port := flags.Uint16("port", vxlan.Port, "UDP destination port that means VXLAN")
	every := flags.Duration("every", 0, "report so often what was counted so far, such as 10s")
	rules := flags.String("filter", "", "judge the packets by the MirrorFilter in this `file`, as the live verifier does")
	flags.Usage = func() { fmt.Fprint(t.Out, usage+flags.FlagUsages()) }
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return ExitOK
		}
		return wrong(t.Err, err.Error())
	}
	switch {
	case flags.NArg() == 0:
		return wrong(t.Err, "name at least one capture file")
	case *output != "text" && *output != "json":
		return wrong(t.Err, fmt.Sprintf("--output is %q, it must be text or json", *output))
	case *port == 0:
		return wrong(t.Err, "--port is 0, it must be 1 to 65535")
	case *every < 0:
		return wrong(t.Err, fmt.Sprintf("--every is %s, it must not be negative", *every))
	}
	c := command{terminal: t, port: *port, every: *every, write: text}
	if *output == "json" {
		c.write = func(w io.Writer, r Report) error {
			encoder := json.NewEncoder(w)
			encoder.SetEscapeHTML(false) // a sample has >
			return encoder.Encode(r)
		}
	}
	if *rules != "" {
		var err error
		if c.filter, err = readFilter(*rules); err != nil {
			return wrong(t.Err, "--filter: "+err.Error())
		}
	}
	return c.files(flags.Args())
}

func wrong(stderr io.Writer, what string) int {
	fmt.Fprintf(stderr, "verifier read: %s; see verifier read --help\n", what)
	return ExitUsage
}

// outputError is an error of writing a report: nothing more can be said.
type outputError struct{ error }

// Unwrap returns what went wrong.
func (e outputError) Unwrap() error { return e.error }

// files reads one file after the other.
func (c *command) files(paths []string) int {
	exit := ExitOK
	for _, path := range paths {
		again, err := c.file(path)
		var output outputError
		switch {
		case errors.As(err, &output):
			fmt.Fprintln(c.terminal.Err, "verifier read: write the report:", err)
			return ExitFile
		case err != nil:
			exit = ExitFile
			fmt.Fprintln(c.terminal.Err, "verifier read:", err)
		}
		if !again {
			break
		}
	}
	return exit
}

// file reads and reports one file. It returns whether the next is to be read.
func (c *command) file(path string) (again bool, err error) {
	counter := newCounter(c.port, c.filter)
	var file *capture.File
	ask := asked{interrupt: c.terminal.Interrupt, report: func() error {
		if file == nil {
			return nil // not even its header came
		}
		r := counter.report(path, file.Unread())
		r.Interim = true
		return c.print(r)
	}}
	if c.every > 0 {
		ticker := time.NewTicker(c.every)
		defer ticker.Stop()
		ask.tick = ticker.C
	}
	in, err := c.pipe(path)
	if err != nil {
		return true, err
	}
	poll, interrupted := ask.poll, func() bool { return false }
	if in == nil {
		file, err = capture.Open(path)
	} else {
		pipe := newPipe(in, ask)
		poll, interrupted = pipe.poll, func() bool { return pipe.interrupted }
		if file, err = capture.NewFile(pipe); err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}
	if err != nil {
		return !interrupted(), err
	}
	var stopped error
	file.Guard(func() { stopped = counter.file(file, bySections(), poll) })
	err = errors.Join(stopped, file.Err(), file.Close())
	again = !interrupted() && !errors.Is(err, errInterrupted)
	report := counter.report(path, file.Unread())
	if err != nil {
		report.Note = err.Error()
	}
	if err := errors.Join(asOutput(err), c.print(report)); err != nil {
		return false, err
	}
	if err == nil || interrupted() && errors.Is(err, errInterrupted) {
		return again, nil // a stream may end so
	}
	return again, fmt.Errorf("%s: %w; what came before is reported", path, err)
}

// pipe opens what has to be read as a stream; nil for a regular file.
func (c *command) pipe(path string) (io.Reader, error) {
	if path == "-" {
		return c.terminal.In, nil
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().IsRegular() || info.IsDir() {
		return nil, nil //nolint:nilerr // who opens it says what is wrong with it
	}
	return os.Open(path)
}

// print writes a report.
func (c *command) print(r Report) error {
	if err := c.write(c.terminal.Out, r); err != nil {
		return outputError{err}
	}
	return nil
}

// asOutput is err where it is one of writing a report.
func asOutput(err error) error {
	var output outputError
	if errors.As(err, &output) {
		return output
	}
	return nil
}

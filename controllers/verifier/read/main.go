package read

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// Exit codes of the command.
const (
	ExitOK    = 0 // every file was read to its end
	ExitFile  = 1 // a file could not be read, or not to its end
	ExitUsage = 2 // the command line is wrong
)

const usage = `Count the copies in capture files, per outer source address and VNI.

Usage:
  verifier read FILE... [flags]

FILE is a pcap or pcapng file of Ethernet frames. A packet is one UDP datagram
to the VXLAN port whose VXLAN header has the I flag; the outermost header
counts. Bytes are those of the inner frames on the wire, also where the capture
or its snap length cut them. A frame that is no packet is counted under "other"
by what it is, so that frames = frames of all streams + all of other. A frame
in which the kernel merged several datagrams before the capture saw them is one
packet here, since a file does not say how many they were; the live verifier
knows.

The exit code is 0 when all files were read, 1 when one was not or not to its
end (what was read is reported), 2 when the command line is wrong.

Flags:
`

// Main runs "verifier read" with the arguments behind these two words and
// returns the exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	flags := pflag.NewFlagSet("verifier read", pflag.ContinueOnError)
	flags.SetOutput(stderr)
	output := flags.StringP("output", "o", "text", "text, or json for one JSON object per file and line")
	port := flags.Uint16("port", vxlan.Port, "UDP destination port that means VXLAN")
	flags.Usage = func() { fmt.Fprint(stdout, usage+flags.FlagUsages()) }
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return ExitOK
		}
		return wrong(stderr, err.Error())
	}
	switch {
	case flags.NArg() == 0:
		return wrong(stderr, "name at least one capture file")
	case *output != "text" && *output != "json":
		return wrong(stderr, fmt.Sprintf("--output is %q, it must be text or json", *output))
	case *port == 0:
		return wrong(stderr, "--port is 0, it must be 1 to 65535")
	}
	write := text
	if *output == "json" {
		write = func(w io.Writer, r Report) error { return json.NewEncoder(w).Encode(r) }
	}
	exit := ExitOK
	for _, path := range flags.Args() {
		report, ok, err := File(path, *port)
		if err != nil {
			exit = ExitFile
			fmt.Fprintln(stderr, "verifier read:", problem(path, ok, err))
		}
		if !ok {
			continue
		}
		if err := write(stdout, report); err != nil {
			fmt.Fprintln(stderr, "verifier read: write the report:", err)
			return ExitFile
		}
	}
	return exit
}

func wrong(stderr io.Writer, what string) int {
	fmt.Fprintf(stderr, "verifier read: %s; see verifier read --help\n", what)
	return ExitUsage
}

// problem makes one sentence of what is wrong with a file.
func problem(path string, reported bool, err error) string {
	if !reported {
		return err.Error()
	}
	return fmt.Sprintf("%s: %v; what came before is reported", path, err)
}

// text prints a report for people.
func text(w io.Writer, r Report) error {
	var b strings.Builder
	packets := uint64(0)
	for _, s := range r.Streams {
		packets += s.Packets
	}
	fmt.Fprintf(&b, "%s: frames %d, streams %d, packets %d\n", r.File, r.Frames, len(r.Streams), packets)
	if len(r.Streams) > 0 {
		table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(table, "SOURCE\tVNI\tPACKETS\tBYTES\t\n")
		for _, s := range r.Streams {
			fmt.Fprintf(table, "%s\t%d\t%d\t%d\t\n", s.Source, s.VNI, s.Packets, s.Bytes)
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	if other := otherText(r.Other); other != "" {
		fmt.Fprintf(&b, "other frames: %s\n", other)
	}
	if r.Note != "" {
		fmt.Fprintf(&b, "note: %s\n", r.Note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// otherText names the classes that occurred.
func otherText(o Other) string {
	var parts []string
	for _, class := range []struct {
		name   string
		frames uint64
	}{
		{"not VXLAN", o.NotVXLAN}, {"outer fragment", o.OuterFragment}, {"bad VXLAN header", o.BadHeader},
		{"VXLAN-GPE", o.GPE}, {"malformed", o.Malformed}, {"cut by the capture", o.Cut}, {"too many streams", o.TooManyStreams},
	} {
		if class.frames > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", class.name, class.frames))
		}
	}
	return strings.Join(parts, ", ")
}

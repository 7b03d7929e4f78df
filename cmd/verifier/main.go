// Command verifier proves that mirrored packets arrive. "verifier run" counts the
// copies on the host that owns a mirror target and reports them in the status of the
// MirrorSessions; "verifier read" counts the copies in capture files.
//
// It only wires: what is captured, decided and told is in controllers/verifier. It
// holds no credentials of the cloud. It may import api and controllers/verifier.
package main

import (
	"fmt"
	"os"

	"vpcmirror.io/operator/controllers/verifier/read"
)

const help = `verifier proves that mirrored packets arrive.

Usage:
  verifier run [flags]           count the copies that reach this host, and report them
  verifier read FILE... [flags]  count the copies in pcap and pcapng files
  verifier version               print the version

"verifier run --help" and "verifier read --help" list the flags.
`

// version is set by the linker.
var version = "unknown"

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, help)
		os.Exit(2)
	}
	switch command, args := os.Args[1], os.Args[2:]; command {
	case "run":
		os.Exit(live(args))
	case "read":
		os.Exit(read.Main(args, os.Stdout, os.Stderr))
	case "version", "--version":
		fmt.Println("verifier", version)
	case "help", "--help", "-h":
		fmt.Print(help)
	default:
		fmt.Fprintf(os.Stderr, "verifier: unknown command %q: use run or read, see verifier --help\n", command)
		os.Exit(2)
	}
}

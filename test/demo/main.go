// Command demo-play plays the walkthrough of the cloud's own guide on one Linux machine,
// with real packets, a real kube-apiserver and a simulated cloud, and prints what each
// step showed:
//
//	demo-play run     play it, delete everything, take everything down
//	demo-play up      play it up to the counts and leave everything running
//	demo-play down    take down what up left, or what a killed run left
//
// Everything it writes is below one folder (bin/demo): the log of each program,
// copies.pcap with the copies as they reached ecs-target, with up the file env for a
// shell to source, and report.json with the facts:
//
//	ok             true when all of it held
//	command        run or up
//	startedAt      RFC 3339
//	seconds        how long all of it took
//	failure        what did not hold, "" otherwise
//	steps[]        id, title, ok, seconds, and what it showed: shown[]
//	rows[]         the table: id, sent, sourceKernel (packets in the kernel of
//	               ecs-source), expectedCopies, targetKernel (copies in the kernel of
//	               ecs-target), verifier (copies that the verifier counted), ok
//	sources[]      what the session's status says of each source: interfaceID, address,
//	               packets, bytes, unexpected, truncated; as of the table
//	rules[]        and of each rule: direction, priority, packets
//	copy           the copy of 12345: line, outerLength, innerLength, vxlanFlags, vni,
//	               outerSourceMAC, outerDestinationMAC, outerSource, outerDestination,
//	               innerSourceMAC, innerDestinationMAC, innerSource, innerDestination,
//	               flags, payloadBytes
//	verifier       its entry in the session's status: packets, bytes, unexpected,
//	               undecided, foreignSource, dropped; lastPacket; as of the table
//	captureFile    what `verifier read` says of copies.pcap: packets, bytes
//	silence        how a mirror that had worked was told to be silent: reason, message,
//	               remedy, secondsUntilSilent (from the closing on), secondsUntilTrue (from
//	               the opening on), sourceKernel and targetKernel (packets and copies while
//	               it was closed), kubectl (what `kubectl get mirs` printed then); only with run
//	why            what `kubectl mirror why` printed: closed (while a rule denied the copies),
//	               broader (while another session took the packets), well (afterwards);
//	               secondsUntilClosed, secondsUntilBroader; only with run
//	forgeries[]    false copies: id, what, sent, targetKernel, countedAs, ok; only with run
//	processes[]    name, residentMiB, limitMiB, cpuPercent (of one core, idle)
//	kubectl        what `kubectl get mirf,mirs -o wide` printed
//	cloudEmpty     true when the cloud had no filter, rule or session left; only with run
//	tookDown       true when no process and no network namespace was left; only with run
//
// It may import everything of ours.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"vpcmirror.io/operator/test/env/checkout"
	"vpcmirror.io/operator/test/env/interrupt"
)

const help = `demo-play plays the walkthrough: filter and session by kubectl apply, real packets, real copies, real counts.

Usage:
  demo-play run  [flags]   play it, then delete and take down everything
  demo-play up   [flags]   play it up to the counts and leave everything running
  demo-play down [flags]   take down what up left, or what a killed run left

Flags:
`

// options are what the flags say.
type options struct {
	folder    string
	programs  string
	cloudPort int
	prefix    string
}

func main() {
	// What the libraries would log is in our own errors.
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	ctx, stop := interrupt.Context(context.Background())
	defer stop()
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Exit codes: 1 when something did not hold, 2 for wrong usage, 130 when interrupted.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("demo-play", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.folder, "folder", "bin/demo", "`folder` for everything that is written")
	flags.StringVar(&o.programs, "programs", "bin", "`folder` with manager, verifier, kubectl-mirror and cloudsim")
	flags.IntVar(&o.cloudPort, "cloud-port", defaultCloudPort, "TCP `port` of the simulated cloud on 127.0.0.1")
	flags.StringVar(&o.prefix, "namespace-prefix", "cloudsim-", "`prefix` of the hosts' network namespaces")
	flags.Usage = func() { fmt.Fprint(stderr, help); flags.PrintDefaults() }
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	if name == "forward" {
		return forward(ctx, args, stderr)
	}
	if name == "ids" {
		return ids(ctx, args, stderr)
	}
	if name == "help" || name == "-h" || name == "--help" {
		flags.SetOutput(stdout)
		fmt.Fprint(stdout, help)
		flags.PrintDefaults()
		return 0
	}
	if name != "run" && name != "up" && name != "down" {
		flags.Usage()
		return exitUsage
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return exitUsage
	}
	if err := o.check(flags.Args()); err != nil {
		fmt.Fprintln(stderr, "demo-play:", err)
		return exitUsage
	}
	return perform(ctx, name, o, stdout, stderr)
}

func (o options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unknown argument %q: there are flags only, see demo-play help", rest[0])
	case o.cloudPort < 1 || o.cloudPort > 65535:
		return fmt.Errorf("--cloud-port=%d is no port: choose one from 1 to 65535", o.cloudPort)
	case o.prefix == "":
		return errors.New("--namespace-prefix is empty: choose a few letters, such as demo-")
	}
	return nil
}

// perform does the command inside of the project's folder, with the lock held.
func perform(ctx context.Context, name string, o options, stdout, stderr io.Writer) int {
	d, err := newDemo(name, o, newScreen(stdout))
	if err == nil {
		defer d.lock.Close()
		if name == "down" {
			err = d.down()
		} else {
			err = d.play(ctx)
		}
		written := []string{d.folder}
		if name == "up" && err == nil { // all the rest is in use
			written = []string{d.path("env"), d.admin, d.path("report.json"), d.path("copies.pcap")}
		}
		err = errors.Join(err, checkout.HandOver(d.root, written...))
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errReported):
	default:
		fmt.Fprintln(stderr, "demo-play:", err)
	}
	if ctx.Err() != nil {
		return exitInterrupted
	}
	return exitFailed
}

// errReported is returned when the screen has said already what went wrong.
var errReported = errors.New("reported already")

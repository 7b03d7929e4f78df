// Command cloudsim is the simulated cloud as a program: it serves the VPC, ECS and IAM calls that traffic mirroring needs,
// and, as root, moves real packets between the scenario's hosts. See cloudsim --help.
//
// It may import everything below test/cloudsim.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"vpcmirror.io/operator/test/cloudsim/scenario"
)

const help = `cloudsim is a simulated cloud for traffic mirroring: the HTTP API of VPC v3 with signed requests, and a packet data plane.

Usage:
  cloudsim serve [flags]               serve the API until SIGINT or SIGTERM; serve --help lists the flags
  cloudsim call METHOD PATH [BODY]     sign a request, send it, print the answer; call --help lists the variables
  cloudsim scenario                    print the built-in scenario, a model for your own
  cloudsim check FILE                  check a scenario file and say what is in it

Examples:
  cloudsim serve --listen 127.0.0.1:8600
  sudo cloudsim serve --data-plane     hosts become network namespaces, such as cloudsim-ecs-source
  cloudsim call GET /v3/{project_id}/vpc/traffic-mirror-sessions
  cloudsim call PUT /v3/{project_id}/vpc/traffic-mirror-sessions/ID '{"traffic_mirror_session":{"virtual_network_id":7}}'
`

// errUsage has been explained on standard error already.
var errUsage = errors.New("wrong usage")

// errRefused: the cloud's answer, printed already, was an error.
var errRefused = errors.New("refused")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(exitCode(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr), os.Stderr))
}

func exitCode(err error, stderr io.Writer) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	case errors.Is(err, errRefused):
		return 1
	}
	fmt.Fprintf(stderr, "cloudsim: %v\n", err)
	return 1
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, help)
		return errUsage
	}
	switch command, rest := args[0], args[1:]; command {
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, help)
		return nil
	case "serve":
		return serve(ctx, rest, stdout, stderr)
	case "call":
		return call(ctx, rest, os.Getenv, stdin, stdout, stderr)
	case "scenario":
		_, err := stdout.Write(scenario.WalkthroughYAML)
		return err
	case "check":
		return check(rest, stdout, stderr)
	default:
		fmt.Fprintf(stderr, "cloudsim: there is no command %q; there are serve, call, scenario and check\n", command)
		return errUsage
	}
}

func check(args []string, stdout, stderr io.Writer) error {
	if len(args) != 1 {
		fmt.Fprintln(stderr, "cloudsim: check takes one scenario file")
		return errUsage
	}
	sc, err := scenario.Load(args[0])
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s is fine: region %s, %d accounts, %d VPCs, %d security groups, %d hosts\n",
		args[0], sc.Region, len(sc.Accounts), len(sc.VPCs), len(sc.SecurityGroups), len(sc.Hosts))
	return nil
}

// parse reads flags; a mistake was explained on standard error already.
func parse(flags *flag.FlagSet, args []string) error {
	err := flags.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return errUsage
}

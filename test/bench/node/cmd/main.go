// Command cmd measures the verifier of a node alone: see package node. It may import test/bench/result
// and test/bench/node.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"vpcmirror.io/operator/test/bench/node"
	"vpcmirror.io/operator/test/bench/result"
)

func main() {
	o := node.Options{}
	flag.StringVar(&o.Programs, "programs", "bin", "the folder of the programs")
	flag.BoolVar(&o.Quick, "quick", false, "what takes a minute, and its counts alone decide")
	flag.IntVar(&o.Sessions, "sessions", 0, "how many sessions the cluster has")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	rows, err := node.Run(ctx, o, os.Stdout)
	stop()
	err = errors.Join(err, result.Print(os.Stdout, rows), result.Err(rows, o.Quick))
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

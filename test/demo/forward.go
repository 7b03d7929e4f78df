package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// forward is the subcommand that the demo starts for itself: a TCP forwarder whose
// listener is in a network namespace and whose connections go out from here. It returns
// the exit code.
func forward(ctx context.Context, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo-play forward", flag.ContinueOnError)
	flags.SetOutput(stderr)
	namespace := flags.String("namespace", "", "network `namespace` to listen in")
	listen := flags.String("listen", "", "`address` to listen on there")
	to := flags.String("to", "", "`address` to connect to from here")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	var listener net.Listener
	err := netns.In(*namespace, func() (err error) {
		listener, err = net.Listen("tcp", *listen)
		return err
	})
	if err != nil {
		fmt.Fprintln(stderr, "demo-play forward:", err)
		return exitFailed
	}
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		near, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return 0
		}
		if err != nil {
			fmt.Fprintln(stderr, "demo-play forward:", err)
			return exitFailed
		}
		go join(near, *to, stderr)
	}
}

// join connects one connection with the other side until one of the two ends.
func join(near net.Conn, to string, stderr io.Writer) {
	defer near.Close()
	far, err := net.Dial("tcp", to)
	if err != nil {
		fmt.Fprintln(stderr, "demo-play forward:", err)
		return
	}
	defer far.Close()
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(way[0], way[1]) // how a connection ends is its users' business
			ended <- struct{}{}
		}()
	}
	<-ended
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/api/meta"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/demo/wire"
)

// ids is the subcommand that the demo starts for itself: a program that takes the copies, as the
// guide's tcpdump on ecs-target does. It returns the exit code.
func ids(ctx context.Context, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo-play ids", flag.ContinueOnError)
	flags.SetOutput(stderr)
	namespace := flags.String("namespace", "", "network `namespace` to listen in")
	at := flags.String("device", "", "network `device` to listen at")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if err := wire.Take(ctx, *namespace, *at); err != nil {
		fmt.Fprintln(stderr, "demo-play ids:", err)
		return exitFailed
	}
	return 0
}

// startIDS lets a program take the copies: a mirror is for somebody, and the status says when
// nobody is there.
func (d *demo) startIDS() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding our own program: %w", err)
	}
	p, err := d.start("ids", self, "", "ids", "--namespace", d.namespace(ecsTarget), "--device", device)
	if err != nil {
		return err
	}
	d.say("process %d stands for the IDS of %s: it reads what arrives at %s, as tcpdump does", p.PID, ecsTarget.name, device)
	return nil
}

// consumed waits until the status says that something takes the copies, and that nothing stands
// in their way.
func (d *demo) consumed(ctx context.Context) error {
	var said string
	err := d.until(ctx, "the status says that something takes the copies, and finds nothing wrong", func(ctx context.Context) error {
		_, s, err := d.entry(ctx)
		if err != nil {
			return err
		}
		ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionConsumerReady)
		switch {
		case ready == nil:
			return errors.New("it has no condition ConsumerReady")
		case ready.Reason != v1alpha1.ReasonConsumerSeen:
			return fmt.Errorf("ConsumerReady is %s, %s: %s", ready.Status, ready.Reason, ready.Message)
		case len(s.Status.Findings) > 0:
			return fmt.Errorf("findings are %+v", s.Status.Findings)
		}
		said = ready.Message
		return nil
	})
	if err == nil {
		d.say("ConsumerReady is True: %s", said)
	}
	return err
}

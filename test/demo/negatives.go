package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/demo/wire"
)

// openFor lets something into a security group while f runs.
func (d *demo) openFor(ctx context.Context, group, protocol string, port int, from server, f func() error) error {
	rule, err := d.cloud.open(ctx, group, protocol, port, from)
	if err != nil {
		return err
	}
	return errors.Join(f(), d.cloud.close(context.WithoutCancel(ctx), rule))
}

// sendNegatives sends what reaches ecs-source and must not be copied, and hangs up.
func (d *demo) sendNegatives(ctx context.Context) error {
	d.say("the cloud's API opens ecs-source's security group for each, so that only the filter can keep it out of the copies")
	group := scenario.WalkthroughSourceGroup
	err := d.openFor(ctx, group, "tcp", otherPort, ecsTest, func() error {
		return d.talkOnce(ctx, ecsTest, ecsSource, otherPort, "hello", "12345")
	})
	if err != nil {
		return err
	}
	d.say("another port: ecs-test says hello and 12345 on TCP %d", otherPort)

	// The service's port has a listener only while one conversation begins, so another
	// client finds it free.
	err = d.openFor(ctx, group, "tcp", servicePort, ecsTarget, func() error {
		return d.talkOnce(ctx, ecsTarget, ecsSource, servicePort, "hello", "12345")
	})
	if err != nil {
		return err
	}
	d.say("another client: ecs-target says the same on TCP %d", servicePort)

	err = d.openFor(ctx, group, "udp", servicePort, ecsTest, func() error {
		return d.sendUDP(ecsTest, ecsSource, servicePort, true, slices.Repeat([][]byte{[]byte("12345\n")}, udpCount)...)
	})
	if err != nil {
		return err
	}
	d.say("another protocol: ecs-test sends %d datagrams to UDP %d", udpCount, servicePort)

	if err := errors.Join(d.talk.answer("you are welcome"), d.talk.hangUp()); err != nil {
		return err
	}
	d.say("the other direction: ecs-source answers in the conversation that is still open, then both hang up")
	d.marks.opened, err = d.waitUntilQuiet(ctx)
	return err
}

// udpCount is how many datagrams are sent to the service's port.
const udpCount = 5

// talkClosed talks while the target's security group keeps the copies out.
func (d *demo) talkClosed(ctx context.Context) error {
	if err := d.cloud.close(ctx, scenario.WalkthroughVXLANRule); err != nil {
		return err
	}
	d.say("the rule for UDP 4789 is deleted from ecs-target's security group; ecs-test says hello and 12345 on TCP %d", servicePort)
	if err := d.talkOnce(ctx, ecsTest, ecsSource, servicePort, "hello", "12345"); err != nil {
		return err
	}
	now, err := d.waitUntilQuiet(ctx)
	if err != nil {
		return err
	}
	d.marks.closed = now
	count := now.since(d.marks.opened)
	if n := count.target[all4789]; n != 0 {
		return fmt.Errorf("%d copies arrived although nothing lets them in", n)
	}
	d.say("the kernel of ecs-source received %d packets, to ecs-target came 0 copies", count.source[requests])
	return nil
}

// talkReopened puts the rule back and talks.
func (d *demo) talkReopened(ctx context.Context) error {
	var err error
	if d.vxlanRule, err = d.cloud.open(ctx, scenario.WalkthroughTargetGroup, "udp", wire.Port, ecsSource); err != nil {
		return err
	}
	d.say("the rule is back; the same conversation")
	if err := d.talkOnce(ctx, ecsTest, ecsSource, servicePort, "hello", "12345"); err != nil {
		return err
	}
	now, err := d.waitUntilQuiet(ctx)
	if err != nil {
		return err
	}
	d.marks.reopened = now
	count := now.since(d.marks.closed)
	d.say("the kernel of ecs-source received %d packets, to ecs-target came %d copies", count.source[requests], count.target[requests])
	return nil
}

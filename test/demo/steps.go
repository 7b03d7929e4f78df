package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"vpcmirror.io/operator/test/demo/wire"
)

// converse plays the guide's conversation and looks at the copy of its second line. The
// connection stays open, so that this copy stays the last one.
func (d *demo) converse(ctx context.Context) error {
	var err error
	if d.marks.began, err = d.waitUntilQuiet(ctx); err != nil {
		return err
	}
	if d.talk, err = d.connect(ctx, ecsTest, ecsSource, servicePort); err != nil {
		return err
	}
	d.later("the conversation", d.talk.drop)
	for _, line := range []string{"hello", "12345"} {
		if err := d.talk.say(line); err != nil {
			return err
		}
	}
	now, err := d.waitUntilQuiet(ctx)
	if err != nil {
		return err
	}
	d.say("as `nc -l 1234` on ecs-source and `nc 192.168.0.230 1234` on ecs-test do it: the lines hello and 12345 were sent, and arrived")
	count := now.since(d.marks.began)
	if err := d.lookAtCopy(ctx, now.target[all4789]); err != nil {
		return err
	}
	if received, copied := count.source[requests], count.target[requests]; received == 0 || received != copied {
		return fmt.Errorf("the kernel of ecs-source received %d packets of it, to the kernel of ecs-target came %d copies", received, copied)
	}
	entry, _, err := d.waitCounted(ctx, count.source[requests])
	if err != nil {
		return err
	}
	d.say("the kernel of ecs-source received %d packets, to ecs-target came %d copies, the verifier counted %d",
		count.source[requests], count.target[requests], entry.Packets)
	return d.checkLastPacket(entry.LastPacket, *d.report.Copy)
}

// lookAtCopy takes the copy of 12345 from our own capture and checks all of it.
func (d *demo) lookAtCopy(ctx context.Context, all uint64) error {
	copies, err := d.captured(ctx, all)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(copies, func(c wire.Copy) bool { return string(c.Inner.Payload) == "12345\n" })
	if i < 0 {
		return errors.New("the copy of 12345 did not reach ecs-target")
	}
	c := copies[i]
	facts := factsOf(c)
	d.report.Copy = &facts
	d.show("The copy of 12345 as it reached ecs-target, as `tcpdump -i eth0 -nne udp port 4789` shows it:\n  " +
		strings.ReplaceAll(c.Line(), "\n", "\n  "))
	if wrong := facts.differences(); len(wrong) > 0 {
		return fmt.Errorf("the copy is not as in the guide: %s", strings.Join(wrong, "; "))
	}
	d.say("outer length %d, inner %d: the %d bytes of difference are the encapsulation; addresses, MACs and VNI are the guide's", outerLength, innerLength, outerLength-innerLength)
	return nil
}

func factsOf(c wire.Copy) copyFacts {
	f := copyFacts{
		Line:        c.Line(),
		OuterLength: c.Outer.Length, OuterSourceMAC: c.Outer.SourceMAC, OuterDestinationMAC: c.Outer.DestinationMAC,
		OuterSource: c.Outer.Source.String(), OuterDestination: c.Outer.Destination.String(),
		VXLANFlags: int(c.Flags), VNI: int(c.VNI),
		InnerLength: c.Inner.Length, InnerSourceMAC: c.Inner.SourceMAC, InnerDestinationMAC: c.Inner.DestinationMAC,
		InnerSource: c.Inner.Source.String(), InnerDestination: c.Inner.Destination.String(),
		PayloadBytes: len(c.Inner.Payload),
	}
	if c.Inner.PushACK() {
		f.Flags = "PSH+ACK"
	}
	return f
}

// differences compares the copy with the guide. The two source ports of flows are any.
func (f copyFacts) differences() []string {
	var wrong []string
	want := func(what string, got, want any) {
		if got != want {
			wrong = append(wrong, fmt.Sprintf("%s is %v, not %v", what, got, want))
		}
	}
	want("the outer length", f.OuterLength, outerLength)
	want("the outer source MAC", f.OuterSourceMAC, gatewayMAC)
	want("the outer destination MAC", f.OuterDestinationMAC, ecsTarget.mac)
	want("the outer source address", host(f.OuterSource), ecsSource.address.String())
	want("the outer destination", f.OuterDestination, ecsTarget.at(wire.Port).String())
	want("the VXLAN flags", f.VXLANFlags, 0x08)
	want("the VNI", f.VNI, sessionVNI)
	want("the inner length", f.InnerLength, innerLength)
	want("the inner source MAC", f.InnerSourceMAC, ecsTest.mac)
	want("the inner destination MAC", f.InnerDestinationMAC, ecsSource.mac)
	want("the inner source address", host(f.InnerSource), ecsTest.address.String())
	want("the inner destination", f.InnerDestination, ecsSource.at(servicePort).String())
	want("the TCP flags", f.Flags, "PSH+ACK")
	want("the payload", f.PayloadBytes, len("12345\n"))
	return wrong
}

func host(addressAndPort string) string {
	address, _, _ := strings.Cut(addressAndPort, ":")
	return address
}

// checkLastPacket looks whether the verifier shows the same packet in the status: the
// ports of both flows tell it from the copies of other conversations.
func (d *demo) checkLastPacket(line string, c copyFacts) error {
	dotted := func(from, to string) string { return strings.ReplaceAll(from+" > "+to, ":", ".") }
	for _, part := range []string{
		dotted(c.OuterSource, c.OuterDestination), fmt.Sprintf("length %d", c.OuterLength), fmt.Sprintf("vni %d", c.VNI),
		dotted(c.InnerSource, c.InnerDestination), fmt.Sprintf("length %d", c.InnerLength), "[P.]",
	} {
		if !strings.Contains(line, part) {
			return fmt.Errorf("the verifier's last packet is to be the copy of 12345, but %q has no %q", line, part)
		}
	}
	d.show("The same packet in the session's status, status.verification[0].lastPacket:\n  " + strings.ReplaceAll(line, "\n", "\n  "))
	return nil
}

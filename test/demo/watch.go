package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"vpcmirror.io/operator/test/demo/kernel"
	"vpcmirror.io/operator/test/demo/wire"
)

// The kinds of packets that are told apart at ecs-source, and by what is inside of them
// at ecs-target. Names of counters.
const (
	requests    = "requests"
	otherPorts  = "otherPort"
	otherClient = "otherClient"
	datagrams   = "udp"
	replies     = "replies"
	// The counters of UDP 4789 at ecs-target: from ecs-source, of these with the
	// session's VNI, and all there are.
	fromSource = "fromSource"
	ofSession  = "ofSession"
	all4789    = "all"
)

const (
	tcp = 6
	udp = 17
	// tableName is that of our nftables table in the hosts.
	tableName = "vpcmirror-demo"
)

// kinds says how a kernel tells the kinds apart.
func kinds() []kernel.Counter {
	from := func(s server, protocol uint8, port uint16) []kernel.Field {
		return []kernel.Field{
			kernel.Protocol(protocol), kernel.Source(s.address), kernel.Destination(ecsSource.address), kernel.DestinationPort(port),
		}
	}
	return []kernel.Counter{
		{Name: requests, Fields: from(ecsTest, tcp, servicePort)},
		{Name: otherPorts, Fields: from(ecsTest, tcp, otherPort)},
		{Name: otherClient, Fields: from(ecsTarget, tcp, servicePort)},
		{Name: datagrams, Fields: from(ecsTest, udp, servicePort)},
		{Name: replies, Way: kernel.Sent, Fields: []kernel.Field{
			kernel.Protocol(tcp), kernel.Source(ecsSource.address), kernel.Destination(ecsTest.address), kernel.SourcePort(servicePort),
		}},
	}
}

// copiesOf are the counters of ecs-target: UDP 4789, and each kind by what is inside.
func copiesOf(kinds []kernel.Counter) []kernel.Counter {
	vxlan := []kernel.Field{kernel.Protocol(udp), kernel.DestinationPort(wire.Port)}
	with := func(more ...kernel.Field) []kernel.Field { return append(vxlan[:len(vxlan):len(vxlan)], more...) }
	source := kernel.Source(ecsSource.address)
	counters := []kernel.Counter{
		{Name: all4789, Fields: vxlan},
		{Name: fromSource, Fields: with(source)},
		{Name: ofSession, Fields: with(source, kernel.VNI(sessionVNI))},
	}
	for _, kind := range kinds {
		fields := with(source)
		for _, f := range kind.Fields {
			fields = append(fields, kernel.Inner(f))
		}
		counters = append(counters, kernel.Counter{Name: kind.Name, Fields: fields})
	}
	return counters
}

// watchHosts lets the kernels of ecs-source and ecs-target count, and captures the
// copies at ecs-target.
func (d *demo) watchHosts(ctx context.Context) error {
	var err error
	if d.source, err = kernel.Watch(d.namespace(ecsSource), tableName, kinds()); err != nil {
		return err
	}
	d.later("the counters of ecs-source", d.source.Close)
	if d.target, err = kernel.Watch(d.namespace(ecsTarget), tableName, copiesOf(kinds())); err != nil {
		return err
	}
	d.later("the counters of ecs-target", d.target.Close)
	if d.capture, err = wire.Open(ctx, d.namespace(ecsTarget), device, d.path("copies.pcap")); err != nil {
		return err
	}
	d.later("the capture at ecs-target", d.capture.Close)
	return nil
}

// mark is what both kernels had counted at one moment.
type mark struct{ source, target kernel.Counts }

// since is the difference to an earlier moment.
func (m mark) since(earlier mark) mark {
	minus := func(a, b kernel.Counts) kernel.Counts {
		out := kernel.Counts{}
		for name, n := range a {
			out[name] = n - b[name]
		}
		return out
	}
	return mark{minus(m.source, earlier.source), minus(m.target, earlier.target)}
}

// marks are the moments between the parts of the story.
type marks struct {
	began, opened, closed, reopened mark
}

func (d *demo) readKernels() (mark, error) {
	source, err := d.source.Read()
	if err != nil {
		return mark{}, err
	}
	target, err := d.target.Read()
	return mark{source, target}, err
}

// quiet is how long no counter may move before the last packet counts as arrived: many
// times what TCP waits with an acknowledgement (40 ms) and a frame takes between hosts.
const quiet = 500 * time.Millisecond

// waitUntilQuiet waits until nothing moves any more and returns what the kernels counted.
func (d *demo) waitUntilQuiet(ctx context.Context) (mark, error) {
	var last mark
	var since time.Time
	err := d.until(ctx, "the hosts are quiet", func(context.Context) error {
		now, err := d.readKernels()
		if err != nil {
			return err
		}
		if since.IsZero() || !maps.Equal(now.source, last.source) || !maps.Equal(now.target, last.target) {
			last, since = now, time.Now()
		}
		if time.Since(since) < quiet {
			return errors.New("packets still come")
		}
		return nil
	})
	return last, err
}

// captured returns the copies in our own capture once it has as many as the kernel.
func (d *demo) captured(ctx context.Context, want uint64) ([]wire.Copy, error) {
	var copies []wire.Copy
	err := d.until(ctx, "the capture has all copies", func(context.Context) (err error) {
		if copies, err = d.capture.Copies(); err != nil {
			return err
		}
		if uint64(len(copies)) != want {
			return fmt.Errorf("it has %d, the kernel counted %d", len(copies), want)
		}
		return nil
	})
	return copies, err
}

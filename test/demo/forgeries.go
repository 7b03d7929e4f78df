package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/demo/kernel"
	"vpcmirror.io/operator/test/demo/wire"
)

// forgery is a kind of false copies: datagrams that look like copies and are none, sent
// straight to UDP 4789 of ecs-target.
type forgery struct {
	ID string `json:"id"`
	// What says in words what is false.
	What string `json:"what"`
	// Sent is how many. They differ, so that a wrong sum tells which kind is in it.
	Sent int `json:"sent"`
	// TargetKernel is how many the kernel of ecs-target received.
	TargetKernel uint64 `json:"targetKernel"`
	// CountedAs is how the verifier has to count them for the session: unexpected,
	// foreignSource, or nothing.
	CountedAs string `json:"countedAs"`
	OK        bool   `json:"ok"`

	from  server
	vni   uint32
	inner wire.Frame
}

const foreignVNI = 2

// forgeries are the kinds. Each but the first two is false in one thing only: a verifier
// that does not look at that one thing counts them as copies.
func forgeries() []forgery {
	payload := []byte("12345\n")
	genuine := wire.Frame{
		SourceMAC: ecsTest.mac, DestinationMAC: ecsSource.mac,
		Source: ecsTest.at(38944), Destination: ecsSource.at(servicePort), Payload: payload,
	}
	strayPort, strayClient, outgoing := genuine, genuine, genuine
	strayPort.Destination = ecsSource.at(otherPort)
	strayClient.Source = ecsTarget.at(38944)
	outgoing.SourceMAC, outgoing.DestinationMAC = ecsSource.mac, ecsTest.mac
	return []forgery{
		{ID: "otherPort", What: "inside is another port than the filter's", Sent: 2, CountedAs: "unexpected", from: ecsSource, vni: sessionVNI, inner: strayPort},
		{ID: "otherClient", What: "inside is another client than the filter's", Sent: 3, CountedAs: "unexpected", from: ecsSource, vni: sessionVNI, inner: strayClient},
		{ID: "direction", What: "inside is a packet that leaves ecs-source (by its MACs)", Sent: 5, CountedAs: "unexpected", from: ecsSource, vni: sessionVNI, inner: outgoing},
		{ID: "vni", What: "another VNI than the session's", Sent: 11, CountedAs: "nothing", from: ecsSource, vni: foreignVNI, inner: genuine},
		{ID: "source", What: "from ecs-test, which is no source of the session", Sent: 23, CountedAs: "foreignSource", from: ecsTest, vni: sessionVNI, inner: genuine},
	}
}

// counter tells the kernel of ecs-target how to count this kind.
func (f forgery) counter() kernel.Counter {
	return kernel.Counter{Name: f.ID, Fields: []kernel.Field{
		kernel.Protocol(udp), kernel.Source(f.from.address), kernel.DestinationPort(wire.Port), kernel.VNI(f.vni),
		kernel.Inner(kernel.Source(f.inner.Source.Addr())), kernel.Inner(kernel.DestinationPort(f.inner.Destination.Port())),
		kernel.InnerSourceMAC(f.inner.SourceMAC),
	}}
}

// expected is what the verifier's counts have to become.
func expected(before v1alpha1.Counts, list []forgery) v1alpha1.Counts {
	for _, f := range list {
		switch f.CountedAs {
		case "unexpected":
			before.Unexpected += int64(f.Sent)
		case "foreignSource":
			before.ForeignSource += int64(f.Sent)
		}
	}
	return before
}

// sendForgeries sends false copies. The true ones must stay as they were counted.
func (d *demo) sendForgeries(ctx context.Context) error {
	list := forgeries()
	var counters []kernel.Counter
	for _, f := range list {
		counters = append(counters, f.counter())
	}
	judge, err := kernel.Watch(d.namespace(ecsTarget), tableName+"-forgeries", counters)
	if err != nil {
		return err
	}
	defer judge.Close()
	before, _, err := d.entry(ctx)
	if err != nil {
		return err
	}
	err = d.openFor(ctx, scenario.WalkthroughTargetGroup, "udp", wire.Port, ecsTest, func() error {
		return d.sendAll(ctx, list, judge)
	})
	if err != nil {
		return err
	}
	want := expected(before.Counts, list)
	err = d.until(ctx, "the verifier has sorted the false copies", func(ctx context.Context) error {
		entry, _, err := d.entry(ctx)
		if err == nil && entry.Counts != want {
			err = fmt.Errorf("it counts %+v, wanted is %+v", entry.Counts, want)
		}
		return err
	})
	for i := range list {
		list[i].OK = err == nil
		verb := "counted as"
		if err != nil {
			verb = "to be counted as"
		}
		d.say("%2d reached ecs-target, %s: %s %s", list[i].TargetKernel, list[i].What, verb, list[i].CountedAs)
	}
	d.report.Forgeries = list
	if err != nil {
		return err
	}
	d.say("the %d copies of before are still %d: none of these was counted as one", before.Packets, want.Packets)
	return nil
}

// sendAll sends all kinds and looks whether they have reached the kernel of ecs-target.
func (d *demo) sendAll(ctx context.Context, list []forgery, judge *kernel.Judge) error {
	for _, f := range list {
		datagram, err := wire.Forgery{VNI: f.vni, Inner: f.inner}.Datagram()
		if err != nil {
			return err
		}
		payloads := make([][]byte, f.Sent)
		for i := range payloads {
			payloads[i] = datagram
		}
		if err := d.sendUDP(f.from, ecsTarget, wire.Port, false, payloads...); err != nil {
			return err
		}
	}
	return d.until(ctx, "the false copies have reached ecs-target", func(context.Context) error {
		counts, err := judge.Read()
		if err != nil {
			return err
		}
		var missing []string
		for i := range list {
			list[i].TargetKernel = counts[list[i].ID]
			if list[i].TargetKernel != uint64(list[i].Sent) {
				missing = append(missing, fmt.Sprintf("%d of %d (%s)", list[i].TargetKernel, list[i].Sent, list[i].What))
			}
		}
		if len(missing) > 0 {
			return errors.New(strings.Join(missing, ", "))
		}
		return nil
	})
}

package agent

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

func TestCopiesAreReportedAsTheKernelCountedThem(t *testing.T) {
	w, s, h := counting(t)
	w.expectEntries(s, entry(0))

	wrongPort, answer, cutShort := frametest.Inner("x"), frametest.Inner("x"), frametest.Inner("x").Bytes()[:30]
	wrongPort.DestinationPort = 22
	answer.SourceMAC, answer.DestinationMAC = answer.DestinationMAC, answer.SourceMAC
	answer.Source, answer.Destination = answer.Destination, answer.Source
	sent := slices.Concat(
		good(3000),
		copies(1, 5, wrongPort.Bytes()),             // the filter rejects it
		copies(1, 6, answer.Bytes()),                // the wrong direction
		copies(1, 7, frametest.ARP()),               // nothing that a filter could match
		copies(1, 8, cutShort),                      // cut before what decides
		good(9, from(frametest.ClientAddr)),         // this VNI from another source
		copies(2, 10, frametest.Inner("x").Bytes()), // this source with another VNI
	)
	w.send(sent...)
	h.trail()
	h.trail()

	if got := w.kernel(); got != uint64(len(sent)) {
		t.Fatalf("the kernel counted %d datagrams to port %d, sent were %d", got, vxlan.Port, len(sent))
	}
	w.expectEntries(s, entry(3000, func(e *v1alpha1.Verification) {
		e.Unexpected, e.Undecided, e.ForeignSource, e.Truncated = 18, 8, 9, 8
		e.ForeignSender = frametest.ClientAddr.String()
	}))
	got := w.stored(s).Status.Verification[0]
	for _, order := range []struct {
		what          string
		before, after time.Time
	}{
		{"the start and the first packet", got.StartedAt.Time, got.FirstPacketAt.Time},
		{"the first and the last packet", got.FirstPacketAt.Time, got.LastPacketAt.Time},
		{"the last packet and the observation", got.LastPacketAt.Time, got.ObservedAt.Time},
	} {
		if order.after.Before(order.before) {
			t.Errorf("%s are in the wrong order: %s, %s", order.what, order.before, order.after)
		}
	}
}

func TestTheLastPacketIsShown(t *testing.T) {
	w, s, h := counting(t)
	w.send(good(1)...)
	h.step()
	want := "fa:16:3e:d1:6b:5d > " + mac(w.pair.Receiver.MAC) + ", IPv4, length 110: 192.168.0.230.32838 > 192.168.0.164.4789: VXLAN, flags [I] (0x08), vni 1: " +
		"fa:16:3e:7e:d6:77 > fa:16:3e:7e:d6:bc, IPv4, length 60: 192.168.0.161.38944 > 192.168.0.230.1234: Flags [P.], seq 1, length 6"
	if diff := cmp.Diff(want, w.stored(s).Status.Verification[0].LastPacket); diff != "" {
		t.Errorf("last packet (-want +got):\n%s", diff)
	}
}

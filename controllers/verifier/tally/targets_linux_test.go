package tally_test

import (
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// A target's address may be at a device on top of the card. The kernel hands it each frame
// once more, with offsets of its own.
func TestCopiesAreCountedAtADeviceOnTopOfTheCard(t *testing.T) {
	for _, e := range []struct {
		name   string
		device func(card netlink.Link) netlink.Link
	}{
		{"a macvlan", func(card netlink.Link) netlink.Link {
			return &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "top", ParentIndex: card.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE}
		}},
		{"a bridge", func(netlink.Link) netlink.Link {
			return &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "top"}}
		}},
	} {
		t.Run(e.name, func(t *testing.T) {
			pair := frametest.NewPair(t)
			card := pair.Receiver.Link(t)
			top := pair.Receiver
			top.Name = "top"
			device := e.device(card)
			if err := top.Netlink.LinkAdd(device); err != nil {
				t.Skipf("the kernel makes no such device: %v", err)
			}
			if device.Type() == "bridge" {
				if err := top.Netlink.LinkSetMaster(card, top.Link(t)); err != nil {
					t.Fatal(err)
				}
			}
			if err := top.Netlink.LinkSetUp(top.Link(t)); err != nil {
				t.Fatal(err)
			}
			top.Index, top.MAC = top.Link(t).Attrs().Index, [6]byte(top.Link(t).Attrs().HardwareAddr)
			pair.UntilUp(t)
			(&frametest.Pair{Sender: pair.Sender, Receiver: top}).UntilUp(t)

			r := startReader(t, &top, walkthrough(1))
			p := frametest.Copy(1, frametest.Inner("12345\n").Bytes())
			p.DestinationMAC = top.MAC
			const copies = 50
			frames := make([][]byte, copies)
			for i := range frames {
				frames[i] = p.Bytes()
			}
			pair.Sender.Send(t, frames...)
			got, stats := r.drain(t)
			for until := time.Now().Add(deadline); stats.Frames < copies && time.Now().Before(until); {
				got, stats = r.drain(t) // the device may hand them on a moment later
			}
			if want := (tally.Frames{Read: copies, Attributed: copies}); got.Frames != want || got.Sessions[0].Accepted != copies {
				t.Errorf("%+v, accepted %d, want %+v", got.Frames, got.Sessions[0].Accepted, want)
			}
			if want := (capture.Stats{Frames: copies, Read: copies}); stats != want {
				t.Errorf("%+v, want %+v", stats, want)
			}
		})
	}
}

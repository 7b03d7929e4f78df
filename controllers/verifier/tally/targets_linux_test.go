package tally_test

import (
	"bytes"
	"net/netip"
	"slices"
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

// A tunnel has no link layer: its frames begin with the header of IP.
func TestCopiesAreCountedAtATunnelForIP(t *testing.T) {
	pair := frametest.NewPair(t)
	tun := frametest.NewTun(t, &pair.Receiver, "tun7")
	six := walkthrough(6)
	six.ID, six.Sources[0].OuterAddrs = "IPv6", []netip.Addr{frametest.Mapped(frametest.SourceAddr)}
	r := startReader(t, &tun.Side, walkthrough(1), six)

	const link = 14
	inner := frametest.Inner("12345\n").Bytes()
	put := func(change func(*frametest.Packet)) {
		p := frametest.Copy(1, inner)
		change(&p)
		tun.Put(t, p.Bytes()[link:])
	}
	const copies = 50
	for range copies {
		put(func(*frametest.Packet) {})
		put(func(p *frametest.Packet) {
			p.Source, p.Destination = frametest.Mapped(p.Source), frametest.Mapped(p.Destination)
			p.Payload = append(frametest.VXLANHeader(6), inner...)
		})
	}
	put(func(p *frametest.Packet) { p.Options = 10 })
	put(func(p *frametest.Packet) { p.DestinationPort = 53 })
	put(func(p *frametest.Packet) { p.FragmentOffset = 8 })
	joined := frametest.Copy(1, nil)
	joined.Payload = slices.Repeat(append(frametest.VXLANHeader(1), inner...), 20)
	tun.PutJoined(t, joined.Bytes()[link:], 20, 8+len(inner))

	got, stats := r.drain(t)
	if want := (tally.Frames{Read: 2*copies + 3, Attributed: 2*copies + 2, OuterFragment: 1}); got.Frames != want {
		t.Errorf("%+v, want %+v", got.Frames, want)
	}
	if want := (capture.Stats{Frames: 2*copies + 3, Read: 2*copies + 3}); stats != want {
		t.Errorf("%+v, want %+v", stats, want)
	}
	four, _ := got.Session("walkthrough")
	if four.Accepted != copies+1+20 || four.ArrivedBytes != (copies+1+20)*uint64(len(inner)) {
		t.Errorf("%+v", four)
	}
	if s, _ := got.Session("IPv6"); s.Accepted != copies || s.ArrivedBytes != copies*uint64(len(inner)) {
		t.Errorf("%+v", s)
	}
	// What is shown of a packet has a header of Ethernet, as in a capture file.
	want := append(append(make([]byte, 12), 8, 0), joined.Bytes()[link:]...)
	if four.Last == nil || four.Last.Length != len(want) || !bytes.Equal(four.Last.Data[:link+20], want[:link+20]) {
		t.Errorf("the last packet is %+v, want %x", four.Last, want)
	}
}

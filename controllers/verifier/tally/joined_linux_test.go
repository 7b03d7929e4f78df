package tally_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// A target joins datagrams that it may pass on. Whatever a frame then holds, each copy in it is
// decided by its own bytes.
func TestCopiesThatTheTargetJoinsAreEachCounted(t *testing.T) {
	const copies, atOnce = 20_000, 40
	whole := frametest.Inner(string(make([]byte, 1200)))
	datagram := whole
	datagram.Protocol = 17
	for name, e := range map[string]struct {
		feature string
		inner   frametest.Packet
		cut     int
		vnis    []uint32
	}{
		"tcp, whole":                   {frametest.GROForwarding, whole, 0, []uint32{1}},
		"tcp, cut":                     {frametest.GROForwarding, whole, 96, []uint32{1}},
		"udp, whole":                   {frametest.GROForwarding, datagram, 0, []uint32{1}},
		"udp, cut":                     {frametest.GROForwarding, datagram, 96, []uint32{1}},
		"tcp, two VNIs":                {frametest.GROForwarding, whole, 0, []uint32{1, 2}},
		"udp, cut, two VNIs":           {frametest.GROForwarding, datagram, 300, []uint32{1, 2}},
		"as a list, tcp, cut":          {frametest.GROList, whole, 96, []uint32{1}},
		"as a list, udp, two VNIs":     {frametest.GROList, datagram, 0, []uint32{1, 2}},
		"as a list, cut to the middle": {frametest.GROList, datagram, 700, []uint32{1}},
	} {
		t.Run(name, func(t *testing.T) {
			pair := frametest.NewPair(t)
			pair.Sender.Offload(t, false, frametest.SegmentUDP)
			pair.Receiver.Offload(t, true, frametest.GRO, e.feature)
			pair.UntilUp(t)
			pair.Sender.Address(t, pair.Sender.Link(t), left, right.Addr(), pair.Receiver.MAC)
			pair.Receiver.Address(t, pair.Receiver.Link(t), right, left.Addr(), pair.Sender.MAC)
			r := startReader(t, &pair.Receiver, joinedSession("1", 1), joinedSession("2", 2))

			inner := e.inner.Bytes()
			if e.cut > 0 {
				inner = inner[:e.cut]
			}
			var payload []byte
			want := map[uint32]uint64{}
			for i := range atOnce {
				vni := e.vnis[i%len(e.vnis)]
				want[vni] += copies / atOnce
				payload = append(append(payload, frametest.VXLANHeader(vni)...), inner...)
			}
			var got tally.Snapshot
			const parts = 10 // each fits into the ring, so that nothing is dropped however slow the machine is
			for part := range parts {
				pair.Sender.SendJoined(t, netip.AddrPortFrom(left.Addr(), 50000), netip.AddrPortFrom(right.Addr(), vxlan.Port),
					8+len(inner), slices.Repeat([][]byte{payload}, copies/atOnce/parts)...)
				got = untilCounted(t, r, uint64(part+1)*copies/parts)
			}
			if got.Marks.SuperFrames == 0 {
				t.Skip("the kernel joined no datagrams")
			}
			t.Logf("%d copies in %d frames", copies, got.Frames.Read)
			for i, vni := range []uint32{1, 2} {
				s := got.Sessions[i]
				if s.Accepted != want[vni] || s.Arrived != want[vni] || s.ArrivedBytes != want[vni]*uint64(len(inner)) {
					t.Errorf("VNI %d: accepted %d, arrived %d with %d bytes, want %d: %+v", vni, s.Accepted, s.Arrived, s.ArrivedBytes, want[vni], s)
				}
			}
		})
	}
}

func joinedSession(id string, vni uint32) tally.Session {
	s := walkthrough(vni)
	s.ID = id
	s.Sources[0].OuterAddrs = []netip.Addr{left.Addr()}
	udp := s.Rules[0]
	udp.Priority, udp.Protocol = 2, v1alpha1.ProtocolUDP
	s.Rules = append(s.Rules, udp)
	return s
}

// untilCounted waits until so many packets were counted, of whatever kind.
func untilCounted(t *testing.T, r *reader, packets uint64) tally.Snapshot {
	t.Helper()
	for until := time.Now().Add(deadline); ; {
		got, stats := r.drain(t)
		if stats.Drops != 0 {
			t.Fatalf("the ring dropped %d frames of what fits into it", stats.Drops)
		}
		counted := got.Marks.SuperPackets + got.Frames.Read - got.Marks.SuperFrames
		if counted >= packets {
			return got
		}
		if time.Now().After(until) {
			t.Fatalf("%d packets of %d were counted: %+v", counted, packets, got)
		}
	}
}

package tally_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// truncated are the packets that arrived, and of these the truncated ones, which must be the
// session's and its only source's alike.
func truncated(t *testing.T, s tally.SessionCounts) [2]uint64 {
	t.Helper()
	source := s.Sources[0]
	if source.Arrived != s.Arrived || source.Truncated != s.Truncated {
		t.Errorf("of the source %+v, of the session %+v", source.PacketCounts, s.PacketCounts)
	}
	return [2]uint64{s.Arrived, s.Truncated}
}

func TestTruncatedAreThePacketsOfASuperFrameThatTheMirrorCut(t *testing.T) {
	whole := frametest.Inner("0123456789").Bytes()
	long := frametest.Inner(strings.Repeat("x", 400)).Bytes()
	join := func(inner ...[]byte) (out []byte) {
		for _, b := range inner {
			out = append(append(out, frametest.VXLANHeader(1)...), b...)
		}
		return out
	}
	large := frametest.Inner(strings.Repeat("y", 4000))
	for name, c := range map[string]struct {
		frame capture.Frame
		want  [2]uint64
	}{
		"joined copies, two of them cut": {joinedFrame(join(whole, long[:64], whole, long[:64]), 72, atUDP, capture.JoinedSnapLength), [2]uint64{4, 2}},
		"the last one cut in its header": {joinedFrame(join(whole, whole[:20]), 72, atUDP, capture.JoinedSnapLength), [2]uint64{2, 1}},
		"one of which the capture has no IP header": {
			joinedFrame(join(whole, long[:64]), 72, atUDP, atPayload+72+8+16), [2]uint64{2, 0},
		},
		"segments that the kernel is to cut": {func() capture.Frame {
			b := frametest.Copy(1, large.Bytes()).Bytes()
			return capture.Frame{Data: b[:capture.SnapLength], Length: len(b), Time: 1, SegmentType: capture.SegmentTCP4, SegmentSize: 1000}
		}(), [2]uint64{4, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			counts := newTally(t, walkthrough(1))
			counts.Count(&frames{c.frame})
			if diff := cmp.Diff(c.want, truncated(t, snapshot(t, counts).Sessions[0])); diff != "" {
				t.Errorf("packets and truncated ones (-want +got):\n%s", diff)
			}
		})
	}
}

// What the capture leaves out of a copy was there.
func TestCopiesThatAnEthernetCarriedAreTruncatedByWhatTheMirrorSentAlone(t *testing.T) {
	pair := frametest.NewPair(t)
	r := startReader(t, &pair.Receiver, walkthrough(1))
	long := frametest.Inner(strings.Repeat("x", 1200)).Bytes()
	var sent [][]byte
	add := func(n int, inner []byte) {
		p := frametest.Copy(1, inner)
		p.DestinationMAC = pair.Receiver.MAC
		for range n {
			sent = append(sent, p.Bytes())
		}
	}
	add(5, long)
	add(7, long[:1000])
	add(3, long[:20])                          // cut in its IP header
	add(4, append(long[:54:54], "padding"...)) // declares more than there is
	add(2, frametest.ARP()[:30])
	pair.Sender.Send(t, sent...)
	var got tally.Snapshot
	for got.Frames.Read < uint64(len(sent)) {
		got, _ = r.drain(t)
	}
	if diff := cmp.Diff([2]uint64{5 + 7 + 3 + 4 + 2, 7 + 3 + 4}, truncated(t, got.Sessions[0])); diff != "" {
		t.Errorf("packets and truncated ones (-want +got):\n%s", diff)
	}
}

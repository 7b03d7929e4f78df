package tally_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/sample"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

const (
	atUDP     = 34 // in a frame of the walkthrough
	atPayload = atUDP + 8
)

// joinedFrame is a super-frame of a UDP payload, of which the capture holds the first bytes.
func joinedFrame(payload []byte, size, start, captured int) capture.Frame {
	p := frametest.Copy(0, nil)
	p.Payload = payload
	b := p.Bytes()
	return capture.Frame{
		Data: b[:min(captured, len(b))], Length: len(b), Time: 1,
		SegmentType: capture.SegmentUDP, SegmentSize: size, SegmentStart: start,
	}
}

// outcome is what a super-frame counts as: by session, and what is of none.
type outcome struct {
	Frames                              tally.Frames
	Arrived, Accepted, Unreadable       [2]uint64 // of the sessions with VNI 1 and 2
	SuperFrames, SuperPackets, SuperCut uint64
}

func countJoined(t *testing.T, f capture.Frame) (o outcome) {
	t.Helper()
	two := walkthrough(2)
	two.ID = "walkthrough 2"
	counts := newTally(t, walkthrough(1), two)
	counts.Count(&frames{f})
	got := snapshot(t, counts)
	for i, s := range got.Sessions {
		o.Arrived[i], o.Accepted[i], o.Unreadable[i] = s.Arrived, s.Accepted, s.Unreadable
	}
	o.Frames, o.SuperPackets, o.SuperCut, o.SuperFrames = got.Frames, got.Marks.SuperPackets, got.Marks.SuperCut, got.Marks.SuperFrames
	return o
}

func TestEachDatagramOfAJoinedFrameIsDecidedByItsOwnBytes(t *testing.T) {
	inner := frametest.Inner("0123456789").Bytes()
	size := 8 + len(inner)
	datagram := func(header []byte) []byte { return append(header, inner...) }
	one, two := datagram(frametest.VXLANHeader(1)), datagram(frametest.VXLANHeader(2))
	bad := datagram(make([]byte, 8))
	gpe := datagram([]byte{0x0c, 0, 0, 1, 0, 0, 1, 0})
	join := func(parts ...[]byte) (out []byte) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	// A copy of a UDP packet that says it is as long as four datagrams with their headers.
	claims := frametest.Inner("0123456789" + "as TCP is it")
	claims.Protocol = 17
	claimant := append(frametest.VXLANHeader(1), claims.Bytes()...)
	claimed := 4*len(claimant) - 8 - 14
	binary.BigEndian.PutUint16(claimant[8+14+2:], uint16(claimed))
	binary.BigEndian.PutUint16(claimant[8+14+20+4:], uint16(claimed-20))

	attributed := tally.Frames{Read: 1, Attributed: 1}
	for name, e := range map[string]struct {
		frame capture.Frame
		want  outcome
	}{
		"two VNIs": {
			joinedFrame(join(one, two, one, two, two), size, atUDP, capture.JoinedSnapLength),
			outcome{Frames: attributed, Arrived: [2]uint64{2, 3}, Accepted: [2]uint64{2, 3}, SuperPackets: 5, SuperFrames: 1},
		},
		"headers that the capture does not hold": {
			joinedFrame(join(one, two, two, two), size, atUDP, atPayload+2*size+7),
			outcome{Frames: attributed, Arrived: [2]uint64{1, 1}, Accepted: [2]uint64{1, 1}, Unreadable: [2]uint64{2, 2}, SuperPackets: 4, SuperCut: 2, SuperFrames: 1},
		},
		"a header whose packet the capture does not hold": {
			joinedFrame(join(one, two), size, atUDP, atPayload+size+8+20),
			outcome{Frames: attributed, Arrived: [2]uint64{1, 1}, Accepted: [2]uint64{1, 0}, SuperPackets: 2, SuperFrames: 1},
		},
		"a last one that is shorter": {
			joinedFrame(join(one, two[:60]), size, atUDP, capture.JoinedSnapLength),
			outcome{Frames: attributed, Arrived: [2]uint64{1, 1}, Accepted: [2]uint64{1, 1}, SuperPackets: 2, SuperFrames: 1},
		},
		"headers in the midst that are none": {
			joinedFrame(join(one, bad, gpe, two), size, atUDP, capture.JoinedSnapLength),
			outcome{Frames: attributed, Arrived: [2]uint64{1, 1}, Accepted: [2]uint64{1, 1}, Unreadable: [2]uint64{2, 1}, SuperPackets: 4, SuperFrames: 1},
		},
		"a first header that is none": {
			joinedFrame(join(bad, one, two), size, atUDP, capture.JoinedSnapLength),
			outcome{
				Frames: tally.Frames{Read: 1, BadHeader: 1}, Arrived: [2]uint64{1, 1}, Accepted: [2]uint64{1, 1},
				Unreadable: [2]uint64{1, 1}, SuperPackets: 3, SuperFrames: 1,
			},
		},
		"a first header of another protocol": {
			joinedFrame(join(gpe, two), size, atUDP, capture.JoinedSnapLength),
			outcome{
				Frames: tally.Frames{Read: 1, GPE: 1}, Arrived: [2]uint64{0, 1}, Accepted: [2]uint64{0, 1},
				Unreadable: [2]uint64{1, 0}, SuperPackets: 2, SuperFrames: 1,
			},
		},
		"a first packet that claims to be as long as all": {
			joinedFrame(join(claimant, two, two, two), size, atUDP, capture.JoinedSnapLength),
			outcome{Frames: attributed, Arrived: [2]uint64{1, 3}, Accepted: [2]uint64{0, 3}, SuperPackets: 4, SuperFrames: 1},
		},
		"one inner packet that the kernel is to cut up": {
			joinedFrame(join(claimant, two, two, two), 20, atPayload+8+34, capture.SnapLength),
			outcome{Frames: attributed, Arrived: [2]uint64{12, 0}, SuperPackets: 12, SuperFrames: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(e.want, countJoined(t, e.frame)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Who is shown a packet must not be shown one of another session that came in the same frame.
func TestTheLastPacketIsTheSessionsOwnDatagramOfAJoinedFrame(t *testing.T) {
	var payload []byte
	inner := map[uint32][]byte{}
	for _, vni := range []uint32{1, 2, 1, 2, 7} {
		inner[vni] = frametest.Inner(fmt.Sprintf("of VNI %d", vni)).Bytes()
		payload = append(append(payload, frametest.VXLANHeader(vni)...), inner[vni]...)
	}
	two := walkthrough(2)
	two.ID = "walkthrough 2"
	counts := newTally(t, walkthrough(1), two)
	frame := joinedFrame(payload, 8+len(inner[1]), atUDP, capture.JoinedSnapLength)
	counts.Count(&frames{frame})
	for i, s := range snapshot(t, counts).Sessions {
		vni := uint32(i + 1)
		want := slices.Concat(frame.Data[:atPayload], frametest.VXLANHeader(vni), inner[vni])
		if s.Last == nil || !bytes.Equal(s.Last.Data, want) {
			t.Errorf("VNI %d: shown is %+v, want %q", vni, s.Last, want)
			continue
		}
		line := sample.Line(s.Last.Data, s.Last.Length, vxlan.Port)
		if !strings.Contains(line, fmt.Sprintf("vni %d:", vni)) || !strings.Contains(line, "192.168.0.161.38944 > 192.168.0.230.1234") {
			t.Errorf("VNI %d: %s", vni, line)
		}
	}
}

func FuzzEachDatagramOfAJoinedFrameIsCountedByItsOwnHeader(f *testing.F) {
	inner := frametest.Inner("0123456789").Bytes()
	for _, vnis := range [][]uint32{{1}, {1, 2}, {2, 2, 1, 7}} {
		var payload []byte
		for _, vni := range vnis {
			payload = append(append(payload, frametest.VXLANHeader(vni)...), inner...)
		}
		for _, captured := range []uint16{0, 49, 50, 192, 65535} {
			f.Add(payload, uint16(8+len(inner)), captured)
		}
	}
	f.Add(append(make([]byte, 8), frametest.VXLANHeader(1)...), uint16(8), uint16(65535))
	f.Add(make([]byte, 40), uint16(3), uint16(65535))
	f.Fuzz(func(t *testing.T, payload []byte, size, captured uint16) {
		if len(payload) > 8000 || size == 0 {
			return
		}
		frame := joinedFrame(payload, int(size), atUDP, int(captured))
		got := countJoined(t, frame)
		want := oracleJoined(payload, int(size), len(frame.Data), got.SuperFrames == 1)
		want.Frames, want.Accepted = got.Frames, got.Accepted // of the first one, and of the walk inside
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s\n%x, size %d, %d captured", diff, payload, size, captured)
		}
	})
}

// oracleJoined reads each datagram of a payload as RFC 7348 does.
func oracleJoined(payload []byte, size, captured int, joined bool) (o outcome) {
	if joined {
		o.SuperFrames = 1
	}
	for at := 0; at == 0 || joined && at < len(payload); at += size {
		h := payload[at:]
		if at > 0 {
			h = h[:min(size, len(h))] // the first one's length is that of the whole
		}
		if joined {
			o.SuperPackets++
		}
		cut := captured < atPayload+at+min(len(h), 8)
		switch {
		case cut && len(h) >= 8 && at > 0:
			o.SuperCut++
			o.unreadable(1, 1)
		case cut && at == 0 && captured < atUDP:
			// not even the source is known
		case cut && at == 0, len(h) < 8, h[0]&8 == 0:
			o.unreadable(1, 1)
		case h[4] != 0 || h[5] != 0 || h[6] != 1 && h[6] != 2:
			// another session's
		case h[0]&^3 == 0x0c && h[1] == 0 && h[2] == 0 && h[7] == 0 && h[3] != 0 && h[3] != 3:
			o.Unreadable[h[6]-1]++
		default:
			o.Arrived[h[6]-1]++
		}
	}
	return o
}

func (o *outcome) unreadable(one, two uint64) {
	o.Unreadable[0] += one
	o.Unreadable[1] += two
}

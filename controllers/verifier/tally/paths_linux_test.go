package tally_test

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// failer is a test, also one of rapid.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// paths is a tally twice: with the fast path and without. Whatever a test does is done to both, and
// what both say has to be the same.
type paths struct {
	t          failer
	fast, walk *tally.Tally
}

func newPaths(t failer) *paths {
	return &paths{t: t, fast: tally.New(vxlan.Port), walk: tally.NewWithoutFastPath(vxlan.Port)}
}

// Count counts frames as one block of a ring.
func (p *paths) Count(block *frames) {
	p.fast.Count(block.ring())
	p.walk.Count(block.ring())
}

// SetSessions is [tally.Tally.SetSessions].
func (p *paths) SetSessions(sessions []tally.Session) ([]tally.SessionCounts, error) {
	p.t.Helper()
	fast, err := p.fast.SetSessions(sessions)
	walk, _ := p.walk.SetSessions(sessions)
	p.same("removed sessions", walk, fast)
	return fast, err
}

// Snapshot is [tally.Tally.Snapshot].
func (p *paths) Snapshot() tally.Snapshot {
	p.t.Helper()
	fast, walk := p.fast.Snapshot(), p.walk.Snapshot()
	p.same("snapshot", walk, fast)
	return fast
}

func (p *paths) same(what string, walk, fast any) {
	p.t.Helper()
	if diff := cmp.Diff(walk, fast, addresses); diff != "" {
		p.t.Fatalf("the %s on the fast path (-walked +fast):\n%s", what, diff)
	}
}

// frames is a block of frames in memory.
type frames []capture.Frame

// ring is the block as the kernel would have written it.
func (f frames) ring() *capture.Block {
	const virtio = 10
	header := int(unsafe.Sizeof(unix.Tpacket3Hdr{}) + unsafe.Sizeof(unix.RawSockaddrLinklayer{}))
	mac := (header + virtio + 15) &^ 15
	first := int(unsafe.Sizeof(unix.TpacketBlockDesc{}))
	slots := [][]byte{make([]byte, first)}
	for _, frame := range f {
		slot := make([]byte, (mac+len(frame.Data)+15)&^15)
		at := (*unix.Tpacket3Hdr)(unsafe.Pointer(&slot[0]))
		at.Next_offset, at.Snaplen, at.Len, at.Mac, at.Status = uint32(len(slot)), uint32(len(frame.Data)), uint32(frame.Length), uint16(mac), unix.TP_STATUS_USER
		at.Sec, at.Nsec = uint32(frame.Time/1e9), uint32(frame.Time%1e9)
		if frame.OtherHost {
			(*unix.RawSockaddrLinklayer)(unsafe.Pointer(&slot[unsafe.Sizeof(*at)])).Pkttype = unix.PACKET_OTHERHOST
		}
		v := slot[mac-virtio:]
		v[1] = byte(frame.SegmentType)
		binary.NativeEndian.PutUint16(v[4:], uint16(frame.SegmentSize))
		if frame.SegmentStart != 0 {
			v[0] = 1
			binary.NativeEndian.PutUint16(v[6:], uint16(frame.SegmentStart))
		}
		copy(slot[mac:], frame.Data)
		slots = append(slots, slot)
	}
	memory := slices.Concat(slots...)
	block := (*unix.TpacketHdrV1)(unsafe.Pointer(&memory[unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr)]))
	block.Num_pkts, block.Offset_to_first_pkt, block.Blk_len = uint32(len(f)), uint32(first), uint32(len(memory))
	return capture.NewBlock(slices.Clip(memory), false)
}

package capture

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// testSlot is a slot of a block as a test writes it.
type testSlot struct {
	next, snap, length, status uint32
	mac                        uint16
}

// testBlock writes a block with the slots given, each right behind the one before.
func testBlock(count, first, used uint32, slots ...testSlot) []byte {
	b := make([]byte, 1024)
	binary.NativeEndian.PutUint32(b[blockOffStatus:], unix.TP_STATUS_USER)
	binary.NativeEndian.PutUint32(b[blockOffCount:], count)
	binary.NativeEndian.PutUint32(b[blockOffFirst:], first)
	binary.NativeEndian.PutUint32(b[blockOffUsed:], used)
	at := blockHeader
	for _, s := range slots {
		for offset, v := range map[int]uint32{frameOffNext: s.next, frameOffSnap: s.snap, frameOffLen: s.length, frameOffStatus: s.status} {
			binary.NativeEndian.PutUint32(b[at+offset:], v)
		}
		binary.NativeEndian.PutUint16(b[at+frameOffMac:], s.mac)
		at += 160
	}
	return b
}

// blockExamples are blocks with what must be made of their slots.
func blockExamples() map[string]struct {
	memory                 []byte
	read, refused, damaged uint64
} {
	const user, u, huge = unix.TP_STATUS_USER, 48 + 2*160, 1<<32 - 1
	good := testSlot{next: 160, snap: 60, length: 1500, status: user, mac: 92}
	with := func(change func(*testSlot)) testSlot {
		s := good
		change(&s)
		return s
	}
	return map[string]struct {
		memory                 []byte
		read, refused, damaged uint64
	}{
		"two frames":                         {testBlock(2, 48, u, good, good), 2, 0, 0},
		"a last frame that names a next":     {testBlock(2, 48, u, good, with(func(s *testSlot) { s.next = huge })), 2, 0, 0},
		"no slot":                            {testBlock(0, 48, 48), 0, 0, 0},
		"a slot that was not written":        {testBlock(2, 48, u, testSlot{next: 160}, good), 1, 1, 0},
		"a slot that keeps an old frame":     {testBlock(2, 48, u, with(func(s *testSlot) { s.status = 0 }), good), 1, 1, 0},
		"more slots than the block holds":    {testBlock(huge, 48, u, good, good), 2, 0, huge - 2},
		"a first slot beyond the block":      {testBlock(2, huge, u, good, good), 0, 0, 2},
		"a first slot in the block's header": {testBlock(2, 8, u, good, good), 0, 0, 2},
		"a use beyond the block":             {testBlock(2, 48, huge, good, good), 2, 0, 0},
		"a slot that is its own next":        {testBlock(2, 48, u, with(func(s *testSlot) { s.next = 0 }), good), 0, 0, 2},
		"a next beyond the block":            {testBlock(2, 48, u, with(func(s *testSlot) { s.next = huge }), good), 0, 0, 2},
		"a frame beyond its slot":            {testBlock(2, 48, u, with(func(s *testSlot) { s.snap = 69 }), good), 1, 0, 1},
		"a frame beyond the block":           {testBlock(2, 48, u, good, with(func(s *testSlot) { s.snap, s.length = huge, huge })), 1, 0, 1},
		"a frame in its slot's header":       {testBlock(2, 48, u, with(func(s *testSlot) { s.mac = leastMac - 1 }), good), 1, 0, 1},
		"a frame that begins beyond":         {testBlock(2, 48, u, with(func(s *testSlot) { s.mac = 65535 }), good), 1, 0, 1},
		"a frame shorter than what came":     {testBlock(2, 48, u, with(func(s *testSlot) { s.length = 59 }), good), 1, 0, 1},
	}
}

func TestABlockIsBelievedOnlyWithinItsBounds(t *testing.T) {
	for name, e := range blockExamples() {
		t.Run(name, func(t *testing.T) {
			read, refused, damaged := readBlock(t, e.memory, false)
			if read != e.read || refused != e.refused || damaged != e.damaged {
				t.Errorf("read %d, refused %d, damaged %d, want %d, %d and %d", read, refused, damaged, e.read, e.refused, e.damaged)
			}
		})
	}
}

func FuzzBlockOfAnyBytesIsReadWithinItsBounds(f *testing.F) {
	for _, e := range blockExamples() {
		f.Add(e.memory, false)
		f.Add(e.memory, true)
	}
	f.Fuzz(func(t *testing.T, bytes []byte, bare bool) {
		// Exactly as long as it says, so that a read beyond panics.
		memory := make([]byte, max(len(bytes), blockHeader)&^3)
		copy(memory, bytes)
		readBlock(t, memory, bare)
	})
}

// readBlock reads a block to its end and releases it. Whatever its bytes are, each slot is
// counted once, and no frame reaches into the next one.
func readBlock(t *testing.T, memory []byte, bare bool) (read, refused, damaged uint64) {
	t.Helper()
	var to books
	var b Block
	slots := uint64(binary.NativeEndian.Uint32(memory[blockOffCount:]))
	b.reset(memory, bare, &to)
	end := b.end
	var frame Frame
	for at := blockHeader; b.Next(&frame); {
		if len(frame.Data) == 0 {
			continue
		}
		begin := int(uintptr(unsafe.Pointer(&frame.Data[0])) - uintptr(unsafe.Pointer(&memory[0])))
		if begin < at || begin+len(frame.Data) > end {
			t.Fatalf("a frame begins at %d, the one before ends at %d, the block at %d", begin, at, end)
		}
		if cap(frame.Data) != len(frame.Data) || frame.Length < len(frame.Data) {
			t.Fatalf("%d bytes of %d, room for %d", len(frame.Data), frame.Length, cap(frame.Data))
		}
		at = begin + len(frame.Data)
	}
	b.Release()
	if status := atomic.LoadUint32(blockStatus(memory)); status != unix.TP_STATUS_KERNEL {
		t.Fatalf("the block was not given back: status %d", status)
	}
	read, refused, damaged = to.read.Load(), to.refused.Load(), to.damaged.Load()
	if read+refused+damaged != slots {
		t.Fatalf("%d slots: %d read, %d refused, %d damaged", slots, read, refused, damaged)
	}
	return read, refused, damaged
}

// The block has the size and the frames of a ring in use: 192 bytes captured of each.
func BenchmarkReadAndReleaseABlock(b *testing.B) {
	const slot, frames = 304, 3000
	full := make([]byte, 1<<20)
	binary.NativeEndian.PutUint32(full[blockOffCount:], frames)
	binary.NativeEndian.PutUint32(full[blockOffFirst:], blockHeader)
	binary.NativeEndian.PutUint32(full[blockOffUsed:], blockHeader+frames*slot)
	for at := blockHeader; at < blockHeader+frames*slot; at += slot {
		for offset, v := range map[int]uint32{frameOffNext: slot, frameOffSnap: 192, frameOffLen: 1500, frameOffStatus: unix.TP_STATUS_USER} {
			binary.NativeEndian.PutUint32(full[at+offset:], v)
		}
		binary.NativeEndian.PutUint16(full[at+frameOffMac:], 92)
	}
	var to books
	var block Block
	var f Frame
	b.ReportAllocs()
	for b.Loop() {
		block.reset(full, false, &to)
		for block.Next(&f) {
		}
		block.Release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/frames, "ns/frame")
}

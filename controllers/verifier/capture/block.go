//go:build linux

package capture

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in the memory of a block, from struct tpacket_block_desc,
// tpacket3_hdr and sockaddr_ll of the kernel's if_packet.h. The test compares
// them with the structures of x/sys/unix.
const (
	blockOffStatus = 8
	blockOffCount  = 12
	blockOffFirst  = 16
	blockOffUsed   = 20
	blockHeader    = 48

	frameOffNext    = 0
	frameOffSec     = 4
	frameOffNsec    = 8
	frameOffSnap    = 12
	frameOffLen     = 16
	frameOffStatus  = 20
	frameOffMac     = 24
	frameHeader     = 48
	addressOffProto = 2
	addressOffType  = 10
	addressSize     = 20

	// The virtio network header stands right before the frame.
	vnetHeader     = 10
	vnetOffFlags   = 0
	vnetOffType    = 1
	vnetOffSize    = 4
	vnetOffStart   = 6
	vnetChecksum   = 1    // a flag: the checksum from that offset on is still to be made
	vnetECN        = 0x80 // a flag in the type
	packetOther    = 3
	nanosPerSecond = 1_000_000_000
)

// The least that a slot holds in front of its frame, and in front of the virtio header.
const (
	slotHeader = frameHeader + addressSize
	leastMac   = slotHeader + vnetHeader
	leastBare  = slotHeader + etherHeader // where there is to be room for a header
)

// Block is a block of frames that the kernel handed over. Its memory is believed only as far
// as the kernel wrote it: every offset is checked against the block.
type Block struct {
	memory []byte
	here   int // of the slot of the frame that was handed out last
	at     int // of the next slot
	end    int // of what the kernel used, at most that of the memory
	left   uint32
	bare   bool // frames have no link layer
	books  *books

	read, refused, damaged uint64
}

// books are what was made of the slots of all blocks that were released.
type books struct{ read, refused, damaged atomic.Uint64 }

func blockStatus(memory []byte) *uint32 {
	return (*uint32)(unsafe.Pointer(&memory[blockOffStatus]))
}

// NewBlock reads a block of a ring that is in memory: for tests.
func NewBlock(memory []byte, bare bool) *Block {
	b := new(Block)
	b.reset(memory, bare, new(books))
	return b
}

func (b *Block) reset(memory []byte, bare bool, to *books) {
	*b = Block{memory: memory, end: len(memory), left: binary.NativeEndian.Uint32(memory[blockOffCount:]), bare: bare, books: to}
	if used := binary.NativeEndian.Uint32(memory[blockOffUsed:]); used >= blockHeader && uint64(used) <= uint64(len(memory)) {
		b.end = int(used)
	}
	first := binary.NativeEndian.Uint32(memory[blockOffFirst:])
	if first < blockHeader || uint64(first) > uint64(b.end) {
		b.giveUp()
		return
	}
	b.at = int(first)
}

// giveUp leaves the slots that can't be found.
func (b *Block) giveUp() {
	b.damaged += uint64(b.left)
	b.left = 0
}

// Next reads the next frame of the block into f, without copying it. It
// returns false after the last. Slots that hold no frame are passed over and counted.
func (b *Block) Next(f *Frame) bool {
	_, _, _, ok := b.Step()
	if ok {
		b.Frame(f)
	}
	return ok
}

// Step goes to the next frame of the block; ok is false after the last. It tells as little as most
// frames need: the captured bytes, the length on the wire, and whether the frame is a plain one, which
// carries one packet and is addressed to this host. [Block.Frame] tells everything.
func (b *Block) Step() (data []byte, length int, plain, ok bool) {
	for b.left > 0 {
		b.here = b.at
		slot := b.slot()
		if slot == nil {
			b.giveUp()
			break
		}
		b.left--
		mac := int(binary.NativeEndian.Uint16(slot[frameOffMac:]))
		// A frame that the kernel can't describe (legacy UDP fragmentation offload) has a slot all the
		// same, with what the block held before. The kernel writes the status of every slot when it takes
		// it, and again, with this bit, when the frame is in it (af_packet.c, prb_fill_vlan_info and tpacket_rcv).
		if binary.NativeEndian.Uint32(slot[frameOffStatus:])&unix.TP_STATUS_USER == 0 {
			b.refused++
			continue
		}
		snap := binary.NativeEndian.Uint32(slot[frameOffSnap:])
		length := binary.NativeEndian.Uint32(slot[frameOffLen:])
		least := leastMac
		if b.bare {
			least = leastBare
		}
		if mac < least || mac > len(slot) || uint64(snap) > uint64(len(slot)-mac) || length < snap {
			b.damaged++
			continue
		}
		b.read++
		data := slot[mac : mac+int(snap) : mac+int(snap)]
		plain := slot[frameHeader+addressOffType] != packetOther && slot[mac-vnetHeader+vnetOffType] == byte(SegmentNone) && !b.bare
		return data, int(length), plain, true
	}
	return nil, 0, false, false
}

// Place is where in the block the frame is that Step went to: above 0, and the larger the later it came.
func (b *Block) Place() int { return b.here }

// Frame reads the frame that Step went to into f, once.
func (b *Block) Frame(f *Frame) { b.FrameAt(b.here, f) }

// FrameAt reads the plain frame at a place again.
func (b *Block) FrameAt(place int, f *Frame) {
	slot := b.memory[place:b.end]
	mac := int(binary.NativeEndian.Uint16(slot[frameOffMac:]))
	end := mac + int(binary.NativeEndian.Uint32(slot[frameOffSnap:]))
	f.Data = slot[mac:end:end]
	f.Length = int(binary.NativeEndian.Uint32(slot[frameOffLen:]))
	f.Time = b.TimeAt(place)
	f.OtherHost = slot[frameHeader+addressOffType] == packetOther
	v := slot[mac-vnetHeader : mac]
	f.SegmentType = SegmentType(v[vnetOffType] &^ vnetECN)
	f.SegmentSize = int(binary.NativeEndian.Uint16(v[vnetOffSize:]))
	f.SegmentStart = 0
	if f.SegmentType != SegmentNone && v[vnetOffFlags]&vnetChecksum != 0 {
		f.SegmentStart = int(binary.NativeEndian.Uint16(v[vnetOffStart:]))
	}
	if b.bare {
		f.giveLink(slot, mac)
	}
}

// TimeAt is when the frame at a place came, see [Frame.Time].
func (b *Block) TimeAt(place int) int64 {
	slot := b.memory[place : place+frameHeader]
	return int64(binary.NativeEndian.Uint32(slot[frameOffSec:]))*nanosPerSecond + int64(binary.NativeEndian.Uint32(slot[frameOffNsec:]))
}

// giveLink puts a header of Ethernet in front of a frame that has none, over what the kernel
// wrote there, which has been read. It tells what the kernel took the packet for.
func (f *Frame) giveLink(slot []byte, mac int) {
	header := slot[mac-etherHeader : mac]
	clear(header)
	copy(header[etherHeader-2:], slot[frameHeader+addressOffProto:][:2])
	end := mac + len(f.Data)
	f.Data = slot[mac-etherHeader : end : end]
	f.Length += etherHeader
	if f.SegmentStart != 0 {
		f.SegmentStart += etherHeader
	}
}

// slot returns the slot at the block's place and moves on; nil when it does not fit.
func (b *Block) slot() []byte {
	slot := b.memory[b.at:b.end]
	if len(slot) < slotHeader {
		return nil
	}
	if b.left == 1 {
		return slot // the last one names no next
	}
	next := binary.NativeEndian.Uint32(slot[frameOffNext:])
	if next < slotHeader || uint64(next) > uint64(len(slot)) {
		return nil
	}
	b.at += int(next)
	return slot[:next]
}

// Release gives the block back to the kernel. Its frames are gone.
func (b *Block) Release() {
	b.books.read.Add(b.read)
	b.books.refused.Add(b.refused)
	b.books.damaged.Add(b.damaged)
	atomic.StoreUint32(blockStatus(b.memory), unix.TP_STATUS_KERNEL)
	*b = Block{}
}

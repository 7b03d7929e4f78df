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
	for b.left > 0 {
		slot := b.slot()
		if slot == nil {
			b.giveUp()
			break
		}
		b.left--
		mac := int(binary.NativeEndian.Uint16(slot[frameOffMac:]))
		// A frame that the kernel can't describe (legacy UDP fragmentation offload) has a slot
		// of which nothing was written but its length and its VLAN tag.
		if mac == 0 || binary.NativeEndian.Uint32(slot[frameOffStatus:])&unix.TP_STATUS_USER == 0 {
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
		f.Data = slot[mac : mac+int(snap) : mac+int(snap)]
		f.Length = int(length)
		f.Time = int64(binary.NativeEndian.Uint32(slot[frameOffSec:]))*nanosPerSecond + int64(binary.NativeEndian.Uint32(slot[frameOffNsec:]))
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
		b.read++
		return true
	}
	return false
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

// Release gives the block back to the kernel. Its frames are gone: what the kernel does not
// write the next time is zero, and not a frame of this time.
func (b *Block) Release() {
	b.books.read.Add(b.read)
	b.books.refused.Add(b.refused)
	b.books.damaged.Add(b.damaged)
	clear(b.memory[blockHeader:b.end])
	atomic.StoreUint32(blockStatus(b.memory), unix.TP_STATUS_KERNEL)
	*b = Block{}
}

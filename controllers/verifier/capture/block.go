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

	frameOffNext   = 0
	frameOffSec    = 4
	frameOffNsec   = 8
	frameOffSnap   = 12
	frameOffLen    = 16
	frameOffMac    = 24
	frameHeader    = 48
	addressOffType = 10
	addressSize    = 20

	// The virtio network header stands right before the frame.
	vnetHeader     = 10
	vnetOffType    = 1
	vnetOffSize    = 4
	vnetECN        = 0x80 // a flag in the type
	packetOther    = 3
	nanosPerSecond = 1_000_000_000
)

// Block is a block of frames that the kernel handed over.
type Block struct {
	memory []byte
	at     int // of the next frame
	left   uint32
	count  uint32
}

func blockStatus(memory []byte) *uint32 {
	return (*uint32)(unsafe.Pointer(&memory[blockOffStatus]))
}

func (b *Block) reset(memory []byte) {
	b.memory = memory
	b.count = binary.NativeEndian.Uint32(memory[blockOffCount:])
	b.left = b.count
	b.at = int(binary.NativeEndian.Uint32(memory[blockOffFirst:]))
}

// Frames is the number of frames in the block.
func (b *Block) Frames() int { return int(b.count) }

// Next reads the next frame of the block into f, without copying it. It
// returns false after the last.
func (b *Block) Next(f *Frame) bool {
	if b.left == 0 {
		return false
	}
	b.left--
	h := b.memory[b.at : b.at+frameHeader+addressSize : len(b.memory)]
	snap := int(binary.NativeEndian.Uint32(h[frameOffSnap:]))
	mac := int(binary.NativeEndian.Uint16(h[frameOffMac:]))
	f.Data = b.memory[b.at+mac : b.at+mac+snap : b.at+mac+snap]
	f.Length = int(binary.NativeEndian.Uint32(h[frameOffLen:]))
	f.Time = int64(binary.NativeEndian.Uint32(h[frameOffSec:]))*nanosPerSecond + int64(binary.NativeEndian.Uint32(h[frameOffNsec:]))
	f.OtherHost = h[frameHeader+addressOffType] == packetOther
	v := b.memory[b.at+mac-vnetHeader : b.at+mac]
	f.SegmentType = SegmentType(v[vnetOffType] &^ vnetECN)
	f.SegmentSize = int(binary.NativeEndian.Uint16(v[vnetOffSize:]))
	b.at += int(binary.NativeEndian.Uint32(h[frameOffNext:]))
	return true
}

// Release gives the block back to the kernel. Its frames are gone.
func (b *Block) Release() {
	atomic.StoreUint32(blockStatus(b.memory), unix.TP_STATUS_KERNEL)
	b.memory, b.left = nil, 0
}

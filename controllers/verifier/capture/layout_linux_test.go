package capture

import (
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestTheOffsetsAreThoseOfTheKernelsStructures(t *testing.T) {
	var block unix.TpacketBlockDesc
	var header unix.TpacketHdrV1
	var frame unix.Tpacket3Hdr
	var address unix.RawSockaddrLinklayer
	in := unsafe.Offsetof(block.Hdr)
	want := map[string]uintptr{
		"status": in + unsafe.Offsetof(header.Block_status), "count": in + unsafe.Offsetof(header.Num_pkts),
		"first": in + unsafe.Offsetof(header.Offset_to_first_pkt), "used": in + unsafe.Offsetof(header.Blk_len),
		"block header": unsafe.Sizeof(block), "frame status": unsafe.Offsetof(frame.Status),
		"next": unsafe.Offsetof(frame.Next_offset), "seconds": unsafe.Offsetof(frame.Sec), "nanoseconds": unsafe.Offsetof(frame.Nsec),
		"captured": unsafe.Offsetof(frame.Snaplen), "length": unsafe.Offsetof(frame.Len), "mac": unsafe.Offsetof(frame.Mac),
		"frame header": unsafe.Sizeof(frame), "packet type": unsafe.Offsetof(address.Pkttype), "address": unsafe.Sizeof(address),
	}
	got := map[string]uintptr{
		"status": blockOffStatus, "count": blockOffCount, "first": blockOffFirst,
		"used": blockOffUsed, "block header": blockHeader, "frame status": frameOffStatus,
		"next": frameOffNext, "seconds": frameOffSec, "nanoseconds": frameOffNsec,
		"captured": frameOffSnap, "length": frameOffLen, "mac": frameOffMac,
		"frame header": frameHeader, "packet type": addressOffType, "address": addressSize,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTheFilterCannotBeChangedOnceItIsSet(t *testing.T) {
	s, err := NewSocket(4789, DefaultSnapLength)
	if err != nil {
		t.Skipf("packet sockets need CAP_NET_RAW: %v", err)
	}
	defer s.Close()
	if err := s.setFilter(Filter(1, 64)); err == nil {
		t.Error("a second filter was accepted")
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err == nil {
		t.Error("the filter was taken away")
	}
}

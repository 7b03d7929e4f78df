package capture

import (
	"errors"
	"net"
	"testing"
	"time"
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
		"frame header": unsafe.Sizeof(frame), "protocol": unsafe.Offsetof(address.Protocol), "packet type": unsafe.Offsetof(address.Pkttype), "address": unsafe.Sizeof(address),
	}
	got := map[string]uintptr{
		"status": blockOffStatus, "count": blockOffCount, "first": blockOffFirst,
		"used": blockOffUsed, "block header": blockHeader, "frame status": frameOffStatus,
		"next": frameOffNext, "seconds": frameOffSec, "nanoseconds": frameOffNsec,
		"captured": frameOffSnap, "length": frameOffLen, "mac": frameOffMac,
		"frame header": frameHeader, "protocol": addressOffProto, "packet type": addressOffType, "address": addressSize,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestALittleTrafficDoesNotUseTheRingUpWithinTwoSeconds(t *testing.T) {
	var o RingOptions
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	if bears := time.Duration(o.Blocks) * o.BlockTimeout; bears < 2*time.Second {
		t.Errorf("the ring is used up after %s, however little comes", bears)
	}
}

func TestTheFilterCannotBeChangedOnceItIsSet(t *testing.T) {
	loopback, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip(err)
	}
	r, err := OpenRing(loopback.Index, 4789, RingOptions{})
	if errors.Is(err, unix.EPERM) || errors.Is(err, ErrInterfaceDown) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := setFilter(r.fd, Filter(1)); err == nil {
		t.Error("a second filter was accepted")
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err == nil {
		t.Error("the filter was taken away")
	}
}

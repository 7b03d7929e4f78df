package tally

import (
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// superFrame counts the packets of a frame that carries several. There are two
// kinds of them: the segments of one inner TCP or UDP flow under one set of
// headers, outer ones included; and several VXLAN datagrams under one outer
// UDP header, each with an inner frame of its own.
func (t *Tally) superFrame(f *capture.Frame, outer *vxlan.Outer) {
	var inner vxlan.Inner
	vxlan.WalkInner(f.Data[outer.InnerOffset:outer.InnerEnd], &inner)
	t.marks.SuperFrames++
	if f.SegmentType == capture.SegmentUDP && !wholeDatagram(&inner, outer) {
		t.datagrams(f, outer)
		return
	}
	n, bytes := segments(outer.InnerLength, inner.Payload, f.SegmentSize)
	t.marks.SuperPackets += n
	s := t.table.find(outer.Key)
	if s == nil {
		t.miss(outer, 1, n)
		return
	}
	t.attribute(s, f, outer, &inner, counted{frames: 1, packets: n, bytes: bytes})
}

// wholeDatagram reports whether the inner frame is a datagram as long as the
// whole by its own headers: then the segments are the inner datagram's.
func wholeDatagram(inner *vxlan.Inner, outer *vxlan.Outer) bool {
	return inner.Protocol == match.UDP && inner.Declared == outer.InnerLength
}

// segments is the number of packets in an inner frame of length bytes of which
// the first header bytes stand in each packet, and the bytes they have
// together.
func segments(length, header, size int) (packets, bytes uint64) {
	payload := length - header
	if payload <= size {
		return 1, uint64(length)
	}
	n := (payload + size - 1) / size
	return uint64(n), uint64(length + (n-1)*header)
}

// datagrams counts the VXLAN datagrams that were glued together. The capture
// holds the headers of the first and perhaps of a few more; the others come
// from the same address and port, so they are taken to be of the first one's
// VNI, but nothing is claimed about what they carry.
func (t *Tally) datagrams(f *capture.Frame, first *vxlan.Outer) {
	outer := *first
	vxlan.Shorten(&outer, f.SegmentSize)
	class, frames := vxlan.Stream, uint64(1)
	for n := 1; class != vxlan.Malformed; n++ {
		inner := vxlan.Inner{Kind: vxlan.Headless}
		switch class {
		case vxlan.Stream:
			vxlan.WalkInner(f.Data[outer.InnerOffset:outer.InnerEnd], &inner)
			t.datagram(f, &outer, &inner, frames)
		case vxlan.Cut:
			outer.Key = first.Key
			t.datagram(f, &outer, &inner, frames)
		default: // counted, but of no stream
		}
		t.marks.SuperPackets++
		frames = 0
		class = vxlan.Datagram(f.Data, first, n, f.SegmentSize, &outer)
	}
}

func (t *Tally) datagram(f *capture.Frame, outer *vxlan.Outer, inner *vxlan.Inner, frames uint64) {
	s := t.table.find(outer.Key)
	if s == nil {
		t.miss(outer, frames, 1)
		return
	}
	t.attribute(s, f, outer, inner, counted{frames: frames, packets: 1, bytes: uint64(outer.InnerLength)})
}

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
	if f.SegmentType == capture.SegmentUDP && !innerSegments(f, &inner, outer) {
		first := *outer
		vxlan.Shorten(&first, f.SegmentSize)
		vxlan.WalkInner(f.Data[first.InnerOffset:first.InnerEnd], &inner)
		t.datagram(f, outer, &first, &inner, 1)
		t.later(f, outer)
		return
	}
	n, bytes := segments(outer.InnerLength, inner.Payload, f.SegmentSize)
	t.marks.SuperPackets += n
	s := t.table.find(outer.Key)
	if s == nil {
		t.miss(outer, 1, n)
		return
	}
	t.attribute(s, t.refer(f), outer, &inner, counted{frames: 1, packets: n, bytes: bytes})
}

// innerSegments reports whether a super-frame of UDP is one inner datagram to be cut up, and not
// several outer ones that were joined. The kernel says whose header each packet gets, except of
// a list of datagrams: then it is what the inner headers say of their length.
func innerSegments(f *capture.Frame, inner *vxlan.Inner, outer *vxlan.Outer) bool {
	if f.SegmentStart != 0 {
		return f.SegmentStart >= outer.InnerOffset
	}
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

// joinedToOther counts the datagrams that the kernel joined behind one that is no stream's,
// which is counted already.
func (t *Tally) joinedToOther(f *capture.Frame, class vxlan.Class, first *vxlan.Outer) {
	header := class == vxlan.GPE || class == vxlan.BadHeader && first.InnerOffset > 0
	if header && f.SegmentType == capture.SegmentUDP && f.SuperFrame() {
		t.marks.SuperFrames++
		t.later(f, first)
	}
}

// later counts the VXLAN datagrams that were joined behind the first one, whose frame it is in
// the books. They come from the same address and port, but each has its own VNI: one of which
// the capture does not hold the header is of no stream.
func (t *Tally) later(f *capture.Frame, first *vxlan.Outer) {
	var outer vxlan.Outer
	for n := 1; ; n++ {
		t.marks.SuperPackets++ // the one before
		switch class := vxlan.Datagram(f.Data, first, n, f.SegmentSize, &outer); class {
		case vxlan.Stream:
			var inner vxlan.Inner
			vxlan.WalkInner(f.Data[outer.InnerOffset:outer.InnerEnd], &inner)
			t.datagram(f, first, &outer, &inner, 0)
		case vxlan.Malformed:
			return // that was all
		case vxlan.Cut:
			t.marks.SuperCut++
			t.unreadable(class, &outer)
		default:
			t.unreadable(class, &outer)
		}
	}
}

// datagram counts one of the datagrams of a frame whose headers are those of first.
func (t *Tally) datagram(f *capture.Frame, first, outer *vxlan.Outer, inner *vxlan.Inner, frames uint64) {
	s := t.table.find(outer.Key)
	if s == nil {
		t.miss(outer, frames, 1)
		return
	}
	ref := t.refer(f)
	shared, begin := first.InnerOffset-vxlan.HeaderSize, outer.InnerOffset-vxlan.HeaderSize
	ref.data, ref.own = f.Data[:shared], f.Data[begin:min(outer.InnerEnd, begin+capture.SnapLength)]
	t.attribute(s, ref, outer, inner, counted{frames: frames, packets: 1, bytes: uint64(outer.InnerLength)})
}

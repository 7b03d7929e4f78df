package tally

import (
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// Judge says of each copy of one session what a [Tally] with that session counts it as, and counts
// nothing. It is not safe for concurrent use.
type Judge struct {
	port  uint16
	table *table
}

// NewJudge returns the judge of a session, for datagrams to the given UDP port.
func NewJudge(s Session, port uint16) (*Judge, error) {
	t, err := build([]Session{s}, newTable(0))
	if err != nil {
		return nil, err
	}
	return &Judge{port: port, table: t}, nil
}

// Copy is a copy of a session. What it refers to is only valid as long as its frame is.
type Copy struct {
	// Outer and Inner are what its headers say.
	Outer vxlan.Outer
	Inner vxlan.Inner
	// Shared are the outer headers up to that of VXLAN, and Own the captured bytes from there on. In a
	// plain frame the one follows the other; datagrams that the kernel joined have the first in common.
	Shared, Own []byte
	// Length is what the frame had on the wire, in bytes, or would have had if it had not been joined.
	Length int
	// Packets is how many packets the copy stands for: segments of one flow, which the kernel joined
	// behind one set of headers; else 1.
	Packets uint64
	// Joined is set where the kernel had joined the copy with others.
	Joined bool
	// Time is when the kernel saw the frame, in nanoseconds since 1970.
	Time int64
	// Result is what the session's filter says.
	Result match.Result
}

// InnerFrame are the captured bytes of the inner frame.
func (c *Copy) InnerFrame() []byte { return c.Own[vxlan.HeaderSize:] }

// Frame calls take for each copy of the session that the frame holds, in their order.
func (j *Judge) Frame(f *capture.Frame, take func(*Copy)) {
	if f.OtherHost {
		return
	}
	var outer vxlan.Outer
	class := vxlan.Walk(f.Data, f.Length, j.port, &outer)
	joined := f.SegmentType == capture.SegmentUDP && f.SuperFrame()
	if class != vxlan.Stream {
		if header := class == vxlan.GPE || class == vxlan.BadHeader && outer.InnerOffset > 0; header && joined {
			j.later(f, &outer, take)
		}
		return
	}
	c := Copy{Outer: outer, Packets: 1, Length: f.Length, Time: f.Time}
	vxlan.WalkInner(f.Data[outer.InnerOffset:outer.InnerEnd], &c.Inner)
	switch {
	case joined && !innerSegments(f, &c.Inner, &outer):
		vxlan.Shorten(&c.Outer, f.SegmentSize)
		vxlan.WalkInner(f.Data[c.Outer.InnerOffset:c.Outer.InnerEnd], &c.Inner)
		j.datagram(f, &outer, &c, take)
		j.later(f, &outer, take)
		return
	case f.SuperFrame():
		c.Joined = true
		c.Packets, _ = segments(outer.InnerLength, c.Inner.Payload, f.SegmentSize)
	}
	j.judge(f, &outer, &c, take)
}

// later goes through the datagrams that were joined behind the first one.
func (j *Judge) later(f *capture.Frame, first *vxlan.Outer, take func(*Copy)) {
	for n := 1; ; n++ {
		c := Copy{Packets: 1, Time: f.Time}
		switch vxlan.Datagram(f.Data, first, n, f.SegmentSize, &c.Outer) {
		case vxlan.Stream:
			vxlan.WalkInner(f.Data[c.Outer.InnerOffset:c.Outer.InnerEnd], &c.Inner)
			j.datagram(f, first, &c, take)
		case vxlan.Malformed:
			return
		case vxlan.NotVXLAN, vxlan.Fragment, vxlan.BadHeader, vxlan.GPE, vxlan.Cut:
		}
	}
}

// datagram is one of several in a frame.
func (j *Judge) datagram(f *capture.Frame, first *vxlan.Outer, c *Copy, take func(*Copy)) {
	c.Joined = true
	c.Length = first.InnerOffset + c.Outer.InnerLength
	j.judge(f, first, c, take)
}

// judge hands out a copy if it is the session's.
func (j *Judge) judge(f *capture.Frame, first *vxlan.Outer, c *Copy, take func(*Copy)) {
	s := j.table.find(c.Outer.Key)
	if s == nil {
		return
	}
	c.Shared = f.Data[:first.InnerOffset-vxlan.HeaderSize]
	c.Own = f.Data[c.Outer.InnerOffset-vxlan.HeaderSize : c.Outer.InnerEnd]
	by := &s.claims[0]
	c.Result = by.session.rules.Check(&by.source, &c.Inner)
	take(c)
}

// Package capture is where packets come from: a live interface ([Ring]) or a
// pcap or pcapng file ([File]). Both hand out the same [Frame] without copying
// it.
//
// A live capture is made of two steps, because only the first needs a
// privilege (CAP_NET_RAW): [NewSocket] opens a packet socket that receives
// nothing yet; [Socket.Ring] gives it a ring, locks the filter into it and
// binds it to an interface. A process that wants to drop its capability opens
// the sockets it may need beforehand.
//
// It may import nothing of ours.
package capture

// Frame is one captured frame.
type Frame struct {
	// Data are the captured bytes, from the Ethernet header on; a frame that has
	// another header, or none, gets one. They are only valid until the next
	// frame or block is asked for.
	Data []byte
	// Length is the frame's length on the wire in bytes, at least len(Data).
	Length int
	// Time is when the kernel saw the frame, in nanoseconds since 1970; 0 when
	// the source of the frame does not say.
	Time int64
	// SegmentType and SegmentSize describe a super-frame, in which the kernel
	// or the network card carries several packets under one header. For a
	// plain frame the type is SegmentNone.
	SegmentType SegmentType
	SegmentSize int
	// SegmentStart is the offset in Data of the transport header of a super-frame of which each
	// packet gets one, 0 where the kernel does not say.
	SegmentStart int
	// OtherHost is set when the frame is not addressed to this host, so that
	// only its interface's promiscuous mode, or a switch that floods, made it
	// visible.
	OtherHost bool
}

// SuperFrame reports whether the frame carries several packets. Types that are
// not known here do not.
func (f *Frame) SuperFrame() bool {
	if f.SegmentSize <= 0 {
		return false
	}
	return f.SegmentType == SegmentTCP4 || f.SegmentType == SegmentTCP6 || f.SegmentType == SegmentUDP
}

// SegmentType says what the packets of a super-frame are. The values are those
// of the virtio network header.
type SegmentType uint8

const (
	// SegmentNone is a frame that carries one packet.
	SegmentNone SegmentType = 0
	// SegmentTCP4 are segments of one TCP stream, each with the frame's
	// headers; SegmentSize is the payload of TCP in each.
	SegmentTCP4 SegmentType = 1
	// SegmentTCP6 is the same over IPv6.
	SegmentTCP6 SegmentType = 4
	// SegmentUDP are UDP datagrams between the same ports; SegmentSize is the
	// payload of UDP in each.
	SegmentUDP SegmentType = 5
)

package read

import (
	"encoding/binary"
	"net/netip"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

const (
	// maxStreams bounds the memory that a hostile file can ask for, to less than
	// 100 MB. Real captures have some hundred streams.
	maxStreams = 1 << 14
	// sampleBytes are kept of the first packet of a stream: all headers.
	sampleBytes = 192
	// longestFrame has 1500 bytes in Ethernet with two VLAN tags.
	longestFrame = 1522
	// framesPerPoll are counted before it is looked what else is to be done.
	framesPerPoll = 4096
)

// The kinds of inner packets that are told apart.
const (
	isOtherIP = iota // what ofProtocol says of a protocol that it does not have
	isTCP
	isUDP
	isICMP
	isICMPv6
	isNotIP
	isUnknown
	protocolKinds
)

// ofProtocol is the kind of an IP protocol.
var ofProtocol = [256]uint8{match.TCP: isTCP, match.UDP: isUDP, match.ICMP: isICMP, match.ICMPv6: isICMPv6}

// counter counts the frames of one file. Streams lie in a slice that an open table
// leads to, whose hash has a secret, so that nobody can craft a file that is slow to count.
type counter struct {
	port    uint16
	filter  *filter // nil without --filter
	streams []streamCount
	slots   []int32 // index of a stream plus 1, at most half full
	shift   int     // by which a hash becomes a place in slots
	classes [vxlan.Classes]uint64
	ports   ports
	beyond  uint64
	frames  uint64
	outer   vxlan.Outer // here, so that it is not cleared twice for each frame
}

// streamCount has what each packet needs: one cache line.
type streamCount struct {
	key vxlan.Key
	// run are packets that came one after the other and are of one kind, which is in
	// the lowest 8 bits; the rest is their number. They are not in kinds yet.
	run                   uint64
	bytes                 uint64
	last                  int64  // 0 while no packet had a time
	source4, destination4 uint32 // the outer addresses where both are IPv4
	*streamRest
}

// streamRest is what few packets need.
type streamRest struct {
	// kinds are the packets by protocol and direction, at directions*protocol+direction.
	kinds            [protocolKinds * directions]uint64
	first            int64
	truncated, super uint64
	elsewhere        uint64
	destination      netip.Addr
	source           match.Source
	judged           *Judged
	sample           []byte
	sampleLength     int
}

// add counts a packet.
func (s *streamCount) add(protocol uint8, direction match.Direction) {
	kind := uint64(protocol)*directions + uint64(direction)
	if s.run&0xff != kind {
		s.kinds[s.run&0xff] += s.run >> 8
		s.run = kind
	}
	s.run += 1 << 8
}

// directions are those of package match.
const directions = 3

func newCounter(port uint16, filter *filter) *counter {
	c := &counter{port: port, filter: filter}
	c.index(10)
	return c
}

// all counts the frames of a file. Now and then it calls poll, and ends when that
// returns an error.
func (c *counter) all(file *capture.File, poll func() error) error {
	var f capture.Frame
	for file.Next(&f) {
		c.frame(&f)
		if c.frames%framesPerPoll == 0 {
			if err := poll(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *counter) frame(f *capture.Frame) {
	c.frames++
	outer := &c.outer
	if class := vxlan.Walk(f.Data, f.Length, c.port, outer); class != vxlan.Stream {
		c.classes[class]++
		if class == vxlan.NotVXLAN {
			c.ports.count(f)
		}
		return
	}
	s := c.stream(f, outer)
	if s == nil {
		c.beyond++
		return
	}
	s.bytes += uint64(outer.InnerLength)
	if f.Time >= s.last {
		if s.last == 0 {
			s.first = f.Time
		}
		s.last = f.Time
	} else if f.Time < s.first && f.Time != 0 {
		s.first = f.Time
	}
	if f.Length > longestFrame {
		s.super++
	}
	if c.filter == nil && s.glance(f.Data[:outer.InnerEnd], outer) {
		return
	}
	if outer.Destination(f.Data) != s.destination {
		s.elsewhere++
	}
	s.look(f.Data[outer.InnerOffset:outer.InnerEnd], outer.InnerLength, c.filter)
}

// stream finds or makes the stream of a packet; nil when there are too many.
func (c *counter) stream(f *capture.Frame, outer *vxlan.Outer) *streamCount {
	for at := outer.Key.Hash() >> c.shift; ; at++ {
		slot := &c.slots[at&uint64(len(c.slots)-1)]
		i := uint(*slot) - 1
		if i >= uint(len(c.streams)) {
			return c.begin(slot, f, outer)
		}
		if s := &c.streams[i]; s.key == outer.Key {
			return s
		}
	}
}

// begin makes the stream of a packet, which is the first of it.
func (c *counter) begin(slot *int32, f *capture.Frame, outer *vxlan.Outer) *streamCount {
	if len(c.streams) == maxStreams {
		return nil
	}
	c.streams = append(c.streams, newStream(f, outer, c.filter))
	*slot = int32(len(c.streams))
	if 2*len(c.streams) > len(c.slots) {
		c.index(64 - c.shift + 1)
	}
	return &c.streams[len(c.streams)-1]
}

// index makes the table of streams anew, with room for half of 1<<bits.
func (c *counter) index(bits int) {
	c.slots, c.shift = make([]int32, 1<<bits), 64-bits
	for i := range c.streams {
		at := c.streams[i].key.Hash() >> c.shift
		for c.slots[at] != 0 {
			at = (at + 1) & uint64(len(c.slots)-1)
		}
		c.slots[at] = int32(i + 1)
	}
}

// newStream is a stream whose first packet is f; it is not counted yet.
func newStream(f *capture.Frame, outer *vxlan.Outer, filter *filter) streamCount {
	source := outer.Key.Source()
	s := streamCount{key: outer.Key, streamRest: &streamRest{
		destination: outer.Destination(f.Data), source: match.Source{Addrs: []netip.Addr{source}},
		sample: append([]byte(nil), f.Data[:min(len(f.Data), sampleBytes)]...), sampleLength: f.Length,
	}}
	if source.Is4() {
		b := source.As4()
		s.source4 = binary.BigEndian.Uint32(b[:])
		b = s.destination.As4()
		s.destination4 = binary.BigEndian.Uint32(b[:])
	}
	if filter != nil {
		s.judged = &Judged{Rules: make([]uint64, filter.rules.Len())}
	}
	return s
}

// glance counts what is in a frame where both headers of IP are the usual: IPv4 without
// options, VLAN tag or fragments. It says what look says, in a third of the time; otherwise
// it returns false and has counted nothing.
func (s *streamCount) glance(frame []byte, outer *vxlan.Outer) bool {
	const usual, ports, atInner = 14 + 20, 4, 14 + 20 + 16
	if len(frame) < atInner+usual+ports || outer.InnerOffset != atInner || s.source4 == 0 {
		return false
	}
	all := (*[atInner + usual + ports]byte)(frame) // checked once
	b := (*[usual + ports]byte)(all[atInner:])
	if binary.BigEndian.Uint32(b[12:16])&^0xff != 0x0800_4500 || binary.BigEndian.Uint16(b[20:22])&0x3fff != 0 {
		return false
	}
	total := int(binary.BigEndian.Uint16(b[16:18]))
	if total < 20+ports {
		return false
	}
	if binary.BigEndian.Uint32(all[30:34]) != s.destination4 {
		s.elsewhere++
	}
	if 14+total > outer.InnerLength {
		s.truncated++
	}
	direction := match.Unknown
	if from, to := binary.BigEndian.Uint32(b[26:30]) == s.source4, binary.BigEndian.Uint32(b[30:34]) == s.source4; from != to {
		direction = match.Ingress
		if from {
			direction = match.Egress
		}
	}
	s.add(ofProtocol[b[23]], direction)
	return true
}

// look counts what is in an inner frame of length bytes of which b was captured, and
// judges it.
func (s *streamCount) look(b []byte, length int, filter *filter) {
	var inner vxlan.Inner
	vxlan.WalkInner(b, &inner)
	if inner.Truncated(len(b), length) {
		s.truncated++
	}
	s.add(kind(&inner), s.source.Direction(&inner))
	if filter != nil {
		filter.judge(s, &inner, uint64(length))
	}
}

// kind is what an inner packet is.
func kind(p *vxlan.Inner) uint8 {
	switch {
	case p.Kind == vxlan.NotIP:
		return isNotIP
	case p.Kind == vxlan.BadInner || !p.HasProtocol:
		return isUnknown
	}
	return ofProtocol[p.Protocol]
}

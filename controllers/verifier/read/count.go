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
	// 100 MB for each section that is counted at once. Real captures have some hundred streams.
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

// counter counts the frames of one file. Nobody can craft a file that is slow to count: tables of streams
// have a secret.
type counter struct {
	port    uint16
	filter  *filter // nil without --filter
	streams []streamCount
	four    vxlan.Table4[int32] // indices of streams whose source has an IPv4 address
	six     map[vxlan.Key]int32 // and of the others
	classes [vxlan.Classes]uint64
	ports   ports
	beyond  uint64
	frames  uint64
	walkAll bool // for tests: there is no fast path
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
		s.endRun()
		s.run = kind
	}
	s.run += 1 << 8
}

// endRun puts the run into kinds.
func (s *streamCount) endRun() {
	s.kinds[s.run&0xff] += s.run >> 8
	s.run &= 0xff
}

// directions are those of package match.
const directions = 3

func newCounter(port uint16, filter *filter) *counter {
	return &counter{port: port, filter: filter, six: map[vxlan.Key]int32{}}
}

// file counts the frames of a file, by sections as far as it can. Now and then it calls poll, and ends when
// that returns an error.
func (c *counter) file(file *capture.File, by sectioning, poll func() error) error {
	if err := c.inSections(file, by, poll); err != nil {
		return err
	}
	return c.all(file, poll)
}

// all counts the frames of a file in order. Now and then it calls poll, and ends when that
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

// frame counts a frame. Most are of the commonest form, and of a stream that is known: they are counted
// by what is read at fixed offsets, as the walk would count them.
func (c *counter) frame(f *capture.Frame) {
	c.frames++
	if u := vxlan.AsUsual(f.Data, f.Length, c.port); u != nil && !c.walkAll {
		if i, ok := c.four.Find(u.Key()); ok {
			c.streams[i].usual(f, u, c.filter)
			return
		}
	}
	c.walk(f)
}

// walk counts any frame.
func (c *counter) walk(f *capture.Frame) {
	var outer vxlan.Outer
	if class := vxlan.Walk(f.Data, f.Length, c.port, &outer); class != vxlan.Stream {
		c.classes[class]++
		if class == vxlan.NotVXLAN {
			c.ports.count(f)
		}
		return
	}
	s := c.stream(f, &outer)
	if s == nil {
		c.beyond++
		return
	}
	s.came(f, outer.InnerLength)
	if outer.Destination(f.Data) != s.destination {
		s.elsewhere++
	}
	s.look(f.Data[outer.InnerOffset:outer.InnerEnd], outer.InnerLength, c.filter)
}

// stream finds or makes the stream of a packet; nil when there are too many.
func (c *counter) stream(f *capture.Frame, outer *vxlan.Outer) *streamCount {
	if i, ok := c.find(outer.Key); ok {
		return &c.streams[i]
	}
	if len(c.streams) == maxStreams {
		return nil
	}
	return c.add(newStream(f, outer, c.filter))
}

// find returns the index of a stream.
func (c *counter) find(key vxlan.Key) (i int32, ok bool) {
	if four, is := key.In4(); is {
		return c.four.Find(four)
	}
	i, ok = c.six[key]
	return i, ok
}

// add adds a stream that is not there.
func (c *counter) add(s streamCount) *streamCount {
	i := int32(len(c.streams))
	if four, is := s.key.In4(); is {
		c.four.Add(four, i)
	} else {
		c.six[s.key] = i
	}
	c.streams = append(c.streams, s)
	return &c.streams[i]
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

// came counts what every packet has.
func (s *streamCount) came(f *capture.Frame, length int) {
	s.bytes += uint64(length)
	s.at(f.Time)
	if f.Length > longestFrame {
		s.super++
	}
}

// at notes the time of a packet. None is before 1970: 0 is that of a packet without one.
func (s *streamCount) at(time int64) {
	if time > s.last {
		if s.last == 0 {
			s.first = time
		}
		s.last = time
	} else if time < s.first && time > 0 {
		s.first = time
	}
}

// usual counts a packet of the commonest form, as walk and look do.
func (s *streamCount) usual(f *capture.Frame, u *vxlan.Usual, filter *filter) {
	s.came(f, u.InnerLength())
	if u.Destination() != s.destination4 {
		s.elsewhere++
	}
	if u.Truncated() {
		s.truncated++
	}
	d := match.DirectionByAddress(s.source4, u)
	s.add(ofProtocol[u.Protocol()], d)
	if filter != nil {
		filter.judgeUsual(s, d, u)
	}
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
		filter.judge(s, filter.rules.Check(&s.source, &inner), uint64(length))
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

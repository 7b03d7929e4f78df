package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng).
const (
	blockSection   = 0x0a0d0d0a // reads the same in both byte orders
	blockInterface = 1
	blockOldPacket = 2
	blockSimple    = 3
	blockPacket    = 6

	byteOrderMagic = 0x1a2b3c4d

	optionEnd        = 0
	optionResolution = 9
	optionOffset     = 14

	// maxInterfaces bounds the memory that a section can ask for.
	maxInterfaces = 4096
	// maxInterfaceBlock bounds an interface's description with its options.
	maxInterfaceBlock = 65536
)

// sections is the state of reading a pcapng file.
type sections struct {
	interfaces []captureInterface
	skip       int64 // bytes to the end of the block in use
	changed    bool  // interfaces were described
}

// captureInterface is what an interface description block says.
type captureInterface struct {
	link   uint16
	snap   uint32
	ticks  uint64 // per second; 0 when more than can be counted
	offset int64  // seconds
}

// section reads a section header block at f.at. Interfaces belong to a
// section, and so does the byte order.
func (f *File) section() error {
	if !f.need(12) {
		return f.cut("a section header", 12)
	}
	h := f.buffer[f.at:]
	switch {
	case binary.LittleEndian.Uint32(h[8:]) == byteOrderMagic:
		f.order = binary.LittleEndian
	case binary.BigEndian.Uint32(h[8:]) == byteOrderMagic:
		f.order = binary.BigEndian
	default:
		return fmt.Errorf("%w: it begins like pcapng but has no byte-order magic", ErrNotCapture)
	}
	length := f.order.Uint32(h[4:])
	if length < 28 || length%4 != 0 {
		return f.damaged("a section header", length)
	}
	f.ng.interfaces, f.ng.changed = nil, true // those of before may be in use for a section
	f.ng.skip = int64(length)
	return nil
}

func (f *File) damaged(what string, length uint32) error {
	return fmt.Errorf("%w: %s at byte %d claims %d bytes", ErrDamaged, what, f.base+int64(f.at), length)
}

// nextBlock steps over blocks to the next packet.
func (f *File) nextBlock(out *Frame) bool {
	for {
		if f.err = f.leave(); f.err != nil {
			return false
		}
		if !f.more(8) {
			return false
		}
		kind, length := f.order.Uint32(f.buffer[f.at:]), f.order.Uint32(f.buffer[f.at+4:])
		if kind == blockSection {
			if f.err = f.section(); f.err != nil {
				return false
			}
			continue
		}
		if length < 12 || length%4 != 0 {
			f.err = f.damaged("a block", length)
			return false
		}
		var found bool
		switch kind {
		case blockInterface:
			f.err = f.describe(length)
		case blockPacket:
			found, f.err = f.packet(out, length, false)
		case blockOldPacket:
			found, f.err = f.packet(out, length, true)
		case blockSimple:
			found, f.err = f.simple(out, length)
		}
		if f.err != nil {
			return false
		}
		f.ng.skip = int64(length)
		if found {
			return true
		}
	}
}

// leave steps over what is left of the block in use, which may be more than
// the buffer holds.
func (f *File) leave() error {
	for f.ng.skip > 0 {
		if f.at == f.end && !f.need(1) {
			if errors.Is(f.ended, io.EOF) {
				return fmt.Errorf("%w: the last block misses %d bytes", ErrCut, f.ng.skip)
			}
			return f.cut("a block", 1)
		}
		step := int(min(f.ng.skip, int64(f.end-f.at)))
		f.at += step
		f.ng.skip -= int64(step)
	}
	return nil
}

// describe reads an interface description block.
func (f *File) describe(length uint32) error {
	if length < 20 || length > maxInterfaceBlock {
		return f.damaged("the description of an interface", length)
	}
	if len(f.ng.interfaces) == maxInterfaces {
		return fmt.Errorf("%w: it describes more than %d interfaces", ErrDamaged, maxInterfaces)
	}
	if !f.need(int(length)) {
		return f.cut("the description of an interface", int(length))
	}
	b := f.buffer[f.at : f.at+int(length)-4]
	i := captureInterface{link: f.order.Uint16(b[8:]), snap: f.order.Uint32(b[12:]), ticks: 1e6}
	for options := b[16:]; len(options) >= 4; {
		code, size := f.order.Uint16(options), int(f.order.Uint16(options[2:]))
		options = options[4:]
		if code == optionEnd || size > len(options) {
			break
		}
		switch {
		case code == optionResolution && size == 1:
			i.ticks = resolution(options[0])
		case code == optionOffset && size == 8:
			i.offset = int64(f.order.Uint64(options))
		}
		options = options[min((size+3)&^3, len(options)):]
	}
	f.ng.interfaces, f.ng.changed = append(f.ng.interfaces, i), true
	return nil
}

// resolution is the number of ticks in a second: a power of ten, or of two
// when the uppermost bit is set.
func resolution(v byte) uint64 {
	base, exponent := uint64(10), int(v&0x7f)
	if v&0x80 != 0 {
		base = 2
	}
	ticks := uint64(1)
	for range exponent {
		if ticks > (1<<62)/base {
			return 0
		}
		ticks *= base
	}
	return ticks
}

// time converts a time stamp to nanoseconds since 1970.
func (i *captureInterface) time(stamp uint64) int64 {
	if i.ticks == 0 {
		return 0
	}
	seconds, rest := stamp/i.ticks, stamp%i.ticks
	fraction := uint64(float64(rest) / float64(i.ticks) * 1e9)
	if i.ticks <= 1e9 {
		fraction = rest * 1e9 / i.ticks
	}
	return (int64(seconds)+i.offset)*1e9 + int64(fraction)
}

// packet reads an enhanced packet block, or an obsolete packet block, whose
// interface number has only 16 bits.
func (f *File) packet(out *Frame, length uint32, old bool) (bool, error) {
	const header = 28
	if length < header+4 {
		return false, f.damaged("a packet block", length)
	}
	if !f.need(header) {
		return false, f.cut("a packet block", header)
	}
	b := f.buffer[f.at:]
	number := f.order.Uint32(b[8:])
	if old {
		number = uint32(f.order.Uint16(b[8:]))
	}
	i, err := f.on(number)
	if i == nil {
		return false, err
	}
	stamp := uint64(f.order.Uint32(b[12:]))<<32 | uint64(f.order.Uint32(b[16:]))
	captured, wire := f.order.Uint32(b[20:]), f.order.Uint32(b[24:])
	if captured > maxRecord || captured > length-header-4 {
		return false, f.damaged("a packet", captured)
	}
	out.Time = i.time(stamp)
	return true, f.deliver(out, i.link, header, captured, wire)
}

// simple reads a simple packet block, which has no time and is cut at the
// first interface's snap length.
func (f *File) simple(out *Frame, length uint32) (bool, error) {
	const header = 12
	if length < header+4 {
		return false, f.damaged("a simple packet block", length)
	}
	if !f.need(header) {
		return false, f.cut("a simple packet block", header)
	}
	i, err := f.on(0)
	if i == nil {
		return false, err
	}
	wire := f.order.Uint32(f.buffer[f.at+8:])
	captured := min(wire, length-header-4)
	if i.snap != 0 {
		captured = min(captured, i.snap)
	}
	if captured > maxRecord {
		return false, f.damaged("a packet", captured)
	}
	out.Time = 0
	return true, f.deliver(out, i.link, header, captured, wire)
}

// on returns the interface a packet was captured on; nil and no error for one whose
// packets can't be read.
func (f *File) on(number uint32) (*captureInterface, error) {
	if uint64(number) >= uint64(len(f.ng.interfaces)) {
		return nil, fmt.Errorf("%w: the packet at byte %d is of interface %d, which is not described", ErrDamaged, f.base+int64(f.at), number)
	}
	i := &f.ng.interfaces[number]
	if !f.links.readable(i.link) {
		return nil, nil
	}
	return i, nil
}

// deliver hands out a packet's data, which follow header bytes of the block.
func (f *File) deliver(out *Frame, link uint16, header int, captured, wire uint32) error {
	size := header + int(captured)
	if !f.need(size) {
		return f.cut("a packet", size)
	}
	*out = Frame{Data: f.buffer[f.at+header : f.at+size : f.at+size], Length: int(max(wire, captured)), Time: out.Time}
	f.links.ethernet(link, out)
	return nil
}

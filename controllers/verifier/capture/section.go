package capture

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// chain is how many records in a row have to look like ones until the first is believed to be one.
const chain = 32

// Section takes a part of about size bytes from the front of what is left of a regular file, so that it can
// be read apart from the rest and at the same time; what is read of f next is what follows it. Nothing in a file says where a
// record begins but the one before: where the section ends is a guess, and [File.Whole] tells when it has
// been read whether that was right. Section returns nil where the rest is to be read in order: near the
// end of the file, in a stream, in what was packed, and where nothing looks like a record. Who calls it
// closes the section before f.
func (f *File) Section(size int) *File {
	if f.mapped == nil || f.err != nil || f.ended != nil && !errors.Is(f.ended, io.EOF) || !f.settle() {
		return nil
	}
	s := &File{order: f.order, big: f.big, unit: f.unit, link: f.link, header: f.header, ended: io.EOF}
	if f.ng != nil {
		s.ng = &sections{interfaces: slices.Clip(f.ng.interfaces)}
	}
	if s.mapped = f.mapped.section(f, s, size+size/4); s.mapped == nil {
		return nil
	}
	s.began = f.state()
	s.begin, s.end = s.base+int64(s.at), s.boundary(s.at+size)
	if s.end == 0 || f.seek(s.base+int64(s.end)) != nil {
		_ = s.Close() // nothing was written to it
		return nil
	}
	return s
}

// Whole reports whether a section that was read to its end was what a reader of the whole file would have
// read there, provided that one would have come to where it begins.
func (f *File) Whole() bool {
	return f.err == nil && f.at == f.end && (f.ng == nil || !f.ng.changed)
}

// Join goes on with f behind a section, of which it takes what can't be read.
func (f *File) Join(section *File) { f.links.add(&section.links) }

// Back goes back to where a section begins, and forgets what was read behind it: that may have been no
// record, but the inside of one, and say anything of how those that follow are to be read.
func (f *File) Back(section *File) error {
	f.order = section.began.order
	if f.ng != nil {
		f.ng.interfaces = section.began.interfaces
	}
	return f.seek(section.begin)
}

// state is what has to be known of what stands before a record of pcapng to read it.
type state struct {
	order      binary.ByteOrder
	interfaces []captureInterface // nobody appends in place
}

func (f *File) state() state {
	s := state{order: f.order}
	if f.ng != nil {
		s.interfaces = slices.Clip(f.ng.interfaces)
	}
	return s
}

// seek goes on at an offset of the file.
func (f *File) seek(offset int64) error {
	f.buffer, f.at, f.end, f.base, f.ended = nil, 0, 0, offset, nil
	if f.ng != nil {
		f.ng.skip = 0
	}
	return f.mapped.release()
}

// boundary is where, from at on, the first record begins by the look of it and of those that follow; 0 when
// there is none.
func (f *File) boundary(at int) int {
	length, step := f.recordLength, 1
	if f.ng != nil {
		length, step = f.blockLength, 4 // the length of a block is a multiple of it
	}
	for last := at + maxRecord; at < last; at += step {
		n := 0
		for next := at; n < chain; n++ {
			size := length(f.buffer[min(next, len(f.buffer)):])
			if size == 0 {
				break
			}
			next += size
		}
		if n == chain {
			return at
		}
	}
	return 0
}

// recordLength is the length of the record that b begins with by the look of it, 0 when it looks like none.
func (f *File) recordLength(b []byte) int {
	if len(b) < f.header {
		return 0
	}
	fraction, captured, length := f.order.Uint32(b[4:]), f.order.Uint32(b[8:]), f.order.Uint32(b[12:])
	if int64(fraction)*f.unit >= 1e9 || captured == 0 || captured > maxRecord || length < captured {
		return 0
	}
	return f.header + int(captured)
}

// blockLength is the same of a block of pcapng, whose length also stands at its end.
func (f *File) blockLength(b []byte) int {
	if len(b) < 12 {
		return 0
	}
	kind, length := f.order.Uint32(b), f.order.Uint32(b[4:])
	if kind > 0xff || length < 12 || length%4 != 0 || uint64(length) > uint64(len(b)) || f.order.Uint32(b[length-4:]) != length {
		return 0
	}
	return int(length)
}

// settle reads the blocks that say how later ones are read. It returns false where one of them is damaged,
// which is found again when the next packet is read.
func (f *File) settle() bool {
	for f.ng != nil {
		if f.leave() != nil || !f.need(8) {
			return false
		}
		kind, length := f.order.Uint32(f.buffer[f.at:]), f.order.Uint32(f.buffer[f.at+4:])
		switch kind {
		case blockSection:
			if f.section() != nil {
				return false
			}
		case blockInterface:
			if length%4 != 0 || f.describe(length) != nil {
				return false
			}
			f.ng.skip = int64(length)
		default:
			return true
		}
	}
	return true
}

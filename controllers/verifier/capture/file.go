package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/klauspost/compress/zstd"
)

// ErrNotCapture is the error of [Open] for a file that is neither pcap nor
// pcapng.
var ErrNotCapture = errors.New("not a pcap or pcapng file")

// ErrCut is the error of [File.Err] for a file that ends in the middle of a
// record, as one does whose writer was killed. What came before it was read.
var ErrCut = errors.New("the file is cut in the middle")

// ErrDamaged is the error of [File.Err] for a record that can't be: one that
// is longer than any capture tool writes, or a block that contradicts itself.
var ErrDamaged = errors.New("the file is damaged")

const (
	// maxRecord is the most bytes that a record may hold, as in libpcap. It
	// bounds the memory that a hostile file can ask for.
	maxRecord = 262144
	// bufferSize is read at once from what can't be mapped. It holds the
	// largest record with its header.
	bufferSize = 2 * maxRecord
)

// File reads frames from a pcap or pcapng file of any byte order and
// resolution of time, also one that gzip or zstd packed. Frames of a link type
// other than Ethernet get its header instead of their own; those of one that
// can't be read are counted and passed over. Its memory does not depend on the
// file's size.
type File struct {
	in     io.Reader // nil when the file is mapped
	mapped *mapping
	closer io.Closer

	// buffer[at:end] was read and not yet used; base is the offset in the file
	// of buffer[0].
	buffer  []byte
	at, end int
	base    int64
	begin   int64 // of a section: where in the file it begins
	began   state // of a section: what its first record is read by
	ended   error // of the reader; io.EOF is the regular one

	order binary.ByteOrder
	err   error

	big    bool // classic: the byte order is big-endian
	unit   int64
	link   uint16
	header int       // the length of a record's header
	ng     *sections // nil for classic pcap

	links   links
	decoder *zstd.Decoder // nil where zstd did not pack the file
}

// Open opens a file. The error says what is wrong with it in one sentence:
// errors.Is tells ErrNotCapture.
func Open(path string) (*File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err // it says what was done to which file
	}
	f := &File{in: in, closer: in}
	if f.mapped = newMapping(in); f.mapped == nil {
		f.buffer = make([]byte, bufferSize)
	}
	if err := f.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return f, nil
}

// NewFile reads from a stream, which may be a pipe.
func NewFile(in io.Reader) (*File, error) {
	f := &File{in: in, buffer: make([]byte, bufferSize)}
	if err := f.start(); err != nil {
		return nil, err
	}
	return f, nil
}

// start finds out the format.
func (f *File) start() (err error) {
	f.Guard(func() { err = f.readHeader(false) })
	return errors.Join(err, f.err)
}

// readHeader reads the header of the file, or of what is packed in it.
func (f *File) readHeader(unpacked bool) error {
	if !f.need(4) {
		if !errors.Is(f.ended, io.EOF) {
			return f.ended
		}
		if f.end == 0 {
			return fmt.Errorf("%w: it is empty", ErrNotCapture)
		}
		return fmt.Errorf("%w: it has only %d bytes", ErrNotCapture, f.end)
	}
	magic := binary.LittleEndian.Uint32(f.buffer)
	if compressed(magic) && !unpacked {
		if err := f.unpack(magic); err != nil {
			return err
		}
		return f.readHeader(true)
	}
	if magic == blockSection {
		f.ng = &sections{}
		return f.section()
	}
	return f.classicHeader(magic)
}

// classicHeader reads the header of a pcap file.
func (f *File) classicHeader(magic uint32) error {
	const record, recordModified = 16, 24 // the latter has interface, protocol and type of the packet
	f.order, f.header = binary.LittleEndian, record
	switch magic {
	case 0xa1b2c3d4:
		f.unit = 1000
	case 0xa1b23c4d:
		f.unit = 1
	case 0xd4c3b2a1:
		f.order, f.unit, f.big = binary.BigEndian, 1000, true
	case 0x4d3cb2a1:
		f.order, f.unit, f.big = binary.BigEndian, 1, true
	case 0xa1b2cd34:
		f.unit, f.header = 1000, recordModified
	case 0x34cdb2a1:
		f.order, f.unit, f.big, f.header = binary.BigEndian, 1000, true, recordModified
	default:
		if compressed(magic) {
			return fmt.Errorf("%w: it was compressed twice, unpack it first", ErrNotCapture)
		}
		return ErrNotCapture
	}
	const header = 24
	if !f.need(header) {
		return f.cut("the header of the file", header)
	}
	// The upper bits of the link type tell of a frame check sequence, which
	// the lengths inside the frame exclude anyway.
	f.link = uint16(f.order.Uint32(f.buffer[20:]))
	f.at = header
	return nil
}

// need makes n bytes available at f.at. It returns false when the file has not
// that many.
func (f *File) need(n int) bool {
	if f.end-f.at >= n {
		return true
	}
	if f.ended != nil {
		return false
	}
	if f.mapped != nil {
		return f.mapped.move(f, n)
	}
	copy(f.buffer, f.buffer[f.at:f.end])
	f.base += int64(f.at)
	f.end -= f.at
	f.at = 0
	for f.end < n && f.ended == nil {
		var got int
		got, f.ended = f.in.Read(f.buffer[f.end:])
		f.end += got
	}
	return f.end >= n
}

// cut is the error where n bytes of something were needed and the file ended.
func (f *File) cut(what string, n int) error {
	if f.ended != nil && !errors.Is(f.ended, io.EOF) {
		return fmt.Errorf("read at byte %d: %w", f.base+int64(f.end), f.ended)
	}
	return fmt.Errorf("%w: %s at byte %d needs %d bytes, %d are there", ErrCut, what, f.base+int64(f.at), n, f.end-f.at)
}

// Next reads the next frame into out. It returns false at the end of the file
// and when something is wrong with it; Err tells which.
func (f *File) Next(out *Frame) bool {
	if f.ng != nil {
		return f.err == nil && f.nextBlock(out)
	}
	for {
		header := f.header
		if f.end-f.at < header && !f.more(header) {
			return false
		}
		h := f.buffer[f.at : f.at+16]
		var seconds, fraction, captured, length uint32
		if f.big {
			seconds, fraction = binary.BigEndian.Uint32(h), binary.BigEndian.Uint32(h[4:])
			captured, length = binary.BigEndian.Uint32(h[8:]), binary.BigEndian.Uint32(h[12:])
		} else {
			seconds, fraction = binary.LittleEndian.Uint32(h), binary.LittleEndian.Uint32(h[4:])
			captured, length = binary.LittleEndian.Uint32(h[8:]), binary.LittleEndian.Uint32(h[12:])
		}
		size := header + int(captured)
		if f.end-f.at < size && !f.record(captured, size) {
			return false
		}
		out.Data = f.buffer[f.at+header : f.at+size : f.at+size]
		out.Length = int(max(length, captured))
		out.Time = int64(seconds)*1e9 + int64(fraction)*f.unit
		out.SegmentType, out.SegmentSize, out.OtherHost = SegmentNone, 0, false
		f.at += size
		if f.link == linkEthernet {
			return true
		}
		if f.links.readable(f.link) {
			f.links.ethernet(f.link, out)
			return true
		}
	}
}

// more makes the header of a record available, unless the file ended before.
func (f *File) more(header int) bool {
	if f.err != nil || f.need(header) {
		return f.err == nil
	}
	if f.end > f.at || !errors.Is(f.ended, io.EOF) {
		f.err = f.cut("the header of a record", header)
	}
	return false
}

// record makes a whole record available.
func (f *File) record(captured uint32, size int) bool {
	if captured > maxRecord {
		f.err = fmt.Errorf("%w: the record at byte %d claims %d bytes, more than the %d that a capture can hold",
			ErrDamaged, f.base+int64(f.at), captured, maxRecord)
		return false
	}
	if !f.need(size) {
		f.err = f.cut("a record", size)
		return false
	}
	return true
}

// Unread counts the frames that were passed over, by link type.
func (f *File) Unread() []LinkFrames { return f.links.list() }

// Err is what ended the reading, nil for a proper end: errors.Is tells ErrCut
// and ErrDamaged.
func (f *File) Err() error { return f.err }

// Guard runs f, which calls Next and looks at frames. A regular file is mapped
// into memory, so that touching a frame faults when somebody truncates the file
// meanwhile; inside Guard that ends f and becomes the error of Err.
func (f *File) Guard(do func()) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		reason := recover()
		if reason == nil {
			return
		}
		if _, fault := reason.(interface{ Addr() uintptr }); !fault {
			panic(reason)
		}
		f.err = fmt.Errorf("%w: it became shorter while it was read", ErrCut)
	}()
	do()
}

// Close releases a file that Open opened.
func (f *File) Close() error {
	var errs []error
	if f.decoder != nil {
		f.decoder.Close()
	}
	if f.mapped != nil {
		errs = append(errs, f.mapped.release())
	}
	if f.closer != nil {
		errs = append(errs, f.closer.Close())
	}
	return errors.Join(errs...)
}

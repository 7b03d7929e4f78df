package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory that a compressed file can ask for, as the program zstd
// does.
const maxWindow = 128 << 20

// compressed reports whether a file begins like one of gzip or zstd.
func compressed(magic uint32) bool {
	return magic&0xffff == 0x8b1f || magic == 0xfd2fb528
}

// unpack makes f read what is in the compressed file that it has read 4 bytes of.
func (f *File) unpack(magic uint32) error {
	packed := &packedReader{in: f.in}
	if f.mapped != nil {
		if err := f.mapped.release(); err != nil {
			return err
		}
		f.mapped = nil // the file itself was not read from yet
	} else {
		rest := f.in
		if f.ended != nil {
			rest = &packedReader{err: f.ended}
		}
		packed.in = io.MultiReader(bytes.NewReader(bytes.Clone(f.buffer[f.at:f.end])), rest)
	}
	if magic&0xffff == 0x8b1f {
		in, err := gzip.NewReader(packed)
		if err != nil {
			return packed.explain(err)
		}
		packed.out = in
	} else {
		in, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return packed.explain(err)
		}
		packed.out = in
		f.decoder = in
	}
	f.in, f.ended = unpackedReader{packed}, nil
	f.buffer, f.at, f.end, f.base = make([]byte, bufferSize), 0, 0, 0
	return nil
}

// packedReader is the compressed file. It remembers its own error, to tell it from one
// of the content.
type packedReader struct {
	in  io.Reader
	out io.Reader
	err error
}

func (p *packedReader) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.in.Read(b)
	p.err = err
	return n, err
}

// explain says what an error of unpacking means for the file.
func (p *packedReader) explain(err error) error {
	switch {
	case err == nil, errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case p.err != nil && !errors.Is(p.err, io.EOF):
		return p.err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: what it was compressed to ends early", ErrCut)
	}
	return fmt.Errorf("%w: it can't be unpacked: %w", ErrDamaged, err)
}

// unpackedReader is what is in the compressed file.
type unpackedReader struct{ *packedReader }

func (u unpackedReader) Read(b []byte) (int, error) {
	n, err := u.out.Read(b)
	return n, u.explain(err)
}

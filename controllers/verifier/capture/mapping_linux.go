package capture

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// windowSize is how much of a file is mapped at once. It holds the largest
// record wherever it begins.
const windowSize = 16 << 20

// mapping is a window of a regular file in memory. Reading through it takes
// half the time of copying the file's pages out of the kernel.
type mapping struct {
	file   *os.File
	size   int64
	window []byte
}

// newMapping returns nil where the file can't be mapped, as a pipe.
func newMapping(file *os.File) *mapping {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return nil
	}
	return &mapping{file: file, size: info.Size()}
}

// move maps the window that begins at the first unused byte of f, and reports
// whether n bytes are there.
func (m *mapping) move(f *File, n int) bool {
	position := f.base + int64(f.at)
	start := position &^ int64(os.Getpagesize()-1)
	length := min(m.size-start, windowSize)
	if f.ended = m.release(); f.ended != nil {
		return false
	}
	window, err := unix.Mmap(int(m.file.Fd()), start, int(length), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		f.buffer, f.at, f.end, f.base = nil, 0, 0, position
		f.ended = fmt.Errorf("map %d bytes at byte %d: %w", length, start, err)
		return false
	}
	m.window = window
	f.buffer, f.at, f.end, f.base = window, int(position-start), int(length), start
	if start+length == m.size {
		f.ended = io.EOF
	}
	return f.end-f.at >= n
}

// section maps so many bytes of what is left of f, for s; nil where f has no more, or it can't be mapped.
func (m *mapping) section(f, s *File, length int) *mapping {
	position := f.base + int64(f.at)
	start := position &^ int64(os.Getpagesize()-1)
	if length += int(position - start); m.size-start <= int64(length) {
		return nil
	}
	window, err := unix.Mmap(int(m.file.Fd()), start, length, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil
	}
	s.buffer, s.at, s.base = window, int(position-start), start
	return &mapping{window: window}
}

func (m *mapping) release() error {
	if m.window == nil {
		return nil
	}
	window := m.window
	m.window = nil
	return os.NewSyscallError("munmap", unix.Munmap(window))
}

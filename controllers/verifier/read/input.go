package read

import (
	"errors"
	"io"
	"os"
	"time"
)

// errInterrupted ends the reading when a person wants it to end.
var errInterrupted = errors.New("interrupted")

// grace is how long after an interrupt the rest of a stream is waited for: whoever
// writes it got the same interrupt from the terminal, and hands out what it has left.
const grace = time.Second

// asked is what may be asked for while a file is read.
type asked struct {
	interrupt <-chan os.Signal
	tick      <-chan time.Time // nil when no interim reports are wanted
	report    func() error     // makes an interim report
}

// poll does what was asked for meanwhile, in the midst of a file.
func (a *asked) poll() error {
	select {
	case <-a.interrupt:
		return errInterrupted
	case <-a.tick:
		return a.report()
	default:
		return nil
	}
}

// stream reads from a pipe, and does what is asked for while nothing comes. All but
// the reading itself is done in Read, by who calls it.
type stream struct {
	asked
	filled      chan chunk
	empty       chan []byte
	rest        []byte
	last        chunk // that rest is of
	deadline    <-chan time.Time
	interrupted bool
}

type chunk struct {
	data []byte
	err  error
}

const chunkSize = 256 << 10

// newPipe begins to read from in, which is read to its end or until the process
// ends.
func newPipe(in io.Reader, a asked) *stream {
	s := &stream{asked: a, filled: make(chan chunk, 2), empty: make(chan []byte, 2)}
	s.empty <- make([]byte, chunkSize)
	s.empty <- make([]byte, chunkSize)
	go func() {
		for b := range s.empty {
			n, err := in.Read(b)
			s.filled <- chunk{b[:n], err}
			if err != nil {
				return
			}
		}
	}()
	return s
}

// Read reads what has come, or waits for it.
func (s *stream) Read(b []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.last.err != nil {
			return 0, s.last.err
		}
		if s.last.data != nil {
			s.empty <- s.last.data[:chunkSize]
			s.last = chunk{}
		}
		if err := s.wait(); err != nil {
			s.last = chunk{err: err}
			return 0, err
		}
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// wait waits for the next chunk, or for what ends the reading.
func (s *stream) wait() error {
	for {
		select {
		case s.last = <-s.filled:
			s.rest = s.last.data
			return nil
		case <-s.tick:
			if err := s.report(); err != nil {
				return err
			}
		case <-s.interrupt:
			if s.deadline != nil {
				return errInterrupted
			}
			s.interrupted, s.deadline = true, time.After(grace)
		case <-s.deadline:
			return errInterrupted
		}
	}
}

// poll does what is due in the midst of a file; an interrupt has to wait for Read.
func (s *stream) poll() error {
	a := s.asked
	a.interrupt = nil
	return a.poll()
}

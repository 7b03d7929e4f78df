package packets

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"
)

// day tells the day of a time, which lines don't have: the one that brings it nearest to the time before it.
type day struct {
	last  int64
	begun bool
}

const wholeDay = int64(24 * time.Hour)

// at is a time of a day as one that goes on over midnight.
func (d *day) at(since time.Duration) int64 {
	at := int64(since)
	if d.begun {
		at += ((d.last-at+wholeDay/2+wholeDay)/wholeDay - 1) * wholeDay
	}
	d.last, d.begun = at, true
	return at
}

// lines are those of a tail. Each begins with a time, or belongs to the one before it.
type lines struct {
	node string
	of   *day
	at   int64
}

const timeOfDay = "15:04:05.000000"

// midnight is what a time is read from that has no day.
var midnight = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)

func (l *lines) split(data []byte, take func(record)) ([]byte, error) {
	for {
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 {
			return data, nil
		}
		r := record{data: data[:end]}
		data = data[end:]
		if head, rest, ok := bytes.Cut(r.data, []byte(" ")); ok && len(head) == len(timeOfDay) {
			if at, err := time.Parse(timeOfDay, string(head)); err == nil {
				l.at, r.copied = l.of.at(at.Sub(midnight)), true
				r.data = append(append(append([]byte{}, head...), " on "+l.node+": "...), rest...)
			}
		}
		if gap, ok := bytes.CutPrefix(r.data, []byte("-- ")); ok {
			r.data = append([]byte("-- on "+l.node+": "), gap...)
		}
		r.at = l.at
		take(r)
	}
}

// capture is one file made of those of several nodes: one section, in which each has an interface.
type capture struct {
	begun      bool
	interfaces uint32
}

// blocks are those of a capture file, which the verifier writes in little-endian order: a section, an interface, then
// packets, and statistics at the end.
type blocks struct {
	of    *capture
	index uint32
}

// The kinds of blocks, and bounds of their length.
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockStatistics = 5
	blockPacket     = 6
	minBlock        = 12
	maxBlock        = 1 << 20
)

// errNoCapture is what a program is told that writes something else.
var errNoCapture = errors.New("what the verifier writes is no capture file: is it of another version than this plugin?")

func (b *blocks) split(data []byte, take func(record)) ([]byte, error) {
	for len(data) >= minBlock {
		kind, length := binary.LittleEndian.Uint32(data), int(binary.LittleEndian.Uint32(data[4:]))
		if length < minBlock || length > maxBlock || length%4 != 0 {
			return nil, errNoCapture
		}
		if len(data) < length {
			break
		}
		r := record{data: data[:length]}
		data = data[length:]
		switch kind {
		case blockSection:
			if r.first = true; b.of.begun {
				continue
			}
			b.of.begun = true
		case blockInterface:
			r.first = true
			b.index = b.of.interfaces
			b.of.interfaces++
		case blockPacket, blockStatistics:
			if length < minBlock+12 || b.of.interfaces == 0 {
				return nil, errNoCapture
			}
			binary.LittleEndian.PutUint32(r.data[8:], b.index)
			r.at = int64(uint64(binary.LittleEndian.Uint32(r.data[12:]))<<32 | uint64(binary.LittleEndian.Uint32(r.data[16:])))
			r.copied = kind == blockPacket
		default:
			return nil, errNoCapture
		}
		take(r)
	}
	return data, nil
}

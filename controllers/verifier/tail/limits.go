package tail

import (
	"fmt"
	"time"
)

// Limits end a tail. All are above 0 and have a maximum.
type Limits struct {
	// Packets is how many copies are shown at most, Bytes how many bytes are written.
	Packets, Bytes int64
	// Time is how long it goes on.
	Time time.Duration
}

// The limits by default, and the largest that may be asked for.
var (
	DefaultLimits = Limits{Packets: 10_000, Bytes: 64 << 20, Time: 10 * time.Minute}
	MaxLimits     = Limits{Packets: 10_000_000, Bytes: 4 << 30, Time: 24 * time.Hour}
)

// Check refuses a limit that can't be, in one sentence with the name of its flag.
func (l Limits) Check() error {
	switch {
	case l.Packets < 1 || l.Packets > MaxLimits.Packets:
		return fmt.Errorf("--packets=%d: choose 1 to %d", l.Packets, MaxLimits.Packets)
	case l.Bytes < 1 || l.Bytes > MaxLimits.Bytes:
		return fmt.Errorf("--bytes=%d: choose 1 to %d", l.Bytes, MaxLimits.Bytes)
	case l.Time <= 0 || l.Time > MaxLimits.Time:
		return fmt.Errorf("--for=%s: choose a time above 0 and up to %s", l.Time, MaxLimits.Time)
	}
	return nil
}

// spent is what has been shown of what the limits allow.
type spent struct{ packets, bytes int64 }

// admit takes one copy of so many bytes if the limits allow it. over is a reason to end: what the limit
// says that is reached now, or would be with this one.
func (s *spent) admit(l Limits, bytes int) (ok bool, over string) {
	if s.bytes+int64(bytes) > l.Bytes {
		return false, fmt.Sprintf("%d bytes were written (--bytes)", s.bytes)
	}
	s.packets++
	s.bytes += int64(bytes)
	if s.packets >= l.Packets {
		return true, fmt.Sprintf("%d copies were shown (--packets)", s.packets)
	}
	return true, ""
}

package live

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/bench/copies"
)

const (
	sessionCount = copies.VNIs // one VNI each
	sourceCount  = 8           // of each session
	ruleCount    = 10          // of each session
	firstPort    = 1234        // of the first rule
	streamCount  = sessionCount * sourceCount
)

// frames are the copies that are sent in turn: each source of each session sends to the port of
// each rule equally often.
func frames(to [6]byte) [][]byte {
	all := make([][]byte, streamCount*ruleCount)
	for i := range all {
		all[i] = make([]byte, copies.FrameBytes)
		round, stream := i/streamCount, i%streamCount
		copies.Fill(all[i], round*copies.Streams+stream, uint16(firstPort+round))
		copy(all[i], to[:])
	}
	return all
}

// sending is one run of the sender.
type sending struct {
	Index   int
	To      [6]byte
	Rate    int // frames a second, 0 for as many as can be
	Seconds float64
}

// sent is what came of it. CPU includes what the kernel did with the frames on the sender's thread,
// which is all until the receiver's packet sockets have them.
type sent struct {
	Frames    int
	CPU, Time time.Duration
}

const (
	batch = 32 // frames of one call
	// most bounds a run at full speed.
	most = 20_000_000
)

// message is struct mmsghdr of the kernel.
type message struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// run sends. Its thread must stay this one.
func (s *sending) run() (sent, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return sent{}, fmt.Errorf("open the sending socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return sent{}, fmt.Errorf("set PACKET_QDISC_BYPASS on the sending socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: s.Index}); err != nil {
		return sent{}, fmt.Errorf("bind the sending socket to interface %d: %w", s.Index, err)
	}
	// Without this a sleep may take 50 us longer.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return sent{}, fmt.Errorf("set the timer slack: %w", err)
	}
	messages := messagesOf(frames(s.To))
	before, err := runTime("/proc/thread-self/schedstat")
	if err != nil {
		return sent{}, err
	}
	begin := time.Now()
	n, err := s.pace(begin, func(at int) (int, error) { return send(fd, messages, at) })
	if err != nil {
		return sent{}, err
	}
	took := time.Since(begin)
	after, err := runTime("/proc/thread-self/schedstat")
	return sent{Frames: n, CPU: after - before, Time: took}, err
}

// pace calls burst, which sends up to batch frames from number at on, at the right times.
func (s *sending) pace(begin time.Time, burst func(at int) (int, error)) (n int, err error) {
	whole := time.Duration(s.Seconds * float64(time.Second))
	limit := most
	if s.Rate > 0 {
		limit = min(most, int(float64(s.Rate)*s.Seconds))
	}
	for n < limit {
		elapsed := time.Since(begin)
		if s.Rate == 0 && elapsed >= whole {
			return n, nil
		}
		if elapsed > 2*whole { // the pace can't be kept
			return n, nil
		}
		if s.Rate > 0 {
			if due := time.Duration(float64(n) / float64(s.Rate) * float64(time.Second)); elapsed < due {
				pause := unix.NsecToTimespec(int64(due - elapsed))
				if err := unix.Nanosleep(&pause, nil); err != nil && !errors.Is(err, unix.EINTR) {
					return n, fmt.Errorf("sleep: %w", err)
				}
				continue
			}
		}
		went, err := burst(n)
		if err != nil {
			return n, err
		}
		n += went
	}
	return n, nil
}

// messagesOf prepares the calls: a frame a message, as many messages as there are frames.
func messagesOf(frames [][]byte) []message {
	messages := make([]message, len(frames))
	for i, frame := range frames {
		part := &unix.Iovec{Base: &frame[0]}
		part.SetLen(len(frame))
		messages[i].header.Iov = part
		messages[i].header.SetIovlen(1)
	}
	return messages
}

// send puts some of the messages on the wire, from number at on. None when the device is full.
func send(fd int, messages []message, at int) (int, error) {
	at %= len(messages)
	some := messages[at:min(at+batch, len(messages))]
	n, _, code := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&some[0])), uintptr(len(some)), 0, 0, 0)
	switch code {
	case 0:
		return int(n), nil
	case unix.ENOBUFS, unix.EINTR, unix.EAGAIN:
		return 0, nil
	}
	return 0, fmt.Errorf("send frames: %w", code)
}

// runTime is the time that a thread ran, by the kernel's own counter (Documentation/scheduler/sched-stats.rst).
func runTime(path string) (time.Duration, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read how long a thread ran: %w", err)
	}
	first, _, _ := strings.Cut(string(content), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read how long a thread ran: %s has %q: %w", path, content, err)
	}
	return time.Duration(ns), nil
}

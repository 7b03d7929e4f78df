package live

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/bench/copies"
)

const (
	sessionCount = copies.VNIs // one VNI each
	sourceCount  = 8           // of each session
	ruleCount    = 10          // of each session
	firstPort    = 1234        // of the first rule
)

// segments is the number of frames that the kernel is given as one, and cuts up before they leave:
// so they cost the sender little, and come in bursts.
const segments = sessionCount * ruleCount / 2

const (
	linkBytes    = 14
	segmentBytes = 8 + copies.InnerBytes // of VXLAN and the inner frame
	headerBytes  = copies.FrameBytes - segmentBytes
	vnetBytes    = 10
)

// bursts are the frames that are sent in turn: each source of each session sends to the port of
// each rule equally often. Each burst is of one outer source, and goes through the sessions.
func bursts(to [6]byte) [][]byte {
	var all [][]byte
	frame := make([]byte, copies.FrameBytes)
	for source := range sourceCount {
		for half := range sessionCount * ruleCount / segments {
			burst := make([]byte, vnetBytes+headerBytes, vnetBytes+headerBytes+segments*segmentBytes)
			for n := range segments {
				at := half*segments + n
				session, rule := at%sessionCount, at/sessionCount
				copies.Fill(frame, rule*copies.Streams+source*copies.VNIs+session, uint16(firstPort+rule))
				if n == 0 {
					copy(burst[vnetBytes:], frame[:headerBytes])
				}
				burst = append(burst, frame[headerBytes:]...)
			}
			join(burst, to)
			all = append(all, burst)
		}
	}
	return all
}

// join makes the headers of a burst those of all its datagrams together. In front is the header of
// virtio (5.1.6 of its specification) that says how they are cut up.
func join(burst []byte, to [6]byte) {
	const needsChecksum, udpSegmentation = 1, 5
	burst[0], burst[1] = needsChecksum, udpSegmentation
	for i, v := range []uint16{headerBytes, segmentBytes, linkBytes + 20, 6} {
		binary.NativeEndian.PutUint16(burst[2+2*i:], v)
	}
	frame := burst[vnetBytes:]
	copy(frame, to[:])
	ip, udp := frame[linkBytes:linkBytes+20], frame[linkBytes+20:headerBytes]
	binary.BigEndian.PutUint16(ip[2:], uint16(len(frame)-linkBytes))
	binary.BigEndian.PutUint16(ip[10:], 0)
	binary.BigEndian.PutUint16(ip[10:], ^sum(0, ip))
	length := uint16(len(frame) - linkBytes - 20)
	binary.BigEndian.PutUint16(udp[4:], length)
	// Of the pseudo-header alone: the rest is left to a card, and a veth pair has none.
	binary.BigEndian.PutUint16(udp[6:], sum(unix.IPPROTO_UDP+uint32(length), ip[12:20]))
}

// sum adds up the words of b in ones' complement (RFC 1071).
func sum(from uint32, b []byte) uint16 {
	for i := 0; i < len(b); i += 2 {
		from += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for from > 0xffff {
		from = from>>16 + from&0xffff
	}
	return uint16(from)
}

// sending is one run of the sender.
type sending struct {
	Index   int
	To      [6]byte
	Rate    int // frames a second, 0 for as many as can be
	Seconds float64
}

// sent is what came of it.
type sent struct {
	Frames int
	// Burst is the median of the times that it took to send a burst. All that the receiving kernel
	// does with a frame it does in that time, on the sender's thread, until its packet sockets have
	// the frame; some kernels don't count that as CPU of the thread. The median leaves out when
	// something else had the core.
	Burst time.Duration
	// Time is how long all of it took.
	Time time.Duration
}

// most bounds a run at full speed, in frames.
const most = 20_000_000

// run sends. Its thread must stay this one.
func (s *sending) run() (sent, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return sent{}, fmt.Errorf("open the sending socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		return sent{}, fmt.Errorf("set PACKET_VNET_HDR on the sending socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: s.Index}); err != nil {
		return sent{}, fmt.Errorf("bind the sending socket to interface %d: %w", s.Index, err)
	}
	// Without this a sleep may take 50 us longer.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return sent{}, fmt.Errorf("set the timer slack: %w", err)
	}
	all := bursts(s.To)
	times := make([]time.Duration, 0, 1<<17)
	begin := time.Now()
	n, err := s.pace(func() time.Duration { return time.Since(begin) }, pause, func(n int) error {
		start := time.Now()
		err := send(fd, all[n%len(all)])
		times = append(times, time.Since(start))
		return err
	})
	if err != nil || n == 0 {
		return sent{}, err
	}
	took := time.Since(begin)
	slices.Sort(times)
	return sent{Frames: n, Burst: times[len(times)/2], Time: took}, nil
}

// pace calls burst, with the number of those before it, at the right times. It returns how many
// frames that were.
func (s *sending) pace(elapsed func() time.Duration, sleep func(time.Duration) error, burst func(n int) error) (int, error) {
	whole := time.Duration(s.Seconds * float64(time.Second))
	limit := most / segments
	if s.Rate > 0 {
		limit = min(limit, int(float64(s.Rate)*s.Seconds)/segments)
	}
	n := 0
	for n < limit {
		now := elapsed()
		if s.Rate == full && now >= whole || now > 2*whole { // the latter: the rate can't be reached
			break
		}
		if s.Rate != full {
			if due := time.Duration(float64(n*segments) / float64(s.Rate) * float64(time.Second)); now < due {
				if err := sleep(due - now); err != nil {
					return 0, err
				}
				continue
			}
		}
		if err := burst(n); err != nil {
			return 0, err
		}
		n++
	}
	return n * segments, nil
}

// pause sleeps. It may be woken before.
func pause(d time.Duration) error {
	t := unix.NsecToTimespec(int64(d))
	if err := unix.Nanosleep(&t, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("sleep: %w", err)
	}
	return nil
}

// send puts a burst on the wire.
func send(fd int, burst []byte) error {
	for {
		_, err := unix.Write(fd, burst)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("send a burst: %w", err)
		}
	}
}

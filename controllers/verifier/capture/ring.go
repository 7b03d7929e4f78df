//go:build linux

package capture

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// ErrInterfaceDown is what [Ring.Next] returns when the interface was set down
// or removed. What had arrived before was handed out. The ring is of no use
// any more: close it and open another one when the interface is back.
var ErrInterfaceDown = errors.New("the interface is down or gone")

// ErrClosed is what [Ring.Next] returns after Close.
var ErrClosed = errors.New("the ring is closed")

// DefaultBlockTimeout is a compromise: what came last is known that much later, once or twice, and
// 8 times as long a reader may be held up where little comes, as on a node on which an IDS takes the processor.
const DefaultBlockTimeout = 250 * time.Millisecond

// RingOptions size a ring. The zero value of each field is its default.
type RingOptions struct {
	// BlockSize is the size of a block in bytes, a power of two and at least a
	// page; default 1 MiB.
	BlockSize int
	// Blocks is the number of blocks, at least 2; default 8.
	Blocks int
	// BlockTimeout is how long the kernel waits for a block to fill before it hands
	// it over with what it has, once or twice as long; default DefaultBlockTimeout, at least
	// 1 ms. Each block wakes the process. A full one is handed over at once: a burst needs
	// room in the ring, and no short timeout. Where little comes a block is used up by a frame
	// or two, so that a reader that is held up for longer than all blocks wait loses frames,
	// however few there are.
	BlockTimeout time.Duration
	// Narrow is what to capture of all that comes to the port; nil for what counting needs.
	Narrow *Narrow
}

func (o *RingOptions) setDefaults() error {
	if o.BlockSize == 0 {
		o.BlockSize = 1 << 20
	}
	if o.Blocks == 0 {
		o.Blocks = 8
	}
	if o.BlockTimeout == 0 {
		o.BlockTimeout = DefaultBlockTimeout
	}
	if o.BlockSize < os.Getpagesize() || bits.OnesCount(uint(o.BlockSize)) != 1 || o.Blocks < 2 || o.BlockTimeout < time.Millisecond {
		return fmt.Errorf("ring of %d blocks of %d bytes, handed over every %s: it must be 2 blocks or more, each a power of two and at least a page, and 1ms or more",
			o.Blocks, o.BlockSize, o.BlockTimeout)
	}
	return nil
}

// program is the filter of an interface, which may have no link layer.
func (o *RingOptions) program(port uint16, bare bool) []bpf.Instruction {
	switch n := o.Narrow; {
	case n != nil && bare:
		return BareNarrowFilter(port, *n)
	case n != nil:
		return NarrowFilter(port, *n)
	case bare:
		return BareFilter(port)
	}
	return Filter(port)
}

// Ring is a TPACKET_V3 ring on one interface: the kernel writes frames into
// blocks of memory shared with this process and hands over one block at a
// time. One goroutine calls Next and reads the block; Stats and Close may be
// called from any.
type Ring struct {
	fd, wake int
	bare     bool // the interface has no link layer
	memory   []byte
	options  RingOptions
	next     int // the block that the kernel hands over next
	block    Block
	books    books
	down     error // the interface's error, returned after what is left was read
	patience int   // empty polls until it is

	closed atomic.Bool

	mu    sync.Mutex // guards the counters below and the closing of fd
	stats Stats      // those of the kernel up to the last reading
}

// Stats are the books of a ring, since it was opened: the kernel's counters, and what was
// made of the slots of the blocks that were released. When the ring is empty
// Frames = Drops + Read.
type Stats struct {
	// Frames is the number of frames that passed the filter, those that were
	// dropped included.
	Frames uint64
	// Drops is the number of frames for which the ring had no room, or that the
	// kernel could not describe.
	Drops uint64
	// Freezes is how often the ring was full.
	Freezes uint64
	// Read is the number of frames that were handed out.
	Read uint64
	// Refused is the number of slots without a frame, for frames that the kernel
	// could not describe; they are among Drops.
	Refused uint64
	// Damaged is the number of slots that contradict the block that they are
	// in. Nothing of them is handed out.
	Damaged uint64
}

// Delivered is the number of frames that the kernel says can be read.
func (s Stats) Delivered() uint64 { return s.Frames - min(s.Drops, s.Frames) }

// Add adds the books of another ring.
func (s Stats) Add(o Stats) Stats {
	return Stats{
		Frames: s.Frames + o.Frames, Drops: s.Drops + o.Drops, Freezes: s.Freezes + o.Freezes,
		Read: s.Read + o.Read, Refused: s.Refused + o.Refused, Damaged: s.Damaged + o.Damaged,
	}
}

// OpenRing opens a socket and makes it a ring on the interface with the given
// index, for datagrams to UDP port port.
func OpenRing(ifindex int, port uint16, o RingOptions) (*Ring, error) {
	s, err := NewSocket(port)
	if err != nil {
		return nil, err
	}
	return s.Ring(ifindex, o)
}

// Ring makes the socket a ring on the interface with the given index. The
// socket belongs to the ring from then on, also when an error is returned; it
// is closed then. The error is ErrInterfaceDown when there is no such
// interface or it is down, ErrLinkLayer when its frames can't be read.
func (s *Socket) Ring(ifindex int, o RingOptions) (*Ring, error) {
	if err := o.setDefaults(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	r := &Ring{fd: s.fd, wake: -1, options: o}
	s.fd = -1
	if err := r.open(ifindex, s.port); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Ring) open(ifindex int, port uint16) error {
	var err error
	if r.bare, err = isBare(r.fd, ifindex); err != nil {
		return err
	}
	if err := setFilter(r.fd, r.options.program(port, r.bare)); err != nil {
		return err
	}
	for _, option := range []struct {
		name  string
		id    int
		value int
	}{
		{"PACKET_VERSION", unix.PACKET_VERSION, unix.TPACKET_V3},
		{"PACKET_VNET_HDR", unix.PACKET_VNET_HDR, 1},               // how many packets a super-frame carries
		{"PACKET_IGNORE_OUTGOING", unix.PACKET_IGNORE_OUTGOING, 1}, // the node's own overlay is no copy
	} {
		if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, option.id, option.value); err != nil {
			return fmt.Errorf("set %s on the packet socket: %w", option.name, err)
		}
	}
	size := r.options.BlockSize * r.options.Blocks
	const frame = 2048 // only its product with the number counts in version 3
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
		Block_size: uint32(r.options.BlockSize), Block_nr: uint32(r.options.Blocks),
		Frame_size: frame, Frame_nr: uint32(size / frame),
		Retire_blk_tov: uint32(r.options.BlockTimeout.Milliseconds()),
	}); err != nil {
		return fmt.Errorf("set up a ring of %d bytes: %w", size, err)
	}
	if r.memory, err = unix.Mmap(r.fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map a ring of %d bytes: %w", size, err)
	}
	if r.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("open an eventfd: %w", err)
	}
	address := &unix.SockaddrLinklayer{Protocol: bigEndian16(unix.ETH_P_ALL), Ifindex: ifindex}
	if err := unix.Bind(r.fd, address); err != nil {
		return fmt.Errorf("bind to interface %d: %w", ifindex, interfaceError(err))
	}
	// A bind to an interface that is down succeeds and leaves its error behind.
	return interfaceError(r.socketError())
}

func bigEndian16(v uint16) uint16 { return v<<8 | v>>8 }

// interfaceError marks the errors by which the kernel says that an interface
// is not there.
func interfaceError(err error) error {
	if errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("%w: %w", ErrInterfaceDown, err)
	}
	return err
}

func (r *Ring) socketError() error {
	code, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return fmt.Errorf("read the error of the packet socket: %w", err)
	}
	if code != 0 {
		return unix.Errno(code)
	}
	return nil
}

// Next waits for a block of frames and returns it. It returns nil and no error
// when none came within the time given. The block before must have been
// released.
func (r *Ring) Next(wait time.Duration) (*Block, error) {
	deadline := time.Now().Add(wait)
	for {
		if r.closed.Load() {
			return nil, ErrClosed
		}
		memory := r.memory[r.next*r.options.BlockSize:][:r.options.BlockSize]
		if atomic.LoadUint32(blockStatus(memory))&unix.TP_STATUS_USER != 0 {
			r.next = (r.next + 1) % r.options.Blocks
			r.block.reset(memory, r.bare, &r.books)
			return &r.block, nil
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil, nil
		}
		if err := r.poll(left); err != nil {
			return nil, err
		}
	}
}

// poll waits until the kernel has something to say. An error of the interface
// is held back for some turns of the block timer, because the last block with
// frames may still be the kernel's.
func (r *Ring) poll(wait time.Duration) error {
	if r.down != nil {
		if r.patience--; r.patience < 0 {
			return r.down
		}
		wait = min(wait, r.options.BlockTimeout)
	}
	events := []unix.PollFd{
		{Fd: int32(r.wake), Events: unix.POLLIN},
		{Fd: int32(r.fd), Events: unix.POLLIN},
	}
	if r.down != nil {
		events = events[:1]
	}
	_, err := unix.Poll(events, int(wait.Milliseconds())+1)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("poll the packet socket: %w", err)
	}
	if r.down == nil && events[1].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
		if err := r.socketError(); err != nil {
			r.down, r.patience = interfaceError(fmt.Errorf("packet socket: %w", err)), 4
		}
	}
	return nil
}

// Stats returns the books. A frame is in Frames before it can be read, and ours are
// taken first: Read is never more than what the kernel delivered.
func (r *Ring) Stats() (Stats, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Read, r.stats.Refused, r.stats.Damaged = r.books.read.Load(), r.books.refused.Load(), r.books.damaged.Load()
	if r.fd < 0 {
		return r.stats, nil
	}
	// Reading clears the kernel's own: this is their only reader.
	got, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return r.stats, fmt.Errorf("read the counters of the packet socket: %w", err)
	}
	r.stats.Frames += uint64(got.Packets)
	r.stats.Drops += uint64(got.Drops)
	r.stats.Freezes += uint64(got.Freeze_q_cnt)
	return r.stats, nil
}

// Blocks is the number of the ring's blocks.
func (r *Ring) Blocks() int { return r.options.Blocks }

// Stop makes a Next that waits, and every later one, return ErrClosed. It may
// be called from any goroutine, before the reading one calls Close.
func (r *Ring) Stop() {
	r.closed.Store(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wake >= 0 {
		_, _ = unix.Write(r.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // can only fail when it is awake already
	}
}

// Close takes the last counters and releases the ring. No block may be in use:
// the goroutine that reads calls it, another one calls Stop first and waits.
func (r *Ring) Close() error {
	r.Stop()
	_, statsErr := r.Stats()
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	if r.memory != nil {
		errs = append(errs, statsErr, os.NewSyscallError("munmap", unix.Munmap(r.memory)))
		r.memory = nil
	}
	for _, fd := range []*int{&r.fd, &r.wake} {
		if *fd >= 0 {
			errs = append(errs, os.NewSyscallError("close", unix.Close(*fd)))
			*fd = -1
		}
	}
	return errors.Join(errs...)
}

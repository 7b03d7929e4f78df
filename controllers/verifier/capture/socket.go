//go:build linux

package capture

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Socket is a packet socket that receives nothing yet: it has no protocol and
// no interface, and its filter is set and locked.
type Socket struct {
	fd         int
	snapLength int
}

// NewSocket opens a socket in the network namespace of the calling thread for
// datagrams to the given UDP port, of which snapLength bytes are captured. It
// needs CAP_NET_RAW; what is done with the socket later needs no capability.
//
// The filter is set before the socket is bound, so that no other frame ever
// reaches the ring, and locked, so that it can't be changed.
func NewSocket(port uint16, snapLength int) (*Socket, error) {
	if snapLength < 64 || snapLength > 65535 {
		return nil, fmt.Errorf("snap length %d: it must be between 64 and 65535 bytes", snapLength)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("open a packet socket: it needs the capability CAP_NET_RAW: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	s := &Socket{fd: fd, snapLength: snapLength}
	if err := s.setFilter(Filter(port, uint32(snapLength))); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Socket) setFilter(program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("assemble the capture filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	fprog := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(s.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, fprog); err != nil {
		return fmt.Errorf("attach the capture filter: %w", err)
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1); err != nil {
		return fmt.Errorf("lock the capture filter: %w", err)
	}
	return nil
}

// Close releases a socket that did not become a ring.
func (s *Socket) Close() error {
	if s.fd < 0 {
		return nil
	}
	fd := s.fd
	s.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}

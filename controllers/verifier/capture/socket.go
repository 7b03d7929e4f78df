//go:build linux

package capture

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Socket is a packet socket that receives nothing yet: it has no protocol and
// no interface.
type Socket struct {
	fd   int
	port uint16
}

// NewSocket opens a socket in the network namespace of the calling thread for
// datagrams to the given UDP port. It needs CAP_NET_RAW; what is done with the
// socket later needs no capability.
func NewSocket(port uint16) (*Socket, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("open a packet socket: it needs the capability CAP_NET_RAW: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	return &Socket{fd: fd, port: port}, nil
}

// The types of link layer, by linux/if_arp.h, whose frames begin with Ethernet's header, and
// those whose frames begin with that of IP.
var (
	etherLinks = []uint16{unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK}
	bareLinks  = []uint16{unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT, unix.ARPHRD_PPP}
)

// ErrLinkLayer is what [OpenRing] returns for an interface whose frames can't be read.
var ErrLinkLayer = errors.New("its frames begin neither with a header of Ethernet nor with one of IP")

// isBare asks the kernel whether frames of an interface have no link layer.
func isBare(fd, ifindex int) (bool, error) {
	// Without a protocol the socket knows its interface and receives nothing from it.
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: ifindex}); err != nil {
		return false, fmt.Errorf("bind to interface %d: %w", ifindex, interfaceError(err))
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		return false, fmt.Errorf("read the type of interface %d: %w", ifindex, err)
	}
	link, ok := address.(*unix.SockaddrLinklayer)
	switch {
	case !ok:
		return false, fmt.Errorf("read the type of interface %d: the kernel answers with %T", ifindex, address)
	case slices.Contains(etherLinks, link.Hatype):
		return false, nil
	case slices.Contains(bareLinks, link.Hatype):
		return true, nil
	}
	return false, fmt.Errorf("interface %d is of type %d of linux/if_arp.h: %w", ifindex, link.Hatype, ErrLinkLayer)
}

// setFilter sets the filter, before the socket is bound, so that no other frame ever
// reaches the ring, and locks it, so that it can't be changed.
func setFilter(fd int, program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("assemble the capture filter: %w", err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	fprog := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, fprog); err != nil {
		return fmt.Errorf("attach the capture filter: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_LOCK_FILTER, 1); err != nil {
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

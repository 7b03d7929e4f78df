package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Sent is what became of an order.
type Sent struct {
	// Packets is how many the kernel took, and At when the first one was given to it.
	Packets int
	At      time.Time
}

const (
	// between is the time from one packet for a source to the next: what loses one need not lose both.
	between = 300 * time.Millisecond
	// portsTried is how many ports of a range are tried.
	portsTried = 16
)

// Send sends what is asked for a source: at most [v1alpha1.MaxProbePackets] packets. The ports that they come from are
// reserved until it returns, so that no program of this host gets the answers. It needs CAP_NET_RAW. With an error not
// all was sent.
func Send(ctx context.Context, s v1alpha1.ProbeSend, source v1alpha1.ResolvedInterface, clock func() time.Time) (Sent, error) {
	o, err := read(s, source)
	if err != nil {
		return Sent{}, err
	}
	raw, err := rawSocket(o.from)
	if err != nil {
		return Sent{}, err
	}
	defer closed(raw)
	var out Sent
	ports := map[uint8]uint16{}
	for i, kind := range o.kinds {
		if i > 0 && !wait(ctx, between) {
			return out, fmt.Errorf("send the packets: %w", ctx.Err())
		}
		if _, reserved := ports[kind]; !reserved && kind != protocolICMP {
			port, release, err := reserve(kind, o.from, o.ports)
			if err != nil {
				return out, err
			}
			defer release()
			ports[kind] = port
		}
		p := o.packet(kind, ports[kind])
		at := clock()
		if err := unix.Sendto(raw, p.Bytes(), 0, sockaddr(o.to, 0)); err != nil {
			return out, fmt.Errorf("send a packet from %s to %s: %w", o.from, o.to, err)
		}
		if out.Packets++; out.At.IsZero() {
			out.At = at
		}
	}
	wait(ctx, between) // for answers
	return out, nil
}

// wait reports whether the time has passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// rawSocket sends whole packets of the family of an address, and receives none.
func rawSocket(of netip.Addr) (int, error) {
	fd, err := unix.Socket(family(of), unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return 0, fmt.Errorf("open a raw socket, which needs the capability CAP_NET_RAW: %w", err)
	}
	return fd, nil
}

func family(a netip.Addr) int {
	if a.Is6() {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

func sockaddr(a netip.Addr, port uint16) unix.Sockaddr {
	if a.Is6() {
		return &unix.SockaddrInet6{Addr: a.As16(), Port: int(port)}
	}
	return &unix.SockaddrInet4{Addr: a.As4(), Port: int(port)}
}

// reserve binds a port of the range, any free one where that is zero, so that it is nobody else's.
func reserve(kind uint8, from netip.Addr, ports v1alpha1.PortRange) (port uint16, release func(), err error) {
	sort := unix.SOCK_STREAM
	if kind == protocolUDP {
		sort = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(family(from), sort|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("open a socket to reserve a port: %w", err)
	}
	for i := range portsTried {
		try := int(ports.Low) + i
		if try > int(ports.High) {
			break
		}
		if err = unix.Bind(fd, sockaddr(from, uint16(try))); !errors.Is(err, unix.EADDRINUSE) {
			break
		}
	}
	if err == nil {
		port, err = boundPort(fd)
	}
	if err != nil {
		closed(fd)
		return 0, nil, fmt.Errorf("reserve a port from %d to %d of %s: %w", ports.Low, ports.High, from, err)
	}
	return port, func() { closed(fd) }, nil
}

func boundPort(fd int) (uint16, error) {
	address, err := unix.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("read the port: %w", err)
	}
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return uint16(a.Port), nil
	case *unix.SockaddrInet6:
		return uint16(a.Port), nil
	}
	return 0, fmt.Errorf("read the port: the kernel answers with %T", address)
}

// closed closes what was only sent from: nothing is lost by an error.
func closed(fd int) { _ = unix.Close(fd) }

package frametest

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Pair is two network namespaces joined by a veth pair. Both are private to
// the test and are gone when it ends.
type Pair struct {
	Sender, Receiver Side
}

// Side is one end of a Pair.
type Side struct {
	// Name and Index are those of the interface.
	Name  string
	Index int
	// MAC is its hardware address.
	MAC [6]byte
	// Netlink speaks to the namespace.
	Netlink *netlink.Handle
	handle  netns.NsHandle
}

// Handle is the file descriptor of the side's namespace.
func (s *Side) Handle() int { return int(s.handle) }

// NewPair makes the namespaces. It skips the test where that is not allowed.
func NewPair(t *testing.T) *Pair {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	sender, err := newNamespace()
	if errors.Is(err, unix.EPERM) {
		t.Skip("network namespaces need CAP_SYS_ADMIN")
	}
	must(t, err)
	receiver, err := newNamespace()
	must(t, err)
	p := &Pair{Sender: Side{Name: "left", handle: sender}, Receiver: Side{Name: "right", handle: receiver}}
	for _, side := range []*Side{&p.Sender, &p.Receiver} {
		side.Netlink, err = netlink.NewHandleAt(side.handle)
		must(t, err)
		t.Cleanup(func() {
			side.Netlink.Close()
			if err := side.handle.Close(); err != nil {
				t.Error(err)
			}
		})
		// No chatter of the kernel's own on the wire.
		side.Do(t, func() error {
			return os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
		})
	}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "left"}, PeerName: "right", PeerNamespace: netlink.NsFd(receiver)}
	must(t, p.Sender.Netlink.LinkAdd(veth))
	for _, side := range []*Side{&p.Sender, &p.Receiver} {
		link := side.Link(t)
		side.Index, side.MAC = link.Attrs().Index, [6]byte(link.Attrs().HardwareAddr)
		must(t, side.Netlink.LinkSetUp(link))
	}
	p.UntilUp(t)
	return p
}

// UntilUp waits until both ends carry frames. The kernel notices that the other end is up a
// moment later, and silently drops what is sent before.
func (p *Pair) UntilUp(t *testing.T) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	end := time.Now().Add(30 * time.Second)
	for _, side := range []*Side{&p.Sender, &p.Receiver} {
		for ; side.Link(t).Attrs().OperState != netlink.OperUp; <-poll.C {
			if time.Now().After(end) {
				t.Fatalf("the interface %s does not come up", side.Name)
			}
		}
	}
}

// Link returns the current state of the side's interface.
func (s *Side) Link(t *testing.T) netlink.Link {
	t.Helper()
	link, err := s.Netlink.LinkByName(s.Name)
	must(t, err)
	return link
}

// Address gives the side's interface an address and tells it the other side's,
// so that nothing has to be asked on the wire.
func (s *Side) Address(t *testing.T, link netlink.Link, own netip.Prefix, other netip.Addr, otherMAC [6]byte) {
	t.Helper()
	must(t, s.Netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{
		IP: own.Addr().AsSlice(), Mask: net.CIDRMask(own.Bits(), own.Addr().BitLen()),
	}}))
	must(t, s.Netlink.NeighAdd(&netlink.Neigh{
		LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: other.AsSlice(), HardwareAddr: otherMAC[:],
	}))
}

// Received is the number of frames that the kernel counted at the interface.
func (s *Side) Received(t *testing.T) uint64 {
	t.Helper()
	return s.Link(t).Attrs().Statistics.RxPackets
}

// Do runs f on a thread that is in the side's namespace; sockets that f opens
// stay there.
func (s *Side) Do(t *testing.T, f func() error) {
	t.Helper()
	must(t, inNamespace(s.handle, f))
}

// Send puts frames on the side's wire. A limit of the device's queue is waited
// for, so that each is sent.
func (s *Side) Send(t *testing.T, frames ...[]byte) {
	t.Helper()
	s.Do(t, func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open the sending socket: %w", err)
		}
		defer unix.Close(fd)
		to := &unix.SockaddrLinklayer{Ifindex: s.Index, Halen: 6}
		for i, frame := range frames {
			err := unix.Sendto(fd, frame, 0, to)
			for errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EINTR) {
				runtime.Gosched()
				err = unix.Sendto(fd, frame, 0, to)
			}
			if err != nil {
				return fmt.Errorf("send frame %d of %d bytes: %w", i, len(frame), err)
			}
		}
		return nil
	})
}

// newNamespace makes a network namespace and leaves the calling thread where
// it is.
func newNamespace() (handle netns.NsHandle, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread dies with the goroutine
		handle, err = netns.New()
	}()
	<-done
	return handle, err
}

func inNamespace(handle netns.NsHandle, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked, as above
		if err := netns.Set(handle); err != nil {
			done <- fmt.Errorf("enter a network namespace: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

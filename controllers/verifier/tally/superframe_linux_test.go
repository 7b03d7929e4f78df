package tally_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

var (
	left, right           = netip.MustParsePrefix("10.9.0.1/24"), netip.MustParsePrefix("10.9.0.2/24")
	innerLeft, innerRight = netip.MustParsePrefix("10.8.0.1/24"), netip.MustParsePrefix("10.8.0.2/24")
	innerMACs             = [2][6]byte{frametest.MAC("02:00:00:00:08:01"), frametest.MAC("02:00:00:00:08:02")}
)

const superVNI = 42

// overlay gives both sides addresses, and a VXLAN device that speaks to the
// other side's.
func overlay(t *testing.T, pair *frametest.Pair) {
	t.Helper()
	addresses, inner := [2]netip.Prefix{left, right}, [2]netip.Prefix{innerLeft, innerRight}
	sides := [2]*frametest.Side{&pair.Sender, &pair.Receiver}
	for i, side := range sides {
		side.Address(t, side.Link(t), addresses[i], addresses[1-i].Addr(), sides[1-i].MAC)
		device := &netlink.Vxlan{
			LinkAttrs: netlink.LinkAttrs{Name: "vx", HardwareAddr: innerMACs[i][:]}, VxlanId: superVNI, Port: vxlan.Port,
			SrcAddr: addresses[i].Addr().AsSlice(), Group: addresses[1-i].Addr().AsSlice(), VtepDevIndex: side.Index,
		}
		if err := side.Netlink.LinkAdd(device); err != nil {
			t.Skipf("the kernel makes no VXLAN device: %v", err)
		}
		if err := side.Netlink.LinkSetUp(device); err != nil {
			t.Fatal(err)
		}
		link, err := side.Netlink.LinkByName("vx")
		if err != nil {
			t.Fatal(err)
		}
		side.Address(t, link, inner[i], inner[1-i].Addr(), innerMACs[1-i])
	}
}

// stream sends n bytes over TCP from left to right, through the overlay, and
// returns what the sender's kernel says of the connection at its end.
func stream(t *testing.T, pair *frametest.Pair, n int) *unix.TCPInfo {
	t.Helper()
	var listener net.Listener
	pair.Receiver.Do(t, func() (err error) {
		listener, err = net.Listen("tcp4", netip.AddrPortFrom(innerRight.Addr(), 0).String())
		return err
	})
	defer listener.Close()
	received := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			received <- err
			return
		}
		got, err := io.Copy(io.Discard, conn)
		if err == nil && got != int64(n) {
			err = fmt.Errorf("%d bytes arrived of %d", got, n)
		}
		conn.Close()
		received <- err
	}()
	var info *unix.TCPInfo
	pair.Sender.Do(t, func() error {
		conn, err := net.DialTimeout("tcp4", listener.Addr().String(), deadline)
		if err != nil {
			return err
		}
		defer conn.Close()
		tcp := conn.(*net.TCPConn)
		if err := tcp.SetDeadline(time.Now().Add(deadline)); err != nil {
			return err
		}
		if _, err := tcp.Write(make([]byte, n)); err != nil {
			return err
		}
		if err := tcp.CloseWrite(); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, tcp); err != nil { // until the other side has closed as well
			return err
		}
		raw, err := tcp.SyscallConn()
		if err != nil {
			return err
		}
		var infoErr error
		err = raw.Control(func(fd uintptr) { info, infoErr = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
		if err != nil {
			return err
		}
		return infoErr
	})
	if err := <-received; err != nil {
		t.Fatal(err)
	}
	return info
}

func TestASuperFrameOfTCPCountsAsTheSegmentsItCarries(t *testing.T) {
	pair := frametest.NewPair(t)
	overlay(t, pair)
	r := startReader(t, &pair.Receiver, tally.Session{
		ID: "super", VNI: superVNI,
		Sources: []tally.Source{{OuterAddrs: []netip.Addr{left.Addr()}, MAC: innerMACs[0], Addrs: []netip.Addr{innerLeft.Addr()}}},
		Rules:   []v1alpha1.Rule{{Direction: v1alpha1.DirectionEgress, Accept: true, Protocol: v1alpha1.ProtocolTCP}},
	})
	info := stream(t, pair, 2<<20)
	// The last acknowledgement may still be on its way.
	got, stats := r.drain(t)
	for until := time.Now().Add(deadline); got.Sessions[0].Arrived < uint64(info.Segs_out) && time.Now().Before(until); {
		got, stats = r.drain(t)
	}
	s := got.Sessions[0]
	if stats.Drops != 0 {
		t.Skipf("the ring dropped %d frames, so there is nothing to compare", stats.Drops)
	}
	if got.Marks.SuperFrames == 0 {
		t.Skip("the kernel sent no super-frames")
	}
	// Each segment has 66 bytes of headers (Ethernet, IPv4, TCP with a time
	// stamp), the SYN 8 more.
	bytes := info.Bytes_sent + uint64(info.Segs_out)*66 + 8
	if s.Accepted != uint64(info.Segs_out) || s.Arrived != s.Accepted || s.ArrivedBytes != bytes {
		t.Errorf("counted %d packets (%d accepted) and %d bytes; the sender's kernel sent %d and %d: %+v", s.Arrived, s.Accepted, s.ArrivedBytes, info.Segs_out, bytes, s)
	}
	if s.Frames >= s.Arrived || s.Frames != got.Frames.Read {
		t.Errorf("%d frames for %d packets, %d were read", s.Frames, s.Arrived, got.Frames.Read)
	}
	t.Logf("%d packets in %d frames", s.Arrived, s.Frames)
}

func TestDatagramsThatTheKernelGluedAreCountedOneByOne(t *testing.T) {
	pair := frametest.NewPair(t)
	pair.Sender.Address(t, pair.Sender.Link(t), left, right.Addr(), pair.Receiver.MAC)
	pair.Receiver.Address(t, pair.Receiver.Link(t), right, left.Addr(), pair.Sender.MAC)
	session := walkthrough(1)
	session.Sources[0].OuterAddrs = []netip.Addr{left.Addr()}
	r := startReader(t, &pair.Receiver, session)

	// The judge is an ordinary socket: it gets the datagrams one by one.
	var socket *net.UDPConn
	pair.Receiver.Do(t, func() (err error) {
		socket, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(right.Addr(), vxlan.Port)))
		return err
	})
	defer socket.Close()

	inner := frametest.Inner("0123456789").Bytes() // 64 bytes
	var payload []byte
	const datagrams = 10
	for range datagrams {
		payload = append(append(payload, frametest.VXLANHeader(1)...), inner...)
	}
	pair.Sender.SendJoined(t, netip.AddrPortFrom(left.Addr(), 50000), netip.AddrPortFrom(right.Addr(), vxlan.Port), 8+len(inner), payload)
	if err := socket.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 65536)
	for i := range datagrams {
		n, err := socket.Read(buffer)
		if err != nil || n != 8+len(inner) {
			t.Fatalf("the kernel delivered %d bytes as datagram %d: %v", n, i, err)
		}
	}
	got, _ := r.drain(t)
	if got.Marks.SuperFrames == 0 {
		t.Skip("the kernel sent no super-frame")
	}
	s := got.Sessions[0]
	if s.Arrived != datagrams || s.Frames != 1 || s.ArrivedBytes != datagrams*uint64(len(inner)) || s.Accepted != datagrams {
		t.Errorf("%+v", s)
	}
}

package dataplane

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// patience bounds every wait of these tests; it decides nothing else.
const patience = 20 * time.Second

// startPlane starts the walkthrough's hosts, or skips when this machine can't.
func startPlane(t *testing.T, layout Layout) *Plane {
	t.Helper()
	p, err := Start(t.Context(), layout, nil)
	var lacking *UnavailableError
	if errors.As(err, &lacking) {
		t.Skipf("real network namespaces: %v", lacking)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// prefixOf gives a namespace prefix that no other test process uses.
func prefixOf(t *testing.T) string {
	return fmt.Sprintf("dp%d-%d-", os.Getpid(), prefixCount())
}

var prefixes = make(chan int, 1)

func init() { prefixes <- 0 }

func prefixCount() int { n := <-prefixes; prefixes <- n + 1; return n }

func within(t *testing.T, p *Plane, host string, f func() error) {
	t.Helper()
	if err := netns.In(p.Namespace(host), f); err != nil {
		t.Fatalf("in %s: %v", host, err)
	}
}

// sniff opens a packet socket on a host's eth0.
func sniff(t *testing.T, p *Plane, host string) int {
	t.Helper()
	var fd int
	within(t, p, host, func() error {
		nic, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		all := int(binary.BigEndian.Uint16([]byte{unix.ETH_P_ALL & 0xff, unix.ETH_P_ALL >> 8}))
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return err
		}
		// A read that waits longer than this has nothing to read.
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience / time.Second)}); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: nic.Index})
	})
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// nextFrame reads the next frame that is wanted.
func nextFrame(t *testing.T, fd int, wanted func([]byte) bool) []byte {
	t.Helper()
	buffer := make([]byte, 65536)
	for {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			t.Fatalf("no such frame within %v: %v", patience, err)
		}
		if wanted(buffer[:n]) {
			return append([]byte(nil), buffer[:n]...)
		}
	}
}

func isCopy(frame []byte) bool {
	p := classify(frame)
	return p.protocol == protoUDP && p.hasPorts && p.destinationPort == vxlanPort
}

// conversation is a TCP connection between two hosts, already accepted.
type conversation struct{ client, server net.Conn }

func converse(t *testing.T, p *Plane, from, to string, address netip.AddrPort) conversation {
	t.Helper()
	var listener net.Listener
	within(t, p, to, func() (err error) {
		listener, err = net.Listen("tcp", address.String())
		return err
	})
	defer listener.Close()
	var c conversation
	within(t, p, from, func() (err error) {
		c.client, err = (&net.Dialer{Timeout: patience}).Dial("tcp", address.String())
		return err
	})
	t.Cleanup(func() { c.client.Close() })
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	c.server = server
	deadline := time.Now().Add(patience)
	c.client.SetDeadline(deadline)
	c.server.SetDeadline(deadline)
	return c
}

// say sends a line to the server and waits until it has read it.
func (c conversation) say(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(c.client, line+"\n"); err != nil {
		t.Fatal(err)
	}
	got, err := bufio.NewReader(c.server).ReadString('\n')
	if err != nil || got != line+"\n" {
		t.Fatalf("the server read %q, %v", got, err)
	}
}

func TestThePlaneCarriesTheWalkthrough(t *testing.T) {
	p := startPlane(t, walkthroughLayout(prefixOf(t)))
	p.Apply(walkthroughConfig())
	fd := sniff(t, p, "ecs-target")
	c := converse(t, p, "ecs-test", "ecs-source", netip.AddrPortFrom(addrSource, 1234))
	c.say(t, "hello")
	c.say(t, "12345")

	line := nextFrame(t, fd, func(f []byte) bool { return isCopy(f) && strings.HasSuffix(string(f), "12345\n") })
	outer, inner := classify(line), classify(line[50:])
	type view struct {
		OuterLength, InnerLength   int
		OuterFrom, OuterTo         string
		OuterSource, OuterTarget   string
		Port                       uint16
		VXLAN                      string
		InnerFrom, InnerTo         string
		InnerSource, InnerReceiver string
	}
	got := view{
		OuterLength: len(line), InnerLength: len(line) - 50,
		OuterFrom: net.HardwareAddr(line[6:12]).String(), OuterTo: net.HardwareAddr(line[0:6]).String(),
		OuterSource: outer.source.String(), OuterTarget: outer.destination.String(), Port: outer.destinationPort,
		VXLAN:     fmt.Sprintf("%x", line[42:50]),
		InnerFrom: net.HardwareAddr(line[56:62]).String(), InnerTo: net.HardwareAddr(line[50:56]).String(),
		InnerSource:   inner.source.String(),
		InnerReceiver: netip.AddrPortFrom(inner.destination, inner.destinationPort).String(),
	}
	want := view{
		OuterLength: 122, InnerLength: 72,
		OuterFrom: "fa:16:3e:d1:6b:5d", OuterTo: "fa:16:3e:7e:d6:7a",
		OuterSource: "192.168.0.230", OuterTarget: "192.168.0.164", Port: 4789,
		VXLAN:     "0800000000000100",
		InnerFrom: "fa:16:3e:7e:d6:77", InnerTo: "fa:16:3e:7e:d6:bc",
		InnerSource: "192.168.0.161", InnerReceiver: "192.168.0.230:1234",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the copy of 12345 (-want +got):\n%s", diff)
	}
}

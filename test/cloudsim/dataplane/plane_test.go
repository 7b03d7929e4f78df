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
	"github.com/vishvananda/netlink"
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
	t.Helper()
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

func linkByName(name string) (*netlink.LinkAttrs, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, err
	}
	return link.Attrs(), nil
}

func setUp(name string, up bool) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if up {
		return netlink.LinkSetUp(link)
	}
	return netlink.LinkSetDown(link)
}

func remove(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkDel(link)
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
	if err := errors.Join(c.client.SetDeadline(deadline), c.server.SetDeadline(deadline)); err != nil {
		t.Fatal(err)
	}
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
	c := converse(t, p, "ecs-test", "ecs-source", addressOf(1234))
	c.say(t, "hello")
	c.say(t, "12345")

	line := nextFrame(t, fd, func(f []byte) bool { return isCopy(f) && strings.HasSuffix(string(f), "12345\n") })
	want := copyView{
		OuterLength: 122, InnerLength: 72,
		OuterFrom: "fa:16:3e:d1:6b:5d", OuterTo: "fa:16:3e:7e:d6:7a",
		OuterSource: "192.168.0.230", OuterTarget: "192.168.0.164", Port: 4789, TTL: 64, DontFragment: true,
		VNIFlag: true, VNI: 1,
		InnerFrom: "fa:16:3e:7e:d6:77", InnerTo: "fa:16:3e:7e:d6:bc",
		InnerSource: "192.168.0.161", InnerReceiver: "192.168.0.230",
	}
	if diff := cmp.Diff(want, view(t, line)); diff != "" {
		t.Errorf("the copy of 12345 (-want +got):\n%s", diff)
	}
}

func TestEveryPacketOfALongConversationIsCopiedOnce(t *testing.T) {
	p := startPlane(t, walkthroughLayout(prefixOf(t)))
	p.Apply(walkthroughConfig())
	arrived := countIn(t, p, "ecs-source", protoTCP, 1234)
	copied := countIn(t, p, "ecs-target", protoUDP, vxlanPort)
	c := converse(t, p, "ecs-test", "ecs-source", addressOf(1234))

	const size = 1 << 20
	there := make(chan error, 1)
	go func() {
		_, err := io.CopyN(c.client, zeros{}, size)
		there <- errors.Join(err, c.client.(*net.TCPConn).CloseWrite())
	}()
	if n, err := io.Copy(io.Discard, c.server); n != size || err != nil {
		t.Fatalf("ecs-source read %d bytes, %v", n, err)
	}
	if err := <-there; err != nil {
		t.Fatal(err)
	}
	// And back: nothing of that is in the filter, its acknowledgements are.
	back := make(chan error, 1)
	go func() {
		_, err := io.CopyN(c.server, zeros{}, size)
		back <- errors.Join(err, c.server.Close())
	}()
	if n, err := io.Copy(io.Discard, c.client); n != size || err != nil {
		t.Fatalf("ecs-test read %d bytes, %v", n, err)
	}
	if err := <-back; err != nil {
		t.Fatal(err)
	}
	if n := arrived.packets(); n < size/1460 {
		t.Errorf("the kernel of ecs-source counted %d packets: fewer than there are segments, so frames are no packets", n)
	}
	eventually(t, "as many copies as packets", func() bool {
		s := p.Stats().Sessions["session-1"]
		a, b := arrived.packets(), copied.packets()
		return a == b && s.Copies == a && s.Delivered == a
	})
	// The switch's numbers are those of the hosts' own devices.
	eventually(t, "the same frames on both sides of each device", func() bool {
		for _, h := range p.layout.Hosts {
			received, sent := linkCounters(t, p, h.Name)
			s := p.Stats().Ports[h.Interfaces[0].PortID]
			if s.FromHost != sent || s.ToHost != received {
				return false
			}
		}
		return true
	})
}

func TestFullFramesOfARealKernelAreCopiedOneByOneAndCutToThePacketLength(t *testing.T) {
	const full, kept = 1514, 1460
	p := startPlane(t, walkthroughLayout(prefixOf(t)))
	p.Apply(walkthroughConfig())
	fd := sniff(t, p, "ecs-target")
	c := converse(t, p, "ecs-test", "ecs-source", addressOf(1234))
	// Enough that a kernel that joins segments would have joined some.
	payload := make([]byte, 20*1448)
	if _, err := c.client.Write(payload); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c.server, payload); err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut < 15; {
		frame := nextFrame(t, fd, isCopy)
		inner := frame[50:]
		said := ethernetLength + int(binary.BigEndian.Uint16(inner[ethernetLength+2:]))
		if want := min(said, kept); said > full || len(inner) != want {
			t.Fatalf("a copy holds %d bytes of a frame of %d, want %d of at most %d", len(inner), said, want, full)
		}
		if said == full {
			cut++
		}
	}
}

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestWithoutThe4789RuleNoCopyArrives(t *testing.T) {
	p := startPlane(t, walkthroughLayout(prefixOf(t)))
	p.Apply(change(func(c *Config) {
		dropRules(t, c, "sg-target", func(r GroupRule) bool { return r.Ports == "4789" })
	}))
	arrived := countIn(t, p, "ecs-source", protoTCP, 1234)
	copied := countIn(t, p, "ecs-target", protoUDP, vxlanPort)
	c := converse(t, p, "ecs-test", "ecs-source", addressOf(1234))
	c.say(t, "12345") // the switch has handed out the copy, if any, before the packet itself
	if a, n := arrived.packets(), copied.packets(); a == 0 || n != 0 {
		t.Errorf("%d packets, %d copies, want some and none", a, n)
	}
	if received, _ := linkCounters(t, p, "ecs-target"); received > 2 { // the two ARP requests of the others
		t.Errorf("ecs-target's device received %d frames", received)
	}
	if s := p.Stats().Sessions["session-1"]; s.Delivered != 0 || s.DeniedByTargetGroup == 0 || s.DeniedByTargetGroup != s.Copies {
		t.Errorf("session: %+v", s)
	}
	p.Apply(walkthroughConfig())
	c.say(t, "again")
	before := copied.packets()
	if before == 0 {
		t.Error("no copy arrived after the rule was back")
	}
	// The copies of a conversation that goes on are a flow of their own (RFC 7348: one outer
	// port for each), and stop all the same.
	p.Apply(change(func(c *Config) {
		dropRules(t, c, "sg-target", func(r GroupRule) bool { return r.Ports == "4789" })
	}))
	arrivedBefore := arrived.packets()
	c.say(t, "once more")
	if a, n := arrived.packets()-arrivedBefore, copied.packets()-before; a == 0 || n != 0 {
		t.Errorf("once the rule was gone again %d packets came and %d copies, want some and none", a, n)
	}
}

func TestWhatAGroupForbidsDoesNotReachTheHost(t *testing.T) {
	p := startPlane(t, walkthroughLayout(prefixOf(t)))
	p.Apply(walkthroughConfig())
	// Somebody listens at the target, or its kernel answers each copy with a port
	// unreachable to the source, which that one's group denies as well.
	within(t, p, "ecs-target", func() error {
		listener, err := net.ListenPacket("udp4", ":4789")
		if err == nil {
			t.Cleanup(func() { listener.Close() })
		}
		return err
	})
	forbidden, allowed := countIn(t, p, "ecs-source", protoUDP, 5678), countIn(t, p, "ecs-source", protoTCP, 1234)
	var socket net.Conn
	within(t, p, "ecs-test", func() (err error) {
		socket, err = net.Dial("udp", "192.168.0.230:5678")
		return err
	})
	defer socket.Close()
	send := func() {
		t.Helper()
		if _, err := socket.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	send()
	// Frames of one host are switched in their order: once this is through, the
	// datagram before it has been decided.
	converse(t, p, "ecs-test", "ecs-source", addressOf(1234)).say(t, "hello")
	if f, a := forbidden.packets(), allowed.packets(); f != 0 || a == 0 {
		t.Errorf("%d forbidden packets arrived, %d allowed ones, want none and some", f, a)
	}
	if n := p.Stats().Ports[portSource].DroppedToHost[DropIngressGroup]; n != 1 {
		t.Errorf("%d packets counted as denied, want 1", n)
	}
	p.Apply(change(open("sg-source", anything)))
	send()
	eventually(t, "the datagram arrives once the group is opened", func() bool { return forbidden.packets() == 1 })
}

func TestAConversationOverIPv6(t *testing.T) {
	layout := walkthroughLayout(prefixOf(t))
	for i, last := range []string{"230", "161", "164"} {
		nic := &layout.Hosts[i].Interfaces[0]
		nic.Addresses = append(nic.Addresses, netip.MustParsePrefix("2001:db8::"+last+"/64"))
	}
	p := startPlane(t, layout)
	p.Apply(change(open("sg-source", GroupRule{Ingress: true, IPv6: true, Protocol: "tcp", Ports: "1234"}), func(c *Config) {
		c.Sessions[0].Ingress = append(c.Sessions[0].Ingress, Rule{Priority: 2, Accept: true, IPv6: true, Protocol: "TCP", DestinationPorts: PortRange{1234, 1234}})
	}))
	fd := sniff(t, p, "ecs-target")
	c := converse(t, p, "ecs-test", "ecs-source", netip.MustParseAddrPort("[2001:db8::230]:1234"))
	c.say(t, "12345")
	line := nextFrame(t, fd, func(f []byte) bool { return isCopy(f) && strings.HasSuffix(string(f), "12345\n") })
	if v := view(t, line); v.OuterSource != "192.168.0.230" || v.OuterLength != 142 || classify(line[50:]).kind != kindIPv6 {
		t.Errorf("the copy of an IPv6 packet: %+v", v)
	}
}

func TestAHostMayTakeItsInterfaceDownAndUpAgain(t *testing.T) {
	p := startPlane(t, walkthroughLayout(prefixOf(t)))
	p.Apply(walkthroughConfig())
	for _, up := range []bool{false, true} {
		within(t, p, "ecs-target", func() error { return setUp("eth0", up) })
		copied := p.Stats().Sessions["session-1"]
		converse(t, p, "ecs-test", "ecs-source", addressOf(1234)).say(t, "hello")
		s := p.Stats().Sessions["session-1"]
		if up != (s.Delivered > copied.Delivered) || up == (s.DeviceDropped > copied.DeviceDropped) {
			t.Errorf("target up: %v, session before %+v, after %+v", up, copied, s)
		}
	}
}

func TestAHostThatRemovesItsDeviceIsCutOffAlone(t *testing.T) {
	p := startPlane(t, walkthroughLayout(prefixOf(t)))
	p.Apply(walkthroughConfig())
	within(t, p, "ecs-target", func() error { return remove("eth0") })
	converse(t, p, "ecs-test", "ecs-source", addressOf(1234)).say(t, "hello")
	if s := p.Stats().Sessions["session-1"]; s.DeviceDropped == 0 || s.DeviceDropped != s.Copies {
		t.Errorf("session: %+v", s)
	}
}

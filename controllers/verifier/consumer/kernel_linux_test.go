package consumer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/test/env/need"
)

// host is a namespace that copies arrive in, and one that they come from.
type host struct {
	*frametest.Pair
	place Place
}

func newHost(t *testing.T) *host {
	t.Helper()
	need.Root(t)
	h := &host{Pair: frametest.NewPair(t)}
	h.Receiver.Address(t, h.Receiver.Link(t), netip.PrefixFrom(frametest.TargetAddr, 24), frametest.SourceAddr, h.Sender.MAC)
	h.place = Place{Node: "tgt", Interface: h.Receiver.Name, Index: h.Receiver.Index, Address: frametest.TargetAddr, Port: 4789, VNI: 1}
	return h
}

// copies are n frames with the header given, each from another inner address.
func (h *host) copies(header []byte, n int) [][]byte {
	frames := make([][]byte, n)
	for i := range frames {
		p := frametest.Copy(1, frametest.Inner(fmt.Sprint(i)).Bytes())
		copy(p.Payload, header)
		p.SourceMAC, p.DestinationMAC = h.Sender.MAC, h.Receiver.MAC
		frames[i] = p.Bytes()
	}
	return frames
}

func (h *host) observe(t *testing.T) (o *Observation) {
	t.Helper()
	h.Receiver.Do(t, func() error {
		o = Observe(h.place.Port)
		return nil
	})
	if len(o.Gaps) > 0 {
		t.Errorf("gaps: %+v", o.Gaps)
	}
	return o
}

// judge sends copies between two observations. A veth device hands frames on when they
// are sent or a moment later: it waits until the verdict is the one that is wanted.
func (h *host) judge(t *testing.T, want Verdict) (v Verdict, before, after *Observation) {
	t.Helper()
	return h.judgeOf(t, frametest.VXLANHeader(1), want)
}

func (h *host) judgeOf(t *testing.T, header []byte, want Verdict) (v Verdict, before, after *Observation) {
	t.Helper()
	const n = 20
	before = h.observe(t)
	received := h.Receiver.Received(t)
	h.Sender.Send(t, h.copies(header, n)...)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-poll.C {
		arrived := h.Receiver.Received(t) - received
		after = h.observe(t)
		v = Judge(h.place, before, after, Arrived{Session: n})
		if arrived == n && v.Status == want.Status && v.Reason == want.Reason && v.Consumer == want.Consumer {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d frames arrived: %+v\nwant %+v\nbefore %+v\nafter %+v", arrived, v, want, before, after)
		}
	}
	for _, part := range strings.Split(want.Message, "…") {
		if !strings.Contains(v.Message, part) {
			t.Errorf("message %q lacks %q", v.Message, part)
		}
	}
	if !strings.Contains(v.Remedy, want.Remedy) || (v.Status == metav1.ConditionTrue) != (v.Remedy == "") {
		t.Errorf("remedy %q, want %q", v.Remedy, want.Remedy)
	}
	t.Logf("%s: %s\nDo: %s", v.Reason, v.Message, v.Remedy)
	return v, before, after
}

// bind opens a UDP socket on the receiver, as a program would, and reads what comes.
func (h *host) bind(t *testing.T, address string) (inode uint64) {
	t.Helper()
	conn := h.open(t, address)
	go func() {
		for buffer := make([]byte, 2048); ; {
			if _, _, err := conn.ReadFrom(buffer); err != nil {
				return
			}
		}
	}()
	return inodeOf(t, conn)
}

func (h *host) open(t *testing.T, address string) (conn *net.UDPConn) {
	t.Helper()
	h.Receiver.Do(t, func() error {
		local, err := net.ResolveUDPAddr("udp4", address)
		if err != nil {
			return err
		}
		conn, err = net.ListenUDP("udp4", local)
		return err
	})
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func inodeOf(t *testing.T, conn *net.UDPConn) uint64 {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var stat unix.Stat_t
	if err := errors.Join(raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &stat) }), err); err != nil {
		t.Fatal(err)
	}
	return stat.Ino
}

func (h *host) addVXLAN(t *testing.T, link *netlink.Vxlan, up bool) {
	t.Helper()
	link.Learning = true
	if err := h.Receiver.Netlink.LinkAdd(link); errors.Is(err, unix.EOPNOTSUPP) {
		need.Skip(t, "it needs the kernel's vxlan device: load it (modprobe vxlan)")
	} else if err != nil {
		t.Fatal(err)
	}
	if up {
		if err := h.Receiver.Netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
	}
}

// nft loads a rule set into the receiver's namespace. Its grammar wants the lines apart.
func (h *host) nft(t *testing.T, rules string) {
	t.Helper()
	program := need.Tool(t, "nft")
	h.Receiver.Do(t, func() error {
		command := exec.Command(program, "-f", "-")
		command.Stdin = strings.NewReader(strings.NewReplacer("{ ", "{\n", "; ", ";\n", " }", "\n}\n").Replace(rules))
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, out)
		}
		return nil
	})
}

func TestASocketThatReadsIsTheConsumer(t *testing.T) {
	for _, address := range []string{"0.0.0.0:4789", "192.168.0.164:4789"} {
		h := newHost(t)
		inode := h.bind(t, address)
		name := fmt.Sprintf("UDP socket on %s (user 0, inode %d)", address, inode)
		h.judge(t, Verdict{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Consumer: name, Message: "a " + name + " is open on tgt"})
	}
}

func TestNobodyListensWhenTheKernelRefusesTheCopies(t *testing.T) {
	h := newHost(t)
	_, before, after := h.judge(t, Verdict{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens,
		Message: `on tgt no socket, vxlan device or packet socket but vpcmirror's takes UDP 4789 at 192.168.0.164: the kernel refused 20 datagrams with "port unreachable"`,
		Remedy:  "start the IDS on tgt (right), or: ip link add mirror0 type vxlan id 1 dev right dstport 4789 && ip link set mirror0 up",
	})
	if refused := after.IPv4.NoPorts - before.IPv4.NoPorts; refused != 20 {
		t.Errorf("NoPorts grew by %d", refused)
	}
}

func TestASocketForAnotherAddressIsNoConsumerButNamed(t *testing.T) {
	h := newHost(t)
	h.Receiver.Do(t, func() error {
		lo, err := h.Receiver.Netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return h.Receiver.Netlink.LinkSetUp(lo)
	})
	h.bind(t, "127.0.0.1:4789")
	h.judge(t, Verdict{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens, Message: "; but UDP socket on 127.0.0.1:4789…is bound to another address",
	})
}

func TestASocketBoundToAnotherInterfaceIsNoConsumerButNamed(t *testing.T) {
	h := newHost(t)
	conn := h.open(t, "0.0.0.0:4789")
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(raw.Control(func(fd uintptr) { err = unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "lo") }), err); err != nil {
		t.Fatal(err)
	}
	h.judge(t, Verdict{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens, Message: "; but UDP socket on 0.0.0.0:4789…is bound to another interface, or takes IPv6 alone",
	})
}

func TestASocketThatNobodyReadsOverflows(t *testing.T) {
	h := newHost(t)
	conn := h.open(t, "0.0.0.0:4789")
	if err := conn.SetReadBuffer(1); err != nil { // the kernel makes it the smallest that it has
		t.Fatal(err)
	}
	name := fmt.Sprintf("UDP socket on 0.0.0.0:4789 (user 0, inode %d)", inodeOf(t, conn))
	h.judge(t, Verdict{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDroppedOnNode, Consumer: name,
		Message: "its receive buffer overflowed by … datagrams while 20 copies came", Remedy: "SO_RCVBUF",
	})
}

func TestAVXLANDeviceOfTheVNIIsTheConsumer(t *testing.T) {
	for name, link := range map[string]*netlink.Vxlan{
		"vxlan device mirror0 (VNI 1)":   {VxlanId: 1, Port: 4789},
		"vxlan device mirror0 (any VNI)": {FlowBased: true, Port: 4789},
	} {
		h := newHost(t)
		link.Name = "mirror0"
		h.addVXLAN(t, link, true)
		_, before, after := h.judge(t, Verdict{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Consumer: name, Message: name + " takes the copies on tgt"})
		if received := after.Devices[0].Received - before.Devices[0].Received; received != 20 {
			t.Errorf("%s received %d", name, received)
		}
	}
}

func TestAVXLANDeviceOfAnotherVNIIsNamed(t *testing.T) {
	h := newHost(t)
	h.addVXLAN(t, &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "mirror0"}, VxlanId: 42, Port: 4789}, true)
	h.judge(t, Verdict{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonWrongVNI, Consumer: "vxlan device mirror0 (VNI 42)",
		Message: "on tgt vxlan device mirror0 (VNI 42) has the port; nothing listens for VNI 1, with which 20 copies came",
		Remedy: "ip link add mirror1 type vxlan id 1 dev right dstport 4789 && ip link set mirror1 up; " +
			"or, if mirror0 is meant for this mirror, set spec.vni of the session to 42",
	})
}

func TestTheRemedyForAnotherVNIWorks(t *testing.T) {
	h := newHost(t)
	h.addVXLAN(t, &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "mirror0"}, VxlanId: 42, Port: 4789}, true)
	v, _, _ := h.judge(t, Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonWrongVNI, Consumer: "vxlan device mirror0 (VNI 42)"})
	h.run(t, strings.Split(v.Remedy, ";")[0])
	h.judge(t, Verdict{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Consumer: "vxlan device mirror1 (VNI 1)"})
}

func TestTheRemedyForNobodyWorks(t *testing.T) {
	h := newHost(t)
	// Linux gives a device port 8472 when none is named.
	h.addVXLAN(t, &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "ids"}, VxlanId: 1, Port: 8472}, true)
	v, _, _ := h.judge(t, Verdict{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens, Message: "; but vxlan device ids (VNI 1) listens on UDP 8472", Remedy: "ip link del ids && ",
	})
	_, commands, _ := strings.Cut(v.Remedy, "or: ")
	h.run(t, commands)
	h.judge(t, Verdict{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Consumer: "vxlan device ids (VNI 1)"})
}

// run does what a remedy says.
func (h *host) run(t *testing.T, commands string) {
	t.Helper()
	need.Tool(t, "ip")
	h.Receiver.Do(t, func() error {
		if out, err := exec.Command("sh", "-c", commands).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", commands, err, out)
		}
		return nil
	})
}

func TestAVXLANDeviceThatIsDownIsNamed(t *testing.T) {
	h := newHost(t)
	h.addVXLAN(t, &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "mirror0"}, VxlanId: 1, Port: 4789}, false)
	v, _, _ := h.judge(t, Verdict{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonConsumerDown, Consumer: "vxlan device mirror0 (VNI 1)",
		Message: "vxlan device mirror0 (VNI 1) is there on tgt, but down", Remedy: "ip link set mirror0 up",
	})
	h.run(t, v.Remedy)
	h.judge(t, Verdict{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Consumer: "vxlan device mirror0 (VNI 1)"})
}

// Mirrors number their packets in the reserved bits, which a vxlan device refuses.
func TestCopiesWithReservedBitsAreDroppedByAVXLANDevice(t *testing.T) {
	h := newHost(t)
	h.addVXLAN(t, &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "mirror0"}, VxlanId: 1, Port: 4789}, true)
	h.judgeOf(t, []byte{0xff, 0x01, 0xd1, 0xf2, 0, 0, 1, 0}, Verdict{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDroppedOnNode, Consumer: "vxlan device mirror0 (VNI 1)",
		Message: "took only 0 of 20 copies and threw the others away: Linux refuses VXLAN headers with reserved bits set", Remedy: "reserved_bits",
	})
}

func TestReversePathFilteringIsNamed(t *testing.T) {
	h := newHost(t)
	name := fmt.Sprintf("UDP socket on 0.0.0.0:4789 (user 0, inode %d)", h.bind(t, "0.0.0.0:4789"))
	h.Receiver.Do(t, func() error {
		// No way back by this interface: the address is alone in its network.
		link := h.Receiver.Link(t)
		if err := h.Receiver.Netlink.AddrDel(link, &netlink.Addr{IPNet: &net.IPNet{IP: frametest.TargetAddr.AsSlice(), Mask: net.CIDRMask(24, 32)}}); err != nil {
			return err
		}
		if err := h.Receiver.Netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: frametest.TargetAddr.AsSlice(), Mask: net.CIDRMask(32, 32)}}); err != nil {
			return err
		}
		return os.WriteFile("/proc/sys/net/ipv4/conf/right/rp_filter", []byte("1"), 0)
	})
	h.judge(t, Verdict{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDroppedOnNode, Consumer: name,
		Message: "20 copies came within 1s to tgt (right), and the host threw them away: reverse path filtering (rp_filter) refused 20 packets…" + name + " waits for them",
		Remedy:  "sysctl -w net.ipv4.conf.right.rp_filter=2",
	})
}

func TestAFirewallIsNamed(t *testing.T) {
	for _, hook := range []string{"input", "prerouting"} {
		h := newHost(t)
		h.nft(t, "table ip filter { chain c { type filter hook "+hook+" priority 0; udp dport 4789 drop; } }")
		h.judge(t, Verdict{
			Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDroppedOnNode,
			Message: "20 packets came in and were neither delivered nor forwarded, as when a firewall of this host drops them; nothing listens behind that",
			Remedy:  "accept UDP 4789 at right in the host's firewall (nft list ruleset, iptables-save, or a network policy for hosts); then start the IDS",
		})
	}
}

func TestAFirewallBeforeAConsumerIsNamed(t *testing.T) {
	h := newHost(t)
	h.addVXLAN(t, &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "mirror0"}, VxlanId: 1, Port: 4789}, true)
	h.nft(t, "table ip filter { chain c { type filter hook input priority 0; udp dport 4789 drop; } }")
	h.judge(t, Verdict{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDroppedOnNode, Consumer: "vxlan device mirror0 (VNI 1)", Message: "a firewall…vxlan device mirror0 (VNI 1) waits for them",
	})
}

func TestATableBeforeIPIsNamed(t *testing.T) {
	h := newHost(t)
	h.nft(t, "table netdev filter { chain c { type filter hook ingress device right priority 0; udp dport 4789 drop; } }")
	h.judge(t, Verdict{
		Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDroppedOnNode, Message: "they do not come as far as the host's IP layer", Remedy: "nft list ruleset",
	})
}

func TestAnAddressThatTheHostDoesNotHaveIsNamed(t *testing.T) {
	for _, forwarding := range []string{"0", "1"} {
		h := newHost(t)
		h.Receiver.Do(t, func() error {
			other := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 168, 0, 200), Mask: net.CIDRMask(24, 32)}}
			own := &netlink.Addr{IPNet: &net.IPNet{IP: frametest.TargetAddr.AsSlice(), Mask: net.CIDRMask(24, 32)}}
			link := h.Receiver.Link(t)
			return errors.Join(h.Receiver.Netlink.AddrDel(link, own), h.Receiver.Netlink.AddrAdd(link, other),
				os.WriteFile("/proc/sys/net/ipv4/conf/all/forwarding", []byte(forwarding), 0))
		})
		h.bind(t, "0.0.0.0:4789")
		want := Verdict{
			Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDroppedOnNode, Message: "no interface of this host has the address 192.168.0.164", Remedy: "ip addr add 192.168.0.164/32 dev right",
		}
		for _, s := range h.observe(t).Sockets {
			want.Consumer = socketName(&s)
		}
		h.judge(t, want)
	}
}

// A pod with a host port has the copies, though the host's own sockets don't get them.
func TestCopiesThatAreForwardedMayHaveAConsumer(t *testing.T) {
	h := newHost(t)
	h.Receiver.Do(t, func() error {
		link := h.Receiver.Link(t)
		return errors.Join(
			os.WriteFile("/proc/sys/net/ipv4/conf/all/forwarding", []byte("1"), 0),
			h.Receiver.Netlink.NeighAdd(&netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: net.IPv4(192, 168, 0, 77), HardwareAddr: h.Sender.MAC[:]}),
		)
	})
	h.nft(t, "table ip nat { chain c { type nat hook prerouting priority -100; udp dport 4789 dnat to 192.168.0.77; } }")
	h.judge(t, Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonOutOfSight, Message: "the host forwarded…as with the host port of a pod"})
}

func TestTrafficControlMayRedirectTheCopies(t *testing.T) {
	h := newHost(t)
	program := need.Tool(t, "tc")
	h.Receiver.Do(t, func() error {
		if out, err := exec.Command(program, "qdisc", "add", "dev", "right", "clsact").CombinedOutput(); err != nil {
			return fmt.Errorf("tc: %w: %s", err, out)
		}
		return nil
	})
	// It stands for a rule of traffic control, of which a kernel may have none.
	h.nft(t, "table netdev filter { chain c { type filter hook ingress device right priority 0; udp dport 4789 drop; } }")
	h.judge(t, Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonOutOfSight, Message: "right has traffic control rules"})
}

func TestAnIDSWithAPacketSocketIsTheConsumer(t *testing.T) {
	h := newHost(t)
	program := need.Tool(t, "tcpdump")
	h.Receiver.Do(t, func() error {
		command := exec.Command(program, "-p", "-i", h.Receiver.Name, "-w", os.DevNull, "udp", "port", "4789")
		if err := command.Start(); err != nil {
			return err
		}
		t.Cleanup(func() {
			_ = command.Process.Kill()
			_ = command.Wait()
		})
		return nil
	})
	inode := h.foreign(t, func(s *PacketSocket) bool { return s.Ring })
	h.judge(t, Verdict{
		Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Consumer: fmt.Sprintf("packet socket on right (user 0, inode %d)", inode),
		Message: "reads what arrives at tgt (right)",
	})
}

// foreign waits for the packet socket of another process, which must be the only one.
func (h *host) foreign(t *testing.T, as func(*PacketSocket) bool) (inode uint64) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-poll.C {
		sockets := h.observe(t).PacketSockets
		if len(sockets) == 1 && sockets[0].Running && as(&sockets[0]) {
			return sockets[0].Inode
		}
		if time.Now().After(end) {
			t.Fatalf("packet sockets: %+v", sockets)
		}
	}
}

// Environment of the test binary when it plays another process with a packet socket.
const playSocket = "VPCMIRROR_TEST_PACKET_SOCKET"

func TestMain(m *testing.M) {
	if os.Getenv(playSocket) == "" {
		os.Exit(m.Run())
	}
	var kind, protocol, index int
	if _, err := fmt.Sscan(os.Getenv(playSocket), &kind, &protocol, &index); err != nil {
		panic(err)
	}
	network := int(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, uint16(protocol))))
	fd, err := unix.Socket(unix.AF_PACKET, kind, network)
	if err != nil {
		panic(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(network), Ifindex: index}); err != nil {
		panic(err)
	}
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the test closes it
}

// play starts another process with a packet socket on the receiver.
func (h *host) play(t *testing.T, kind, protocol, index int) {
	t.Helper()
	h.Receiver.Do(t, func() error {
		command := exec.Command(os.Args[0], "-test.run=^$")
		command.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %d", playSocket, kind, protocol, index))
		stdin, err := command.StdinPipe()
		if err != nil {
			return err
		}
		t.Cleanup(func() {
			_ = stdin.Close()
			_ = command.Wait()
		})
		return command.Start()
	})
}

func TestPacketSocketsOfOthersAreConsumersOnlyWhereTheyCapture(t *testing.T) {
	for _, e := range []struct {
		name               string
		kind, protocol     int
		everywhere, absent bool
		want               Verdict
	}{
		{name: "a plain one on all interfaces", kind: unix.SOCK_RAW, protocol: unix.ETH_P_ALL, everywhere: true,
			want: Verdict{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Message: "packet socket on all interfaces"}},
		{name: "a plain one on the interface, as dhclient has", kind: unix.SOCK_RAW, protocol: unix.ETH_P_ALL,
			want: Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonOutOfSight, Message: `refused 20 datagrams…may be an IDS, or a DHCP client`, Remedy: "ss -0 -p"}},
		{name: "one of networkd's DHCP", kind: unix.SOCK_DGRAM, protocol: unix.ETH_P_IP,
			want: Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens}},
		{name: "one for LLDP", kind: unix.SOCK_RAW, protocol: unix.ETH_P_LLDP,
			want: Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens}},
	} {
		t.Run(e.name, func(t *testing.T) {
			h := newHost(t)
			index := h.Receiver.Index
			if e.everywhere {
				index = 0
			}
			h.play(t, e.kind, e.protocol, index)
			inode := h.foreign(t, func(s *PacketSocket) bool { return s.Interface == index && int(s.Protocol) == e.protocol })
			if e.want.Status == metav1.ConditionTrue {
				e.want.Consumer = fmt.Sprintf("packet socket on all interfaces (user 0, inode %d)", inode)
			}
			h.judge(t, e.want)
		})
	}
}

func TestOurOwnPacketSocketIsNoConsumer(t *testing.T) {
	h := newHost(t)
	h.Receiver.Do(t, func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0x0300)
		t.Cleanup(func() { _ = unix.Close(fd) })
		return err
	})
	if found := h.observe(t).PacketSockets; len(found) > 0 {
		t.Errorf("%+v", found)
	}
	h.judge(t, Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens})
}

// The pod is root with CAP_NET_RAW alone, which this does not even need.
func TestEverythingIsReadWithoutACapability(t *testing.T) {
	h := newHost(t)
	h.addVXLAN(t, &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "mirror0"}, VxlanId: 7, Port: 4789}, true)
	h.play(t, unix.SOCK_RAW, unix.ETH_P_ALL, 0)
	h.foreign(t, func(*PacketSocket) bool { return true })
	all := h.observe(t)
	var less *Observation
	h.Receiver.Do(t, func() error { // on a thread that dies with it
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			return err
		}
		less = Observe(4789)
		return nil
	})
	less.At = all.At
	equal(t, less, all)
}

func TestADeviceIsReadWithAllThatItSays(t *testing.T) {
	h := newHost(t)
	h.addVXLAN(t, &netlink.Vxlan{
		LinkAttrs: netlink.LinkAttrs{Name: "mirror0"}, VxlanId: 0xffffff, Port: 4789, VtepDevIndex: h.Receiver.Index,
		SrcAddr: frametest.TargetAddr.AsSlice(), Group: frametest.SourceAddr.AsSlice(),
	}, true)
	h.addVXLAN(t, &netlink.Vxlan{
		LinkAttrs: netlink.LinkAttrs{Name: "six"}, VxlanId: 2, Port: 14789, Group: net.ParseIP("2001:db8::1"),
	}, false)
	got := h.observe(t)
	for i := range got.Devices {
		got.Devices[i].Index = 0
	}
	slices.SortFunc(got.Devices, func(a, b Device) int { return strings.Compare(a.Name, b.Name) })
	equal(t, got.Devices, []Device{
		{Name: "mirror0", Up: true, VNI: 0xffffff, Port: 4789, Lower: h.Receiver.Index, Learning: true, Local: frametest.TargetAddr, Group: frametest.SourceAddr},
		{Name: "six", VNI: 2, Port: 14789, Learning: true, Group: netip.MustParseAddr("2001:db8::1"), IPv6: true},
	})
	if !slices.Contains(got.Addresses, frametest.TargetAddr) {
		t.Errorf("addresses %v", got.Addresses)
	}
}

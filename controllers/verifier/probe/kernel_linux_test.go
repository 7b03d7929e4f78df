package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/test/env/need"
)

var nodeAddr, sourceAddr = netip.MustParseAddr("192.168.0.161"), netip.MustParseAddr("192.168.0.230")

const (
	servedPort = 1234 // a service listens on it, by TCP and UDP
	closedPort = 4321
	fenceType  = 0x88b5 // an EtherType for experiments, which no kernel answers (IEEE 802)
)

// site is a node that a probe is sent from, and the host that it is sent to, on which services listen.
type site struct {
	*frametest.Pair
	listener, datagrams, wire int
}

func newSite(t *testing.T) *site {
	t.Helper()
	need.Root(t)
	s := &site{Pair: frametest.NewPair(t)}
	s.Sender.Address(t, s.Sender.Link(t), netip.PrefixFrom(nodeAddr, 24), sourceAddr, s.Receiver.MAC)
	s.Receiver.Address(t, s.Receiver.Link(t), netip.PrefixFrom(sourceAddr, 24), nodeAddr, s.Sender.MAC)
	s.listener = s.bound(t, unix.SOCK_STREAM)
	if err := unix.Listen(s.listener, 8); err != nil {
		t.Fatal(err)
	}
	s.datagrams = s.bound(t, unix.SOCK_DGRAM)
	// All that either kernel puts on the wire.
	all := int(uint16(unix.ETH_P_ALL)<<8 | unix.ETH_P_ALL>>8)
	s.wire = opened(t, &s.Sender, unix.AF_PACKET, unix.SOCK_RAW, all)
	if err := unix.Bind(s.wire, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: s.Sender.Index}); err != nil {
		t.Fatal(err)
	}
	return s
}

func opened(t *testing.T, side *frametest.Side, domain, sort, protocol int) (fd int) {
	t.Helper()
	side.Do(t, func() (err error) {
		fd, err = unix.Socket(domain, sort|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
		return err
	})
	t.Cleanup(func() { closed(fd) })
	return fd
}

// bound is a socket of the source's that has the served port.
func (s *site) bound(t *testing.T, sort int) int {
	t.Helper()
	fd := opened(t, &s.Receiver, unix.AF_INET, sort, 0)
	if err := unix.Bind(fd, sockaddr(sourceAddr, servedPort)); err != nil {
		t.Fatal(err)
	}
	return fd
}

// send follows an order in the namespace of the node.
func (s *site) send(t *testing.T, order v1alpha1.ProbeSend) (sent Sent) {
	t.Helper()
	addresses := []string{sourceAddr.String()}
	if order.HopLimit == 1 { // the source is the node
		addresses[0] = nodeAddr.String()
	}
	s.Sender.Do(t, func() (err error) {
		sent, err = Send(context.Background(), order, v1alpha1.ResolvedInterface{InterfaceID: order.InterfaceID, Addresses: addresses}, time.Now)
		return err
	})
	return sent
}

// seen are the packets on the wire until now, those of the node's as "sent" and others as "answered".
func (s *site) seen(t *testing.T) (out []string) {
	t.Helper()
	fence := make([]byte, 60)
	copy(fence, s.Sender.MAC[:])
	copy(fence[6:], s.Receiver.MAC[:])
	fence[12], fence[13] = fenceType>>8, fenceType&0xff
	s.Receiver.Send(t, fence)
	frame := make([]byte, 2048)
	var read int
	for {
		within(t, "the fence comes", func() (err error) {
			read, err = unix.Read(s.wire, frame)
			return err
		})
		parsed := gopacket.NewPacket(frame[:read], layers.LayerTypeEthernet, gopacket.Default)
		ethernet := parsed.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
		if ethernet.EthernetType == fenceType {
			return out
		}
		who := "sent "
		if [6]byte(ethernet.SrcMAC) == s.Receiver.MAC {
			who = "answered "
		}
		out = append(out, who+described(parsed))
	}
}

// described names a packet by what matters of it.
func described(p gopacket.Packet) string {
	if tcp, is := p.Layer(layers.LayerTypeTCP).(*layers.TCP); is {
		text := "TCP"
		for name, set := range map[string]bool{" SYN": tcp.SYN && !tcp.ACK, " SYN-ACK": tcp.SYN && tcp.ACK, " RST": tcp.RST, " FIN": tcp.FIN} {
			if set {
				text += name
			}
		}
		return text
	}
	if icmp, is := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); is {
		return "ICMP " + icmp.TypeCode.String()
	}
	if p.Layer(layers.LayerTypeUDP) != nil {
		return "UDP"
	}
	return p.String()
}

// counters are those of a side's kernel that say what became of segments, datagrams and messages, and which it sent.
func counters(t *testing.T, side *frametest.Side) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	side.Do(t, func() error {
		b, err := os.ReadFile("/proc/thread-self/net/snmp")
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		for i := 0; i+1 < len(lines); i += 2 { // names, and then values
			names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
			of := strings.TrimSuffix(names[0], ":")
			if of != "Tcp" && of != "Udp" && of != "Icmp" {
				continue
			}
			for j := range names[1:] {
				n, bad := strconv.ParseInt(values[1+j], 10, 64)
				out[of+names[1+j]], err = n, errors.Join(err, bad)
			}
		}
		return err
	})
	return out
}

// since is what has become more or less of each counter.
func since(before, after map[string]int64) map[string]int64 {
	out := maps.Clone(after)
	maps.DeleteFunc(out, func(name string, n int64) bool { return n == before[name] })
	for name := range out {
		out[name] -= before[name]
	}
	return out
}

// within tries until it works, for which it has ten seconds.
func within(t *testing.T, what string, try func() error) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-poll.C {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// nothingForServices fails the test where a service of the source was given something.
func (s *site) nothingForServices(t *testing.T) {
	t.Helper()
	if fd, _, err := unix.Accept(s.listener); !errors.Is(err, unix.EAGAIN) {
		closed(fd)
		t.Errorf("the listener accepts a connection (%v)", err)
	}
	if n, _, err := unix.Recvfrom(s.datagrams, make([]byte, 64), 0); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("the socket receives a datagram of %d bytes (%v)", n, err)
	}
}

// The kernels are the judges: of what a service gets, of what they count, and of what they answer.
func TestNoServiceSeesAProbeAndNoKernelAnswersWhatIsNotToBeAnswered(t *testing.T) {
	spoiled := func(protocol string) map[string]int64 {
		if protocol == "Tcp" {
			return map[string]int64{"TcpInSegs": 2, "TcpInErrs": 2, "TcpInCsumErrors": 2}
		}
		return map[string]int64{"UdpInErrors": 2, "UdpInCsumErrors": 2}
	}
	nothing := map[string]int64{}
	type outcome struct {
		Wire         []string
		Node, Source map[string]int64
	}
	twice := func(packets ...string) []string { return append(packets, packets...) }
	for name, c := range map[string]struct {
		order v1alpha1.ProbeSend
		want  outcome
	}{
		"a SYN to a service":      {v1alpha1.ProbeSend{Kind: v1alpha1.ProbeTCP, DestinationPort: servedPort, HopLimit: 64}, outcome{twice("sent TCP SYN"), nothing, spoiled("Tcp")}},
		"a SYN to a closed port":  {v1alpha1.ProbeSend{Kind: v1alpha1.ProbeTCP, DestinationPort: closedPort, HopLimit: 64}, outcome{twice("sent TCP SYN"), nothing, spoiled("Tcp")}},
		"a datagram to a service": {v1alpha1.ProbeSend{Kind: v1alpha1.ProbeUDP, DestinationPort: servedPort, HopLimit: 64}, outcome{twice("sent UDP"), nothing, spoiled("Udp")}},
		"one to a closed port":    {v1alpha1.ProbeSend{Kind: v1alpha1.ProbeUDP, DestinationPort: closedPort, HopLimit: 64}, outcome{twice("sent UDP"), nothing, spoiled("Udp")}},
		"a source's own SYN":      {v1alpha1.ProbeSend{Kind: v1alpha1.ProbeTCP, DestinationPort: servedPort, HopLimit: 1}, outcome{twice("sent TCP SYN"), nothing, spoiled("Tcp")}},
		"a source's own datagram": {v1alpha1.ProbeSend{Kind: v1alpha1.ProbeUDP, DestinationPort: servedPort, HopLimit: 1}, outcome{twice("sent UDP"), nothing, spoiled("Udp")}},
		"a SYN that is answered":  {v1alpha1.ProbeSend{Kind: v1alpha1.ProbeTCP, DestinationPort: closedPort, HopLimit: 64, Answer: true}, outcome{twice("sent TCP SYN", "answered TCP RST"), map[string]int64{"TcpInSegs": 2}, map[string]int64{"TcpInSegs": 2, "TcpOutSegs": 2, "TcpOutRsts": 2}}},
		"a SYN a service may answer": {
			v1alpha1.ProbeSend{Kind: v1alpha1.ProbeTCP, DestinationPort: servedPort, HopLimit: 64, Answer: true},
			outcome{twice("sent TCP SYN", "answered TCP SYN-ACK", "sent TCP RST"), map[string]int64{"TcpInSegs": 2, "TcpOutSegs": 2, "TcpOutRsts": 2}, map[string]int64{"TcpInSegs": 4, "TcpOutSegs": 2, "TcpAttemptFails": 2}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // nearly all of the time packets are waited for
			s := newSite(t)
			order := c.order
			order.InterfaceID, order.From, order.To, order.Nonce = "source", nodeAddr.String(), sourceAddr.String(), 0x0badcafe
			node, source := counters(t, &s.Sender), counters(t, &s.Receiver)
			if sent := s.send(t, order); sent.Packets != 2 {
				t.Errorf("%d packets were sent, want 2", sent.Packets)
			}
			var got outcome
			within(t, "the kernels have judged", func() error {
				s.nothingForServices(t) // which makes the kernel look at the checksum of what waits
				got = outcome{Node: since(node, counters(t, &s.Sender)), Source: since(source, counters(t, &s.Receiver))}
				if judged := got.Source["TcpInSegs"] + got.Source["UdpInErrors"] + got.Source["UdpNoPorts"] + got.Source["UdpInDatagrams"]; judged < 2 {
					return fmt.Errorf("they count %v and %v", got.Node, got.Source)
				}
				return nil
			})
			got.Wire = s.seen(t)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

package dataplane

import (
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// lab is a switch with hosts in memory: what a host gets is kept in got.
type lab struct {
	t     testing.TB
	sw    *Switch
	clock *clock
	got   map[string][][]byte
	keep  bool
}

func newLab(t testing.TB, layout Layout, config Config) *lab {
	t.Helper()
	l := &lab{t: t, clock: newClock(), got: map[string][][]byte{}, keep: true}
	sw, err := NewSwitch(layout, func(id string) Deliver {
		return func(frame []byte) error {
			if l.keep {
				l.got[id] = append(l.got[id], append([]byte(nil), frame...))
			}
			return nil
		}
	}, l.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	sw.Apply(config)
	l.sw = sw
	return l
}

// walkthrough is the walkthrough's lab after some changes of its configuration.
func walkthrough(t testing.TB, changes ...func(*Config)) *lab {
	t.Helper()
	return newLab(t, walkthroughLayout(""), change(changes...))
}

// send lets a host send a frame and gives what each host got of it.
func (l *lab) send(port string, frame []byte) map[string][][]byte {
	l.t.Helper()
	clear(l.got)
	l.sw.Port(port).Receive(append([]byte(nil), frame...))
	return l.got
}

// arrivals gives how many frames each host got when a host sent this one.
func (l *lab) arrivals(port string, frame []byte) map[string]int {
	l.t.Helper()
	counts := map[string]int{}
	for id, frames := range l.send(port, frame) {
		counts[id] = len(frames)
	}
	return counts
}

// build puts layers together with gopacket, which shares no code with what is
// tested. Lengths and checksums are filled in.
func build(t testing.TB, parts ...gopacket.SerializableLayer) []byte {
	t.Helper()
	for i, part := range parts {
		var network gopacket.NetworkLayer
		if i > 0 {
			network, _ = parts[i-1].(gopacket.NetworkLayer)
		}
		if l4, ok := part.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok && network != nil {
			if err := l4.SetNetworkLayerForChecksum(network); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, parts...); err != nil {
		t.Fatal(err)
	}
	return append([]byte(nil), b.Bytes()...)
}

// hostOf is what a test needs of an interface to speak for it.
type hostOf struct {
	port string
	nic  Interface
}

func hosts(layout Layout) map[string]hostOf {
	out := map[string]hostOf{}
	for _, h := range layout.Hosts {
		for _, nic := range h.Interfaces {
			out[nic.PortID] = hostOf{nic.PortID, nic}
		}
	}
	return out
}

// ethernetIP4 are the first two layers of a packet between two of the
// walkthrough's hosts.
func ethernetIP4(from, to string, protocol layers.IPProtocol) (*layers.Ethernet, *layers.IPv4) {
	h := hosts(walkthroughLayout(""))
	a, b := h[from].nic, h[to].nic
	return &layers.Ethernet{SrcMAC: a.MAC, DstMAC: b.MAC, EthernetType: layers.EthernetTypeIPv4},
		&layers.IPv4{Version: 4, TTL: 64, Protocol: protocol, Flags: layers.IPv4DontFragment,
			SrcIP: a.Addresses[0].Addr().AsSlice(), DstIP: b.Addresses[0].Addr().AsSlice()}
}

// tcp builds a TCP packet between two of the walkthrough's hosts; flags are
// letters of SAFRP. It carries timestamps, as a Linux host's does.
func tcp(t testing.TB, from, to string, source, destination uint16, flags, payload string) []byte {
	t.Helper()
	e, ip := ethernetIP4(from, to, layers.IPProtocolTCP)
	s := &layers.TCP{
		SrcPort: layers.TCPPort(source), DstPort: layers.TCPPort(destination), Window: 502,
		Options: []layers.TCPOption{
			{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop},
			{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)},
		},
	}
	for _, f := range flags {
		switch f {
		case 'S':
			s.SYN = true
		case 'A':
			s.ACK = true
		case 'F':
			s.FIN = true
		case 'R':
			s.RST = true
		case 'P':
			s.PSH = true
		}
	}
	return build(t, e, ip, s, gopacket.Payload(payload))
}

// udp builds a UDP packet between two of the walkthrough's hosts.
func udp(t testing.TB, from, to string, source, destination uint16, payload string) []byte {
	t.Helper()
	e, ip := ethernetIP4(from, to, layers.IPProtocolUDP)
	return build(t, e, ip, &layers.UDP{SrcPort: layers.UDPPort(source), DstPort: layers.UDPPort(destination)}, gopacket.Payload(payload))
}

// echo builds an ICMP echo request or reply.
func echo(t testing.TB, from, to string, request bool, id uint16) []byte {
	t.Helper()
	kind := layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoReply, 0)
	if request {
		kind = layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0)
	}
	e, ip := ethernetIP4(from, to, layers.IPProtocolICMPv4)
	return build(t, e, ip, &layers.ICMPv4{TypeCode: kind, Id: id, Seq: 1}, gopacket.Payload("ping"))
}

// open adds a rule to a group.
func open(group string, rule GroupRule) func(*Config) {
	return func(c *Config) {
		for i := range c.Groups {
			if c.Groups[i].ID == group {
				c.Groups[i].Rules = append(c.Groups[i].Rules, rule)
				return
			}
		}
		panic("no group " + group)
	}
}

// anything lets everything of IPv4 in.
var anything = GroupRule{Ingress: true, Priority: 1}

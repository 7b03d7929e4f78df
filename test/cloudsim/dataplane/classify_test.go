package dataplane

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unhex reads bytes written in hex, blanks between them.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	ethernetIPv4 = "fa163e7ed6bc fa163e7ed677 0800 "
	ethernetIPv6 = "fa163e7ed6bc fa163e7ed677 86dd "
	address1     = "20010db8000000000000000000000001 "
	address2     = "20010db8000000000000000000000002 "
	udpPorts     = "9c40 0035 0008 0000 " // 40000 to 53
)

func TestWhatTheWalkReadsInHeaders(t *testing.T) {
	six := func(next, transport int) packet {
		return packet{
			kind: kindIPv6, protocol: uint8(next), network: 14, transport: 14 + transport,
			source: netip.MustParseAddr("2001:db8::1"), destination: netip.MustParseAddr("2001:db8::2"),
		}
	}
	withPorts := func(p packet) packet {
		p.hasPorts, p.sourcePort, p.destinationPort = true, 40000, 53
		return p
	}
	fragment := func(p packet, later bool, id uint32) packet {
		p.fragment, p.laterFragment, p.fragmentID = true, later, id
		return p
	}
	four := packet{
		kind: kindIPv4, protocol: protoUDP, network: 14, transport: 34, fragmentID: 1,
		source: netip.MustParseAddr("10.0.0.1"), destination: netip.MustParseAddr("10.0.0.2"),
	}
	tests := map[string]struct {
		frame string
		want  packet
	}{
		"IPv6 without extensions": {ethernetIPv6 + "60000000 0008 11 40" + address1 + address2 + udpPorts, withPorts(six(17, 40))},
		"hop-by-hop, routing and destination options are walked": {ethernetIPv6 + "60000000 0020 00 40" + address1 + address2 +
			"2b00000000000000 3c00000000000000 1100000000000000" + udpPorts, withPorts(six(17, 64))},
		"an authentication header counts in words of four": {ethernetIPv6 + "60000000 0014 33 40" + address1 + address2 +
			"1101 0000 00000000 00000000" + udpPorts, withPorts(six(17, 52))},
		"the first fragment has ports": {ethernetIPv6 + "60000000 0010 2c 40" + address1 + address2 +
			"1100 0001 0000abcd" + udpPorts, fragment(withPorts(six(17, 48)), false, 0xabcd)},
		"a later fragment has none": {ethernetIPv6 + "60000000 0010 2c 40" + address1 + address2 +
			"1100 0008 0000abcd" + udpPorts, fragment(six(17, 48), true, 0xabcd)},
		"a fragment header on a whole datagram makes no fragment": {ethernetIPv6 + "60000000 0010 2c 40" + address1 + address2 +
			"1100 0000 00000000" + udpPorts, withPorts(six(17, 48))},
		"an extension header that is cut":             {ethernetIPv6 + "60000000 0004 00 40" + address1 + address2 + "11000000", packet{kind: kindIPv6, malformed: true, network: 14, source: six(0, 0).source, destination: six(0, 0).destination}},
		"an extension header that claims too much":    {ethernetIPv6 + "60000000 0008 00 40" + address1 + address2 + "11ff000000000000", packet{kind: kindIPv6, malformed: true, network: 14, source: six(0, 0).source, destination: six(0, 0).destination}},
		"no next header":                              {ethernetIPv6 + "60000000 0000 3b 40" + address1 + address2, six(59, 40)},
		"an IPv6 payload longer than the frame":       {ethernetIPv6 + "60000000 0009 11 40" + address1 + address2 + udpPorts, packet{kind: kindIPv6, malformed: true, network: 14}},
		"IPv4 with padding behind":                    {ethernetIPv4 + "4500001c 0001 0000 4011 0000 0a000001 0a000002" + udpPorts + "00000000", withPorts(four)},
		"IPv4 whose total length is below its header": {ethernetIPv4 + "45000010 0001 0000 4011 0000 0a000001 0a000002" + udpPorts, packet{kind: kindIPv4, malformed: true, network: 14}},
		"IPv4 longer than the frame":                  {ethernetIPv4 + "4500001d 0001 0000 4011 0000 0a000001 0a000002" + udpPorts, packet{kind: kindIPv4, malformed: true, network: 14}},
		"IPv4 with a header length of four words":     {ethernetIPv4 + "4400001c 0001 0000 4011 0000 0a000001 0a000002" + udpPorts, packet{kind: kindIPv4, malformed: true, network: 14}},
		"an IPv4 first fragment":                      {ethernetIPv4 + "4500001c 0001 2000 4011 0000 0a000001 0a000002" + udpPorts, fragment(withPorts(four), false, 1)},
		"an IPv4 later fragment":                      {ethernetIPv4 + "4500001c 0001 0001 4011 0000 0a000001 0a000002" + udpPorts, fragment(four, true, 1)},
		"ports that are cut":                          {ethernetIPv4 + "45000017 0001 0000 4011 0000 0a000001 0a000002 9c4000", four},
		"more VLAN tags than two":                     {"fa163e7ed6bc fa163e7ed677 8100 0001 8100 0001 8100 0001 0800", packet{malformed: true, tagged: true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := classify(unhex(t, test.frame))
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(packet{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAConfigurationsMistakesAreNamedAndMatchNothing(t *testing.T) {
	config := change(
		open("sg-source", GroupRule{Ingress: true, Protocol: "tpc"}),
		open("sg-source", GroupRule{Ingress: true, Protocol: "tcp", Ports: "80-22"}),
		func(c *Config) {
			c.Sessions[0].PacketLength, c.Sessions[0].VNI = 0, 1<<24
			c.Sessions[0].Ingress[0].Protocol = "SCTP"
			c.Sessions[0].Egress = []Rule{{Protocol: "TCP", SourcePorts: PortRange{9, 8}}}
		})
	want := strings.Join([]string{
		`group sg-source, rule 6: protocol "tpc": use tcp, udp, icmp, icmpv6, a number of 0 to 255, or nothing for all`,
		`group sg-source, rule 7: ports "80-22": write them like 80, 1-30 or 22,3389,80`,
		`session session-1: packet length 0 is not within 1 and 1460`,
		`session session-1: VNI 16777216 is not within 0 and 16777215`,
		`session session-1, rule 0: protocol "SCTP": use TCP, UDP, ICMP, ICMPV6 or ALL`,
		`session session-1, rule 1: ports 9-8: the first must not be above the last`,
	}, "\n")
	err := config.Validate()
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	l := walkthrough(t)
	l.sw.Apply(config)
	if diff := cmp.Diff(map[string]int{}, l.arrivals(portTest, tcp(t, portTest, portSource, 1, 80, "S", ""))); diff != "" {
		t.Errorf("who got what through a mistaken allow (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{portSource: 1}, l.arrivals(portTest, tcp(t, portTest, portSource, 1, 1234, "S", ""))); diff != "" {
		t.Errorf("who got what through a mistaken session (-want +got):\n%s", diff)
	}
}

func TestARemovedSessionKeepsItsCountersAndALotOfThemDoNot(t *testing.T) {
	l := walkthrough(t)
	l.send(portTest, tcp(t, portTest, portSource, 1, 1234, "S", ""))
	l.sw.Apply(change(func(c *Config) { c.Sessions = nil }))
	want := map[string]SessionStats{"session-1": {Copies: 1, InnerBytes: 66, Delivered: 1}}
	if diff := cmp.Diff(want, l.sw.Stats().Sessions); diff != "" {
		t.Errorf("after its removal (-want +got):\n%s", diff)
	}
	l.sw.Apply(change(func(c *Config) {
		for i := range maxFormer {
			s := c.Sessions[0]
			s.ID = "later-" + hex.EncodeToString([]byte{byte(i >> 8), byte(i)})
			c.Sessions = append(c.Sessions, s)
		}
		c.Sessions = c.Sessions[1:]
	}))
	l.sw.Apply(Config{})
	stats := l.sw.Stats().Sessions
	if _, kept := stats["session-1"]; kept || len(stats) != maxFormer {
		t.Errorf("%d sessions remembered, the first of them: %v, want %d and false", len(stats), kept, maxFormer)
	}
}

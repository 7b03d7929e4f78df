package consumer

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// equal compares whole values; addresses are compared by value.
func equal(t *testing.T, got, want any) {
	t.Helper()
	compare := cmp.Options{
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Recorded on Linux 6.18.
const (
	udpHeading  = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            \n"
	udpAny      = "  431: 00000000:12B5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1180325 2 00000000fae3f965 0       \n"
	udpBound    = "  431: A400A8C0:12B5 00000000:0000 07 00000000:00033C00 00:00000000 00000000  1000        0 1180326 2 00000000fae3f966 17      \n"
	udpOther    = "   77: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 44 2 00000000fae3f967 0       \n"
	udpOfPeer   = "  431: 0100007F:12B5 0200007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 45 2 00000000fae3f968 0       \n"
	udp6Heading = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
	udp6Any     = "  431: 00000000000000000000000000000000:12B5 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1180335 2 000000009a152f1b 0\n"
	udp6Bound   = "  431: B80D0120000000000000000001000000:12B5 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1180336 2 000000009a152f1c 3\n"
)

func TestTheSocketsOfAPortAreReadAsTheKernelWritesThem(t *testing.T) {
	any4, any6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	for _, e := range []struct {
		name, text string
		want       []Socket
		err        error
	}{
		{name: "nothing but the heading", text: udpHeading},
		{name: "an empty file"},
		{name: "bound to any", text: udpHeading + udpOther + udpAny, want: []Socket{
			{Local: netip.AddrPortFrom(any4, 4789), Remote: netip.AddrPortFrom(any4, 0), Inode: 1180325},
		}},
		{name: "bound to an address, with datagrams that wait and some dropped", text: udpHeading + udpBound, want: []Socket{
			{Local: netip.MustParseAddrPort("192.168.0.164:4789"), Remote: netip.AddrPortFrom(any4, 0), UID: 1000, Inode: 1180326, Queued: 0x33c00, Drops: 17},
		}},
		{name: "connected", text: udpHeading + udpOfPeer, want: []Socket{
			{Local: netip.MustParseAddrPort("127.0.0.1:4789"), Remote: netip.MustParseAddrPort("127.0.0.2:40000"), Inode: 45},
		}},
		{name: "IPv6", text: udp6Heading + udp6Any + udp6Bound, want: []Socket{
			{Local: netip.AddrPortFrom(any6, 4789), Remote: netip.AddrPortFrom(any6, 0), Inode: 1180335},
			{Local: netip.MustParseAddrPort("[2001:db8::1]:4789"), Remote: netip.AddrPortFrom(any6, 0), Inode: 1180336, Drops: 3},
		}},
		{name: "a line that was cut", text: udpHeading + udpAny + udpBound[:60], err: errLine, want: []Socket{
			{Local: netip.AddrPortFrom(any4, 4789), Remote: netip.AddrPortFrom(any4, 0), Inode: 1180325},
		}},
		{name: "no number where one belongs", text: udpHeading + strings.Replace(udpAny, "1180325", "x180325", 1), err: errLine},
		{name: "an address of a strange length", text: udpHeading + strings.Replace(udpAny, "00000000:12B5", "000000:12B5", 1), err: errLine},
		{name: "an address of no hexadecimal digits", text: udpHeading + strings.Replace(udpAny, "00000000:12B5", "0000000g:12B5", 1), err: errLine},
		{name: "more than is kept", text: udpHeading + strings.Repeat(udpAny, maxKept+1), err: errTooMany,
			want: repeated(Socket{Local: netip.AddrPortFrom(any4, 4789), Remote: netip.AddrPortFrom(any4, 0), Inode: 1180325}, maxKept)},
	} {
		t.Run(e.name, func(t *testing.T) {
			got, err := parseSockets([]byte(e.text), 4789)
			if !errors.Is(err, e.err) {
				t.Errorf("%v, want %v", err, e.err)
			}
			equal(t, got, e.want)
		})
	}
}

func repeated(s Socket, times int) (all []Socket) {
	for range times {
		all = append(all, s)
	}
	return all
}

const packetHeading = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"

func TestOwnPacketSocketsAreLeftOutAndForeignOnesRead(t *testing.T) {
	for _, e := range []struct {
		name, text string
		want       []PacketSocket
		err        error
	}{
		{name: "none", text: packetHeading},
		{name: "tcpdump, and one of our own", text: packetHeading +
			"00000000980deddc 3      3    0003   3     1 0      0      1179487\n" +
			"00000000980deddd 3      3    0003   3     1 0      0      77\n",
			want: []PacketSocket{{Type: 3, Protocol: 3, Interface: 3, Running: true, Inode: 1179487}}},
		{name: "one for LLDP, one whose interface was removed", text: packetHeading +
			"00000000980deddc 3      3    88cc   2     1 0      101    8\n" +
			"00000000980deddd 3      2    0800   -1    0 2304   0      9\n",
			want: []PacketSocket{{Type: 3, Protocol: 0x88cc, Interface: 2, Running: true, UID: 101, Inode: 8}, {Type: 2, Protocol: 0x0800, Interface: -1, Inode: 9}}},
		{name: "a line that was cut", text: packetHeading + "00000000980deddc 3      3    0003   3     1 0 ", err: errLine},
		{name: "a protocol that is none", text: packetHeading + "00000000980deddc 3      3    g003   3     1 0      0      1179487\n", err: errLine},
	} {
		t.Run(e.name, func(t *testing.T) {
			got, err := parsePacketSockets([]byte(e.text), map[uint64]bool{77: true})
			if !errors.Is(err, e.err) {
				t.Errorf("%v, want %v", err, e.err)
			}
			equal(t, got, e.want)
		})
	}
}

const (
	snmpText = `Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests ReasmTimeout ReasmReqds ReasmOKs
Ip: 2 64 100 1 2 3 0 0 90 80 0 8 4
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn
Tcp: 1 200 120000 -1
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
Udp: 50 30 10 5 6 0 4 0 0
UdpLite: InDatagrams NoPorts
UdpLite: 1000 1000
`
	netstatText = `TcpExt: SyncookiesSent IPReversePathFilter TCPTimeWaitOverflow
TcpExt: 0 7 0
IpExt: InNoRoutes InTruncatedPkts
IpExt: 9 0
`
	snmp6Text = `Ip6InReceives                   	1000
Ip6InHdrErrors                  	10
Ip6InNoRoutes                   	90
Ip6InAddrErrors                 	20
Ip6InDelivers                   	900
Ip6OutForwDatagrams             	30
Ip6ReasmReqds                   	80
Ip6ReasmOKs                     	40
Udp6InDatagrams                 	500
Udp6NoPorts                     	300
Udp6InErrors                    	100
Udp6InCsumErrors                	40
UdpLite6NoPorts                 	7777
`
)

func TestTheCountersOfBothFamiliesAreRead(t *testing.T) {
	all := make(table)
	all.parsePaired([]byte(snmpText), "Ip", "Udp")
	all.parsePaired([]byte(netstatText), "TcpExt", "IpExt")
	all.parseSingle([]byte(snmp6Text), "Ip6", "Udp6")
	v4, err := all.counters("Ip", "Udp")
	if err != nil {
		t.Error(err)
	}
	equal(t, v4, Counters{
		Receives: 100, Delivers: 90, Forwarded: 3, AddressErrors: 2, NoRoutes: 9, HeaderErrors: 1, Fragments: 8, Reassembled: 4,
		ReversePath: 7, Datagrams: 50, NoPorts: 30, Errors: 10, Checksum: 4,
	})
	v6, err := all.counters("Ip6", "Udp6")
	if err != nil {
		t.Error(err)
	}
	equal(t, v6, Counters{
		Receives: 1000, Delivers: 900, Forwarded: 30, AddressErrors: 20, NoRoutes: 90, HeaderErrors: 10, Fragments: 80, Reassembled: 40,
		Datagrams: 500, NoPorts: 300, Errors: 100, Checksum: 40,
	})
}

func TestAMissingCounterIsAnError(t *testing.T) {
	all := make(table)
	all.parsePaired([]byte(strings.ReplaceAll(snmpText, "NoPorts", "NoPirts")), "Ip", "Udp")
	all.parsePaired([]byte(netstatText), "TcpExt", "IpExt")
	if _, err := all.counters("Ip", "Udp"); !errors.Is(err, errCounter) {
		t.Errorf("%v, want %v", err, errCounter)
	}
}

func TestCountersThatFellAreNotGrowth(t *testing.T) {
	if _, ok := (Counters{NoPorts: 4}).since(Counters{NoPorts: 5}); ok {
		t.Error("growth of a counter that fell")
	}
	growth, ok := (Counters{NoPorts: 9, Receives: 3}).since(Counters{NoPorts: 5})
	if !ok {
		t.Error("no growth")
	}
	equal(t, growth, Counters{NoPorts: 4, Receives: 3})
}

package sample_test

import (
	"encoding/binary"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"vpcmirror.io/operator/controllers/verifier/sample"
)

func mac(s string) net.HardwareAddr {
	m, err := net.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return m
}

// walkthrough is the copy of "12345\n" of the cloud's guide: outer length 122, inner 72.
func walkthrough(tb testing.TB) []byte {
	tb.Helper()
	innerIP := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP,
		SrcIP: net.IP{192, 168, 0, 161}, DstIP: net.IP{192, 168, 0, 230}}
	tcp := &layers.TCP{SrcPort: 38944, DstPort: 1234, Seq: 7, PSH: true, ACK: true, Window: 63, Options: []layers.TCPOption{
		{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop},
		{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)}}}
	if err := tcp.SetNetworkLayerForChecksum(innerIP); err != nil {
		tb.Fatal(err)
	}
	inner := serialize(tb,
		&layers.Ethernet{SrcMAC: mac("fa:16:3e:7e:d6:77"), DstMAC: mac("fa:16:3e:7e:d6:bc"), EthernetType: layers.EthernetTypeIPv4},
		innerIP, tcp, gopacket.Payload("12345\n"))
	outerIP := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP,
		SrcIP: net.IP{192, 168, 0, 230}, DstIP: net.IP{192, 168, 0, 164}}
	udp := &layers.UDP{SrcPort: 32838, DstPort: 4789}
	if err := udp.SetNetworkLayerForChecksum(outerIP); err != nil {
		tb.Fatal(err)
	}
	return serialize(tb,
		&layers.Ethernet{SrcMAC: mac("fa:16:3e:d1:6b:5d"), DstMAC: mac("fa:16:3e:7e:d6:7a"), EthernetType: layers.EthernetTypeIPv4},
		outerIP, udp, &layers.VXLAN{ValidIDFlag: true, VNI: 1}, gopacket.Payload(inner))
}

func serialize(tb testing.TB, all ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	buffer := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		tb.Fatal(err)
	}
	return buffer.Bytes()
}

const outerText = "fa:16:3e:d1:6b:5d > fa:16:3e:7e:d6:7a, IPv4, length 122: 192.168.0.230.32838 > 192.168.0.164.4789: VXLAN, flags [I] (0x08), vni 1: "

func TestTheWalkthroughsPacketReadsAsTcpdumpShowsIt(t *testing.T) {
	frame := walkthrough(t)
	want := outerText + "fa:16:3e:7e:d6:77 > fa:16:3e:7e:d6:bc, IPv4, length 72: 192.168.0.161.38944 > 192.168.0.230.1234: Flags [P.], seq 7, length 6"
	if diff := cmp.Diff(want, sample.Line(frame, len(frame), 4789)); diff != "" {
		t.Error(diff)
	}
}

func TestACutCopySaysHowMuchOfItIsThere(t *testing.T) {
	frame := walkthrough(t)
	// The mirror kept 50 bytes of the inner frame: the TCP options are cut off.
	cut := frame[:50+50]
	binary.BigEndian.PutUint16(cut[16:], uint16(len(cut)-14))
	binary.BigEndian.PutUint16(cut[38:], uint16(len(cut)-34))
	want := "fa:16:3e:d1:6b:5d > fa:16:3e:7e:d6:7a, IPv4, length 100: 192.168.0.230.32838 > 192.168.0.164.4789: VXLAN, flags [I] (0x08), vni 1: " +
		"fa:16:3e:7e:d6:77 > fa:16:3e:7e:d6:bc, IPv4, length 50 of 72: 192.168.0.161.38944 > 192.168.0.230.1234: Flags [P.], [|tcp]"
	if diff := cmp.Diff(want, sample.Line(cut, len(cut), 4789)); diff != "" {
		t.Error(diff)
	}
}

func TestEveryPrefixOfAPacketIsRendered(t *testing.T) {
	frame := walkthrough(t)
	for n := range frame {
		if sample.Line(frame[:n], len(frame), 4789) == "" {
			t.Errorf("nothing is said of the first %d bytes", n)
		}
	}
}

func TestCopiesOnAnotherPortAreRendered(t *testing.T) {
	frame := walkthrough(t)
	binary.BigEndian.PutUint16(frame[36:], 8472)
	want := strings.Replace(outerText, ".4789:", ".8472:", 1)
	if got := sample.Line(frame, len(frame), 8472); !strings.HasPrefix(got, want) {
		t.Errorf("got %s", got)
	}
}

package wire

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// guideCopy is the copy of 12345 that the cloud's guide shows, byte by byte as its
// capture describes it.
func guideCopy(t *testing.T) []byte {
	t.Helper()
	mac := func(last ...byte) []byte { return append([]byte{0xfa, 0x16, 0x3e}, last...) }
	outer := &layers.IPv4{
		Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP,
		SrcIP: []byte{192, 168, 0, 230}, DstIP: []byte{192, 168, 0, 164},
	}
	udp := &layers.UDP{SrcPort: 32838, DstPort: 4789}
	inner := &layers.IPv4{
		Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP,
		SrcIP: []byte{192, 168, 0, 161}, DstIP: []byte{192, 168, 0, 230},
	}
	tcp := &layers.TCP{
		SrcPort: 38944, DstPort: 1234, Seq: 100, Ack: 200, PSH: true, ACK: true, Window: 229,
		Options: []layers.TCPOption{
			{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop},
			{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: []byte{0, 0, 0, 7, 0, 0, 1, 0}},
		},
	}
	for _, err := range []error{udp.SetNetworkLayerForChecksum(outer), tcp.SetNetworkLayerForChecksum(inner)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	buffer := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: mac(0xd1, 0x6b, 0x5d), DstMAC: mac(0x7e, 0xd6, 0x7a), EthernetType: layers.EthernetTypeIPv4},
		outer, udp, &layers.VXLAN{ValidIDFlag: true, VNI: 1},
		&layers.Ethernet{SrcMAC: mac(0x7e, 0xd6, 0x77), DstMAC: mac(0x7e, 0xd6, 0xbc), EthernetType: layers.EthernetTypeIPv4},
		inner, tcp, gopacket.Payload("12345\n"))
	if err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func TestTheGuidesCopyIsReadAsTheGuideShowsIt(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.Local)
	c, isCopy, err := Decode(at, guideCopy(t))
	if err != nil || !isCopy {
		t.Fatalf("is a copy: %v, error: %v", isCopy, err)
	}
	want := "03:04:05.678901 fa:16:3e:d1:6b:5d > fa:16:3e:7e:d6:7a, ethertype IPv4 (0x0800), length 122: " +
		"192.168.0.230.32838 > 192.168.0.164.4789: VXLAN, flags [I] (0x08), vni 1\n" +
		"fa:16:3e:7e:d6:77 > fa:16:3e:7e:d6:bc, ethertype IPv4 (0x0800), length 72: " +
		"192.168.0.161.38944 > 192.168.0.230.1234: Flags [P.], seq 100:106, ack 200, win 229, options [nop,nop,TS val 7 ecr 256], length 6"
	if got := c.Line(); got != want {
		t.Errorf("the line is\n%s\nwanted is\n%s", got, want)
	}
	if !c.Inner.PushACK() || string(c.Inner.Payload) != "12345\n" {
		t.Errorf("flags PSH and ACK alone: %v, payload %q", c.Inner.PushACK(), c.Inner.Payload)
	}
}

func TestWhatIsNoCopyIsLeftAlone(t *testing.T) {
	toOtherPort := guideCopy(t)
	toOtherPort[14+20+2], toOtherPort[14+20+3] = 0x21, 0x18 // UDP 8472
	for name, frame := range map[string][]byte{
		"an empty frame": {}, "half a header": guideCopy(t)[:20], "another UDP port": toOtherPort,
	} {
		if _, isCopy, err := Decode(time.Now(), frame); isCopy || err != nil {
			t.Errorf("%s: taken for a copy: %v, error: %v", name, isCopy, err)
		}
	}
}

func TestABrokenCopyIsAnErrorAndNeverAPanic(t *testing.T) {
	whole := guideCopy(t)
	for length := range whole {
		if c, isCopy, err := Decode(time.Now(), whole[:length]); isCopy && err == nil && len(c.Inner.Payload) == 6 {
			t.Errorf("a frame cut to %d bytes is read as if it were whole", length)
		}
	}
}

func TestAForgeryIsReadBackAsItWasMeant(t *testing.T) {
	inner := Frame{
		SourceMAC: "fa:16:3e:7e:d6:bc", DestinationMAC: "fa:16:3e:7e:d6:77",
		Source: netip.MustParseAddrPort("192.168.0.161:38944"), Destination: netip.MustParseAddrPort("192.168.0.230:1234"),
		Payload: []byte("12345\n"),
	}
	datagram, err := Forgery{VNI: 2, Inner: inner}.Datagram()
	if err != nil {
		t.Fatal(err)
	}
	// The guide's outer headers around it. The UDP length is not asked for by Decode.
	frame := append(guideCopy(t)[:14+20+8:14+20+8], datagram...)
	frame[16], frame[17] = 0, byte(20+8+len(datagram))
	frame[14+20+4], frame[14+20+5] = 0, byte(8+len(datagram))
	c, isCopy, err := Decode(time.Now(), frame)
	if err != nil || !isCopy {
		t.Fatalf("is a copy: %v, error: %v", isCopy, err)
	}
	got := c.Inner
	if c.VNI != 2 || got.SourceMAC != inner.SourceMAC || got.DestinationMAC != inner.DestinationMAC ||
		got.Source != inner.Source || got.Destination != inner.Destination || string(got.Payload) != "12345\n" || !got.PushACK() {
		t.Errorf("read back as VNI %d and %+v", c.VNI, got)
	}
	if _, err := (Forgery{Inner: Frame{SourceMAC: "no MAC"}}).Datagram(); err == nil || !strings.Contains(err.Error(), "no MAC") {
		t.Errorf("a wrong MAC gives %v", err)
	}
}

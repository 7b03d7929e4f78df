package offline

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"vpcmirror.io/operator/test/bench/copies"
)

// stream is what gopacket, which shares no code with the generator, says a
// copy belongs to.
type stream struct {
	source string
	vni    uint32
	inner  int
}

func TestTheGeneratedFileHoldsWhatTheBenchmarkSays(t *testing.T) {
	const packets = 2*copies.Streams + 3
	path := filepath.Join(t.TempDir(), "copies.pcap")
	if err := generate(path, packets); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader, err := pcapgo.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	got := map[stream]int{}
	for {
		data, info, err := reader.ReadPacketData()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if info.Length != len(data) || info.CaptureLength != len(data) {
			t.Fatalf("%+v of %d bytes", info, len(data))
		}
		got[decode(t, data)]++
	}
	if len(got) != copies.Streams {
		t.Errorf("%d streams, want %d", len(got), copies.Streams)
	}
	counts := map[int]int{}
	for s, n := range got {
		counts[n]++
		if s.inner != copies.InnerBytes {
			t.Errorf("%+v", s)
		}
	}
	if diff := cmp.Diff(map[int]int{2: copies.Streams - 3, 3: 3}, counts); diff != "" {
		t.Error(diff)
	}
}

func decode(t *testing.T, data []byte) stream {
	t.Helper()
	packet := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.NoCopy)
	outer, ok := packet.NetworkLayer().(*layers.IPv4)
	header, isVXLAN := packet.Layer(layers.LayerTypeVXLAN).(*layers.VXLAN)
	if !ok || !isVXLAN || !header.ValidIDFlag {
		t.Fatalf("no copy: %s", packet)
	}
	inner := gopacket.NewPacket(header.Payload, layers.LayerTypeEthernet, gopacket.NoCopy)
	tcp, ok := inner.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !ok || tcp.DstPort != 1234 {
		t.Fatalf("no TCP in the inner frame: %s", inner)
	}
	for _, ip := range []*layers.IPv4{outer, inner.NetworkLayer().(*layers.IPv4)} {
		if sum := checksum(ip.Contents); sum != 0xffff {
			t.Fatalf("the checksum of an IPv4 header is wrong: %#x", sum)
		}
	}
	return stream{outer.SrcIP.String(), header.VNI, len(header.Payload)}
}

// checksum adds up 16-bit words in ones' complement: 0xffff when it is right.
func checksum(b []byte) uint32 {
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return sum
}

func TestTheMedianIsTheMiddleOne(t *testing.T) {
	times := []time.Duration{5, 1, 100, 3, 2}
	if got := median(times); got != 3 {
		t.Errorf("%d", got)
	}
	if diff := cmp.Diff([]time.Duration{5, 1, 100, 3, 2}, times); diff != "" {
		t.Errorf("the runs were put into another order: %s", diff)
	}
}

package recipes

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/read"
	"vpcmirror.io/operator/test/env/need"
)

// kind are copies of one kind.
type kind struct {
	n     int
	frame []byte
}

// frames are the copies of all kinds, one after the other.
func frames(kinds ...kind) (all [][]byte) {
	for _, k := range kinds {
		all = append(all, slices.Repeat([][]byte{k.frame}, k.n)...)
	}
	return all
}

// The inner frames: what the filter of the walkthrough accepts, and what else can be copied.
func hello() []byte { return frametest.Inner("hello").Bytes() }

// cut is one of which the mirror has kept the first 96 bytes.
func cut() []byte { return frametest.Inner("hello" + string(make([]byte, 400))).Bytes()[:96] }

func six(payload string) []byte {
	p := frametest.Inner(payload)
	p.Source, p.Destination = frametest.Mapped(p.Source), frametest.Mapped(p.Destination)
	return p.Bytes()
}

func toPort(port uint16) []byte {
	p := frametest.Inner("hello")
	p.DestinationPort = port
	return p.Bytes()
}

// reserved is a copy with bits of the VXLAN header set that are reserved.
func reserved(at int, bits byte) []byte {
	p := frametest.Copy(1, hello())
	p.Payload[at] |= bits
	return p.Bytes()
}

func copied(vni uint32, inner []byte) []byte { return frametest.Copy(vni, inner).Bytes() }

// write puts frames into a file.
func write(t *testing.T, frames [][]byte) string {
	t.Helper()
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	err := w.WriteFileHeader(65535, layers.LinkTypeEthernet)
	for i, frame := range frames {
		if err == nil {
			err = w.WritePacket(gopacket.CaptureInfo{
				Timestamp: time.Unix(1_700_000_000, int64(i)), CaptureLength: len(frame), Length: len(frame),
			}, frame)
		}
	}
	name := filepath.Join(t.TempDir(), "copies.pcap")
	if err == nil {
		err = os.WriteFile(name, file.Bytes(), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// verifier is what "verifier read" says of a file, by the filter of the walkthrough.
func verifier(t *testing.T, file string) read.Report {
	t.Helper()
	var out, complaint bytes.Buffer
	code := read.Main(read.Terminal{Out: &out, Err: &complaint}, []string{"--output", "json", "--filter", "../../config/samples/mirrorfilter.yaml", file})
	if code != read.ExitOK {
		t.Fatalf("verifier read ended with %d: %s", code, complaint.String())
	}
	var r read.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// sums are what the page of a recipe compares.
type sums struct {
	Copies, NotIP, Truncated uint64
}

func ofVerifier(r read.Report) (s sums) {
	for _, stream := range r.Streams {
		s.Copies += stream.Packets
		s.NotIP += stream.Protocols.NotIP
		s.Truncated += stream.Truncated
	}
	return s
}

func ofSuricata(d decoder) sums {
	return sums{Copies: d.VXLAN, NotIP: d.VXLAN - d.inner(), Truncated: d.inner() - d.whole()}
}

// all are one kind of each that both count alike, in numbers that can't be confounded.
func all() [][]byte {
	return frames(
		kind{10, copied(1, hello())}, kind{20, copied(1, cut())}, kind{40, copied(1, toPort(80))},
		kind{80, copied(1, frametest.ARP())}, kind{160, copied(7, hello())},
		kind{320, copied(1, six("hello"))}, kind{640, copied(1, six(string(make([]byte, 400)))[:110])},
		kind{1280, reserved(0, 0xff)}, kind{2560, reserved(2, 0xff)},
	)
}

func TestSuricataCountsInAFileWhatVerifierReadCounts(t *testing.T) {
	file := write(t, all())
	suricata, alerts := offline(t, file)
	report := verifier(t, file)
	want := sums{Copies: 5110, NotIP: 80, Truncated: 660}
	if diff := cmp.Diff(want, ofVerifier(report)); diff != "" {
		t.Errorf("verifier read counts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, ofSuricata(suricata.Decoder)); diff != "" {
		t.Errorf("Suricata counts (-want +got):\n%s\n%+v", diff, suricata.Decoder)
	}
	if suricata.Decoder.Packets != report.Frames {
		t.Errorf("Suricata read %d packets, the verifier %d frames", suricata.Decoder.Packets, report.Frames)
	}
	if n := suricata.Decoder.Event.IPv4.Truncated; n != 0 {
		t.Errorf("decoder.event.ipv4.trunc_pkt is %d; the page says that copies that are cut are not counted there", n)
	}
	var want4 alert // the inner addresses, and the mirror's source as that of the tunnel
	want4.Signature.ID, want4.SourceIP, want4.Tunnel.SourceIP = 1000001, frametest.ClientAddr.String(), frametest.SourceAddr.String()
	if !slices.Contains(alerts, want4) {
		t.Errorf("the alerts are %+v, without %+v: does Suricata look into the copies?", alerts, want4)
	}
}

func TestSuricataLooksIntoNothingThatIsCut(t *testing.T) {
	if _, alerts := offline(t, write(t, frames(kind{50, copied(1, cut())}))); len(alerts) != 0 {
		t.Errorf("a rule fitted what is cut: %+v; then the page is wrong", alerts[0])
	}
}

func TestWithTheLastReservedByteSetSuricata7TakesNoCopyAndALaterOneTakesItByTheRecipesSetting(t *testing.T) {
	file := write(t, frames(kind{3, copied(1, hello())}, kind{5, reserved(7, 1)}))
	if got := ofVerifier(verifier(t, file)).Copies; got != 8 {
		t.Errorf("the verifier counts %d copies, want 8", got)
	}
	want := uint64(8)
	if version(t) == "7" {
		want = 3
	}
	suricata, _ := offline(t, file)
	if got := suricata.Decoder; got.VXLAN != want || got.Packets != 8 {
		t.Errorf("decoder.vxlan is %d and decoder.pkts %d, want %d and 8", got.VXLAN, got.Packets, want)
	}
}

// version is the first number of the program's version.
func version(t *testing.T) string {
	t.Helper()
	said, err := exec.Command(need.Tool(t, "suricata"), "-V").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, number, _ := strings.Cut(string(said), "version ")
	number, _, _ = strings.Cut(number, ".")
	return number
}

package read_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/read"
)

// pcap makes a capture of frames, each cut at snap bytes.
func pcap(snap int, frames ...[]byte) []byte {
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(uint32(snap), layers.LinkTypeEthernet); err != nil {
		panic(err)
	}
	for i, f := range frames {
		n := min(snap, len(f))
		info := gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: n, Length: len(f)}
		if err := w.WritePacket(info, f[:n]); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func save(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs the command and takes the folders out of what it says.
func run(args ...string) (exit int, stdout, stderr string) {
	var out, errs bytes.Buffer
	exit = read.Main(args, &out, &errs)
	stdout, stderr = out.String(), errs.String()
	for _, a := range args {
		if dir := filepath.Dir(a); dir != "." {
			stdout, stderr = strings.ReplaceAll(stdout, dir+"/", ""), strings.ReplaceAll(stderr, dir+"/", "")
		}
	}
	return exit, stdout, stderr
}

// mixed are five copies of one stream, one of each of three others, and one
// frame of most classes.
func mixed() [][]byte {
	inner := frametest.Inner(strings.Repeat("x", 44)).Bytes() // 98 bytes
	from := func(source string, vni uint32, inner []byte) frametest.Packet {
		p := frametest.Copy(vni, inner)
		p.Source = netip.MustParseAddr(source)
		if p.Source.Is6() {
			p.Destination = netip.MustParseAddr("2001:db8::164")
		}
		return p
	}
	stream := from("192.168.203.1", 100, inner)
	later, other := stream, stream
	later.FragmentOffset, other.DestinationPort = 3, 53
	nested := from("192.168.203.2", 100, from("192.168.203.1", 100, inner).Bytes())
	bad, gpe, malformed := stream.Bytes(), stream.Bytes(), stream.Bytes()
	bad[42], gpe[42], gpe[45], malformed[14] = 0, 0x0c, 1, 0x44
	frames := [][]byte{
		later.Bytes(), bad, gpe, malformed, other.Bytes(), frametest.ARP(), nested.Bytes(),
		from("192.168.203.1", 7, inner).Bytes(), from("2001:db8::1", 100, inner).Bytes(),
	}
	for range 5 {
		frames = append(frames, stream.Bytes())
	}
	return frames
}

const mixedJSON = `{"file":"a.pcap","frames":14,"streams":[` +
	`{"source":"192.168.203.1","vni":7,"packets":1,"bytes":98,"frames":1},` +
	`{"source":"192.168.203.1","vni":100,"packets":5,"bytes":490,"frames":5},` +
	`{"source":"192.168.203.2","vni":100,"packets":1,"bytes":148,"frames":1},` +
	`{"source":"2001:db8::1","vni":100,"packets":1,"bytes":98,"frames":1}],` +
	`"other":{"notVXLAN":2,"outerFragment":1,"badHeader":1,"gpe":1,"malformed":1,"cut":0,"tooManyStreams":0}}` + "\n"

func TestJSONIsOneObjectPerFile(t *testing.T) {
	exit, stdout, stderr := run("--output", "json", save(t, "a.pcap", pcap(65535, mixed()...)))
	if diff := cmp.Diff(mixedJSON, stdout); diff != "" || exit != 0 || stderr != "" {
		t.Error(exit, stderr, diff)
	}
	path := save(t, "b.pcap", pcap(65535))
	exit, stdout, stderr = run(path, "-o", "json", path)
	empty := `{"file":"b.pcap","frames":0,"streams":[],"other":{"notVXLAN":0,"outerFragment":0,"badHeader":0,"gpe":0,"malformed":0,"cut":0,"tooManyStreams":0}}` + "\n"
	if diff := cmp.Diff(empty+empty, stdout); diff != "" || exit != 0 || stderr != "" {
		t.Error(exit, stderr, diff)
	}
}

func TestASnapLengthChangesNoCount(t *testing.T) {
	exit, stdout, stderr := run("--output", "json", save(t, "a.pcap", pcap(96, mixed()...)))
	if diff := cmp.Diff(mixedJSON, stdout); diff != "" || exit != 0 || stderr != "" {
		t.Error(exit, stderr, diff)
	}
}

func TestFramesThatWereCutBeforeTheVXLANHeaderAreCounted(t *testing.T) {
	frame := frametest.Copy(1, frametest.Inner("x").Bytes()).Bytes()
	exit, stdout, _ := run("--output", "json", save(t, "a.pcap", pcap(49, frame, frame)))
	want := `{"file":"a.pcap","frames":2,"streams":[],"other":{"notVXLAN":0,"outerFragment":0,"badHeader":0,"gpe":0,"malformed":0,"cut":2,"tooManyStreams":0}}` + "\n"
	if diff := cmp.Diff(want, stdout); diff != "" || exit != 0 {
		t.Error(exit, diff)
	}
}

func TestTextIsForPeople(t *testing.T) {
	exit, stdout, stderr := run(save(t, "a.pcap", pcap(65535, mixed()...)))
	want := `a.pcap: frames 14, streams 4, packets 8
         SOURCE  VNI  PACKETS  BYTES
  192.168.203.1    7        1     98
  192.168.203.1  100        5    490
  192.168.203.2  100        1    148
    2001:db8::1  100        1     98
other frames: not VXLAN 2, outer fragment 1, bad VXLAN header 1, VXLAN-GPE 1, malformed 1
`
	if diff := cmp.Diff(want, stdout); diff != "" || exit != 0 || stderr != "" {
		t.Error(exit, stderr, diff)
	}
}

func TestAnotherPortCanBeVXLAN(t *testing.T) {
	p := frametest.Copy(1, frametest.Inner("x").Bytes())
	p.DestinationPort = 8472
	path := save(t, "a.pcap", pcap(65535, p.Bytes()))
	for port, want := range map[string]string{
		"8472": "a.pcap: frames 1, streams 1, packets 1\n         SOURCE  VNI  PACKETS  BYTES\n  192.168.0.230    1        1     60\n",
		"4789": "a.pcap: frames 1, streams 0, packets 0\nother frames: not VXLAN 1\n",
	} {
		if exit, stdout, _ := run(path, "--port", port); exit != 0 || stdout != want {
			t.Errorf("port %s: %d, %s", port, exit, cmp.Diff(want, stdout))
		}
	}
}

func TestACutFileIsReportedAsFarAsItWasRead(t *testing.T) {
	frame := frametest.Copy(1, frametest.Inner("x").Bytes()).Bytes()
	whole := pcap(65535, frame, frame, frame)
	path := save(t, "a.pcap", whole[:len(whole)-1])
	exit, stdout, stderr := run("--output", "json", path)
	note := "the file is cut in the middle: a record at byte 276 needs 126 bytes, 125 are there"
	wantOut := `{"file":"a.pcap","frames":2,"streams":[{"source":"192.168.0.230","vni":1,"packets":2,"bytes":120,"frames":2}],` +
		`"other":{"notVXLAN":0,"outerFragment":0,"badHeader":0,"gpe":0,"malformed":0,"cut":0,"tooManyStreams":0},"note":"` + note + `"}` + "\n"
	if diff := cmp.Diff(wantOut, stdout); diff != "" || exit != 1 {
		t.Error(exit, diff)
	}
	if diff := cmp.Diff("verifier read: a.pcap: "+note+"; what came before is reported\n", stderr); diff != "" {
		t.Error(diff)
	}
	if _, stdout, _ := run(path); !strings.HasSuffix(stdout, "note: "+note+"\n") {
		t.Errorf("the text has no note: %s", stdout)
	}
}

func TestAFileThatCannotBeReadHidesNoOther(t *testing.T) {
	good := save(t, "a.pcap", pcap(65535, mixed()...))
	exit, stdout, stderr := run("--output", "json", save(t, "text", []byte("hello")), "/no/such/file", good)
	wantErr := "verifier read: text: not a pcap or pcapng file\nverifier read: open file: no such file or directory\n"
	if exit != 1 || stdout != mixedJSON || stderr != wantErr {
		t.Errorf("%d\n%s%s", exit, cmp.Diff(mixedJSON, stdout), cmp.Diff(wantErr, stderr))
	}
}

func TestAWrongCommandLineIsExplained(t *testing.T) {
	for want, args := range map[string][]string{
		"verifier read: name at least one capture file; see verifier read --help\n":                {},
		"verifier read: --output is \"yaml\", it must be text or json; see verifier read --help\n": {"a", "--output", "yaml"},
		"verifier read: --port is 0, it must be 1 to 65535; see verifier read --help\n":            {"a", "--port", "0"},
		"verifier read: unknown flag: --colour; see verifier read --help\n":                        {"--colour"},
	} {
		if exit, stdout, stderr := run(args...); exit != 2 || stdout != "" || stderr != want {
			t.Errorf("%q: %d %s%s", args, exit, stdout, stderr)
		}
	}
	if exit, stdout, stderr := run("--help"); exit != 0 || stderr != "" || !strings.Contains(stdout, "verifier read FILE...") || !strings.Contains(stdout, "--port") {
		t.Errorf("%d %s%s", exit, stdout, stderr)
	}
}

// Whatever is in a file, frames = the frames of all streams + all of other.
func TestTheBooksOfAFileBalance(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		frames := mixed()
		for _, f := range frames {
			for range rapid.IntRange(0, 3).Draw(t, "replaced bytes") {
				f[rapid.IntRange(0, len(f)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			}
		}
		path := filepath.Join(dir, "a.pcap")
		if err := os.WriteFile(path, pcap(rapid.IntRange(1, 200).Draw(t, "snap length"), frames...), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		if exit := read.Main([]string{"--output", "json", path}, &out, &errs); exit != 0 {
			t.Fatalf("%d %s", exit, errs.String())
		}
		var report read.Report
		if err := json.Unmarshal(out.Bytes(), &report); err != nil {
			t.Fatal(err)
		}
		o := report.Other
		sum := o.NotVXLAN + o.OuterFragment + o.BadHeader + o.GPE + o.Malformed + o.Cut + o.TooManyStreams
		for _, s := range report.Streams {
			sum += s.Frames
		}
		if report.Frames != uint64(len(frames)) || sum != report.Frames {
			t.Fatalf("%d frames, %d were read, %d are accounted for", len(frames), report.Frames, sum)
		}
	})
}

func TestManyStreamsAreKeptApart(t *testing.T) {
	var frames [][]byte
	const streams = 6000 // more than the cache in front of the table holds
	for i := range streams {
		p := frametest.Copy(uint32(i%3), []byte("x"))
		p.Source = netip.AddrFrom4([4]byte{10, 0, byte(i / 3 >> 8), byte(i / 3)})
		frames = append(frames, p.Bytes())
	}
	frames = append(append(frames, frames...), frames[:streams/2]...)
	report, ok, err := read.File(save(t, "a.pcap", pcap(65535, frames...)), 4789)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if len(report.Streams) != streams {
		t.Fatalf("%d streams of %d", len(report.Streams), streams)
	}
	for i, s := range report.Streams { // sorted as they were made
		want := read.Stream{Source: netip.AddrFrom4([4]byte{10, 0, byte(i / 3 >> 8), byte(i / 3)}), VNI: uint32(i % 3), Packets: 2}
		if i < streams/2 {
			want.Packets++
		}
		want.Frames, want.Bytes = want.Packets, want.Packets
		if s != want {
			t.Fatalf("stream %d: %+v, want %+v", i, s, want)
		}
	}
}

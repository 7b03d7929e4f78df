package read_test

import (
	"bytes"
	"encoding/json"
	"fmt"
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
	exit = read.Main(read.Terminal{In: strings.NewReader(""), Out: &out, Err: &errs}, args)
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

// streamJSON is a stream of mixed, whose packets are all the same.
func streamJSON(source, destination string, vni, packets, bytes int, times, protocols, directions, sample string) string {
	return fmt.Sprintf(`{"source":%q,"destination":%q,"vni":%d,"packets":%d,"bytes":%d,"frames":%d,%s"protocols":{%s},"directions":{%s},"truncated":0,"superFrames":0,"sample":%q}`,
		source, destination, vni, packets, bytes, packets, times, protocols, directions, sample)
}

func mixedJSON() string {
	const tcp, udp, unknown = `"tcp":%d,"udp":0,"icmp":0,"icmpv6":0,"otherIP":0,"notIP":0,"unknown":0`,
		`"tcp":0,"udp":%d,"icmp":0,"icmpv6":0,"otherIP":0,"notIP":0,"unknown":0`, `"ingress":0,"egress":0,"unknown":%d`
	const outer = "fa:16:3e:d1:6b:5d > fa:16:3e:7e:d6:7a, IPv4, length %d: %s.32838 > 192.168.0.164.4789: VXLAN, flags [I] (0x08), vni %d: "
	const inner = "fa:16:3e:7e:d6:77 > fa:16:3e:7e:d6:bc, IPv4, length 98: 192.168.0.161.38944 > 192.168.0.230.1234: Flags [P.], seq 1, length 44"
	once := func(second int) string {
		at := fmt.Sprintf("1970-01-01T00:00:%02dZ", second)
		return fmt.Sprintf(`"first":%q,"last":%q,`, at, at)
	}
	return `{"file":"a.pcap","frames":14,"streams":[` + strings.Join([]string{
		streamJSON("192.168.203.1", "192.168.0.164", 7, 1, 98, once(7), fmt.Sprintf(tcp, 1), fmt.Sprintf(unknown, 1), fmt.Sprintf(outer, 148, "192.168.203.1", 7)+inner),
		streamJSON("192.168.203.1", "192.168.0.164", 100, 5, 490,
			`"first":"1970-01-01T00:00:09Z","last":"1970-01-01T00:00:13Z","packetsPerSecond":1.25,"bytesPerSecond":122.5,`,
			fmt.Sprintf(tcp, 5), fmt.Sprintf(unknown, 5), fmt.Sprintf(outer, 148, "192.168.203.1", 100)+inner),
		streamJSON("192.168.203.2", "192.168.0.164", 100, 1, 148, once(6), fmt.Sprintf(udp, 1), fmt.Sprintf(unknown, 1), nestedSample),
		streamJSON("2001:db8::1", "2001:db8::164", 100, 1, 98, once(8), fmt.Sprintf(tcp, 1), fmt.Sprintf(unknown, 1),
			"fa:16:3e:d1:6b:5d > fa:16:3e:7e:d6:7a, IPv6, length 168: 2001:db8::1.32838 > 2001:db8::164.4789: VXLAN, flags [I] (0x08), vni 100: "+inner),
	}, ",") + `],` + otherJSON(2, 1, 1, 1, 1, 0) + `,"otherPorts":[{"port":53,"frames":1}]}` + "\n"
}

const nestedSample = "fa:16:3e:d1:6b:5d > fa:16:3e:7e:d6:7a, IPv4, length 198: 192.168.203.2.32838 > 192.168.0.164.4789: VXLAN, flags [I] (0x08), vni 100: " +
	"fa:16:3e:d1:6b:5d > fa:16:3e:7e:d6:7a, IPv4, length 148: 192.168.203.1.32838 > 192.168.0.164.4789: UDP, length 106"

func otherJSON(not, fragment, bad, gpe, malformed, cut int) string {
	return fmt.Sprintf(`"other":{"notVXLAN":%d,"outerFragment":%d,"badHeader":%d,"gpe":%d,"malformed":%d,"cut":%d,"tooManyStreams":0,"unreadableLinkType":0}`,
		not, fragment, bad, gpe, malformed, cut)
}

func TestJSONIsOneObjectPerFile(t *testing.T) {
	exit, stdout, stderr := run("--output", "json", save(t, "a.pcap", pcap(65535, mixed()...)))
	if diff := cmp.Diff(mixedJSON(), stdout); diff != "" || exit != 0 || stderr != "" {
		t.Error(exit, stderr, diff)
	}
	path := save(t, "b.pcap", pcap(65535))
	exit, stdout, stderr = run(path, "-o", "json", path)
	empty := `{"file":"b.pcap","frames":0,"streams":[],` + otherJSON(0, 0, 0, 0, 0, 0) + "}\n"
	if diff := cmp.Diff(empty+empty, stdout); diff != "" || exit != 0 || stderr != "" {
		t.Error(exit, stderr, diff)
	}
}

func TestASnapLengthChangesNoCount(t *testing.T) {
	whole := readJSON(t, save(t, "a.pcap", pcap(65535, mixed()...)))
	cut := readJSON(t, save(t, "a.pcap", pcap(96, mixed()...)))
	for i := range cut.Streams {
		whole.Streams[i].Sample, cut.Streams[i].Sample = "", ""
	}
	if diff := cmp.Diff(whole, cut, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestFramesThatWereCutBeforeTheVXLANHeaderAreCounted(t *testing.T) {
	frame := frametest.Copy(1, frametest.Inner("x").Bytes()).Bytes()
	exit, stdout, _ := run("--output", "json", save(t, "a.pcap", pcap(49, frame, frame)))
	want := `{"file":"a.pcap","frames":2,"streams":[],` + otherJSON(0, 0, 0, 0, 0, 2) + "}\n"
	if diff := cmp.Diff(want, stdout); diff != "" || exit != 0 {
		t.Error(exit, diff)
	}
}

func TestTextIsForPeople(t *testing.T) {
	exit, stdout, stderr := run(save(t, "a.pcap", pcap(65535, mixed()...)))
	want := `a.pcap: frames 14, streams 4, packets 8
         SOURCE  VNI  PACKETS  BYTES  PACKETS/S  BYTES/S  INGRESS  EGRESS  TRUNCATED  SUPER-FRAMES
  192.168.203.1    7        1     98          -        -        0       0          0             0
  192.168.203.1  100        5    490        1.2      123        0       0          0             0
  192.168.203.2  100        1    148          -        -        0       0          0             0
    2001:db8::1  100        1     98          -        -        0       0          0             0
192.168.203.1, VNI 7, to 192.168.0.164, 1970-01-01T00:00:07Z to 1970-01-01T00:00:07Z: TCP 1, of no known direction 1
  fa:16:3e:d1:6b:5d > fa:16:3e:7e:d6:7a, IPv4, length 148: 192.168.203.1.32838 > 192.168.0.164.4789: VXLAN, flags [I] (0x08), vni 7: fa:16:3e:7e:d6:77 > fa:16:3e:7e:d6:bc, IPv4, length 98: 192.168.0.161.38944 > 192.168.0.230.1234: Flags [P.], seq 1, length 44
192.168.203.1, VNI 100, to 192.168.0.164, 1970-01-01T00:00:09Z to 1970-01-01T00:00:13Z: TCP 5, of no known direction 5
  fa:16:3e:d1:6b:5d > fa:16:3e:7e:d6:7a, IPv4, length 148: 192.168.203.1.32838 > 192.168.0.164.4789: VXLAN, flags [I] (0x08), vni 100: fa:16:3e:7e:d6:77 > fa:16:3e:7e:d6:bc, IPv4, length 98: 192.168.0.161.38944 > 192.168.0.230.1234: Flags [P.], seq 1, length 44
192.168.203.2, VNI 100, to 192.168.0.164, 1970-01-01T00:00:06Z to 1970-01-01T00:00:06Z: UDP 1, of no known direction 1
  fa:16:3e:d1:6b:5d > fa:16:3e:7e:d6:7a, IPv4, length 198: 192.168.203.2.32838 > 192.168.0.164.4789: VXLAN, flags [I] (0x08), vni 100: fa:16:3e:d1:6b:5d > fa:16:3e:7e:d6:7a, IPv4, length 148: 192.168.203.1.32838 > 192.168.0.164.4789: UDP, length 106
2001:db8::1, VNI 100, to 2001:db8::164, 1970-01-01T00:00:08Z to 1970-01-01T00:00:08Z: TCP 1, of no known direction 1
  fa:16:3e:d1:6b:5d > fa:16:3e:7e:d6:7a, IPv6, length 168: 2001:db8::1.32838 > 2001:db8::164.4789: VXLAN, flags [I] (0x08), vni 100: fa:16:3e:7e:d6:77 > fa:16:3e:7e:d6:bc, IPv4, length 98: 192.168.0.161.38944 > 192.168.0.230.1234: Flags [P.], seq 1, length 44
other frames: not VXLAN 2, of these 1 to UDP 53: try --port 53; outer fragment 1, bad VXLAN header 1, VXLAN-GPE 1, malformed 1
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
		"8472": "a.pcap: frames 1, streams 1, packets 1\n",
		"4789": "a.pcap: frames 1, streams 0, packets 0\nother frames: not VXLAN 1, of these 1 to UDP 8472: try --port 8472\n",
	} {
		if exit, stdout, _ := run(path, "--port", port); exit != 0 || !strings.HasPrefix(stdout, want) {
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
	var report read.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || exit != 1 {
		t.Fatal(exit, err)
	}
	if report.Frames != 2 || report.Streams[0].Packets != 2 || report.Note != note {
		t.Errorf("%+v", report)
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
	if exit != 1 || stdout != mixedJSON() || stderr != wantErr {
		t.Errorf("%d\n%s%s", exit, cmp.Diff(mixedJSON(), stdout), cmp.Diff(wantErr, stderr))
	}
}

// readJSON reads one file with more arguments.
func readJSON(t *testing.T, args ...string) (report read.Report) {
	t.Helper()
	exit, stdout, stderr := run(append([]string{"--output", "json"}, args...)...)
	if exit != 0 || stderr != "" {
		t.Fatal(exit, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err)
	}
	return report
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
		if exit := read.Main(read.Terminal{Out: &out, Err: &errs}, []string{"--output", "json", path}); exit != 0 {
			t.Fatalf("%d %s", exit, errs.String())
		}
		var report read.Report
		if err := json.Unmarshal(out.Bytes(), &report); err != nil {
			t.Fatal(err)
		}
		o := report.Other
		sum := o.NotVXLAN + o.OuterFragment + o.BadHeader + o.GPE + o.Malformed + o.Cut + o.TooManyStreams + o.UnreadableLinkType
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
	report := readJSON(t, save(t, "a.pcap", pcap(65535, frames...)))
	if len(report.Streams) != streams {
		t.Fatalf("%d streams of %d", len(report.Streams), streams)
	}
	for i, s := range report.Streams { // sorted as they were made
		want := uint64(2)
		if i < streams/2 {
			want++
		}
		source := netip.AddrFrom4([4]byte{10, 0, byte(i / 3 >> 8), byte(i / 3)})
		if s.Source != source || s.VNI != uint32(i%3) || s.Packets != want || s.Frames != want || s.Bytes != want {
			t.Fatalf("stream %d: %+v, want %d packets", i, s, want)
		}
	}
}

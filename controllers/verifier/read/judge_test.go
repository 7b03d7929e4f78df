package read_test

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/read"
)

const manifest = `apiVersion: v1
kind: Namespace
metadata:
  name: other
---
apiVersion: vpcmirror.io/v1alpha1
kind: MirrorFilter
metadata:
  name: web
spec:
  region: r
  rules:
  - {direction: Ingress, priority: 1, action: Accept, protocol: TCP, destination: {port: 1234}}
  - {direction: Ingress, priority: 2, action: Reject, protocol: UDP}
  - {direction: Egress, priority: 1, action: Accept}
`

// inside are copies of what a filter tells apart.
func inside() [][]byte {
	in := frametest.Inner("x") // TCP to port 1234 of the source
	out, udp, otherPort := in, in, in
	out.Source, out.Destination, out.SourceMAC, out.DestinationMAC = in.Destination, in.Source, in.DestinationMAC, in.SourceMAC
	udp.Protocol, otherPort.DestinationPort = 17, 80
	stranger := in
	stranger.Destination = netip.MustParseAddr("192.168.0.99")
	var frames [][]byte
	for _, inner := range [][]byte{
		in.Bytes(), in.Bytes(), out.Bytes(), udp.Bytes(), otherPort.Bytes(), stranger.Bytes(), frametest.ARP(), in.Bytes()[:16],
	} {
		frames = append(frames, frametest.Copy(1, inner).Bytes())
	}
	return frames
}

func TestAFilterJudgesAFileAsTheLiveVerifierDoes(t *testing.T) {
	rules := save(t, "f.yaml", []byte(manifest))
	report := readJSON(t, save(t, "a.pcap", pcap(65535, inside()...)), "--filter", rules)
	s := report.Streams[0]
	// Unexpected are the rejected one, that of no rule, and ARP; undecided the
	// stranger's and the one without addresses.
	length := uint64(len(frametest.Inner("x").Bytes()))
	want := &read.Judged{Accepted: 3, AcceptedBytes: 3 * length, Unexpected: 3, Undecided: 2, Rules: []uint64{2, 1, 1}}
	if diff := cmp.Diff(want, s.Judged); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]read.Rule{
		{Direction: "Ingress", Priority: 1, Accept: true, Packets: 2}, {Direction: "Ingress", Priority: 2, Packets: 1},
		{Direction: "Egress", Priority: 1, Accept: true, Packets: 1},
	}, report.Rules); diff != "" {
		t.Error(diff)
	}
	_, stdout, _ := run(save(t, "a.pcap", pcap(65535, inside()...)), "--filter", rules)
	for _, want := range []string{"ACCEPTED  UNEXPECTED  UNDECIDED", "rule 1, Ingress priority 2, Reject: packets 1\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in %s", want, stdout)
		}
	}
}

func TestAFilterThatCanNotBeUsedIsOneSentence(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"no filter":         {"kind: Namespace\n", "f.yaml has no MirrorFilter of vpcmirror.io/v1alpha1: name a file that has one"},
		"two filters":       {manifest + "---\n" + manifest, "f.yaml has more than one MirrorFilter: leave one in it"},
		"a wrong action":    {strings.Replace(manifest, "action: Reject", "action: Refuse", 1), `f.yaml: spec.rules[1].action is "Refuse", it must be Accept or Reject`},
		"an unknown field":  {strings.Replace(manifest, "protocol: UDP", "protokol: UDP", 1), `unknown field "protokol"`},
		"a wrong direction": {strings.Replace(manifest, "direction: Egress", "direction: Out", 1), `f.yaml: spec.rules: rule 2: direction "Out" is neither ingress nor egress`},
		"what is no YAML":   {"kind: [", "f.yaml: "},
		"a wrong block":     {strings.Replace(manifest, "port: 1234", "cidr: 10.0.0.0", 1), "f.yaml: spec.rules[0].destination.cidr"},
		"a port too large":  {strings.Replace(manifest, "port: 1234", "port: 70000", 1), "f.yaml: spec.rules[0].destination.port: 70000 to 70000 is no range of ports"},
	} {
		t.Run(name, func(t *testing.T) {
			exit, stdout, stderr := run("a.pcap", "--filter", save(t, "f.yaml", []byte(c.content)))
			if exit != 2 || stdout != "" || !strings.HasPrefix(stderr, "verifier read: --filter: ") || !strings.Contains(stderr, c.want) {
				t.Errorf("%d %s%s", exit, stdout, stderr)
			}
		})
	}
}

func TestAStreamShowsWhatItIsMadeOf(t *testing.T) {
	frames := inside()
	long := frametest.Inner(strings.Repeat("y", 1460)).Bytes()
	elsewhere := frametest.Copy(1, long[:96])
	elsewhere.Destination = netip.MustParseAddr("192.168.0.165")
	frames = append(frames, elsewhere.Bytes(), frametest.Copy(1, long).Bytes())
	s := readJSON(t, save(t, "a.pcap", pcap(65535, frames...))).Streams[0]
	if s.Destination != frametest.TargetAddr || s.OtherDestinations != 1 || s.Truncated != 2 || s.SuperFrames != 1 {
		t.Errorf("%+v", s)
	}
	if want := (read.Protocols{TCP: 7, UDP: 1, NotIP: 1, Unknown: 1}); s.Protocols != want {
		t.Errorf("%+v", s.Protocols)
	}
	if want := (read.Directions{Ingress: 6, Egress: 1, Unknown: 3}); s.Directions != want {
		t.Errorf("%+v", s.Directions)
	}
	if s.First.Unix() != 1 || s.Last.Unix() != 9 || s.PacketsPerSecond != 1.25 {
		t.Errorf("%s to %s, %v", s.First, s.Last, s.PacketsPerSecond)
	}
}

// Without a filter the usual packets take a shorter way: it says what the long one says.
func TestTheShortWayThroughAPacketSaysWhatTheLongOneSays(t *testing.T) {
	rules := save(t, "f.yaml", []byte(manifest))
	rapid.Check(t, func(rt *rapid.T) {
		var frames [][]byte
		for _, f := range inside() {
			for range rapid.IntRange(0, 3).Draw(rt, "replaced bytes") {
				f[rapid.IntRange(50, len(f)-1).Draw(rt, "at")] = rapid.Byte().Draw(rt, "byte")
			}
			frames = append(frames, f)
		}
		path := save(t, "a.pcap", pcap(rapid.IntRange(50, 200).Draw(rt, "snap length"), frames...))
		short, long := readJSON(t, path), readJSON(t, path, "--filter", rules)
		long.Rules = nil
		for i := range long.Streams {
			long.Streams[i].Judged = nil
		}
		if diff := cmp.Diff(long, short, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			rt.Fatal(diff)
		}
	})
}

func TestFramesToAnotherPortAreNamed(t *testing.T) {
	var frames [][]byte
	for i := range 100 {
		p := frametest.Copy(1, frametest.Inner("x").Bytes())
		p.DestinationPort = 8472
		if i >= 96 {
			p.DestinationPort, p.Payload = 53, []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00")
		}
		frames = append(frames, p.Bytes())
	}
	path := save(t, "a.pcap", pcap(65535, frames...))
	if _, stdout, _ := run(path); !strings.HasSuffix(stdout, "other frames: not VXLAN 100, of these 96 to UDP 8472: try --port 8472\n") {
		t.Error(stdout)
	}
	if diff := cmp.Diff([]read.PortFrames{{Port: 8472, Frames: 96}}, readJSON(t, path).OtherPorts); diff != "" {
		t.Error(diff)
	}
}

func TestStreamsThatHaveNoPlaceAreCountedTogether(t *testing.T) {
	const places, more = 16384, 100
	template := frametest.Copy(1, []byte("x")).Bytes()
	frames := make([][]byte, places+more)
	for i := range frames {
		frames[i] = append([]byte(nil), template...)
		binary.BigEndian.PutUint32(frames[i][26:], uint32(i))
	}
	path := save(t, "a.pcap", pcap(65535, frames...))
	report := readJSON(t, path)
	if report.Frames != places+more || len(report.Streams) != places || report.Other.TooManyStreams != more {
		t.Errorf("frames %d, streams %d, %+v", report.Frames, len(report.Streams), report.Other)
	}
	_, stdout, _ := run(path)
	if want := "too many streams 100\nonly the first 16384 streams are kept apart, what is in further ones is not counted by stream\n"; !strings.HasSuffix(stdout, want) {
		t.Error(stdout[len(stdout)-300:])
	}
}

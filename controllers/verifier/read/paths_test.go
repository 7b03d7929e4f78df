package read

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// The commonest packets are counted by what is at fixed offsets.
func TestTheFastPathCountsWhatTheWalkCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFilter(t)
		fast, walk := newCounter(vxlan.Port, f), newCounter(vxlan.Port, f)
		walk.walkAll = true
		for _, f := range rapid.SliceOfN(rapid.Custom(anyFrame), 1, 20).Draw(t, "frames") {
			fast.frame(&f)
			walk.frame(&f)
		}
		same(t, walk.report("", nil), fast.report("", nil))
	})
}

// Of every frame, in a stream that it begins and in one that is known.
func FuzzTheFastPathCountsWhatTheWalkCounts(f *testing.F) {
	for _, e := range frametest.Corpus() {
		f.Add(e.Frame, uint16(len(e.Frame)), uint16(0))
		f.Add(e.Frame, uint16(90), uint16(7))
	}
	f.Fuzz(func(t *testing.T, frame []byte, captured, missing uint16) {
		it := capture.Frame{Data: frame[:min(int(captured), len(frame))], Length: len(frame) + int(missing), Time: 3}
		known := frametest.Copy(1, frametest.Inner("x").Bytes()).Bytes()
		for _, judge := range []*filter{nil, mustFilter(t, acceptAll)} {
			fast, walk := newCounter(vxlan.Port, judge), newCounter(vxlan.Port, judge)
			walk.walkAll = true
			for _, f := range []capture.Frame{it, it, {Data: known, Length: len(known), Time: 2}, it} {
				fast.frame(&f)
				walk.frame(&f)
			}
			same(t, walk.report("", nil), fast.report("", nil))
		}
	})
}

// failer is a test, also one of rapid.
type failer interface {
	Helper()
	Fatal(args ...any)
}

func same(t failer, want, got Report) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Fatal(diff)
	}
}

var acceptAll = v1alpha1.Rule{Direction: v1alpha1.DirectionIngress, Protocol: v1alpha1.ProtocolTCP, Accept: true, Priority: 1}

func mustFilter(t failer, rules ...v1alpha1.Rule) *filter {
	t.Helper()
	compiled, err := match.Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return &filter{list: rules, rules: compiled}
}

// anyFilter is none, or one with some rules.
func anyFilter(t *rapid.T) *filter {
	refuse, egress := acceptAll, acceptAll
	refuse.Accept, refuse.Priority, refuse.Destination.Ports = false, 0, v1alpha1.PortRange{Low: 1234, High: 1234}
	egress.Direction, egress.Protocol = v1alpha1.DirectionEgress, v1alpha1.ProtocolAll
	return rapid.SampledFrom([]*filter{nil, mustFilter(t), mustFilter(t, acceptAll), mustFilter(t, acceptAll, refuse, egress)}).Draw(t, "filter")
}

func anyFrame(t *rapid.T) capture.Frame {
	inner := frametest.Inner(rapid.StringN(0, 60, 60).Draw(t, "payload"))
	inner.Protocol = rapid.SampledFrom([]uint8{0, 1, 17, 47}).Draw(t, "protocol")
	inner.Options = rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "inner options")
	if rapid.Bool().Draw(t, "egress") {
		inner.Source, inner.Destination = inner.Destination, inner.Source
	}
	bytes := inner.Bytes()
	if rapid.IntRange(0, 3).Draw(t, "other length") == 0 {
		bytes[17] = byte(rapid.IntRange(18, 26).Draw(t, "length"))
	}
	p := frametest.Copy(rapid.Uint32Range(0, 3).Draw(t, "VNI"), bytes[:anyLength(t, len(bytes), "copied")])
	p.Options = rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "options")
	p.VLANs = rapid.SliceOfN(rapid.Uint16Range(0, 4095), 0, 1).Draw(t, "tags")
	if rapid.IntRange(0, 3).Draw(t, "other destination") == 0 {
		p.Destination = frametest.ClientAddr
	}
	if rapid.IntRange(0, 3).Draw(t, "IPv6") == 0 {
		p.Source, p.Destination, p.Options = frametest.Mapped(p.Source), frametest.Mapped(p.Destination), 0
	}
	data := p.Bytes()
	for range rapid.IntRange(0, 3).Draw(t, "replaced bytes") {
		data[rapid.IntRange(0, len(data)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
	}
	return capture.Frame{
		Data: data[:anyLength(t, len(data), "captured")], Length: len(data), Time: rapid.Int64Range(0, 9).Draw(t, "time"),
	}
}

// anyLength is whole mostly.
func anyLength(t *rapid.T, whole int, name string) int {
	return whole - rapid.IntRange(0, whole).Draw(t, name)*rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "cut")
}

// The table of streams grows with them, to its bound.
func TestEachStreamIsFoundAgainHoweverManyThereAre(t *testing.T) {
	c := newCounter(vxlan.Port, nil)
	p := frametest.Copy(0, frametest.Inner("x").Bytes()).Bytes()
	const more = 100
	for range 2 {
		for vni := range maxStreams + more {
			p[46], p[47], p[48] = byte(vni>>16), byte(vni>>8), byte(vni)
			c.frame(&capture.Frame{Data: p, Length: len(p)})
		}
	}
	r := c.report("", nil)
	if len(r.Streams) != maxStreams || r.Other.TooManyStreams != 2*more {
		t.Fatalf("%d streams, %d frames of others", len(r.Streams), r.Other.TooManyStreams)
	}
	for i, s := range r.Streams {
		if s.VNI != uint32(i) || s.Packets != 2 {
			t.Fatalf("stream %d: VNI %d, %d packets", i, s.VNI, s.Packets)
		}
	}
}

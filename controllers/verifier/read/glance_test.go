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

// Without a filter the usual packets are counted by a glance at fixed places.
func TestAFilterChangesNothingOfWhatIsCounted(t *testing.T) {
	rules, err := match.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		glance, look := newCounter(vxlan.Port, nil), newCounter(vxlan.Port, &filter{list: []v1alpha1.Rule{}, rules: rules})
		for _, f := range rapid.SliceOfN(rapid.Custom(anyFrame), 1, 20).Draw(t, "frames") {
			glance.frame(&f)
			look.frame(&f)
		}
		want, got := look.report("", nil), glance.report("", nil)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Stream{}, "Judged"), cmpopts.IgnoreFields(Report{}, "Rules"), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Fatal(diff)
		}
	})
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

package vxlan_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

func TestEachFrameHasItsClass(t *testing.T) {
	for _, e := range frametest.Corpus() {
		t.Run(e.Name, func(t *testing.T) {
			var outer vxlan.Outer
			if got := vxlan.Walk(e.Frame, len(e.Frame), vxlan.Port, &outer); got.String() != e.Class {
				t.Errorf("class %s, want %s: %x", got, e.Class, e.Frame)
			}
		})
	}
}

func TestTheWalkthroughsHeadersAreReadInFull(t *testing.T) {
	inner := frametest.Inner("12345\n")
	inner.TCPOptions = true
	frame := frametest.Copy(0xabcdef, inner.Bytes()).Bytes()
	var outer vxlan.Outer
	if class := vxlan.Walk(frame, len(frame), vxlan.Port, &outer); class != vxlan.Stream {
		t.Fatal(class)
	}
	want := vxlan.Outer{
		Key: vxlan.NewKey(frametest.SourceAddr, 0xabcdef), SourcePort: 32838, Flags: 0x08,
		InnerOffset: 50, InnerEnd: 122, InnerLength: 72,
	}
	if diff := cmp.Diff(want, outer, cmp.AllowUnexported(vxlan.Key{}), cmpopts.IgnoreUnexported(vxlan.Outer{})); diff != "" {
		t.Error(diff)
	}
	if got := outer.Destination(frame); got != frametest.TargetAddr {
		t.Errorf("destination %s", got)
	}
	var got vxlan.Inner
	vxlan.WalkInner(frame[outer.InnerOffset:outer.InnerEnd], &got)
	wantInner := vxlan.Inner{
		Kind: vxlan.IPv4, HasMACs: true, HasAddresses: true, HasProtocol: true, HasPorts: true,
		DestinationMAC: frametest.SourceMAC, SourceMAC: frametest.ClientMAC, EtherType: 0x0800,
		Source: frametest.ClientAddr, Destination: frametest.SourceAddr, Protocol: 6,
		SourcePort: 38944, DestinationPort: 1234, Declared: 72, Payload: 66,
	}
	if diff := cmp.Diff(wantInner, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestTheOutermostVNICounts(t *testing.T) {
	frame := frametest.Copy(9, frametest.Copy(77, frametest.Inner("x").Bytes()).Bytes()).Bytes()
	var outer vxlan.Outer
	if class := vxlan.Walk(frame, len(frame), vxlan.Port, &outer); class != vxlan.Stream || outer.Key.VNI() != 9 {
		t.Errorf("%s, VNI %d", class, outer.Key.VNI())
	}
}

func TestReservedBitsAreNotedAndIgnored(t *testing.T) {
	plain := frametest.Copy(5, nil).Bytes()
	for name, want := range map[string]struct {
		frame    []byte
		reserved bool
	}{
		"none":              {plain, false},
		"in the flags":      {edit(plain, atVXLAN, 0x88), true},
		"in the first word": {edit(plain, atVXLAN+2, 1), true},
		"behind the VNI":    {edit(plain, atVXLAN+7, 1), true},
	} {
		t.Run(name, func(t *testing.T) {
			var outer vxlan.Outer
			if class := vxlan.Walk(want.frame, len(want.frame), vxlan.Port, &outer); class != vxlan.Stream {
				t.Fatal(class)
			}
			if outer.Reserved != want.reserved || outer.Key.VNI() != 5 {
				t.Errorf("reserved %t, VNI %d", outer.Reserved, outer.Key.VNI())
			}
		})
	}
}

// The header is that of a public capture of a cloud's mirror: all flags set, a number that
// grows by one with each packet, a direction in the last byte.
func TestEachPacketOfAMirrorThatNumbersThemIsItsStreams(t *testing.T) {
	frame := frametest.Copy(11, frametest.Inner("x").Bytes()).Bytes()
	counted := 0
	for n := range 300 {
		number := 0x01d1f2 + n
		header := []byte{0xff, byte(number >> 16), byte(number >> 8), byte(number), 0, 0, 0x0b, byte(n % 2)}
		var outer vxlan.Outer
		if vxlan.Walk(edit(frame, atVXLAN, header...), len(frame), vxlan.Port, &outer) == vxlan.Stream && outer.Key.VNI() == 11 && outer.Reserved {
			counted++
		}
	}
	if counted != 300 {
		t.Errorf("%d packets of 300 are counted", counted)
	}
}

func TestTheInnerLengthIsThatOfTheWire(t *testing.T) {
	inner := frametest.Inner(string(make([]byte, 1000))).Bytes()
	plain := frametest.Copy(5, inner).Bytes()
	padded := append(append([]byte(nil), frametest.Copy(5, inner[:20]).Bytes()...), make([]byte, 46)...)
	for name, want := range map[string]struct {
		frame             []byte
		wire, length, end int
	}{
		"whole":                     {plain, len(plain), len(inner), len(plain)},
		"cut by the capture at 192": {plain[:192], len(plain), len(inner), 192},
		"padded":                    {padded, len(padded), 20, atInner + 20},
		"cut at the inner frame":    {plain[:atInner], len(plain), len(inner), atInner},
	} {
		t.Run(name, func(t *testing.T) {
			var outer vxlan.Outer
			if class := vxlan.Walk(want.frame, want.wire, vxlan.Port, &outer); class != vxlan.Stream {
				t.Fatal(class)
			}
			if outer.InnerLength != want.length || outer.InnerEnd != want.end || outer.InnerOffset != atInner {
				t.Errorf("%+v", outer)
			}
		})
	}
}

func TestAMappedAddressIsNotTheIPv4Address(t *testing.T) {
	four, mapped := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:192.0.2.1")
	a, b := vxlan.NewKey(four, 1), vxlan.NewKey(mapped, 1)
	if a == b {
		t.Error("a sender over IPv6 could write into the counts of an IPv4 source")
	}
	if a.Source() != four || b.Source() != mapped {
		t.Errorf("%s and %s", a.Source(), b.Source())
	}
}

// A capture that ends anywhere must be called cut or what the bytes already
// prove, and never read more than is there: the copy of the bytes is exactly
// as long as the prefix, so that a read beyond would panic.
func TestEveryPrefixIsReadWithinItsBytes(t *testing.T) {
	for _, e := range frametest.Corpus() {
		t.Run(e.Name, func(t *testing.T) {
			for n := range e.Frame {
				prefix := append(make([]byte, 0, n), e.Frame[:n]...)
				var outer vxlan.Outer
				class := vxlan.Walk(prefix, len(e.Frame), vxlan.Port, &outer)
				if class.String() != e.Class && class != vxlan.Cut {
					t.Errorf("%d of %d bytes captured: class %s, the whole is %s", n, len(e.Frame), class, e.Class)
				}
				if class == vxlan.Stream {
					var inner vxlan.Inner
					vxlan.WalkInner(prefix[outer.InnerOffset:outer.InnerEnd], &inner)
				}
				// The same bytes as a whole frame: the wire itself is short.
				if class := vxlan.Walk(prefix, n, vxlan.Port, &outer); class == vxlan.Cut {
					t.Errorf("a whole frame of %d bytes is called cut", n)
				}
			}
		})
	}
}

func TestGluedDatagramsAreFoundOneByOne(t *testing.T) {
	inner := frametest.Inner("some payload").Bytes()
	one := append(frametest.VXLANHeader(1), inner...)
	two := append(frametest.VXLANHeader(2), inner...)
	last := append(frametest.VXLANHeader(3), inner[:20]...)
	glued := frametest.Copy(1, nil)
	glued.Payload = append(append(append([]byte(nil), one...), two...), last...)
	frame := glued.Bytes()
	var first vxlan.Outer
	if class := vxlan.Walk(frame, len(frame), vxlan.Port, &first); class != vxlan.Stream {
		t.Fatal(class)
	}
	type found struct {
		Class       vxlan.Class
		VNI         uint32
		Length, End int
	}
	var got []found
	for n := 1; n <= 3; n++ {
		var outer vxlan.Outer
		class := vxlan.Datagram(frame, &first, n, len(one), &outer)
		got = append(got, found{class, outer.Key.VNI(), outer.InnerLength, outer.InnerEnd})
	}
	second := atVXLAN + len(one)
	want := []found{
		{vxlan.Stream, 2, len(inner), second + len(two)},
		{vxlan.Stream, 3, 20, len(frame)},
		{Class: vxlan.Malformed},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var outer vxlan.Outer
	if class := vxlan.Datagram(frame[:second+3], &first, 1, len(one), &outer); class != vxlan.Cut || outer.InnerLength != len(inner) || outer.Key != vxlan.NewKey(frametest.SourceAddr, 0) {
		t.Errorf("a datagram behind the captured bytes: %s, %+v", class, outer)
	}
	vxlan.Shorten(&first, len(one))
	if first.InnerLength != len(inner) || first.InnerEnd != second {
		t.Errorf("the first of them: %+v", first)
	}
}

func TestTheWalkDoesNotAllocate(t *testing.T) {
	for _, e := range frametest.Corpus() {
		var outer vxlan.Outer
		var inner vxlan.Inner
		if n := testing.AllocsPerRun(10, func() {
			if vxlan.Walk(e.Frame, len(e.Frame), vxlan.Port, &outer) == vxlan.Stream {
				vxlan.WalkInner(e.Frame[outer.InnerOffset:outer.InnerEnd], &inner)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", e.Name, n)
		}
	}
}

func BenchmarkWalkOfOuterAndInner(b *testing.B) {
	frame := frametest.Copy(1, frametest.Inner("12345\n").Bytes()).Bytes()
	var outer vxlan.Outer
	var inner vxlan.Inner
	b.ReportAllocs()
	for b.Loop() {
		vxlan.Walk(frame, len(frame), vxlan.Port, &outer)
		vxlan.WalkInner(frame[outer.InnerOffset:outer.InnerEnd], &inner)
	}
}

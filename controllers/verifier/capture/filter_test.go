package capture_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

var (
	source6 = netip.MustParseAddr("2001:db8::230")
	target6 = netip.MustParseAddr("2001:db8::164")
)

func filter(tb testing.TB) *bpf.VM {
	tb.Helper()
	vm, err := bpf.NewVM(capture.Filter(vxlan.Port))
	if err != nil {
		tb.Fatal(err)
	}
	return vm
}

func TestTheFilterLetsPassWhatMayBeACopy(t *testing.T) {
	vm := filter(t)
	inner := frametest.Inner("x").Bytes()
	build := func(f func(*frametest.Packet)) []byte {
		p := frametest.Copy(1, inner)
		f(&p)
		return p.Bytes()
	}
	six := func(x ...frametest.Extension) func(*frametest.Packet) {
		return func(p *frametest.Packet) {
			p.Source, p.Destination, p.Extensions = source6, target6, x
		}
	}
	piece := frametest.Extension{Protocol: 44, Body: []byte{0, 0x88, 0, 0, 0, 7}}
	options := frametest.Extension{Protocol: 60, Body: []byte{1, 4, 0, 0, 0, 0}}
	for name, c := range map[string]struct {
		frame []byte
		pass  bool
	}{
		"a copy":                              {build(func(*frametest.Packet) {}), true},
		"a copy with a tag":                   {build(func(p *frametest.Packet) { p.VLANs = []uint16{1} }), true},
		"a copy with two tags":                {build(func(p *frametest.Packet) { p.VLANs = []uint16{1, 2} }), true},
		"a copy with three tags":              {build(func(p *frametest.Packet) { p.VLANs = []uint16{1, 2, 3} }), true},
		"a copy with four tags":               {build(func(p *frametest.Packet) { p.VLANs = []uint16{1, 2, 3, 4} }), false},
		"a copy with IPv4 options":            {build(func(p *frametest.Packet) { p.Options = 10 }), true},
		"a first fragment":                    {build(func(p *frametest.Packet) { p.More = true }), true},
		"a later fragment":                    {build(func(p *frametest.Packet) { p.FragmentOffset = 9 }), true},
		"a later fragment of TCP":             {build(func(p *frametest.Packet) { p.FragmentOffset, p.Protocol = 9, 6 }), false},
		"another port":                        {build(func(p *frametest.Packet) { p.DestinationPort = 4790 }), false},
		"from the port":                       {build(func(p *frametest.Packet) { p.SourcePort, p.DestinationPort = 4789, 53 }), false},
		"TCP to the port":                     {build(func(p *frametest.Packet) { p.Protocol = 6 }), false},
		"a copy over IPv6":                    {build(six()), true},
		"a copy over IPv6 with two tags":      {build(func(p *frametest.Packet) { six()(p); p.VLANs = []uint16{1, 2} }), true},
		"a copy over IPv6 with an extension":  {build(six(options)), true},
		"a fragment over IPv6":                {build(six(piece)), true},
		"another port over IPv6":              {build(func(p *frametest.Packet) { six()(p); p.DestinationPort = 4790 }), false},
		"TCP to the port over IPv6":           {build(func(p *frametest.Packet) { six()(p); p.Protocol = 6 }), false},
		"TCP over IPv6 behind an extension":   {build(func(p *frametest.Packet) { six(options)(p); p.Protocol = 6 }), true},
		"ARP":                                 {frametest.ARP(), false},
		"an Ethernet header and nothing else": {build(func(*frametest.Packet) {})[:14], false},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := vm.Run(c.frame)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]int{true: capture.SnapLength}[c.pass]; n != want {
				t.Errorf("the filter returns %d, want %d: %x", n, want, c.frame)
			}
		})
	}
}

// The kernel joins only datagrams with a checksum. What is one whole copy by its own IP header, or
// is no longer than what is captured anyway, needs no more.
func TestOnlyWhatMayBeJoinedIsCapturedInFull(t *testing.T) {
	whole := frametest.Inner(string(make([]byte, 400)))
	six := whole
	six.Source, six.Destination = frametest.Mapped(six.Source), frametest.Mapped(six.Destination)
	tagged := whole
	tagged.VLANs = []uint16{1}
	payload := func(vni uint32, inner []byte) []byte { return append(frametest.VXLANHeader(vni), inner...) }
	const short, all = capture.SnapLength, capture.JoinedSnapLength
	for name, e := range map[string]struct {
		payload []byte
		want    int
	}{
		"one whole copy":                 {payload(1, whole.Bytes()), short},
		"one whole copy of IPv6":         {payload(1, six.Bytes()), short},
		"one copy with a tag inside":     {payload(1, tagged.Bytes()), all},
		"one cut copy":                   {payload(1, whole.Bytes()[:300]), all},
		"one that is cut short":          {payload(1, whole.Bytes()[:96]), short},
		"several":                        {slices.Repeat(payload(1, whole.Bytes()), 3), all},
		"several of IPv6":                {slices.Repeat(payload(1, six.Bytes()), 3), all},
		"several that are cut":           {slices.Repeat(payload(1, whole.Bytes()[:96]), 3), all},
		"several that are cut, of IPv6":  {slices.Repeat(payload(1, six.Bytes()[:96]), 3), all},
		"several that have no IP packet": {slices.Repeat(payload(1, frametest.ARP()), 7), all},
	} {
		for _, over := range []string{"IPv4", "IPv6", "IPv4 with options and tags"} {
			t.Run(name+" over "+over, func(t *testing.T) {
				p := frametest.Copy(0, nil)
				p.Payload = e.payload
				switch over {
				case "IPv6":
					p.Source, p.Destination = source6, target6
				case "IPv4 with options and tags":
					p.Options, p.VLANs = 5, []uint16{1, 2, 3}
				}
				for _, link := range []struct {
					program []bpf.Instruction
					header  int
				}{{capture.Filter(vxlan.Port), 0}, {capture.BareFilter(vxlan.Port), 14 + 4*len(p.VLANs)}} {
					frame := p.Bytes()[link.header:]
					want := e.want
					if len(frame) <= short {
						want = short
					}
					if got := run(t, link.program, frame); got != want {
						t.Errorf("%d captured, want %d: %x", got, want, frame)
					}
					clear(frame[len(frame)-len(e.payload)-2:][:2])
					if got := run(t, link.program, frame); got != short {
						t.Errorf("without a checksum: %d captured: %x", got, frame)
					}
				}
			})
		}
	}
}

func run(t *testing.T, program []bpf.Instruction, frame []byte) int {
	t.Helper()
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	n, err := vm.Run(frame)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What the walk calls a copy, or a damaged or fragmented one, must pass, or the
// counts would be of what the filter thinks.
func mustPass(c vxlan.Class) bool {
	return c == vxlan.Stream || c == vxlan.Fragment || c == vxlan.BadHeader || c == vxlan.GPE
}

func TestTheFilterHidesNothingThatTheWalkWouldCount(t *testing.T) {
	vm := filter(t)
	bare, err := bpf.NewVM(capture.BareFilter(vxlan.Port))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		frame := drawFrame(t)
		var outer vxlan.Outer
		class := vxlan.Walk(frame, len(frame), vxlan.Port, &outer)
		kind, at := networkHeader(frame)
		if kind == 0x8847 || kind == 0x8848 || kind == 0x8864 {
			return // MPLS and PPPoE do not reach a host by the interface with its address
		}
		captured := passes(t, vm, frame, class)
		if captured == 0 && mustPass(class) {
			t.Fatalf("the filter drops what is %s: %x", class, frame)
		}
		if captured != 0 && class == vxlan.NotVXLAN && kind != 0x86dd {
			t.Fatalf("the filter lets pass what is %s: %x", class, frame)
		}
		if version := map[uint16]byte{0x0800: 4, 0x86dd: 6}[kind]; version == 0 || frame[at]>>4 != version {
			return // a host takes no packet of that version for one of this kind
		}
		if got, err := bare.Run(frame[at:]); err != nil || (got == 0) != (captured == 0) {
			t.Fatalf("%d bytes of it are captured, without a link layer %d: %x, %v", captured, got, frame, err)
		}
	})
}

// passes is how much the filter lets be captured. That is enough for the walk: more would not
// change what the frame is, but where extension headers of IPv6 go on for long.
func passes(t *rapid.T, vm *bpf.VM, frame []byte, class vxlan.Class) int {
	n, err := vm.Run(frame)
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 || n >= len(frame) || len(frame) < 14 {
		return n
	}
	var outer vxlan.Outer
	if got := vxlan.Walk(frame[:n], len(frame), vxlan.Port, &outer); got != class && got != vxlan.Cut {
		t.Fatalf("of %d bytes %d are captured, which are %s; all are %s: %x", len(frame), n, got, class, frame)
	}
	return n
}

// networkHeader is the EtherType behind at most three tags, and what offset the header has.
func networkHeader(frame []byte) (kind uint16, at int) {
	for at = 12; at+2 < len(frame); at += 4 {
		kind = binary.BigEndian.Uint16(frame[at:])
		if kind != 0x8100 && kind != 0x88a8 && kind != 0x9100 || at == 12+3*4 {
			return kind, at + 2
		}
	}
	return 0, len(frame)
}

// drawFrame makes a frame that is a copy, or nearly: some bytes are replaced.
func drawFrame(t *rapid.T) []byte {
	inner := frametest.Inner(strings.Repeat("x", rapid.SampledFrom([]int{1, 1, 200}).Draw(t, "payload")))
	p := frametest.Copy(rapid.Uint32Range(0, 1<<24-1).Draw(t, "VNI"), inner.Bytes())
	kind := "\x08\x00"
	if rapid.Bool().Draw(t, "IPv6") {
		kind = "\x86\xdd"
		p.Source, p.Destination = source6, target6
		for range rapid.IntRange(0, 3).Draw(t, "extension headers") {
			kind := rapid.SampledFrom([]uint8{0, 43, 44, 51, 60}).Draw(t, "extension header")
			p.Extensions = append(p.Extensions, frametest.Extension{Protocol: kind, Body: make([]byte, 6)})
		}
	} else {
		p.Options = rapid.IntRange(0, 10).Draw(t, "options")
		p.FragmentOffset = rapid.SampledFrom([]uint16{0, 0, 0, 7}).Draw(t, "fragment offset")
		p.More = rapid.IntRange(0, 3).Draw(t, "more fragments") == 0
	}
	shim := rapid.SampledFrom([]string{"", "", "", "MPLS", "PPPoE"}).Draw(t, "shim")
	link := strings.Repeat("m", 12)
	for range rapid.IntRange(0, 4).Draw(t, "tags") {
		link += rapid.SampledFrom([]string{"\x81\x00", "\x88\xa8", "\x91\x00"}).Draw(t, "tag") + "\x00\x01"
	}
	packet := p.Bytes()[14:]
	switch shim {
	case "MPLS":
		link += "\x88\x47\x00\x01\x01\x40"
	case "PPPoE":
		ppp := map[string]string{"\x08\x00": "\x00\x21", "\x86\xdd": "\x00\x57"}[kind]
		link += "\x88\x64\x11\x00\x00\x01" + string(binary.BigEndian.AppendUint16(nil, uint16(len(packet)+2))) + ppp
	default:
		link += kind
	}
	frame := append([]byte(link), packet...)
	for range rapid.IntRange(0, 4).Draw(t, "replaced bytes") {
		frame[rapid.IntRange(0, min(100, len(frame)-1)).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
	}
	return frame[:len(frame)-rapid.SampledFrom([]int{0, 0, 0, 1, 40, 80}).Draw(t, "missing")]
}

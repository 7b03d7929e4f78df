package vxlan_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// secret is a payload that nobody mistakes for a header.
var secret = bytes.Repeat([]byte("secret! "), 8)

func TestHeadersEndWhereThePayloadBegins(t *testing.T) {
	edit := func(edits ...func(*frametest.Packet)) []byte {
		p := frametest.Inner(string(secret))
		for _, e := range edits {
			e(&p)
		}
		return p.Bytes()
	}
	protocol := func(number uint8) func(*frametest.Packet) { return func(p *frametest.Packet) { p.Protocol = number } }
	six := func(x ...frametest.Extension) func(*frametest.Packet) {
		return func(p *frametest.Packet) {
			p.Source, p.Destination, p.Extensions = frametest.Mapped(p.Source), frametest.Mapped(p.Destination), x
		}
	}
	options := frametest.Extension{Protocol: 60, Body: []byte{1, 4, 0, 0, 0, 0}}
	later := frametest.Extension{Protocol: 44, Body: []byte{0, 0x88, 0, 0, 0, 7}}
	for name, c := range map[string]struct {
		frame []byte
		want  int
	}{
		"TCP":                                 {edit(), 54},
		"TCP with options":                    {edit(func(p *frametest.Packet) { p.TCPOptions = true }), 66},
		"TCP with two tags":                   {edit(func(p *frametest.Packet) { p.VLANs = []uint16{1, 2} }), 62},
		"TCP behind options of IPv4":          {edit(func(p *frametest.Packet) { p.Options = 10 }), 94},
		"TCP that says it has no header":      {frametest.Edit(edit(), 14+20+12, 0), 54},
		"UDP":                                 {edit(protocol(17)), 42},
		"ICMP":                                {edit(protocol(1)), 42},
		"a protocol that is not known":        {edit(protocol(47)), 34},
		"a later fragment":                    {edit(func(p *frametest.Packet) { p.FragmentOffset = 9 }), 34},
		"TCP over IPv6":                       {edit(six()), 74},
		"TCP over IPv6 with options":          {edit(six(options)), 82},
		"a later fragment over IPv6":          {edit(six(later)), 62},
		"IPv4 of another version":             {frametest.Edit(edit(), 14, 0x65), 14},
		"IPv4 with a header too short":        {frametest.Edit(edit(), 14, 0x44), 14},
		"IPv6 of another version":             {frametest.Edit(edit(six()), 14, 0x45), 14},
		"an extension that never ends":        {frametest.Edit(edit(six(options)), 14+40+1, 0xff), 54},
		"ARP":                                 {frametest.ARP(), 42},
		"another EtherType":                   {frametest.Edit(edit(), 12, 0x88, 0xcc), 14},
		"cut in the header of TCP":            {edit()[:40], 40},
		"cut in the header of IPv4":           {edit()[:20], 20},
		"cut in the header of Ethernet":       {edit()[:9], 9},
		"nothing":                             {nil, 0},
		"a packet in VXLAN that was mirrored": {frametest.Copy(1, edit()).Bytes(), 42},
	} {
		t.Run(name, func(t *testing.T) {
			got := vxlan.HeaderEnd(c.frame)
			if got != c.want {
				t.Errorf("%d bytes are headers, want %d", got, c.want)
			}
			if bytes.Contains(c.frame[:got], []byte("ecre")) {
				t.Error("there is payload among them")
			}
		})
	}
}

func TestOfWhateverComesNoMoreThanHeadersOfTheLongestFormAreKept(t *testing.T) {
	const longest = 14 + 3*4 + 40 + 512 + 2048 + 60 // tags, IPv6, its extensions, TCP
	rapid.Check(t, func(t *rapid.T) {
		frame := frametest.Copy(1, secret).Bytes()
		if rapid.Bool().Draw(t, "six") {
			p := frametest.Inner(string(secret))
			p.Source, p.Destination = frametest.Mapped(p.Source), frametest.Mapped(p.Destination)
			frame = p.Bytes()
		}
		for range rapid.IntRange(0, 5).Draw(t, "replaced bytes") {
			frame[rapid.IntRange(0, len(frame)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		frame = frame[:rapid.IntRange(0, len(frame)).Draw(t, "captured")]
		holds(t, frame, longest)
	})
}

func FuzzHeaderEnd(f *testing.F) {
	for _, e := range frametest.Corpus() {
		f.Add(e.Frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) { holds(t, frame, 14+3*4+40+512+2048+60) })
}

type failing interface {
	Helper()
	Fatalf(format string, args ...any)
}

func holds(t failing, frame []byte, longest int) {
	t.Helper()
	end := vxlan.HeaderEnd(frame)
	if end < 0 || end > len(frame) || end > longest {
		t.Fatalf("%d bytes of %d are headers", end, len(frame))
	}
	if again := vxlan.HeaderEnd(frame[:end]); again > end {
		t.Fatalf("of what was kept, %d bytes, %d are headers", end, again)
	}
}

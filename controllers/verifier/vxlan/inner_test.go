package vxlan_test

import (
	"slices"
	"testing"

	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// summary is what is known of an inner frame, in short.
type summary struct {
	kind                            vxlan.Kind
	macs, addresses, protocol, port bool
	fragment, later                 bool
}

func walkInner(frame []byte) (vxlan.Inner, summary) {
	var p vxlan.Inner
	vxlan.WalkInner(frame, &p)
	return p, summary{p.Kind, p.HasMACs, p.HasAddresses, p.HasProtocol, p.HasPorts, p.Fragment, p.LaterFragment}
}

func TestWhatIsKnownOfAnInnerFrame(t *testing.T) {
	tcp := frametest.Inner("12345\n")
	plain := tcp.Bytes()
	later, first, icmp, tagged, options := tcp, tcp, tcp, tcp, tcp
	later.FragmentOffset, first.More, icmp.Protocol, tagged.VLANs, options.Options = 3, true, 1, []uint16{1, 2}, 10
	six := inner6(frametest.HopByHop, frametest.DestinationOptions, frametest.Routing, frametest.Authentication).Bytes()
	many := make([]frametest.Extension, 9)
	for i := range many {
		many[i] = frametest.DestinationOptions
	}
	whole := summary{vxlan.IPv4, true, true, true, true, false, false}
	six4 := summary{vxlan.IPv6, true, true, true, true, false, false}
	for name, c := range map[string]struct {
		frame []byte
		want  summary
	}{
		"a TCP packet":                               {plain, whole},
		"the four bytes of ports suffice":            {plain[:38], whole},
		"one byte less hides the ports":              {plain[:37], summary{vxlan.IPv4, true, true, true, false, false, false}},
		"one byte less than an IPv4 header":          {plain[:33], summary{vxlan.IPv4, true, false, true, false, false, false}},
		"one byte less than its protocol":            {plain[:23], summary{vxlan.IPv4, true, false, false, false, false, false}},
		"only an Ethernet header":                    {plain[:14], summary{vxlan.IPv4, true, false, false, false, false, false}},
		"one byte less than an Ethernet header":      {plain[:13], summary{vxlan.Headless, true, false, false, false, false, false}},
		"one byte less than the MACs":                {plain[:11], summary{vxlan.Headless, false, false, false, false, false, false}},
		"nothing":                                    {nil, summary{vxlan.BadInner, false, false, false, false, false, false}},
		"two VLAN tags":                              {tagged.Bytes(), whole},
		"a cut VLAN tag":                             {tagged.Bytes()[:17], summary{vxlan.Headless, true, false, false, false, false, false}},
		"IPv4 options":                               {options.Bytes(), whole},
		"IPv4 options cut":                           {options.Bytes()[:60], summary{vxlan.IPv4, true, true, true, false, false, false}},
		"ICMP has no ports":                          {icmp.Bytes(), summary{vxlan.IPv4, true, true, true, false, false, false}},
		"a first fragment has ports":                 {first.Bytes(), summary{vxlan.IPv4, true, true, true, true, true, false}},
		"a later fragment has none":                  {later.Bytes(), summary{vxlan.IPv4, true, true, true, false, true, true}},
		"IPv6 with extension headers":                {six, six4},
		"IPv6 cut in an extension header":            {six[:70], summary{vxlan.IPv6, true, true, false, false, false, false}},
		"IPv6 cut in the fixed header":               {six[:53], summary{vxlan.IPv6, true, false, false, false, false, false}},
		"an IPv6 first fragment":                     {inner6(frametest.FirstPiece).Bytes(), summary{vxlan.IPv6, true, true, true, true, true, false}},
		"an IPv6 later fragment":                     {inner6(frametest.LaterPiece).Bytes(), summary{vxlan.IPv6, true, true, true, false, true, true}},
		"an IPv6 later fragment of unknown protocol": {edit(inner6(frametest.LaterPiece).Bytes(), 54, 60), summary{vxlan.IPv6, true, true, false, false, true, true}},
		"too many IPv6 extension headers":            {inner6(many...).Bytes(), summary{vxlan.BadInner, true, true, false, false, false, false}},
		"version 6 under the type of IPv4":           {edit(plain, 14, 0x65), summary{vxlan.BadInner, true, false, false, false, false, false}},
		"version 4 under the type of IPv6":           {edit(six, 14, 0x45), summary{vxlan.BadInner, true, false, false, false, false, false}},
		"an IPv4 header of 16 bytes":                 {edit(plain, 14, 0x44), summary{vxlan.BadInner, true, false, false, false, false, false}},
		"a total length below the header":            {edit(plain, 16, 0, 19), summary{vxlan.BadInner, true, false, false, false, false, false}},
		"a total length that leaves no room for TCP": {edit(plain, 16, 0, 23), summary{vxlan.BadInner, true, true, true, false, false, false}},
		"a total length of 0, as in a super-frame":   {edit(plain, 16, 0, 0), whole},
		"ARP":                               {frametest.ARP(), summary{vxlan.NotIP, true, false, false, false, false, false}},
		"an 802.3 length instead of a type": {edit(plain, 12, 0, 46), summary{vxlan.NotIP, true, false, false, false, false, false}},
		"a VXLAN copy is just UDP":          {frametest.Copy(7, plain).Bytes(), whole},
		"a VXLAN copy cut in its VXLAN header is UDP": {frametest.Copy(7, plain).Bytes()[:45], whole},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := walkInner(c.frame); got != c.want {
				t.Errorf("%+v, want %+v: %x", got, c.want, c.frame)
			}
		})
	}
}

func TestACutFrameKnowsHowLongItWas(t *testing.T) {
	frame := frametest.Inner(string(make([]byte, 1000))).Bytes()
	for n := 18; n < len(frame); n++ {
		p, _ := walkInner(frame[:n])
		if n >= 24 && p.Declared != len(frame) {
			t.Errorf("%d bytes: declared %d, want %d", n, p.Declared, len(frame))
		}
		if n >= 24 && !p.Cut(n) {
			t.Errorf("%d bytes: not called cut", n)
		}
	}
	if p, _ := walkInner(frame); p.Cut(len(frame)) {
		t.Error("the whole is called cut")
	}
}

// What the mirror sent is n bytes of a frame; what it cut is told apart from what the capture
// did, from padding, and from frames of which nothing is missing that IP knows of.
func TestACopyIsTruncatedWhenItsIPPacketIsLongerThanWhatTheMirrorSent(t *testing.T) {
	inner := func(edit func(*frametest.Packet)) frametest.Packet {
		p := frametest.Inner(string(make([]byte, 300)))
		edit(&p)
		return p
	}
	six := func(p *frametest.Packet) {
		p.Source, p.Destination = frametest.Mapped(p.Source), frametest.Mapped(p.Destination)
	}
	for name, p := range map[string]frametest.Packet{
		"IPv4":              inner(func(*frametest.Packet) {}),
		"IPv4 with options": inner(func(p *frametest.Packet) { p.Options = 3 }),
		"two VLAN tags":     inner(func(p *frametest.Packet) { p.VLANs = []uint16{5, 6} }),
		"UDP":               inner(func(p *frametest.Packet) { p.Protocol = 17 }),
		"a fragment":        inner(func(p *frametest.Packet) { p.FragmentOffset = 100 }),
		"IPv6":              inner(six),
		"IPv6 with extensions": inner(func(p *frametest.Packet) {
			six(p)
			p.Extensions = []frametest.Extension{{Protocol: 60, Body: make([]byte, 22)}}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			whole := p.Bytes()
			padded := append(slices.Clone(whole), make([]byte, 10)...)
			for sent := 1; sent <= len(padded); sent++ {
				want := sent < len(whole)
				for _, captured := range []int{sent, min(sent, 192), min(sent, 80)} {
					walked, _ := walkInner(padded[:captured])
					if got := walked.Truncated(captured, sent); got != want && (captured == sent || captured >= 80) {
						t.Fatalf("%d bytes sent, %d captured: truncated is %t", sent, captured, got)
					}
				}
				// Where the capture holds no IP header nobody knows.
				if walked, _ := walkInner(padded[:min(sent, 13)]); sent > 13 && walked.Truncated(13, sent) {
					t.Fatalf("%d bytes sent, 13 captured: truncated", sent)
				}
			}
		})
	}
	for sent := 14; sent < 60; sent++ {
		if walked, _ := walkInner(frametest.ARP()[:sent]); walked.Truncated(sent, sent) {
			t.Errorf("%d bytes of ARP are truncated", sent)
		}
	}
}

// Fewer bytes never say more, and never anything else.
func TestEveryPrefixOfAnInnerFrameAgreesWithTheWhole(t *testing.T) {
	for _, e := range frametest.Streams() {
		var outer vxlan.Outer
		vxlan.Walk(e.Frame, len(e.Frame), vxlan.Port, &outer)
		frame := e.Frame[outer.InnerOffset:outer.InnerEnd]
		whole, _ := walkInner(frame)
		t.Run(e.Name, func(t *testing.T) {
			for n := 1; n < len(frame); n++ {
				p, _ := walkInner(append(make([]byte, 0, n), frame[:n]...))
				switch {
				case p.Kind != whole.Kind && p.Kind != vxlan.Headless && whole.Kind != vxlan.BadInner:
					t.Errorf("%d bytes: kind %d, whole %d", n, p.Kind, whole.Kind)
				case p.HasAddresses && (p.Source != whole.Source || p.Destination != whole.Destination),
					p.HasProtocol && p.Protocol != whole.Protocol,
					p.HasPorts && (p.SourcePort != whole.SourcePort || p.DestinationPort != whole.DestinationPort):
					t.Errorf("%d bytes: %+v, whole %+v", n, p, whole)
				}
			}
		})
	}
}

package vxlan_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// The oracle decodes with google/gopacket's layers, each called by itself, and
// never a chain that chooses its decoders by the packet. Where gopacket is
// known to be wrong or silent it answers with one of these, and nothing is
// compared. The list is the whole of what may differ.
type excuse string

const (
	agreed excuse = ""
	// A header is cut or broken: gopacket returns an error without saying which.
	refused excuse = "gopacket refuses the header"
	// gopacket accepts an IPv4 header with any version nibble, and IPv6 too.
	version excuse = "gopacket does not check the version"
	// gopacket refuses the whole packet for an IPv4 option that is broken.
	option4 excuse = "gopacket refuses a broken IPv4 option"
	// gopacket takes the frame's length for a total length of 0.
	length0 excuse = "gopacket replaces a length of 0"
	// gopacket only notes that a length goes beyond the data.
	beyond excuse = "gopacket accepts a length beyond the data"
	// gopacket has no bound for extension headers, and decodes hop-by-hop
	// options on its own.
	extended excuse = "extension headers are walked differently"
	// gopacket decodes MPLS and PPPoE only as parts of a chain; the corpus has them.
	shimmed excuse = "no layer of MPLS or PPPoE can be called by itself"
	// A fragment has no transport layer in gopacket.
	fragment excuse = "gopacket does not decode fragments"
)

// truncation records what gopacket calls truncated.
type truncation bool

func (t *truncation) SetTruncated() { *t = true }

// ip is what the oracle says of an IP packet.
type ip struct {
	source, destination netip.Addr
	protocol            layers.IPProtocol
	payload             []byte
	notIP, shim         bool // shim: MPLS or PPPoE
}

// network decodes Ethernet with up to three tags and the IP header.
func network(frame []byte) (p ip, eth layers.Ethernet, x excuse) {
	var truncated truncation
	if err := eth.DecodeFromBytes(frame, &truncated); err != nil {
		return p, eth, refused
	}
	kind, rest := eth.EthernetType, frame[14:] // eth.Payload lacks what an 802.3 length excludes
	for range 3 {
		if kind != layers.EthernetTypeDot1Q && kind != layers.EthernetTypeQinQ && kind != 0x9100 {
			break
		}
		var tag layers.Dot1Q
		if err := tag.DecodeFromBytes(rest, &truncated); err != nil {
			return p, eth, refused
		}
		kind, rest = layers.EthernetType(binary.BigEndian.Uint16(rest[2:])), tag.Payload
	}
	if len(frame) > 13 && binary.BigEndian.Uint16(frame[12:]) < 0x0600 {
		return ip{notIP: true}, eth, agreed
	}
	if kind == layers.EthernetTypeIPv4 {
		return network4(rest, eth)
	}
	if kind == layers.EthernetTypeIPv6 {
		return network6(rest, eth)
	}
	shim := kind == layers.EthernetTypeMPLSUnicast || kind == layers.EthernetTypeMPLSMulticast || kind == layers.EthernetTypePPPoESession
	return ip{notIP: true, shim: shim}, eth, agreed
}

func network4(b []byte, eth layers.Ethernet) (p ip, _ layers.Ethernet, x excuse) {
	var header layers.IPv4
	var truncated truncation
	if err := header.DecodeFromBytes(b, &truncated); err != nil {
		if len(b) >= 20 && b[0]&0x0f > 5 {
			return p, eth, option4
		}
		return p, eth, refused
	}
	p.source, _ = netip.AddrFromSlice(header.SrcIP)
	p.destination, _ = netip.AddrFromSlice(header.DstIP)
	p.protocol, p.payload = header.Protocol, header.Payload
	switch {
	case header.Version != 4:
		return p, eth, version
	case b[2] == 0 && b[3] == 0:
		return p, eth, length0
	case bool(truncated):
		return p, eth, beyond
	case header.FragOffset != 0 || header.Flags&layers.IPv4MoreFragments != 0:
		return p, eth, fragment
	}
	return p, eth, agreed
}

func network6(b []byte, eth layers.Ethernet) (p ip, _ layers.Ethernet, x excuse) {
	var header layers.IPv6
	var truncated truncation
	if len(b) >= 40 {
		switch b[6] {
		case 0, 43, 44, 51, 60:
			return p, eth, extended
		}
	}
	if err := header.DecodeFromBytes(b, &truncated); err != nil {
		return p, eth, refused
	}
	p.source, _ = netip.AddrFromSlice(header.SrcIP)
	p.destination, _ = netip.AddrFromSlice(header.DstIP)
	p.protocol, p.payload = header.NextHeader, header.Payload
	switch {
	case header.Version != 6:
		return p, eth, version
	case header.Length == 0:
		return p, eth, length0
	case bool(truncated):
		return p, eth, beyond
	}
	return p, eth, agreed
}

// oracleOuter is the class that gopacket's fields amount to, by the rules of
// RFC 7348, and the stream.
func oracleOuter(frame []byte) (class vxlan.Class, key vxlan.Key, inner []byte, x excuse) {
	p, _, x := network(frame)
	switch {
	case x != agreed:
		return 0, key, nil, x
	case p.shim:
		return 0, key, nil, shimmed
	case p.notIP || p.protocol != layers.IPProtocolUDP:
		return vxlan.NotVXLAN, key, nil, agreed
	}
	var udp layers.UDP
	var truncated truncation
	if err := udp.DecodeFromBytes(p.payload, &truncated); err != nil {
		return 0, key, nil, refused
	}
	switch {
	case udp.DstPort != vxlan.Port:
		return vxlan.NotVXLAN, key, nil, agreed
	case bool(truncated):
		return 0, key, nil, beyond
	case udp.Length == 0:
		return 0, key, nil, length0
	case len(udp.Payload) < 8:
		return vxlan.BadHeader, key, nil, agreed
	}
	var header layers.VXLAN
	if err := header.DecodeFromBytes(udp.Payload, &truncated); err != nil {
		return 0, key, nil, refused
	}
	switch {
	case !header.ValidIDFlag:
		return vxlan.BadHeader, key, nil, agreed
	case oracleGPE([8]byte(udp.Payload)):
		return vxlan.GPE, key, nil, agreed
	}
	return vxlan.Stream, vxlan.NewKey(p.source, header.VNI), header.Payload, agreed
}

// oracleGPE reads the header bit by bit, since gopacket knows no VXLAN-GPE.
func oracleGPE(h [8]byte) bool {
	reserved := h[0]>>6 | h[1] | h[2] | h[7]
	version, next, protocol := h[0]>>4&3, h[0]>>2&1, h[3]
	return next == 1 && version == 0 && reserved == 0 && protocol != 0 && protocol != 3
}

func seed(f *testing.F) {
	f.Helper()
	for _, e := range frametest.Corpus() {
		f.Add(e.Frame)
	}
}

func FuzzWalkAgreesWithGopacket(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, frame []byte) {
		var outer vxlan.Outer
		got := vxlan.Walk(frame, len(frame), vxlan.Port, &outer)
		if got == vxlan.Cut {
			t.Fatalf("a whole frame is called cut: %x", frame)
		}
		class, key, inner, x := oracleOuter(frame)
		if x == refused && (got == vxlan.Stream || got == vxlan.GPE) {
			t.Fatalf("gopacket refuses what is called %s: %x", got, frame)
		}
		if x != agreed {
			return
		}
		if got != class {
			t.Fatalf("class %s, gopacket's fields amount to %s: %x", got, class, frame)
		}
		if class != vxlan.Stream {
			return
		}
		if outer.Key != key {
			t.Fatalf("stream %s VNI %d, gopacket says %s VNI %d: %x", outer.Key.Source(), outer.Key.VNI(), key.Source(), key.VNI(), frame)
		}
		if present := frame[outer.InnerOffset:outer.InnerEnd]; string(present) != string(inner) || outer.InnerLength != len(inner) {
			t.Fatalf("inner frame %x of %d bytes, gopacket says %x: %x", present, outer.InnerLength, inner, frame)
		}
	})
}

func FuzzWalkOfACutFrameNeverContradictsTheWhole(f *testing.F) {
	for _, e := range frametest.Corpus() {
		f.Add(e.Frame, uint16(60))
	}
	f.Fuzz(func(t *testing.T, frame []byte, captured uint16) {
		n := int(captured) % (len(frame) + 1)
		var whole, cut vxlan.Outer
		wholeClass := vxlan.Walk(frame, len(frame), vxlan.Port, &whole)
		cutClass := vxlan.Walk(frame[:n:n], len(frame), vxlan.Port, &cut)
		if cutClass == vxlan.Cut {
			return
		}
		if cutClass != wholeClass {
			t.Fatalf("%d of %d bytes: %s, the whole is %s: %x", n, len(frame), cutClass, wholeClass, frame)
		}
		if cutClass == vxlan.Stream && (cut.Key != whole.Key || cut.InnerLength != whole.InnerLength || cut.InnerEnd > n) {
			t.Fatalf("%d of %d bytes: %+v, the whole is %+v: %x", n, len(frame), cut, whole, frame)
		}
	})
}

// A tag more in front of what a frame carries changes nothing but where it is: the usual frame,
// which is read by a way of its own, says what every other says.
func FuzzATagMoreChangesNothing(f *testing.F) {
	for _, e := range frametest.Corpus() {
		f.Add(e.Frame, uint16(60), uint16(len(e.Frame)))
		f.Add(e.Frame, uint16(len(e.Frame)), uint16(0))
	}
	f.Fuzz(func(t *testing.T, frame []byte, captured, wire uint16) {
		const tag = 4
		if len(frame) < 14 || isTag(frame[12], frame[13]) {
			return // it may have as many as are read
		}
		frame = frame[:14+int(captured)%(len(frame)-13)]
		length := max(int(wire), len(frame))
		tagged := append(append(append([]byte(nil), frame[:12]...), 0x81, 0, 0, 1), frame[12:]...)
		var plain, other vxlan.Outer
		class, otherClass := vxlan.Walk(frame, length, vxlan.Port, &plain), vxlan.Walk(tagged, length+tag, vxlan.Port, &other)
		if class != otherClass || plain.Destination(frame) != other.Destination(tagged) {
			t.Fatalf("%s to %s, with a tag %s to %s: %x of %d", class, plain.Destination(frame), otherClass, other.Destination(tagged), frame, length)
		}
		if class != vxlan.Stream {
			return
		}
		other.InnerOffset -= tag
		other.InnerEnd -= tag
		if diff := cmp.Diff(plain, other, cmp.AllowUnexported(vxlan.Key{}), cmpopts.IgnoreUnexported(vxlan.Outer{})); diff != "" {
			t.Fatalf("%s: %x of %d", diff, frame, length)
		}
	})
}

func isTag(a, b byte) bool {
	return a == 0x81 && b == 0 || a == 0x88 && b == 0xa8 || a == 0x91 && b == 0
}

func FuzzWalkInnerAgreesWithGopacket(f *testing.F) {
	for _, e := range frametest.Streams() {
		var outer vxlan.Outer
		vxlan.Walk(e.Frame, len(e.Frame), vxlan.Port, &outer)
		f.Add(e.Frame[outer.InnerOffset:outer.InnerEnd])
	}
	seed(f)
	f.Fuzz(func(t *testing.T, frame []byte) {
		var got vxlan.Inner
		vxlan.WalkInner(frame, &got)
		want, eth, x := network(frame)
		if x != agreed && x != beyond && x != fragment {
			return
		}
		if got.DestinationMAC != [6]byte(eth.DstMAC) || got.SourceMAC != [6]byte(eth.SrcMAC) {
			t.Fatalf("MACs %x and %x: %x", got.DestinationMAC, got.SourceMAC, frame)
		}
		if want.notIP {
			if got.Kind != vxlan.NotIP {
				t.Fatalf("kind %d, gopacket finds no IP: %x", got.Kind, frame)
			}
			return
		}
		if got.Kind == vxlan.BadInner && len(want.payload) < 4 {
			return // the packet's own length leaves no room for ports
		}
		if got.Kind != vxlan.IPv4 && got.Kind != vxlan.IPv6 || got.Source != want.source || got.Destination != want.destination ||
			got.Protocol != uint8(want.protocol) {
			t.Fatalf("%+v, gopacket says %+v: %x", got, want, frame)
		}
		if truncated := x == beyond; got.Kind != vxlan.BadInner && got.Truncated(len(frame), len(frame)) != truncated {
			t.Fatalf("truncated is %t, gopacket finds the packet beyond the data: %t: %x", !truncated, truncated, frame)
		}
		ports(t, frame, &got, want)
	})
}

// ports compares the ports. gopacket wants a whole TCP header, with options
// that make sense; four bytes are enough to the walk.
func ports(t *testing.T, frame []byte, got *vxlan.Inner, want ip) {
	t.Helper()
	if got.LaterFragment {
		return
	}
	var source, destination uint16
	var truncated truncation
	switch want.protocol {
	case layers.IPProtocolTCP:
		var tcp layers.TCP
		if tcp.DecodeFromBytes(want.payload, &truncated) != nil {
			return
		}
		source, destination = uint16(tcp.SrcPort), uint16(tcp.DstPort)
		if len(want.payload) >= 13 && got.Payload != 0 && len(frame)-got.Payload < len(tcp.Payload) {
			t.Fatalf("payload at %d, gopacket leaves %d bytes of %d: %x", got.Payload, len(tcp.Payload), len(frame), frame)
		}
	case layers.IPProtocolUDP:
		var udp layers.UDP
		if udp.DecodeFromBytes(want.payload, &truncated) != nil {
			return
		}
		source, destination = uint16(udp.SrcPort), uint16(udp.DstPort)
	default:
		if got.HasPorts {
			t.Fatalf("ports of protocol %d: %x", got.Protocol, frame)
		}
		return
	}
	if !got.HasPorts || got.SourcePort != source || got.DestinationPort != destination {
		t.Fatalf("%+v, gopacket says ports %d and %d: %x", got, source, destination, frame)
	}
}

var _ gopacket.DecodeFeedback = (*truncation)(nil)

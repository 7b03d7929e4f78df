// Package sample renders a copy as one line in tcpdump's manner, for a person who asks
// what the last packet was. It is the slow path: it decodes with google/gopacket's
// layers, one packet at a time, and never on the way of counting.
//
// Only the layers named here are decoded, each called by itself: a decoder that
// chooses by the packet's own fields would let a sender choose which of a hundred
// parsers runs. Outer and inner headers have decoders of their own, because one that
// is used for both shows the inner addresses as the outer ones.
//
// It may import controllers/verifier/vxlan.
package sample

import (
	"fmt"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// Line renders a captured outer frame that was length bytes long on the wire; port is the
// UDP port of the copies. What
// can't be read is said, never guessed, and a decoder that panics costs only its part
// of the line.
//
// The line reads like:
//
//	fa:16:3e:d1:6b:5d > fa:16:3e:7e:d6:7a, IPv4, length 122: 192.168.0.230.32838 > 192.168.0.164.4789: VXLAN, flags [I] (0x08), vni 1: fa:16:3e:7e:d6:77 > fa:16:3e:7e:d6:bc, IPv4, length 72: 192.168.0.161.38944 > 192.168.0.230.1234: Flags [P.], length 6
func Line(frame []byte, length int, port uint16) string {
	var outer vxlan.Outer
	if class := vxlan.Walk(frame, length, port, &outer); class != vxlan.Stream {
		return fmt.Sprintf("%s, length %d: %s", ethernet(frame), length, class)
	}
	return Outer(frame, &outer, length, port) + Inner(frame[outer.InnerOffset:outer.InnerEnd], outer.InnerLength)
}

// Outer renders the outer headers of a copy, as they were walked, as the beginning of a line. frame needs
// to hold them alone; length is what it had on the wire.
func Outer(frame []byte, outer *vxlan.Outer, length int, port uint16) string {
	return fmt.Sprintf("%s, length %d: %s.%d > %s.%d: VXLAN, flags [I] (0x%02x), vni %d: ",
		ethernet(frame), length, outer.Key.Source(), outer.SourcePort, outer.Destination(frame), port, outer.Flags, outer.Key.VNI())
}

// Inner renders an inner frame that was length bytes long on the wire of the copy.
func Inner(frame []byte, length int) string {
	var walked vxlan.Inner
	vxlan.WalkInner(frame, &walked)
	text := fmt.Sprintf("%s, length %d", ethernet(frame), length)
	if walked.Cut(length) && walked.Declared > length {
		text += fmt.Sprintf(" of %d", walked.Declared)
	}
	if body := network(frame, &walked); body != "" {
		text += ": " + body
	}
	return text
}

// ethernet renders addresses and type of a frame.
func ethernet(frame []byte) (text string) {
	defer guard(&text, "[|ethernet]")
	var eth layers.Ethernet
	if len(frame) < 14 || eth.DecodeFromBytes(frame, gopacket.NilDecodeFeedback) != nil {
		return "[|ethernet]"
	}
	kind := eth.EthernetType
	tags := ""
	for rest := eth.Payload; kind == layers.EthernetTypeDot1Q || kind == layers.EthernetTypeQinQ; {
		var tag layers.Dot1Q
		if tag.DecodeFromBytes(rest, gopacket.NilDecodeFeedback) != nil {
			break
		}
		tags += fmt.Sprintf(", vlan %d", tag.VLANIdentifier)
		kind, rest = tag.Type, tag.Payload
	}
	return fmt.Sprintf("%s > %s%s, %s", eth.SrcMAC, eth.DstMAC, tags, kind)
}

// network renders what is in an IP packet; addresses come from our own walk, which
// also reads packets that were cut.
func network(frame []byte, p *vxlan.Inner) string {
	switch {
	case p.Kind == vxlan.BadInner:
		return "malformed"
	case !p.HasAddresses:
		return ""
	case p.LaterFragment:
		return fmt.Sprintf("%s > %s: later fragment, protocol %d", p.Source, p.Destination, p.Protocol)
	case p.HasPorts:
		return fmt.Sprintf("%s.%d > %s.%d: %s", p.Source, p.SourcePort, p.Destination, p.DestinationPort, transport(frame, p))
	default:
		return fmt.Sprintf("%s > %s: %s", p.Source, p.Destination, transport(frame, p))
	}
}

// The IP protocols that are rendered further.
const (
	icmp4 = 1
	tcp   = 6
	udp   = 17
	icmp6 = 58
)

func transport(frame []byte, p *vxlan.Inner) (text string) {
	defer guard(&text, "undecodable")
	if !p.HasProtocol {
		return "[|ip]"
	}
	body, ok := segment(frame, p)
	switch {
	case p.Protocol == tcp:
		return tcpText(body, ok, p)
	case p.Protocol == udp:
		return fmt.Sprintf("UDP, length %d", payload(p))
	case p.Protocol == icmp4 && ok:
		var m layers.ICMPv4
		if m.DecodeFromBytes(body, gopacket.NilDecodeFeedback) == nil {
			return "ICMP " + m.TypeCode.String()
		}
	case p.Protocol == icmp6 && ok:
		var m layers.ICMPv6
		if m.DecodeFromBytes(body, gopacket.NilDecodeFeedback) == nil {
			return "ICMPv6 " + m.TypeCode.String()
		}
	}
	return fmt.Sprintf("protocol %d", p.Protocol)
}

// segment returns the bytes from the transport header on.
func segment(frame []byte, p *vxlan.Inner) ([]byte, bool) {
	offset := len(frame)
	if p.Kind == vxlan.IPv4 || p.Kind == vxlan.IPv6 {
		offset = headerEnd(frame, p)
	}
	return frame[min(offset, len(frame)):], offset < len(frame)
}

// headerEnd is where the IP header ends. Extension headers of IPv6 are left to the
// walk: what is behind them is not rendered.
func headerEnd(frame []byte, p *vxlan.Inner) int {
	var eth layers.Ethernet
	if eth.DecodeFromBytes(frame, gopacket.NilDecodeFeedback) != nil {
		return len(frame)
	}
	kind, rest := eth.EthernetType, eth.Payload
	for kind == layers.EthernetTypeDot1Q || kind == layers.EthernetTypeQinQ {
		var tag layers.Dot1Q
		if tag.DecodeFromBytes(rest, gopacket.NilDecodeFeedback) != nil {
			return len(frame)
		}
		kind, rest = tag.Type, tag.Payload
	}
	start := len(frame) - len(rest)
	if p.Kind == vxlan.IPv6 {
		if len(rest) > 6 && rest[6] == p.Protocol {
			return start + 40
		}
		return len(frame)
	}
	if len(rest) == 0 {
		return len(frame)
	}
	return start + 4*int(rest[0]&0x0f)
}

// tcpText renders flags and payload length. A header whose options were cut off still
// has its flags, which gopacket does not give: they are read from the one byte.
func tcpText(body []byte, ok bool, p *vxlan.Inner) string {
	const flagsAt = 13
	if !ok || len(body) <= flagsAt {
		return "[|tcp]"
	}
	flags := tcpFlags(body[flagsAt])
	var header layers.TCP
	if header.DecodeFromBytes(body, gopacket.NilDecodeFeedback) != nil {
		return fmt.Sprintf("Flags [%s], [|tcp]", flags)
	}
	return fmt.Sprintf("Flags [%s], seq %d, length %d", flags, header.Seq, payload(p))
}

// payload is the length of the transport's payload as the packet itself says.
func payload(p *vxlan.Inner) int {
	if p.Payload == 0 || p.Declared < p.Payload {
		return 0
	}
	return p.Declared - p.Payload
}

// tcpFlags are tcpdump's letters: S P F R U E W and a dot for ACK.
func tcpFlags(bits byte) string {
	var b strings.Builder
	for _, f := range []struct {
		bit    byte
		letter string
	}{{0x01, "F"}, {0x02, "S"}, {0x04, "R"}, {0x08, "P"}, {0x10, "."}, {0x20, "U"}, {0x40, "E"}, {0x80, "W"}} {
		if bits&f.bit != 0 {
			b.WriteString(f.letter)
		}
	}
	if b.Len() == 0 {
		return "none"
	}
	return b.String()
}

// guard turns a panic of a decoder into a note in the line.
func guard(text *string, note string) {
	if recover() != nil {
		*text = note
	}
}

package probe

import (
	"encoding/binary"
	"net/netip"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// Pattern is by what the copies of a probe's packets for one source are known, and those of the answers.
type Pattern struct {
	// Probe is the ID of the probe, and Source that of the source's interface.
	Probe, Source string
	// From and To are the addresses of what is sent.
	From, To netip.Addr
	Nonce    uint32
}

// PatternsOf are those of a probe, of which what can't be read is left out.
func PatternsOf(p *v1alpha1.Probe) []Pattern {
	if !p.Active() {
		return nil
	}
	out := make([]Pattern, 0, len(p.Sends))
	for _, s := range p.Sends {
		from, err1 := netip.ParseAddr(s.From)
		to, err2 := netip.ParseAddr(s.To)
		if err1 == nil && err2 == nil {
			out = append(out, Pattern{Probe: p.ID, Source: s.InterfaceID, From: from.Unmap(), To: to.Unmap(), Nonce: uint32(s.Nonce)})
		}
	}
	return out
}

// Matches reports whether a packet is of the probe, sent or answered. frame is what is there of it, and inner what its
// headers say.
func (p *Pattern) Matches(frame []byte, inner *vxlan.Inner) bool {
	if !inner.HasAddresses || !inner.HasProtocol || inner.Fragment {
		return false
	}
	answer := inner.Source == p.To && inner.Destination == p.From
	if !answer && (inner.Source != p.From || inner.Destination != p.To) {
		return false
	}
	segment := frame[min(transport(frame, inner), len(frame)):]
	nonce, at := p.nonceIn(segment, inner.Protocol, answer)
	return at >= 0 && at+4 <= len(segment) && binary.BigEndian.Uint32(segment[at:]) == nonce
}

// nonceIn is what stands for the nonce in a packet of the probe, and where, below 0 for nowhere.
func (p *Pattern) nonceIn(segment []byte, protocol uint8, answer bool) (nonce uint32, at int) {
	switch {
	case protocol == protocolTCP && answer: // it acknowledges the SYN
		return p.Nonce + 1, atAcknowledgement
	case protocol == protocolTCP && len(segment) > atFlags && segment[atFlags]&flagRST != 0: // the sender's kernel resets what a service offers
		return p.Nonce + 1, atSequence
	case protocol == protocolTCP:
		return p.Nonce, atSequence
	case protocol == protocolUDP:
		return p.Nonce, atPayload
	case protocol == protocolICMP, protocol == protocolICMPv6:
		return p.Nonce, atIdentifier
	default:
		return 0, -1
	}
}

// Where the nonce is, from the beginning of the transport's header on.
const (
	atSequence        = 4
	atAcknowledgement = 8
	atPayload         = 8
	atIdentifier      = 4
	atFlags           = 13 // of TCP, RFC 9293 section 3.1
	flagRST           = 0x04
)

// transport is where the header of the transport begins in a frame without extension headers, as those of a probe are.
func transport(frame []byte, inner *vxlan.Inner) int {
	const etherHeader, tag = 14, 4
	at := etherHeader
	for at < len(frame)-1 && isTag(binary.BigEndian.Uint16(frame[at-2:])) {
		at += tag
	}
	if inner.Kind == vxlan.IPv6 {
		return at + ipv6Header
	}
	if at >= len(frame) {
		return at
	}
	return at + int(frame[at]&0x0f)*4
}

// isTag reports whether a type of Ethernet says that a VLAN tag follows.
func isTag(kind uint16) bool { return kind == 0x8100 || kind == 0x88a8 }

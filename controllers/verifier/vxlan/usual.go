package vxlan

import "encoding/binary"

// Usual is the beginning of a copy of the commonest form, with everything that decides about it at a
// fixed place: Ethernet without a tag, IPv4 (RFC 791) without options or fragments, UDP (RFC 768) to the
// VXLAN port, the VXLAN header (RFC 7348, section 5) whatever its reserved bits are, and inside Ethernet
// without a tag and IPv4 without options or fragments with the ports of TCP (RFC 9293) or UDP:
//
//	 0 Ethernet: destination, source, type
//	14 IPv4: total length at 16, fragment at 20, protocol at 23, addresses at 26 and 30
//	34 UDP: ports at 34 and 36, length at 38
//	42 VXLAN: flags, reserved bits, VNI at 46
//	50 Ethernet: destination, source at 56, type at 62
//	64 IPv4: total length at 66, fragment at 70, protocol at 73, addresses at 76 and 80
//	84 TCP or UDP: ports at 84 and 86
//
// Nothing in it contradicts itself or the frame's length. It is a view: its fields are read where they
// are asked for. Of such a frame [Walk] says [Stream], and Walk and [WalkInner] have for each field here
// what is said here; they do for every other frame what this can't.
type Usual [usualSize]byte

const (
	usualInner = etherHeader + ipv4Header + udpHeader + HeaderSize
	usualPorts = usualInner + etherHeader + ipv4Header
	usualSize  = usualPorts + 4

	// The type of Ethernet and the first byte of IPv4: version 4, a header of 20 bytes.
	usualIPv4 = typeIPv4<<8 | 0x45
	// What is set in a fragment: "more fragments" or an offset. The other bits of the field are
	// "don't fragment" and one that is reserved.
	fragmentBits = 0x3fff
)

// AsUsual returns the beginning of a frame that is a Usual one, else nil. The arguments are those of
// [Walk], but that wireLength is at least len(frame).
func AsUsual(frame []byte, wireLength int, port uint16) *Usual {
	if len(frame) < usualSize {
		return nil
	}
	u := (*Usual)(frame) // checked once
	fragment := (binary.BigEndian.Uint16(u[20:]) | binary.BigEndian.Uint16(u[70:])) & fragmentBits
	if binary.BigEndian.Uint32(u[12:])>>8 != usualIPv4 || binary.BigEndian.Uint32(u[62:])>>8 != usualIPv4 || fragment != 0 ||
		u[23] != protoUDP || binary.BigEndian.Uint16(u[36:]) != port || u[73] != protoTCP && u[73] != protoUDP {
		return nil
	}
	total, length, word := int(binary.BigEndian.Uint16(u[16:])), int(binary.BigEndian.Uint16(u[38:])), binary.BigEndian.Uint32(u[42:])
	// The outer packet is in the frame, the datagram in the packet, what is read here in the datagram, and
	// the ports in the inner packet. A header that may be one of VXLAN-GPE is left to the walk.
	if total > wireLength-etherHeader || length > total-ipv4Header || length < usualSize-etherHeader-ipv4Header ||
		word&(flagVNI<<24) == 0 || word&gpeMask == gpeWord || u.innerTotal() < ipv4Header+4 {
		return nil
	}
	return u
}

// Key is [Outer.Key].
func (u *Usual) Key() Key4 {
	return newKey4(binary.BigEndian.Uint32(u[26:]), binary.BigEndian.Uint32(u[46:])>>8)
}

// Destination is the outer destination address.
func (u *Usual) Destination() uint32 { return binary.BigEndian.Uint32(u[30:]) }

// Reserved is [Outer.Reserved].
func (u *Usual) Reserved() bool { return binary.BigEndian.Uint64(u[42:])&^usedBits != 0 }

// usedBits are those of a VXLAN header that RFC 7348 does not reserve: the flag I and the VNI.
const usedBits = flagVNI<<56 | 0xffffff00

// InnerLength is [Outer.InnerLength].
func (u *Usual) InnerLength() int {
	return int(binary.BigEndian.Uint16(u[38:])) - udpHeader - HeaderSize
}

// DestinationMAC is the inner one, in the lower 48 bits.
func (u *Usual) DestinationMAC() uint64 { return binary.BigEndian.Uint64(u[48:]) & (1<<48 - 1) }

// SourceMAC is the inner one, in the lower 48 bits.
func (u *Usual) SourceMAC() uint64 { return binary.BigEndian.Uint64(u[56:]) >> 16 }

func (u *Usual) innerTotal() int { return int(binary.BigEndian.Uint16(u[66:])) }

// Truncated is [Inner.Truncated].
func (u *Usual) Truncated() bool { return etherHeader+u.innerTotal() > u.InnerLength() }

// Protocol is that of the inner packet, TCP or UDP.
func (u *Usual) Protocol() uint8 { return u[73] }

// InnerAddresses are those of the inner packet, the source's in the upper half.
func (u *Usual) InnerAddresses() uint64 { return binary.BigEndian.Uint64(u[76:]) }

// SourcePort is that of the inner packet.
func (u *Usual) SourcePort() uint16 { return binary.BigEndian.Uint16(u[84:]) }

// DestinationPort is that of the inner packet.
func (u *Usual) DestinationPort() uint16 { return binary.BigEndian.Uint16(u[86:]) }

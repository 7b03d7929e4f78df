package capture

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// The link types that are read, by the list at tcpdump.org/linktypes.html.
const (
	linkNull     = 0
	linkEthernet = 1
	linkRaw      = 101
	linkRawBSD   = 12 // what RAW is called inside of most systems, and in some files
	linkRawOpen  = 14 // the same on OpenBSD
	linkLoop     = 108
	linkSLL      = 113
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276
)

const (
	etherHeader = 14
	typeIPv4    = 0x0800
	typeIPv6    = 0x86dd
)

// LinkFrames are frames of a link type that can't be read.
type LinkFrames struct {
	// Type is the number that tcpdump.org's list of link types gives it.
	Type uint16 `json:"linkType"`
	// Name is its name there, empty for one that is not known here.
	Name   string `json:"name,omitempty"`
	Frames uint64 `json:"frames"`
}

// String says what they are.
func (l LinkFrames) String() string {
	if l.Name == "" {
		return fmt.Sprintf("link type %d %d", l.Type, l.Frames)
	}
	return fmt.Sprintf("link type %s (%d) %d", l.Name, l.Type, l.Frames)
}

// links makes frames of other link types ones of Ethernet, and counts those of types
// that it does not know.
type links struct {
	buffer []byte
	unread map[uint16]uint64
}

// list is what was not read, by link type.
func (l *links) list() []LinkFrames {
	var out []LinkFrames
	for link, frames := range l.unread {
		out = append(out, LinkFrames{Type: link, Name: linkNames[link], Frames: frames})
	}
	slices.SortFunc(out, func(a, b LinkFrames) int { return cmp.Compare(a.Type, b.Type) })
	return out
}

// readable reports whether frames of a link type can be read, and counts one that can't.
func (l *links) readable(link uint16) bool {
	if link == linkEthernet || linkHeader(link) >= 0 {
		return true
	}
	l.count(link, 1)
	return false
}

// count counts frames that can't be read.
func (l *links) count(link uint16, frames uint64) {
	if l.unread == nil {
		l.unread = map[uint16]uint64{}
	}
	l.unread[link] += frames
}

// add adds what others have counted.
func (l *links) add(others *links) {
	for link, frames := range others.unread {
		l.count(link, frames)
	}
}

// linkHeader is the length of the header that stands in front of the IP packet; -1 for
// a link type that is not read.
func linkHeader(link uint16) int {
	switch link {
	case linkRaw, linkRawBSD, linkRawOpen, linkIPv4, linkIPv6:
		return 0
	case linkNull, linkLoop:
		return 4
	case linkSLL:
		return 16
	case linkSLL2:
		return 20
	}
	return -1
}

// ethernet gives a frame of a link type that can be read the header of Ethernet
// instead of its own. Addresses that the frame does not say are zero.
func (l *links) ethernet(link uint16, f *Frame) {
	if link == linkEthernet {
		return
	}
	size := linkHeader(link)
	if len(f.Data) < size || len(f.Data) == 0 {
		// As long as an Ethernet header where the capture cut it, and else empty, so
		// that it is told cut or malformed as such a frame of Ethernet is.
		if f.Length > len(f.Data) {
			f.Length = etherHeader
		} else {
			f.Length = 0
		}
		f.Data = l.buffer[:0]
		return
	}
	var header [etherHeader]byte
	binary.BigEndian.PutUint16(header[12:], l.describe(link, f.Data, header[6:12]))
	l.buffer = append(append(l.buffer[:0], header[:]...), f.Data[size:]...)
	f.Length += etherHeader - size
	f.Data = l.buffer
}

// describe is the type of Ethernet that a link layer's header means; source gets the
// sender's hardware address where the header has it.
func (*links) describe(link uint16, b, source []byte) uint16 {
	switch link {
	case linkIPv4:
		return typeIPv4
	case linkIPv6:
		return typeIPv6
	case linkNull, linkLoop:
		return family(b)
	case linkSLL:
		return cooked(b[14:16], b[2:4], b[4:6], b[6:12], source)
	case linkSLL2:
		return cooked(b[0:2], b[8:10], []byte{0, b[11]}, b[12:18], source)
	}
	if b[0]>>4 == 6 {
		return typeIPv6
	}
	return typeIPv4 // what has no version of IP is malformed, and is told so as IPv4
}

// family reads the protocol family in front of a packet of a loopback interface: in the
// byte order of who wrote it, and always below 65536.
func family(b []byte) uint16 {
	value := binary.BigEndian.Uint32(b)
	if value > 0xffff {
		value = binary.LittleEndian.Uint32(b)
	}
	switch value {
	case 2:
		return typeIPv4
	case 10, 24, 28, 30: // Linux; NetBSD and OpenBSD; FreeBSD; macOS
		return typeIPv6
	}
	return 0
}

// cooked reads what Linux writes in front of a packet of the pseudo-device "any".
func cooked(protocol, hardware, size, address, source []byte) uint16 {
	if binary.BigEndian.Uint16(size) == 6 {
		copy(source, address)
	}
	switch binary.BigEndian.Uint16(hardware) {
	case 801, 802, 803, 824: // IEEE 802.11 in three forms and netlink: the field is no type of Ethernet
		return 0
	}
	return binary.BigEndian.Uint16(protocol)
}

// linkNames are those that a VXLAN capture can have by mistake, by the same list.
var linkNames = map[uint16]string{
	6:   "IEEE802_5",
	8:   "SLIP",
	9:   "PPP",
	10:  "FDDI",
	50:  "PPP_HDLC",
	51:  "PPP_ETHER",
	104: "C_HDLC",
	105: "IEEE802_11",
	107: "FRELAY",
	117: "PFLOG",
	119: "IEEE802_11_PRISM",
	127: "IEEE802_11_RADIOTAP",
	147: "USER0",
	163: "IEEE802_11_AVS",
	187: "BLUETOOTH_HCI_H4",
	189: "USB_LINUX",
	192: "PPI",
	195: "IEEE802_15_4_WITHFCS",
	220: "USB_LINUX_MMAPPED",
	239: "NFLOG",
	249: "USBPCAP",
	253: "NETLINK",
}

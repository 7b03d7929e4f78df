package tail

import (
	"encoding/binary"
	"time"
)

// Blocks and options of a capture file, from the IETF draft "PCAP Next Generation (pcapng) Capture File
// Format". google/gopacket's writer is not used: it has no comments on packets.
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockStatistics = 5
	blockPacket     = 6

	optComment     = 1
	optApplication = 4 // of a section
	optName        = 2 // of an interface
	optDescription = 3
	optResolution  = 9
	optLost        = 4 // of a packet: how many are missing before it
	optReceived    = 4 // of statistics
	optDropped     = 5
	optDelivered   = 8

	linkEthernet = 1
	nanoseconds  = 9 // the resolution of times, as a power of ten
	maxComment   = 1 << 12
)

// option is one of a block.
type option struct {
	code  uint16
	value []byte
}

func text(code uint16, s string) option { return option{code, []byte(s[:min(len(s), maxComment)])} }

func number(code uint16, n uint64) option {
	return option{code, binary.LittleEndian.AppendUint64(nil, n)}
}

// appendBlock appends a block of a kind with a body, whose options follow it.
func appendBlock(to []byte, kind uint32, body []byte, options ...option) []byte {
	begin := len(to)
	to = binary.LittleEndian.AppendUint32(to, kind)
	to = binary.LittleEndian.AppendUint32(to, 0)
	to = padded(append(to, body...), len(body))
	for _, o := range options {
		to = binary.LittleEndian.AppendUint16(to, o.code)
		to = binary.LittleEndian.AppendUint16(to, uint16(len(o.value)))
		to = padded(append(to, o.value...), len(o.value))
	}
	if len(options) > 0 {
		to = append(to, 0, 0, 0, 0)
	}
	length := uint32(len(to) - begin + 4)
	binary.LittleEndian.PutUint32(to[begin+4:], length)
	return binary.LittleEndian.AppendUint32(to, length)
}

// padded fills up to a multiple of four what ends with length bytes.
func padded(to []byte, length int) []byte {
	for ; length%4 != 0; length++ {
		to = append(to, 0)
	}
	return to
}

// header is what a capture begins with: the section and the one interface.
type header struct {
	// Application is the program, Comment what is told of the whole, Name the interface and Description what comes by it.
	Application, Comment, Name, Description string
}

func appendHeader(to []byte, h header) []byte {
	section := binary.LittleEndian.AppendUint32(nil, 0x1a2b3c4d)
	section = append(section, 1, 0, 0, 0)                                     // version 1.0
	section = append(section, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff) // of a length that is not known
	to = appendBlock(to, blockSection, section, text(optComment, h.Comment), text(optApplication, h.Application))
	device := []byte{linkEthernet, 0, 0, 0, 0, 0, 0, 0} // no limit of the length
	return appendBlock(to, blockInterface, device, text(optName, h.Name), text(optDescription, h.Description), option{optResolution, []byte{nanoseconds}})
}

// stamp is a time as blocks have it.
func stamp(at int64) []byte {
	high := binary.LittleEndian.AppendUint32(nil, uint32(uint64(at)>>32))
	return binary.LittleEndian.AppendUint32(high, uint32(uint64(at)))
}

// appendPacket appends a packet of which data was captured and that had length bytes, and before which so many are missing.
func appendPacket(to []byte, at int64, data []byte, length int, comment string, missing uint64) []byte {
	body := append([]byte{0, 0, 0, 0}, stamp(at)...)
	body = binary.LittleEndian.AppendUint32(body, uint32(len(data)))
	body = binary.LittleEndian.AppendUint32(body, uint32(max(length, len(data))))
	options := []option{text(optComment, comment)}
	if missing > 0 {
		options = append(options, number(optLost, missing))
	}
	return appendBlock(to, blockPacket, append(body, data...), options...)
}

// appendStatistics appends how many copies there were, and how many of them are not in the capture.
func appendStatistics(to []byte, at time.Time, received, lost uint64, comment string) []byte {
	body := append([]byte{0, 0, 0, 0}, stamp(at.UnixNano())...)
	return appendBlock(to, blockStatistics, body,
		text(optComment, comment), number(optReceived, received), number(optDropped, lost), number(optDelivered, received-min(lost, received)))
}

// Package copies makes the copies that the benchmarks count: copy i is of stream i%256 of 32
// outer sources times 8 VNIs, each a TCP packet of 1514 bytes of which the mirror kept 96. The
// inner addresses are few, because tcpdump keeps those it printed in a table that many of one
// network make slow; that is not what is to be measured. It may import nothing of ours.
package copies

import "encoding/binary"

const (
	// Sources is the number of outer sources.
	Sources = 32
	// VNIs is the number of VNIs.
	VNIs = 8
	// FirstVNI is the smallest of them; the others follow it.
	FirstVNI = 100
	// Streams is the number of streams: each source sends with each VNI.
	Streams = Sources * VNIs
	// InnerBytes is what the cloud keeps of a packet by default.
	InnerBytes = 96
	// FrameBytes is the length of a copy with its encapsulation.
	FrameBytes = outerBytes + InnerBytes
	outerBytes = 14 + 20 + 8 + 8
)

// Source returns the last byte of the address 192.168.203.x of an outer source.
func Source(number int) byte { return byte(1 + number) }

// MAC returns the address of the interface that source is: the inner frames are to it.
func MAC(source int) [6]byte { return [6]byte{0xfa, 0x16, 0x3e, 0x7e, 0xd6, byte(source)} }

// Fill makes b, which has FrameBytes zero bytes or another copy, the copy number i.
// The inner packet is to the given TCP port.
func Fill(b []byte, i int, port uint16) {
	stream := i % Streams
	source, vni := stream/VNIs, stream%VNIs
	copy(b, []byte{0xfa, 0x16, 0x3e, 0x7e, 0xd6, 0x7a, 0xfa, 0x16, 0x3e, 0xd1, 0x6b, 0x5d, 0x08, 0x00})
	ip4(b[14:], FrameBytes-14, 17, [4]byte{192, 168, 203, Source(source)}, [4]byte{192, 168, 0, 164}, i)
	binary.BigEndian.PutUint16(b[34:], uint16(49153+i%16000)) // 49152 is another protocol to tcpdump
	binary.BigEndian.PutUint16(b[36:], 4789)
	binary.BigEndian.PutUint16(b[38:], FrameBytes-34)
	binary.BigEndian.PutUint32(b[42:], 0x08000000)
	binary.BigEndian.PutUint32(b[46:], uint32(FirstVNI+vni)<<8)
	inner := b[outerBytes:]
	to := MAC(source)
	copy(inner, to[:])
	copy(inner[6:], []byte{0xfa, 0x16, 0x3e, 0x7e, 0xd6, 0x77, 0x08, 0x00})
	ip4(inner[14:], 1500, 6, [4]byte{192, 168, 0, 161}, [4]byte{192, 168, 203, Source(source)}, i)
	tcp := inner[34:]
	binary.BigEndian.PutUint16(tcp, uint16(1024+i%50000))
	binary.BigEndian.PutUint16(tcp[2:], port)
	binary.BigEndian.PutUint32(tcp[4:], uint32(i)*1460)
	binary.BigEndian.PutUint32(tcp[8:], 1)
	tcp[12], tcp[13] = 5<<4, 0x18
	binary.BigEndian.PutUint16(tcp[14:], 502)
}

func ip4(b []byte, length int, protocol byte, source, destination [4]byte, id int) {
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(length))
	binary.BigEndian.PutUint16(b[4:], uint16(id))
	b[8], b[9], b[10], b[11] = 64, protocol, 0, 0
	copy(b[12:], source[:])
	copy(b[16:], destination[:])
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
}

package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
)

const (
	sources    = 32
	vnis       = 8
	innerBytes = 96 // what the cloud keeps of a packet by default
	outerBytes = 14 + 20 + 8 + 8
	frameBytes = outerBytes + innerBytes
)

// generate writes a pcap file of n copies: stream i%256 of 32 outer sources
// times 8 VNIs, each copy a TCP packet of 1514 bytes of which 96 were kept. The
// inner addresses are few, because tcpdump keeps those it printed in a table
// that many of one network make slow; that is not what is to be measured.
func generate(path string, n int) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
	}()
	w := bufio.NewWriterSize(file, 1<<20)
	header := make([]byte, 24)
	binary.LittleEndian.PutUint32(header, 0xa1b2c3d4)
	binary.LittleEndian.PutUint16(header[4:], 2)
	binary.LittleEndian.PutUint16(header[6:], 4)
	binary.LittleEndian.PutUint32(header[16:], 262144)
	binary.LittleEndian.PutUint32(header[20:], 1)
	if _, err := w.Write(header); err != nil {
		return err
	}
	record := make([]byte, 16+frameBytes)
	binary.LittleEndian.PutUint32(record[8:], frameBytes)
	binary.LittleEndian.PutUint32(record[12:], frameBytes)
	const start, rate = 1767225600, 200_000 // 2026-01-01, packets per second
	for i := range n {
		binary.LittleEndian.PutUint32(record[0:], uint32(start+i/rate))
		binary.LittleEndian.PutUint32(record[4:], uint32(i%rate*(1_000_000/rate)))
		frame(record[16:], i)
		if _, err := w.Write(record); err != nil {
			return fmt.Errorf("write record %d: %w", i, err)
		}
	}
	return w.Flush()
}

// frame fills in copy number i.
func frame(b []byte, i int) {
	stream := i % (sources * vnis)
	source, vni := stream/vnis, stream%vnis
	copy(b, []byte{0xfa, 0x16, 0x3e, 0x7e, 0xd6, 0x7a, 0xfa, 0x16, 0x3e, 0xd1, 0x6b, 0x5d, 0x08, 0x00})
	ip4(b[14:], frameBytes-14, 17, [4]byte{192, 168, 203, byte(1 + source)}, [4]byte{192, 168, 0, 164}, i)
	binary.BigEndian.PutUint16(b[34:], uint16(49153+i%16000)) // 49152 is another protocol to tcpdump
	binary.BigEndian.PutUint16(b[36:], 4789)
	binary.BigEndian.PutUint16(b[38:], frameBytes-34)
	binary.BigEndian.PutUint32(b[42:], 0x08000000)
	binary.BigEndian.PutUint32(b[46:], uint32(100+vni)<<8)
	inner := b[outerBytes:]
	copy(inner, []byte{0xfa, 0x16, 0x3e, 0x7e, 0xd6, byte(source), 0xfa, 0x16, 0x3e, 0x7e, 0xd6, 0x77, 0x08, 0x00})
	ip4(inner[14:], 1500, 6, [4]byte{192, 168, 0, 161}, [4]byte{192, 168, 203, byte(1 + source)}, i)
	tcp := inner[34:]
	binary.BigEndian.PutUint16(tcp, uint16(1024+i%50000))
	binary.BigEndian.PutUint16(tcp[2:], 1234)
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

package offline

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"

	"vpcmirror.io/operator/test/bench/copies"
)

// generate writes a pcap file of n copies.
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
	record := make([]byte, 16+copies.FrameBytes)
	binary.LittleEndian.PutUint32(record[8:], copies.FrameBytes)
	binary.LittleEndian.PutUint32(record[12:], copies.FrameBytes)
	const start, rate, port = 1767225600, 200_000, 1234 // 2026-01-01, packets per second
	for i := range n {
		binary.LittleEndian.PutUint32(record[0:], uint32(start+i/rate))
		binary.LittleEndian.PutUint32(record[4:], uint32(i%rate*(1_000_000/rate)))
		copies.Fill(record[16:], i, port)
		if _, err := w.Write(record); err != nil {
			return fmt.Errorf("write record %d: %w", i, err)
		}
	}
	return w.Flush()
}

package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/verifier/capture"
)

// record is a frame with its bytes kept.
type record struct {
	Data   string
	Length int
	Time   int64
}

// readAll reads a capture to its end.
func readAll(f *capture.File) (records []record, err error) {
	var frame capture.Frame
	f.Guard(func() {
		for f.Next(&frame) {
			records = append(records, record{string(frame.Data), frame.Length, frame.Time})
		}
	})
	return records, f.Err()
}

func readBytes(b []byte) ([]record, error) {
	f, err := capture.NewFile(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return readAll(f)
}

// classic writes a pcap file of any byte order and resolution.
func classic(order binary.ByteOrder, magic uint32, unit int64, link uint32, records ...record) []byte {
	var b bytes.Buffer
	put := func(values ...uint32) {
		for _, v := range values {
			_ = binary.Write(&b, order, v) // a bytes.Buffer takes all
		}
	}
	put(magic)
	_ = binary.Write(&b, order, [2]uint16{2, 4})
	put(0, 0, 262144, link)
	for _, r := range records {
		put(uint32(r.Time/1e9), uint32(r.Time%1e9/unit), uint32(len(r.Data)), uint32(r.Length))
		b.WriteString(r.Data)
	}
	return b.Bytes()
}

var three = []record{
	{"first frame", 11, 1767225600_000001000},
	{strings.Repeat("x", 96), 1514, 1767225601_999999000},
	{"", 60, 1767225602_000000000},
}

func TestEveryKindOfPcapIsRead(t *testing.T) {
	const micro, nano = 0xa1b2c3d4, 0xa1b23c4d
	for name, file := range map[string][]byte{
		"little-endian microseconds":     classic(binary.LittleEndian, micro, 1000, 1, three...),
		"big-endian microseconds":        classic(binary.BigEndian, micro, 1000, 1, three...),
		"little-endian nanoseconds":      classic(binary.LittleEndian, nano, 1, 1, three...),
		"big-endian nanoseconds":         classic(binary.BigEndian, nano, 1, 1, three...),
		"modified, little-endian":        modified(binary.LittleEndian, three...),
		"modified, big-endian":           modified(binary.BigEndian, three...),
		"gzip":                           packGzip(classic(binary.LittleEndian, micro, 1000, 1, three...)),
		"gzip of two members":            append(packGzip(ng(binary.LittleEndian, three[:1]...)), packGzip(ng(binary.BigEndian, three[1:]...))...),
		"zstd":                           packZstd(ng(binary.BigEndian, three...)),
		"zstd of two frames":             append(packZstd(ng(binary.LittleEndian, three[:1]...)), packZstd(ng(binary.BigEndian, three[1:]...))...),
		"with a frame check sequence":    classic(binary.LittleEndian, micro, 1000, 1|0x24000000, three...),
		"pcapng, little-endian":          ng(binary.LittleEndian, three...),
		"pcapng, big-endian":             ng(binary.BigEndian, three...),
		"pcapng of two sections":         append(ng(binary.BigEndian, three[:1]...), ng(binary.LittleEndian, three[1:]...)...),
		"pcapng with blocks to skip":     append(append(section(binary.LittleEndian), block(binary.LittleEndian, 0x99, make([]byte, 3<<20))...), ng(binary.LittleEndian, three...)...),
		"pcapng with obsolete packets":   obsolete(binary.LittleEndian, three...),
		"pcapng from gopacket's writer":  written(t, three...),
		"pcapng with options of packets": withOptions(binary.LittleEndian, three...),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "capture")
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := capture.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			mapped, err := readAll(f)
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			slow, err := capture.NewFile(iotest.OneByteReader(bytes.NewReader(file)))
			if err != nil {
				t.Fatal(err)
			}
			piped, err := readAll(slow)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(three, mapped); diff != "" {
				t.Errorf("mapped: %s", diff)
			}
			if diff := cmp.Diff(three, piped); diff != "" {
				t.Errorf("byte by byte: %s", diff)
			}
		})
	}
}

func TestAnEmptyCaptureHasNoFrames(t *testing.T) {
	for name, file := range map[string][]byte{
		"pcap":   classic(binary.LittleEndian, 0xa1b2c3d4, 1000, 1),
		"pcapng": ng(binary.LittleEndian),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := readBytes(file); err != nil || got != nil {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestWhatIsNoCaptureIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"an empty file":   {nil, "not a pcap or pcapng file: it is empty"},
		"three bytes":     {[]byte("abc"), "not a pcap or pcapng file: it has only 3 bytes"},
		"a text":          {[]byte("hello, world, this is no capture"), "not a pcap or pcapng file"},
		"gzip in gzip":    {packGzip(packGzip(nil)), "not a pcap or pcapng file: it was compressed twice, unpack it first"},
		"a text in zstd":  {packZstd([]byte("hello, world")), "not a pcap or pcapng file"},
		"cut gzip":        {[]byte("\x1f\x8b\x08\x00"), "the file is cut in the middle: what it was compressed to ends early"},
		"pcapng's type":   {[]byte("\x0a\x0d\x0d\x0a\x1c\x00\x00\x00abcd"), "not a pcap or pcapng file: it begins like pcapng but has no byte-order magic"},
		"a cut pcap head": {classic(binary.LittleEndian, 0xa1b2c3d4, 1000, 1)[:23], "the file is cut in the middle: the header of the file at byte 0 needs 24 bytes, 23 are there"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readBytes(c.file)
			if err == nil || err.Error() != c.want || got != nil {
				t.Errorf("%v, %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestAFileCutAnywhereGivesWhatCameBefore(t *testing.T) {
	for name, file := range map[string][]byte{
		"pcap":   classic(binary.LittleEndian, 0xa1b2c3d4, 1000, 1, three...),
		"pcapng": ng(binary.BigEndian, three...),
	} {
		whole := map[int]bool{} // lengths at which a record ends
		t.Run(name, func(t *testing.T) {
			for n := 24; n < len(file); n++ {
				got, err := readBytes(file[:n])
				if err == nil {
					whole[n] = true
				} else if !errors.Is(err, capture.ErrCut) {
					t.Fatalf("%d bytes: %v", n, err)
				}
				if diff := cmp.Diff(three[:len(got)], got); diff != "" && len(got) > 0 {
					t.Fatalf("%d bytes: %s", n, diff)
				}
			}
			if len(whole) < len(three) || len(whole) > 2+len(three) {
				t.Errorf("a file cut at %v is called whole", whole)
			}
		})
	}
}

func TestAFileThatShrinksWhileItIsReadIsCalledCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "capture")
	var many []record
	for range 1000 {
		many = append(many, record{Data: strings.Repeat("x", 1500), Length: 1500})
	}
	if err := os.WriteFile(path, classic(binary.LittleEndian, 0xa1b2c3d4, 1000, 1, many...), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := capture.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var frame capture.Frame
	count := 0
	f.Guard(func() {
		for f.Next(&frame) {
			if count++; count == 10 {
				if err := os.Truncate(path, 100_000); err != nil {
					t.Error(err)
				}
			}
		}
	})
	if err := f.Err(); !errors.Is(err, capture.ErrCut) || count < 10 || count >= 1000 {
		t.Errorf("%d frames, %v", count, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnErrorOfTheReaderIsNotTheEnd(t *testing.T) {
	broken := errors.New("the disk is on fire")
	whole := classic(binary.LittleEndian, 0xa1b2c3d4, 1000, 1, three...)
	f, err := capture.NewFile(io.MultiReader(bytes.NewReader(whole[:len(whole)-20]), iotest.ErrReader(broken)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readAll(f); !errors.Is(err, broken) || len(got) != 1 {
		t.Errorf("%d frames, %v", len(got), err)
	}
}

func TestAHostileRecordIsRefusedWithItsPlace(t *testing.T) {
	head := classic(binary.LittleEndian, 0xa1b2c3d4, 1000, 1)
	order := binary.LittleEndian
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"a record of 4 GiB": {append(head, "\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"...),
			"the file is damaged: the record at byte 24 claims 4294967295 bytes, more than the 262144 that a capture can hold"},
		"a block of 4 bytes":                {append(section(order), 1, 0, 0, 0, 4, 0, 0, 0), "the file is damaged: a block at byte 28 claims 4 bytes"},
		"a packet longer than its block":    {append(ng(order), block(order, 6, le(0, 0, 0, 5000, 5000, 1))...), "the file is damaged: a packet at byte 48 claims 5000 bytes"},
		"a packet of no interface":          {append(section(order), block(order, 6, le(7, 0, 0, 0, 0))...), "the file is damaged: the packet at byte 28 is of interface 7, which is not described"},
		"a packet block without its header": {append(ng(order), block(order, 6, le(0))...), "the file is damaged: a packet block at byte 48 claims 16 bytes"},
		"a simple packet of no interface":   {append(section(order), block(order, 3, le(4, 0))...), "the file is damaged: the packet at byte 28 is of interface 0, which is not described"},
		"an endless interface description":  {append(section(order), block(order, 1, make([]byte, 70000))...), "the file is damaged: the description of an interface at byte 28 claims 70012 bytes"},
		"endless interfaces":                {append(section(order), bytes.Repeat(block(order, 1, le(1, 0)), 4097)...), "the file is damaged: it describes more than 4096 interfaces"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readBytes(c.file)
			if err == nil || err.Error() != c.want || !errors.Is(err, capture.ErrDamaged) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestSimplePacketsAreCutAtTheSnapLength(t *testing.T) {
	order := binary.LittleEndian
	file := append(section(order), block(order, 1, le(1, 5))...)
	file = append(file, block(order, 3, append(le(9), "12345\x00\x00\x00"...))...)
	got, err := readBytes(file)
	if diff := cmp.Diff([]record{{"12345", 9, 0}}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// Any list of records that gopacket writes as pcapng is read as gopacket's own
// reader reads it.
func TestPcapngIsReadAsGopacketReadsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var records []record
		for i := range rapid.IntRange(0, 20).Draw(t, "records") {
			data := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "data")
			records = append(records, record{
				Data: string(data), Length: len(data) + rapid.IntRange(0, 2000).Draw(t, "cut"), Time: int64(i) * 1_234_567_891_011,
			})
		}
		file := written(t, records...)
		got, err := readBytes(file)
		if err != nil {
			t.Fatal(err)
		}
		reader, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.DefaultNgReaderOptions)
		if err != nil {
			t.Fatal(err)
		}
		var want []record
		for {
			data, info, err := reader.ReadPacketData()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, record{string(data), info.Length, info.Timestamp.UnixNano()})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzAnyFileIsReadWithoutPanic(f *testing.F) {
	f.Add(classic(binary.LittleEndian, 0xa1b2c3d4, 1000, 1, three...))
	f.Add(classic(binary.BigEndian, 0xa1b23c4d, 1, 1, three...))
	f.Add(ng(binary.LittleEndian, three...))
	f.Add(obsolete(binary.BigEndian, three...))
	f.Add(modified(binary.BigEndian, three...))
	f.Add(packGzip(ng(binary.LittleEndian, three...)))
	f.Add(packZstd(classic(binary.LittleEndian, 0xa1b2c3d4, 1000, 1, three...)))
	for _, link := range []uint16{0, 12, 101, 108, 113, 189, 228, 229, 276} {
		f.Add(linked(link, three[1]))
		f.Add(classic(binary.LittleEndian, 0xa1b2c3d4, 1000, uint32(link), three...))
	}
	f.Add(append(section(binary.LittleEndian), block(binary.LittleEndian, 1, append(le(1, 5), "\x09\x00\x01\x00\x89\x00\x00\x00"...))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := capture.NewFile(bytes.NewReader(b))
		if err != nil {
			return
		}
		var frame capture.Frame
		packed := bytes.HasPrefix(b, []byte("\x1f\x8b")) || bytes.HasPrefix(b, []byte("\x28\xb5\x2f\xfd"))
		total := 0
		for n := 0; n < 10_000 && file.Next(&frame); n++ {
			r := frame
			if r.Length < len(r.Data) {
				t.Fatalf("%d bytes captured of %d", len(r.Data), r.Length)
			}
			total += max(len(r.Data)-14, 0) // a header that the file does not have may be added
		}
		if total > len(b) && !packed {
			t.Fatalf("%d bytes of frames from a file of %d", total, len(b))
		}
	})
}

// six is an IPv6 address.
func six(n byte) netip.Addr { return netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 15: n}) }

// le makes 32-bit words.
func le(words ...uint32) []byte {
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

func block(order binary.ByteOrder, kind uint32, body []byte) []byte {
	b := make([]byte, 8, 12+len(body))
	order.PutUint32(b, kind)
	order.PutUint32(b[4:], uint32(12+len(body)))
	b = append(b, body...)
	return append(b, b[4:8]...)
}

func section(order binary.ByteOrder) []byte {
	body := make([]byte, 16)
	order.PutUint32(body, 0x1a2b3c4d)
	order.PutUint16(body[4:], 1)
	copy(body[8:], "\xff\xff\xff\xff\xff\xff\xff\xff")
	return block(order, 0x0a0d0d0a, body)
}

func description(order binary.ByteOrder, link uint16) []byte {
	body := make([]byte, 8)
	order.PutUint16(body, link)
	return block(order, 1, body)
}

func ng(order binary.ByteOrder, records ...record) []byte {
	file := append(section(order), description(order, 1)...)
	for _, r := range records {
		file = append(file, block(order, 6, packet(order, r))...)
	}
	return file
}

func packet(order binary.ByteOrder, r record) []byte {
	body := make([]byte, 20, 40+len(r.Data))
	stamp := uint64(r.Time / 1000)
	order.PutUint32(body[4:], uint32(stamp>>32))
	order.PutUint32(body[8:], uint32(stamp))
	order.PutUint32(body[12:], uint32(len(r.Data)))
	order.PutUint32(body[16:], uint32(r.Length))
	body = append(body, r.Data...)
	return append(body, make([]byte, -len(r.Data)&3)...)
}

func withOptions(order binary.ByteOrder, records ...record) []byte {
	file := append(section(order), description(order, 1)...)
	for _, r := range records {
		file = append(file, block(order, 6, append(packet(order, r), make([]byte, 1<<20)...))...)
	}
	return file
}

// obsolete writes packet blocks whose interface number has 16 bits, with the
// number of drops behind it.
func obsolete(order binary.ByteOrder, records ...record) []byte {
	file := append(section(order), description(order, 1)...)
	for _, r := range records {
		body := packet(order, r)
		order.PutUint16(body[2:], 77)
		file = append(file, block(order, 2, body)...)
	}
	return file
}

// linked is a pcapng file with one packet of a link type.
func linked(link uint16, r record) []byte {
	order := binary.LittleEndian
	return append(append(section(order), description(order, link)...), block(order, 6, packet(order, r))...)
}

// modified writes a file as a patched libpcap of 1998 did, whose records have the
// interface, the protocol and the type of the packet, too.
func modified(order binary.ByteOrder, records ...record) []byte {
	file := classic(order, 0xa1b2cd34, 1000, 1)
	for _, r := range records {
		plain := classic(order, 0, 1000, 1, r)[24:]
		file = append(append(append(file, plain[:16]...), "ifixprty"...), plain[16:]...)
	}
	return file
}

func written(t interface {
	Helper()
	Fatal(args ...any)
}, records ...record,
) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		info := gopacket.CaptureInfo{Timestamp: time.Unix(0, r.Time), CaptureLength: len(r.Data), Length: r.Length}
		if err := w.WritePacket(info, []byte(r.Data)); err != nil {
			t.Fatal(fmt.Errorf("write %+v: %w", r, err))
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAFileLargerThanItsWindowIsReadWhole(t *testing.T) {
	var records []record
	for i := range 600 {
		// Sizes that no power of two divides, up to the largest.
		records = append(records, record{Data: strings.Repeat(string(rune('a'+i%26)), 1+i*7919%200_000), Length: 262144, Time: int64(i) * 1e9})
	}
	for name, file := range map[string][]byte{
		"pcap":   classic(binary.LittleEndian, 0xa1b2c3d4, 1000, 1, records...),
		"pcapng": ng(binary.LittleEndian, records...),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "capture")
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := capture.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			mapped, err := readAll(f)
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			piped, err := readBytes(file)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range records {
				if i >= len(mapped) || mapped[i] != r || i >= len(piped) || piped[i] != r {
					t.Fatalf("record %d of a file of %d bytes is not as it was written", i, len(file))
				}
			}
		})
	}
}

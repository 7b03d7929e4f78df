package capture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
)

// The headers that other link types than Ethernet have in front of IPv4.
var (
	cooked  = "\x00\x00\x00\x01\x00\x06\xfa\x16\x3e\xd1\x6b\x5d\x00\x00\x08\x00"
	cooked2 = "\x08\x00\x00\x00\x00\x00\x00\x02\x00\x01\x00\x06\xfa\x16\x3e\xd1\x6b\x5d\x00\x00"
)

// plain is an Ethernet header with nothing but the type.
func plain(kind string) string { return string(make([]byte, 12)) + kind }

func TestAFrameOfAnotherLinkTypeGetsTheHeaderOfEthernet(t *testing.T) {
	const v4, v6 = "\x45 is IPv4", "\x60 is IPv6"
	from := string(make([]byte, 6)) + "\xfa\x16\x3e\xd1\x6b\x5d"
	for name, c := range map[string]struct {
		link      uint16
		data      string
		want      string
		otherSize int // how much longer than its data the frame was
	}{
		"RAW, IPv4":                   {101, v4, plain("\x08\x00") + v4, 0},
		"RAW, IPv6":                   {101, v6, plain("\x86\xdd") + v6, 0},
		"RAW as 12":                   {12, v4, plain("\x08\x00") + v4, 0},
		"RAW as 14":                   {14, v6, plain("\x86\xdd") + v6, 0},
		"RAW, cut":                    {101, v4, plain("\x08\x00") + v4, 1400},
		"IPV4":                        {228, v4, plain("\x08\x00") + v4, 0},
		"IPV6":                        {229, v6, plain("\x86\xdd") + v6, 0},
		"NULL, little-endian":         {0, "\x02\x00\x00\x00" + v4, plain("\x08\x00") + v4, 0},
		"NULL, big-endian":            {0, "\x00\x00\x00\x02" + v4, plain("\x08\x00") + v4, 0},
		"NULL, IPv6 of macOS":         {0, "\x1e\x00\x00\x00" + v6, plain("\x86\xdd") + v6, 0},
		"NULL, IPv6 of Linux":         {0, "\x0a\x00\x00\x00" + v6, plain("\x86\xdd") + v6, 0},
		"NULL, another family":        {0, "\x10\x00\x00\x00" + v6, plain("\x00\x00") + v6, 0},
		"LOOP":                        {108, "\x00\x00\x00\x18" + v6, plain("\x86\xdd") + v6, 0},
		"LINUX_SLL":                   {113, cooked + v4, from + "\x08\x00" + v4, 3},
		"LINUX_SLL, VLAN tag":         {113, cooked[:14] + "\x81\x00\x00\x07\x08\x00" + v4, from + "\x81\x00\x00\x07\x08\x00" + v4, 0},
		"LINUX_SLL without address":   {113, "\x00\x00\xff\xfe\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x86\xdd" + v6, plain("\x86\xdd") + v6, 0},
		"LINUX_SLL of netlink":        {113, "\x00\x00\x03\x38\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x00" + v4, plain("\x00\x00") + v4, 0},
		"LINUX_SLL2":                  {276, cooked2 + v4, from + "\x08\x00" + v4, 0},
		"LINUX_SLL2, header and more": {276, cooked2, from + "\x08\x00", 28},
		"Ethernet":                    {1, "as it is", "as it is", 5},
	} {
		for form, file := range map[string][]byte{
			"pcap":   classic(binary.BigEndian, 0xa1b2c3d4, 1000, uint32(c.link), record{c.data, len(c.data) + c.otherSize, 7000}),
			"pcapng": linked(c.link, record{c.data, len(c.data) + c.otherSize, 7000}),
		} {
			t.Run(name+" in "+form, func(t *testing.T) {
				got, err := readBytes(file)
				if diff := cmp.Diff([]record{{c.want, len(c.want) + c.otherSize, 7000}}, got); err != nil || diff != "" {
					t.Error(err, diff)
				}
			})
		}
	}
}

func TestAFrameThatEndsInTheHeaderOfItsLinkTypeIsCutOrEmpty(t *testing.T) {
	for _, link := range []uint16{0, 12, 101, 108, 113, 228, 276} {
		file := classic(binary.LittleEndian, 0xa1b2c3d4, 1000, uint32(link), record{"", 60, 0}, record{"", 0, 0})
		got, err := readBytes(file)
		// Where bytes are missing the length says so; where none are, it is an empty frame.
		if diff := cmp.Diff([]record{{"", 14, 0}, {"", 0, 0}}, got); err != nil || diff != "" {
			t.Error(link, err, diff)
		}
	}
}

func TestWhatCanNotBeReadIsCountedByLinkTypeAndReadingGoesOn(t *testing.T) {
	order := binary.LittleEndian
	mixture := section(order)
	for _, link := range []uint16{1, 101, 189, 299} {
		mixture = append(mixture, description(order, link)...)
	}
	for _, number := range []uint32{0, 1, 2, 0, 3, 2, 0} {
		body := packet(order, record{"E", 1, 0})
		order.PutUint32(body, number)
		mixture = append(mixture, block(order, 6, body)...)
	}
	ether, raw := record{"E", 1, 0}, record{plain("\x08\x00") + "E", 15, 0}
	for name, c := range map[string]struct {
		file   []byte
		want   []record
		unread []capture.LinkFrames
	}{
		"a mixture in pcapng": {mixture, []record{ether, raw, ether, ether}, []capture.LinkFrames{{Type: 189, Name: "USB_LINUX", Frames: 2}, {Type: 299, Frames: 1}}},
		"a pcap file":         {classic(order, 0xa1b2c3d4, 1000, 105, three...), nil, []capture.LinkFrames{{Type: 105, Name: "IEEE802_11", Frames: 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := capture.NewFile(bytes.NewReader(c.file))
			if err != nil {
				t.Fatal(err)
			}
			got, err := readAll(f)
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
			if diff := cmp.Diff(c.unread, f.Unread()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// framed puts the header of a link type in front of an IP packet.
func framed(link uint16, ether []byte) []byte {
	six := ether[12] == 0x86
	switch link {
	case 0, 108:
		family := []byte{0, 0, 0, 2}
		if six {
			family[3] = 30
		}
		if link == 0 {
			family[0], family[3] = family[3], 0
		}
		return append(family, ether[14:]...)
	case 101:
		return ether[14:]
	case 113:
		return append(append([]byte(cooked[:14]), ether[12:14]...), ether[14:]...)
	}
	return ether
}

// Of a file with any mixture of link types gopacket's reader and decoders find the same
// IP packets at the same times.
func TestAMixtureOfLinkTypesIsReadAsGopacketReadsIt(t *testing.T) {
	types := []uint16{1, 0, 101, 108, 113}
	order := binary.LittleEndian
	rapid.Check(t, func(t *rapid.T) {
		file := section(order)
		for _, link := range types {
			file = append(file, description(order, link)...)
		}
		for i := range rapid.IntRange(0, 20).Draw(t, "packets") {
			p := frametest.Copy(uint32(i), rapid.SliceOfN(rapid.Byte(), 60, 200).Draw(t, "inner"))
			if rapid.Bool().Draw(t, "IPv6") {
				p.Source, p.Destination = six(1), six(2)
			}
			number := rapid.IntRange(0, len(types)-1).Draw(t, "interface")
			data := framed(types[number], p.Bytes())
			body := packet(order, record{string(data), len(data), int64(i) * 1_000_001_000})
			order.PutUint32(body, uint32(number))
			file = append(file, block(order, 6, body)...)
		}
		got, err := readBytes(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := gopacketReads(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i].Data = got[i].Data[14:]
			got[i].Length = len(got[i].Data)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// gopacketReads are the IP packets that gopacket finds.
func gopacketReads(file []byte) (records []record, err error) {
	reader, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		return nil, err
	}
	for {
		data, info, err := reader.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return nil, err
		}
		link, _ := info.AncillaryData[0].(layers.LinkType)
		layer := gopacket.NewPacket(data, link, gopacket.Lazy).NetworkLayer()
		if layer == nil {
			return nil, errors.New("gopacket finds no IP packet")
		}
		ip := string(layer.LayerContents()) + string(layer.LayerPayload())
		records = append(records, record{ip, len(ip), info.Timestamp.UnixNano()})
	}
}

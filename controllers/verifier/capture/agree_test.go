package capture_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// linkHeaders are what the link types that can be read have in front of IPv4 and of IPv6.
var linkHeaders = map[uint16][2]string{
	0:   {"\x02\x00\x00\x00", "\x1e\x00\x00\x00"},
	12:  {},
	101: {},
	108: {"\x00\x00\x00\x02", "\x00\x00\x00\x1c"},
	113: {cooked, cooked[:14] + "\x86\xdd"},
	228: {},
	229: {},
	276: {cooked2, "\x86\xdd" + cooked2[2:]},
}

// A packet of IP is counted as the same whatever was in front of it.
func FuzzAPacketIsTheSameBehindEveryLinkLayer(f *testing.F) {
	four := frametest.Copy(7, frametest.Inner("x").Bytes())
	six := four
	six.Source, six.Destination = source6, target6
	for _, p := range []frametest.Packet{four, six} {
		b := p.Bytes()[14:]
		f.Add(b, uint16(0))
		f.Add(b[:40], uint16(len(b)-40))
		f.Add(b[:9], uint16(0))
	}
	f.Fuzz(func(t *testing.T, packet []byte, missing uint16) {
		if len(packet) == 0 || packet[0]>>4 != 4 && packet[0]>>4 != 6 {
			return
		}
		version := int(packet[0]>>4-4) / 2
		ethernet := append([]byte(plain([]string{"\x08\x00", "\x86\xdd"}[version])), packet...)
		var want, got vxlan.Outer
		class := vxlan.Walk(ethernet, len(ethernet)+int(missing), vxlan.Port, &want)
		for link, headers := range linkHeaders {
			if link == 228 && version != 0 || link == 229 && version != 1 {
				continue
			}
			data := headers[version] + string(packet)
			file, err := capture.NewFile(bytes.NewReader(classic(binary.LittleEndian, 0xa1b2c3d4, 1000, uint32(link), record{data, len(data) + int(missing), 1})))
			if err != nil {
				t.Fatal(err)
			}
			var frame capture.Frame
			if !file.Next(&frame) {
				t.Fatalf("link type %d: no frame, %v", link, file.Err())
			}
			if is := vxlan.Walk(frame.Data, frame.Length, vxlan.Port, &got); is != class || got != want || frame.Length != len(ethernet)+int(missing) {
				t.Fatalf("link type %d: %s %+v of %d bytes, behind Ethernet %s %+v of %d: %x", link, is, got, frame.Length, class, want, len(ethernet)+int(missing), packet)
			}
		}
	})
}

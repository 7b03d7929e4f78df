package consumer

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// recorded reads the body of a message that Linux 6.18 gave.
func recorded(tb testing.TB, name string) []byte {
	tb.Helper()
	content, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(string(content), "\n", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// little skips what was recorded on a machine with the other order of bytes.
func little(tb testing.TB) {
	tb.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		tb.Skip("the recording is of a little-endian machine")
	}
}

func TestInterfacesAreReadAsTheKernelWritesThem(t *testing.T) {
	little(t)
	for _, e := range []struct {
		file   string
		link   Link
		device *Device
	}{
		{"link_card.hex", Link{Index: 2, Name: "right", Up: true, Kind: "veth"}, nil},
		{"link_vxlan.hex", Link{Index: 3, Name: "mirror0", Up: true, Kind: "vxlan"}, &Device{
			Index: 3, Name: "mirror0", Up: true, VNI: 42, Port: 4789, Lower: 2, Learning: true,
			Local: netip.MustParseAddr("192.168.0.164"), Group: netip.MustParseAddr("192.168.0.230"),
		}},
		{"link_external.hex", Link{Index: 4, Name: "ext0", Kind: "vxlan"}, &Device{Index: 4, Name: "ext0", Port: 14789, External: true, Learning: true}},
	} {
		t.Run(e.file, func(t *testing.T) {
			link, device, ok := parseLink(recorded(t, e.file))
			if !ok {
				t.Fatal("not understood")
			}
			equal(t, link, e.link)
			equal(t, device, e.device)
		})
	}
}

func TestOtherListsAreReadAsTheKernelWritesThem(t *testing.T) {
	little(t)
	if address, ok := parseAddress(recorded(t, "address.hex")); !ok || address != netip.MustParseAddr("192.168.0.164") {
		t.Errorf("%v, %v", address, ok)
	}
	if index, ok := parseIngress(recorded(t, "queue.hex")); !ok || index != 2 {
		t.Errorf("%d, %v", index, ok)
	}
	inode, details, ok := parsePacketDetails(recorded(t, "packet_details.hex"))
	if !ok || inode == 0 {
		t.Errorf("inode %d, %v", inode, ok)
	}
	equal(t, details, PacketSocket{Ring: true, Promiscuous: true})
}

// attribute is one attribute, filled up to 4 bytes.
func attribute(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, -len(b)&3)...)
}

func TestWhatTheRecordingsLackIsReadToo(t *testing.T) {
	stats := make([]byte, 8*24)
	for i := range 24 {
		binary.NativeEndian.PutUint64(stats[8*i:], uint64(100+i))
	}
	vxlan := slices.Concat(
		attribute(unix.IFLA_VXLAN_ID, binary.NativeEndian.AppendUint32(nil, 9)),
		attribute(unix.IFLA_VXLAN_LOCAL6, netip.MustParseAddr("2001:db8::1").AsSlice()),
		attribute(unix.IFLA_VXLAN_PORT, []byte{0x12, 0xb5}),
		attribute(unix.IFLA_VXLAN_COLLECT_METADATA, []byte{1}), attribute(unix.IFLA_VXLAN_VNIFILTER, []byte{1}),
		attribute(unix.IFLA_VXLAN_ID, []byte{1, 2, 3}), // no number has three bytes
	)
	body := slices.Concat(
		make([]byte, unix.SizeofIfInfomsg), attribute(unix.IFLA_IFNAME, []byte("vx\x00")), attribute(unix.IFLA_MASTER, binary.NativeEndian.AppendUint32(nil, 6)),
		attribute(unix.IFLA_LINK_NETNSID, binary.NativeEndian.AppendUint32(nil, 0)), attribute(unix.IFLA_STATS64, stats),
		attribute(unix.IFLA_LINKINFO|unix.NLA_F_NESTED, slices.Concat(attribute(unix.IFLA_INFO_KIND, []byte("vxlan\x00")), attribute(unix.IFLA_INFO_DATA, vxlan))),
	)
	link, device, ok := parseLink(body)
	if !ok {
		t.Fatal("not understood")
	}
	equal(t, link, Link{Name: "vx", Kind: "vxlan", Master: 6})
	equal(t, device, &Device{
		Name: "vx", Port: 4789, Local: netip.MustParseAddr("2001:db8::1"), IPv6: true, External: true, VNIFilter: true, Elsewhere: true,
		Received: 100, Errors: 104, Dropped: 106,
	})
}

// message is one message of an answer.
func message(kind, flags uint16, sequence uint32, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, sequence)
	b = append(binary.NativeEndian.AppendUint32(b, 0), body...)
	return append(b, make([]byte, -len(b)&3)...)
}

func TestAnAnswerEndsWhereTheKernelSaysSo(t *testing.T) {
	const kind = unix.NLMSG_MIN_TYPE
	minus := func(e unix.Errno) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(-int32(e))) }
	for _, e := range []struct {
		name   string
		answer []byte
		bodies []string
		done   bool
		err    error
	}{
		{name: "nothing"},
		{name: "a piece", answer: slices.Concat(message(kind, 2, 1, []byte("a")), message(kind, 2, 1, []byte("bc"))), bodies: []string{"a", "bc"}},
		{name: "the end", answer: slices.Concat(message(kind, 2, 1, []byte("a")), message(unix.NLMSG_DONE, 2, 1, make([]byte, 4))), bodies: []string{"a"}, done: true},
		{name: "an end with an error", answer: message(unix.NLMSG_DONE, 2, 1, minus(unix.ENOMEM)), err: unix.ENOMEM},
		{name: "an error", answer: message(unix.NLMSG_ERROR, 0, 1, minus(unix.ENOENT)), err: unix.ENOENT},
		{name: "another question's", answer: slices.Concat(message(kind, 2, 7, []byte("old")), message(unix.NLMSG_ERROR, 0, 7, minus(unix.ENOENT)), message(kind, 2, 1, []byte("a"))),
			bodies: []string{"a"}},
		{name: "a list that changed", answer: slices.Concat(message(kind, 2|unix.NLM_F_DUMP_INTR, 1, []byte("a")), message(unix.NLMSG_DONE, 2, 1, nil)),
			bodies: []string{"a"}, done: true, err: errInterrupted},
		{name: "a message longer than the answer", answer: message(kind, 2, 1, []byte("abcd"))[:18], err: errMessage},
		{name: "a message shorter than its header", answer: []byte{3, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, err: errMessage},
	} {
		t.Run(e.name, func(t *testing.T) {
			var bodies []string
			done, err := parseAnswer(e.answer, 1, func(body []byte) { bodies = append(bodies, string(body)) })
			if done != e.done || !errors.Is(err, e.err) || (err == nil) != (e.err == nil) {
				t.Errorf("done %v, %v; want %v, %v", done, err, e.done, e.err)
			}
			equal(t, bodies, e.bodies)
		})
	}
}

// FuzzAnswer: whatever the bytes are, reading them ends, and nothing panics.
func FuzzAnswer(f *testing.F) {
	for _, name := range []string{"link_card.hex", "link_vxlan.hex", "link_external.hex", "address.hex", "queue.hex", "packet_details.hex"} {
		f.Add(message(unix.RTM_NEWLINK, 2, 1, recorded(f, name)))
	}
	f.Add(slices.Concat(message(unix.RTM_NEWLINK, 2, 1, []byte("a")), message(unix.NLMSG_DONE, 2, 1, make([]byte, 4))))
	f.Fuzz(func(t *testing.T, b []byte) {
		bodies := 0
		_, _ = parseAnswer(b, 1, func(body []byte) {
			bodies += len(body)
			if link, device, ok := parseLink(body); ok && device != nil {
				if device.Index != link.Index || device.Name != link.Name || link.Kind != "vxlan" {
					t.Errorf("%+v is not %+v", device, link)
				}
			}
			parseAddress(body)
			parseIngress(body)
			parsePacketDetails(body)
		})
		if bodies > len(b) {
			t.Errorf("%d bytes of bodies in %d", bodies, len(b))
		}
	})
}

// FuzzFiles: whatever a file of /proc holds, reading it ends, nothing panics, and what
// is kept is bounded and of the port.
func FuzzFiles(f *testing.F) {
	for _, text := range []string{
		udpHeading + udpAny + udpBound + udpOther + udpOfPeer, udp6Heading + udp6Any + udp6Bound,
		packetHeading + "00000000980deddc 3      3    0003   3     1 0      0      1179487\n", snmpText, netstatText, snmp6Text,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		sockets, _ := parseSockets(text, 4789)
		for _, s := range sockets {
			if s.Local.Port() != 4789 {
				t.Errorf("%+v", s)
			}
		}
		packets, _ := parsePacketSockets(text, map[uint64]bool{7: true})
		for _, s := range packets {
			if s.Inode == 7 {
				t.Errorf("our own: %+v", s)
			}
		}
		if lines := strings.Count(string(text), "\n") + 1; len(sockets) > lines || len(packets) > lines {
			t.Errorf("%d sockets and %d packet sockets in %d lines", len(sockets), len(packets), lines)
		}
		all := make(table)
		all.parsePaired(text, "Ip", "Udp", "TcpExt", "IpExt")
		all.parseSingle(text, "Ip6", "Udp6")
		_, _ = all.counters("Ip", "Udp")
		_, _ = all.counters("Ip6", "Udp6")
	})
}

package vxlan_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// said is what is said of a frame by one way of reading it.
type said struct {
	Key                                              vxlan.Key4
	Reserved, Truncated                              bool
	InnerLength                                      int
	Destination, InnerSource, InnerDestination       netip.Addr
	DestinationMAC, SourceMAC                        uint64
	Protocol                                         uint8
	SourcePort, DestinationPort                      uint16
	FirstFragment, Fragment, HasMACs, HasPorts, IPv4 bool
}

func usualSays(u *vxlan.Usual) said {
	return said{
		Key: u.Key(), Reserved: u.Reserved(), Truncated: u.Truncated(), InnerLength: u.InnerLength(),
		Destination: address4(u.Destination()), InnerSource: address4(uint32(u.InnerAddresses() >> 32)), InnerDestination: address4(uint32(u.InnerAddresses())),
		DestinationMAC: u.DestinationMAC(), SourceMAC: u.SourceMAC(), Protocol: u.Protocol(),
		SourcePort: u.SourcePort(), DestinationPort: u.DestinationPort(),
		HasMACs: true, HasPorts: true, IPv4: true,
	}
}

func walkSays(frame []byte, outer *vxlan.Outer) said {
	var inner vxlan.Inner
	captured := frame[outer.InnerOffset:outer.InnerEnd]
	vxlan.WalkInner(captured, &inner)
	key, is4 := outer.Key.In4()
	return said{
		Key: key, Reserved: outer.Reserved, Truncated: inner.Truncated(len(captured), outer.InnerLength), InnerLength: outer.InnerLength,
		Destination: outer.Destination(frame), InnerSource: inner.Source, InnerDestination: inner.Destination,
		DestinationMAC: mac(inner.DestinationMAC), SourceMAC: mac(inner.SourceMAC), Protocol: inner.Protocol,
		SourcePort: inner.SourcePort, DestinationPort: inner.DestinationPort,
		FirstFragment: outer.FirstFragment, Fragment: inner.Fragment, HasMACs: inner.HasMACs, HasPorts: inner.HasPorts,
		IPv4: is4 && inner.Kind == vxlan.IPv4 && inner.HasAddresses && inner.HasProtocol,
	}
}

func address4(a uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, a)))
}

func mac(b [6]byte) uint64 { return binary.BigEndian.Uint64(append([]byte{0, 0}, b[:]...)) }

// FuzzAUsualFrameSaysWhatTheWalksSay proves that the fast way is no second truth.
func FuzzAUsualFrameSaysWhatTheWalksSay(f *testing.F) {
	for _, e := range frametest.Corpus() {
		f.Add(e.Frame, uint16(len(e.Frame)), uint16(0))
		f.Add(e.Frame, uint16(90), uint16(0))
		f.Add(e.Frame, uint16(len(e.Frame)), uint16(100))
	}
	f.Fuzz(func(t *testing.T, frame []byte, captured, missing uint16) {
		frame = frame[:int(captured)%(len(frame)+1)]
		length := len(frame) + int(missing)
		u := vxlan.AsUsual(frame, length, vxlan.Port)
		if u == nil {
			return
		}
		var outer vxlan.Outer
		if class := vxlan.Walk(frame, length, vxlan.Port, &outer); class != vxlan.Stream {
			t.Fatalf("%s by the walk: %x of %d", class, frame, length)
		}
		if diff := cmp.Diff(walkSays(frame, &outer), usualSays(u), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Fatalf("(-walk +usual):\n%s%x of %d", diff, frame, length)
		}
	})
}

func TestTheCommonestFrameIsUsualWhateverItsReservedBitsAre(t *testing.T) {
	plain := frametest.Copy(11, frametest.Inner("12345\n").Bytes()).Bytes()
	udp := frametest.Inner("12345\n")
	udp.Protocol = 17
	counting := edit(plain, atVXLAN, 0xff, 0x01, 0xd1, 0xf2, 0, 0, 0x0b, 1)
	cut := frametest.Copy(1, frametest.Inner(string(make([]byte, 1400))).Bytes()[:96]).Bytes()
	for name, e := range map[string]struct {
		frame []byte
		usual bool
	}{
		"a copy":                  {plain, true},
		"one of UDP":              {frametest.Copy(1, udp.Bytes()).Bytes(), true},
		"one that the mirror cut": {cut, true},
		"one of which the capture holds the ports":   {cut[:atInner+38], true},
		"all flags, a running number, a direction":   {counting, true},
		"one of which the capture lacks a port":      {cut[:atInner+37], false},
		"one that the mirror cut before the ports":   {frametest.Copy(1, frametest.Inner("x").Bytes()[:37]).Bytes(), false},
		"one that may be VXLAN-GPE":                  {edit(plain, atVXLAN, 0x0c, 0, 0, 3), false},
		"ARP":                                        {frametest.Copy(1, frametest.ARP()).Bytes(), false},
		"no copy":                                    {frametest.Inner("12345\n").Bytes(), false},
		"a copy to another port":                     {edit(plain, frametest.AtUDP+2, 0x21, 0x18), false},
		"a copy in a copy, whose inner one is UDP":   {frametest.Copy(9, plain).Bytes(), true},
		"a UDP length beyond the packet":             {edit(plain, frametest.AtUDP+4, 0, 200), false},
		"an inner packet that has no room for ports": {edit(plain, atInner+16, 0, 23), false},
	} {
		t.Run(name, func(t *testing.T) {
			if u := vxlan.AsUsual(e.frame, max(len(e.frame), len(cut)), vxlan.Port); (u != nil) != e.usual {
				t.Errorf("usual: %t, want %t: %x", u != nil, e.usual, e.frame)
			}
		})
	}
}

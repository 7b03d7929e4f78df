package live

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
	"vpcmirror.io/operator/test/bench/copies"
)

// cut does what the kernel does with a burst.
func cut(burst []byte) [][]byte {
	var frames [][]byte
	header, rest := burst[vnetBytes:vnetBytes+headerBytes], burst[vnetBytes+headerBytes:]
	for ; len(rest) > 0; rest = rest[segmentBytes:] {
		frame := append(append([]byte{}, header...), rest[:segmentBytes]...)
		binary.BigEndian.PutUint16(frame[linkBytes+2:], uint16(len(frame)-linkBytes))
		binary.BigEndian.PutUint16(frame[linkBytes+24:], uint16(len(frame)-linkBytes-20))
		frames = append(frames, frame)
	}
	return frames
}

// source hands out frames as a ring does.
type source struct{ frames [][]byte }

func (s *source) Next(f *capture.Frame) bool {
	if len(s.frames) == 0 {
		return false
	}
	f.Data, f.Length, s.frames = s.frames[0], len(s.frames[0]), s.frames[1:]
	return true
}

func TestEachSourceOfEachSessionSendsEquallyOftenByEachRule(t *testing.T) {
	counts := tally.New(vxlan.Port)
	if _, err := counts.SetSessions(sessions()); err != nil {
		t.Fatal(err)
	}
	for _, burst := range bursts([6]byte{2}) {
		counts.Count(&source{cut(burst)})
	}
	got := counts.Snapshot()
	if want := uint64(sessionCount * sourceCount * ruleCount); got.Frames.Read != want || got.Frames.Attributed != want {
		t.Errorf("%+v, want all of %d attributed", got.Frames, want)
	}
	if len(got.Sessions) != sessionCount {
		t.Fatalf("%d sessions", len(got.Sessions))
	}
	for _, s := range got.Sessions {
		if s.Accepted != sourceCount*ruleCount || len(s.Sources) != sourceCount {
			t.Errorf("%s: %d accepted of %d sources", s.ID, s.Accepted, len(s.Sources))
		}
		if len(s.Rules) != ruleCount {
			t.Errorf("%s: %d rules", s.ID, len(s.Rules))
		}
		for _, rule := range s.Rules {
			if rule.Packets != sourceCount {
				t.Errorf("%s: %d packets by the rule %+v", s.ID, rule.Packets, rule)
			}
		}
	}
}

func TestTheHeadersOfABurstAreThoseOfAllItsDatagrams(t *testing.T) {
	for i, burst := range bursts([6]byte{2, 1}) {
		packet := gopacket.NewPacket(burst[vnetBytes:], layers.LayerTypeEthernet, gopacket.Default)
		if packet.ErrorLayer() != nil {
			t.Fatalf("burst %d: %v", i, packet.ErrorLayer().Error())
		}
		link, _ := packet.LinkLayer().(*layers.Ethernet)
		ip, _ := packet.NetworkLayer().(*layers.IPv4)
		udp, _ := packet.TransportLayer().(*layers.UDP)
		from, _ := netip.AddrFromSlice(ip.SrcIP)
		if link.DstMAC.String() != "02:01:00:00:00:00" || from != netip.AddrFrom4([4]byte{192, 168, 203, copies.Source(i / 2)}) {
			t.Errorf("burst %d: to %s from %s", i, link.DstMAC, from)
		}
		if int(ip.Length) != len(burst)-vnetBytes-linkBytes || int(udp.Length) != int(ip.Length)-20 || len(udp.Payload) != segments*segmentBytes {
			t.Errorf("burst %d: IP %d, UDP %d, payload %d bytes", i, ip.Length, udp.Length, len(udp.Payload))
		}
		if sum(0, ip.Contents) != 0xffff {
			t.Errorf("burst %d: the checksum of the IP header is wrong", i)
		}
	}
}

// clock is a time that only passes while the sender sleeps or sends.
type clock struct {
	now, perBurst time.Duration
	at            []time.Duration // when each burst began
}

func (c *clock) pace(t *testing.T, s sending) int {
	t.Helper()
	n, err := s.pace(
		func() time.Duration { return c.now },
		func(d time.Duration) error { c.now += d; return nil },
		func(int) error { c.at = append(c.at, c.now); c.now += c.perBurst; return nil },
	)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTheSenderKeepsItsRateAndCatchesUp(t *testing.T) {
	ms := time.Millisecond
	c := clock{}
	if n := c.pace(t, sending{Rate: segments * 1000, Seconds: 0.005}); n != 5*segments {
		t.Errorf("%d frames in 5 ms", n)
	}
	if diff := cmp.Diff([]time.Duration{0, ms, 2 * ms, 3 * ms, 4 * ms}, c.at); diff != "" {
		t.Error(diff)
	}
	c = clock{now: 3 * ms} // the sender was away
	if n := c.pace(t, sending{Rate: segments * 1000, Seconds: 0.005}); n != 5*segments {
		t.Errorf("%d frames in 5 ms, late", n)
	}
	if diff := cmp.Diff([]time.Duration{3 * ms, 3 * ms, 3 * ms, 3 * ms, 4 * ms}, c.at); diff != "" {
		t.Error(diff)
	}
}

func TestTheSenderIsBoundedInCountAndTime(t *testing.T) {
	c := clock{perBurst: time.Millisecond}
	if n := c.pace(t, sending{Rate: full, Seconds: 0.005}); n != 5*segments {
		t.Errorf("%d frames at full speed", n)
	}
	c = clock{perBurst: 3 * time.Millisecond}
	if n := c.pace(t, sending{Rate: segments * 1000, Seconds: 0.005}); n != 4*segments {
		t.Errorf("%d frames at a rate that can't be reached", n)
	}
	c = clock{}
	if n := c.pace(t, sending{Rate: full, Seconds: 1}); n != most {
		t.Errorf("%d frames on an endlessly fast wire", n)
	}
	why := errors.New("the wire is gone")
	s := sending{Rate: full, Seconds: 1}
	if _, err := s.pace(func() time.Duration { return 0 }, nil, func(int) error { return why }); !errors.Is(err, why) {
		t.Error(err)
	}
}

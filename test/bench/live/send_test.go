package live

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"vpcmirror.io/operator/test/bench/copies"
)

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

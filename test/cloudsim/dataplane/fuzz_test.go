package dataplane

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/gopacket/layers"
)

// seeds are frames of every kind the switch treats in a way of its own.
func seeds(t testing.TB) [][]byte {
	t.Helper()
	line := tcp(t, portTest, portSource, 38944, 1234, "PA", "12345\n")
	long := udp(t, portTest, portSource, 40000, 53, string(make([]byte, 100)))
	out := [][]byte{
		nil, line, long,
		echo(t, portTest, portSource, true, 1),
		unreachable(t, portTest, portSource, long),
		arp(t, macTest, macTest, "192.168.0.161", nil, "192.168.0.1"),
		neighbor(t, layers.ICMPv6TypeNeighborSolicitation, "2001:db8::1"),
		neighbor(t, layers.ICMPv6TypeNeighborAdvertisement, "fe80::161"),
		neighbor(t, layers.ICMPv6TypeRouterAdvertisement, "fe80::161"),
	}
	out = append(out, pieces(t, long, 48)...)
	tagged := append(append(append([]byte(nil), line[:12]...), 0x81, 0, 0, 7, 0x88, 0xa8, 0, 1), line[12:]...)
	return append(out, tagged)
}

func FuzzTheWalkStaysInsideTheFrame(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		p := classify(frame)
		if p.malformed {
			return
		}
		if p.isIP() && (p.transport < p.network || p.transport > len(frame) || !p.source.IsValid() || !p.destination.IsValid()) {
			t.Errorf("%+v of %d bytes", p, len(frame))
		}
		if p.hasPorts && (p.laterFragment || p.transport+4 > len(frame)) {
			t.Errorf("ports from nowhere: %+v of %d bytes", p, len(frame))
		}
		if q, ok := p.quoted(frame); ok && (q.kind != p.kind || !q.source.IsValid()) {
			t.Errorf("quote %+v in %+v", q, p)
		}
		// What was read is a matter of the headers: one byte less is never a panic.
		for n := range frame {
			classify(frame[:n])
		}
	})
}

func FuzzAHostileHostHurtsNobody(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, frame []byte, honestMAC bool) {
		if len(frame) > maxFrame+1 {
			return // the device gives no more
		}
		if honestMAC && len(frame) >= ethernetLength {
			frame = bytes.Clone(frame)
			copy(frame[6:], macTest)
		}
		all := []Rule{{Priority: 1, Accept: true, Protocol: "ALL"}, {Priority: 2, Accept: true, IPv6: true, Protocol: "ALL"}}
		config := change(open("sg-source", anything), open("sg-target", anything), func(c *Config) {
			c.Sessions[0].Ingress, c.Sessions[0].Egress = all, all
			c.Sessions[0].Sources = []string{portSource, portTest}
		})
		got := map[string]uint64{}
		sw, err := NewSwitch(walkthroughLayout(""), func(id string) Deliver {
			return func(out []byte) error {
				got[id]++
				if len(out) < ethernetLength || len(out) > maxFrame {
					t.Errorf("%s got a frame of %d bytes", id, len(out))
				}
				from := out[6:12]
				if !bytes.Equal(from, macTest) && !bytes.Equal(from, macGateway) {
					t.Errorf("%s got a frame that claims to be from %x", id, from)
				}
				return nil
			}
		}, newClock().now)
		if err != nil {
			t.Fatal(err)
		}
		sw.Apply(config)
		sw.Port(portTest).Receive(bytes.Clone(frame))
		sw.Port(portTest).Receive(bytes.Clone(frame))
		stats := sw.Stats()
		for id, p := range stats.Ports {
			if p.ToHost != got[id] {
				t.Errorf("%s: counted %d, got %d", id, p.ToHost, got[id])
			}
		}
		s := stats.Sessions["session-1"]
		if s.Copies != s.Delivered+s.DeniedByTargetGroup+s.NoTarget+s.NoRoute+s.DeviceDropped {
			t.Errorf("the session's books do not balance: %+v", s)
		}
	})
}

func TestAReceiverThatTakesNothingIsCounted(t *testing.T) {
	broken := errors.New("interface is down")
	sw, err := NewSwitch(walkthroughLayout(""), func(string) Deliver { return func([]byte) error { return broken } }, newClock().now)
	if err != nil {
		t.Fatal(err)
	}
	sw.Apply(walkthroughConfig())
	sw.Port(portTest).Receive(tcp(t, portTest, portSource, 38944, 1234, "S", ""))
	stats := sw.Stats()
	if n := stats.Ports[portSource].DroppedToHost[DropDevice]; n != 1 {
		t.Errorf("%d frames counted as dropped by the device, want 1", n)
	}
	if n := stats.Sessions["session-1"].DeviceDropped; n != 1 {
		t.Errorf("%d copies counted as dropped by the device, want 1", n)
	}
}

func TestTheHotPathAllocatesNothing(t *testing.T) {
	l := walkthrough(t)
	l.keep = false
	l.send(portTest, tcp(t, portTest, portSource, 38944, 1234, "S", ""))
	frame, port := tcp(t, portTest, portSource, 38944, 1234, "PA", "12345\n"), l.sw.Port(portTest)
	if n := testing.AllocsPerRun(1000, func() { port.Receive(frame) }); n != 0 {
		t.Errorf("%v allocations per frame that is switched and mirrored, want none", n)
	}
}

func BenchmarkAFrameThatIsSwitchedAndMirrored(b *testing.B) {
	l := walkthrough(b)
	l.keep = false
	l.send(portTest, tcp(b, portTest, portSource, 38944, 1234, "S", ""))
	frame, port := tcp(b, portTest, portSource, 38944, 1234, "PA", "12345\n"), l.sw.Port(portTest)
	b.ReportAllocs()
	for b.Loop() {
		port.Receive(frame)
	}
}

package tally_test

import (
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// busy is a host on which the copies of 8 sessions with so many rules and sources arrive in turn, cut to
// 96 bytes. The last rule of each accepts them.
func busy(rules, sources int, header [8]byte) (sessions []tally.Session, all frames) {
	for vni := range uint32(8) {
		s := tally.Session{ID: fmt.Sprint(vni), VNI: vni}
		for i := range rules {
			port := uint16(2000 + i)
			if i == rules-1 {
				port = 1234
			}
			s.Rules = append(s.Rules, v1alpha1.Rule{
				Direction: v1alpha1.DirectionIngress, Priority: i + 1, Accept: true, Protocol: v1alpha1.ProtocolTCP,
				Source:      v1alpha1.Peer{Prefix: netip.MustParsePrefix("192.168.0.0/16")},
				Destination: v1alpha1.Peer{Ports: v1alpha1.PortRange{Low: port, High: port}},
			})
		}
		for i := range sources {
			addr := netip.AddrFrom4([4]byte{192, 168, 203, byte(i)})
			s.Sources = append(s.Sources, tally.Source{ID: fmt.Sprint(i), OuterAddrs: []netip.Addr{addr}, MAC: [6]byte{2, 0, 0, 0, 0, byte(i)}, Addrs: []netip.Addr{addr}})
		}
		sessions = append(sessions, s)
	}
	for i := range 4096 {
		of := sessions[i%8].Sources[i/8%sources]
		inner := frametest.Inner(string(make([]byte, 1400)))
		inner.DestinationMAC, inner.Destination = of.MAC, of.Addrs[0]
		p := frametest.Copy(uint32(i%8), inner.Bytes()[:96])
		p.Source = of.OuterAddrs[0]
		data := p.Bytes()
		for n, b := range header {
			data[42+n] |= b
		}
		all = append(all, capture.Frame{Data: data, Length: len(data), Time: int64(i+1) * 1000})
	}
	return sessions, all
}

func BenchmarkCount(b *testing.B) {
	counting := [8]byte{0xff, 0x01, 0xd1, 0xf2, 7: 0x01}
	for name, e := range map[string]struct {
		make           func(uint16) *tally.Tally
		rules, sources int
		header         [8]byte
	}{
		"rules=1,sources=1":                  {tally.New, 1, 1, [8]byte{}},
		"rules=10,sources=32":                {tally.New, 10, 32, [8]byte{}},
		"rules=10,sources=32,reserved bits":  {tally.New, 10, 32, counting},
		"rules=10,sources=32,every one walk": {tally.NewWithoutFastPath, 10, 32, [8]byte{}},
	} {
		b.Run(name, func(b *testing.B) {
			sessions, all := busy(e.rules, e.sources, e.header)
			counts := e.make(vxlan.Port)
			if _, err := counts.SetSessions(sessions); err != nil {
				b.Fatal(err)
			}
			full := *all.ring()
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				block := full
				counts.Count(&block)
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/float64(len(all)), "CPU-ns/packet")
			if s := counts.Snapshot(); s.Sessions[0].Accepted == 0 || s.Sessions[0].Accepted != s.Sessions[0].Arrived {
				b.Fatalf("%+v", s.Sessions[0])
			}
		})
	}
}

// cpuTime is what the process has used, in nanoseconds: other work on the machine disturbs it less than
// the time that passes.
func cpuTime(b *testing.B) int64 {
	b.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

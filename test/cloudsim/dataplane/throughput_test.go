package dataplane

import (
	"net"
	"testing"
	"time"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// BenchmarkFramesThroughRealDevices sends small datagrams from one host to
// another and waits until the switch has taken them all; one in a thousand waits
// for the switch, so that the host's queue never overflows. The rate includes
// both hosts' kernels and the sender.
func BenchmarkFramesThroughRealDevices(b *testing.B) {
	for name, mirrored := range map[string]bool{"switched": false, "switched and mirrored": true} {
		b.Run(name, func(b *testing.B) {
			p, err := Start(b.Context(), walkthroughLayout("bench-"), nil)
			if err != nil {
				b.Skip(err)
			}
			defer p.Close()
			p.Apply(change(open("sg-source", anything), func(c *Config) {
				c.Sessions[0].Enabled = mirrored
				c.Sessions[0].Ingress = []Rule{{Priority: 1, Accept: true, Protocol: "UDP"}}
			}))
			var socket, sink, target net.PacketConn
			for host, s := range map[string]*net.PacketConn{"ecs-test": &socket, "ecs-source": &sink, "ecs-target": &target} {
				if err := netns.In(p.Namespace(host), func() (err error) {
					*s, err = net.ListenPacket("udp4", ":4789")
					return err
				}); err != nil {
					b.Fatal(err)
				}
				defer (*s).Close()
			}
			payload, to := make([]byte, 100), &net.UDPAddr{IP: addrSource.AsSlice(), Port: 4789}
			taken := func() uint64 { return p.sw.Port(portTest).counters.fromHost.Load() }
			var sent, before uint64 = 0, taken()
			start := time.Now()
			for b.Loop() {
				if _, err := socket.WriteTo(payload, to); err != nil {
					b.Fatal(err)
				}
				if sent++; sent%1000 == 0 {
					for taken()-before+1000 < sent {
					}
				}
			}
			for deadline := time.Now().Add(patience); taken()-before < sent; {
				if time.Now().After(deadline) {
					b.Fatalf("the switch took %d of %d", taken()-before, sent)
				}
			}
			b.ReportMetric(float64(sent)/time.Since(start).Seconds()/1000, "kpps")
		})
	}
}

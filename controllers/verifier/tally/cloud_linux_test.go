package tally_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/test/cloudsim/dataplane"
)

// A small subnet of the simulated cloud: two sources, somebody else, and the target.
var (
	subnetHosts = []string{"a", "b", "other", "target"}
	subnetAddrs = map[string]netip.Addr{
		"a": addrA, "b": addrB, "other": netip.MustParseAddr("10.0.0.7"), "target": netip.MustParseAddr("10.0.0.9"),
	}
	subnetMACs = map[string][6]byte{
		"a": frametest.MAC("02:00:00:00:00:0a"), "b": frametest.MAC("02:00:00:00:00:0b"),
		"other": frametest.MAC("02:00:00:00:00:07"), "target": frametest.MAC("02:00:00:00:00:09"),
	}
)

// cloud is a switch of the simulated cloud that mirrors by some rules, in memory.
type cloud struct {
	sw     *dataplane.Switch
	copies [][]byte // that reached the target since they were last taken
}

func newCloud(t *rapid.T, rules []v1alpha1.Rule, length int) *cloud {
	c := &cloud{}
	layout := dataplane.Layout{Gateways: []dataplane.Gateway{{
		VPC: "v", Subnet: netip.MustParsePrefix("10.0.0.0/24"), Address: netip.MustParseAddr("10.0.0.254"), MAC: net.HardwareAddr{2, 0, 0, 0, 0, 0xfe},
	}}}
	config := dataplane.Config{Groups: []dataplane.Group{{ID: "open", Rules: []dataplane.GroupRule{{Ingress: true, Priority: 1}, {Priority: 1}}}}}
	for _, name := range subnetHosts {
		mac := subnetMACs[name]
		layout.Hosts = append(layout.Hosts, dataplane.Host{Name: name, Interfaces: []dataplane.Interface{{
			PortID: name, Name: "eth0", MAC: mac[:], Addresses: []netip.Prefix{netip.PrefixFrom(subnetAddrs[name], 24)}, VPC: "v",
		}}})
		config.Ports = append(config.Ports, dataplane.Port{ID: name, Groups: []string{"open"}, FlavorSupportsMirroring: true})
	}
	session := dataplane.Session{ID: "s", Enabled: true, Priority: 1, VNI: 7, PacketLength: length, Sources: []string{"a", "b"}, Target: "target"}
	for _, r := range rules {
		in := dataplane.Rule{
			Priority: r.Priority, Accept: r.Accept, Protocol: string(r.Protocol), Source: r.Source.Prefix, Destination: r.Destination.Prefix,
			SourcePorts: dataplane.PortRange(r.Source.Ports), DestinationPorts: dataplane.PortRange(r.Destination.Ports),
		}
		if r.Direction == v1alpha1.DirectionIngress {
			session.Ingress = append(session.Ingress, in)
		} else {
			session.Egress = append(session.Egress, in)
		}
	}
	config.Sessions = []dataplane.Session{session}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	var err error
	c.sw, err = dataplane.NewSwitch(layout, func(id string) dataplane.Deliver {
		return func(frame []byte) error {
			if id == "target" && [6]byte(frame[6:12]) == [6]byte{2, 0, 0, 0, 0, 0xfe} { // a copy comes from the gateway
				c.copies = append(c.copies, slices.Clone(frame))
			}
			return nil
		}
	}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	c.sw.Apply(config)
	return c
}

// send lets a host send a frame, and returns the copies of it by the address that they come from.
func (c *cloud) send(from string, frame []byte) map[netip.Addr][]byte {
	c.copies = nil
	c.sw.Port(from).Receive(slices.Clone(frame))
	out := map[netip.Addr][]byte{}
	for _, b := range c.copies {
		out[netip.AddrFrom4([4]byte(b[26:30]))] = b
	}
	return out
}

func subnetRules(t *rapid.T) (out []v1alpha1.Rule) {
	prefixes := []netip.Prefix{{}, netip.PrefixFrom(addrA, 32), netip.PrefixFrom(subnetAddrs["other"], 32), netip.MustParsePrefix("10.0.0.0/29")}
	ports := []v1alpha1.PortRange{{}, {}, {Low: 80, High: 80}, {Low: 1, High: 79}}
	for n := range rapid.IntRange(0, 8).Draw(t, "rules") {
		end := func(name string) v1alpha1.Peer {
			return v1alpha1.Peer{Prefix: rapid.SampledFrom(prefixes).Draw(t, name), Ports: rapid.SampledFrom(ports).Draw(t, name+" ports")}
		}
		out = append(out, v1alpha1.Rule{
			Direction: rapid.SampledFrom([]v1alpha1.Direction{v1alpha1.DirectionIngress, v1alpha1.DirectionEgress}).Draw(t, "direction"),
			Priority:  n + 1, Accept: rapid.IntRange(0, 2).Draw(t, "accept") > 0,
			Protocol: rapid.SampledFrom([]v1alpha1.Protocol{v1alpha1.ProtocolAll, v1alpha1.ProtocolTCP, v1alpha1.ProtocolUDP, v1alpha1.ProtocolICMP}).Draw(t, "protocol"),
			Source:   end("source"), Destination: end("destination"),
		})
	}
	return rapid.Permutation(out).Draw(t, "in any order")
}

func subnetPacket(t *rapid.T) (from string, frame []byte) {
	from = rapid.SampledFrom(subnetHosts[:3]).Draw(t, "from")
	to := rapid.SampledFrom(subnetHosts).Filter(func(to string) bool { return to != from }).Draw(t, "to")
	return from, frametest.Packet{
		SourceMAC: subnetMACs[from], DestinationMAC: subnetMACs[to], Source: subnetAddrs[from], Destination: subnetAddrs[to],
		Protocol:   rapid.SampledFrom([]uint8{1, 6, 17}).Draw(t, "protocol"),
		SourcePort: rapid.SampledFrom([]uint16{79, 80, 81}).Draw(t, "source port"), DestinationPort: rapid.SampledFrom([]uint16{79, 80, 81}).Draw(t, "port"),
		Payload: make([]byte, rapid.IntRange(0, 1400).Draw(t, "payload")),
	}.Bytes()
}

// The simulated cloud matches and cuts with code of its own. What it copies by some rules is
// counted by the same rules, and by others, of which a second cloud says what it would copy.
func TestTheSimulatedCloudAndTheTallyAgreeOnEachSource(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const ports = 14 + 20 + 4 // what decides must be there
		length := rapid.IntRange(ports, 1460).Draw(t, "packet length")
		rules, others := subnetRules(t), subnetRules(t)
		mirror, other := newCloud(t, rules, length), newCloud(t, others, length)
		session := tally.Session{ID: "s", VNI: 7, Rules: rules}
		for _, id := range []string{"a", "b"} {
			addrs := []netip.Addr{subnetAddrs[id]}
			session.Sources = append(session.Sources, tally.Source{ID: id, OuterAddrs: addrs, MAC: subnetMACs[id], Addrs: addrs})
		}
		bySame, byOthers := newPaths(t), newPaths(t)
		setRapid(t, bySame, session)
		session.Rules = others
		setRapid(t, byOthers, session)

		want := map[string]*tally.PacketCounts{"a": {}, "b": {}}
		wantOthers := map[string]*tally.PacketCounts{"a": {}, "b": {}}
		for range rapid.IntRange(1, 20).Draw(t, "packets") {
			from, frame := subnetPacket(t)
			whole := 14 + int(binary.BigEndian.Uint16(frame[16:]))
			copies, instead := mirror.send(from, frame), other.send(from, frame)
			for id := range want {
				b := copies[subnetAddrs[id]]
				if b == nil {
					continue
				}
				bySame.Count(block(b))
				byOthers.Count(block(b))
				for _, counts := range []*tally.PacketCounts{want[id], wantOthers[id]} {
					counts.Arrived++
					counts.ArrivedBytes += uint64(len(b) - 50)
					if len(b)-50 < whole { // padding is nothing that is missed
						counts.Truncated++
					}
				}
				want[id].Accepted, want[id].AcceptedBytes = want[id].Arrived, want[id].ArrivedBytes
				if instead[subnetAddrs[id]] == nil {
					wantOthers[id].Unexpected++
				} else {
					wantOthers[id].Accepted++
					wantOthers[id].AcceptedBytes += uint64(len(b) - 50)
				}
			}
		}
		for _, c := range []struct {
			by   *paths
			want map[string]*tally.PacketCounts
		}{{bySame, want}, {byOthers, wantOthers}} {
			got, byRules := map[string]*tally.PacketCounts{}, uint64(0)
			s := c.by.Snapshot()
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			for _, source := range s.Sessions[0].Sources {
				got[source.ID] = &source.PacketCounts
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Fatalf("by source (-want +got):\n%s", diff)
			}
			for _, r := range s.Sessions[0].Rules {
				if r.Accept {
					byRules += r.Packets
				}
			}
			if byRules != s.Sessions[0].Accepted {
				t.Fatalf("%d are accepted, by the rules %+v", s.Sessions[0].Accepted, s.Sessions[0].Rules)
			}
		}
		if made := mirror.sw.Stats().Sessions["s"].Delivered; made != want["a"].Arrived+want["b"].Arrived {
			t.Fatalf("the cloud counted %d copies, %d and %d arrived", made, want["a"].Arrived, want["b"].Arrived)
		}
	})
}

func setRapid(t *rapid.T, to *paths, s tally.Session) {
	if _, err := to.SetSessions([]tally.Session{s}); err != nil {
		t.Fatal(err)
	}
}

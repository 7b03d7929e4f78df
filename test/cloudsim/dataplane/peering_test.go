package dataplane

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"
)

// peered is the walkthrough with ecs-target in a VPC of its own, everything
// admitted, and the routes of either side.
func peered(there, back []Route, peerings ...Peering) func(*Config) {
	return func(c *Config) {
		for i := range c.Groups {
			c.Groups[i].Rules = []GroupRule{{Ingress: true}, {}}
		}
		for i := range c.Ports {
			c.Ports[i].Subnet = "subnet-1"
		}
		portOf(c, portTarget).Subnet = "subnet-2"
		c.Subnets = []Subnet{{ID: "subnet-1", Routes: there}, {ID: "subnet-2", Routes: back}}
		c.Peerings = peerings
	}
}

func route(destination, peering string) Route {
	return Route{Destination: netip.MustParsePrefix(destination), Peering: peering}
}

// over is a route to an enterprise router.
func over(destination, router string) Route {
	return Route{Destination: netip.MustParsePrefix(destination), Router: router}
}

func TestFramesAndCopiesReachAnotherVPCOnlyOverAPeeringOrRouterWithRoutesOnBothSides(t *testing.T) {
	up := Peering{ID: "p", VPCs: [2]string{"vpc-1", "vpc-2"}}
	there, back := route("192.168.1.0/24", "p"), route("192.168.0.0/24", "p")
	for _, test := range []struct {
		name        string
		there, back []Route
		peerings    []Peering
		want        bool
	}{
		{"no peering, no routes", nil, nil, nil, false},
		{"routes on both sides", []Route{there}, []Route{back}, []Peering{up}, true},
		{"whichever side asked for it", []Route{there}, []Route{back}, []Peering{{ID: "p", VPCs: [2]string{"vpc-2", "vpc-1"}}}, true},
		{"the peering is not up", []Route{there}, []Route{back}, nil, false},
		{"no route there", nil, []Route{back}, []Peering{up}, false},
		{"no route back", []Route{there}, nil, []Peering{up}, false},
		{"the route there is for others", []Route{route("192.168.1.0/25", "p")}, []Route{back}, []Peering{up}, false},
		{"the longest prefix leads elsewhere", []Route{there, route("192.168.1.164/32", "")}, []Route{back}, []Peering{up}, false},
		{"the longest prefix leads there", []Route{route("192.168.0.0/16", ""), there}, []Route{back}, []Peering{up}, true},
		{"the default route leads there", []Route{route("0.0.0.0/0", "p")}, []Route{back}, []Peering{up}, true},
		{"a router", []Route{over("192.168.1.0/24", "er")}, []Route{over("192.168.0.0/24", "er")}, nil, true},
		{"a router, and no way back", []Route{over("192.168.1.0/24", "er")}, nil, nil, false},
		{"a router there, another back", []Route{over("192.168.1.0/24", "er")}, []Route{over("192.168.0.0/24", "er2")}, nil, false},
		{"a router there, a peering back", []Route{over("192.168.1.0/24", "er")}, []Route{back}, []Peering{up}, false},
		{"another peering than the one that has the address", []Route{route("192.168.1.0/24", "q")}, []Route{back}, []Peering{up, {ID: "q", VPCs: [2]string{"vpc-1", "vpc-3"}}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, twoSubnets("vpc-2"), change(peered(test.there, test.back, test.peerings...)))
			packet := build(t, &layers.Ethernet{SrcMAC: macTest, DstMAC: macGateway, EthernetType: layers.EthernetTypeIPv4},
				&layers.IPv4{Version: 4, TTL: 9, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{192, 168, 0, 161}, DstIP: net.IP{192, 168, 1, 164}},
				&layers.UDP{SrcPort: 1, DstPort: 2})
			want, stats := map[string]int{}, SessionStats{Copies: 1, InnerBytes: 66, NoRoute: 1}
			if test.want {
				want, stats = map[string]int{portTarget: 1}, SessionStats{Copies: 1, InnerBytes: 66, Delivered: 1}
			}
			if diff := cmp.Diff(want, l.arrivals(portTest, packet)); diff != "" {
				t.Errorf("a packet (-want +got):\n%s", diff)
			}
			copies := l.send(portTest, tcp(t, portTest, portSource, 40000, 1234, "S", ""))[portTarget]
			if diff := cmp.Diff(stats, l.sw.Stats().Sessions["session-1"]); diff != "" {
				t.Errorf("the session (-want +got):\n%s", diff)
			}
			if len(copies) == 1 && view(t, copies[0]).OuterFrom != "fa:16:3e:d1:6b:5e" {
				t.Errorf("the outer source MAC is %s, want that of the gateway of the target's subnet", view(t, copies[0]).OuterFrom)
			}
		})
	}
}

func TestAVPCsOwnSubnetsComeBeforeEveryRoute(t *testing.T) {
	layout := twoSubnets("vpc-2")
	// The other VPC has the same addresses as the first.
	nic := &layout.Hosts[2].Interfaces[0]
	nic.Addresses, nic.Gateway = []netip.Prefix{netip.MustParsePrefix("192.168.0.99/24")}, addrGateway
	layout.Gateways[1].Subnet, layout.Gateways[1].Address = netip.MustParsePrefix("192.168.0.0/24"), addrGateway
	up := Peering{ID: "p", VPCs: [2]string{"vpc-1", "vpc-2"}}
	l := newLab(t, layout, change(peered([]Route{route("192.168.0.99/32", "p")}, []Route{route("192.168.0.0/24", "p")}, up)))
	l.send(portTest, tcp(t, portTest, portSource, 40000, 1234, "S", ""))
	if diff := cmp.Diff(SessionStats{Copies: 1, InnerBytes: 66, NoRoute: 1}, l.sw.Stats().Sessions["session-1"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheACLOfTheTargetsSubnetJudgesCopiesOfAnotherVPC(t *testing.T) {
	up := Peering{ID: "p", VPCs: [2]string{"vpc-1", "vpc-2"}}
	closed := peered([]Route{route("192.168.1.0/24", "p")}, []Route{route("192.168.0.0/24", "p")}, up)
	l := newLab(t, twoSubnets("vpc-2"), change(closed, func(c *Config) { c.Subnets[1].ACL = only() }))
	l.send(portTest, tcp(t, portTest, portSource, 40000, 1234, "S", ""))
	if diff := cmp.Diff(SessionStats{Copies: 1, InnerBytes: 66, DeniedByTargetACL: 1}, l.sw.Stats().Sessions["session-1"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheLongestPrefixDecidesWhereverTheTableHasIt(t *testing.T) {
	target := netip.MustParseAddr("192.168.1.164")
	rapid.Check(t, func(t *rapid.T) {
		var there []Route
		best, leads := -1, false
		for range rapid.IntRange(0, 6).Draw(t, "routes") {
			bits := rapid.SampledFrom([]int{0, 8, 16, 24, 25, 26, 32}).Draw(t, "bits")
			from := rapid.SampledFrom([]string{"192.168.1.164", "192.168.1.1", "10.0.0.1"}).Draw(t, "network")
			r := Route{Destination: netip.PrefixFrom(netip.MustParseAddr(from), bits).Masked(), Peering: rapid.SampledFrom([]string{"p", "q", ""}).Draw(t, "peering")}
			if slices.ContainsFunc(there, func(o Route) bool { return o.Destination == r.Destination }) {
				continue // a table has one route to a destination
			}
			there = append(there, r)
			if r.Destination.Contains(target) && bits > best {
				best, leads = bits, r.Peering == "p"
			}
		}
		up := Peering{ID: "p", VPCs: [2]string{"vpc-1", "vpc-2"}}
		sw, err := NewSwitch(twoSubnets("vpc-2"), func(string) Deliver { return func([]byte) error { return nil } }, newClock().now)
		if err != nil {
			t.Fatal(err)
		}
		sw.Apply(change(peered(there, []Route{route("192.168.0.0/24", "p")}, up)))
		if got := sw.config.Load().across(sw.Port(portTest), addrTest, target) != nil; got != leads {
			t.Fatalf("routes %+v: %v, want %v", there, got, leads)
		}
	})
}

package dataplane

import (
	"net"
	"net/netip"
	"testing"
)

// The walkthrough's hosts, as the cloud's guide has them.
const (
	portSource = "port-source"
	portTest   = "port-test"
	portTarget = "port-target"
)

var (
	macGateway = mustMAC("fa:16:3e:d1:6b:5d")
	macSource  = mustMAC("fa:16:3e:7e:d6:bc")
	macTest    = mustMAC("fa:16:3e:7e:d6:77")
	macTarget  = mustMAC("fa:16:3e:7e:d6:7a")

	addrGateway = netip.MustParseAddr("192.168.0.1")
	addrSource  = netip.MustParseAddr("192.168.0.230")
	addrTest    = netip.MustParseAddr("192.168.0.161")
	addrTarget  = netip.MustParseAddr("192.168.0.164")
)

func mustMAC(s string) net.HardwareAddr {
	mac, err := net.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return mac
}

func walkthroughLayout(prefix string) Layout {
	host := func(name, port string, mac net.HardwareAddr, a netip.Addr) Host {
		return Host{Name: name, Interfaces: []Interface{{
			PortID: port, Name: "eth0", MAC: mac, VPC: "vpc-1",
			Addresses: []netip.Prefix{netip.PrefixFrom(a, 24)}, Gateway: addrGateway,
		}}}
	}
	return Layout{
		Prefix: prefix,
		Hosts: []Host{
			host("ecs-source", portSource, macSource, addrSource),
			host("ecs-test", portTest, macTest, addrTest),
			host("ecs-target", portTarget, macTarget, addrTarget),
		},
		Gateways: []Gateway{{
			VPC: "vpc-1", Subnet: netip.MustParsePrefix("192.168.0.0/24"), Address: addrGateway, MAC: macGateway,
		}},
	}
}

func walkthroughConfig() Config {
	group := func(id string, extra ...GroupRule) Group {
		g := Group{ID: id, Rules: []GroupRule{
			{Ingress: true, Protocol: "tcp", Ports: "22,3389", Priority: 1},
			{Ingress: true, RemoteGroup: id, Priority: 1},
			{Ingress: true, IPv6: true, RemoteGroup: id, Priority: 1},
			{Priority: 1},
			{IPv6: true, Priority: 1},
		}}
		g.Rules = append(g.Rules, extra...)
		return g
	}
	port := func(id, group string) Port {
		return Port{ID: id, Groups: []string{group}, FlavorSupportsMirroring: true}
	}
	return Config{
		Ports: []Port{port(portSource, "sg-source"), port(portTest, "sg-test"), port(portTarget, "sg-target")},
		Groups: []Group{
			group("sg-source", GroupRule{Ingress: true, Protocol: "tcp", Ports: "1234", Priority: 1, RemotePrefix: netip.MustParsePrefix("192.168.0.161/32")}),
			group("sg-test"),
			group("sg-target", GroupRule{Ingress: true, Protocol: "udp", Ports: "4789", Priority: 1, RemotePrefix: netip.MustParsePrefix("192.168.0.230/32")}),
		},
		Sessions: []Session{{
			ID: "session-1", Enabled: true, Priority: 1, VNI: 1, PacketLength: 1460,
			Sources: []string{portSource}, Target: portTarget,
			Ingress: []Rule{{
				Priority: 1, Accept: true, Protocol: "TCP",
				Source: netip.MustParsePrefix("192.168.0.161/32"), Destination: netip.MustParsePrefix("192.168.0.230/32"),
				DestinationPorts: PortRange{1234, 1234},
			}},
		}},
	}
}

// change gives the walkthrough's configuration after some changes.
func change(changes ...func(*Config)) Config {
	c := walkthroughConfig()
	for _, f := range changes {
		f(&c)
	}
	return c
}

// dropRules removes the rules of a group that f picks; it must pick some.
func dropRules(t testing.TB, c *Config, group string, f func(GroupRule) bool) {
	t.Helper()
	for i := range c.Groups {
		if c.Groups[i].ID != group {
			continue
		}
		var kept []GroupRule
		for _, r := range c.Groups[i].Rules {
			if !f(r) {
				kept = append(kept, r)
			}
		}
		if len(kept) == len(c.Groups[i].Rules) {
			t.Fatalf("group %s has no such rule", group)
		}
		c.Groups[i].Rules = kept
		return
	}
	t.Fatalf("no group %s", group)
}

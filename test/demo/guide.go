package main

import "net/netip"

// server is one of the guide's three servers.
type server struct {
	name    string
	address netip.Addr
	mac     string
}

// at is a port of the server's address.
func (s server) at(port uint16) netip.AddrPort { return netip.AddrPortFrom(s.address, port) }

// The servers, with the addresses and MACs that the guide's capture shows. They are
// written down here and not taken from the simulated cloud, which is among what is
// judged.
var (
	ecsSource = server{"ecs-source", netip.MustParseAddr("192.168.0.230"), "fa:16:3e:7e:d6:bc"}
	ecsTest   = server{"ecs-test", netip.MustParseAddr("192.168.0.161"), "fa:16:3e:7e:d6:77"}
	ecsTarget = server{"ecs-target", netip.MustParseAddr("192.168.0.164"), "fa:16:3e:7e:d6:7a"}
)

const (
	// gatewayMAC is the outer source MAC of every copy.
	gatewayMAC = "fa:16:3e:d1:6b:5d"
	// device is the servers' network interface.
	device = "eth0"
	// servicePort is where ecs-source listens, and the port of the filter's one rule.
	servicePort = 1234
	// otherPort is one that the filter does not name.
	otherPort = 4321
	// sessionVNI is that of config/samples/mirrorsession.yaml.
	sessionVNI = 1
	// The copy of 12345 and a line end: 14 bytes of Ethernet, 20 of IPv4, 32 of TCP with
	// timestamps, 6 of payload; and 50 more around it.
	innerLength = 72
	outerLength = 122
)

// namespace is the network namespace in which a server lives.
func (d *demo) namespace(s server) string { return d.prefix + s.name }

package dataplane

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

var broadcast = mustMAC("ff:ff:ff:ff:ff:ff")

// arp builds an ARP packet: a request without a target MAC, else a reply.
func arp(t testing.TB, ethernetFrom, from net.HardwareAddr, fromIP string, to net.HardwareAddr, toIP string) []byte {
	t.Helper()
	operation, destination, known := uint16(layers.ARPRequest), broadcast, net.HardwareAddr(make([]byte, 6))
	if to != nil {
		operation, destination, known = layers.ARPReply, to, to
	}
	return build(t, &layers.Ethernet{SrcMAC: ethernetFrom, DstMAC: destination, EthernetType: layers.EthernetTypeARP}, &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: operation,
		SourceHwAddress: from, SourceProtAddress: net.ParseIP(fromIP).To4(), DstHwAddress: known, DstProtAddress: net.ParseIP(toIP).To4(),
	})
}

func TestARPPassesBeforeAnyRuleExists(t *testing.T) {
	l := newLab(t, walkthroughLayout(""), Config{})
	request := arp(t, macTest, macTest, "192.168.0.161", nil, "192.168.0.230")
	if diff := cmp.Diff(map[string]int{portSource: 1, portTarget: 1}, l.arrivals(portTest, request)); diff != "" {
		t.Errorf("a request goes to every host of the VPC (-want +got):\n%s", diff)
	}
	reply := arp(t, macSource, macSource, "192.168.0.230", macTest, "192.168.0.161")
	if diff := cmp.Diff(map[string]int{portTest: 1}, l.arrivals(portSource, reply)); diff != "" {
		t.Errorf("a reply goes to whom it is for (-want +got):\n%s", diff)
	}
}

func TestTheGatewayAnswersARPForItself(t *testing.T) {
	l := newLab(t, walkthroughLayout(""), Config{})
	got := l.send(portTest, arp(t, macTest, macTest, "192.168.0.161", nil, "192.168.0.1"))
	want := map[string][][]byte{portTest: {arp(t, macGateway, macGateway, "192.168.0.1", macTest, "192.168.0.161")[:ethernetLength+arpLength]}} // gopacket pads to 60
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("who got what (-want +got):\n%s", diff)
	}
}

func TestTheGatewayAnswersANeighborSolicitation(t *testing.T) {
	layout := walkthroughLayout("")
	layout.Hosts[1].Interfaces[0].Addresses = append(layout.Hosts[1].Interfaces[0].Addresses, netip.MustParsePrefix("2001:db8::161/64"))
	layout.Gateways = append(layout.Gateways, Gateway{VPC: "vpc-1", Subnet: netip.MustParsePrefix("2001:db8::/64"), Address: netip.MustParseAddr("2001:db8::1"), MAC: macGateway})
	l := newLab(t, layout, Config{})
	got := l.send(portTest, build(t,
		&layers.Ethernet{SrcMAC: macTest, DstMAC: mustMAC("33:33:ff:00:00:01"), EthernetType: layers.EthernetTypeIPv6},
		&layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: net.ParseIP("2001:db8::161"), DstIP: net.ParseIP("ff02::1:ff00:1")},
		&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborSolicitation, 0)},
		&layers.ICMPv6NeighborSolicitation{TargetAddress: net.ParseIP("2001:db8::1"),
			Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: macTest}}}))
	ip := &layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: net.ParseIP("2001:db8::1"), DstIP: net.ParseIP("2001:db8::161")}
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeNeighborAdvertisement, 0)}
	want := map[string][][]byte{portTest: {build(t,
		&layers.Ethernet{SrcMAC: macGateway, DstMAC: macTest, EthernetType: layers.EthernetTypeIPv6}, ip, icmp,
		&layers.ICMPv6NeighborAdvertisement{Flags: 0xe0, TargetAddress: net.ParseIP("2001:db8::1"),
			Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: macGateway}}})}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("who got what (-want +got):\n%s", diff)
	}
}

func TestPortSecurity(t *testing.T) {
	ethernet := func(from, to net.HardwareAddr, kind layers.EthernetType) *layers.Ethernet {
		return &layers.Ethernet{SrcMAC: from, DstMAC: to, EthernetType: kind}
	}
	ip := func(from, to string) *layers.IPv4 {
		return &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.ParseIP(from).To4(), DstIP: net.ParseIP(to).To4()}
	}
	datagram := &layers.UDP{SrcPort: 1, DstPort: 2}
	good := udp(t, portTest, portSource, 1, 2, "x")
	fromTest := func(to net.HardwareAddr, a, b string) []byte {
		return build(t, ethernet(macTest, to, layers.EthernetTypeIPv4), ip(a, b), datagram)
	}
	for name, test := range map[string]struct {
		frame []byte
		want  DropReason // "" when it arrives
	}{
		"a frame of its own passes":                    {good, ""},
		"a foreign source MAC is dropped":              {build(t, ethernet(macTarget, macSource, layers.EthernetTypeIPv4), ip("192.168.0.161", "192.168.0.230"), datagram), DropSpoofedMAC},
		"a foreign source address is dropped":          {fromTest(macSource, "192.168.0.164", "192.168.0.230"), DropSpoofed},
		"ARP that speaks for another MAC is dropped":   {arp(t, macTest, macTarget, "192.168.0.161", nil, "192.168.0.230"), DropSpoofedMAC},
		"ARP that speaks for another host is dropped":  {arp(t, macTest, macTest, "192.168.0.164", macSource, "192.168.0.230"), DropSpoofed},
		"ARP that claims the gateway is dropped":       {arp(t, macTest, macTest, "192.168.0.1", macSource, "192.168.0.230"), DropSpoofed},
		"ARP that is cut is dropped":                   {good[:0:0], DropMalformed},
		"a MAC that nobody has is dropped":             {fromTest(mustMAC("fa:16:3e:00:00:99"), "192.168.0.161", "192.168.0.230"), DropNoSuchMAC},
		"a frame to oneself is dropped":                {fromTest(macTest, "192.168.0.161", "192.168.0.161"), DropNoSuchMAC},
		"what is neither IP nor ARP is dropped":        {build(t, ethernet(macTest, macSource, 0x88cc), gopacket.Payload("lldp")), DropNotIP},
		"a frame that is cut is dropped":               {good[:33], DropMalformed},
		"a packet to the gateway itself is dropped":    {fromTest(macGateway, "192.168.0.161", "192.168.0.1"), DropToGateway},
		"a packet out of the VPC is dropped":           {fromTest(macGateway, "192.168.0.161", "198.51.100.1"), DropNoRoute},
		"a frame above the MTU is dropped":             {udp(t, portTest, portSource, 1, 2, string(make([]byte, 1473))), DropOversize},
		"an advertisement as a router is dropped":      {neighbor(t, layers.ICMPv6TypeRouterAdvertisement, "fe80::1"), DropRouterMessage},
		"an advertisement for a neighbour is dropped":  {neighbor(t, layers.ICMPv6TypeNeighborAdvertisement, "2001:db8::164"), DropSpoofed},
		"an advertisement for its own address is fine": {neighbor(t, layers.ICMPv6TypeNeighborAdvertisement, "fe80::161"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := walkthrough(t, open("sg-source", anything))
			arrived := l.arrivals(portTest, test.frame)[portSource]
			got := l.sw.Stats().Ports[portTest]
			want := PortStats{FromHost: 1, DroppedFromHost: map[DropReason]uint64{}, DroppedToHost: map[DropReason]uint64{}, Flows: got.Flows}
			if test.want != "" {
				want.DroppedFromHost[test.want] = 1
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the sender's counters (-want +got):\n%s", diff)
			}
			if (arrived == 1) != (test.want == "") {
				t.Errorf("arrived %d times", arrived)
			}
		})
	}
}

// neighbor builds an ICMPv6 message of ecs-test about an address.
func neighbor(t testing.TB, kind uint8, about string) []byte {
	t.Helper()
	return build(t, &layers.Ethernet{SrcMAC: macTest, DstMAC: macSource, EthernetType: layers.EthernetTypeIPv6},
		&layers.IPv6{Version: 6, HopLimit: 255, NextHeader: layers.IPProtocolICMPv6, SrcIP: net.ParseIP("fe80::161"), DstIP: net.ParseIP("fe80::230")},
		&layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(kind, 0)},
		gopacket.Payload(append([]byte{0x20, 0, 0, 0}, net.ParseIP(about)...)))
}

func TestAPortWithoutTheAddressCheckMaySendFromAnyAddress(t *testing.T) {
	frame := build(t, &layers.Ethernet{SrcMAC: macTest, DstMAC: macSource, EthernetType: layers.EthernetTypeIPv4},
		&layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{203, 0, 113, 9}, DstIP: net.IP{192, 168, 0, 230}}, &layers.UDP{SrcPort: 1, DstPort: 2})
	l := walkthrough(t, open("sg-source", anything), func(c *Config) { c.Ports[1].NoAddressCheck = true })
	if diff := cmp.Diff(map[string]int{portSource: 1}, l.arrivals(portTest, frame)); diff != "" {
		t.Errorf("who got how many frames (-want +got):\n%s", diff)
	}
}

// twoSubnets is the walkthrough with ecs-target in a subnet of its own.
func twoSubnets(vpcOfTarget string) Layout {
	layout := walkthroughLayout("")
	nic := &layout.Hosts[2].Interfaces[0]
	nic.Addresses = []netip.Prefix{netip.MustParsePrefix("192.168.1.164/24")}
	nic.Gateway, nic.VPC = netip.MustParseAddr("192.168.1.1"), vpcOfTarget
	layout.Gateways = append(layout.Gateways, Gateway{
		VPC: vpcOfTarget, Subnet: netip.MustParsePrefix("192.168.1.0/24"), Address: nic.Gateway, MAC: mustMAC("fa:16:3e:d1:6b:5e")})
	return layout
}

func TestTheGatewayRoutesBetweenTheSubnetsOfAVPC(t *testing.T) {
	packet := func(from, to net.HardwareAddr, ttl uint8) []byte {
		return build(t, &layers.Ethernet{SrcMAC: from, DstMAC: to, EthernetType: layers.EthernetTypeIPv4},
			&layers.IPv4{Version: 4, TTL: ttl, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{192, 168, 0, 161}, DstIP: net.IP{192, 168, 1, 164}}, &layers.UDP{SrcPort: 1, DstPort: 2})
	}
	config := change(open("sg-target", anything))
	l := newLab(t, twoSubnets("vpc-1"), config)
	for _, ttl := range []uint8{255, 64, 2} { // several, for the checksum's carries
		want := map[string][][]byte{portTarget: {packet(mustMAC("fa:16:3e:d1:6b:5e"), macTarget, ttl-1)}}
		if diff := cmp.Diff(want, l.send(portTest, packet(macTest, macGateway, ttl))); diff != "" {
			t.Errorf("TTL %d (-want +got):\n%s", ttl, diff)
		}
	}
	l.send(portTest, packet(macTest, macGateway, 1))
	if diff := cmp.Diff(map[DropReason]uint64{DropHopLimit: 1}, l.sw.Stats().Ports[portTest].DroppedFromHost); diff != "" {
		t.Errorf("drops (-want +got):\n%s", diff)
	}
}

func TestCopiesReachAnotherSubnetButNotAnotherVPC(t *testing.T) {
	frame := tcp(t, portTest, portSource, 38944, 1234, "S", "")
	for vpc, want := range map[string]SessionStats{
		"vpc-1": {Copies: 1, InnerBytes: 66, Delivered: 1},
		"vpc-2": {Copies: 1, InnerBytes: 66, NoRoute: 1},
	} {
		l := newLab(t, twoSubnets(vpc), walkthroughConfig())
		copies := l.send(portTest, frame)[portTarget]
		if diff := cmp.Diff(want, l.sw.Stats().Sessions["session-1"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", vpc, diff)
		}
		if len(copies) == 1 && view(t, copies[0]).OuterFrom != "fa:16:3e:d1:6b:5e" {
			t.Errorf("the outer source MAC is %s, want that of the gateway of the target's subnet", view(t, copies[0]).OuterFrom)
		}
	}
}

func TestALayoutWithAMistakeIsRefusedInOneSentence(t *testing.T) {
	for want, spoil := range map[string]func(*Layout){
		`hosts[0].name "a/b" with prefix "": use letters, digits, dots, dashes and underscores, at most 63 in all`: func(l *Layout) { l.Hosts[0].Name = "a/b" },
		`hosts[1].name "ecs-source": another host has this name, choose a different one`:                           func(l *Layout) { l.Hosts[1].Name = "ecs-source" },
		`host "ecs-test", interface eth0: port ID "port-source" is empty or taken: give each interface its own`:    func(l *Layout) { l.Hosts[1].Interfaces[0].PortID = portSource },
		`host "ecs-test", interface eth0: MAC fa:16:3e:7e:d6:bc is taken by port port-source: give each its own`:   func(l *Layout) { l.Hosts[1].Interfaces[0].MAC = macSource },
		`host "ecs-test", interface eth0: address 192.168.0.230 is taken by port port-source: give each its own`: func(l *Layout) {
			l.Hosts[1].Interfaces[0].Addresses = l.Hosts[0].Interfaces[0].Addresses
		},
		`host "ecs-source", interface eth0: gateway 192.168.0.1: VPC "vpc-1" has no gateway with this address, add it to the layout's gateways`: func(l *Layout) { l.Gateways = nil },
		`gateways[0]: address 192.168.9.1 is not in subnet 192.168.0.0/24: give an address of the subnet`:                                       func(l *Layout) { l.Gateways[0].Address = netip.MustParseAddr("192.168.9.1") },
	} {
		t.Run(want, func(t *testing.T) {
			layout := walkthroughLayout("")
			spoil(&layout)
			_, err := NewSwitch(layout, func(string) Deliver { return nil }, nil)
			if err == nil || err.Error() != want {
				t.Errorf("got %v", err)
			}
		})
	}
}

package diagnosis

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/google/uuid"

	"vpcmirror.io/operator/test/cloudsim/scenario"
)

// nic is an interface of a host.
type nic struct {
	host, device string
	id, mac      string
	addr         netip.Addr
	subnet       string // ID
	group        string // name
}

// cidr is the interface's address alone.
func (n nic) cidr() string { return netip.PrefixFrom(n.addr, n.addr.BitLen()).String() }

// site is what a row has of the world.
type site struct {
	*world
	*cause
	sources []nic
	target  nic
	// foreign is the name of a session that somebody else made, as far as the row made one.
	foreign string
	// fresh is the ID of what took something's place.
	fresh string
	// sent are the flows of the row, that of each source first.
	sent []*flow
}

const (
	project = scenario.WalkthroughProject
	mainVPC = "main"
	// rowsPerHost is how many sessions have their targets on one host: a verifier writes one
	// status a second, so that more would be told later.
	rowsPerHost = 10
	goodFlavor  = "c7t.large.2"
)

// id is the ID of the thing with the name, the same in every run.
func id(kind, name string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(kind+"/"+name)).String()
}

// layout makes the scenario of all rows, and what of it is whose.
type layout struct {
	scenario *scenario.Scenario
	hosts    map[string]*scenario.Host
	order    []string
	vpcs     map[string]int // place in the scenario
	last     netip.Addr     // in the main subnet
	macs     int
	subnets  int
	networks int
	// shared is how many targets the newest shared host has, and how many such hosts there are.
	shared, sharedHosts int
}

func newLayout() *layout {
	l := &layout{
		scenario: &scenario.Scenario{Region: scenario.WalkthroughRegion}, hosts: map[string]*scenario.Host{}, vpcs: map[string]int{},
		last: netip.MustParseAddr("10.20.0.255"),
	}
	l.account(scenario.WalkthroughAccessKey, scenario.WalkthroughSecretKey)
	for _, f := range []scenario.Flavor{
		{Name: goodFlavor, Mirroring: true, Accepted: true, Carries: true},
		{Name: "s6.large.2"},
		{Name: "x1.large.2", Accepted: true},
		{Name: "x2.large.2", Accepted: true, Undeclared: true},
	} {
		f.VCPUs, f.MemoryMiB = 2, 4096
		l.scenario.Flavors = append(l.scenario.Flavors, f)
	}
	l.vpc(mainVPC, "10.20.0.0/16")
	l.subnet(mainVPC, "main", "10.20.0.0/20")
	l.group("open", rule("ingress", "", "", "0.0.0.0/0"), rule("egress", "", "", "0.0.0.0/0"))
	return l
}

func (l *layout) account(key, secret string) {
	l.scenario.Accounts = append(l.scenario.Accounts, scenario.Account{
		Name: key, DomainID: "d0000000000000000000000000000001", AccessKey: key, SecretKey: secret,
		Projects: []scenario.Project{{ID: project, Name: scenario.WalkthroughRegion}},
	})
}

func (l *layout) vpc(name, cidr string) {
	l.vpcs[name] = len(l.scenario.VPCs)
	l.scenario.VPCs = append(l.scenario.VPCs, scenario.VPC{ID: id("vpc", name), Name: name, CIDR: cidr, ProjectID: project})
	l.scenario.RouteTables = append(l.scenario.RouteTables, scenario.RouteTable{
		ID: id("routes", name), Name: "rtb-" + name, VPCID: id("vpc", name), Default: true,
	})
}

func (l *layout) subnet(vpc, name, cidr string) {
	p := netip.MustParsePrefix(cidr)
	v := &l.scenario.VPCs[l.vpcs[vpc]]
	v.Subnets = append(v.Subnets, scenario.Subnet{
		ID: id("subnet", name), Name: "subnet-" + name, CIDR: p, Gateway: p.Addr().Next(), GatewayMAC: l.mac(),
	})
}

func (l *layout) mac() net.HardwareAddr {
	l.macs++
	return net.HardwareAddr{0xfa, 0x16, 0x3e, 0xaa, byte(l.macs >> 8), byte(l.macs)}
}

// rule is a rule of a security group that allows IPv4.
func rule(direction, protocol, ports, remote string) scenario.GroupRule {
	return scenario.GroupRule{
		Direction: direction, EtherType: "IPv4", Protocol: protocol, Multiport: ports, Action: "allow", Priority: 100, RemotePrefix: remote,
	}
}

func (l *layout) group(name string, rules ...scenario.GroupRule) {
	for i := range rules {
		rules[i].ID = id("rule", fmt.Sprint(name, i))
	}
	l.scenario.SecurityGroups = append(l.scenario.SecurityGroups, scenario.SecurityGroup{
		ID: id("group", name), Name: name, ProjectID: project, Rules: rules,
	})
}

// plug gives a host an interface. Hosts are made with their first one.
func (l *layout) plug(host, flavor string, addr netip.Addr, vpc, subnet, group string) nic {
	h := l.hosts[host]
	if h == nil {
		h = &scenario.Host{ID: id("server", host), Name: host, Flavor: flavor, ProjectID: project}
		l.hosts[host], l.order = h, append(l.order, host)
	}
	mac := l.mac()
	n := nic{
		host: host, device: fmt.Sprintf("eth%d", len(h.Interfaces)), mac: mac.String(), addr: addr,
		subnet: id("subnet", subnet), group: group,
	}
	n.id = id("port", host+n.device)
	h.Interfaces = append(h.Interfaces, scenario.Interface{
		ID: n.id, Name: n.device, MAC: mac, SubnetID: n.subnet, VPCID: id("vpc", vpc), Addresses: []netip.Addr{addr},
		SecurityGroups: []string{id("group", group)},
	})
	return n
}

// next is a free address of the main subnet.
func (l *layout) next() netip.Addr {
	l.last = l.last.Next()
	return l.last
}

// row makes what a row needs.
func (l *layout) row(c *cause) *site {
	s := &site{cause: c}
	for i := range max(c.needs.sources, 1) {
		addr, subnet := l.next(), "main"
		if c.needs.sourceSubnet {
			addr, subnet = l.ownSubnet(c.id + "-src")
		}
		host := "src-" + c.id
		if server := i / max(c.needs.perServer, 1); server > 0 {
			host = fmt.Sprintf("%s-%d", host, server+1)
		}
		flavor := goodFlavor
		if c.needs.flavor != "" && i == 0 {
			flavor = c.needs.flavor
		}
		s.sources = append(s.sources, l.plug(host, flavor, addr, mainVPC, subnet, c.id+"-src"))
	}
	s.target = l.target(c)
	l.group(c.id+"-src", rule("ingress", "", "", "0.0.0.0/0"), rule("egress", "", "", "0.0.0.0/0"))
	rules := []scenario.GroupRule{rule("egress", "", "", "0.0.0.0/0")}
	for _, source := range s.sources {
		rules = append(rules, rule("ingress", "udp", "4789", source.cidr()))
	}
	l.group(c.id+"-dst", rules...)
	if c.needs.account {
		l.account(accessKey(c.id), scenario.WalkthroughSecretKey)
	}
	return s
}

// accessKey is that of a row with an account of its own.
func accessKey(row string) string { return "KEY" + row }

func (l *layout) target(c *cause) nic {
	addr, vpc, subnet := l.next(), mainVPC, "main"
	switch {
	case c.needs.vpc:
		l.networks++
		vpc, subnet = c.id, c.id
		l.vpc(vpc, fmt.Sprintf("10.%d.0.0/16", 100+l.networks))
		cidr := fmt.Sprintf("10.%d.0.0/24", 100+l.networks)
		l.subnet(vpc, subnet, cidr)
		addr = netip.MustParsePrefix(cidr).Addr().Next().Next().Next()
		if !c.needs.unpeered {
			l.peer(c.id, fmt.Sprintf("10.%d.0.0/16", 100+l.networks))
		}
	case c.needs.targetSubnet:
		addr, subnet = l.ownSubnet(c.id + "-dst")
	}
	host := "tgt-" + c.id
	if !c.needs.ownHost {
		if l.sharedHosts == 0 || l.shared == rowsPerHost {
			l.sharedHosts, l.shared = l.sharedHosts+1, 0
		}
		l.shared++
		host = fmt.Sprintf("tgt%d", l.sharedHosts)
	}
	return l.plug(host, goodFlavor, addr, vpc, subnet, c.id+"-dst")
}

// peer joins a VPC with the main one, with routes on both sides.
func (l *layout) peer(name, cidr string) {
	peering := id("peering", name)
	l.scenario.Peerings = append(l.scenario.Peerings, scenario.Peering{
		ID: peering, Name: "peering-" + name, Requester: id("vpc", mainVPC), Accepter: id("vpc", name), Status: "ACTIVE",
	})
	here, there := &l.scenario.RouteTables[l.vpcs[mainVPC]], &l.scenario.RouteTables[l.vpcs[name]]
	here.Routes = append(here.Routes, scenario.Route{Type: "peering", Destination: cidr, NextHop: peering})
	there.Routes = append(there.Routes, scenario.Route{Type: "peering", Destination: "10.20.0.0/16", NextHop: peering})
}

// ownSubnet makes a subnet of the main VPC, and gives an address in it.
func (l *layout) ownSubnet(name string) (netip.Addr, string) {
	l.subnets++
	cidr := fmt.Sprintf("10.20.%d.0/24", 63+l.subnets)
	l.subnet(mainVPC, name, cidr)
	return netip.MustParsePrefix(cidr).Addr().Next().Next(), name
}

// done is the scenario with all hosts.
func (l *layout) done() *scenario.Scenario {
	for _, name := range l.order {
		l.scenario.Hosts = append(l.scenario.Hosts, *l.hosts[name])
	}
	return l.scenario
}

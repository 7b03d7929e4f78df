package scenario

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// guarded is the walkthrough with address groups and network ACLs.
func guarded(t *testing.T, acls string) (*Scenario, error) {
	t.Helper()
	return Parse("my.yaml", append(append([]byte{}, WalkthroughYAML...), []byte(`
address_groups:
  - {id: 5a1f0c7e-0000-4000-8000-0000000000d1, name: sources, addresses: [192.168.0.230, 10.0.0.0/8, 10.0.0.1-10.0.0.9]}
  - {name: six, ip_version: 6, addresses: ["2001:db8::/64"]}
network_acls:
`+acls)...))
}

func TestAScenarioMayHaveNetworkACLs(t *testing.T) {
	sc, err := guarded(t, `
  - id: 5a1f0c7e-0000-4000-8000-0000000000e1
    name: acl
    enabled: false
    subnets: [subnet-default]
    ingress_rules:
      - {id: 5a1f0c7e-0000-4000-8000-0000000000e2, protocol: udp, source_address_group_id: sources, destination_port: "4789,5000-5010"}
    egress_rules:
      - {id: 5a1f0c7e-0000-4000-8000-0000000000e3, action: deny, ip_version: 6, destination_ip_address: "2001:db8::/64", enabled: false}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []NetworkACL{{
		ID: "5a1f0c7e-0000-4000-8000-0000000000e1", Name: "acl", ProjectID: WalkthroughProject, Off: true,
		Subnets: []string{"5a1f0c7e-0000-4000-8000-000000000011"},
		Ingress: []ACLRule{{
			ID: "5a1f0c7e-0000-4000-8000-0000000000e2", Action: "allow", Protocol: "udp", IPVersion: 4,
			SourceGroup: "5a1f0c7e-0000-4000-8000-0000000000d1", DestinationPort: "4789,5000-5010",
		}},
		Egress: []ACLRule{{
			ID: "5a1f0c7e-0000-4000-8000-0000000000e3", Action: "deny", Protocol: "any", IPVersion: 6, DestinationAddress: "2001:db8::/64", Disabled: true,
		}},
	}}
	if diff := cmp.Diff(want, sc.NetworkACLs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAMistakeInANetworkACLIsNamed(t *testing.T) {
	const rule = "  - {name: a, ingress_rules: ["
	for acls, want := range map[string]string{
		rule + `{protocol: sctp}]}`:                                                          `network_acls[0].ingress_rules[0].protocol: "sctp" is none of tcp, udp, icmp, icmpv6, any or a number`,
		rule + `{destination_port: "80"}]}`:                                                  `network_acls[0].ingress_rules[0].destination_port: ports need protocol tcp or udp`,
		rule + `{protocol: tcp, source_port: "80:90"}]}`:                                     `network_acls[0].ingress_rules[0].source_port: "80:90" is not right; write ports and ranges, like "22,3389" or "80-90"`,
		rule + `{source_ip_address: "2001:db8::/64"}]}`:                                      `network_acls[0].ingress_rules[0].source_ip_address: "2001:db8::/64" is not of IPv4; set ip_version`,
		rule + `{destination_address_group_id: nobody}]}`:                                    `network_acls[0].ingress_rules[0].destination_address_group_id: there is no address group "nobody"; give the name or id of one in address_groups`,
		"  - {name: a, subnets: [nowhere]}":                                                  `network_acls[0].subnets[0]: there is no subnet "nowhere"; give the name or id of one in vpcs`,
		"  - {name: a, subnets: [subnet-default]}\n  - {name: b, subnets: [subnet-default]}": `network_acls[1].subnets[0]: the subnet obeys a already; a subnet has one network ACL at most`,
	} {
		_, err := guarded(t, acls)
		var mistake *Error
		if !errors.As(err, &mistake) || mistake.Field+": "+mistake.Message != want {
			t.Errorf("%s gives %v; want %s", acls, err, want)
		}
	}
}

func TestAScenarioMayHaveSeveralVPCsWithPeeringsAndRoutes(t *testing.T) {
	const vpc = `
  - id: 5a1f0c7e-0000-4000-8000-000000000002
    name: other
    cidr: 10.2.0.0/16
    subnets: [{name: s2, cidr: 10.2.0.0/24, gateway: 10.2.0.1, gateway_mac: "fa:16:3e:d1:6b:5e"}]
security_groups:`
	parse := func(rest string) (*Scenario, error) {
		return Parse("my.yaml", []byte(strings.Replace(string(WalkthroughYAML), "\nsecurity_groups:", vpc, 1)+rest))
	}
	sc, err := parse(`
peerings:
  - {id: 5a1f0c7e-0000-4000-8000-0000000000f1, name: p, requester: vpc-default, accepter: other, status: PENDING_ACCEPTANCE}
route_tables:
  - id: 5a1f0c7e-0000-4000-8000-0000000000f2
    name: rtb
    vpc: other
    default: true
    subnets: [s2]
    routes: [{destination: 192.168.0.0/24, nexthop: p}, {type: er, destination: 0.0.0.0/0, nexthop: router}]
`)
	if err != nil {
		t.Fatal(err)
	}
	const id = "5a1f0c7e-0000-4000-8000-000000000002"
	if diff := cmp.Diff([]Peering{{
		ID: "5a1f0c7e-0000-4000-8000-0000000000f1", Name: "p", Requester: WalkthroughVPC, Accepter: id, Status: "PENDING_ACCEPTANCE",
	}}, sc.Peerings); diff != "" {
		t.Errorf("peerings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]RouteTable{{
		ID: "5a1f0c7e-0000-4000-8000-0000000000f2", Name: "rtb", VPCID: id, Default: true, Subnets: []string{sc.VPCs[1].Subnets[0].ID},
		Routes: []Route{
			{Type: "peering", Destination: "192.168.0.0/24", NextHop: "5a1f0c7e-0000-4000-8000-0000000000f1"},
			{Type: "er", Destination: "0.0.0.0/0", NextHop: "router"},
		},
	}}, sc.RouteTables); diff != "" {
		t.Errorf("route tables (-want +got):\n%s", diff)
	}
	for rest, want := range map[string]string{
		"\npeerings: [{name: p, requester: vpc-default, accepter: nowhere}]":                           `peerings[0].accepter: there is no VPC "nowhere"; give the name or id of one in vpcs`,
		"\npeerings: [{name: p, requester: other, accepter: other}]":                                   `peerings[0].accepter: a VPC cannot be connected with itself; give another`,
		"\nroute_tables: [{name: r, vpc: other, subnets: [subnet-default]}]":                           `route_tables[0].subnets[0]: there is no subnet "subnet-default" in the VPC; give the name or id of one of it`,
		"\nroute_tables: [{name: r, vpc: other, routes: [{destination: 1.0.0.0/8, nexthop: p}]}]":      `route_tables[0].routes[0].nexthop: there is no peering "p"; give the name or id of one in peerings`,
		"\nroute_tables: [{name: r, vpc: other, default: true}, {name: q, vpc: other, default: true}]": `route_tables[1].default: the VPC's default route table is r already; keep one`,
	} {
		_, err := parse(rest)
		var mistake *Error
		if !errors.As(err, &mistake) || mistake.Field+": "+mistake.Message != want {
			t.Errorf("%s gives %v; want %s", rest, err, want)
		}
	}
}

func TestAScenarioSaysWhatFlavorsInterfacesAndTheNetworkDo(t *testing.T) {
	text := string(WalkthroughYAML) + "\npropagation_delay: 1500ms\n"
	for old, changed := range map[string]string{
		"    mirroring: false":           "    mirroring: false\n    accepted: true\n    undeclared: true",
		"        mac: fa:16:3e:7e:d6:bc": "        mac: fa:16:3e:7e:d6:bc\n        mtu: 1446",
		"  - name: ecs-test\n":           "  - name: ecs-test\n    stopped: true\n",
	} {
		text = strings.Replace(text, old, changed, 1)
	}
	sc, err := Parse("my.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []Flavor{
		{Name: "c7t.large.2", VCPUs: 2, MemoryMiB: 4096, Mirroring: true, Accepted: true, Carries: true},
		{Name: "s6.large.2", VCPUs: 2, MemoryMiB: 4096, Accepted: true, Undeclared: true},
	}
	if diff := cmp.Diff(want, sc.Flavors); diff != "" {
		t.Errorf("flavors (-want +got):\n%s", diff)
	}
	if sc.Propagation != 1500*time.Millisecond || sc.Hosts[0].Interfaces[0].MTU != 1446 || sc.Hosts[1].Interfaces[0].MTU != 0 {
		t.Errorf("propagation %s, MTUs %d and %d", sc.Propagation, sc.Hosts[0].Interfaces[0].MTU, sc.Hosts[1].Interfaces[0].MTU)
	}
	if sc.Hosts[0].Stopped || !sc.Hosts[1].Stopped {
		t.Errorf("stopped: %v and %v, want the second alone", sc.Hosts[0].Stopped, sc.Hosts[1].Stopped)
	}
}

func TestASubnetMayHaveIPv6(t *testing.T) {
	with := func(subnet, address string) (*Scenario, error) {
		text := strings.Replace(string(WalkthroughYAML), "        cidr: 192.168.0.0/24\n", "        cidr: 192.168.0.0/24\n"+subnet, 1)
		return Parse("my.yaml", []byte(strings.Replace(text, "[192.168.0.230]", "[192.168.0.230"+address+"]", 1)))
	}
	sc, err := with("        ipv6_cidr: 2001:db8::/64\n", `, "2001:db8::230"`)
	if err != nil {
		t.Fatal(err)
	}
	if s := sc.VPCs[0].Subnets[0]; s.CIDR6.String() != "2001:db8::/64" || s.Gateway6.String() != "2001:db8::1" {
		t.Errorf("subnet = %+v; want the network's first address as its gateway", s)
	}
	for name, test := range map[string]struct{ subnet, address, want string }{
		"a gateway without a network": {"        ipv6_gateway: 2001:db8::1\n", "", `vpcs[0].subnets[0].ipv6_gateway: the subnet has no ipv6_cidr; give one`},
		"a network of IPv4": {"        ipv6_cidr: 10.0.0.0/8\n", "",
			`vpcs[0].subnets[0].ipv6_cidr: "10.0.0.0/8" is not an IPv6 network without bits beyond its mask; write one, like 2001:db8::/64`},
		"a gateway elsewhere": {"        ipv6_cidr: 2001:db8::/64\n        ipv6_gateway: 2001:db9::1\n", "",
			`vpcs[0].subnets[0].ipv6_gateway: "2001:db9::1" is outside of the subnet; write an address within 2001:db8::/64`},
		"an address elsewhere": {"        ipv6_cidr: 2001:db8::/64\n", `, "2001:db9::230"`,
			`hosts[0].interfaces[0].addresses[1]: "2001:db9::230" is outside of the subnet; write an address within 2001:db8::/64`},
	} {
		_, err := with(test.subnet, test.address)
		var mistake *Error
		if !errors.As(err, &mistake) || mistake.Field+": "+mistake.Message != test.want {
			t.Errorf("%s gives %v; want %s", name, err, test.want)
		}
	}
}

package scenario

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	macRemedy  = "write six pairs of hex digits, like fa:16:3e:7e:d6:bc"
	addrRemedy = "write an address, like 192.168.0.230"
	cidrRemedy = "write a network, like 192.168.0.0/24"
	uuidRemedy = "write a UUID, like 5a1f0c7e-0000-4000-8000-000000000001"
)

// parser adds what the file has defined so far to the decoder.
type parser struct {
	decoder
	sc          *Scenario
	groups      map[string]string // name and ID -> ID
	subnets     map[string]subnetRef
	addressSets map[string]string // name and ID -> ID
	vpcIDs      map[string]string // name and ID -> ID
	peeringIDs  map[string]string // name and ID -> ID
	seen        map[string]string // what must be unique -> where it was first
}

type subnetRef struct {
	Subnet
	vpc, project string
}

// Parse reads a scenario. file is only for messages. A mistake is an *Error.
func Parse(file string, data []byte) (*Scenario, error) {
	p := &parser{
		decoder: decoder{file: file}, sc: &Scenario{}, groups: map[string]string{}, subnets: map[string]subnetRef{},
		seen: map[string]string{}, addressSets: map[string]string{},
		vpcIDs: map[string]string{}, peeringIDs: map[string]string{},
	}
	root := p.root(data)
	if p.err != nil {
		return nil, p.err
	}
	o := p.object(root, "region", "accounts", "flavors", "vpcs", "peerings", "route_tables", "address_groups", "security_groups", "network_acls",
		"load_balancers", "hosts", "quotas", "propagation_delay")
	p.sc.Region = o.need("region")
	p.accounts(o)
	p.flavors(o)
	p.vpcs(o)
	p.peerings(o)
	p.routeTables(o)
	p.addressGroups(o)
	p.securityGroups(o)
	p.networkACLs(o)
	p.loadBalancers(o)
	p.hosts(o)
	p.quotas(o)
	p.sc.Propagation = parsed(o, "propagation_delay", time.ParseDuration, "write a duration, like 5s")
	if p.err != nil {
		return nil, p.err
	}
	return p.sc, nil
}

// unique reports a value that was there before.
func (p *parser) unique(kind, value string, n node) {
	if value == "" || p.err != nil {
		return
	}
	key := kind + " " + strings.ToLower(value)
	if first, twice := p.seen[key]; twice {
		p.fail(n, "%q is already the %s of %s; give another", value, kind, first)
		return
	}
	p.seen[key] = n.path
}

// id reads a UUID, or makes one when the file gives none.
func (p *parser) id(o object) string {
	n := o.at("id")
	text := o.text("id")
	if text == "" {
		return uuid.NewString()
	}
	if _, err := uuid.Parse(text); err != nil || len(text) != 36 {
		p.fail(n, "%q is not right; %s", text, uuidRemedy)
	}
	p.unique("ID", text, n)
	return strings.ToLower(text)
}

func (p *parser) hexID(o object, key string) string {
	text := o.need(key)
	if raw, err := hex.DecodeString(text); err != nil || len(raw) != 16 {
		p.fail(o.at(key), "%q is not right; write 32 hex digits", text)
	}
	return strings.ToLower(text)
}

func (p *parser) name(o object, kind string) string {
	name := o.need("name")
	p.unique("name of a "+kind, name, o.at("name"))
	return name
}

func (p *parser) accounts(root object) {
	for _, n := range root.list("accounts") {
		o := p.object(n, "name", "domain_id", "access_key", "secret_key", "security_token", "token_expires", "projects")
		a := Account{
			Name: o.need("name"), DomainID: p.hexID(o, "domain_id"), AccessKey: o.need("access_key"),
			SecretKey: o.need("secret_key"), SecurityToken: o.text("security_token"),
			TokenExpires: parsed(o, "token_expires", func(s string) (time.Time, error) { return time.Parse(time.RFC3339, s) },
				"write a time, like 2026-01-01T00:00:00Z"),
		}
		p.unique("access key", a.AccessKey, o.at("access_key"))
		for _, m := range o.list("projects") {
			q := p.object(m, "id", "name")
			a.Projects = append(a.Projects, Project{ID: p.hexID(q, "id"), Name: q.need("name")})
		}
		if len(a.Projects) == 0 {
			p.fail(o.at("projects"), "the account has no project; give at least one with id and name")
		}
		p.sc.Accounts = append(p.sc.Accounts, a)
	}
	if len(p.sc.Accounts) == 0 {
		p.fail(root.at("accounts"), "there is no account; give at least one, or nobody can sign a request")
	}
}

// project resolves the optional field "project" (ID or name), which defaults to the first account's first one.
func (p *parser) project(o object) string {
	if p.err != nil {
		return ""
	}
	text := o.text("project")
	if text == "" {
		return p.sc.Accounts[0].Projects[0].ID
	}
	for _, a := range p.sc.Accounts {
		for _, q := range a.Projects {
			if q.ID == text || q.Name == text {
				return q.ID
			}
		}
	}
	p.fail(o.at("project"), "%q is no project of any account; give the id or name of one", text)
	return ""
}

func (p *parser) flavors(root object) {
	for _, n := range root.list("flavors") {
		o := p.object(n, "name", "vcpus", "memory_mib", "mirroring", "accepted", "carries", "undeclared")
		mirroring := o.boolean("mirroring", false)
		p.sc.Flavors = append(p.sc.Flavors, Flavor{
			Name: p.name(o, "flavor"), VCPUs: o.number("vcpus", 1, 1024, 2), MemoryMiB: o.number("memory_mib", 1, 1<<30, 4096),
			Mirroring: mirroring, Accepted: o.boolean("accepted", mirroring), Carries: o.boolean("carries", mirroring),
			Undeclared: o.boolean("undeclared", false),
		})
	}
}

func (p *parser) vpcs(root object) {
	for _, n := range root.list("vpcs") {
		o := p.object(n, "id", "name", "project", "cidr", "subnets")
		v := VPC{ID: p.id(o), Name: p.name(o, "VPC"), ProjectID: p.project(o)}
		if cidr := parsed(o, "cidr", netip.ParsePrefix, cidrRemedy); cidr.IsValid() {
			v.CIDR = cidr.String()
		}
		p.vpcIDs[v.ID], p.vpcIDs[v.Name] = v.ID, v.ID
		for _, m := range o.list("subnets") {
			v.Subnets = append(v.Subnets, p.subnet(m, v))
		}
		p.sc.VPCs = append(p.sc.VPCs, v)
	}
}

func (p *parser) subnet(n node, v VPC) Subnet {
	o := p.object(n, "id", "name", "cidr", "gateway", "gateway_mac", "ipv6_cidr", "ipv6_gateway")
	o.need("cidr")
	s := Subnet{
		ID: p.id(o), Name: p.name(o, "subnet"), CIDR: parsed(o, "cidr", netip.ParsePrefix, cidrRemedy),
		Gateway: parsed(o, "gateway", netip.ParseAddr, addrRemedy), GatewayMAC: parsed(o, "gateway_mac", parseMAC, macRemedy),
	}
	if s.CIDR.IsValid() && s.CIDR != s.CIDR.Masked() {
		p.fail(o.at("cidr"), "%q has bits beyond its mask; write %s", s.CIDR, s.CIDR.Masked())
	}
	if s.Gateway.IsValid() && !s.CIDR.Contains(s.Gateway) {
		p.fail(o.at("gateway"), "%q is outside of the subnet; write an address within %s", s.Gateway, s.CIDR)
	}
	if s.Gateway.IsValid() && s.GatewayMAC == nil {
		p.fail(o.at("gateway_mac"), "the gateway has no MAC address; %s", macRemedy)
	}
	p.ipv6(o, &s)
	if s.GatewayMAC != nil {
		p.unique("MAC address", s.GatewayMAC.String(), o.at("gateway_mac"))
	}
	p.subnets[s.ID] = subnetRef{s, v.ID, v.ProjectID}
	p.subnets[s.Name] = p.subnets[s.ID]
	return s
}

// ipv6 reads the IPv6 side of a subnet. Its gateway is the network's first address unless another is given.
func (p *parser) ipv6(o object, s *Subnet) {
	s.CIDR6 = parsed(o, "ipv6_cidr", netip.ParsePrefix, "write a network, like 2001:db8::/64")
	s.Gateway6 = parsed(o, "ipv6_gateway", netip.ParseAddr, "write an address, like 2001:db8::1")
	switch {
	case !s.CIDR6.IsValid():
		if s.Gateway6.IsValid() {
			p.fail(o.at("ipv6_gateway"), "the subnet has no ipv6_cidr; give one")
		}
		return
	case s.CIDR6.Addr().Is4() || s.CIDR6 != s.CIDR6.Masked():
		p.fail(o.at("ipv6_cidr"), "%q is not an IPv6 network without bits beyond its mask; write one, like 2001:db8::/64", s.CIDR6)
	case s.GatewayMAC == nil:
		p.fail(o.at("gateway_mac"), "the gateway has no MAC address; %s", macRemedy)
	case !s.Gateway6.IsValid():
		s.Gateway6 = s.CIDR6.Addr().Next()
	case !s.CIDR6.Contains(s.Gateway6):
		p.fail(o.at("ipv6_gateway"), "%q is outside of the subnet; write an address within %s", s.Gateway6, s.CIDR6)
	}
}

func parseMAC(text string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(text)
	if err == nil && (len(mac) != 6 || mac[0]&1 == 1) {
		return nil, fmt.Errorf("not a unicast MAC of 48 bits")
	}
	return mac, err
}

func (p *parser) securityGroups(root object) {
	type pending struct {
		object
		id string
	}
	var groups []pending
	for _, n := range root.list("security_groups") { // names first: rules may refer to later groups
		o := p.object(n, "id", "name", "description", "project", "rules")
		g := SecurityGroup{ID: p.id(o), Name: p.name(o, "security group"), Description: o.text("description"), ProjectID: p.project(o)}
		p.groups[g.ID], p.groups[g.Name] = g.ID, g.ID
		p.sc.SecurityGroups = append(p.sc.SecurityGroups, g)
		groups = append(groups, pending{o, g.ID})
	}
	for i, o := range groups {
		for _, n := range o.list("rules") {
			p.sc.SecurityGroups[i].Rules = append(p.sc.SecurityGroups[i].Rules, p.groupRule(n))
		}
	}
}

var multiport = regexp.MustCompile(`^[0-9]{1,5}(-[0-9]{1,5})?(,[0-9]{1,5}(-[0-9]{1,5})?)*$`)

func (p *parser) groupRule(n node) GroupRule {
	o := p.object(n, "id", "description", "direction", "ethertype", "protocol", "multiport", "action", "priority",
		"remote_ip_prefix", "remote_group_id", "remote_address_group_id", "enabled")
	r := GroupRule{
		ID: p.id(o), Description: o.text("description"),
		Direction: p.oneOf(o, "direction", "", "ingress", "egress"),
		EtherType: p.oneOf(o, "ethertype", "IPv4", "IPv4", "IPv6"),
		Protocol:  o.text("protocol"), Multiport: o.text("multiport"),
		Action:   p.oneOf(o, "action", "allow", "allow", "deny"),
		Priority: o.number("priority", 1, 100, 100), Disabled: !o.boolean("enabled", true),
	}
	if !slices.Contains([]string{"", "tcp", "udp", "icmp", "icmpv6"}, r.Protocol) {
		p.fail(o.at("protocol"), "%q is none of tcp, udp, icmp, icmpv6; leave it out for all", r.Protocol)
	}
	if r.Multiport != "" && !multiport.MatchString(r.Multiport) {
		p.fail(o.at("multiport"), "%q is not right; write ports and ranges, like \"22,3389\" or \"80-90\"", r.Multiport)
	}
	if r.Multiport != "" && r.Protocol != "tcp" && r.Protocol != "udp" {
		p.fail(o.at("multiport"), "ports need protocol tcp or udp")
	}
	prefix := parsed(o, "remote_ip_prefix", netip.ParsePrefix, cidrRemedy)
	if prefix.IsValid() {
		if prefix.Addr().Is4() != (r.EtherType == "IPv4") {
			p.fail(o.at("remote_ip_prefix"), "%q is not of family %s; set ethertype", prefix, r.EtherType)
		}
		r.RemotePrefix = prefix.String()
	}
	if ref := o.text("remote_group_id"); ref != "" {
		r.RemoteGroup = p.group(o.at("remote_group_id"), ref)
		if r.RemotePrefix != "" {
			p.fail(o.at("remote_group_id"), "it excludes remote_ip_prefix; write two rules")
		}
	}
	if r.RemoteAddressGroup = p.addressSet(o, "remote_address_group_id"); r.RemoteAddressGroup != "" && r.RemotePrefix+r.RemoteGroup != "" {
		p.fail(o.at("remote_address_group_id"), "it excludes remote_ip_prefix and remote_group_id; write two rules")
	}
	return r
}

func (p *parser) oneOf(o object, key, fallback string, allowed ...string) string {
	text := o.text(key)
	if text == "" {
		text = fallback
	}
	if !slices.Contains(allowed, text) {
		p.fail(o.at(key), "%q is none of %s", text, strings.Join(allowed, ", "))
	}
	return text
}

func (p *parser) group(n node, ref string) string {
	id, ok := p.groups[ref]
	if !ok {
		p.fail(n, "there is no security group %q; give the name or id of one in security_groups", ref)
	}
	return id
}

func (p *parser) loadBalancers(root object) {
	for _, n := range root.list("load_balancers") {
		o := p.object(n, "id", "name", "subnet", "address", "shared", "members")
		sub := p.subnetOf(o)
		lb := LoadBalancer{
			ID: p.id(o), Name: p.name(o, "load balancer"), SubnetID: sub.ID, VPCID: sub.vpc, ProjectID: sub.project,
			Address: p.address(o.at("address"), sub), Shared: o.boolean("shared", false),
		}
		for _, m := range o.list("members") {
			member, err := netip.ParseAddr(p.scalar(m))
			if err != nil {
				p.fail(m, "%q is not right; %s", p.scalar(m), addrRemedy)
			}
			lb.Members = append(lb.Members, member)
		}
		p.sc.LoadBalancers = append(p.sc.LoadBalancers, lb)
	}
}

func (p *parser) subnetOf(o object) subnetRef {
	ref := o.need("subnet")
	sub, ok := p.subnets[ref]
	if !ok {
		p.fail(o.at("subnet"), "there is no subnet %q; give the name or id of one in vpcs", ref)
	}
	return sub
}

func (p *parser) address(n node, sub subnetRef) netip.Addr {
	text := p.scalar(n)
	addr, err := netip.ParseAddr(text)
	if err != nil {
		p.fail(n, "%q is not right; %s", text, addrRemedy)
		return addr
	}
	if addr.Is4() && sub.CIDR.IsValid() && !sub.CIDR.Contains(addr) {
		p.fail(n, "%q is outside of the subnet; write an address within %s", text, sub.CIDR)
	}
	if addr.Is6() && sub.CIDR6.IsValid() && !sub.CIDR6.Contains(addr) {
		p.fail(n, "%q is outside of the subnet; write an address within %s", text, sub.CIDR6)
	}
	p.unique("address in VPC "+sub.vpc, addr.String(), n)
	return addr
}

func (p *parser) hosts(root object) {
	for _, n := range root.list("hosts") {
		o := p.object(n, "id", "name", "flavor", "stopped", "interfaces")
		h := Host{ID: p.id(o), Name: p.name(o, "host"), Flavor: o.need("flavor"), Stopped: o.boolean("stopped", false)}
		for i, m := range o.list("interfaces") {
			nic, project := p.networkInterface(m, i)
			if h.ProjectID != "" && h.ProjectID != project {
				p.fail(m, "the host's interfaces are in VPCs of two projects; keep them in one")
			}
			h.ProjectID = project
			h.Interfaces = append(h.Interfaces, nic)
		}
		if len(h.Interfaces) == 0 {
			p.fail(o.at("interfaces"), "the host has no interface; give at least one")
		}
		p.sc.Hosts = append(p.sc.Hosts, h)
	}
}

func (p *parser) networkInterface(n node, index int) (Interface, string) {
	o := p.object(n, "id", "name", "mac", "subnet", "addresses", "security_groups", "mtu")
	o.need("mac")
	sub := p.subnetOf(o)
	nic := Interface{
		ID: p.id(o), Name: o.text("name"), MAC: parsed(o, "mac", parseMAC, macRemedy), SubnetID: sub.ID, VPCID: sub.vpc,
		MTU: o.number("mtu", MinMTU, MaxMTU, 0),
	}
	if nic.Name == "" {
		nic.Name = fmt.Sprintf(defaultInterfaceTemplate, index)
	}
	if nic.MAC != nil {
		p.unique("MAC address", nic.MAC.String(), o.at("mac"))
	}
	for _, m := range o.list("addresses") {
		nic.Addresses = append(nic.Addresses, p.address(m, sub))
	}
	if len(nic.Addresses) == 0 {
		p.fail(o.at("addresses"), "the interface has no address; give at least one within %s", sub.CIDR)
	}
	for _, m := range o.list("security_groups") {
		nic.SecurityGroups = append(nic.SecurityGroups, p.group(m, p.scalar(m)))
	}
	return nic, sub.project
}

// QuotaNames are the quotas that a scenario may set, by the cloud's names.
var QuotaNames = []string{
	"traffic_mirror_session", "traffic_mirror_session_contain_sources", "traffic_mirror_source_referred_by_session",
	"traffic_mirror_target_eni_referred_by_session", "traffic_mirror_target_elb_referred_by_session",
	"traffic_mirror_filter_referred_by_session", "traffic_mirror_filter_contain_rules_each_direction",
	"traffic_mirror_filter", "secgroup_contain_rules",
}

func (p *parser) quotas(root object) {
	n := root.at("quotas")
	if p.err != nil || !n.present() {
		return
	}
	o := p.object(n, QuotaNames...)
	p.sc.Quotas = map[string]int{}
	for key := range o.fields {
		p.sc.Quotas[key] = o.number(key, -1, 1<<30, -1)
	}
}

package scenario

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// AddressGroup is a named set of addresses.
type AddressGroup struct {
	ID, Name, Description string
	ProjectID             string
	IPVersion             int      // 4 or 6
	Addresses             []string // each an address, a CIDR, or first-last
}

// NetworkACL is a list of rules in each direction, which subnets obey.
type NetworkACL struct {
	ID, Name, Description string
	ProjectID             string
	Off                   bool
	Subnets               []string  // IDs
	Ingress, Egress       []ACLRule // the first that matches decides
}

// ACLRule is a rule of a network ACL; see the API for what the fields allow.
type ACLRule struct {
	ID, Name, Description             string
	Action, Protocol                  string
	IPVersion                         int
	SourceAddress, DestinationAddress string // CIDR
	SourceGroup, DestinationGroup     string // IDs of address groups
	SourcePort, DestinationPort       string
	Disabled                          bool
}

func (p *parser) addressGroups(root object) {
	for _, n := range root.list("address_groups") {
		o := p.object(n, "id", "name", "description", "project", "ip_version", "addresses")
		g := AddressGroup{
			ID: p.id(o), Name: p.name(o, "address group"), Description: o.text("description"), ProjectID: p.project(o),
			IPVersion: p.ipVersion(o),
		}
		for _, m := range o.list("addresses") {
			g.Addresses = append(g.Addresses, p.addressEntry(m, g.IPVersion))
		}
		p.addressSets[g.ID], p.addressSets[g.Name] = g.ID, g.ID
		p.sc.AddressGroups = append(p.sc.AddressGroups, g)
	}
}

func (p *parser) ipVersion(o object) int {
	if p.oneOf(o, "ip_version", "4", "4", "6") == "6" {
		return 6
	}
	return 4
}

func (p *parser) addressEntry(n node, version int) string {
	text := p.scalar(n)
	for part := range strings.SplitSeq(text, "-") {
		addr, err := netip.ParseAddr(part)
		if prefix, errPrefix := netip.ParsePrefix(part); errPrefix == nil {
			addr, err = prefix.Addr(), nil
		}
		if err != nil || addr.Is4() != (version == 4) {
			p.fail(n, "%q is not right; write an address, a network, or first-last, of IPv%d", text, version)
		}
	}
	return text
}

func (p *parser) addressSet(o object, key string) string {
	ref := o.text(key)
	if ref == "" {
		return ""
	}
	id, ok := p.addressSets[ref]
	if !ok {
		p.fail(o.at(key), "there is no address group %q; give the name or id of one in address_groups", ref)
	}
	return id
}

func (p *parser) networkACLs(root object) {
	guarded := map[string]string{}
	for _, n := range root.list("network_acls") {
		o := p.object(n, "id", "name", "description", "project", "enabled", "subnets", "ingress_rules", "egress_rules")
		a := NetworkACL{
			ID: p.id(o), Name: p.name(o, "network ACL"), Description: o.text("description"), ProjectID: p.project(o),
			Off: !o.boolean("enabled", true), Ingress: p.aclRules(o, "ingress_rules"), Egress: p.aclRules(o, "egress_rules"),
		}
		for _, m := range o.list("subnets") {
			ref := p.scalar(m)
			sub, ok := p.subnets[ref]
			switch other, twice := guarded[sub.ID]; {
			case !ok:
				p.fail(m, "there is no subnet %q; give the name or id of one in vpcs", ref)
			case twice:
				p.fail(m, "the subnet obeys %s already; a subnet has one network ACL at most", other)
			}
			guarded[sub.ID] = a.Name
			a.Subnets = append(a.Subnets, sub.ID)
		}
		p.sc.NetworkACLs = append(p.sc.NetworkACLs, a)
	}
}

var number = regexp.MustCompile(`^[0-9]{1,3}$`)

func (p *parser) aclRules(of object, key string) []ACLRule {
	var out []ACLRule
	for _, n := range of.list(key) {
		o := p.object(n, "id", "name", "description", "action", "protocol", "ip_version", "source_ip_address", "destination_ip_address",
			"source_address_group_id", "destination_address_group_id", "source_port", "destination_port", "enabled")
		r := ACLRule{
			ID: p.id(o), Name: o.text("name"), Description: o.text("description"), Action: p.oneOf(o, "action", "allow", "allow", "deny"),
			Protocol: o.text("protocol"), IPVersion: p.ipVersion(o),
			SourceGroup: p.addressSet(o, "source_address_group_id"), DestinationGroup: p.addressSet(o, "destination_address_group_id"),
			SourcePort: o.text("source_port"), DestinationPort: o.text("destination_port"), Disabled: !o.boolean("enabled", true),
		}
		if r.Protocol == "" {
			r.Protocol = "any"
		}
		if !slices.Contains([]string{"tcp", "udp", "icmp", "icmpv6", "any"}, r.Protocol) && !number.MatchString(r.Protocol) {
			p.fail(o.at("protocol"), "%q is none of tcp, udp, icmp, icmpv6, any or a number", r.Protocol)
		}
		r.SourceAddress = p.aclAddress(o, "source_ip_address", r.IPVersion)
		r.DestinationAddress = p.aclAddress(o, "destination_ip_address", r.IPVersion)
		for key, ports := range map[string]string{"source_port": r.SourcePort, "destination_port": r.DestinationPort} {
			switch {
			case ports == "":
			case !multiport.MatchString(ports):
				p.fail(o.at(key), "%q is not right; write ports and ranges, like \"22,3389\" or \"80-90\"", ports)
			case r.Protocol != "tcp" && r.Protocol != "udp":
				p.fail(o.at(key), "ports need protocol tcp or udp")
			}
		}
		out = append(out, r)
	}
	return out
}

func (p *parser) aclAddress(o object, key string, version int) string {
	prefix := parsed(o, key, netip.ParsePrefix, cidrRemedy)
	if !prefix.IsValid() {
		return ""
	}
	if prefix.Addr().Is4() != (version == 4) {
		p.fail(o.at(key), "%q is not of IPv%d; set ip_version", prefix, version)
	}
	return prefix.String()
}

package mirrorsession

import (
	"cmp"
	"iter"
	"slices"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// needs is what has to be read of the cloud to judge the way of a session's copies, by what is
// known of it so far. What does not decide is not asked for.
type needs struct {
	groups, acls, servers, flavors bool
	// network is about peerings and route tables: source and target are in different VPCs.
	network bool
}

// needsOf goes by the interfaces of the session: nothing is needed of one that copies nothing.
func needsOf(p *diagnosis.Path) (n needs) {
	if !p.Session.Enabled || len(p.Session.Sources) == 0 {
		return n
	}
	for i := range interfacesOf(p) {
		n.groups = n.groups || len(i.SecurityGroups) > 0
		n.acls = n.acls || i.SubnetID != ""
		n.servers = n.servers || i.DeviceID != ""
	}
	n.flavors = len(p.Sources) > 0
	n.network = len(vpcsOf(p)) > 1
	return n
}

// interfacesOf are the target, the sources, and those behind a load balancer.
func interfacesOf(p *diagnosis.Path) iter.Seq[*cloud.Interface] {
	return func(yield func(*cloud.Interface) bool) {
		for i := range p.Sources {
			if !yield(&p.Sources[i]) {
				return
			}
		}
		if p.Target != nil && !yield(p.Target) {
			return
		}
		if p.Balancer != nil {
			for _, i := range p.Receivers() {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// distinct are the values that a field of the interfaces has.
func distinct(all iter.Seq[*cloud.Interface], fields func(*cloud.Interface) []string) []string {
	var values []string
	for i := range all {
		values = append(values, fields(i)...)
	}
	slices.Sort(values)
	return slices.DeleteFunc(slices.Compact(values), func(v string) bool { return v == "" })
}

func vpcsOf(p *diagnosis.Path) []string {
	return distinct(interfacesOf(p), func(i *cloud.Interface) []string { return []string{i.VPCID} })
}

func subnetsOf(p *diagnosis.Path) []string {
	return distinct(interfacesOf(p), func(i *cloud.Interface) []string { return []string{i.SubnetID} })
}

func groupsOf(p *diagnosis.Path) []string {
	return distinct(interfacesOf(p), func(i *cloud.Interface) []string { return i.SecurityGroups })
}

// serversOn are the servers of the interfaces, in the order of their IDs.
func serversOn(p *diagnosis.Path, all map[string]cloud.Server) []cloud.Server {
	ids := distinct(interfacesOf(p), func(i *cloud.Interface) []string { return []string{i.DeviceID} })
	some := make([]cloud.Server, 0, len(ids))
	for _, id := range ids {
		if server, is := all[id]; is {
			some = append(some, server)
		}
	}
	return some
}

// flavorsOf are the names of the flavors that interfaces and servers have.
func flavorsOf(p *diagnosis.Path) []string {
	names := distinct(interfacesOf(p), func(i *cloud.Interface) []string { return []string{i.Flavor} })
	for _, server := range p.Servers.Value {
		names = append(names, server.Flavor)
	}
	return names
}

// namedGroups are the security groups that rules of the interfaces' own groups name.
func namedGroups(p *diagnosis.Path) []string {
	var named []string
	for _, id := range groupsOf(p) {
		for _, rule := range p.Groups.Value[id].Rules {
			if !rule.Disabled {
				named = append(named, rule.RemoteGroupID)
			}
		}
	}
	slices.Sort(named)
	return slices.DeleteFunc(slices.Compact(named), func(id string) bool { return id == "" })
}

// membersDecide reports whether it matters which interfaces there are: those of a security group that
// a rule names, and those of a source's subnet that has an ACL, which does not judge what stays inside.
func membersDecide(p *diagnosis.Path) bool {
	return len(namedGroups(p)) > 0 || slices.ContainsFunc(p.Sources, func(i cloud.Interface) bool {
		return i.SubnetID != "" && slices.ContainsFunc(p.ACLs.Value, func(acl cloud.NetworkACL) bool { return slices.Contains(acl.Subnets, i.SubnetID) })
	})
}

// namedAddressGroups are the address groups that rules on the way name.
func namedAddressGroups(p *diagnosis.Path) []string {
	var named []string
	for _, id := range groupsOf(p) {
		for _, rule := range p.Groups.Value[id].Rules {
			if !rule.Disabled {
				named = append(named, rule.RemoteAddressGroupID)
			}
		}
	}
	for _, acl := range p.ACLs.Value {
		for _, rule := range slices.Concat(acl.Ingress, acl.Egress) {
			if !rule.Disabled {
				named = append(named, rule.SourceAddressGroup, rule.DestinationAddressGroup)
			}
		}
	}
	slices.Sort(named)
	return slices.DeleteFunc(slices.Compact(named), func(id string) bool { return id == "" })
}

// aclsOn are the network ACLs of the subnets on the way.
func aclsOn(p *diagnosis.Path, all []cloud.NetworkACL) (on []cloud.NetworkACL) {
	subnets := subnetsOf(p)
	for _, acl := range all {
		if slices.ContainsFunc(acl.Subnets, func(id string) bool { return slices.Contains(subnets, id) }) {
			on = append(on, acl)
		}
	}
	return on
}

// tablesOn are the route tables of the subnets on the way: the one that a subnet is associated
// with, or else the default one of its VPC.
func tablesOn(p *diagnosis.Path, all []cloud.RouteTable) (on []cloud.RouteTable) {
	var ids []string
	for i := range interfacesOf(p) {
		ids = append(ids, tableOf(*i, all))
	}
	for _, table := range all {
		if slices.Contains(ids, table.ID) {
			on = append(on, table)
		}
	}
	return on
}

// tableOf is the ID of the route table that an interface's subnet uses, empty where none is known.
func tableOf(i cloud.Interface, all []cloud.RouteTable) (id string) {
	fallback := ""
	for _, table := range all {
		switch {
		case i.SubnetID != "" && slices.Contains(table.Subnets, i.SubnetID):
			id = table.ID
		case table.Default && table.VPCID == i.VPCID:
			fallback = table.ID
		}
	}
	return cmp.Or(id, fallback)
}

// peeringsOn are those that one of the VPCs on the way has.
func peeringsOn(p *diagnosis.Path, all []cloud.Peering) (on []cloud.Peering) {
	vpcs := vpcsOf(p)
	for _, peering := range all {
		if slices.Contains(vpcs, peering.RequesterVPC) || slices.Contains(vpcs, peering.AccepterVPC) {
			on = append(on, peering)
		}
	}
	return on
}

// only are those of a map that have one of the keys.
func only[V any](all map[string]V, keys []string) map[string]V {
	some := make(map[string]V, len(keys))
	for _, key := range keys {
		if value, is := all[key]; is {
			some[key] = value
		}
	}
	return some
}

package cloud

// The methods Size tell about how many bytes of memory an object holds, so that whoever keeps
// many can bound them.

// Size is about what the filter holds of memory, with its rules.
func (f Filter) Size() int64 {
	size := 200 + len(f.Name) + len(f.Description)
	for i := range f.Rules {
		size += 260 + len(f.Rules[i].Description) + len(f.Rules[i].Unreadable)
	}
	return int64(size)
}

// Size is about what the session holds of memory.
func (s Session) Size() int64 {
	return int64(400 + len(s.Name) + len(s.Description) + 56*len(s.Sources))
}

// Size is about what the interface holds of memory.
func (i Interface) Size() int64 {
	size := 300 + len(i.VPCID) + len(i.SubnetID) + len(i.DeviceID) + len(i.Flavor) + len(i.Unreadable) + 24*len(i.Addresses)
	return int64(size + 56*len(i.SecurityGroups))
}

// Size is about what the group holds of memory, with its rules.
func (g SecurityGroup) Size() int64 {
	size := int64(150 + len(g.Name))
	for i := range g.Rules {
		size += g.Rules[i].Size()
	}
	return size
}

// Size is about what the rule holds of memory.
func (r GroupRule) Size() int64 {
	return int64(250 + len(r.Protocol) + len(r.RemoteGroupID) + len(r.RemoteAddressGroupID) + len(r.Unreadable) + 4*len(r.Ports))
}

// Size is about what the group holds of memory.
func (g AddressGroup) Size() int64 {
	return int64(150 + len(g.Name) + len(g.Unreadable) + 48*len(g.Ranges))
}

// Size is about what the ACL holds of memory, with the rules that were read.
func (a NetworkACL) Size() int64 {
	size := 200 + len(a.Name) + 56*len(a.Subnets)
	for _, rules := range [][]ACLRule{a.Ingress, a.Egress} {
		for i := range rules {
			r := &rules[i]
			size += 350 + len(r.Name) + len(r.Protocol) + len(r.SourceAddressGroup) + len(r.DestinationAddressGroup) +
				len(r.Unreadable) + 4*len(r.SourcePorts) + 4*len(r.DestinationPorts)
		}
	}
	return int64(size)
}

// Size is about what the peering holds of memory.
func (p Peering) Size() int64 {
	return int64(200 + len(p.Name) + len(p.Status) + len(p.RequesterVPC) + len(p.AccepterVPC))
}

// Size is about what the table holds of memory, with the routes that were read.
func (t RouteTable) Size() int64 {
	size := 250 + len(t.Name) + 56*len(t.Subnets)
	for i := range t.Routes {
		r := &t.Routes[i]
		size += 100 + len(r.Type) + len(r.NextHop) + len(r.Unreadable)
	}
	return int64(size)
}

// Size is about what the server holds of memory.
func (s Server) Size() int64 {
	return int64(200 + len(s.Name) + len(s.Status) + len(s.Flavor))
}

// Size is about what the flavor holds of memory.
func (f Flavor) Size() int64 { return int64(80 + len(f.Name)) }

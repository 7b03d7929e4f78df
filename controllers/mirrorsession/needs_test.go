package mirrorsession

import (
	"testing"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// way is from two sources to a target in one subnet, changed by edits.
func way(edits ...func(*diagnosis.Path)) *diagnosis.Path {
	at := func(id string) cloud.Interface {
		return cloud.Interface{ID: id, VPCID: "vpc", SubnetID: "subnet", DeviceID: "server-" + id, SecurityGroups: []string{"group-" + id}, Flavor: "c7t"}
	}
	p := &diagnosis.Path{
		Session: cloud.Session{ID: "s", SessionSpec: cloud.SessionSpec{Enabled: true, TargetID: "t"}, Sources: []string{"a", "b"}},
		Target:  new(at("t")), Sources: []cloud.Interface{at("a"), at("b")},
	}
	for _, edit := range edits {
		edit(p)
	}
	return p
}

func TestOnlyWhatDecidesIsAskedFor(t *testing.T) {
	inOneVPC := needs{groups: true, acls: true, servers: true, flavors: true}
	for name, c := range map[string]struct {
		way  *diagnosis.Path
		want needs
	}{
		"in one VPC":                     {way(), inOneVPC},
		"from another VPC":               {way(func(p *diagnosis.Path) { p.Sources[1].VPCID = "other" }), needs{true, true, true, true, true}},
		"where the VPCs are not told":    {way(func(p *diagnosis.Path) { p.Sources[1].VPCID = "" }), inOneVPC},
		"of a session that is off":       {way(func(p *diagnosis.Path) { p.Session.Enabled = false }), needs{}},
		"of a session without sources":   {way(func(p *diagnosis.Path) { p.Session.Sources = nil }), needs{}},
		"with the target gone":           {way(func(p *diagnosis.Path) { p.Target = nil }), inOneVPC},
		"with every source gone":         {way(func(p *diagnosis.Path) { p.Sources = nil }), needs{groups: true, acls: true, servers: true}},
		"with nothing but the addresses": {way(func(p *diagnosis.Path) { p.Sources, p.Target = []cloud.Interface{{ID: "a"}}, nil }), needs{flavors: true}},
	} {
		t.Run(name, func(t *testing.T) { same(t, "what is needed", c.want, needsOf(c.way), allFields) })
	}
}

func TestRulesOfTheGroupsOnTheWayNameOtherGroupsAndAddressGroups(t *testing.T) {
	p := way(func(p *diagnosis.Path) {
		p.Groups.Value = map[string]cloud.SecurityGroup{
			"group-a": {Rules: []cloud.GroupRule{{RemoteGroupID: "group-a"}, {RemoteGroupID: "off", Disabled: true}, {RemoteAddressGroupID: "list-2"}}},
			"group-t": {Rules: []cloud.GroupRule{{}, {RemoteGroupID: "friends"}, {RemoteAddressGroupID: "list-off", Disabled: true}}},
			"foreign": {Rules: []cloud.GroupRule{{RemoteGroupID: "of nobody"}}},
		}
		p.ACLs.Value = []cloud.NetworkACL{{
			Ingress: []cloud.ACLRule{{SourceAddressGroup: "list-1"}, {SourceAddressGroup: "list-off", Disabled: true}},
			Egress:  []cloud.ACLRule{{DestinationAddressGroup: "list-2"}},
		}}
	})
	same(t, "the groups", []string{"friends", "group-a"}, namedGroups(p))
	same(t, "the address groups", []string{"list-1", "list-2"}, namedAddressGroups(p))
}

func TestTheInterfacesOfTheAccountAreAskedForOnlyWhereTheyDecide(t *testing.T) {
	acl := func(subnet string) func(*diagnosis.Path) {
		return func(p *diagnosis.Path) {
			p.ACLs.Value = []cloud.NetworkACL{{ID: "acl", Subnets: []string{"x", subnet}}}
		}
	}
	for name, c := range map[string]struct {
		way  *diagnosis.Path
		want bool
	}{
		"where no rule names members": {way(), false},
		"where one does": {way(func(p *diagnosis.Path) {
			p.Groups.Value = map[string]cloud.SecurityGroup{"group-t": {Rules: []cloud.GroupRule{{RemoteGroupID: "friends"}}}}
		}), true},
		"where the subnet of a source has an ACL": {way(acl("subnet")), true},
		"not where only that of the target has":   {way(acl("far"), func(p *diagnosis.Path) { p.Target.SubnetID = "far" }), false},
		"not where the subnets are not told":      {way(acl(""), func(p *diagnosis.Path) { p.Sources[0].SubnetID, p.Sources[1].SubnetID = "", "" }), false},
	} {
		t.Run(name, func(t *testing.T) { same(t, "asked for", c.want, membersDecide(c.way)) })
	}
}

func TestOnlyTheContentsOfWhatTheSubnetsOnTheWayHaveAreRead(t *testing.T) {
	p := way(func(p *diagnosis.Path) { p.Target.VPCID, p.Target.SubnetID = "other", "far" })
	ids := func(tables []cloud.RouteTable) (out []string) {
		for _, table := range tables {
			out = append(out, table.ID)
		}
		return out
	}
	same(t, "the route tables", []string{"default", "own"}, ids(tablesOn(p, []cloud.RouteTable{
		{ID: "default", VPCID: "vpc", Default: true}, {ID: "unused", VPCID: "vpc", Subnets: []string{"x"}},
		{ID: "other's default", VPCID: "other", Default: true}, {ID: "own", VPCID: "other", Subnets: []string{"far"}},
		{ID: "third", VPCID: "third", Default: true},
	})))
	same(t, "the ACLs", []cloud.NetworkACL{{ID: "on", Subnets: []string{"x", "subnet"}}}, aclsOn(p, []cloud.NetworkACL{
		{ID: "on", Subnets: []string{"x", "subnet"}}, {ID: "elsewhere", Subnets: []string{"x"}}, {ID: "free"},
	}))
	same(t, "the peerings", []cloud.Peering{{ID: "from", RequesterVPC: "vpc", AccepterVPC: "x"}, {ID: "to", RequesterVPC: "x", AccepterVPC: "other"}},
		peeringsOn(p, []cloud.Peering{
			{ID: "from", RequesterVPC: "vpc", AccepterVPC: "x"}, {ID: "to", RequesterVPC: "x", AccepterVPC: "other"},
			{ID: "elsewhere", RequesterVPC: "x", AccepterVPC: "y"},
		}))
	all := map[string]cloud.Server{}
	for _, id := range []string{"server-t", "server-b", "server-a", "server-x"} {
		all[id] = cloud.Server{ID: id}
	}
	same(t, "the servers", []cloud.Server{{ID: "server-a"}, {ID: "server-b"}, {ID: "server-t"}}, serversOn(p, all))
	same(t, "of a map", map[string]int{"a": 1}, only(map[string]int{"a": 1, "b": 2}, []string{"a", "c"}))
}

package scenario

import "net/netip"

// Peering is a connection of two VPCs.
type Peering struct {
	ID, Name            string
	Requester, Accepter string // IDs of VPCs
	Status              string
}

// RouteTable is what subnets of a VPC obey. A VPC without a default one gets one without routes.
type RouteTable struct {
	ID, Name string
	VPCID    string
	Default  bool
	Subnets  []string // IDs
	Routes   []Route
}

// Route leads to what is not in the VPC.
type Route struct {
	Type, Destination, NextHop, Description string
}

func (p *parser) vpcOf(o object, key string) string {
	ref := o.need(key)
	id, ok := p.vpcIDs[ref]
	if !ok {
		p.fail(o.at(key), "there is no VPC %q; give the name or id of one in vpcs", ref)
	}
	return id
}

func (p *parser) peerings(root object) {
	for _, n := range root.list("peerings") {
		o := p.object(n, "id", "name", "requester", "accepter", "status")
		c := Peering{
			ID: p.id(o), Name: p.name(o, "peering"), Requester: p.vpcOf(o, "requester"), Accepter: p.vpcOf(o, "accepter"),
			Status: p.oneOf(o, "status", "ACTIVE", "ACTIVE", "PENDING_ACCEPTANCE", "REJECTED", "EXPIRED", "DELETED"),
		}
		if c.Requester == c.Accepter {
			p.fail(o.at("accepter"), "a VPC cannot be connected with itself; give another")
		}
		p.peeringIDs[c.ID], p.peeringIDs[c.Name] = c.ID, c.ID
		p.sc.Peerings = append(p.sc.Peerings, c)
	}
}

func (p *parser) routeTables(root object) {
	defaults, bound := map[string]string{}, map[string]string{}
	for _, n := range root.list("route_tables") {
		o := p.object(n, "id", "name", "vpc", "default", "subnets", "routes")
		t := RouteTable{ID: p.id(o), Name: p.name(o, "route table"), VPCID: p.vpcOf(o, "vpc"), Default: o.boolean("default", false)}
		if t.Default {
			if other, twice := defaults[t.VPCID]; twice {
				p.fail(o.at("default"), "the VPC's default route table is %s already; keep one", other)
			}
			defaults[t.VPCID] = t.Name
		}
		for _, m := range o.list("subnets") {
			ref := p.scalar(m)
			sub, ok := p.subnets[ref]
			switch other, twice := bound[sub.ID]; {
			case !ok || sub.vpc != t.VPCID:
				p.fail(m, "there is no subnet %q in the VPC; give the name or id of one of it", ref)
			case twice:
				p.fail(m, "the subnet obeys %s already; a subnet has one route table", other)
			}
			bound[sub.ID] = t.Name
			t.Subnets = append(t.Subnets, sub.ID)
		}
		for _, m := range o.list("routes") {
			t.Routes = append(t.Routes, p.route(m))
		}
		p.sc.RouteTables = append(p.sc.RouteTables, t)
	}
}

func (p *parser) route(n node) Route {
	o := p.object(n, "type", "destination", "nexthop", "description")
	o.need("destination")
	r := Route{
		Type:        p.oneOf(o, "type", "peering", "ecs", "eni", "vip", "nat", "peering", "vpn", "dc", "cc", "egw", "er", "subeni"),
		Destination: parsed(o, "destination", netip.ParsePrefix, cidrRemedy).String(), NextHop: o.need("nexthop"), Description: o.text("description"),
	}
	if r.Type != "peering" {
		return r
	}
	id, ok := p.peeringIDs[r.NextHop]
	if !ok {
		p.fail(o.at("nexthop"), "there is no peering %q; give the name or id of one in peerings", r.NextHop)
	}
	r.NextHop = id
	return r
}

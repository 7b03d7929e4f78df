package state

import (
	"net/netip"
	"slices"
	"time"
)

const kindRouteTable = "Route table"

// Types of routes that matter here; see RouteTypes for all.
const (
	RouteLocal   = "local" // to the VPC's own subnets; the cloud makes them
	RoutePeering = "peering"
	RouteRouter  = "er" // to an enterprise router
)

// RouteTypes are those that a route may have (VPC API reference).
var RouteTypes = []string{"ecs", "eni", "vip", "nat", RoutePeering, "vpn", "dc", "cc", "egw", RouteRouter, "subeni"}

// Route leads to what is not in the VPC.
type Route struct {
	Type, Destination, NextHop, Description string
}

// RouteTable is what the subnets of a VPC obey. Each VPC has a default one, for the subnets that have no other.
type RouteTable struct {
	ID, ProjectID, VPCID, Name, Description string
	Default                                 bool
	Subnets                                 []string // IDs
	Routes                                  []Route  // without the local ones
	CreatedAt, UpdatedAt                    time.Time
}

// RouteTableInput is the body of a route table's create or update; nil means absent.
type RouteTableInput struct {
	Name, Description *string
	VPCID             *string // create only
	Add, Modify       []Route
	Delete            []string // destinations
}

// RouteTable looks one up; Reason Missing when the project has no such route table.
func (w *World) RouteTable(project, id string) (RouteTable, error) {
	t, ok := w.RouteTables[id]
	if !ok || t.ProjectID != project {
		return RouteTable{}, missing(kindRouteTable, id)
	}
	return t, nil
}

// RouteTableOf finds the one that a subnet obeys.
func (w *World) RouteTableOf(subnet string) (RouteTable, bool) {
	for _, t := range w.RouteTables {
		if slices.Contains(t.Subnets, subnet) {
			return t, true
		}
	}
	return RouteTable{}, false
}

// LocalRoutes are those to the subnets of a VPC, by destination.
func (w *World) LocalRoutes(vpc string) []Route {
	var out []Route
	for _, s := range w.Subnets {
		for _, p := range []netip.Prefix{s.CIDR, s.CIDR6} {
			if s.VPCID == vpc && p.IsValid() {
				out = append(out, Route{Type: RouteLocal, Destination: p.String(), NextHop: "-"})
			}
		}
	}
	slices.SortFunc(out, func(a, b Route) int { return compareIDs(a.Destination, b.Destination) })
	return out
}

// CreateRouteTable makes a route table without subnets.
func (s *Store) CreateRouteTable(project string, in RouteTableInput) (RouteTable, error) {
	return change(s, func(w *World, now time.Time) (RouteTable, error) {
		t := RouteTable{ID: s.newID(), ProjectID: project, CreatedAt: now, UpdatedAt: now}
		if err := required("vpc_id", in.VPCID); err != nil {
			return t, err
		}
		if _, err := w.VPC(project, *in.VPCID); err != nil {
			return t, err
		}
		t.VPCID = *in.VPCID
		if err := s.fillRouteTable(w, &t, in); err != nil {
			return t, err
		}
		w.RouteTables[t.ID] = t
		return t, nil
	})
}

// UpdateRouteTable changes what the input carries and keeps the rest.
func (s *Store) UpdateRouteTable(project, id string, in RouteTableInput) (RouteTable, error) {
	return change(s, func(w *World, now time.Time) (RouteTable, error) {
		t, err := w.RouteTable(project, id)
		if err != nil {
			return t, err
		}
		t.UpdatedAt = now
		if err := s.fillRouteTable(w, &t, in); err != nil {
			return t, err
		}
		w.RouteTables[id] = t
		return t, nil
	})
}

func (s *Store) fillRouteTable(w *World, t *RouteTable, in RouteTableInput) error {
	if in.Name != nil && *in.Name != "" {
		if err := s.quirks.fillName(&t.Name, in.Name); err != nil {
			return err
		}
	}
	if err := s.quirks.fillDescription(&t.Description, in.Description); err != nil {
		return err
	}
	routes := slices.Clone(t.Routes)
	at := func(destination string) int {
		return slices.IndexFunc(routes, func(r Route) bool { return r.Destination == destination })
	}
	for _, destination := range in.Delete {
		i := at(destination)
		if i < 0 {
			return missing("Route", destination)
		}
		routes = slices.Delete(routes, i, i+1)
	}
	for _, r := range in.Modify {
		if err := w.checkRoute(*t, &r); err != nil {
			return err
		}
		i := at(r.Destination)
		if i < 0 {
			return missing("Route", r.Destination)
		}
		routes[i] = r
	}
	for _, r := range in.Add {
		if err := w.checkRoute(*t, &r); err != nil {
			return err
		}
		if at(r.Destination) >= 0 {
			return refuse(Duplicate, "A route to %s already exists in %s %s.", r.Destination, kindRouteTable, t.ID)
		}
		routes = append(routes, r)
	}
	t.Routes = routes
	return nil
}

// checkRoute refuses what the reference does: a destination that overlaps a local one, an unknown type, and a peering that
// the VPC has no side of.
func (w *World) checkRoute(t RouteTable, r *Route) error {
	p, err := netip.ParsePrefix(r.Destination)
	if err != nil {
		return invalid("destination", "'%s' is not a valid CIDR", r.Destination)
	}
	r.Destination = p.Masked().String()
	for _, s := range w.Subnets {
		for _, local := range []netip.Prefix{s.CIDR, s.CIDR6} {
			if s.VPCID == t.VPCID && local.Overlaps(p) && local.Bits() <= p.Bits() {
				return invalid("destination", "'%s' overlaps the local route to %s", r.Destination, local)
			}
		}
	}
	if r.Type, err = pick("type", r.Type, RouteTypes...); err != nil {
		return err
	}
	if r.NextHop == "" {
		return invalid("nexthop", "the field is required")
	}
	if r.Type != RoutePeering {
		return nil
	}
	peering, ok := w.Peerings[r.NextHop]
	if !ok || peering.Requester.VPCID != t.VPCID && peering.Accepter.VPCID != t.VPCID {
		return missing(kindPeering, r.NextHop)
	}
	return nil
}

// DeleteRouteTable removes a route table; Reason InUse while it has subnets, and the default one always has to stay.
func (s *Store) DeleteRouteTable(project, id string) error {
	_, err := change(s, func(w *World, _ time.Time) (struct{}, error) {
		t, err := w.RouteTable(project, id)
		if err == nil && t.Default {
			err = refuse(Unsupported, "%s %s is the default one of VPC %s and cannot be deleted.", kindRouteTable, id, t.VPCID)
		}
		if err == nil && len(t.Subnets) > 0 {
			err = refuse(InUse, "%s %s is in use by subnet %s.", kindRouteTable, id, t.Subnets[0])
		}
		if err == nil {
			delete(w.RouteTables, id)
		}
		return struct{}{}, err
	})
	return err
}

// MoveSubnets lets subnets of the VPC obey this route table, and others of it the default one again.
func (s *Store) MoveSubnets(project, id string, here, away []string) (RouteTable, error) {
	return change(s, func(w *World, now time.Time) (RouteTable, error) {
		t, err := w.RouteTable(project, id)
		if err != nil {
			return t, err
		}
		if len(here)+len(away) == 0 {
			return t, invalid("subnets", "at least one subnet is required")
		}
		for _, subnet := range here {
			if found, ok := w.Subnets[subnet]; !ok || found.VPCID != t.VPCID {
				return t, missing("Subnet", subnet)
			}
			w.bindSubnet(subnet, id, now)
		}
		for _, subnet := range away {
			if of, ok := w.RouteTableOf(subnet); !ok || of.ID != id || t.Default {
				return t, missing("Subnet", subnet)
			}
			w.bindSubnet(subnet, w.defaultTable(t.VPCID), now)
		}
		return w.RouteTables[id], nil
	})
}

func (w *World) defaultTable(vpc string) string {
	for _, t := range w.RouteTables {
		if t.VPCID == vpc && t.Default {
			return t.ID
		}
	}
	return ""
}

// bindSubnet takes a subnet from the route table that it obeys and puts it under another.
func (w *World) bindSubnet(subnet, table string, now time.Time) {
	if old, ok := w.RouteTableOf(subnet); ok {
		old.Subnets, old.UpdatedAt = without(old.Subnets, []string{subnet}), now
		w.RouteTables[old.ID] = old
	}
	if t, ok := w.RouteTables[table]; ok {
		t.Subnets, t.UpdatedAt = append(slices.Clone(t.Subnets), subnet), now
		w.RouteTables[table] = t
	}
}

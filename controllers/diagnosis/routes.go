package diagnosis

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// Types of routes, in the cloud's words.
const (
	routePeering = "peering"
	routeRouter  = "er"
)

// active is the status of a peering that carries something.
const active = "ACTIVE"

// noPath: source and target are in different VPCs, and no peering or no route leads from one to the
// other. "If they are in different VPCs, connect these by a peering connection or an enterprise
// router" (user guide, constraints); a peering needs routes on both sides (user guide, "VPC Peering
// Connection"). By the routes of both subnets: the table that the subnet has, else its VPC's
// default one, where the longest prefix decides. What an enterprise router does is not read.
func noPath(k *Known) (seen sight) {
	k.pairs(func(source, target *cloud.Interface, from, to netip.Addr) {
		switch {
		case source.VPCID == "" || target.VPCID == "":
			if source.VPCID != target.VPCID {
				seen.assume("%s and %s are in one VPC, which the cloud does not say", from, to)
			}
			return
		case source.VPCID == target.VPCID:
			return
		}
		w := hop{k: k, source: source, target: target, from: from, to: to}
		w.judge(&seen)
	})
	return seen
}

// hop is the way of the copies of a source into another VPC.
type hop struct {
	k              *Known
	source, target *cloud.Interface
	from, to       netip.Addr
}

func (w *hop) judge(seen *sight) {
	k := w.k
	if !k.Path.RouteTables.Read {
		seen.doubt(unread("route tables", k.Path.RouteTables.Missing))
	}
	if !k.Path.Peerings.Read {
		seen.doubt(unread("peerings", k.Path.Peerings.Missing))
	}
	if !k.Path.RouteTables.Read || !k.Path.Peerings.Read {
		return
	}
	there, why := w.route(w.source, w.to)
	if why != nil {
		seen.doubt(*why)
		return
	}
	back, why := w.route(w.target, w.from)
	if why != nil {
		seen.doubt(*why)
		return
	}
	for _, r := range []leads{there, back} {
		if why := w.unknown(r, seen); why != nil {
			seen.doubt(*why)
			return
		}
	}
	if o := w.notPeered(); o != nil {
		seen.stop(*o)
		return
	}
	for _, r := range []leads{there, back} {
		if o := w.astray(r); o != nil {
			seen.stop(*o)
			return
		}
	}
}

// leads is what the route table of an interface's subnet says about an address.
type leads struct {
	of    *cloud.Interface
	to    netip.Addr
	table cloud.RouteTable
	// route is nil where none is about the address.
	route *cloud.Route
	// unreadable is one that may be about it, nil for none.
	unreadable *cloud.Route
}

// route looks up an address in the table of an interface's subnet.
func (w *hop) route(i *cloud.Interface, to netip.Addr) (leads, *doubt) {
	r := leads{of: i, to: to}
	table := w.k.tableOf(i)
	if table == nil {
		return r, &doubt{says: "the route table of the subnet of " + w.k.nameOf(i.ID) + " is not in the cloud's list"}
	}
	r.table = *table
	if table.Routes == nil {
		return r, &doubt{says: "the routes of " + w.k.tableCalled(r.table) + " were not read"}
	}
	for n := range table.Routes {
		switch route := &table.Routes[n]; {
		case route.Destination.IsValid() && !route.Destination.Contains(to):
		case route.Unreadable != "":
			r.unreadable = route
		case route.Destination.Contains(to) && (r.route == nil || route.Destination.Bits() > r.route.Destination.Bits()):
			r.route = route
		}
	}
	return r, nil
}

// unknown is why it can't be told where a table leads, nil where it can. A route that can't be read
// only makes a bad way doubtful: where the others lead right it is taken for one about something else,
// such as the addresses of a group.
func (w *hop) unknown(r leads, seen *sight) *doubt {
	k := w.k
	switch {
	case r.route != nil && strings.EqualFold(r.route.Type, routeRouter):
		return &doubt{says: fmt.Sprintf("from %s to %s the route %s leads over %s, whose routes are not read",
			w.from, w.to, r.route.Destination, k.called("enterprise router", "", r.route.NextHop))}
	case r.unreadable == nil:
		return nil
	case r.route != nil && w.overPeering(r.route):
		seen.assume("a route in %s that can't be read by this version%s is not about %s", k.tableCalled(r.table), k.unlessPrivate(" ("+r.unreadable.Unreadable+")"), r.to)
		return nil
	default:
		return &doubt{says: fmt.Sprintf("a route in %s can't be read by this version%s, and may be about %s",
			k.tableCalled(r.table), k.unlessPrivate(": "+r.unreadable.Unreadable), r.to)}
	}
}

// tableOf is the route table of an interface's subnet, nil where none is known.
func (k *Known) tableOf(i *cloud.Interface) *cloud.RouteTable {
	var byDefault *cloud.RouteTable
	for n := range k.Path.RouteTables.Value {
		switch t := &k.Path.RouteTables.Value[n]; {
		case i.SubnetID != "" && slices.Contains(t.Subnets, i.SubnetID):
			return t
		case t.Default && t.VPCID == i.VPCID:
			byDefault = t
		}
	}
	return byDefault
}

func (k *Known) tableCalled(t cloud.RouteTable) string { return k.called("route table", t.Name, t.ID) }

// joining are the peerings of the two VPCs, the active ones first.
func (w *hop) joining() []cloud.Peering {
	var all []cloud.Peering
	for _, p := range w.k.Path.Peerings.Value {
		a, b := w.source.VPCID, w.target.VPCID
		if p.RequesterVPC == a && p.AccepterVPC == b || p.RequesterVPC == b && p.AccepterVPC == a {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b cloud.Peering) int {
		return number(!strings.EqualFold(a.Status, active)) - number(!strings.EqualFold(b.Status, active))
	})
	return all
}

// notPeered is that no active peering joins the two VPCs, nil where one does.
func (w *hop) notPeered() *obstacle {
	k := w.k
	o := obstacle{reason: v1alpha1.ReasonNoPeering, source: w.source.ID, about: k.targetAbout()}
	vpcs := ""
	if !k.Path.Private {
		vpcs = fmt.Sprintf(" (VPCs %s and %s)", w.source.VPCID, w.target.VPCID)
	}
	switch all := w.joining(); {
	case len(all) == 0:
		o.message = open("no peering joins the VPC of ", fmt.Sprintf(" with that of %s%s", w.to, vpcs))
		o.remedy = plain("make a peering between the two VPCs%s, and routes to it on both sides", vpcs)
	case !strings.EqualFold(all[0].Status, active):
		called := k.called("peering", all[0].Name, all[0].ID)
		o.message = open(fmt.Sprintf("%s joins the VPC of %s with that of ", called, w.to), fmt.Sprintf(", but it is %s and not %s", all[0].Status, active))
		o.remedy = plain("have %s accepted, or make a new one", called)
	default:
		return nil
	}
	return &o
}

// astray is that a route table has no route to the other side, or one that leads elsewhere; nil
// where it leads to the peering.
func (w *hop) astray(r leads) *obstacle {
	k := w.k
	peering := w.joining()[0]
	o := obstacle{reason: v1alpha1.ReasonNoRoute, source: w.source.ID, about: k.targetAbout()}
	called, over := k.tableCalled(r.table), k.called("peering", peering.Name, peering.ID)
	of, name, address := " of the subnet of ", k.nameOf(r.of.ID), r.to.String()
	ours := r.of == w.source // the table's route is to the target, and else to the source
	switch {
	case r.route == nil && ours:
		o.message = open(called+of, " has no route to "+address)
		o.remedy = plain("add a route to %s, or to its subnet's range, over %s to %s", single(r.to), over, called)
	case r.route == nil:
		o.message = open(called+of+name+" has no route to ", "")
		o.remedy = open("add a route to ", fmt.Sprintf(", or to the subnet's range, over %s to %s", over, called))
	case !w.overPeering(r.route) && k.Path.Private:
		o.message = plain("a route of %s%s%s, which decides about %s, leads elsewhere and not over %s", called, of, name, address, over)
		o.remedy = plain("correct it, or add a route to %s over %s", single(r.to), over)
	case !w.overPeering(r.route):
		o.message = plain("in %s%s%s the route to %s, which decides about %s, leads to %s and not over %s",
			called, of, name, r.route.Destination, address, k.hopCalled(r.route), over)
		o.remedy = plain("add a route to %s over %s to %s, or correct that one", single(r.to), over, called)
	default:
		return nil
	}
	return &o
}

// hopCalled is where a route leads.
func (k *Known) hopCalled(r *cloud.Route) string {
	name := ""
	for _, p := range k.Path.Peerings.Value {
		if strings.EqualFold(r.Type, routePeering) && p.ID == r.NextHop {
			name = p.Name
		}
	}
	return k.called(r.Type, name, r.NextHop)
}

// overPeering reports whether a route leads over an active peering of the two VPCs.
func (w *hop) overPeering(r *cloud.Route) bool {
	return strings.EqualFold(r.Type, routePeering) && slices.ContainsFunc(w.joining(), func(p cloud.Peering) bool {
		return p.ID == r.NextHop && strings.EqualFold(p.Status, active)
	})
}

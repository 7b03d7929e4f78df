package api

import (
	"net/http"

	"vpcmirror.io/operator/test/cloudsim/state"
)

const routeTableKey = "routetable"

// routeTableInList lacks the routes: the list does not show them.
func routeTableInList(t state.RouteTable) map[string]any {
	subnets := []any{}
	for _, id := range t.Subnets {
		subnets = append(subnets, map[string]any{"id": id})
	}
	return map[string]any{
		"id": t.ID, "name": t.Name, "description": t.Description, "default": t.Default, "subnets": subnets, "tenant_id": t.ProjectID,
		"vpc_id": t.VPCID, "created_at": stamp(t.CreatedAt), "updated_at": stamp(t.UpdatedAt),
	}
}

// routeTableView shows the routes that the cloud makes to the VPC's own subnets too.
func routeTableView(w *state.World) func(state.RouteTable) any {
	return func(t state.RouteTable) any {
		routes := []any{}
		for _, r := range append(w.LocalRoutes(t.VPCID), t.Routes...) {
			routes = append(routes, map[string]any{"type": r.Type, "destination": r.Destination, "nexthop": r.NextHop, "description": r.Description})
		}
		view := routeTableInList(t)
		view["routes"] = routes
		return view
	}
}

func listRouteTables(c *call) response {
	return listing[state.RouteTable]{
		plural: "routetables",
		id:     func(t state.RouteTable) string { return t.ID },
		fields: map[string]func(state.RouteTable) []string{
			"id":        one(func(t state.RouteTable) string { return t.ID }),
			"vpc_id":    one(func(t state.RouteTable) string { return t.VPCID }),
			"subnet_id": func(t state.RouteTable) []string { return t.Subnets },
		},
		view: func(t state.RouteTable) any { return routeTableInList(t) }, whole: true, bare: true,
	}.serve(c, mine(c.world().RouteTables, c.project, func(t state.RouteTable) string { return t.ProjectID }))
}

func showRouteTable(c *call) response {
	w := c.world()
	t, err := w.RouteTable(c.project, c.params["id"])
	return result(http.StatusOK, routeTableKey, t, err, routeTableView(w))
}

func routesOf(b *body, field string) []state.Route {
	var out []state.Route
	for _, o := range b.objects(field) {
		out = append(out, state.Route{
			Type: valueOf(o.text("type")), Destination: valueOf(o.text("destination")), NextHop: valueOf(o.text("nexthop")),
			Description: valueOf(o.text("description")),
		})
		if o.err != nil {
			b.fail(o.err)
		}
	}
	return out
}

func createRouteTable(c *call) response {
	b := decodeBody(c.body, routeTableKey)
	in := state.RouteTableInput{
		Name: b.text("name"), Description: b.text("description"), VPCID: b.text("vpc_id"), Add: routesOf(b, "routes"),
	}
	if b.err != nil {
		return refusal(b.err)
	}
	t, err := c.State.CreateRouteTable(c.project, in)
	return result(http.StatusOK, routeTableKey, t, err, routeTableView(c.State.Snapshot()))
}

func updateRouteTable(c *call) response {
	b := decodeBody(c.body, routeTableKey)
	in := state.RouteTableInput{Name: b.text("name"), Description: b.text("description")}
	if routes := b.object("routes"); routes != nil {
		in.Add, in.Modify = routesOf(routes, "add"), routesOf(routes, "mod")
		for _, r := range routesOf(routes, "del") {
			in.Delete = append(in.Delete, r.Destination)
		}
		if routes.err != nil {
			b.fail(routes.err)
		}
	}
	if b.err != nil {
		return refusal(b.err)
	}
	t, err := c.State.UpdateRouteTable(c.project, c.params["id"], in)
	return result(http.StatusOK, routeTableKey, t, err, routeTableView(c.State.Snapshot()))
}

func deleteRouteTable(c *call) response {
	return gone(c.State.DeleteRouteTable(c.project, c.params["id"]))
}

func moveSubnets(c *call) response {
	b := decodeBody(c.body, routeTableKey)
	subnets := b.object("subnets")
	if b.err == nil && subnets == nil {
		b.fail(badField("subnets", "the field is required"))
	}
	if b.err != nil {
		return refusal(b.err)
	}
	here, away := valueOf(subnets.texts("associate")), valueOf(subnets.texts("disassociate"))
	if subnets.err != nil {
		return refusal(subnets.err)
	}
	t, err := c.State.MoveSubnets(c.project, c.params["id"], here, away)
	return result(http.StatusOK, routeTableKey, t, err, routeTableView(c.State.Snapshot()))
}

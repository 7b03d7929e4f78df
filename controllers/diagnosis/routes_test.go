package diagnosis_test

import (
	"testing"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

func TestBetweenVPCsThereMustBeAPeeringAndRoutesOnBothSides(t *testing.T) {
	noRoute := func(message, remedy string) []finding {
		return []finding{{"Error", "NoRoute", "target 10.0.0.1", message, remedy}}
	}
	looks(t, map[string]look{
		"there are": {edit: joined},
		"a longer prefix may decide": {edit: func(w *way) {
			joined(w)
			ours(w, route("nat", "10.0.0.0/8", "nat-1"), route("peering", "10.0.0.1/32", "peering-1"))
		}},
		"the subnet's own table decides": {
			edit: func(w *way) {
				joined(w)
				w.RouteTables.Value = append(w.RouteTables.Value, cloud.RouteTable{ID: "table-3", Name: "own", VPCID: vpcID, Subnets: []string{subnetID}, Routes: []cloud.Route{}})
			},
			found: noRoute(`route table "own" of the subnet of 10.0.0.11 and 10.0.0.12 has no route to 10.0.0.1`,
				`add a route to 10.0.0.1/32, or to its subnet's range, over peering "joins" to route table "own"`),
		},
		"no peering": {
			edit: func(w *way) { joined(w); w.Peerings.Value[0].AccepterVPC = "vpc-3" },
			found: []finding{{"Error", "NoPeering", "target 10.0.0.1",
				"no peering joins the VPC of 10.0.0.11 and 10.0.0.12 with that of 10.0.0.1 (VPCs vpc-1 and vpc-2)",
				"make a peering between the two VPCs (VPCs vpc-1 and vpc-2), and routes to it on both sides"}},
		},
		"a peering that is not active": {
			edit: func(w *way) { joined(w); w.Peerings.Value[0].Status = "PENDING_ACCEPTANCE" },
			found: []finding{{"Error", "NoPeering", "target 10.0.0.1",
				`peering "joins" joins the VPC of 10.0.0.1 with that of 10.0.0.11 and 10.0.0.12, but it is PENDING_ACCEPTANCE and not ACTIVE`,
				`have peering "joins" accepted, or make a new one`}},
		},
		"no route to the target": {
			edit: func(w *way) { joined(w); ours(w) },
			found: noRoute(`route table "ours" of the subnet of 10.0.0.11 and 10.0.0.12 has no route to 10.0.0.1`,
				`add a route to 10.0.0.1/32, or to its subnet's range, over peering "joins" to route table "ours"`),
		},
		"no route back": {
			edit: func(w *way) { joined(w); w.RouteTables.Value[1].Routes = []cloud.Route{} },
			found: noRoute(`route table "theirs" of the subnet of 10.0.0.1 has no route to 10.0.0.11 and 10.0.0.12`,
				`add a route to 10.0.0.11/32 and 10.0.0.12/32, or to the subnet's range, over peering "joins" to route table "theirs"`),
		},
		"a route back to one of two sources": {
			edit: func(w *way) {
				joined(w)
				w.RouteTables.Value[1].Routes[0] = route("peering", "10.0.0.12/32", "peering-1")
			},
			found: []finding{{"Warning", "NoRoute", "source 10.0.0.11", `route table "theirs" of the subnet of 10.0.0.1 has no route to 10.0.0.11`,
				`add a route to 10.0.0.11/32, or to the subnet's range, over peering "joins" to route table "theirs"`}},
		},
		"a route that leads elsewhere": {
			edit: func(w *way) {
				joined(w)
				w.one()
				ours(w, route("nat", "10.0.0.0/30", "nat-1"), route("peering", "10.0.0.0/24", "peering-1"))
			},
			found: noRoute(`in route table "ours" of the subnet of 10.0.0.11 the route to 10.0.0.0/30, which decides about 10.0.0.1, leads to nat nat-1 and not over peering "joins"`,
				`add a route to 10.0.0.1/32 over peering "joins" to route table "ours", or correct that one`),
		},
		"a route over another peering, by its name where it has one": {
			edit: func(w *way) {
				joined(w)
				w.one()
				w.Peerings.Value = append(w.Peerings.Value, cloud.Peering{ID: "peering-9", Name: "elsewhere", Status: "ACTIVE", RequesterVPC: vpcID, AccepterVPC: "vpc-3"})
				ours(w, route("peering", "10.0.0.0/30", "peering-9"))
			},
			found: noRoute(`in route table "ours" of the subnet of 10.0.0.11 the route to 10.0.0.0/30, which decides about 10.0.0.1, leads to peering "elsewhere" and not over peering "joins"`,
				`add a route to 10.0.0.1/32 over peering "joins" to route table "ours", or correct that one`),
		},
		"a route over another peering": {
			edit: func(w *way) { joined(w); w.one(); ours(w, route("peering", "10.0.0.0/30", "peering-9")) },
			found: noRoute(`in route table "ours" of the subnet of 10.0.0.11 the route to 10.0.0.0/30, which decides about 10.0.0.1, leads to peering peering-9 and not over peering "joins"`,
				`add a route to 10.0.0.1/32 over peering "joins" to route table "ours", or correct that one`),
		},
		"a route that leads elsewhere, with credentials of several tenants": {
			edit: func(w *way) { joined(w); w.one(); ours(w, route("nat", "10.0.0.0/30", "nat-1")); w.Private = true },
			found: noRoute("a route of a route table of the subnet of 10.0.0.11, which decides about 10.0.0.1, leads elsewhere and not over a peering",
				"correct it, or add a route to 10.0.0.1/32 over a peering"),
		},
		"an enterprise router is not judged": {
			edit: func(w *way) { joined(w); w.one(); w.Peerings.Value = nil; ours(w, route("er", "10.0.0.0/24", "er-1")) },
			verdict: said{"Unknown", "NotJudged",
				"from 10.0.0.11 to 10.0.0.1 the route 10.0.0.0/24 leads over enterprise router er-1, whose routes are not read"},
		},
		"a route that can't be read is not judged where the others lead nowhere": {
			edit:    func(w *way) { joined(w); w.one(); ours(w, unreadableRoute) },
			verdict: said{"Unknown", "NotJudged", `a route in route table "ours" can't be read by this version: destination "ag-1", and may be about 10.0.0.1`},
		},
		"a route that can't be read is not judged where the others lead elsewhere": {
			edit:    func(w *way) { joined(w); w.one(); ours(w, route("nat", "10.0.0.0/30", "nat-1"), unreadableRoute) },
			verdict: said{"Unknown", "NotJudged", `a route in route table "ours" can't be read by this version: destination "ag-1", and may be about 10.0.0.1`},
		},
		"a route that can't be read is not judged where no peering is, as it may lead over a router": {
			edit:    func(w *way) { joined(w); w.one(); w.Peerings.Value = nil; ours(w, unreadableRoute) },
			verdict: said{"Unknown", "NotJudged", `a route in route table "ours" can't be read by this version: destination "ag-1", and may be about 10.0.0.1`},
		},
		"a route that can't be read is assumed to be about others where one leads right": {
			edit: func(w *way) {
				joined(w)
				w.one()
				ours(w, route("peering", "10.0.0.0/24", "peering-1"), unreadableRoute)
			},
			verdict: said{"True", "Clear", nothingFound +
				`, assuming that a route in route table "ours" that can't be read by this version (destination "ag-1") is not about 10.0.0.1`},
		},
		"a route that can't be read is not shown with credentials of several tenants": {
			edit:    func(w *way) { joined(w); w.one(); w.Private = true; ours(w, unreadableRoute) },
			verdict: said{"Unknown", "NotJudged", "a route in a route table can't be read by this version, and may be about 10.0.0.1"},
		},
		"a route to other addresses decides nothing, whatever of it can't be read": {
			edit: func(w *way) {
				joined(w)
				w.one()
				other := route("nat", "172.16.0.0/12", "nat-1")
				other.Unreadable = "type"
				ours(w, route("peering", "10.0.0.0/24", "peering-1"), other)
			},
		},
		"peerings that may not be read are not judged": {
			edit:    func(w *way) { joined(w); w.Peerings = refused[[]cloud.Peering]("vpc:peerings:list") },
			verdict: said{"Unknown", "NotPermitted", "the account may not read peerings: grant it vpc:peerings:list"},
		},
		"tables that may not be read are not judged": {
			edit:    func(w *way) { joined(w); w.RouteTables = refused[[]cloud.RouteTable]("vpc:routeTables:list") },
			verdict: said{"Unknown", "NotPermitted", "the account may not read route tables: grant it vpc:routeTables:list"},
		},
		"routes that were not read are not judged": {
			edit:    func(w *way) { joined(w); w.RouteTables.Value[0].Routes = nil },
			verdict: said{"Unknown", "NotJudged", `the routes of route table "ours" were not read`},
		},
		"neither matters in one VPC": {edit: func(w *way) {
			w.Peerings, w.RouteTables = refused[[]cloud.Peering]("x"), diagnosis.Answer[[]cloud.RouteTable]{}
		}},
		"a VPC that the cloud does not name is taken for the same": {
			edit:    func(w *way) { w.one(); w.Target.VPCID = "" },
			verdict: said{"True", "Clear", nothingFound + ", assuming that 10.0.0.11 and 10.0.0.1 are in one VPC, which the cloud does not say"},
		},
	})
}

// unreadableRoute is one to what this version does not know.
var unreadableRoute = cloud.Route{Type: "peering", NextHop: "peering-1", Unreadable: `destination "ag-1"`}

// ours are the routes of the sources' table.
func ours(w *way, routes ...cloud.Route) {
	w.RouteTables.Value[0].Routes = append([]cloud.Route{}, routes...)
}

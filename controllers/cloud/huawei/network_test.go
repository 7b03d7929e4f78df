package huawei_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// networkID is the n-th ID of a kind of object of a test.
func networkID(kind, n int) string { return fmt.Sprintf("5a1f0c7e-0000-4000-9%03x-%012x", kind, n) }

func TestAllInterfacesAreListedWhateverThePagesHold(t *testing.T) {
	for name, region := range map[string]struct{ old bool }{"v3 ports": {}, "without v3 ports": {true}} {
		for _, page := range []int{0, 1, 2} {
			t.Run(fmt.Sprint(name, " in pages of ", page), func(t *testing.T) {
				s := sim.ForTest(t)
				if region.old {
					add(t, s, fault.NotPublished("ListPorts"))
				}
				want := map[string]bool{}
				s.State.Edit(func(w *state.World) {
					for n := range 5 {
						p := w.Ports[scenario.WalkthroughSource]
						p.ID, p.Addresses = networkID(1, n), []netip.Addr{netip.MustParseAddr(fmt.Sprintf("192.168.7.%d", n))}
						w.Ports[p.ID] = p
					}
					for id, p := range w.Ports {
						if p.ProjectID == scenario.WalkthroughProject {
							want[id] = true
						}
					}
				})
				o := fast
				o.PageSize = page
				got := map[string]bool{}
				for _, i := range must[[]cloud.Interface](t)(connect(t, o, credentialsOf(s)).ListInterfaces(t.Context())) {
					got[i.ID] = true
				}
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("the interfaces (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestSecurityGroupsAreListedWithAllTheirRules(t *testing.T) {
	for _, page := range []int{0, 1, 2} {
		t.Run(fmt.Sprint("in pages of ", page), func(t *testing.T) {
			s := sim.ForTest(t)
			group := networkID(2, 1)
			s.State.Edit(func(w *state.World) {
				w.Groups[group] = state.SecurityGroup{ID: group, ProjectID: scenario.WalkthroughProject, Name: "sg-deny"}
				for id, r := range map[string]state.GroupRule{
					networkID(3, 1): {Direction: "ingress", EtherType: "IPv4", Protocol: "udp", Multiport: "4000-5000,80", Action: "deny", Priority: 1, RemotePrefix: "192.168.0.0/24", Enabled: true},
					networkID(3, 2): {Direction: "egress", EtherType: "IPv6", Action: "allow", Priority: 100, Enabled: false},
					networkID(3, 3): {Direction: "ingress", EtherType: "IPv4", Protocol: "17", Action: "allow", Priority: 5, RemoteGroup: group, Enabled: true},
				} {
					r.ID, r.GroupID, r.ProjectID = id, group, scenario.WalkthroughProject
					w.GroupRules[id] = r
				}
			})
			o := fast
			o.PageSize = page
			all := must[[]cloud.SecurityGroup](t)(connect(t, o, credentialsOf(s)).ListSecurityGroups(t.Context()))
			rules := 0
			var got cloud.SecurityGroup
			for _, g := range all {
				rules += len(g.Rules)
				if g.ID == group {
					got = g
				}
			}
			if want := len(s.State.Snapshot().GroupRules); rules != want {
				t.Errorf("the groups have %d rules, want %d", rules, want)
			}
			slices.SortFunc(got.Rules, func(a, b cloud.GroupRule) int { return cmp.Compare(a.ID, b.ID) })
			want := cloud.SecurityGroup{ID: group, Name: "sg-deny", Rules: []cloud.GroupRule{
				{ID: networkID(3, 1), Direction: cloud.Ingress, Protocol: "udp", Ports: []cloud.PortRange{{Low: 4000, High: 5000}, {Low: 80, High: 80}}, Priority: 1, Remote: netip.MustParsePrefix("192.168.0.0/24")},
				{ID: networkID(3, 2), Direction: cloud.Egress, IPv6: true, Allow: true, Priority: 100, Disabled: true},
				{ID: networkID(3, 3), Direction: cloud.Ingress, Protocol: "udp", Allow: true, Priority: 5, RemoteGroupID: group},
			}}
			if diff := gocmp.Diff(want, got, equateNetip); diff != "" {
				t.Errorf("the group (-want +got):\n%s", diff)
			}
		})
	}
}

// inPages runs a test with several sizes of pages, 0 for the usual one.
func inPages(t *testing.T, test func(t *testing.T, s *sim.Sim, c cloud.Client)) {
	t.Helper()
	for _, page := range []int{0, 1, 2} {
		t.Run(fmt.Sprint("in pages of ", page), func(t *testing.T) {
			s := sim.ForTest(t)
			o := fast
			o.PageSize = page
			test(t, s, connect(t, o, credentialsOf(s)))
		})
	}
}

// same compares what was read with what is in the cloud, in the order of the IDs.
func same[T any](t *testing.T, id func(T) string, want, got []T) {
	t.Helper()
	for _, list := range [][]T{want, got} {
		slices.SortFunc(list, func(a, b T) int { return cmp.Compare(id(a), id(b)) })
	}
	if diff := gocmp.Diff(want, got, equateNetip); diff != "" {
		t.Errorf("what was read (-want +got):\n%s", diff)
	}
}

func TestAddressGroupsAreListed(t *testing.T) {
	inPages(t, func(t *testing.T, s *sim.Sim, c cloud.Client) {
		t.Helper()
		var want []cloud.AddressGroup
		s.State.Edit(func(w *state.World) {
			for n := range 5 {
				g := state.AddressGroup{
					ID: networkID(4, n), ProjectID: scenario.WalkthroughProject, Name: fmt.Sprint("group ", n), IPVersion: 4,
					Addresses: []string{fmt.Sprintf("10.0.%d.0/24", n), "10.1.0.1-10.1.0.5", "10.2.0.1"},
				}
				w.AddressGroups[g.ID] = g
				want = append(want, cloud.AddressGroup{ID: g.ID, Name: g.Name, Ranges: []cloud.AddressRange{
					{First: netip.MustParseAddr(fmt.Sprintf("10.0.%d.0", n)), Last: netip.MustParseAddr(fmt.Sprintf("10.0.%d.255", n))},
					{First: netip.MustParseAddr("10.1.0.1"), Last: netip.MustParseAddr("10.1.0.5")},
					{First: netip.MustParseAddr("10.2.0.1"), Last: netip.MustParseAddr("10.2.0.1")},
				}})
			}
		})
		same(t, func(g cloud.AddressGroup) string { return g.ID }, want, must[[]cloud.AddressGroup](t)(c.ListAddressGroups(t.Context())))
	})
}

func TestNetworkACLsAreListedAndReadWithTheirRules(t *testing.T) {
	inPages(t, func(t *testing.T, s *sim.Sim, c cloud.Client) {
		t.Helper()
		var want []cloud.NetworkACL
		s.State.Edit(func(w *state.World) {
			for n := range 5 {
				f := state.Firewall{ID: networkID(5, n), ProjectID: scenario.WalkthroughProject, Name: fmt.Sprint("acl ", n), Off: n == 3, Subnets: []string{networkID(6, n)}}
				if n == 2 {
					f.Ingress = []state.FirewallRule{
						{ID: networkID(7, 9), Name: "first", Action: "deny", Protocol: "any", IPVersion: 4, SourceAddress: "10.0.0.0/8", Enabled: true},
						{ID: networkID(7, 1), Name: "second", Action: "allow", Protocol: "udp", IPVersion: 4, DestinationPort: "4789,5000-5010", SourceGroup: networkID(4, 1)},
					}
				}
				w.Firewalls[f.ID] = f
				want = append(want, cloud.NetworkACL{ID: f.ID, Name: f.Name, Enabled: !f.Off, Subnets: f.Subnets})
			}
		})
		same(t, func(a cloud.NetworkACL) string { return a.ID }, want, must[[]cloud.NetworkACL](t)(c.ListNetworkACLs(t.Context())))
		whole := want[2]
		whole.Ingress = []cloud.ACLRule{
			{ID: networkID(7, 9), Name: "first", Source: netip.MustParsePrefix("10.0.0.0/8")},
			{ID: networkID(7, 1), Name: "second", Allow: true, Protocol: "udp", SourceAddressGroup: networkID(4, 1), Disabled: true, DestinationPorts: []cloud.PortRange{{Low: 4789, High: 4789}, {Low: 5000, High: 5010}}},
		}
		whole.Egress = []cloud.ACLRule{} // read, and none there
		if diff := gocmp.Diff(whole, must[cloud.NetworkACL](t)(c.GetNetworkACL(t.Context(), whole.ID)), equateNetip); diff != "" {
			t.Errorf("the ACL with its rules (-want +got):\n%s", diff)
		}
		if _, err := c.GetNetworkACL(t.Context(), networkID(5, 77)); !cloud.IsNotFound(err) {
			t.Errorf("an ACL that is not there gives %v, want NotFound", err)
		}
	})
}

func TestPeeringsAreListed(t *testing.T) {
	inPages(t, func(t *testing.T, s *sim.Sim, c cloud.Client) {
		t.Helper()
		var want []cloud.Peering
		s.State.Edit(func(w *state.World) {
			for n := range 5 {
				p := state.Peering{
					ID: networkID(8, n), Name: fmt.Sprint("peering ", n), Status: []string{"ACTIVE", "EXPIRED"}[n%2],
					Requester: state.PeeringSide{VPCID: scenario.WalkthroughVPC, ProjectID: scenario.WalkthroughProject},
					Accepter:  state.PeeringSide{VPCID: networkID(9, n), ProjectID: scenario.WalkthroughOtherProject},
				}
				w.Peerings[p.ID] = p
				want = append(want, cloud.Peering{ID: p.ID, Name: p.Name, Status: p.Status, RequesterVPC: p.Requester.VPCID, AccepterVPC: p.Accepter.VPCID})
			}
		})
		same(t, func(p cloud.Peering) string { return p.ID }, want, must[[]cloud.Peering](t)(c.ListPeerings(t.Context())))
	})
}

func TestRouteTablesAreListedAndReadWithTheirRoutes(t *testing.T) {
	inPages(t, func(t *testing.T, s *sim.Sim, c cloud.Client) {
		t.Helper()
		var want []cloud.RouteTable
		s.State.Edit(func(w *state.World) {
			for id := range w.RouteTables {
				delete(w.RouteTables, id)
			}
			for n := range 5 {
				table := state.RouteTable{ID: networkID(10, n), ProjectID: scenario.WalkthroughProject, VPCID: networkID(9, n), Name: fmt.Sprint("rtb ", n), Default: n == 1, Subnets: []string{networkID(6, n)}}
				if n == 2 {
					table.Routes = []state.Route{{Type: "peering", Destination: "10.9.0.0/16", NextHop: networkID(8, 1)}, {Type: "er", Destination: "0.0.0.0/0", NextHop: networkID(11, 1)}}
				}
				w.RouteTables[table.ID] = table
				want = append(want, cloud.RouteTable{ID: table.ID, Name: table.Name, VPCID: table.VPCID, Default: table.Default, Subnets: table.Subnets})
			}
		})
		same(t, func(r cloud.RouteTable) string { return r.ID }, want, must[[]cloud.RouteTable](t)(c.ListRouteTables(t.Context())))
		whole := want[2]
		whole.Routes = []cloud.Route{
			{Type: "peering", Destination: netip.MustParsePrefix("10.9.0.0/16"), NextHop: networkID(8, 1)},
			{Type: "er", Destination: netip.MustParsePrefix("0.0.0.0/0"), NextHop: networkID(11, 1)},
		}
		if diff := gocmp.Diff(whole, must[cloud.RouteTable](t)(c.GetRouteTable(t.Context(), whole.ID)), equateNetip); diff != "" {
			t.Errorf("the table with its routes (-want +got):\n%s", diff)
		}
		none := must[cloud.RouteTable](t)(c.GetRouteTable(t.Context(), want[0].ID))
		if none.Routes == nil || len(none.Routes) != 0 {
			t.Errorf("a table without routes has %v, want that they were read", none.Routes)
		}
		if _, err := c.GetRouteTable(t.Context(), networkID(10, 77)); !cloud.IsNotFound(err) {
			t.Errorf("a table that is not there gives %v, want NotFound", err)
		}
	})
}

func TestServersAndFlavorsAreListed(t *testing.T) {
	inPages(t, func(t *testing.T, s *sim.Sim, c cloud.Client) {
		t.Helper()
		var want []cloud.Server
		var flavors []cloud.Flavor
		s.State.Edit(func(w *state.World) {
			clear(w.Servers)
			clear(w.Flavors)
			for n := range 5 {
				server := state.Server{ID: networkID(12, n), ProjectID: scenario.WalkthroughProject, Name: fmt.Sprint("ecs-", n), Flavor: fmt.Sprintf("c%d.large.2", n), Stopped: n == 1}
				w.Servers[server.ID] = server
				w.Flavors[server.Flavor] = state.Flavor{Name: server.Flavor, Mirroring: n != 2, Undeclared: n == 3}
				read := cloud.Server{ID: server.ID, Name: server.Name, Status: "ACTIVE", Running: true, Flavor: server.Flavor}
				if server.Stopped {
					read.Status, read.Running = "SHUTOFF", false
				}
				want = append(want, read)
				flavor := cloud.Flavor{Name: server.Flavor, Mirrors: new(n != 2)}
				if n == 3 {
					flavor.Mirrors = nil
				}
				flavors = append(flavors, flavor)
			}
		})
		same(t, func(s cloud.Server) string { return s.ID }, want, must[[]cloud.Server](t)(c.ListServers(t.Context())))
		same(t, func(f cloud.Flavor) string { return f.Name }, flavors, must[[]cloud.Flavor](t)(c.ListFlavors(t.Context())))
	})
}

func TestAnInterfaceIsReadWithAllThatDecidesAboutCopies(t *testing.T) {
	s := sim.ForTest(t)
	c := connect(t, fast, credentialsOf(s))
	s.State.Edit(func(w *state.World) {
		p := w.Ports[scenario.WalkthroughSource]
		p.Status, p.ServerID, p.Unsecured, p.Flavor = "DOWN", "", true, ""
		w.Ports[p.ID] = p
	})
	i := must[cloud.Interface](t)(c.GetInterface(t.Context(), scenario.WalkthroughSource))
	if i.Status != "DOWN" || i.DeviceID != "" || !i.Unsecured || i.AdminDown || i.Flavor != "" || i.SubnetID == "" {
		t.Errorf("an interface that is off its server is read as %+v", i)
	}
}

// reads are all calls that only the diagnosis needs, with the right that each needs.
var reads = map[string]struct {
	op, action string
	call       func(context.Context, cloud.Client) error
}{
	"interfaces":       {"ListPorts", "vpc:ports:get", func(ctx context.Context, c cloud.Client) error { _, err := c.ListInterfaces(ctx); return err }},
	"security groups":  {"ListSecurityGroups", "vpc:securityGroups:list", func(ctx context.Context, c cloud.Client) error { _, err := c.ListSecurityGroups(ctx); return err }},
	"their rules":      {"ListSecurityGroupRules", "vpc:securityGroupRules:list", func(ctx context.Context, c cloud.Client) error { _, err := c.ListSecurityGroups(ctx); return err }},
	"address groups":   {"ListAddressGroup", "vpc:addressGroups:list", func(ctx context.Context, c cloud.Client) error { _, err := c.ListAddressGroups(ctx); return err }},
	"network ACLs":     {"ListFirewall", "vpc:firewalls:list", func(ctx context.Context, c cloud.Client) error { _, err := c.ListNetworkACLs(ctx); return err }},
	"a network ACL":    {"ShowFirewall", "vpc:firewalls:get", func(ctx context.Context, c cloud.Client) error { _, err := c.GetNetworkACL(ctx, someID); return err }},
	"peerings":         {"ListVpcPeerings", "vpc:peerings:get", func(ctx context.Context, c cloud.Client) error { _, err := c.ListPeerings(ctx); return err }},
	"route tables":     {"ListRouteTables", "vpc:routeTables:list", func(ctx context.Context, c cloud.Client) error { _, err := c.ListRouteTables(ctx); return err }},
	"a table's routes": {"ShowRouteTable", "vpc:routeTables:get", func(ctx context.Context, c cloud.Client) error { _, err := c.GetRouteTable(ctx, someID); return err }},
	"servers":          {"ListServersDetails", "ecs:cloudServers:list", func(ctx context.Context, c cloud.Client) error { _, err := c.ListServers(ctx); return err }},
	"flavors":          {"ListFlavors", "ecs:cloudServerFlavors:get", func(ctx context.Context, c cloud.Client) error { _, err := c.ListFlavors(ctx); return err }},
	"sessions":         {"ListTrafficMirrorSessions", "vpc:trafficMirrorSessions:list", func(ctx context.Context, c cloud.Client) error { _, err := c.ListSessions(ctx); return err }},
	"sources of a session": {"AddSourcesToTrafficMirrorSession", "vpc:trafficMirrorSessions:addSource", func(ctx context.Context, c cloud.Client) error {
		return c.AddSources(ctx, someID, []string{otherID})
	}},
}

func TestARightThatIsMissingIsNamedAndNeverAnEmptyList(t *testing.T) {
	for name, r := range reads {
		t.Run(name, func(t *testing.T) {
			s := sim.ForTest(t)
			add(t, s, fault.Forbidden(r.op))
			c := connect(t, fast, credentialsOf(s))
			err := r.call(t.Context(), c)
			if cloud.ClassOf(err) != cloud.ClassPermission || cloud.ActionOf(err) != r.action {
				t.Errorf("got %v with the action %q, want Permission with %q", err, cloud.ActionOf(err), r.action)
			}
			if errOf := new(cloud.Error); !errors.As(err, &errOf) || errOf.Op != r.op {
				t.Errorf("the call is %v, want %s", err, r.op)
			}
		})
	}
	t.Run("as the cloud itself names it", func(t *testing.T) {
		c := serve(t, fast, answer(403, `{"error_code":"APIGW.0302","error_msg":"Policy doesn't allow vpc:ports:list to be performed"}`))
		if _, err := c.ListInterfaces(t.Context()); cloud.ActionOf(err) != "vpc:ports:list" {
			t.Errorf("got the action %q of %v", cloud.ActionOf(err), err)
		}
	})
	t.Run("but not for what needs no right", func(t *testing.T) {
		for _, body := range []string{`{"error_code":"VPC.9904","error_msg":"vpc:ports:list"}`, `{"error_code":"APIGW.0101"}`} {
			if _, err := serve(t, fast, answer(404, body)).ListInterfaces(t.Context()); cloud.ActionOf(err) != "" {
				t.Errorf("got the action %q of %v", cloud.ActionOf(err), err)
			}
		}
	})
}

func TestACallThatTheRegionLacksIsUnsupportedAndNeverAnEmptyList(t *testing.T) {
	for name, r := range reads {
		if r.op == "ListPorts" || r.op == "ListTrafficMirrorSessions" || r.op == "AddSourcesToTrafficMirrorSession" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := sim.ForTest(t, sim.WithoutOperations(r.op))
			if err := r.call(t.Context(), connect(t, fast, credentialsOf(s))); cloud.ClassOf(err) != cloud.ClassUnsupported {
				t.Errorf("got %v, want Unsupported", err)
			}
		})
	}
}

func TestAPageThatCanNotBeReadIsAnErrorAndAnOddObjectIsNot(t *testing.T) {
	for _, body := range []string{``, `{}`, `null`, `[]`, `{"security_groups":{}}`, `{"firewalls":"none"}`, `<html>`, `{"servers":[1]}`, `{"ports":["x"]}`, `{"peerings":5}`} {
		c := serve(t, fast, answer(200, body))
		for name, r := range reads {
			if err := r.call(t.Context(), c); cloud.ClassOf(err) != cloud.ClassServer {
				t.Errorf("%s: %q gives %v, want Server", name, body, err)
			}
		}
	}
	t.Run("of interfaces", func(t *testing.T) {
		c := serve(t, fast, answer(200, `{"ports":[{"id":"`+someID+`","private_ips":[{"ip_address":"ten"},{"ip_address":"10.0.0.1"}],"created_at":"tomorrow"},
			{"id":"`+otherID+`","private_ips":[{"ip_address":"10.0.0.2"}],"admin_state_up":false,"zone_id":5}]}`))
		all := must[[]cloud.Interface](t)(c.ListInterfaces(t.Context()))
		want := []cloud.Interface{
			{ID: someID, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, SecurityGroups: []string{}, Unreadable: `ip_address "ten"`},
			{ID: otherID, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")}, SecurityGroups: []string{}, AdminDown: true},
		}
		same(t, func(i cloud.Interface) string { return i.ID }, want, all)
	})
	t.Run("of rules", func(t *testing.T) {
		c := serve(t, fast, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "security-groups") {
				answer(200, `{"security_groups":[{"id":"g","name":7}]}`)(w, r)
				return
			}
			answer(200, `{"security_group_rules":[
				{"id":"a","security_group_id":"g","direction":"ingress","ethertype":"IPv4","action":"allow","priority":"7","multiport":4789,"protocol":17,"created_at":"tomorrow"},
				{"id":"b","security_group_id":"g","direction":["ingress"],"ethertype":"IPv4","action":"allow","priority":1},
				{"id":"c","security_group_id":"other","direction":"ingress"}]}`)(w, r)
		})
		want := []cloud.SecurityGroup{{ID: "g", Name: "7", Rules: []cloud.GroupRule{
			{ID: "a", Direction: cloud.Ingress, Protocol: "udp", Ports: []cloud.PortRange{{Low: 4789, High: 4789}}, Allow: true, Priority: 7},
			{ID: "b", Allow: true, Priority: 1, Unreadable: `direction "[\"ingress\"]"`},
		}}}
		same(t, func(g cloud.SecurityGroup) string { return g.ID }, want, must[[]cloud.SecurityGroup](t)(c.ListSecurityGroups(t.Context())))
	})
	t.Run("of routes and ACLs", func(t *testing.T) {
		c := serve(t, fast, answer(200, `{"routetable":{"id":"r","routes":[{"type":"ER","destination":"nowhere"}]},"firewall":{"id":"f","admin_state_up":"off","ingress_rules":[],"egress_rules":[]}}`))
		table := must[cloud.RouteTable](t)(c.GetRouteTable(t.Context(), someID))
		if want := []cloud.Route{{Type: "er", Unreadable: `destination "nowhere"`}}; !gocmp.Equal(want, table.Routes, equateNetip) {
			t.Errorf("got %+v, want %+v", table.Routes, want)
		}
		if acl := must[cloud.NetworkACL](t)(c.GetNetworkACL(t.Context(), someID)); acl.Unreadable != `admin_state_up "off"` {
			t.Errorf("got %+v, want that it can't be read", acl)
		}
	})
	t.Run("an answer about one thing without its rules or routes says nothing of them", func(t *testing.T) {
		c := serve(t, fast, answer(200, `{"routetable":{"id":"r"},"firewall":{"id":"f","ingress_rules":[]}}`))
		if _, err := c.GetRouteTable(t.Context(), someID); cloud.ClassOf(err) != cloud.ClassServer {
			t.Errorf("a table without routes gives %v, want Server", err)
		}
		if _, err := c.GetNetworkACL(t.Context(), someID); cloud.ClassOf(err) != cloud.ClassServer {
			t.Errorf("an ACL without egress rules gives %v, want Server", err)
		}
	})
}

func TestAListOfServersIsAsLongAsTheCloudCounts(t *testing.T) {
	one := func(id string) string { return `{"id":"` + id + `","status":"active","OS-EXT-STS:power_state":1}` }
	for name, tc := range map[string]struct {
		pages map[string]string // by the marker
		ids   []string          // nil for an error
	}{
		"in one page":                          {map[string]string{"": `{"count":2,"servers":[` + one("a") + `,` + one("b") + `]}`}, []string{"a", "b"}},
		"in pages that are shorter than asked": {map[string]string{"": `{"count":2,"servers":[` + one("a") + `]}`, "a": `{"count":2,"servers":[` + one("b") + `]}`}, []string{"a", "b"}},
		"where it does not count":              {map[string]string{"": `{"servers":[` + one("a") + `]}`}, []string{"a"}},
		"and one went meanwhile":               {map[string]string{"": `{"count":2,"servers":[` + one("a") + `]}`, "a": `{"count":1,"servers":[]}`}, []string{"a"}},
		"none":                                 {map[string]string{"": `{"count":0,"servers":[]}`}, []string{}},
		"else it is an error":                  {map[string]string{"": `{"count":3,"servers":[` + one("a") + `]}`, "a": `{"count":3,"servers":[]}`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, fast, func(w http.ResponseWriter, r *http.Request) {
				answer(200, tc.pages[r.URL.Query().Get("marker")])(w, r)
			})
			all, err := c.ListServers(t.Context())
			if (err == nil) != (tc.ids != nil) || err != nil && cloud.ClassOf(err) != cloud.ClassServer {
				t.Fatalf("got %v and %v", all, err)
			}
			for i, s := range all {
				if s.ID != tc.ids[i] || s.Status != "ACTIVE" || !s.Running {
					t.Errorf("server %d is %+v", i, s)
				}
			}
			if len(all) != len(tc.ids) {
				t.Errorf("got %d servers, want %d", len(all), len(tc.ids))
			}
		})
	}
}

func TestAServerIsStoppedOnlyWhereItsPowerStateSaysSo(t *testing.T) {
	for of, want := range map[string]bool{
		`"ACTIVE","OS-EXT-STS:power_state":1`: true, `"SHUTOFF","OS-EXT-STS:power_state":1`: true, // the status comes late
		`"ACTIVE","OS-EXT-STS:power_state":0`: true, `"ACTIVE"`: true, `"active","OS-EXT-STS:power_state":"5"`: true, // none is known
		`"SHUTOFF","OS-EXT-STS:power_state":0`: false, `"SHUTOFF"`: false,
		`"ACTIVE","OS-EXT-STS:power_state":3`: false, `"ACTIVE","OS-EXT-STS:power_state":4`: false,
		`"ACTIVE","OS-EXT-STS:power_state":6`: false, `"ACTIVE","OS-EXT-STS:power_state":"7"`: false,
	} {
		c := serve(t, fast, answer(200, `{"servers":[{"id":"a","status":`+of+`}]}`))
		if all := must[[]cloud.Server](t)(c.ListServers(t.Context())); len(all) != 1 || all[0].Running != want {
			t.Errorf("of %s: got %+v", of, all)
		}
	}
}

func TestPeeringsAreReadOnWhereTheAnswerLinksToMore(t *testing.T) {
	c := serve(t, fast, func(w http.ResponseWriter, r *http.Request) {
		answer(200, map[string]string{
			"":  `{"peerings":[{"id":"a","status":"active","request_vpc_info":{"vpc_id":"v"},"accept_vpc_info":null}],"peerings_links":[{"rel":"previous","href":"/x?marker=z"},{"rel":"next","href":"https://vpc/v2.0/vpc/peerings?limit=1&marker=a"}]}`,
			"a": `{"peerings":[{"id":"b"}],"peerings_links":[]}`,
		}[r.URL.Query().Get("marker")])(w, r)
	})
	want := []cloud.Peering{{ID: "a", Status: "ACTIVE", RequesterVPC: "v"}, {ID: "b"}}
	same(t, func(p cloud.Peering) string { return p.ID }, want, must[[]cloud.Peering](t)(c.ListPeerings(t.Context())))
}

func TestRulesOfARegionThatDoesNotSayWhetherTheyAreEnabledAreEnabled(t *testing.T) {
	s := sim.ForTest(t, sim.WithQuirks(state.Quirks{RulesWithoutEnabled: true}))
	rules := 0
	for _, g := range must[[]cloud.SecurityGroup](t)(connect(t, fast, credentialsOf(s)).ListSecurityGroups(t.Context())) {
		for _, r := range g.Rules {
			if rules++; r.Disabled || r.Unreadable != "" {
				t.Errorf("rule %+v of %s is not read as enabled", r, g.Name)
			}
		}
	}
	if rules == 0 {
		t.Error("there are no rules")
	}
}

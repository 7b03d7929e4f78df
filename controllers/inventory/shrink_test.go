package inventory_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
)

// fleet is a client of an account that has so many sessions, each with a filter, a source and a server.
type fleet struct {
	*reader
	servers []cloud.Server
}

func (f *fleet) ListServers(ctx context.Context) ([]cloud.Server, error) {
	return f.servers, f.call(ctx, "ListServers")
}

func (f *fleet) ListInterfaces(ctx context.Context) ([]cloud.Interface, error) {
	return f.interfaces, f.call(ctx, "ListInterfaces")
}

func (f *fleet) ListSecurityGroups(ctx context.Context) ([]cloud.SecurityGroup, error) {
	return f.groups, f.call(ctx, "ListSecurityGroups")
}

func newFleet(project string, sessions, groups, rules int) *fleet {
	id := func(kind, n int) string { return fmt.Sprintf("5a1f0c7e-0000-4000-9%03x-%012x", kind, n) }
	const mark = "[vpcmirror 1a2b3c4d/5a1f0c7e-0000-4000-9000-000000000000]"
	f := &fleet{reader: &reader{account: cloud.Account{ProjectID: project}}}
	for n := range sessions {
		f.sessions = append(f.sessions, cloud.Session{ID: id(1, n), Sources: []string{id(2, n)}, SessionSpec: cloud.SessionSpec{
			Name: fmt.Sprintf("team-a-mirror-%d", n), Description: mark, FilterID: id(3, n), TargetID: id(2, 0),
		}})
		f.filters = append(f.filters, cloud.Filter{
			ID: id(3, n), Name: fmt.Sprintf("team-a-filter-%d", n), Description: mark, Rules: []cloud.Rule{{ID: id(4, n)}, {ID: id(5, n)}},
		})
		f.interfaces = append(f.interfaces, cloud.Interface{
			ID: id(2, n), VPCID: id(6, 1), SubnetID: id(7, 1), DeviceID: id(8, n), MAC: "fa:16:3e:00:00:01", Status: "ACTIVE", Flavor: "c7t.large.2",
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 1, byte(n >> 8), byte(n)})}, SecurityGroups: []string{id(9, n%100)},
		})
		f.servers = append(f.servers, cloud.Server{ID: id(8, n), Name: fmt.Sprintf("ecs-%d", n), Status: "ACTIVE", Running: true, Flavor: "c7t.large.2"})
	}
	for g := range groups {
		f.groups = append(f.groups, cloud.SecurityGroup{ID: id(9, g), Name: fmt.Sprint("sg-", g), Rules: make([]cloud.GroupRule, rules)})
	}
	return f
}

// look reads what a look at a session does.
func (f *fleet) look(t *testing.T, i *inventory.Inventory, since time.Time) {
	t.Helper()
	_, sessions := i.Sessions(t.Context(), f, since)
	_, filters := i.Filters(t.Context(), f, since)
	_, interfaces := i.Interfaces(t.Context(), f, since)
	_, groups := i.SecurityGroups(t.Context(), f, since)
	_, servers := i.Servers(t.Context(), f, since)
	for _, err := range []error{sessions, filters, interfaces, groups, servers} {
		same(t, "the error", error(nil), err)
	}
}

func TestWhatOnlyDiagnosisNeedsIsDroppedBeforeSessionsAndFilters(t *testing.T) {
	for name, c := range map[string]struct {
		sessions, groups, rules int
		// again are the lists that may be read more than once for three looks.
		again []string
	}{
		"an account of usual size":             {2000, 100, 50, nil},
		"one of 20,000 sessions":               {20000, 100, 50, nil},
		"one with more rules than can be kept": {2000, 300, 1000, []string{"ListSecurityGroups"}},
		"one with many of both":                {20000, 200, 600, []string{"ListSecurityGroups"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, i, since := newFleet("a", c.sessions, c.groups, c.rules), inventory.New(time.Now), time.Now()
			for range 3 {
				f.look(t, i, since)
			}
			want := map[string]int{"ListSessions": 1, "ListFilters": 1, "ListInterfaces": 1, "ListServers": 1, "ListSecurityGroups": 1}
			for _, list := range c.again {
				want[list] = 3
			}
			same(t, "the calls", want, f.calls)
		})
	}
}

func TestADiagnosisOfOneAccountCostsAnotherNoList(t *testing.T) {
	small, large, i, since := newFleet("small", 20, 5, 5), newFleet("large", 2000, 300, 1000), inventory.New(time.Now), time.Now()
	for range 3 {
		small.look(t, i, since)
		large.look(t, i, since)
	}
	want := map[string]int{"ListSessions": 1, "ListFilters": 1, "ListInterfaces": 1, "ListServers": 1, "ListSecurityGroups": 1}
	same(t, "the calls of the small one", want, small.calls)
}

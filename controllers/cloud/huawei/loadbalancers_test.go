package huawei_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

func TestALoadBalancerIsReadWithItsListenersForUDPAndTheMembersOfTheirPool(t *testing.T) {
	for _, page := range []int{0, 1, 2} {
		t.Run(fmt.Sprint("in pages of ", page), func(t *testing.T) {
			s := sim.ForTest(t)
			id := networkID(9, 1)
			s.State.Edit(func(w *state.World) {
				w.AddLoadBalancer(scenario.LoadBalancer{
					ID: id, Name: "ids", VPCID: scenario.WalkthroughVPC, ProjectID: scenario.WalkthroughProject, Address: netip.MustParseAddr("192.168.0.9"),
					Shared: true, Members: []netip.Addr{netip.MustParseAddr("192.168.0.164"), netip.MustParseAddr("192.168.0.161"), netip.MustParseAddr("192.168.0.77")},
				}, time.Now())
				l := w.Listeners[state.ListenerOf(id)]
				l.HidesClients = true
				w.Listeners[l.ID] = l
				l.ID, l.Port, l.Off, l.PoolID, l.HidesClients = networkID(9, 2), 53, true, "", false
				w.Listeners[l.ID] = l
				l.ID, l.Protocol = networkID(9, 3), "TCP"
				w.Listeners[l.ID] = l
				p := w.Pools[state.PoolOf(id)]
				p.Members[1].Weight, p.Members[1].Off, p.Members[1].Port = 0, true, 5000
				w.Pools[p.ID] = p
			})
			o := fast
			o.PageSize = page
			c := connect(t, o, credentialsOf(s))
			port := s.State.Snapshot().LoadBalancers[id].PortID
			alike(t, "the load balancer", cloud.LoadBalancer{
				ID: id, Name: "ids", VPCID: scenario.WalkthroughVPC, PortID: port, Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.9")},
			}, must[cloud.LoadBalancer](t)(c.GetLoadBalancer(t.Context(), id)))
			ports := func(n uint16) []cloud.PortRange { return []cloud.PortRange{{Low: n, High: n}} }
			alike(t, "the listeners", []cloud.Listener{
				{ID: state.ListenerOf(id), Name: "copies to ids", Ports: ports(4789), PoolID: state.PoolOf(id), HidesClients: true},
				{ID: networkID(9, 2), Name: "copies to ids", Ports: ports(53), AdminDown: true},
			}, must[[]cloud.Listener](t)(c.ListListeners(t.Context(), id)), cmpopts.SortSlices(func(a, b cloud.Listener) bool { return a.ID < b.ID }),
				cmpopts.IgnoreFields(cloud.Listener{}, "ID"))
			pool := must[cloud.Pool](t)(c.GetPool(t.Context(), state.PoolOf(id)))
			alike(t, "the pool", cloud.Pool{
				ID: state.PoolOf(id), Name: "pool of ids", Members: []cloud.Member{
					{Address: netip.MustParseAddr("192.168.0.161"), Port: 5000, AdminDown: true, Health: cloud.MemberOnline},
					{Address: netip.MustParseAddr("192.168.0.164"), Port: 4789, Weight: 1, Health: cloud.MemberOnline},
					{Address: netip.MustParseAddr("192.168.0.77"), Port: 4789, Weight: 1, Health: cloud.MemberOffline},
				},
			}, pool, cmpopts.IgnoreFields(cloud.Member{}, "ID"), cmpopts.SortSlices(func(a, b cloud.Member) bool { return a.Address.String() < b.Address.String() }))
		})
	}
}

func alike[T any](t *testing.T, what string, want, got T, options ...gocmp.Option) {
	t.Helper()
	options = append(options, cmpopts.EquateComparable(netip.Addr{}))
	if diff := gocmp.Diff(want, got, options...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestALoadBalancerThatIsGoneIsToldFromAServiceThatIsNotThere(t *testing.T) {
	s := sim.ForTest(t)
	c := connect(t, fast, credentialsOf(s))
	if _, err := c.GetLoadBalancer(t.Context(), networkID(9, 1)); !cloud.IsNotFound(err) {
		t.Errorf("one that is gone gives %v", err)
	}
	if _, err := c.GetPool(t.Context(), networkID(9, 1)); !cloud.IsNotFound(err) {
		t.Errorf("a pool that is gone gives %v", err)
	}
	if _, err := c.GetLoadBalancer(t.Context(), "../x"); cloud.ClassOf(err) != cloud.ClassInvalid {
		t.Errorf("what is no ID gives %v", err)
	}
	add(t, s, fault.NotPublished("ShowLoadBalancer"))
	if _, err := c.GetLoadBalancer(t.Context(), networkID(9, 1)); cloud.ClassOf(err) != cloud.ClassUnsupported {
		t.Errorf("a region without the call gives %v", err)
	}
	add(t, s, fault.Fault{Kind: fault.Error, Operation: "ListListeners", Status: 403, Code: "ELB.8903", Message: "Policy doesn't allow elb:listeners:list to be performed."})
	_, err := c.ListListeners(t.Context(), networkID(9, 1))
	if cloud.ClassOf(err) != cloud.ClassPermission || cloud.ActionOf(err) != "elb:listeners:list" {
		t.Errorf("without the right it is %v for %q", err, cloud.ActionOf(err))
	}
}

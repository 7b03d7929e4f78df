package diagnosis_test

import (
	"net/netip"
	"testing"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// balance puts a load balancer, 10.0.0.100, in the place of the target, with two members: what was the target, and
// 10.0.0.2 in the group of the sources.
func (w *way) balance() *cloud.Pool {
	second := nic("u", "10.0.0.2", groupOfTarget)
	first := *w.Target
	w.setServer(cloud.Server{ID: second.DeviceID, Name: "ecs-u", Status: "ACTIVE", Running: true, Flavor: second.Flavor})
	pool := cloud.Pool{ID: "pool", Members: []cloud.Member{
		{ID: "m-1", Address: first.Addresses[0], Port: 4789, Weight: 1, Health: cloud.MemberOnline},
		{ID: "m-2", Address: second.Addresses[0], Port: 4789, Weight: 1, Health: cloud.MemberUnchecked},
	}}
	b := &diagnosis.Balancer{
		LoadBalancer: cloud.LoadBalancer{ID: "id-lb", Name: "ids", VPCID: vpcID, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.100")}},
		Listeners:    answer([]cloud.Listener{{ID: "listener", Name: "copies", Ports: []cloud.PortRange{{Low: 4789, High: 4789}}, PoolID: "pool"}}),
		Pools:        answer(map[string]cloud.Pool{"pool": pool}),
		Members:      map[netip.Addr]cloud.Interface{first.Addresses[0]: first, second.Addresses[0]: second},
	}
	w.Balancer, w.Session.TargetID, w.Session.TargetType = b, "id-lb", cloud.TargetLoadBalancer
	w.Target = &cloud.Interface{ID: "id-lb", VPCID: vpcID, SubnetID: subnetID, Addresses: b.Addresses, Unsecured: true}
	return &pool
}

func TestALoadBalancerThatGivesCopiesToNobodyIsNamed(t *testing.T) {
	const none = "add backend servers to the group of that listener, with a weight above 0"
	const subject = "target 10.0.0.100"
	looks(t, map[string]look{
		"one with members": {
			edit:    func(w *way) { w.balance() },
			verdict: said{"True", "Clear", "nothing that was read stands in the way of the copies to 10.0.0.100"},
		},
		"one without a listener for copies": {
			edit: func(w *way) {
				w.balance()
				w.Balancer.Listeners.Value[0].Ports = []cloud.PortRange{{Low: 53, High: 53}}
			},
			found: []finding{{"Error", "NoListener", subject, `load balancer "ids" has no listener on UDP 4789, where copies go`,
				"add a UDP listener on port 4789 to the load balancer, with a backend server group"}},
		},
		"one with a listener of many ports": {edit: func(w *way) {
			w.balance()
			w.Balancer.Listeners.Value[0].Ports = []cloud.PortRange{{Low: 1, High: 100}, {Low: 4000, High: 5000}}
		}},
		"a listener that is switched off": {
			edit: func(w *way) {
				w.balance()
				w.Balancer.Listeners.Value[0].AdminDown = true
			},
			found: []finding{{"Error", "NoListener", subject, `listener "copies" of load balancer "ids" is switched off`, `switch listener "copies" on`}},
		},
		"one that is switched off": {
			edit:  func(w *way) { w.balance(); w.Balancer.AdminDown = true },
			found: []finding{{"Error", "NoListener", subject, `load balancer "ids" is switched off`, `switch load balancer "ids" on`}},
		},
		"a listener that can't be read": {
			edit: func(w *way) {
				w.balance()
				w.Balancer.Listeners.Value[0].Ports, w.Balancer.Listeners.Value[0].Unreadable = nil, `protocol_port "x"`
			},
			verdict: said{"Unknown", "NotJudged", `a listener of load balancer "ids" can't be read: protocol_port "x"`},
		},
		"one without members": {
			edit:  func(w *way) { p := w.balance(); p.Members = nil; w.Balancer.Pools.Value["pool"] = *p },
			found: []finding{{"Error", "NoMembers", subject, `the listener of load balancer "ids" on UDP 4789 has no member that gets anything`, none}},
		},
		"one whose members have no share": {
			edit:  func(w *way) { p := w.balance(); p.Members[0].Weight, p.Members[1].AdminDown = 0, true },
			found: []finding{{"Error", "NoMembers", subject, `the listener of load balancer "ids" on UDP 4789 has no member that gets anything`, none}},
		},
		"one whose pool is switched off": {
			edit:  func(w *way) { p := w.balance(); p.AdminDown = true; w.Balancer.Pools.Value["pool"] = *p },
			found: []finding{{"Error", "NoMembers", subject, `the listener of load balancer "ids" on UDP 4789 has no member that gets anything`, none}},
		},
		"one whose members are all offline": {
			edit: func(w *way) {
				p := w.balance()
				p.Members[0].Health, p.Members[1].Health = cloud.MemberOffline, cloud.MemberOffline
			},
			found: []finding{{"Error", "MembersUnhealthy", subject,
				`the members 10.0.0.1 and 10.0.0.2 of load balancer "ids" are offline by its health checks: it gives the copies to nobody`,
				"let the members answer the health check: start them, run what answers it, and allow ICMP and the check's port from the load balancer's subnet in their security groups"}},
		},
		"one of whose members one is offline": {edit: func(w *way) { w.balance().Members[0].Health = cloud.MemberOffline }},
		"one that is deleted": {
			edit:  func(w *way) { w.balance(); w.Balancer, w.Target, w.Gone = nil, nil, []string{"id-lb"} },
			found: []finding{{"Error", "LoadBalancerGone", "target id-lb", "the load balancer id-lb is deleted in the cloud", "name another target"}},
		},
		"one whose members may not be read": {
			edit:    func(w *way) { w.balance(); w.Balancer.Pools = refused[map[string]cloud.Pool]("elb:members:list") },
			verdict: said{"Unknown", "NotPermitted", "the account may not read members of load balancers: grant it elb:members:list"},
		},
		"one with credentials of several tenants is not named": {
			edit: func(w *way) { w.balance(); w.Private, w.Balancer.Listeners.Value = true, nil },
			found: []finding{{"Error", "NoListener", subject, "a load balancer has no listener on UDP 4789, where copies go",
				"add a UDP listener on port 4789 to the load balancer, with a backend server group"}},
		},
	})
}

func TestWhatStandsInTheWayAtAMemberHoldsUpItsShareAlone(t *testing.T) {
	const subject = "target 10.0.0.100"
	closed := func(w *way, members ...string) {
		w.balance()
		w.Groups.Value["sg-closed"] = cloud.SecurityGroup{ID: "sg-closed", Name: "closed"}
		for _, m := range members {
			i := w.Balancer.Members[netip.MustParseAddr(m)]
			i.SecurityGroups = []string{"sg-closed"}
			w.Balancer.Members[i.Addresses[0]] = i
		}
	}
	looks(t, map[string]look{
		"one whose group is closed": {
			edit: func(w *way) { closed(w, "10.0.0.2") },
			found: []finding{
				{"Warning", "TargetGroupDenies", "source 10.0.0.11", `security group "closed" of 10.0.0.2 has no rule that allows UDP 4789 from 10.0.0.11`,
					`allow UDP 4789 from 10.0.0.11/32 in security group "closed"`},
				{"Warning", "TargetGroupDenies", "source 10.0.0.12", `security group "closed" of 10.0.0.2 has no rule that allows UDP 4789 from 10.0.0.12`,
					`allow UDP 4789 from 10.0.0.12/32 in security group "closed"`},
			},
		},
		"all whose groups are closed": {
			edit: func(w *way) { closed(w, "10.0.0.1", "10.0.0.2") },
			found: []finding{{"Error", "TargetGroupDenies", subject,
				`security group "closed" of 10.0.0.1 has no rule that allows UDP 4789 from 10.0.0.11 and 10.0.0.12; ` +
					`security group "closed" of 10.0.0.2 has no rule that allows UDP 4789 from 10.0.0.11 and 10.0.0.12`,
				`allow UDP 4789 from 10.0.0.11/32 and 10.0.0.12/32 in security group "closed"`}},
		},
		"one that is offline and closed is nobody's matter": {edit: func(w *way) {
			closed(w, "10.0.0.1")
			p := w.Balancer.Pools.Value["pool"]
			p.Members[0].Health = cloud.MemberOffline
		}},
		"one at another port": {
			edit: func(w *way) { w.balance().Members[1].Port = 5000 },
			found: []finding{{"Warning", "MemberPort", subject, `load balancer "ids" gives the member 10.0.0.2 the copies at UDP 5000, where no verifier counts`,
				"give the members the backend port 4789"}},
		},
		"one that is there at two ports": {
			edit: func(w *way) {
				p := w.balance()
				again := p.Members[0]
				again.ID, again.Port = "m-0", 5000
				p.Members = append([]cloud.Member{again}, p.Members...)
				w.Balancer.Pools.Value["pool"] = *p
			},
			found: []finding{{"Warning", "MemberPort", subject, `load balancer "ids" gives the member 10.0.0.1 the copies at UDP 5000, where no verifier counts`,
				"give the members the backend port 4789"}},
		},
		"one that is there at two ports, and offline at the one that counts": {
			edit: func(w *way) {
				p := w.balance()
				again := p.Members[0]
				again.ID, again.Port = "m-0", 5000
				p.Members[0].Health = cloud.MemberOffline
				p.Members = append(p.Members[:1], again)
				w.Balancer.Pools.Value["pool"] = *p
			},
			found: []finding{{"Error", "MemberPort", subject, `load balancer "ids" gives the member 10.0.0.1 the copies at UDP 5000, where no verifier counts`,
				"give the members the backend port 4789"}},
		},
		"all at another port, in a pool that keeps the port": {edit: func(w *way) {
			p := w.balance()
			p.Members[0].Port, p.Members[1].Port, p.AnyPort = 0, 0, true
			w.Balancer.Pools.Value["pool"] = *p
		}},
		"one that is at no interface": {
			edit: func(w *way) {
				w.balance()
				delete(w.Balancer.Members, netip.MustParseAddr("10.0.0.2"))
			},
			verdict: said{"True", "Clear", "nothing that was read stands in the way of the copies to 10.0.0.100, " +
				"assuming that copies get to the member 10.0.0.2, which is at no interface that the cloud shows"},
		},
		"one that does not show whose copies they are": {
			edit: func(w *way) { w.balance(); w.Balancer.Listeners.Value[0].HidesClients = true },
			found: []finding{{"Warning", "SourcesHidden", subject, `load balancer "ids" puts its own address in the place of the sources': nobody can tell whose copies arrive`,
				`switch "transfer client IP address" of the listener on`}},
		},
	})
}

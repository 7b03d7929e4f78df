package history

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

var firstMember, secondMember = netip.MustParseAddr("192.168.0.104"), netip.MustParseAddr("192.168.0.105")

// balanced is a path to a load balancer with two members, the first of which is the target of twoVPCs.
func balanced() *diagnosis.Path {
	p := twoVPCs()
	first, second := *p.Target, *p.Target
	second.ID, second.Addresses, second.DeviceID, second.SecurityGroups = "t2", []netip.Addr{secondMember}, "d-t2", []string{"g-second"}
	p.Groups.Value["g-second"] = cloud.SecurityGroup{ID: "g-second", Name: "sg-second", Rules: p.Groups.Value["g-target"].Rules}
	p.Servers.Value = append(p.Servers.Value, cloud.Server{ID: "d-t2", Running: true})
	p.Session.TargetID, p.Session.TargetType = "lb", cloud.TargetLoadBalancer
	p.Target = &cloud.Interface{ID: "lb", VPCID: "v1", SubnetID: "n1", Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.100")}, Unsecured: true}
	on := func(a netip.Addr) cloud.Member {
		return cloud.Member{ID: "m-" + a.String(), Address: a, Port: vxlanPort, Weight: 1, Health: cloud.MemberOnline}
	}
	p.Balancer = &diagnosis.Balancer{
		LoadBalancer: cloud.LoadBalancer{ID: "lb", Name: "ids", VPCID: "v1", Addresses: p.Target.Addresses},
		Listeners: read([]cloud.Listener{
			{ID: "l1", Name: "copies", Ports: []cloud.PortRange{onPort(vxlanPort)}, PoolID: "p1"}, {ID: "l2", Name: "dns", Ports: []cloud.PortRange{onPort(53)}},
		}),
		Pools:   read(map[string]cloud.Pool{"p1": {ID: "p1", Name: "sensors", Members: []cloud.Member{on(firstMember), on(secondMember)}}}),
		Members: map[netip.Addr]cloud.Interface{firstMember: first, secondMember: second},
	}
	return p
}

// editPool changes the pool of a path.
func editPool(p *diagnosis.Path, edit func(*cloud.Pool)) {
	pool := p.Balancer.Pools.Value["p1"]
	edit(&pool)
	p.Balancer.Pools.Value["p1"] = pool
}

func TestWhatChangesBehindALoadBalancerIsSaidInOneSentence(t *testing.T) {
	t.Parallel()
	listener := func(edit func(*cloud.Listener)) func(*diagnosis.Path) {
		return func(p *diagnosis.Path) { edit(&p.Balancer.Listeners.Value[0]) }
	}
	pool := func(edit func(*cloud.Pool)) func(*diagnosis.Path) {
		return func(p *diagnosis.Path) { editPool(p, edit) }
	}
	second := func(edit func(*cloud.Member)) func(*diagnosis.Path) {
		return pool(func(p *cloud.Pool) { edit(&p.Members[1]) })
	}
	for name, c := range map[string]struct {
		change func(*diagnosis.Path)
		want   string
	}{
		"nothing":                        {func(*diagnosis.Path) {}, ""},
		"it is switched off":             {func(p *diagnosis.Path) { p.Balancer.AdminDown = true }, "the load balancer ids was switched off"},
		"it is gone":                     {func(p *diagnosis.Path) { p.Balancer, p.Target, p.Gone = nil, nil, []string{"lb"} }, "the load balancer lb is gone from the cloud"},
		"the listener is gone":           {func(p *diagnosis.Path) { p.Balancer.Listeners.Value = p.Balancer.Listeners.Value[1:] }, "the listener copies on UDP 4789 is gone from the load balancer ids"},
		"another listener is gone":       {func(p *diagnosis.Path) { p.Balancer.Listeners.Value = p.Balancer.Listeners.Value[:1] }, ""},
		"the listener is switched off":   {listener(func(l *cloud.Listener) { l.AdminDown = true }), "the listener copies of the load balancer ids was switched off"},
		"the listener gets another pool": {listener(func(l *cloud.Listener) { l.PoolID = "p2" }), "the listener copies of the load balancer ids was given another pool"},
		"the listener hides the sources": {
			listener(func(l *cloud.Listener) { l.HidesClients = true }), "the listener copies of the load balancer ids now puts its own address in the place of the sources'",
		},
		"a listener is added": {func(p *diagnosis.Path) {
			p.Balancer.Listeners.Value = append(p.Balancer.Listeners.Value, cloud.Listener{ID: "l3", Name: "all", Ports: []cloud.PortRange{{Low: 1, High: 9999}}})
		}, "the listener all on UDP 4789 was added to the load balancer ids"},
		"the pool is switched off":    {pool(func(p *cloud.Pool) { p.AdminDown = true }), "the pool sensors was switched off"},
		"a member is taken out":       {pool(func(p *cloud.Pool) { p.Members = p.Members[:1] }), "the member 192.168.0.105 was taken out of the pool sensors"},
		"a member is made again":      {second(func(m *cloud.Member) { m.ID = "other" }), ""},
		"a member is moved to a port": {second(func(m *cloud.Member) { m.Port = 5000 }), "the member 192.168.0.105 now gets the copies at UDP 5000"},
		"a member is added": {pool(func(p *cloud.Pool) {
			p.Members = append(p.Members, cloud.Member{Address: netip.MustParseAddr("192.168.0.106"), Port: vxlanPort, Weight: 1})
		}), "the member 192.168.0.106 was added to the pool sensors"},
		"a member is switched off":       {second(func(m *cloud.Member) { m.AdminDown = true }), "the member 192.168.0.105 was switched off"},
		"a member loses its weight":      {second(func(m *cloud.Member) { m.Weight = 0 }), "the member 192.168.0.105 has the weight 0 now, it was 1"},
		"a member has more weight":       {second(func(m *cloud.Member) { m.Weight = 5 }), ""},
		"a member is offline":            {second(func(m *cloud.Member) { m.Health = cloud.MemberOffline }), "the member 192.168.0.105 is offline by its health checks"},
		"a member is not checked":        {second(func(m *cloud.Member) { m.Health = cloud.MemberUnchecked }), ""},
		"a member's interface is gone":   {func(p *diagnosis.Path) { delete(p.Balancer.Members, secondMember) }, "the interface t2 of the member 192.168.0.105 is gone from the cloud"},
		"members that could not be read": {func(p *diagnosis.Path) { p.Balancer.Members = nil }, ""},
		"pools that could not be read":   {func(p *diagnosis.Path) { p.Balancer.Pools = diagnosis.Answer[map[string]cloud.Pool]{} }, ""},
		"a member's server is stopped": {func(p *diagnosis.Path) { p.Servers.Value[3].Running = false },
			"the server of the member 192.168.0.105 was stopped"},
		"a rule of a member's group is gone": {func(p *diagnosis.Path) {
			groupWith(p, "g-second", func(all []cloud.GroupRule) []cloud.GroupRule { return all[1:] })
		}, "a rule (ingress udp 4789 from 192.168.0.0/24) is gone from sg-second"},
		"a member is put into a group": {func(p *diagnosis.Path) {
			i := p.Balancer.Members[secondMember]
			i.SecurityGroups = []string{"g-second", "g-target"}
			p.Balancer.Members[secondMember] = i
		}, "the member 192.168.0.105 was put into sg-closable"},
	} {
		now := balanced()
		c.change(now)
		var got []string
		for _, change := range Changed(balanced(), now, lookedAt) {
			got = append(got, fmt.Sprint(change.What))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, "; ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatIsComeBackToOfALoadBalancerIsSaidToo(t *testing.T) {
	t.Parallel()
	before := balanced()
	before.Balancer.AdminDown, before.Balancer.Listeners.Value[0].AdminDown, before.Balancer.Listeners.Value[0].HidesClients = true, true, true
	editPool(before, func(p *cloud.Pool) {
		p.AdminDown, p.Members[0].AdminDown, p.Members[0].Health, p.Members[1].Weight = true, true, cloud.MemberOffline, 0
	})
	c := &comparison{before: before, now: balanced()}
	c.balancer()
	var got []string
	for _, change := range c.found {
		got = append(got, change.What)
	}
	if diff := cmp.Diff([]string{
		"the load balancer ids was switched on",
		"the listener copies of the load balancer ids was switched on",
		"the listener copies of the load balancer ids no longer puts its own address in the place of the sources'",
		"the pool sensors was switched on",
		"the member 192.168.0.104 was switched on",
		"the member 192.168.0.104 is no longer offline by its health checks",
		"the member 192.168.0.105 has the weight 1 now, it was 0",
	}, got); diff != "" {
		t.Errorf("what is said (-want +got):\n%s", diff)
	}
}

func TestWhatWasNotReadOfALoadBalancerIsComparedWithWhatWasReadBefore(t *testing.T) {
	t.Parallel()
	unread := balanced()
	unread.Balancer.Listeners, unread.Balancer.Pools, unread.Balancer.Members =
		diagnosis.Answer[[]cloud.Listener]{}, diagnosis.Answer[map[string]cloud.Pool]{}, nil
	none := balanced()
	none.Balancer = nil
	for name, missed := range map[string]*diagnosis.Path{"parts of it": unread, "all of it": none} {
		base := Baseline(Baseline(nil, balanced()), missed)
		now := balanced()
		editPool(now, func(p *cloud.Pool) { p.Members = p.Members[:1] })
		changes := Changed(base, now, lookedAt)
		if len(changes) != 1 || !strings.Contains(changes[0].What, "was taken out of") {
			t.Errorf("%s was not read for one look, and then it was told: %v", name, changes)
		}
	}
}

func TestNoNameOfWhatIsBehindALoadBalancerIsToldWhereOthersShareTheAccount(t *testing.T) {
	t.Parallel()
	before, now := balanced(), balanced()
	before.Private, now.Private = true, true
	now.Balancer.AdminDown, now.Balancer.Listeners.Value[0].AdminDown = true, true
	editPool(now, func(p *cloud.Pool) { p.AdminDown = true })
	for _, change := range Changed(before, now, lookedAt) {
		for _, name := range []string{"ids", "copies", "sensors"} {
			if strings.Contains(change.What, name) {
				t.Errorf("%q names %s", change.What, name)
			}
		}
	}
}

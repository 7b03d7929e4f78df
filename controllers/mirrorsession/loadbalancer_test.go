package mirrorsession

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/status"
)

func member(address string, edit ...func(*cloud.Member)) cloud.Member {
	m := cloud.Member{Port: vxlanPort, Weight: 1, Health: cloud.MemberOnline}
	m.Address, _ = netip.ParseAddr(address) // one that is none is a case
	for _, e := range edit {
		e(&m)
	}
	return m
}

func offline(m *cloud.Member) { m.Health = cloud.MemberOffline }

func TestWhichMembersOfALoadBalancerMayGetCopies(t *testing.T) {
	of := func(members ...cloud.Member) []cloud.Pool { return []cloud.Pool{{Members: members}} }
	for name, c := range map[string]struct {
		pools []cloud.Pool
		want  string
	}{
		"in the order of their addresses":     {of(member("10.0.0.10"), member("10.0.0.9")), "10.0.0.9/Online 10.0.0.10/Online"},
		"one that is offline may be well":     {of(member("10.0.0.9", offline)), "10.0.0.9/Offline"},
		"none without a weight":               {of(member("10.0.0.9", func(m *cloud.Member) { m.Weight = 0 })), ""},
		"none that is switched off":           {of(member("10.0.0.9", func(m *cloud.Member) { m.AdminDown = true })), ""},
		"none without an address":             {of(member("")), ""},
		"none of a pool that is switched off": {[]cloud.Pool{{AdminDown: true, Members: of(member("10.0.0.9"))[0].Members}}, ""},
		"each address once, as well as it is anywhere": {
			[]cloud.Pool{{Members: []cloud.Member{member("10.0.0.9", offline)}}, {Members: []cloud.Member{member("10.0.0.9")}}}, "10.0.0.9/Online",
		},
	} {
		var got []string
		for _, m := range membersOf(c.pools) {
			got = append(got, fmt.Sprintf("%s/%s", m.Address, m.Health))
		}
		same(t, name, c.want, strings.Join(got, " "))
	}
}

func TestOfMoreMembersThanAStatusHoldsThoseThatGetNothingNowAreLeftOutFirst(t *testing.T) {
	pool := cloud.Pool{}
	for i := range status.MaxMembers + 2 {
		m := member(fmt.Sprintf("10.0.0.%d", i))
		if i == 3 || i == 5 {
			offline(&m)
		}
		pool.Members = append(pool.Members, m)
	}
	all := membersOf([]cloud.Pool{pool})
	same(t, "how many are left", status.MaxMembers, len(all))
	for _, m := range all {
		if m.Health == cloud.MemberOffline {
			t.Errorf("%s is there, which is offline", m.Address)
		}
	}
}

func TestAChangeOfTheLoadBalancerInTheSpecIsTold(t *testing.T) {
	to := func(target v1alpha1.TargetSelector) *v1alpha1.MirrorSessionSpec {
		return &v1alpha1.MirrorSessionSpec{Target: target}
	}
	node := to(v1alpha1.TargetSelector{InterfaceSelector: v1alpha1.InterfaceSelector{NodeName: "n"}})
	lb, other := to(v1alpha1.TargetSelector{LoadBalancerID: "id-lb"}), to(v1alpha1.TargetSelector{LoadBalancerID: "id-other"})
	same(t, "to a load balancer", "spec.target was changed from the node n to the load balancer id-lb", strings.Join(specChanges(node, lb), "; "))
	same(t, "to another one", "spec.target was changed from the load balancer id-lb to the load balancer id-other", strings.Join(specChanges(lb, other), "; "))
	same(t, "back to the node", "spec.target was changed from the load balancer id-lb to the node n", strings.Join(specChanges(lb, node), "; "))
}

package diagnosis

import (
	"net/netip"
	"syscall"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// balancer is the ID of the row's load balancer, and pool that of its pool.
func (s *site) balancer() string { return id("load balancer", s.id) }

func (s *site) pool() state.Pool {
	return s.cloud.State.Snapshot().Pools[state.PoolOf(s.balancer())]
}

// balance puts a load balancer before the row's target. Its address follows from the target's.
func (s *site) balance() error {
	s.cloud.State.Edit(func(w *state.World) {
		at := s.target.addr.As4()
		at[2] += 8 // of the same subnet, beyond all rows
		w.AddLoadBalancer(scenario.LoadBalancer{
			ID: s.balancer(), Name: s.id, SubnetID: s.target.subnet, VPCID: id("vpc", mainVPC), ProjectID: project,
			Address: netip.AddrFrom4(at), Members: []netip.Addr{s.target.addr},
		}, time.Now())
	})
	return nil
}

// toBalancer lets the session copy to the load balancer.
func toBalancer(s *site, _ *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
	m.Spec.Target = v1alpha1.TargetSelector{LoadBalancerID: s.balancer()}
}

// balancerCauses: what is behind a target that is a load balancer.
var balancerCauses = []cause{
	{
		id: "balancer-no-listener", name: "the listener on UDP 4789 of the load balancer is deleted", by: "read", flows: true,
		prepare: (*site).balance, shape: toBalancer,
		inject: func(s *site) error { return s.cloud.State.DeleteListener(project, state.ListenerOf(s.balancer())) },
		want:   says{reason: v1alpha1.ReasonNoListener, subject: "target", words: []string{"UDP 4789", "listener"}, path: "False"},
	},
	{
		id: "balancer-no-member", name: "the last member is taken out of the load balancer's pool", by: "read", flows: true,
		prepare: (*site).balance, shape: toBalancer,
		inject: func(s *site) error { return s.cloud.State.RemoveMember(project, s.pool().ID, s.pool().Members[0].ID) },
		want:   says{reason: v1alpha1.ReasonNoMembers, subject: "target", words: []string{"UDP 4789", "backend servers"}, path: "False"},
	},
	{
		id: "balancer-unhealthy", name: "all members of the load balancer are offline by its health checks", by: "read", flows: true,
		prepare: (*site).balance, shape: toBalancer,
		inject: func(s *site) error {
			return s.cloud.State.SetMemberStatus(s.pool().Members[0].ID, state.MemberOffline)
		},
		want: says{reason: v1alpha1.ReasonMembersUnhealthy, subject: "target", words: []string{"{target}", "health check"}, path: "False"},
	},
	{
		id: "balancer-member-closed", name: "the rule for UDP 4789 is taken out of the security group of the load balancer's member", by: "read", flows: true,
		prepare: (*site).balance, shape: toBalancer,
		inject: func(s *site) error { return s.revoke(0) },
		want:   says{reason: v1alpha1.ReasonTargetGroupDenies, subject: "target", words: []string{"{group}", "UDP 4789", "{source}/32", "{target}"}, path: "False"},
	},
	{
		id: "balancer-verifier-absent", name: "no verifier runs on the host of the load balancer's member", by: "node",
		needs: needs{ownHost: true, consumer: true, noVerifier: true}, prepare: (*site).balance, shape: toBalancer,
		want: says{reason: v1alpha1.ReasonNoVerifier, subject: "target", words: []string{"the member {target} (", "DaemonSet"}},
	},
	{
		id: "balancer-verifier-killed", name: "the verifier of the host of the load balancer's member is killed", by: "node", flows: true,
		needs: needs{ownHost: true, consumer: true}, prepare: (*site).balance, shape: toBalancer,
		inject: func(s *site) error { return s.signal(syscall.SIGKILL) }, within: 60 * time.Second,
		want: onHost(v1alpha1.ReasonVerifierLost, "{host}", "pod"),
	},
}

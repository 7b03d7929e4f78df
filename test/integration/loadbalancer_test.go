//go:build !oldest

package integration_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

const (
	balancerID = "5a1f0c7e-0000-4000-8000-0000000000e1"
	balancerIP = "192.168.0.100"
)

// withBalancer adds a load balancer with these members.
func withBalancer(w *harness.World, members ...string) {
	lb := scenario.LoadBalancer{
		ID: balancerID, Name: "ids", VPCID: scenario.WalkthroughVPC, ProjectID: scenario.WalkthroughProject, Address: netip.MustParseAddr(balancerIP),
	}
	for _, m := range members {
		lb.Members = append(lb.Members, netip.MustParseAddr(m))
	}
	w.Cloud.State.Edit(func(world *state.World) {
		lb.SubnetID = world.Ports[scenario.WalkthroughTarget].SubnetID
		world.AddLoadBalancer(lb, time.Now())
	})
}

func toBalancer(s *v1alpha1.MirrorSession) {
	s.Spec.Target = v1alpha1.TargetSelector{LoadBalancerID: balancerID}
}

func TestASessionToALoadBalancerIsMadeAndItsStatusNamesTheMembersWithTheirNodes(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	withBalancer(w, "192.168.0.164", "192.168.0.161", "192.168.0.77")
	w.Node("target", "192.168.0.164")
	w.Start()
	_, session := w.Pair("balanced", toBalancer)
	made := w.Content().Sessions[0]
	harness.Same(t, "the cloud's session", [2]string{balancerID, state.TargetELB}, [2]string{made.TargetID, made.TargetType})
	harness.Same(t, "the target in the status", &v1alpha1.ResolvedTarget{
		ResolvedInterface: v1alpha1.ResolvedInterface{
			InterfaceID: w.Cloud.State.Snapshot().LoadBalancers[balancerID].PortID, Addresses: []string{balancerIP},
		},
		LoadBalancerID: balancerID,
		Members: []v1alpha1.TargetMember{
			{Address: "192.168.0.77", Health: "Offline"},
			{Address: "192.168.0.161", InterfaceID: scenario.WalkthroughTest, MAC: "fa:16:3e:7e:d6:77", Health: "Online"},
			{Address: "192.168.0.164", InterfaceID: scenario.WalkthroughTarget, MAC: "fa:16:3e:7e:d6:7a", NodeName: w.NodeName("target"), Health: "Online"},
		},
	}, session.Status.Target)
}

func TestASessionMovesFromAnInterfaceToALoadBalancerAndBack(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	withBalancer(w, "192.168.0.164")
	w.Start()
	_, session := w.Pair("moving")
	for range 2 {
		harness.Change(w, session, toBalancer)
		harness.Until(w, harness.Ready(w, session), "it goes to the load balancer", func(s *v1alpha1.MirrorSession) bool { return s.Status.Target.LoadBalancerID == balancerID })
		harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Target = harness.Target(harness.At("192.168.0.164")) })
		harness.Until(w, harness.Ready(w, session), "it goes to the interface", func(s *v1alpha1.MirrorSession) bool {
			return s.Status.Target.ID() == scenario.WalkthroughTarget && s.Status.Target.Members == nil
		})
	}
}

func TestALoadBalancerThatIsNotThereIsWaitedForAndKeepsASessionThatHadIt(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, session := w.Filter("late"), w.Session("late", "late", toBalancer)
	w.Create(filter)
	w.Create(session)
	waits := func(s *v1alpha1.MirrorSession) bool { return s.WaitsFor(v1alpha1.ReasonLoadBalancerNotFound) }
	harness.Until(w, session, "it waits for the load balancer", waits)
	withBalancer(w, "192.168.0.164")
	w.RequestReconcile(session)
	harness.Ready(w, session)
	before := session.Status.Target.DeepCopy()

	if err := w.Cloud.State.DeleteLoadBalancer(scenario.WalkthroughProject, balancerID); err != nil {
		t.Fatal(err)
	}
	w.RequestReconcile(session)
	harness.Until(w, session, "the load balancer is missed", waits)
	harness.Same(t, "what the verifiers go by", before, session.Status.Target)
	for _, c := range session.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady && !strings.Contains(c.Message, "spec.target.loadBalancerID") {
			t.Errorf("Ready names no field: %s", c.Message)
		}
	}
	if n := len(w.Content().Sessions); n != 1 {
		t.Errorf("the cloud has %d sessions", n)
	}
}

func TestWhatIsBehindALoadBalancerDecidesWhetherTheWayIsClear(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	withBalancer(w, "192.168.0.164")
	w.Start()
	_, session := w.Pair("behind", toBalancer)
	pathClear(w, session, v1alpha1.ReasonClear, balancerIP)
	st := w.Cloud.State
	pool := st.Snapshot().Pools[state.PoolOf(balancerID)]
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	step := func(do func(), reason string, words ...string) {
		t.Helper()
		do()
		w.RequestReconcile(session)
		pathClear(w, session, reason, words...)
	}
	step(func() { must(st.SetMemberStatus(pool.Members[0].ID, state.MemberOffline)) }, v1alpha1.ReasonMembersUnhealthy, "192.168.0.164")
	step(func() { must(st.SetMemberStatus(pool.Members[0].ID, "")) }, v1alpha1.ReasonClear)
	step(func() { setRule(w, false) }, v1alpha1.ReasonTargetGroupDenies, "sg-target", "192.168.0.164")
	step(func() { setRule(w, true) }, v1alpha1.ReasonClear)
	step(func() { must(st.RemoveMember(scenario.WalkthroughProject, pool.ID, pool.Members[0].ID)) }, v1alpha1.ReasonNoMembers)
	if n := len(session.Status.Target.Members); n != 0 {
		t.Errorf("the status names %d members", n)
	}
	toldOf(w, session, "the member 192.168.0.164 was taken out of the pool pool of ids")
	step(func() { must(st.DeleteListener(scenario.WalkthroughProject, state.ListenerOf(balancerID))) }, v1alpha1.ReasonNoListener)
	toldOf(w, session, "the listener copies to ids on UDP 4789 is gone from the load balancer ids")
	w.Fault(fault.Fault{Kind: fault.Error, Operation: "ListListeners", Status: 403, Code: "ELB.8903", Message: "Policy doesn't allow elb:listeners:list to be performed."})
	step(func() {}, v1alpha1.ReasonNotPermitted, "elb:listeners:list")
	harness.Ready(w, session)
}

// toldOf waits until status.changes says that somebody has changed something in the cloud.
func toldOf(w *harness.World, session *v1alpha1.MirrorSession, what string) {
	harness.Until(w, session, "status.changes says: "+what, func(s *v1alpha1.MirrorSession) bool {
		return slices.ContainsFunc(s.Status.Changes, func(c v1alpha1.Change) bool { return c.By == v1alpha1.ChangedByCloud && c.What == what })
	})
}

func TestTheVerifiersOfAllMembersNodesAreSummedUp(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	withBalancer(w, "192.168.0.164", "192.168.0.161")
	target, test := w.Node("target", "192.168.0.164").Name, w.Node("test", "192.168.0.161").Name
	w.Start()
	_, session := w.Pair("summed", toBalancer)
	uncounted := func(words string) func(*v1alpha1.MirrorSession) bool {
		return func(s *v1alpha1.MirrorSession) bool {
			return slices.ContainsFunc(s.Status.Findings, func(f v1alpha1.Finding) bool {
				return f.Reason == v1alpha1.ReasonNoVerifier && strings.Contains(f.Message, words)
			})
		}
	}
	write(t, w, session, entry(target, v1alpha1.Counts{Packets: 3, Bytes: 216}, time.Second, 2*time.Second))
	harness.Until(w, session, "the member is named that nobody counts at", uncounted("the member 192.168.0.161 (node "+test+")"))
	write(t, w, session, entry(test, v1alpha1.Counts{Packets: 4, Bytes: 288}, time.Second, 2*time.Second))
	harness.Until(w, session, "both count", func(s *v1alpha1.MirrorSession) bool {
		return s.Status.Traffic != nil && s.Status.Traffic.Packets == 7 && !uncounted("")(s)
	})
}

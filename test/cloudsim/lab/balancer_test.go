package lab

import (
	"net/netip"
	"testing"
	"time"

	"vpcmirror.io/operator/test/cloudsim/dataplane"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

const balancerID = "5a1f0c7e-0000-4000-8000-0000000000e1"

// balance makes a session of ecs-source to a load balancer with the two other hosts as members, which both let everything in.
func (w *world) balance() state.Session {
	w.t.Helper()
	w.cloud.State.Edit(func(world *state.World) {
		world.AddLoadBalancer(scenario.LoadBalancer{
			ID: balancerID, Name: "ids", VPCID: scenario.WalkthroughVPC, ProjectID: w.project, SubnetID: world.Ports[scenario.WalkthroughTarget].SubnetID,
			Address: netip.MustParseAddr("192.168.0.100"), Members: []netip.Addr{netip.MustParseAddr("192.168.0.161"), netip.MustParseAddr("192.168.0.164")},
		}, time.Now())
	})
	for _, group := range []string{scenario.WalkthroughSourceGroup, scenario.WalkthroughTestGroup, scenario.WalkthroughTargetGroup} {
		w.admit(group)
	}
	s := w.mirror("balanced", scenario.WalkthroughSource, scenario.WalkthroughTarget, 1)
	s, err := w.cloud.State.UpdateSession(w.project, s.ID, state.SessionInput{TargetID: ptr(balancerID), TargetType: ptr("elb")})
	w.must(err)
	return s
}

// copies are how many copies came to the members.
func (w *world) copies() (toTest, toTarget uint64) {
	stats := w.lab.Plane.Stats()
	return stats.Ports[scenario.WalkthroughTest].CopiesToHost, stats.Ports[scenario.WalkthroughTarget].CopiesToHost
}

func TestALoadBalancerSpreadsTheCopiesByFlowOverItsMembersThatAreWell(t *testing.T) {
	w := startWorld(t, scenario.Walkthrough())
	s := w.balance()
	const flows = 64 // each from a port of its own
	burst := func(n uint64) {
		for range flows {
			w.send("ecs-test", "192.168.0.230", 10)
		}
		w.until("all copies are decided", func(stats dataplane.Stats) bool { return stats.Sessions[s.ID].Copies >= n*flows })
	}
	burst(1)
	test, target := w.copies()
	if test == 0 || target == 0 || test+target != flows {
		t.Errorf("of %d copies %d came to ecs-test and %d to ecs-target", flows, test, target)
	}

	pool := w.cloud.State.Snapshot().Pools[state.PoolOf(balancerID)]
	w.must(w.cloud.State.SetMemberStatus(pool.Members[0].ID, state.MemberOffline))
	burst(2)
	if again, all := w.copies(); again != test || all != target+flows {
		t.Errorf("with ecs-test offline %d copies came to it and %d to ecs-target", again-test, all-target)
	}

	w.must(w.cloud.State.DeleteListener(w.project, state.ListenerOf(balancerID)))
	burst(3)
	if again, all := w.copies(); again != test || all != target+flows {
		t.Errorf("without a listener %d and %d copies came", again-test, all-target-flows)
	}
	if n := w.lab.Plane.Stats().Sessions[s.ID].NoTarget; n != flows {
		t.Errorf("%d copies had no target, want %d", n, flows)
	}
}

func TestAMemberWhoseGroupIsClosedGetsNothingAndTheOthersAsBefore(t *testing.T) {
	w := startWorld(t, scenario.Walkthrough())
	s := w.balance()
	w.cloud.State.Edit(func(world *state.World) {
		for id, r := range world.GroupRules {
			if r.GroupID == scenario.WalkthroughTargetGroup {
				delete(world.GroupRules, id)
			}
		}
	})
	const flows = 64
	for range flows {
		w.send("ecs-test", "192.168.0.230", 10)
	}
	w.until("all copies are decided", func(stats dataplane.Stats) bool { return stats.Sessions[s.ID].Copies == flows })
	test, target := w.copies()
	if denied := w.lab.Plane.Stats().Sessions[s.ID].DeniedByTargetGroup; test == 0 || target != 0 || test+denied != flows {
		t.Errorf("%d copies came to ecs-test, %d to ecs-target, and %d were denied", test, target, denied)
	}
}

package lab

import (
	"net"
	"testing"
	"time"

	"vpcmirror.io/operator/test/cloudsim/dataplane"
	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

func TestAChangeReachesTheNetworkAfterThePropagationDelay(t *testing.T) {
	w := startWorld(t, scenario.Walkthrough())
	w.admit(scenario.WalkthroughSourceGroup)
	s := w.mirror("s", scenario.WalkthroughSource, scenario.WalkthroughTarget, 1)
	w.send("ecs-test", "192.168.0.230", 10)
	total := delivered
	w.counts(s.ID, total)

	w.must(w.cloud.State.SetPropagation(time.Hour))
	w.must(w.cloud.State.DeleteGroupRule(w.project, scenario.WalkthroughVXLANRule))
	w.send("ecs-test", "192.168.0.230", 10)
	total.Copies, total.Delivered = 2, 2
	w.counts(s.ID, total) // the network has not heard of it

	w2 := startWorld(t, scenario.Walkthrough())
	w2.admit(scenario.WalkthroughSourceGroup)
	s2 := w2.mirror("s", scenario.WalkthroughSource, scenario.WalkthroughTarget, 1)
	w2.must(w2.cloud.State.SetPropagation(100 * time.Millisecond))
	w2.must(w2.cloud.State.DeleteGroupRule(w2.project, scenario.WalkthroughVXLANRule))
	w2.until("a copy is held back once the delay has passed", func(stats dataplane.Stats) bool {
		w2.send("ecs-test", "192.168.0.230", 10)
		return stats.Sessions[s2.ID].DeniedByTargetGroup > 0
	})
}

func TestTheMTUOfAHostsDeviceFollowsTheState(t *testing.T) {
	w := startWorld(t, scenario.Walkthrough())
	mtu := func() (value int) {
		w.must(netns.In(w.lab.Plane.Namespace("ecs-source"), func() error {
			nic, err := net.InterfaceByName("eth0")
			if err == nil {
				value = nic.MTU
			}
			return err
		}))
		return value
	}
	if got := mtu(); got != 1500 {
		t.Fatalf("MTU %d, want 1500", got)
	}
	w.must(w.cloud.State.SetPort(scenario.WalkthroughSource, state.PortSettings{MTU: ptr(1400)}))
	if got := mtu(); got != 1400 {
		t.Errorf("MTU %d, want 1400", got)
	}
	replaced, err := w.cloud.State.ReplacePort(scenario.WalkthroughSource)
	w.must(err)
	if got := mtu(); got != 1400 {
		t.Errorf("MTU %d after the port was replaced, want that of the device", got)
	}
	w.must(w.cloud.State.SetPort(replaced.ID, state.PortSettings{MTU: ptr(0)}))
	if got := mtu(); got != 1500 {
		t.Errorf("MTU %d, want 1500 again", got)
	}
	if err := w.cloud.State.SetPort(replaced.ID, state.PortSettings{MTU: ptr(100)}); err == nil {
		t.Error("an MTU of 100 is accepted")
	}
}

func TestAFlavorMayBeAcceptedAndCarryNothing(t *testing.T) {
	w := startWorld(t, scenario.Walkthrough())
	w.admit(scenario.WalkthroughSourceGroup)
	s := w.mirror("s", scenario.WalkthroughSource, scenario.WalkthroughTarget, 1)
	w.cloud.State.SetFlavor("c7t.large.2", state.FlavorInput{Carries: ptr(false)})
	w.send("ecs-test", "192.168.0.230", 10)
	w.until("the source gets the packet", func(stats dataplane.Stats) bool { return stats.Ports[scenario.WalkthroughSource].ToHost > 1 })
	w.counts(s.ID, dataplane.SessionStats{})
	w.cloud.State.SetFlavor("c7t.large.2", state.FlavorInput{Carries: ptr(true)})
	w.send("ecs-test", "192.168.0.230", 10)
	w.counts(s.ID, delivered)
}

func TestPortSecurityAndStatusAreObeyed(t *testing.T) {
	w := startWorld(t, scenario.Walkthrough())
	s := w.mirror("s", scenario.WalkthroughSource, scenario.WalkthroughTarget, 1)
	w.must(w.cloud.State.DeleteGroupRule(w.project, scenario.WalkthroughVXLANRule))
	set := func(port string, in state.PortSettings) { t.Helper(); w.must(w.cloud.State.SetPort(port, in)) }
	set(scenario.WalkthroughSource, state.PortSettings{Secured: ptr(false)}) // its group does not let UDP 1234 in
	w.send("ecs-test", "192.168.0.230", 10)
	total := heldByGrp
	w.counts(s.ID, total)
	set(scenario.WalkthroughTarget, state.PortSettings{Secured: ptr(false)})
	w.send("ecs-test", "192.168.0.230", 10)
	total.Copies, total.Delivered = 2, 1
	w.counts(s.ID, total)
	set(scenario.WalkthroughTarget, state.PortSettings{Status: ptr("DOWN")})
	w.send("ecs-test", "192.168.0.230", 10)
	total.Copies, total.TargetDown = 3, 1
	w.counts(s.ID, total)
}

package lab

import (
	"testing"

	"vpcmirror.io/operator/test/cloudsim/dataplane"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

func TestServersThatStopAndInterfacesThatAreReplacedOnRealPackets(t *testing.T) {
	w := startWorld(t, scenario.Walkthrough())
	w.admit(scenario.WalkthroughSourceGroup)
	session := w.mirror("s", scenario.WalkthroughSource, scenario.WalkthroughTarget, 1)
	servers := w.cloud.State.Snapshot().Ports
	source, target := servers[scenario.WalkthroughSource].ServerID, servers[scenario.WalkthroughTarget].ServerID
	w.send("ecs-test", "192.168.0.230", 10)
	w.counts(session.ID, dataplane.SessionStats{Copies: 1, Delivered: 1})

	_, err := w.cloud.State.SwitchServers(w.project, state.JobStop, []string{target})
	w.must(err)
	w.send("ecs-test", "192.168.0.230", 10)
	w.counts(session.ID, dataplane.SessionStats{Copies: 2, Delivered: 1, TargetDown: 1})

	_, err = w.cloud.State.SwitchServers(w.project, state.JobStart, []string{target})
	w.must(err)
	_, err = w.cloud.State.SwitchServers(w.project, state.JobStop, []string{source})
	w.must(err)
	w.send("ecs-test", "192.168.0.230", 10)
	w.until("the stopped source is sent a frame that it does not get", func(s dataplane.Stats) bool {
		return s.Ports[scenario.WalkthroughSource].DroppedToHost[dataplane.DropCutOff] > 0
	})
	w.counts(session.ID, dataplane.SessionStats{Copies: 2, Delivered: 1, TargetDown: 1})

	_, err = w.cloud.State.SwitchServers(w.project, state.JobStart, []string{source})
	w.must(err)
	replaced, err := w.cloud.State.ReplacePort(scenario.WalkthroughTarget)
	w.must(err)
	w.send("ecs-test", "192.168.0.230", 10)
	w.counts(session.ID, dataplane.SessionStats{Copies: 3, Delivered: 1, TargetDown: 1, NoTarget: 1})
	_, err = w.cloud.State.UpdateSession(w.project, session.ID, state.SessionInput{TargetID: &replaced.ID})
	w.must(err)
	w.send("ecs-test", "192.168.0.230", 10)
	w.counts(session.ID, dataplane.SessionStats{Copies: 4, Delivered: 2, TargetDown: 1, NoTarget: 1})

	_, ports, err := w.cloud.State.ReplaceServer(source)
	w.must(err)
	_, err = w.cloud.State.AddSources(w.project, session.ID, []string{ports[scenario.WalkthroughSource]})
	w.must(err)
	w.send("ecs-test", "192.168.0.230", 10)
	w.counts(session.ID, dataplane.SessionStats{Copies: 5, Delivered: 3, TargetDown: 1, NoTarget: 1})
}

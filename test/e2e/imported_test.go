package e2e

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// playImported lets the product observe a filter and a session that somebody else has made, as Terraform
// does, and take them over under traffic. The kernels of ecs-source and ecs-target say whether a packet was
// lost, and the cloud's journal what was written.
func playImported(t *testing.T, w *world) {
	p := pair{namespace: "imported", vni: 77}
	filter, session := w.terraformed(t, p)
	since := w.Cloud().Journal.Last()
	w.makeNamespace(t, p.namespace)
	w.apply(t, w.importing(p, filter, session))
	w.waitReady(t, p)
	w.waitCapturing(t, p)
	j := w.watch(t, p)
	talk := w.chat(t)
	w.waitPackets(t, p, 50)
	if written := w.written(since); len(written) > 0 {
		t.Errorf("while observing there was written to the cloud: %v", written)
	}
	w.checked(t, "observed: Ready, counted, and nothing written to the cloud")

	epoch := w.mustSession(t, p).Status.Epoch
	for _, name := range []string{"mirf/to-service", "mirs/source-to-target"} {
		w.kubectl(t, "patch", "-n", p.namespace, name, "--type=merge", "-p", `{"spec":{"managementPolicy":"Managed"}}`)
	}
	w.waitReady(t, p)
	w.waitCondition(t, p, v1alpha1.ConditionTrafficObserved, "True", "")
	w.waitPackets(t, p, w.mustEntry(t, p).Packets+50)
	talk.stop(t)
	counted := w.agree(t, p, j, 0)
	if written := w.written(since); !maps.Equal(written, map[string]int{"UpdateTrafficMirrorFilter": 1, "UpdateTrafficMirrorSession": 1}) {
		t.Errorf("to take over, more than two descriptions was written to the cloud: %v", written)
	}
	if now := w.mustSession(t, p).Status.Epoch; now != epoch {
		t.Errorf("the epoch went from %d to %d, though no copy changed", epoch, now)
	}
	w.checked(t, "taken over under traffic: %d packets received by ecs-source, copied and counted; two descriptions written", counted)

	w.kubectl(t, "delete", "-n", p.namespace, "mirs/source-to-target", "mirf/to-service", "--timeout=170s")
	now := w.Cloud().State.Snapshot()
	for what, description := range map[string]string{"filter": now.Filters[filter.ID].Description, "session": now.Sessions[session.ID].Description} {
		if !strings.HasPrefix(description, "by Terraform [retained from vpcmirror ") {
			t.Errorf("the %s is not left without its mark: its description is %q", what, description)
		}
	}
	w.checked(t, "deleted: both stay in the cloud without the mark")
}

// terraformed makes the walkthrough's filter and session by the cloud's own means. They go when the scenario
// ends.
func (w *world) terraformed(t *testing.T, p pair) (filter state.Filter, session state.Session) {
	t.Helper()
	cloud, project := w.Cloud().State, scenario.WalkthroughProject
	filter, err := cloud.CreateFilter(project, state.FilterInput{Name: new("tf-web"), Description: new("by Terraform")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.DeleteFilter(project, filter.ID); err != nil {
			t.Errorf("removing what the scenario made in the cloud: %v", err)
		}
	})
	_, err = cloud.CreateRule(project, state.RuleInput{
		FilterID: &filter.ID, Direction: new(state.Ingress), Protocol: new("TCP"), EtherType: new("IPv4"), Action: new("accept"), Priority: new(1),
		SourceCIDR: new("192.168.0.161/32"), DestinationCIDR: new("192.168.0.230/32"), DestinationPortRange: new("1234-1234"),
	})
	if err != nil {
		t.Fatal(err)
	}
	session, err = cloud.CreateSession(project, state.SessionInput{
		Name: new("tf-mirror"), Description: new("by Terraform"), FilterID: &filter.ID, Sources: &[]string{scenario.WalkthroughSource},
		TargetID: new(scenario.WalkthroughTarget), TargetType: new(state.TargetENI), VNI: new(int(p.vni)), PacketLength: new(1460), Priority: new(42), Enabled: new(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.DeleteSession(project, session.ID); err != nil {
			t.Errorf("removing what the scenario made in the cloud: %v", err)
		}
	})
	return filter, session
}

// importing are the manifests of a pair that the cloud has already, and that is only observed.
func (w *world) importing(p pair, filter state.Filter, session state.Session) string {
	manifests := w.manifests(p, bySourceAddress, byTargetAddress)
	for _, id := range []string{filter.ID, session.ID} {
		manifests = strings.Replace(manifests, "  credentialsRef: {name: huawei-cloud}\n",
			fmt.Sprintf("  import: {id: %s}\n  managementPolicy: Observe\n  credentialsRef:  {name: huawei-cloud}\n", id), 1)
	}
	return manifests
}

// written is how often each operation was written to the cloud.
func (w *world) written(since uint64) map[string]int {
	count := map[string]int{}
	for _, e := range w.Cloud().Journal.Writes(since) {
		count[e.Operation]++
	}
	return count
}

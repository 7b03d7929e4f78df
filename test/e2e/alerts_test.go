package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/demo/wire"
	"vpcmirror.io/operator/test/prometheus"
)

// playAlerts breaks what the alerts are about, with a Prometheus beside that has the chart's monitors and
// rules: each has to fire by its name, and to end after the mending.
func playAlerts(t *testing.T, w *world) {
	w.installByHelm(t)
	w.checkShipped(t)
	server := w.startPrometheus(t)
	web, dns := pair{namespace: "alerts-web", vni: 140}, pair{namespace: "alerts-two", vni: 141}
	w.letIn(t, scenario.WalkthroughTargetGroup, "udp", vxlanPort, w.address(t, ecsTest).String())
	w.makeNamespace(t, web.namespace)
	w.makeNamespace(t, dns.namespace)
	w.apply(t, w.manifests(web, bySourceAddress, byTargetAddress)+"  silenceAfter: 10s\n")
	w.apply(t, w.twoSources(t, dns))
	for _, p := range []pair{web, dns} {
		w.waitReady(t, p)
		w.waitCapturing(t, p)
	}
	talk, going, stopping := w.chat(t), w.drip(t, ecsSource), w.drip(t, ecsTest)
	for _, p := range []pair{web, dns} {
		w.waitCondition(t, p, v1alpha1.ConditionTrafficObserved, "True", v1alpha1.ReasonPacketsObserved)
	}
	w.silentAlerts(t, server, "while all is well")

	w.oneSourceStops(t, server, dns, stopping)
	w.groupIsClosed(t, server, web)
	w.verifierGoes(t, server, web)
	talk.stop(t)
	going.stop(t)
	w.captureDrops(t, server, web)
}

// oneSourceStops stops one of two sources, and lets it go on.
func (w *world) oneSourceStops(t *testing.T, server *prometheus.Server, p pair, stopping *dripping) {
	t.Helper()
	stopping.stop(t)
	w.fires(t, server, "VPCMirrorSourceSilent", p, time.Now())
	again := w.drip(t, ecsTest)
	t.Cleanup(again.cancel)
	w.ends(t, server, "VPCMirrorSourceSilent", p, time.Now())
}

// groupIsClosed takes the rule away by which the target's security group lets the copies in, and puts it back.
func (w *world) groupIsClosed(t *testing.T, server *prometheus.Server, p pair) {
	t.Helper()
	openAgain := w.closeGroup(t, scenario.WalkthroughTargetGroup, w.address(t, ecsSource).String())
	fired := w.fires(t, server, "VPCMirrorBlind", p, time.Now())
	if reason := fired.Labels["reason"]; reason != v1alpha1.ReasonTargetGroupDenies {
		t.Errorf("the alert is to name the reason %s, it has %v", v1alpha1.ReasonTargetGroupDenies, fired.Labels)
	}
	openAgain()
	w.ends(t, server, "VPCMirrorBlind", p, time.Now())
}

// closeGroup deletes the rule that lets VXLAN from an address in. What it returns makes one like it.
func (w *world) closeGroup(t *testing.T, group, from string) (openAgain func()) {
	t.Helper()
	for id, rule := range w.Cloud().State.Snapshot().GroupRules {
		if rule.GroupID != group || rule.RemotePrefix != from+"/32" || rule.Multiport != fmt.Sprint(vxlanPort) {
			continue
		}
		if err := w.Cloud().State.DeleteGroupRule(scenario.WalkthroughProject, id); err != nil {
			t.Fatal(err)
		}
		again := func() {
			_, err := w.Cloud().State.CreateGroupRule(scenario.WalkthroughProject, state.GroupRuleInput{
				GroupID: new(group), Direction: new("ingress"), EtherType: new("IPv4"), Protocol: new("udp"),
				Multiport: new(fmt.Sprint(vxlanPort)), RemotePrefix: new(from + "/32"),
			})
			if err != nil {
				t.Error(err)
			}
		}
		opened := false
		openAgain = func() {
			if !opened {
				opened = true
				again()
			}
		}
		t.Cleanup(openAgain)
		return openAgain
	}
	t.Fatalf("%s has no rule for UDP %d from %s", group, vxlanPort, from)
	return nil
}

// verifierGoes takes the target's node out of those that have a verifier.
func (w *world) verifierGoes(t *testing.T, server *prometheus.Server, p pair) {
	t.Helper()
	w.kubectl(t, "label", "node", ecsTarget, targetLabel+"-")
	w.fires(t, server, "VPCMirrorVerifierMissing", p, time.Now())
	w.kubectl(t, "label", "node", ecsTarget, targetLabel+"=true")
	w.ends(t, server, "VPCMirrorVerifierMissing", p, time.Now())
}

// floodCount fills the ring of a verifier, 8 MiB, more than twice.
const floodCount = 100_000

// captureDrops floods the target while the verifier there gets no CPU, and moves the target to a node
// that can keep up.
func (w *world) captureDrops(t *testing.T, server *prometheus.Server, p pair) {
	t.Helper()
	datagram, err := wire.Forgery{VNI: p.vni, Inner: w.innerFrame(t, w.mustSession(t, p))}.Datagram()
	if err != nil {
		t.Fatal(err)
	}
	w.signalVerifier(t, ecsTarget, "SIGSTOP")
	flood(t, w.sender(t), datagram, floodCount)
	w.signalVerifier(t, ecsTarget, "SIGCONT")
	w.fires(t, server, "VPCMirrorCaptureDrops", p, time.Now())
	until(t, patience, "the status has the drops", func(ctx context.Context) error {
		s, err := w.session(ctx, p)
		if err == nil && (s.Status.Traffic == nil || s.Status.Traffic.Dropped == 0) {
			err = errors.New("it has none")
		}
		return err
	})
}

// signalVerifier sends the verifier's process on a node a signal.
func (w *world) signalVerifier(t *testing.T, node, signal string) {
	t.Helper()
	pod, err := w.verifierPod(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	w.signalContainer(t, pod, signal)
}

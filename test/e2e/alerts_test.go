package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/demo/wire"
)

// The sessions that alerts are about: one of one source, and one of two. Their sources are all hosts but ecs-target,
// so that is the target of both.
var (
	oneSource  = pair{namespace: "alerts", vni: 140, untaken: true}
	twoSources = pair{namespace: "alerts", vni: 141, untaken: true, name: "two-sources"}
)

// playAlerts breaks what the alerts are about, with a Prometheus beside that has the chart's monitors and
// rules: each has to fire by its name, and to end after the mending. Meanwhile it asks what the dashboards ask.
func playAlerts(t *testing.T, w *world) {
	w.installByHelm(t)
	w.checkShipped(t)
	m := w.startPrometheus(t)
	talk, going, stopping, consumer := w.makeWatched(t)
	m.allIsWell(t)

	mended := m.severalBreak(t, stopping, consumer)
	m.followBlindRunbook(t, oneSource)
	m.ends(t, "VPCMirrorNotReady", unreadyFilter, mended) // it is looked at again within half a minute
	talk.stop(t)
	going.stop(t)
	m.captureDrops(t, oneSource)
	m.targetMoves(t, oneSource)
	m.managersGo(t)
	m.everyPanelHadData(t)
}

// makeWatched makes both sessions, with traffic from all sources, and a program that takes the copies.
func (w *world) makeWatched(t *testing.T) (talk *chatter, going, stopping *dripping, consumer func()) {
	t.Helper()
	w.letIn(t, scenario.WalkthroughTargetGroup, "udp", vxlanPort, w.address(t, ecsTest).String())
	w.makeNamespace(t, oneSource.namespace)
	w.apply(t, w.manifests(oneSource, bySourceAddress, byTargetAddress)+"  silenceAfter: 10s\n")
	w.apply(t, w.twoSources(t, twoSources))
	consumer = w.take(t, ecsTarget)
	for _, p := range []pair{oneSource, twoSources} {
		w.waitReady(t, p)
		w.waitCapturing(t, p)
	}
	talk, going, stopping = w.chat(t), w.drip(t, ecsSource), w.drip(t, ecsTest)
	for _, p := range []pair{oneSource, twoSources} {
		w.waitCondition(t, p, v1alpha1.ConditionTrafficObserved, "True", v1alpha1.ReasonPacketsObserved)
		w.waitCondition(t, p, v1alpha1.ConditionConsumerReady, "True", v1alpha1.ReasonConsumerSeen)
	}
	return talk, going, stopping, consumer
}

// unready is a filter whose Secret is missing.
const unready = `
apiVersion: vpcmirror.io/v1alpha1
kind: MirrorFilter
metadata: {name: unready, namespace: %s}
spec:
  credentialsRef: {name: later}
  rules:
    - {direction: Egress, priority: 1, action: Accept, protocol: UDP}
`

var unreadyFilter = map[string]string{"namespace": oneSource.namespace, "filter": "unready"}

// severalBreak has one of two sources stop, the program that takes the copies end, and a filter without credentials,
// all at once; and mends all of it.
func (m *monitoring) severalBreak(t *testing.T, stopping *dripping, consumer func()) (mended time.Time) {
	t.Helper()
	stopping.stop(t)
	consumer()
	m.w.apply(t, fmt.Sprintf(unready, oneSource.namespace))
	broken := time.Now()
	m.fires(t, "VPCMirrorConsumerAbsent", oneSource.labels(), broken)
	m.fires(t, "VPCMirrorNotReady", unreadyFilter, broken)
	m.fires(t, "VPCMirrorSourceSilent", twoSources.labels(), broken)
	m.lookAtPanels(t)

	again := m.w.drip(t, ecsTest)
	t.Cleanup(again.cancel)
	m.w.take(t, ecsTarget)
	m.w.apply(t, strings.Replace(m.w.secret(oneSource.namespace), "name: huawei-cloud", "name: later", 1))
	mended = time.Now()
	m.ends(t, "VPCMirrorSourceSilent", twoSources.labels(), mended)
	m.ends(t, "VPCMirrorConsumerAbsent", oneSource.labels(), mended)
	return mended
}

// closeGroup deletes the rule that lets VXLAN from an address into a group.
func (w *world) closeGroup(t *testing.T, group, from string) {
	t.Helper()
	for id, rule := range w.Cloud().State.Snapshot().GroupRules {
		if rule.GroupID == group && rule.RemotePrefix == from+"/32" && rule.Multiport == fmt.Sprint(vxlanPort) {
			if err := w.Cloud().State.DeleteGroupRule(scenario.WalkthroughProject, id); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%s has no rule for UDP %d from %s", group, vxlanPort, from)
}

// floodCount fills the ring of a verifier, 8 MiB, more than twice.
const floodCount = 100_000

// captureDrops floods the target while the verifier there gets no CPU. One flood is enough here: the alert's time is
// hastened, and the five minutes for which the finding stays are not.
func (m *monitoring) captureDrops(t *testing.T, p pair) {
	t.Helper()
	datagram, err := wire.Forgery{VNI: p.vni, Inner: m.w.innerFrame(t, m.w.mustSession(t, p))}.Datagram()
	if err != nil {
		t.Fatal(err)
	}
	pod, err := m.w.verifierPod(t.Context(), ecsTarget)
	if err != nil {
		t.Fatal(err)
	}
	goOn := sync.OnceFunc(func() { m.w.signalContainer(t, pod, "SIGCONT") })
	defer goOn()
	m.w.signalContainer(t, pod, "SIGSTOP")
	flood(t, m.w.sender(t), datagram, floodCount, perSecond)
	goOn()
	m.fires(t, "VPCMirrorCaptureDrops", p.labels(), time.Now())
}

// targetMoves gives the session a target that can keep up, which mends the drops: but the verifier of that node has been
// taken away, as the node has lost its label.
func (m *monitoring) targetMoves(t *testing.T, p pair) {
	t.Helper()
	m.w.kubectl(t, "label", "node", ecsTest, targetLabel+"-")
	m.w.kubectl(t, "delete", "-n", twoSources.namespace, "mirs/"+twoSources.key().Name, "--timeout=170s") // ecs-test is a source of it
	until(t, patience, "ecs-test has no verifier", func(ctx context.Context) error {
		pod, err := m.w.verifierPod(ctx, ecsTest)
		if err == nil {
			return fmt.Errorf("%s is there", pod.Name)
		}
		return nil
	})
	m.w.letIn(t, scenario.WalkthroughTestGroup, "udp", vxlanPort, m.w.address(t, ecsSource).String())
	to := fmt.Sprintf(`{"spec":{"target":{"address":{"ip":%q}}}}`, m.w.address(t, ecsTest))
	m.w.kubectl(t, "patch", "-n", p.namespace, "mirs/"+p.key().Name, "--type=merge", "-p", to)
	moved := time.Now()
	m.ends(t, "VPCMirrorCaptureDrops", p.labels(), moved)
	m.fires(t, "VPCMirrorVerifierMissing", p.labels(), moved)
	m.w.kubectl(t, "label", "node", ecsTest, targetLabel+"=true")
	m.ends(t, "VPCMirrorVerifierMissing", p.labels(), time.Now())
}

// managersGo has no manager run for a while.
func (m *monitoring) managersGo(t *testing.T) {
	t.Helper()
	m.w.kubectl(t, "scale", "-n", system, "deployment/vpcmirror-manager", "--replicas=0")
	m.fires(t, "VPCMirrorNoLeader", nil, time.Now())
	m.w.kubectl(t, "scale", "-n", system, "deployment/vpcmirror-manager", "--replicas=2")
	m.ends(t, "VPCMirrorNoLeader", nil, time.Now())
}

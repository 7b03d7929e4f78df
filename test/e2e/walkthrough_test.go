package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/demo/kernel"
	"vpcmirror.io/operator/test/demo/wire"
)

func inNamespace(name string) client.InNamespace { return client.InNamespace(name) }

// samples are config/samples, for this cloud.
func (w *world) samples(t *testing.T) string {
	t.Helper()
	var all []string
	for _, name := range []string{"credentials.yaml", "mirrorfilter.yaml", "mirrorsession.yaml"} {
		content, err := os.ReadFile(filepath.Join(root, "config/samples", name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.ReplaceAll(string(content), "http://127.0.0.1:8600", w.CloudURL()))
	}
	return strings.Join(all, "\n---\n")
}

// walkthrough is the walkthrough's own pair.
var walkthrough = pair{namespace: "walkthrough", vni: 1}

func playWalkthrough(t *testing.T, w *world) { w.walk(t) }

// walk plays the cloud's own guide on the installed product.
func (w *world) walk(t *testing.T) {
	t.Helper()
	p := walkthrough
	w.makeNamespace(t, p.namespace)
	w.apply(t, w.samples(t), "-n", p.namespace)
	w.waitReady(t, p)
	w.waitCapturing(t, p)
	j := w.watch(t, p)
	l := w.connect(t)
	for _, text := range []string{"hello", "12345"} {
		if err := l.say(text); err != nil {
			t.Fatal(err)
		}
	}
	l.hangUp(t)
	w.sendUncopied(t)
	counted := w.agree(t, p, j, 0)
	if all := j.at(t)[all4789]; all != uint64(counted) {
		t.Errorf("ecs-target received %d datagrams on UDP 4789, only %d are copies of what the filter accepts", all, counted)
	}
	// Three of the handshake and the end at least, and the two lines.
	if counted < 5 {
		t.Errorf("only %d packets were counted", counted)
	}
	w.waitCondition(t, p, v1alpha1.ConditionTrafficObserved, "True", v1alpha1.ReasonPacketsObserved)
	w.checkLastPacket(t, p)
	w.checkOthersSilent(t, p)
	w.checkNothingFound(t, p)
	w.checked(t, "%d copies: kernel of ecs-source = kernel of ecs-target = verifier pod of ecs-target; bytes, unexpected and drops too", counted)
}

// uncopied is how many datagrams are sent that must not be copied.
const uncopied = 13

// sendUncopied sends what the filter does not accept, and sees to it that it reaches
// ecs-source: its security group is opened for it, and the kernel there counts it.
func (w *world) sendUncopied(t *testing.T) {
	t.Helper()
	closeAgain := w.letIn(t, scenario.WalkthroughSourceGroup, "udp", servicePort, "192.168.0.161")
	defer closeAgain()
	arrived := w.kernel(t, ecsSource, "e2e-uncopied", []kernel.Counter{{Name: "datagrams", Fields: []kernel.Field{
		kernel.Protocol(udp), kernel.Source(w.address(t, ecsTest)), kernel.DestinationPort(servicePort),
	}}})
	w.sendUDP(t, ecsTest, "192.168.0.230:1234", uncopied, []byte("no copy of this"))
	until(t, patience, "ecs-source has received what must not be copied", func(context.Context) error {
		counts, err := arrived.Read()
		if err == nil && counts["datagrams"] != uncopied {
			err = fmt.Errorf("%d of %d", counts["datagrams"], uncopied)
		}
		return err
	})
	w.checked(t, "%d UDP datagrams and all answers reached their hosts and were not copied", uncopied)
}

// letIn opens a security group for one sender until the scenario ends. What it returns
// closes it before.
func (w *world) letIn(t *testing.T, group, protocol string, port uint16, from string) (closeAgain func()) {
	t.Helper()
	rule, err := w.Cloud().State.CreateGroupRule(scenario.WalkthroughProject, state.GroupRuleInput{
		GroupID: new(group), Direction: new("ingress"), EtherType: new("IPv4"), Protocol: new(protocol),
		Multiport: new(fmt.Sprint(port)), RemotePrefix: new(from + "/32"),
	})
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	closeAgain = func() {
		if closed {
			return
		}
		closed = true
		if err := w.Cloud().State.DeleteGroupRule(scenario.WalkthroughProject, rule.ID); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(closeAgain)
	return closeAgain
}

func (w *world) checkLastPacket(t *testing.T, p pair) {
	t.Helper()
	entry, err := onlyEntry(w.mustSession(t, p))
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`192\.168\.0\.230\.\d+ > 192\.168\.0\.164\.4789.*192\.168\.0\.161\.\d+ > 192\.168\.0\.230\.1234`)
	if !want.MatchString(entry.LastPacket) {
		t.Errorf("the last packet reads %q, that does not match %s", entry.LastPacket, want)
	}
}

// checkOthersSilent looks whether the verifier pods of the other nodes run, and have
// written nothing.
func (w *world) checkOthersSilent(t *testing.T, p pair) {
	t.Helper()
	for _, node := range []string{ecsSource, ecsTest} {
		until(t, patience, "the verifier pod of "+node+" is ready", func(ctx context.Context) error {
			pod, err := w.verifierPod(ctx, node)
			if err != nil {
				return err
			}
			for _, c := range pod.Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					return nil
				}
			}
			return fmt.Errorf("it is %s", pod.Status.Phase)
		})
	}
	s := w.mustSession(t, p)
	if _, err := onlyEntry(s); err != nil {
		t.Error(err)
	}
	writers := 0
	for _, m := range s.ManagedFields {
		if strings.HasPrefix(m.Manager, "vpcmirror-verifier-") {
			writers++
		}
	}
	if writers != 1 {
		t.Errorf("%d verifiers have written to the session's status, one should", writers)
	}
	w.checked(t, "the two other verifier pods are ready and have written nothing")
}

// innerFrame is the packet of the walkthrough, as the switch would copy it.
func (w *world) innerFrame(t *testing.T, s *v1alpha1.MirrorSession) wire.Frame {
	t.Helper()
	return wire.Frame{
		SourceMAC: "fa:16:3e:7e:d6:77", DestinationMAC: s.Status.Sources[0].MAC,
		Source:      addrPort(w.address(t, ecsTest), 38944),
		Destination: addrPort(w.address(t, ecsSource), servicePort),
		Payload:     []byte("12345\n"),
	}
}

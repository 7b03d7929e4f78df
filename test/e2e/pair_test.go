package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// pair is a filter and a session as in the walkthrough, in a namespace of their own.
type pair struct {
	namespace string
	vni       uint32
	// untaken is whether nothing on ecs-target takes the copies.
	untaken bool
	// name is the session's where it shares its namespace; else that of the samples.
	name string
}

func (p pair) key() client.ObjectKey {
	return client.ObjectKey{Namespace: p.namespace, Name: cmp.Or(p.name, "source-to-target")}
}

// manifests are the samples for this cloud; source and target name the interfaces.
func (w *world) manifests(p pair, source, target string) string {
	return w.secret(p.namespace) + fmt.Sprintf(`---
apiVersion: vpcmirror.io/v1alpha1
kind: MirrorFilter
metadata: {name: to-service, namespace: %[1]s}
spec:
  credentialsRef: {name: huawei-cloud}
  rules:
    - direction: Ingress
      priority: 1
      action: Accept
      etherType: IPv4
      protocol: TCP
      source: {cidr: 192.168.0.161/32}
      destination: {cidr: 192.168.0.230/32, port: 1234}
---
apiVersion: vpcmirror.io/v1alpha1
kind: MirrorSession
metadata: {name: source-to-target, namespace: %[1]s}
spec:
  credentialsRef: {name: huawei-cloud}
  filterRef: {name: to-service}
  sources: [%[2]s]
  target: %[3]s
  vni: %[4]d
`, p.namespace, source, target, p.vni)
}

const (
	bySourceAddress = "{address: {ip: 192.168.0.230}}"
	byTargetAddress = "{address: {ip: 192.168.0.164}}"
)

// makePair applies a pair and waits until the cloud has it and the verifier counts. It
// goes with the test, its namespace too.
func (w *world) makePair(t *testing.T, p pair) {
	t.Helper()
	w.makeNamespace(t, p.namespace)
	w.apply(t, w.manifests(p, bySourceAddress, byTargetAddress))
	w.waitReady(t, p)
	w.waitCapturing(t, p)
}

func (w *world) makeNamespace(t *testing.T, name string) {
	t.Helper()
	w.apply(t, fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s}}", name))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if _, err := w.Kubectl(ctx, "delete", "namespace", name, "--ignore-not-found", "--timeout=170s"); err != nil {
			t.Errorf("removing what the scenario made: %v", err)
		}
	})
}

func (w *world) session(ctx context.Context, p pair) (*v1alpha1.MirrorSession, error) {
	s := &v1alpha1.MirrorSession{}
	return s, w.api.Get(ctx, p.key(), s)
}

// mustSession reads the session now.
func (w *world) mustSession(t *testing.T, p pair) *v1alpha1.MirrorSession {
	t.Helper()
	s, err := w.session(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// conditionIs says how a condition differs from what is wanted.
func conditionIs(s *v1alpha1.MirrorSession, kind string, value metav1.ConditionStatus, reason string) error {
	c := meta.FindStatusCondition(s.Status.Conditions, kind)
	switch {
	case c == nil:
		return fmt.Errorf("it has no condition %s", kind)
	case s.Status.ObservedGeneration != s.Generation:
		return errors.New("nobody has reconciled its spec yet")
	case c.Status != value || (reason != "" && c.Reason != reason):
		return fmt.Errorf("%s is %s, %s: %s", kind, c.Status, c.Reason, c.Message)
	}
	return nil
}

func (w *world) waitCondition(t *testing.T, p pair, kind string, value metav1.ConditionStatus, reason string) {
	t.Helper()
	until(t, patience, fmt.Sprintf("%s of %s is %s, %s", kind, p.namespace, value, reason), func(ctx context.Context) error {
		s, err := w.session(ctx, p)
		if err != nil {
			return err
		}
		return conditionIs(s, kind, value, reason)
	})
}

func (w *world) waitReady(t *testing.T, p pair) {
	t.Helper()
	w.waitCondition(t, p, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSynced)
}

// waitCapturing waits until the verifier of ecs-target counts the session, in its present
// epoch: it has said so in its entry, and the kernel has a packet socket that is bound to an interface there
// (packet(7): the column Iface of /proc/net/packet). From then on a program takes the copies.
func (w *world) waitCapturing(t *testing.T, p pair) {
	t.Helper()
	until(t, patience, "the verifier of ecs-target counts "+p.namespace, func(ctx context.Context) error {
		s, err := w.session(ctx, p)
		if err != nil {
			return err
		}
		entry, err := onlyEntry(s)
		if err != nil {
			return err
		}
		if entry.Interface != "eth0" || entry.Message != "" {
			return fmt.Errorf("it captures at %q and says %q", entry.Interface, entry.Message)
		}
		if entry.Epoch != s.Status.Epoch {
			return fmt.Errorf("it counts in epoch %d, the session is in epoch %d", entry.Epoch, s.Status.Epoch)
		}
		return w.boundSocket()
	})
	if !p.untaken {
		w.takes(t, ecsTarget)
	}
}

func (w *world) boundSocket() error {
	var content []byte
	if err := w.InNode(ecsTarget, func() (err error) {
		content, err = os.ReadFile("/proc/thread-self/net/packet")
		return err
	}); err != nil {
		return err
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] != "0" && fields[4] != "Iface" {
			return nil
		}
	}
	return errors.New("no packet socket is bound on ecs-target")
}

// entry is that of ecs-target in the session of a pair, as it is now; any other node must have none.
func (w *world) entry(ctx context.Context, p pair) (*v1alpha1.Verification, error) {
	s, err := w.session(ctx, p)
	if err != nil {
		return nil, err
	}
	return onlyEntry(s)
}

// onlyEntry is the entry of ecs-target; any other node must have none.
func onlyEntry(s *v1alpha1.MirrorSession) (*v1alpha1.Verification, error) {
	if len(s.Status.Verification) != 1 || s.Status.Verification[0].Node != ecsTarget {
		var nodes []string
		for _, e := range s.Status.Verification {
			nodes = append(nodes, e.Node)
		}
		return nil, fmt.Errorf("verifiers of these nodes report, and only %s's should: %v", ecsTarget, nodes)
	}
	return &s.Status.Verification[0], nil
}

// verifierPod is the living verifier pod of a node.
func (w *world) verifierPod(ctx context.Context, node string) (*corev1.Pod, error) {
	pods, err := w.pods(ctx, "verifier")
	if err != nil {
		return nil, err
	}
	for i := range pods {
		if pods[i].Spec.NodeName == node && pods[i].DeletionTimestamp == nil {
			return &pods[i], nil
		}
	}
	return nil, fmt.Errorf("%s has no verifier pod", node)
}

func (w *world) pods(ctx context.Context, component string) ([]corev1.Pod, error) {
	var pods corev1.PodList
	err := w.api.List(ctx, &pods, client.InNamespace(system), client.MatchingLabels{"app.kubernetes.io/component": component})
	return pods.Items, err
}

// gone reports whether an object is no more.
func (w *world) gone(ctx context.Context, o client.Object, key client.ObjectKey) error {
	err := w.api.Get(ctx, key, o)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%s is still there, with the finalizers %v", key, o.GetFinalizers())
}

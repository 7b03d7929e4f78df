package e2e

import (
	"context"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

func addrPort(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

// playNamespace deletes a namespace with all that is in it. The Secret must not go before
// what is cleaned up with it.
func playNamespace(t *testing.T, w *world) {
	p := pair{namespace: "team-a", vni: 20}
	w.makePair(t, p)
	if err := w.cloudHolds(1, 1); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w.kubectl(t, "delete", "namespace", p.namespace, "--timeout=170s")
	until(t, patience, "the namespace is gone", func(ctx context.Context) error {
		return w.gone(ctx, &corev1.Namespace{}, client.ObjectKey{Name: p.namespace})
	})
	if err := w.cloudHolds(0, 0); err != nil {
		t.Error(err)
	}
	w.checked(t, "kubectl delete namespace ended after %.1f s; the cloud has no filter and no session", time.Since(began).Seconds())
}

// playNodeNames names nodes in place of addresses.
func playNodeNames(t *testing.T, w *world) {
	p := pair{namespace: "by-node", vni: 30}
	w.makeNamespace(t, p.namespace)
	w.apply(t, w.manifests(p, "{nodeName: ecs-source}", "{nodeName: ecs-target}"))
	w.waitReady(t, p)
	w.waitCapturing(t, p)
	s := w.mustSession(t, p)
	for _, got := range []v1alpha1.ResolvedInterface{s.Status.Sources[0], s.Status.Target.ResolvedInterface} {
		node, err := w.Node(got.NodeName)
		if err != nil {
			t.Fatal(err)
		}
		if got.InterfaceID != node.InterfaceID {
			t.Errorf("%s was resolved to the interface %s, it has %s", got.NodeName, got.InterfaceID, node.InterfaceID)
		}
	}
	if s.Status.Sources[0].NodeName != ecsSource || s.Status.Target.NodeName != ecsTarget {
		t.Errorf("source and target are on %s and %s", s.Status.Sources[0].NodeName, s.Status.Target.NodeName)
	}
	j := w.watch(t, p)
	l := w.connect(t)
	if err := l.say("12345"); err != nil {
		t.Fatal(err)
	}
	l.hangUp(t)
	w.checked(t, "the nodes' interfaces were found; %d copies counted as the kernel did", w.agree(t, p, j, 0))
}

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// joining is a Node object for ecs-source's server as a cloud's own kubelet would register it: it says which
// server it is, and no address.
const joining = `apiVersion: v1
kind: Node
metadata: {name: joining, labels: {e2e-pool: "yes"}}
spec: {providerID: "huaweicloud://%s", unschedulable: true}
`

// playPool lets a node join the selection of a session and leave it, both under traffic.
func playPool(t *testing.T, w *world) {
	p := pair{namespace: "pool", vni: 31}
	w.makeNamespace(t, p.namespace)
	w.kubectl(t, "label", "node", ecsTest, "e2e-pool=yes")
	defer w.kubectl(t, "label", "node", ecsTest, "e2e-pool-")
	w.apply(t, w.manifests(p, "{nodeSelector: {matchLabels: {e2e-pool: 'yes'}}}", "{nodeName: ecs-target}"))
	w.waitReady(t, p)
	w.waitSources(t, p, ecsTest)
	w.waitCapturing(t, p)

	l := w.connect(t)
	if err := l.say("before it joins"); err != nil {
		t.Fatal(err)
	}
	w.apply(t, fmt.Sprintf(joining, w.serverOf(t, ecsSource)))
	defer w.kubectl(t, "delete", "node", "joining", "--ignore-not-found")
	w.waitSources(t, p, ecsSource, ecsTest)
	w.waitReady(t, p)
	w.waitCapturing(t, p)
	j := w.watch(t, p)
	if err := l.say("12345"); err != nil {
		t.Fatal(err)
	}
	counted := w.agree(t, p, j, 0)

	w.kubectl(t, "delete", "node", "joining") // the server stays, and goes on talking
	w.waitSources(t, p, ecsTest)
	w.waitReady(t, p)
	before := j.at(t)[copies]
	if err := l.say("after it has left"); err != nil {
		t.Fatal(err)
	}
	l.hangUp(t)
	if after := j.at(t)[copies]; after != before {
		t.Errorf("%d copies came of a node that had left", after-before)
	}
	w.checked(t, "a node joined and %d copies of its traffic were counted; it left, and no more came", counted)
}

// waitSources waits until the cloud copies from the interfaces of these nodes and no others, and the status says so.
func (w *world) waitSources(t *testing.T, p pair, nodes ...string) {
	t.Helper()
	var want []string
	for _, name := range nodes {
		n, err := w.Node(name)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, n.InterfaceID)
	}
	slices.Sort(want)
	until(t, patience, fmt.Sprintf("the cloud copies from %v", nodes), func(ctx context.Context) error {
		s, err := w.session(ctx, p)
		if err != nil {
			return err
		}
		if !s.InCloud() {
			return errors.New("the cloud has no session")
		}
		have := slices.Sorted(slices.Values(w.Cloud().State.Snapshot().Sessions[s.Status.Sessions[0].ID].Sources))
		if !slices.Equal(have, want) {
			return fmt.Errorf("it copies from %v, want %v", have, want)
		}
		// The spec is the same as before, so only this tells that the status speaks of it.
		if said := slices.Sorted(slices.Values(s.Status.Sessions[0].Sources)); !slices.Equal(said, want) {
			return fmt.Errorf("the status says that it copies from %v, want %v", said, want)
		}
		return nil
	})
}

// serverOf is the ID of a node's server in the cloud.
func (w *world) serverOf(t *testing.T, node string) string {
	t.Helper()
	n, err := w.Node(node)
	if err != nil {
		t.Fatal(err)
	}
	return w.Cloud().State.Snapshot().Ports[n.InterfaceID].ServerID
}

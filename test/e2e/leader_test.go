package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/test/cloudsim/fault"
)

// leader is the pod that leads.
func (w *world) leader(ctx context.Context) (*corev1.Pod, error) {
	var lease coordinationv1.Lease
	if err := w.api.Get(ctx, client.ObjectKey{Namespace: system, Name: "vpcmirror-manager"}, &lease); err != nil {
		return nil, err
	}
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		return nil, fmt.Errorf("nobody leads")
	}
	name, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
	pod := &corev1.Pod{}
	return pod, w.api.Get(ctx, client.ObjectKey{Namespace: system, Name: name}, pod)
}

// playLeader kills the leading manager with SIGKILL while the cloud has made a session
// and not answered yet, so that nobody has its ID.
func playLeader(t *testing.T, w *world) {
	p := pair{namespace: "leader", vni: 60}
	w.makeNamespace(t, p.namespace)
	var leader *corev1.Pod
	until(t, patience, "a manager leads", func(ctx context.Context) (err error) {
		leader, err = w.leader(ctx)
		return err
	})
	slow, since := w.Cloud().Faults, w.Cloud().Journal.Last()
	id, err := slow.Add(fault.Fault{Kind: fault.Slow, Operation: "CreateTrafficMirrorSession", Times: 1, Delay: fault.Duration(20 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slow.Remove(id) })
	w.apply(t, w.manifests(p, bySourceAddress, byTargetAddress))
	until(t, patience, "the cloud has made the session", func(context.Context) error { return w.cloudHolds(1, 1) })
	w.killContainer(t, leader)
	killed := time.Now()
	w.kubectl(t, "delete", "pod", "-n", system, leader.Name, "--grace-period=0", "--force", "--wait=false")
	if s := w.mustSession(t, p); len(s.Status.Sessions) > 0 {
		t.Fatalf("the manager had the ID already, so nothing is proved: %+v", s.Status.Sessions)
	}
	w.waitReady(t, p)
	took := time.Since(killed)
	if err := w.cloudHolds(1, 1); err != nil {
		t.Error(err)
	}
	s := w.mustSession(t, p)
	if got := w.cloudSessions()[0].ID; len(s.Status.Sessions) != 1 || s.Status.Sessions[0].ID != got {
		t.Errorf("the status has %+v, the cloud %s", s.Status.Sessions, got)
	}
	creates := 0
	for _, e := range w.Cloud().Journal.Writes(since) {
		if e.Method == http.MethodPost && strings.HasSuffix(e.Path, "/traffic-mirror-sessions") {
			creates++
		}
	}
	if creates != 1 {
		t.Errorf("the cloud was asked %d times to create a session", creates)
	}
	until(t, patience, "another manager leads", func(ctx context.Context) error {
		next, err := w.leader(ctx)
		if err == nil && next.UID == leader.UID {
			err = fmt.Errorf("it is still %s", next.Name)
		}
		return err
	})
	w.waitForPods(t)
	w.checked(t, "Ready %.1f s after the kill; the cloud has one session, which is the one that was made before the kill; the cloud was asked for one create", took.Seconds())
}

// killContainer ends a pod's process at once.
func (w *world) killContainer(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	w.signalContainer(t, pod, "SIGKILL")
}

// signalContainer sends a pod's process a signal, past Kubernetes.
func (w *world) signalContainer(t *testing.T, pod *corev1.Pod, signal string) {
	t.Helper()
	id := strings.TrimPrefix(pod.Status.ContainerStatuses[0].ContainerID, "containerd://")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	command, err := w.Command(ctx, pod.Spec.NodeName, "ctr", "-n", "k8s.io", "tasks", "kill", "-s", signal, id)
	if err != nil {
		t.Fatal(err)
	}
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("sending %s the signal %s: %v: %s", pod.Name, signal, err, said)
	}
}

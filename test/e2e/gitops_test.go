package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	kstatus "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// gitops is the field manager of a tool that applies what Git has.
const gitops = "--field-manager=gitops"

// playGitOps applies twice what Git has, and lets kstatus judge each version of a session
// from its creation to its deletion.
func playGitOps(t *testing.T, w *world) {
	p := pair{namespace: "gitops", vni: 120}
	w.makeNamespace(t, p.namespace)
	w.apply(t, w.secret(p.namespace))
	verdicts := w.judgeVersions(t, p)

	objects := w.manifests(p, bySourceAddress, byTargetAddress)
	w.apply(t, objects, "--server-side", gitops, "--force-conflicts")
	w.waitReady(t, p)
	verdicts.wait(t, "create", kstatus.CurrentStatus)
	w.waitCapturing(t, p)
	j := w.watch(t, p)
	w.sayOnce(t)
	w.agree(t, p, j, 0) // from here on nobody writes to the status, which would be a difference
	w.waitCondition(t, p, v1alpha1.ConditionTrafficObserved, "True", "")
	w.noDiff(t, objects)

	w.apply(t, strings.Replace(objects, "vni: 120", "vni: 121", 1), "--server-side", gitops)
	w.waitReady(t, p)
	verdicts.wait(t, "update", kstatus.CurrentStatus)
	// The API server can't know that this node has the source's address.
	w.apply(t, strings.Replace(objects, "target: "+byTargetAddress, "target: {nodeName: ecs-source}", 1), "--server-side", gitops)
	verdicts.wait(t, "failure", kstatus.FailedStatus)
	w.apply(t, objects, "--server-side", gitops)
	w.waitReady(t, p)
	verdicts.wait(t, "repair", kstatus.CurrentStatus)
	w.kubectl(t, "delete", "-n", p.namespace, "mirs/source-to-target", "--timeout=170s")
	verdicts.wait(t, "deletion", kstatus.TerminatingStatus)

	w.noDiffOfInstallation(t)
	w.checked(t, "kstatus through create, update, failure, repair, deletion: %s", strings.Join(verdicts.said, ", "))
}

// noDiff applies again and looks whether anything changed or would change.
func (w *world) noDiff(t *testing.T, manifests string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	said, err := w.KubectlWith(ctx, manifests, "diff", "--server-side", gitops, "-f", "-")
	if err != nil || said != "" {
		t.Errorf("kubectl diff: %v\n%s", err, said)
	}
	w.apply(t, manifests, "--server-side", gitops)
	w.checked(t, "filter, session and Secret applied twice by another field manager: no diff, no conflict")
}

// noDiffOfInstallation does the same with the whole installation.
func (w *world) noDiffOfInstallation(t *testing.T) {
	t.Helper()
	w.kubectl(t, "apply", "--server-side", gitops, "--force-conflicts", "-k", w.overlay)
	before := w.kubectl(t, "get", "deploy,ds,cm,sa,role,rolebinding,netpol,pdb", "-n", system, "-o", "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation}\n{end}")
	said, err := w.tryKubectl(t, patience, "diff", "--server-side", gitops, "-k", w.overlay)
	if err != nil || said != "" {
		t.Errorf("kubectl diff of the installation: %v\n%s", err, said)
	}
	w.kubectl(t, "apply", "--server-side", gitops, "-k", w.overlay)
	after := w.kubectl(t, "get", "deploy,ds,cm,sa,role,rolebinding,netpol,pdb", "-n", system, "-o", "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation}\n{end}")
	if before != after {
		t.Errorf("applying twice changed the installation:\n%s\n%s", before, after)
	}
	w.checked(t, "the whole installation applied twice by another field manager: no diff")
}

// verdicts are what kstatus says of every version of a session.
type verdicts struct {
	events chan kstatus.Status
	said   []string
}

func (w *world) judgeVersions(t *testing.T, p pair) *verdicts {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MirrorSessionList"))
	stream, err := w.api.Watch(t.Context(), list, client.InNamespace(p.namespace))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stream.Stop)
	v := &verdicts{events: make(chan kstatus.Status, 1000)}
	go func() {
		defer close(v.events)
		for event := range stream.ResultChan() {
			u, ok := event.Object.(*unstructured.Unstructured)
			if !ok {
				continue
			}
			if verdict, err := verdictOf(u); err != nil {
				t.Errorf("kstatus can't judge version %s: %v", u.GetResourceVersion(), err)
			} else {
				v.events <- verdict
			}
		}
	}()
	return v
}

// verdictOf reads an object as a client gets it, with numbers decoded by this method.
func verdictOf(u *unstructured.Unstructured) (kstatus.Status, error) {
	text, err := u.MarshalJSON()
	if err != nil {
		return "", err
	}
	fresh := &unstructured.Unstructured{}
	if err := fresh.UnmarshalJSON(text); err != nil {
		return "", err
	}
	result, err := kstatus.Compute(fresh)
	if err != nil {
		return "", err
	}
	return result.Status, nil
}

// wait takes verdicts until the wanted one comes. Before it only InProgress may come, and
// what was the last one: nothing flickers.
func (v *verdicts) wait(t *testing.T, step string, want kstatus.Status) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	var seen []kstatus.Status
	changed := false
	for {
		select {
		case <-deadline.C:
			t.Fatalf("%s: kstatus never said %s after its change, only %v", step, want, seen)
		case got, more := <-v.events:
			if !more {
				t.Fatalf("%s: the watch ended; seen were %v", step, seen)
			}
			if len(seen) == 0 || seen[len(seen)-1] != got {
				seen = append(seen, got)
			}
			changed = changed || got == kstatus.InProgressStatus || got == kstatus.TerminatingStatus
			if got == want && changed {
				v.said = append(v.said, fmt.Sprintf("%s %v", step, seen))
				checkSteady(t, step, seen, want)
				return
			}
		}
	}
}

func checkSteady(t *testing.T, step string, seen []kstatus.Status, want kstatus.Status) {
	t.Helper()
	for i, s := range seen {
		if s != want && s != kstatus.InProgressStatus && i > 0 && !slices.Contains(seen[:i], s) {
			t.Errorf("%s: kstatus said %v on the way to %s", step, seen, want)
		}
	}
}

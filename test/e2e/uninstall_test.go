package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// playRightOrder removes the objects first, and then the product.
func playRightOrder(t *testing.T, w *world) {
	p := pair{namespace: "right-order", vni: 100}
	w.makePair(t, p)
	w.kubectl(t, "delete", "mirs,mirf", "--all", "-A", "--timeout=170s")
	if err := w.cloudHolds(0, 0); err != nil {
		t.Error(err)
	}
	w.uninstall(t)
	w.checkUninstalled(t)
	w.checked(t, "kubectl delete mirs,mirf --all -A, then kubectl delete -k: both end, nothing is left in cluster and cloud")
}

// playDefinitionsFirst removes the definitions while a manager runs: the API server then
// deletes every object, and the manager cleans up.
func playDefinitionsFirst(t *testing.T, w *world) {
	p := pair{namespace: "definitions-first", vni: 105}
	w.makePair(t, p)
	w.kubectl(t, "delete", "crd", "mirrorsessions.vpcmirror.io", "mirrorfilters.vpcmirror.io", "--timeout=170s")
	if err := w.cloudHolds(0, 0); err != nil {
		t.Error(err)
	}
	finalizers := w.kubectl(t, "get", "-n", p.namespace, "secret/huawei-cloud", "-o", "jsonpath={.metadata.finalizers}")
	if finalizers != "" {
		t.Errorf("the Secret still has the finalizers %s", finalizers)
	}
	w.uninstall(t)
	w.checkUninstalled(t)
	w.checked(t, "kubectl delete crd with a running manager ends, the cloud is empty, the Secret is let go")
}

// uninstall is what the README says to do last.
func (w *world) uninstall(t *testing.T) {
	t.Helper()
	w.kubectl(t, "delete", "-k", w.overlay, "--ignore-not-found", "--timeout=170s")
	w.by = ""
}

func (w *world) checkUninstalled(t *testing.T) {
	t.Helper()
	until(t, patience, "nothing of the product is left", func(ctx context.Context) error {
		left, err := w.Kubectl(ctx, "get",
			"crd,clusterrole,clusterrolebinding,namespace,validatingadmissionpolicy,validatingadmissionpolicybinding", "-o", "name")
		if err != nil {
			return err
		}
		var ours []string
		for name := range strings.Lines(left) {
			if strings.Contains(name, "vpcmirror") {
				ours = append(ours, strings.TrimSpace(name))
			}
		}
		if len(ours) > 0 {
			return errors.New(strings.Join(ours, ", "))
		}
		return nil
	})
}

// playWrongOrder removes the manager first and then everything else at once, CRDs
// included. What waits then says where to look, and the documented way out works:
// install again, and it goes by itself; or give the cloud's objects up.
func playWrongOrder(t *testing.T, w *world) {
	p, q := pair{namespace: "wrong-order", vni: 110}, pair{namespace: "given-up", vni: 111}
	w.makePair(t, p)
	// Two sessions of one source need two priorities; the cloud has both.
	w.makeNamespace(t, q.namespace)
	w.apply(t, w.manifests(q, bySourceAddress, byTargetAddress))
	w.waitReady(t, q)

	w.kubectl(t, "delete", "-n", system, "deployment/vpcmirror-manager", "--timeout=170s")
	until(t, patience, "no manager runs", func(ctx context.Context) error {
		pods, err := w.pods(ctx, "manager")
		if err == nil && len(pods) > 0 {
			err = errors.New("a pod is still there")
		}
		return err
	})
	w.waitsWithAWord(t)
	w.giveUp(t, q)
	began := time.Now()
	w.kubectl(t, "apply", "--server-side", "-k", w.overlay)
	until(t, patience, "the new manager has cleaned up and the definitions are gone", func(ctx context.Context) error {
		return errors.Join(w.cloudHolds(1, 1), w.gone(ctx, definition(), client.ObjectKey{Name: "mirrorsessions.vpcmirror.io"}))
	})
	took := time.Since(began)
	w.uninstall(t)
	w.checkUninstalled(t)
	// What was given up is the user's now.
	project := w.cloudSessions()[0].ProjectID
	for _, s := range w.cloudSessions() {
		if err := w.Cloud().State.DeleteSession(project, s.ID); err != nil {
			t.Error(err)
		}
	}
	for id := range w.Cloud().State.Snapshot().Filters {
		if err := w.Cloud().State.DeleteFilter(project, id); err != nil {
			t.Error(err)
		}
	}
	w.checked(t, "manager first, then CRDs: kubectl waits, and its warning says why and what to do; installing again ended it in %.0f s; removing the finalizers by kubectl patch ends it without a manager and leaves the cloud's objects, marked", took.Seconds())
}

func definition() *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{}
}

// waitsWithAWord deletes the definitions without a manager. kubectl waits, and has said
// why and what to do.
func (w *world) waitsWithAWord(t *testing.T) {
	t.Helper()
	_, err := w.tryKubectl(t, patience, "delete", "crd", "mirrorsessions.vpcmirror.io", "mirrorfilters.vpcmirror.io", "--timeout=5s")
	if err == nil {
		t.Fatal("the definitions went although the cloud still has what they stand for")
	}
	for _, word := range []string{"Warning:", "kubectl get mirs,mirf -A", "install it again", "remove the finalizers"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("kubectl waits and doesn't say what to do (%q is missing): %v", word, err)
		}
	}
	for name, kind := range map[string]string{"wrong-order": "mirs/source-to-target", "given-up": "mirf/to-service"} {
		if left := w.kubectl(t, "get", "-n", name, kind, "-o", "jsonpath={.metadata.finalizers}"); !strings.Contains(left, v1alpha1.Finalizer) {
			t.Errorf("%s in %s waits for %q", kind, name, left)
		}
	}
}

// giveUp removes the finalizers by hand, as the README says for when no manager can be
// had any more.
func (w *world) giveUp(t *testing.T, p pair) {
	t.Helper()
	for _, object := range []string{"mirs/source-to-target", "mirf/to-service", "secret/huawei-cloud"} {
		w.kubectl(t, "patch", "-n", p.namespace, object, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
	}
	w.kubectl(t, "delete", "namespace", p.namespace, "--timeout=170s")
	until(t, patience, "the namespace is gone", func(ctx context.Context) error {
		return w.gone(ctx, &corev1.Namespace{}, client.ObjectKey{Name: p.namespace})
	})
	if err := w.cloudHolds(2, 2); err != nil {
		t.Error(err)
	}
	for _, s := range w.cloudSessions() {
		if !strings.Contains(s.Description, "[vpcmirror ") {
			t.Errorf("the cloud's session %s has no mark by which to find it: %q", s.Name, s.Description)
		}
	}
}

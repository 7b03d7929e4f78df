// Package logs_test runs the real programs from nothing to their end, as an installation does, and reads
// their logs. It has a control plane of its own, because a manager watches every namespace.
//
// It may import api, test/cloudsim, test/env and test/integration/harness.
package logs_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/env/need"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestMain(m *testing.M) { env.Main(m) }

// TestManagersFromNothingToTheirEndLogNothingThatAlarms begins two managers at the same moment,
// where there is no lease yet: both ask for it, and only one gets it. The kubelet asks whether they
// are ready before their caches are.
func TestManagersFromNothingToTheirEndLogNothingThatAlarms(t *testing.T) {
	w := harness.New(t)
	asked := make(chan struct{})
	both := make(chan struct{})
	leases := 0
	api := before(t, w.Cluster.Config, func(r *http.Request) <-chan struct{} {
		switch {
		case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/leases"):
			if leases++; leases == 2 {
				close(both)
			}
			return both
		case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/mirrorsessions"):
			return asked
		}
		return nil
	})
	path := harness.BuildManager(t)
	args := []string{
		"--kubeconfig=" + api.kubeconfig, "--allowed-endpoints=" + w.Cloud.URL, "--verifier-namespace=" + w.Namespace,
		"--leader-elect", "--leader-election-namespace=" + w.Namespace,
	}
	one, other := start(t, path, args...), start(t, path, args...)
	probed := sync.OnceFunc(func() { close(asked) })
	one.probe(probed)
	other.probe(probed)

	filter, session := w.Pair("mirror")
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) {
		f.Spec.Rules = append(f.Spec.Rules, harness.Rule(2))
	})
	harness.Ready(w, filter)
	w.Delete(filter) // which waits for the session
	w.Delete(session)
	w.Gone(session)
	w.Gone(filter)

	var found []string
	for _, p := range []*program{one, other} {
		found = append(found, troubling(p.stop())...)
	}
	harness.Same(t, "lines that alarm", nil, found, cmpopts.EquateEmpty())
}

func TestAVerifierFromNothingToItsEndLogsNothingThatAlarms(t *testing.T) {
	need.Root(t)
	w := harness.New(t)
	asked := make(chan struct{})
	api := before(t, w.Cluster.Config, func(r *http.Request) <-chan struct{} {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/mirrorsessions") {
			return asked
		}
		return nil
	})
	p := start(t, harness.BuildVerifier(t), "run", "--kubeconfig="+api.kubeconfig, "--node-name=ecs-target", "--lease-namespace="+w.Namespace)
	p.probe(sync.OnceFunc(func() { close(asked) }))
	harness.Same(t, "lines that alarm", nil, troubling(p.stop()), cmpopts.EquateEmpty())
}

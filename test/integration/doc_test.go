// Package integration_test shows the reconcilers at work: the manager's real wiring, a
// real API server and a simulated cloud over HTTP. Each test has a namespace, a cloud
// and a manager of its own and all share one control plane.
//
// Files with the build tag !oldest are left out where make test-oldest plays the rest on the oldest Kubernetes. They
// are those whose tests vary the cloud, its account or the time, and that ask of the API server only what every other
// file asks too: to store objects, to hand on changes, to take a status. What is about field managers, finalizers,
// definitions, defaults, rights, policies or sizes has no tag, and neither has a file whose functions such a one calls.
//
// It may import everything of ours.
package integration_test

import (
	"flag"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/test/env"
)

func TestMain(m *testing.M) {
	// Each manager has a log of its own.
	log.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	// Most tests wait most of the time, so the number of cores is no measure.
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	env.Main(m)
}

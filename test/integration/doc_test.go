// Package integration_test shows the reconcilers at work: the manager's real wiring, a
// real API server and a simulated cloud over HTTP. Each test has a namespace, a cloud
// and a manager of its own and all share one control plane.
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

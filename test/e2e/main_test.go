package e2e

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/test/e2e/lab"
	"vpcmirror.io/operator/test/env/need"
)

// TestMain lets the tests run only where they are asked for: they take the machine's only
// lab, and a quarter of an hour.
func TestMain(m *testing.M) {
	if os.Getenv("VPCMIRROR_E2E") != "1" {
		fmt.Fprintln(os.Stdout, "skipped: these tests start a real cluster on this machine; make e2e runs them (or VPCMIRROR_E2E=1 go test, as root)")
		return
	}
	klog.SetLogger(logr.Discard()) // what client-go would log is in our own errors
	ctrllog.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// labWait is how long the test waits for the machine's only lab.
const labWait = 30 * time.Minute

// TestTheProductOnThreeRealNodes plays the scenarios in their order on one cluster; the
// product stays installed from one to the next.
func TestTheProductOnThreeRealNodes(t *testing.T) {
	w := newWorld(t)
	for _, s := range []struct {
		sentence string
		play     func(*testing.T, *world)
		// bare says that it installs the product itself.
		bare bool
	}{
		{"installed by kustomize the walkthrough is counted on ecs-target and nowhere else", playWalkthrough, false},
		{"a namespace with filter session and Secret is deleted whole and the cloud is empty", playNamespace, false},
		{"source and target are given by node name", playNodeNames, false},
		{"a node joins a selection and leaves it under traffic", playPool, false},
		{"behind a load balancer each node counts its share and the session their sum", playLoadBalancer, false},
		{"of two sources the silent one is named and full frames are told truncated", playSilence, false},
		{"a probe of a quiet session arrives and is counted apart", playProbe, false},
		{"packets are seen by who has the Role for it and the count suffers from no tail", playTail, false},
		{"kubectl wait after an edit of the target waits for copies at the new one", playNewTarget, false},
		{"what Terraform has made is observed and then taken over without a packet lost", playImported, false},
		{"the verifier pod is deleted under traffic and totals never fall", playRestart, false},
		{"the API server is away for a minute under traffic and nothing is lost", playOutage, false},
		{"the leading manager is killed in the middle of a create and the cloud has one object", playLeader, false},
		{"the target node dies and comes back", playNodeDeath, false},
		{"the node has a VXLAN device on UDP 4789 of its own and the verifier counts all the same", playOverlay, false},
		{"manifests applied twice give no diff and kstatus judges live objects", playGitOps, false},
		{"fifty thousand copies per second are counted within the bounds of memory", playLoad, false},
		{"the definitions are deleted first and the manager cleans up", playDefinitionsFirst, false},
		{"uninstalled in the wrong order it waits and the documented way out works", playWrongOrder, false},
		{"uninstalled in the right order nothing is left", playRightOrder, false},
		{"installed by Helm the walkthrough is counted on ecs-target and nowhere else", playHelm, true},
		{"what is broken fires its alert in a Prometheus beside the cluster and what is mended ends it", playAlerts, true},
		{"uninstalled by Helm the definitions are kept", playHelmUninstall, true},
	} {
		t.Run(s.sentence, func(t *testing.T) {
			w.begin(t, s.sentence)
			defer w.explainFailure(t)
			if !s.bare {
				w.ensureInstalled(t)
			}
			s.play(t, w)
		})
	}
}

// skipUnlessAble skips the test where this machine or user lacks something.
func skipUnlessAble(t *testing.T, err error) {
	t.Helper()
	var lacking *lab.NeedError
	if errors.As(err, &lacking) {
		need.Skip(t, lacking.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
}

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/e2e/lab"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/env/need"
)

// root is the project's folder; go test runs in the package's own.
const root = "../.."

// system is the namespace of the installation.
const system = "vpcmirror-system"

// The walkthrough's hosts.
const (
	ecsSource, ecsTest, ecsTarget = "ecs-source", "ecs-test", "ecs-target"
)

// world is the cluster with the product on it.
type world struct {
	*lab.Lab
	api     client.WithWatch
	tag     string // of both images
	overlay string // the kustomize folder that is applied
	by      string // kustomize, Helm, or empty: who has installed it now
	report  *report
	// taken are the nodes on which a program takes the copies.
	taken map[string]bool
	// senderNamespace is what sender returns, once there is one.
	senderNamespace string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	images := archives(t)
	l, err := lab.Up(t.Context(), lab.Options{Wait: labWait, Progress: t.Output()})
	skipUnlessAble(t, err)
	w := &world{Lab: l, report: newReport(t), taken: map[string]bool{}}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Error(err)
		}
	})
	scheme, err := env.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	if w.api, err = client.NewWithWatch(l.Config(), client.Options{Scheme: scheme}); err != nil {
		t.Fatalf("making a client of the API server: %v", err)
	}
	for _, archive := range images {
		names, err := l.LoadImage(t.Context(), archive)
		if err != nil {
			t.Fatal(err)
		}
		_, w.tag, _ = strings.Cut(strings.TrimPrefix(names[0], "localhost/vpcmirror/"), ":")
	}
	w.writeOverlay(t)
	return w
}

// archives are the two images that `make images` builds.
func archives(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, program := range []string{"manager", "verifier"} {
		path := filepath.Join(root, "bin/images", program+".tar")
		if _, err := os.Stat(path); err != nil {
			need.Skip(t, "it needs "+strings.TrimPrefix(path, root+"/")+": run `make images` (a minute)")
		}
		out = append(out, path)
	}
	return out
}

// patience is the deadline of what should take seconds; waits that are handed to kubectl
// and helm end a little before. It is long because a busy machine is no failure.
const patience = 3 * time.Minute

// until asks again and again, and fails the test when the answer stays an error.
func until(t *testing.T, limit time.Duration, what string, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	last := errors.New("it was never asked")
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		if deadline, _ := ctx.Deadline(); time.Now().Before(deadline) {
			last = err // afterwards it would only say that the time is over
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s until %s, in vain: %v", limit, what, last)
		case <-tick.C:
		}
	}
}

// kubectl runs kubectl as administrator within a deadline, and fails the test when it
// fails.
func (w *world) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	said, err := w.tryKubectl(t, patience, args...)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

func (w *world) tryKubectl(t *testing.T, limit time.Duration, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	said, err := w.Kubectl(ctx, args...)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("it had not ended after %s: %w", limit, err)
	}
	return said, err
}

func (w *world) apply(t *testing.T, manifests string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := w.KubectlWith(ctx, manifests, append([]string{"apply", "-f", "-"}, args...)...); err != nil {
		t.Fatal(err)
	}
}

// cloudHolds compares how many sessions and filters the cloud has.
func (w *world) cloudHolds(sessions, filters int) error {
	now := w.Cloud().State.Snapshot()
	if len(now.Sessions) != sessions || len(now.Filters) != filters {
		return fmt.Errorf("the cloud has %d sessions and %d filters, wanted are %d and %d", len(now.Sessions), len(now.Filters), sessions, filters)
	}
	return nil
}

// cloudSessions returns the cloud's sessions.
func (w *world) cloudSessions() []state.Session {
	var out []state.Session
	now := w.Cloud().State.Snapshot()
	for _, s := range now.Sessions {
		out = append(out, s)
	}
	return out
}

// secret is the Secret of the samples for this cloud.
func (w *world) secret(namespace string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: huawei-cloud, namespace: %s}
stringData:
  accessKey: %s
  secretKey: %s
  region: %s
  projectID: %q
  endpoint: %s
`, namespace, scenario.WalkthroughAccessKey, scenario.WalkthroughSecretKey, scenario.WalkthroughRegion, scenario.WalkthroughProject, w.CloudURL())
}

package scale

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/test/bench/cluster"
	"vpcmirror.io/operator/test/cloudsim/scenario"
)

// stage is a control plane and a cloud of their own, and the manager between them.
type stage struct {
	*cluster.Cluster
	layout
	options Options
	name    string
	out     io.Writer
	cloud   *cloudProcess
	manager *manager
}

// newStage starts everything but the manager. Close ends it all, also after an error.
func newStage(ctx context.Context, o Options, l layout, name string, out io.Writer) (*stage, error) {
	s := &stage{layout: l, options: o, name: name, out: out}
	var err error
	if s.Cluster, err = cluster.New(ctx, "manager"); err != nil {
		return s, err
	}
	if err := s.startCloud(ctx); err != nil {
		return s, err
	}
	return s, s.prepare(ctx)
}

func (s *stage) startCloud(ctx context.Context) error {
	file := s.Path("scenario.yaml")
	if err := os.WriteFile(file, []byte(s.scenario()), 0o600); err != nil {
		return fmt.Errorf("write the cloud's scenario: %w", err)
	}
	address, err := cluster.FreeAddress()
	if err != nil {
		return err
	}
	p, err := s.Start(filepath.Join(s.options.Programs, "cloudsim"), "", nil, "serve", "--listen", address, "--scenario", file)
	if err != nil {
		return err
	}
	s.cloud = &cloudProcess{url: "http://" + address}
	if err := cluster.Ready(ctx, p, http.DefaultClient, s.cloud.url+"/_sim/health"); err != nil {
		return err
	}
	return s.cloud.slow(ctx)
}

// prepare makes the namespace of the objects, and the Secret.
func (s *stage) prepare(ctx context.Context) error {
	if err := s.API.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		return fmt.Errorf("make the namespace %s: %w", namespace, err)
	}
	if err := s.API.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: secretName}, StringData: map[string]string{
		"accessKey": scenario.WalkthroughAccessKey, "secretKey": scenario.WalkthroughSecretKey, "projectID": scenario.WalkthroughProject,
		"region": scenario.WalkthroughRegion, "endpoint": s.cloud.url,
	}}); err != nil {
		return fmt.Errorf("make the Secret: %w", err)
	}
	return nil
}

func (s *stage) stopManager() error {
	if s.manager == nil {
		return nil
	}
	return s.manager.process.Stop()
}

// startManager starts the manager, or starts it anew, and returns when its caches are filled.
func (s *stage) startManager(ctx context.Context, with settings) error {
	if err := s.stopManager(); err != nil {
		return err
	}
	health, err := cluster.FreeAddress()
	if err != nil {
		return err
	}
	metrics, err := cluster.FreeAddress()
	if err != nil {
		return err
	}
	p, err := s.Start(filepath.Join(s.options.Programs, "manager"), "", []string{s.memoryLimit()}, append([]string{
		"--kubeconfig", s.Kubeconfig, "--health-probe-bind-address", health, "--metrics-bind-address", metrics,
		"--allowed-endpoints", s.cloud.url, "--verifier-namespace", cluster.SystemNamespace,
	}, with.flags()...)...)
	if err != nil {
		return err
	}
	s.manager = &manager{process: p, metrics: metrics, began: time.Now()}
	return cluster.Ready(ctx, p, http.DefaultClient, "http://"+health+"/readyz")
}

// memoryLimit is what the chart says of so many objects: four fifths of a limit of 96 MiB and 20 KiB for each.
func (l layout) memoryLimit() string {
	return fmt.Sprintf("GOMEMLIMIT=%dMiB", (96<<10+20*(l.sessions+l.filters()))*4/5>>10)
}

// say tells what goes on.
func (s *stage) say(format string, args ...any) {
	fmt.Fprintf(s.out, "%s: "+format+"\n", append([]any{s.name}, args...)...)
}

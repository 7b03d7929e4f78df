package scale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/demo/process"
	"vpcmirror.io/operator/test/env"
)

// stage is a control plane and a cloud of their own, and the manager between them.
type stage struct {
	layout
	options Options
	name    string
	out     io.Writer
	folder  string
	book    *process.Book
	api     client.Client // the administrator's
	user    string        // the manager's kubeconfig
	audit   *audit
	cloud   *cloud
	manager *manager
	undo    []func() error // from the last to the first
}

// newStage starts everything but the manager. close ends it all, also after an error.
func newStage(ctx context.Context, o Options, l layout, name string, out io.Writer) (*stage, error) {
	s := &stage{layout: l, options: o, name: name, out: out}
	var err error
	if s.folder, err = os.MkdirTemp("", "vpcmirror-scale-"); err != nil {
		return s, fmt.Errorf("make a folder for the benchmark: %w", err)
	}
	s.later(func() error { return os.RemoveAll(s.folder) })
	s.book = process.OpenBook(s.path("pids"))
	if err := s.startKubernetes(ctx); err != nil {
		return s, err
	}
	if err := s.startCloud(ctx); err != nil {
		return s, err
	}
	return s, s.prepare(ctx)
}

func (s *stage) later(undo func() error) { s.undo = append(s.undo, undo) }

func (s *stage) close() error {
	var errs []error
	for _, undo := range slices.Backward(s.undo) {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}

func (s *stage) path(name string) string { return filepath.Join(s.folder, name) }

// unbounded lets the API server take as much at once as comes: its share is not what is measured.
var unbounded = []string{"--max-requests-inflight=0", "--max-mutating-requests-inflight=0", "--enable-priority-and-fairness=false"}

func (s *stage) startKubernetes(ctx context.Context) error {
	rules := s.path("policy.yaml")
	if err := os.WriteFile(rules, []byte(policy), 0o600); err != nil {
		return fmt.Errorf("write the audit policy: %w", err)
	}
	s.audit = &audit{path: s.path("audit.log")}
	kubeconfig, stop, err := env.StartControlPlane(ctx, s.path("kube"), env.Options{
		APIServerArgs: append([]string{"--audit-policy-file=" + rules, "--audit-log-path=" + s.audit.path}, unbounded...),
	})
	if err != nil {
		return err
	}
	s.later(stop)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("read the administrator's kubeconfig: %w", err)
	}
	config.QPS = -1
	scheme, err := env.Scheme()
	if err != nil {
		return err
	}
	if s.api, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("make a client of the API server: %w", err)
	}
	return nil
}

func (s *stage) startCloud(ctx context.Context) error {
	file := s.path("scenario.yaml")
	if err := os.WriteFile(file, []byte(s.scenario()), 0o600); err != nil {
		return fmt.Errorf("write the cloud's scenario: %w", err)
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	p, err := s.start("cloudsim", "serve", "--listen", address, "--scenario", file)
	if err != nil {
		return err
	}
	s.cloud = &cloud{process: p, url: "http://" + address}
	if err := until(ctx, startPatience, quickly, "the simulated cloud answers", func() (bool, error) {
		if ended, _ := p.Ended(); ended {
			return false, fmt.Errorf("it has ended: %s", process.Tail(p.Log, 3))
		}
		_, err := s.cloud.stats(ctx)
		return err == nil, nil
	}); err != nil {
		return err
	}
	return s.cloud.slow(ctx)
}

// start runs a program of ours without the environment of who measures.
func (s *stage) start(name string, args ...string) (*process.Process, error) {
	p, err := process.Start(process.Spec{
		Name: name, Program: filepath.Join(s.options.Programs, name), Args: args, Log: s.path(name + ".log"), Env: []string{"PATH=" + os.Getenv("PATH")},
	}, s.book)
	if err != nil {
		return nil, err
	}
	s.later(p.Stop)
	return p, nil
}

// prepare makes namespaces, the Secret, and the manager's user, who has the rights of an installation.
func (s *stage) prepare(ctx context.Context) error {
	for _, name := range []string{namespace, systemNamespace} {
		if err := s.api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return fmt.Errorf("make the namespace %s: %w", name, err)
		}
	}
	if err := s.api.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: secretName}, StringData: map[string]string{
		"accessKey": scenario.WalkthroughAccessKey, "secretKey": scenario.WalkthroughSecretKey, "projectID": scenario.WalkthroughProject,
		"region": scenario.WalkthroughRegion, "endpoint": s.cloud.url,
	}}); err != nil {
		return fmt.Errorf("make the Secret: %w", err)
	}
	everywhere, err := env.GrantedBy("ClusterRole", "manager_role.yaml")
	if err != nil {
		return err
	}
	within, err := env.GrantedBy("Role", "manager.yaml")
	if err != nil {
		return err
	}
	s.user, err = env.AddUser(ctx, s.path("kube"), env.User{
		Name: managerUser, Rules: everywhere, Within: map[string][]rbacv1.PolicyRule{systemNamespace: within},
	})
	return err
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
	health, err := freeAddress()
	if err != nil {
		return err
	}
	metrics, err := freeAddress()
	if err != nil {
		return err
	}
	p, err := s.start("manager", append([]string{
		"--kubeconfig", s.user, "--health-probe-bind-address", health, "--metrics-bind-address", metrics,
		"--allowed-endpoints", s.cloud.url, "--verifier-namespace", systemNamespace,
	}, with.flags()...)...)
	if err != nil {
		return err
	}
	s.manager = &manager{process: p, metrics: metrics}
	return until(ctx, startPatience, quickly, "the manager is ready", func() (bool, error) {
		if ended, _ := p.Ended(); ended {
			return false, fmt.Errorf("it has ended: %s", process.Tail(p.Log, 3))
		}
		_, err := ask(ctx, http.MethodGet, "http://"+health+"/readyz", "")
		return err == nil, nil
	})
}

const (
	startPatience = 2 * time.Minute
	quickly       = 50 * time.Millisecond
)

// until asks again and again until the answer is yes.
func until(ctx context.Context, patience, every time.Duration, what string, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("it was waited for %s", patience))
	defer cancel()
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for {
		yes, err := ask()
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
		if yes {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, context.Cause(ctx))
		case <-ticks.C:
		}
	}
}

// pause lets time pass.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// say tells what goes on.
func (s *stage) say(format string, args ...any) {
	fmt.Fprintf(s.out, "%s: "+format+"\n", append([]any{s.name}, args...)...)
}

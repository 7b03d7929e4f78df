// Package cluster is what benchmarks with a control plane of their own share: a real API server that
// logs what one user asks of it, and processes that end with the benchmark.
//
// It may import test/demo and test/env.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/test/demo/process"
	"vpcmirror.io/operator/test/env"
)

// SystemNamespace is the installation's, where the leases are.
const SystemNamespace = "vpcmirror-system"

// Cluster is a control plane, and what runs beside it.
type Cluster struct {
	// API is the administrator's client.
	API client.Client
	// Audit is what the program's user asked for.
	Audit *Audit
	// Kubeconfig is that user's.
	Kubeconfig string

	folder string
	book   *process.Book
	undo   []func() error // from the last to the first
}

// New starts a control plane for a program, manager or verifier, whose user has the rights of an
// installation. Close ends everything, also after an error.
func New(ctx context.Context, program string) (*Cluster, error) {
	ctrllog.SetLogger(logr.Discard()) // what it would log is in our own errors
	c := &Cluster{}
	var err error
	if c.folder, err = os.MkdirTemp("", "vpcmirror-bench-"); err != nil {
		return c, fmt.Errorf("make a folder for the benchmark: %w", err)
	}
	c.Later(func() error { return os.RemoveAll(c.folder) })
	c.book = process.OpenBook(c.Path("pids"))
	user := "vpcmirror-" + program
	if err := c.startControlPlane(ctx, user); err != nil {
		return c, err
	}
	if err := c.API.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: SystemNamespace}}); err != nil {
		return c, fmt.Errorf("make the namespace %s: %w", SystemNamespace, err)
	}
	everywhere, err := env.GrantedBy("ClusterRole", program+"_role.yaml")
	if err != nil {
		return c, err
	}
	within, err := env.GrantedBy("Role", program+".yaml")
	if err != nil {
		return c, err
	}
	c.Kubeconfig, err = env.AddUser(ctx, c.Plane(), env.User{
		Name: user, Rules: everywhere, Within: map[string][]rbacv1.PolicyRule{SystemNamespace: within},
	})
	return c, err
}

// unbounded lets the API server take as much at once as comes: its share is not what is measured.
var unbounded = []string{"--max-requests-inflight=0", "--max-mutating-requests-inflight=0", "--enable-priority-and-fairness=false"}

func (c *Cluster) startControlPlane(ctx context.Context, user string) error {
	rules := c.Path("policy.yaml")
	if err := os.WriteFile(rules, fmt.Appendf(nil, policy, user), 0o600); err != nil {
		return fmt.Errorf("write the audit policy: %w", err)
	}
	c.Audit = &Audit{path: c.Path("audit.log")}
	kubeconfig, stop, err := env.StartControlPlane(ctx, c.Plane(), env.Options{
		APIServerArgs: append([]string{"--audit-policy-file=" + rules, "--audit-log-path=" + c.Audit.path}, unbounded...),
	})
	if err != nil {
		return err
	}
	c.Later(stop)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("read the administrator's kubeconfig: %w", err)
	}
	config.QPS = -1
	scheme, err := env.Scheme()
	if err != nil {
		return err
	}
	if c.API, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("make a client of the API server: %w", err)
	}
	return nil
}

// Later has something done when the cluster is closed, the last first.
func (c *Cluster) Later(undo func() error) { c.undo = append(c.undo, undo) }

// Close ends everything and removes it.
func (c *Cluster) Close() error {
	var errs []error
	for _, undo := range slices.Backward(c.undo) {
		errs = append(errs, undo())
	}
	c.undo = nil
	return errors.Join(errs...)
}

// Path is that of a file of the benchmark.
func (c *Cluster) Path(name string) string { return filepath.Join(c.folder, name) }

// Plane is the folder in which the control plane was started.
func (c *Cluster) Plane() string { return c.Path("kube") }

// Start runs a program of ours until the cluster is closed. It gets the environment given and
// nothing else of who measures, and the network namespace given unless that is empty.
func (c *Cluster) Start(program, namespace string, environment []string, args ...string) (*process.Process, error) {
	name := filepath.Base(program)
	p, err := process.Start(process.Spec{
		Name: name, Program: program, Args: args, Log: c.Path(name + ".log"), Namespace: namespace,
		Env: append([]string{"PATH=" + os.Getenv("PATH")}, environment...),
	}, c.book)
	if err != nil {
		return nil, err
	}
	c.Later(p.Stop)
	return p, nil
}

// Ready waits until a process answers at the address, which is asked by the client.
func Ready(ctx context.Context, p *process.Process, client *http.Client, url string) error {
	return Until(ctx, startPatience, quickly, "the "+p.Name+" is ready", func() (bool, error) {
		if ended, _ := p.Ended(); ended {
			return false, fmt.Errorf("it has ended: %s", process.Tail(p.Log, 3))
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return false, fmt.Errorf("ask it: %w", err)
		}
		answer, err := client.Do(request)
		if err != nil {
			return false, nil //nolint:nilerr // it does not listen yet
		}
		return answer.StatusCode == http.StatusOK, answer.Body.Close()
	})
}

const (
	startPatience = 2 * time.Minute
	quickly       = 50 * time.Millisecond
)

// Until asks again and again until the answer is yes.
func Until(ctx context.Context, patience, every time.Duration, what string, ask func() (bool, error)) error {
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

// Pause lets time pass.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// FreeAddress is one of the loopback that nobody uses now.
func FreeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	cloudlab "vpcmirror.io/operator/test/cloudsim/lab"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/demo/process"
	"vpcmirror.io/operator/test/env/checkout"
	"vpcmirror.io/operator/test/env/pki"
)

// Options changes how Up does its work. The zero value is good.
type Options struct {
	// Folder takes everything that is written; bin/lab of the project when empty.
	Folder string
	// Kube is the folder with the programs of Kubernetes; bin/kube of the project when
	// empty.
	Kube string
	// Wait is how long to wait for another lab on this machine to go; with zero, Up fails
	// at once when there is one.
	Wait time.Duration
	// Images are archives to load into every node.
	Images []string
	// Simulator changes how the simulated cloud behaves.
	Simulator []sim.Option
	// APIServerArgs and ControllerManagerArgs are further flags, after ours.
	APIServerArgs, ControllerManagerArgs []string
	// Progress gets a line for each step; nil means nowhere.
	Progress io.Writer
}

// Lab is a running cluster. Its methods are safe for concurrent use; Down ends all of it.
type Lab struct {
	options      Options
	root         string // the project's folder
	kube         string
	began        time.Time
	lock         *os.File
	ledger       *ledger
	book         *process.Book
	authority    *pki.Authority
	control      *netns.Claim
	sender       *netns.Claim // nil until Sender
	cloud        *sim.Sim
	network      *cloudlab.Lab
	apiForwarder *forwarder
	forwarders   []*forwarder
	config       *rest.Config
	clients      *kubernetes.Clientset
	nodes        []*Node
	cloudURL     string

	mu                                      sync.Mutex // of the processes
	etcd, apiserver, controllers, scheduler *process.Process
	down                                    sync.Once
	downErr                                 error
}

// Up starts a lab and returns once its three nodes are Ready (5 to 10 seconds). What a
// killed process left on this machine is removed first. On an error nothing is left
// running.
//
// It fails with a *NeedError when this machine or user lacks something, and with an
// *InUseError while another process has a lab on this machine.
func Up(ctx context.Context, options Options) (*Lab, error) {
	l, err := prepare(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := l.up(ctx); err != nil {
		return nil, errors.Join(needed(err), l.Down()) //nolint:contextcheck // what was begun is undone also when the context has ended
	}
	return l, nil
}

// up runs the steps. What they leave half done, Down takes down.
func (l *Lab) up(ctx context.Context) error {
	for _, step := range []struct {
		text string
		do   func(context.Context) error
	}{
		{"simulated cloud and management network", l.startNetwork},
		{"keys and certificates", func(context.Context) error { return l.makeSecrets() }},
		{"etcd, kube-apiserver and three nodes", l.startCluster},
		{"nodes are Ready", l.waitForNodes},
		{"pods can be made", l.waitForAccount},
		{"file to source", func(context.Context) error { return l.writeEnv() }},
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.text, err)
		}
		fmt.Fprintf(l.options.Progress, "%5.1f s  %s\n", time.Since(l.began).Seconds(), step.text)
	}
	return nil
}

// startNetwork makes the control plane's namespace, the cloud in it, the hosts of the
// cloud, and the second network between all of them.
func (l *Lab) startNetwork(ctx context.Context) (err error) {
	if err := l.ledger.add(
		change{Kind: claimNamespaces, Name: l.ControlNamespace()}, change{Kind: claimNamespaces, Name: prefix},
	); err != nil {
		return err
	}
	if l.control, err = netns.Acquire(l.ControlNamespace()); err != nil {
		return err
	}
	if err := l.control.Create(l.ControlNamespace(), setUpControl); err != nil {
		return err
	}
	inside := netip.AddrPortFrom(controlAddress, cloudPort)
	sc := scenario.Walkthrough()
	err = netns.In(l.ControlNamespace(), func() (err error) {
		l.cloud, err = sim.Start(context.WithoutCancel(ctx), sc, append(l.options.Simulator, sim.WithListen(inside.String()))...)
		return err
	})
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(l.options.Progress, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if l.network, err = cloudlab.Start(context.WithoutCancel(ctx), l.cloud, prefix, log); err != nil {
		return err
	}
	for _, host := range sc.Hosts {
		n, err := l.newNode(host, sc)
		if err != nil {
			return err
		}
		l.nodes = append(l.nodes, n)
	}
	for _, n := range l.nodes {
		if err := l.connect(n); err != nil {
			return err
		}
	}
	if l.apiForwarder, err = l.forward(netip.AddrPortFrom(controlAddress, apiPort)); err != nil {
		return err
	}
	toCloud, err := l.forward(inside)
	if err == nil {
		l.cloudURL = "http://" + toCloud.address.String()
	}
	return err
}

func (l *Lab) forward(to netip.AddrPort) (*forwarder, error) {
	f, err := forward(l.ControlNamespace(), to)
	if err == nil {
		l.forwarders = append(l.forwarders, f)
	}
	return f, err
}

// startCluster starts control plane and nodes side by side.
func (l *Lab) startCluster(ctx context.Context) error {
	if err := l.makeClients(); err != nil {
		return err
	}
	if err := l.startEtcd(); err != nil {
		return err
	}
	if err := l.prepareNodes(); err != nil { //nolint:contextcheck // it waits for no more than a busy cgroup
		return err
	}
	return together([]func() error{
		func() error {
			if err := l.StartAPIServer(ctx); err != nil {
				return err
			}
			return l.startControllers()
		},
		func() error { return l.startNodes(ctx) },
	}, func(f func() error) error { return f() })
}

// prepareNodes makes what nodes need of the machine. It is all written down first.
func (l *Lab) prepareNodes() error {
	trees, err := hierarchies()
	if err != nil {
		return err
	}
	if err := l.ledger.makeFolders(mountPoints()...); err != nil {
		return err
	}
	for _, n := range l.nodes {
		if err := l.ledger.makeCgroups(trees, n.cgroup()); err != nil {
			return err
		}
		if err := l.writeNodeFiles(n); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) startNodes(ctx context.Context) error {
	l.mu.Lock()
	for _, n := range l.nodes {
		if err := l.startProcess(n); err != nil {
			l.mu.Unlock()
			return fmt.Errorf("start %s: %w", n.Name, err)
		}
	}
	l.mu.Unlock()
	pause, err := l.makePause(ctx)
	if err != nil {
		return err
	}
	for _, path := range append([]string{pause}, l.options.Images...) {
		if _, err := l.LoadImage(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) waitForNodes(ctx context.Context) error {
	return together(l.nodes, func(n *Node) error { return l.waitForNode(ctx, n, l.began) })
}

// waitForAccount waits for what pods of the namespace default need.
func (l *Lab) waitForAccount(ctx context.Context) error {
	return poll(ctx, readyPatience, 50*time.Millisecond, "the namespace default has its ServiceAccount", func() error {
		_, err := l.clients.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// Down ends every process and removes everything the lab made on the machine; logs and
// the nodes' disks stay in the folder until the next Up. It returns once all is gone, and
// the same error when it is called again.
func (l *Lab) Down() error {
	l.down.Do(func() { l.downErr = l.takeDown() })
	return l.downErr
}

func (l *Lab) takeDown() error {
	var failed error
	also := func(err error) { failed = errors.Join(failed, err) }
	l.mu.Lock()
	defer l.mu.Unlock()
	// Nodes first, so that nothing is written to an API server that is going.
	also(together(l.nodes, func(n *Node) error {
		if n.process == nil {
			return nil
		}
		return n.process.Stop()
	}))
	also(together([]*process.Process{l.controllers, l.scheduler}, stop))
	also(stop(l.apiserver))
	also(stop(l.etcd))
	for _, f := range l.forwarders {
		also(f.close())
	}
	if l.network != nil {
		also(l.network.Close())
	}
	if l.cloud != nil {
		also(l.cloud.Close())
	}
	for _, claim := range []*netns.Claim{l.sender, l.control} {
		if claim != nil {
			also(claim.Release())
		}
	}
	if failed == nil {
		also(l.book.Clear())
	}
	_, err := l.ledger.undo()
	also(err)
	also(removeIfThere(l.path("env")))
	also(os.RemoveAll(l.path("etcd"))) // large, and of no use without its keys' authority
	also(checkout.HandOver(l.root, l.options.Folder))
	also(unlockMachine(l.lock))
	if failed != nil {
		return fmt.Errorf("take the lab down: %w", failed)
	}
	return nil
}

func stop(p *process.Process) error {
	if p == nil {
		return nil
	}
	return p.Stop()
}

func (l *Lab) path(name string) string { return filepath.Join(l.options.Folder, name) }

// controlNamespace is the network namespace of control plane and cloud.
func (l *Lab) ControlNamespace() string { return prefix + "control" }

// Kubeconfig is the path of the administrator's kubeconfig, for use in the machine's own
// network namespace.
func (l *Lab) Kubeconfig() string { return l.path("admin.kubeconfig") }

// EnvFile is the file for a shell to source: kubectl and `cloudsim call` work then.
func (l *Lab) EnvFile() string { return l.path("env") }

// Config is the administrator's configuration of a client. Don't change it.
func (l *Lab) Config() *rest.Config { return l.config }

// Cloud is the simulated cloud in this process: its state, journal and faults.
func (l *Lab) Cloud() *sim.Sim { return l.cloud }

// Network is the data plane of the cloud in this process, with its counters.
func (l *Lab) Network() *cloudlab.Lab { return l.network }

// CloudURL is the cloud's endpoint for pods and nodes; it is not reachable from the
// machine's own network namespace.
func (l *Lab) CloudURL() string {
	return "http://" + netip.AddrPortFrom(controlAddress, cloudPort).String()
}

// LocalCloudURL is the cloud's endpoint in the machine's own network namespace.
func (l *Lab) LocalCloudURL() string { return l.cloudURL }

// Kubectl runs kubectl as administrator and returns what it printed. On an error, that
// holds what it said on standard error.
func (l *Lab) Kubectl(ctx context.Context, args ...string) (string, error) {
	return l.KubectlWith(ctx, "", args...)
}

// KubectlWith is Kubectl with a standard input, for `apply -f -`.
func (l *Lab) KubectlWith(ctx context.Context, input string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(l.kube, "kubectl"), append([]string{"--kubeconfig", l.Kubeconfig()}, args...)...)
	command.Env = append(cleanEnvironment(), "KUBECACHEDIR="+l.path("kubectl-cache"))
	command.Stdin = strings.NewReader(input)
	var said, complained bytes.Buffer
	command.Stdout, command.Stderr = &said, &complained
	if err := command.Run(); err != nil {
		return said.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(complained.Bytes()))
	}
	return said.String(), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/cmd/internal/startup"
	"vpcmirror.io/operator/controllers/verifier/agent"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/consumer"
	"vpcmirror.io/operator/controllers/verifier/lease"
	"vpcmirror.io/operator/controllers/verifier/memory"
	"vpcmirror.io/operator/controllers/verifier/nodecache"
	"vpcmirror.io/operator/controllers/verifier/probe"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// options are what the flags of "verifier run" say.
type options struct {
	kubeconfig, node string
	leaseNamespace   string
	port             uint16
	metrics          startup.Metrics
	runtimeMetrics   bool
	health           string
	debug            startup.Debug
}

// maxNode is what the status takes as the name of a node.
const maxNode = 253

// command is "verifier run" as a command line; run gets what the flags say.
func command(run func(context.Context, options) error) startup.Command {
	var o options
	flags := startup.Flags("Flags")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", startup.KubeconfigUsage)
	flags.StringVar(&o.node, "node-name", hostName(), "this host's `name` in the status of the sessions; NODE_NAME sets it too")
	flags.StringVar(&o.leaseNamespace, "lease-namespace", os.Getenv("POD_NAMESPACE"), "`namespace` of the lease that shows that this verifier is alive; POD_NAMESPACE sets it too, empty means none")
	flags.Uint16Var(&o.port, "port", vxlan.Port, "UDP `port` of the copies")
	o.metrics.Add(flags, "0")
	flags.BoolVar(&o.runtimeMetrics, "runtime-metrics", false, "have metrics of the Go runtime, the process and the client of the API server too: some 240 series for each node")
	flags.StringVar(&o.health, "health-probe-bind-address", "0", "`address` of /healthz and /readyz; 0 switches them off")
	o.debug.Add(flags)
	return startup.Command{
		Name:    "verifier run",
		About:   "verifier run counts the mirrored packets that reach this host and reports them in the status of the MirrorSessions.",
		Version: version,
		Flags:   []*pflag.FlagSet{flags},
		Check:   o.check,
		Run:     func(ctx context.Context) error { return run(ctx, o) },
	}
}

// hostName is what this host is called where --node-name does not say it.
func hostName() string {
	if node := os.Getenv("NODE_NAME"); node != "" {
		return node
	}
	host, err := os.Hostname()
	if err != nil {
		return "" // check refuses it
	}
	return host
}

func (o *options) check() error {
	switch {
	case o.node == "":
		return errors.New("--node-name is empty and the host has no name: name this host")
	case len(o.node) > maxNode:
		return fmt.Errorf("--node-name has %d characters: choose a name with at most %d", len(o.node), maxNode)
	case v1alpha1.FitASCII(o.node, maxNode) != o.node:
		return fmt.Errorf("--node-name=%q: choose a name of printable ASCII characters, others are not shown in a status", o.node)
	case o.port == 0:
		return errors.New("--port=0: choose the UDP port of the copies, 1 to 65535")
	}
	return o.metrics.Check()
}

func run(ctx context.Context, o options) error {
	config, err := startup.APIServer(o.kubeconfig, "vpcmirror-verifier")
	if err != nil {
		return err
	}
	// The API server is a few hops away at most: what compressing saves on the way costs more at both ends.
	config.DisableCompression = true
	// The agent has its own budget of writes, and a limit below it would delay the first entries.
	config.QPS = -1
	log.Log.Info("This is a verifier of vpcmirror", "version", version, "node", o.node, "port", o.port)
	// Reported now, and not when the first session comes.
	if err := tryCapture(o.port); err != nil {
		return err
	}
	mgr, err := o.manager(config)
	if err != nil {
		return err
	}
	a := agent.New(agent.Options{
		Node: o.node, Port: o.port, Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Cache: mgr.GetCache(),
		Interfaces: agent.LocalInterfaces, WatchInterfaces: agent.WatchInterfaces, Open: agent.OpenRing, Observe: consumer.Observe,
		SendProbe: func(ctx context.Context, order v1alpha1.ProbeSend, source v1alpha1.ResolvedInterface) (probe.Sent, error) {
			return probe.Send(ctx, order, source, time.Now)
		},
		Memory: memory.NewReader(time.Now).Read, Clock: time.Now, Log: log.Log,
	})
	if err := mgr.AddReadyzCheck("sessions", a.Ready); err != nil {
		return fmt.Errorf("add the readiness check: %w", err)
	}
	if err := mgr.Add(a); err != nil {
		return fmt.Errorf("add the agent: %w", err)
	}
	if o.leaseNamespace != "" {
		if err := mgr.Add(&lease.Renewer{
			Client: mgr.GetClient(), Namespace: o.leaseNamespace, Node: o.node, Clock: time.Now, Log: log.Log,
		}); err != nil {
			return fmt.Errorf("add the lease: %w", err)
		}
	}
	for _, c := range []prometheus.Collector{startup.BuildInfo("verifier", version), a} {
		if err := metrics.Registry.Register(c); err != nil {
			return fmt.Errorf("register the metrics: %w", err)
		}
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// tryCapture opens a packet socket and closes it again: without the right to do so the
// verifier is of no use.
func tryCapture(port uint16) error {
	probe, err := capture.NewSocket(port)
	if err != nil {
		return fmt.Errorf("try to capture: %w", err)
	}
	if err := probe.Close(); err != nil {
		return fmt.Errorf("try to capture: %w", err)
	}
	return nil
}

// newScheme has what the verifier reads and writes: our own kinds, and its lease.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, coordinationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register the API: %w", err)
		}
	}
	return scheme, nil
}

// manager is what runs the agent: cache, probes, metrics, and an orderly end.
func (o options) manager(config *rest.Config) (ctrl.Manager, error) {
	if !o.runtimeMetrics {
		// The server takes the registry that stands there when it starts, and the libraries have put theirs
		// into the one that stood there before.
		metrics.Registry = prometheus.NewRegistry()
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   cache.Options{DefaultTransform: nodecache.Keep(o.node), NewInformer: nodecache.NewInformer(o.node)},
		Metrics:                 o.metrics.Options(),
		HealthProbeBindAddress:  o.health,
		PprofBindAddress:        o.debug.Address,
		GracefulShutdownTimeout: new(gracePeriod),
	})
	if err != nil {
		return nil, fmt.Errorf("set up: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("add the health check: %w", err)
	}
	return mgr, nil
}

// gracePeriod is for the last counts to be written.
const gracePeriod = 10 * time.Second

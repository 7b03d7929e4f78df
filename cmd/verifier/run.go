package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/agent"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/lease"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

type options struct {
	kubeconfig, node      string
	leaseNamespace        string
	port                  uint16
	metrics, health       string
	logLevel, logEncoding string
}

// live runs "verifier run" and returns the exit code.
func live(args []string) int {
	o, err := parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "verifier:", err)
		return 2
	}
	if err := run(ctrl.SetupSignalHandler(), o); err != nil {
		fmt.Fprintln(os.Stderr, "verifier:", err)
		return 1
	}
	return 0
}

// maxNode is what the status takes as the name of a node.
const maxNode = 253

func parse(args []string) (options, error) {
	var o options
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	if node := os.Getenv("NODE_NAME"); node != "" {
		host = node
	}
	fs := pflag.NewFlagSet("verifier run", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.StringVar(&o.kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "file that says how to reach the API server; in a pod it is not needed")
	fs.StringVar(&o.node, "node-name", host, "this host's name in the status of the sessions; NODE_NAME sets it too")
	fs.StringVar(&o.leaseNamespace, "lease-namespace", os.Getenv("POD_NAMESPACE"), "namespace of the lease that shows that this verifier is alive; POD_NAMESPACE sets it too, empty means none")
	fs.Uint16Var(&o.port, "port", vxlan.Port, "UDP port of the copies")
	fs.StringVar(&o.metrics, "metrics-bind-address", "0", "address of the Prometheus metrics; 0 switches them off")
	fs.StringVar(&o.health, "health-probe-bind-address", "0", "address of /healthz and /readyz; 0 switches them off")
	fs.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	fs.StringVar(&o.logEncoding, "log-encoding", "json", "json or text")
	fs.Usage = func() {
		fmt.Print("verifier run counts the mirrored packets that reach this host and reports them in the status of the MirrorSessions.\n\nFlags:\n", fs.FlagUsages())
	}
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	var level slog.Level
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q: verifier run takes flags only, see --help", fs.Arg(0))
	case o.node == "":
		return o, errors.New("--node-name is empty and the host has no name: name this host")
	case len(o.node) > maxNode:
		return o, fmt.Errorf("--node-name has %d characters: choose a name with at most %d", len(o.node), maxNode)
	case o.port == 0:
		return o, errors.New("--port=0: choose the UDP port of the copies, 1 to 65535")
	case level.UnmarshalText([]byte(o.logLevel)) != nil:
		return o, fmt.Errorf("--log-level=%q: choose debug, info, warn or error", o.logLevel)
	case o.logEncoding != "json" && o.logEncoding != "text":
		return o, fmt.Errorf("--log-encoding=%q: choose json or text", o.logEncoding)
	}
	return o, nil
}

func run(ctx context.Context, o options) error {
	log.SetLogger(o.logger())
	klog.SetLogger(log.Log) // client-go's own words, in the same form as ours
	log.Log.Info("This is a verifier of vpcmirror", "version", version, "node", o.node, "port", o.port)
	// Told now, and not when the first session comes.
	if err := tryCapture(o.port); err != nil {
		return err
	}
	config, err := o.rest()
	if err != nil {
		return fmt.Errorf("find the API server (in a pod by itself, elsewhere by --kubeconfig or KUBECONFIG): %w", err)
	}
	config.UserAgent = "vpcmirror-verifier"
	mgr, err := o.manager(config)
	if err != nil {
		return err
	}
	a := agent.New(agent.Options{
		Node: o.node, Port: o.port, Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Cache: mgr.GetCache(),
		Interfaces: agent.LocalInterfaces, Open: agent.OpenRing, Clock: time.Now, Log: log.Log,
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
	if err := metrics.Registry.Register(a); err != nil {
		return fmt.Errorf("register the metrics: %w", err)
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	return nil
}

// tryCapture opens a packet socket and closes it again: without the right to do so the
// verifier is of no use.
func tryCapture(port uint16) error {
	probe, err := capture.NewSocket(port, capture.DefaultSnapLength)
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
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		// Who manages which field is of no use here, and often more than half of an object.
		Cache:                   cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
		Metrics:                 metricsserver.Options{BindAddress: o.metrics},
		HealthProbeBindAddress:  o.health,
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

func (o options) rest() (*rest.Config, error) {
	if o.kubeconfig == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.BuildConfigFromFlags("", o.kubeconfig)
}

func (o options) logger() logr.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		level = slog.LevelInfo // parse has refused it already
	}
	handler := slog.Handler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	if o.logEncoding == "text" {
		handler = slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})
	}
	return logr.FromSlogHandler(handler)
}

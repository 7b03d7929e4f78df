// Command manager is the operator: it makes mirror filters and sessions in Huawei
// Cloud match the MirrorFilters and MirrorSessions of a cluster.
//
// It only wires: what is decided, done and reported is in controllers. It may import api,
// cmd/internal, controllers/cloud, controllers/cloud/huawei, controllers/credentials,
// controllers/fence, controllers/inventory, controllers/lifecycle, controllers/liveness,
// controllers/mirrorfilter, controllers/mirrorsession, controllers/plan,
// controllers/rehearsal, controllers/status, controllers/telemetry and controllers/tracing.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/cmd/internal/startup"
	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/controllers/credentials"
	"vpcmirror.io/operator/controllers/inventory"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/liveness"
	"vpcmirror.io/operator/controllers/mirrorfilter"
	"vpcmirror.io/operator/controllers/mirrorsession"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/rehearsal"
	"vpcmirror.io/operator/controllers/telemetry"
	"vpcmirror.io/operator/controllers/tracing"
)

// version is set by the linker.
var version = "unknown"

func main() { os.Exit(command(run).Main(os.Args[1:], os.Stdout, os.Stderr)) }

// reconcileTimeout bounds one reconcile: a few dozen calls at the most.
const reconcileTimeout = 2 * time.Minute

func run(ctx context.Context, o options) error {
	rest, err := startup.APIServer(o.kubeconfig, "vpcmirror-manager")
	if err != nil {
		return err
	}
	rest.QPS = -1 // no limit of our own: the API server's priority and fairness bound us
	log.Log.Info("This is the manager of vpcmirror", "version", version)
	o.way.warn(log.Log, os.Getenv)
	waitForServer(ctx, log.Log, rest, serverPatience, serverInterval)
	leads, err := o.election(rest)
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(rest, ctrl.Options{
		Scheme:                              scheme(),
		Metrics:                             o.metrics.Options(),
		HealthProbeBindAddress:              o.health,
		PprofBindAddress:                    o.debug.Address,
		LeaderElection:                      o.leaderElect,
		LeaderElectionResourceLockInterface: leads.lock,
		LeaderElectionReleaseOnCancel:       true,
		LeaseDuration:                       &o.leaseDuration,
		RenewDeadline:                       &o.renewDeadline,
		RetryPeriod:                         &o.retryPeriod,
		NewClient:                           lifecycle.NewClient,
		Cache:                               cached(o.verifierNamespace),
		Controller:                          config.Controller{ReconciliationTimeout: reconcileTimeout},
	})
	if err != nil {
		return fmt.Errorf("set the manager up: %w", err)
	}
	tracer, ended, err := o.traces.start(ctx, log.Log, os.Getenv)
	if err != nil {
		return err
	}
	defer ended()
	if err := addControllers(ctx, mgr, o, leads.fence, tracer); err != nil {
		return err
	}
	if err := addProbes(mgr); err != nil {
		return err
	}
	if err := o.addMetrics(mgr); err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the manager: %w", err)
	}
	return nil
}

func addControllers(ctx context.Context, mgr manager.Manager, o options, fence func() error, tracer *tracing.Tracing) error {
	cluster, err := clusterID(ctx, mgr.GetAPIReader())
	if err != nil {
		return err
	}
	adapter := huawei.Options{
		CallsPerSecond: o.callsPerSecond,
		Burst:          o.burst,
		Deadline:       o.callDeadline,
		UserAgent:      "vpcmirror",
		Registerer:     metrics.Registry,
		Fence:          fence,
		Observe:        tracing.Call,
	}
	if err := o.way.apply(&adapter); err != nil {
		return err
	}
	factory := huawei.NewFactory(adapter)
	clients, secrets, rules, err := o.clients(mgr, factory)
	if err != nil {
		return err
	}
	alive, err := addLiveness(mgr, o.verifierNamespace)
	if err != nil {
		return err
	}
	services := lifecycle.New(lifecycle.Options{
		Client:    mgr.GetClient(),
		Reader:    mgr.GetAPIReader(),
		Clients:   clients,
		Secrets:   secrets,
		Inventory: inventory.New(time.Now),
		Liveness:  alive,
		Tracing:   tracer,
		Recorder:  mgr.GetEventRecorder("vpcmirror-manager"),
		Cluster:   cluster,
		Clock:     time.Now,
		Resync:    o.resync,
		Timing:    o.timing(),
	})
	if err := mgr.Add(&lifecycle.NamespaceWatch{Services: services, Namespaces: rules.Namespaces}); err != nil {
		return fmt.Errorf("add the watch of the namespaces: %w", err)
	}
	if err := addAccounts(mgr, services, o); err != nil {
		return err
	}
	if err := (&mirrorfilter.Reconciler{Services: services}).SetupWithManager(mgr, o.workers); err != nil {
		return fmt.Errorf("set up the filter controller: %w", err)
	}
	if err := (&mirrorsession.Reconciler{Services: services, RefuseProbes: !o.allowProbes}).SetupWithManager(ctx, mgr, o.workers); err != nil {
		return fmt.Errorf("set up the session controller: %w", err)
	}
	if err := rehearsal.Setup(mgr, services); err != nil {
		return err
	}
	return nil
}

// clients is what gives each object its client of the cloud, the Secrets that it shares, and what is allowed.
func (o options) clients(mgr manager.Manager, factory *huawei.Factory) (*credentials.Provider, *credentials.Secrets, credentials.Rules, error) {
	rules, err := o.tenants.rules(mgr.GetAPIReader())
	if err != nil {
		return nil, nil, rules, err
	}
	renewals, err := credentials.NewRenewals(mgr.GetLogger(), metrics.Registry)
	if err != nil {
		return nil, nil, rules, fmt.Errorf("register the metrics of the operator's own credentials: %w", err)
	}
	own, keeper, err := o.own.source(os.Getenv, factory, renewals)
	if err != nil {
		return nil, nil, rules, err
	}
	if err := keep(mgr, keeper); err != nil {
		return nil, nil, rules, err
	}
	secrets := credentials.NewSecrets(mgr.GetAPIReader(), time.Now)
	agencies := credentials.Assuming{Assume: factory.Assume, Renewals: renewals}
	return credentials.NewProvider(secrets, factory.New, own, rules, agencies), secrets, rules, nil
}

// addAccounts watches what concerns an account and no object: what is left over in it, what it may have, and
// how old what is known of it is.
func addAccounts(mgr manager.Manager, services *lifecycle.Services, o options) error {
	orphans, err := lifecycle.NewOrphans(services, o.namespace, o.deleteOrphans, metrics.Registry)
	if err != nil {
		return err
	}
	if err := mgr.Add(orphans); err != nil {
		return fmt.Errorf("add the look at what is left over: %w", err)
	}
	if err := mgr.Add(lifecycle.NewQuotas(services)); err != nil {
		return fmt.Errorf("add the reader of quotas: %w", err)
	}
	if err := metrics.Registry.Register(&telemetry.Accounts{Known: services.Inventory.Known, Clock: services.Clock, Resync: services.Resync}); err != nil {
		return fmt.Errorf("register the metrics of accounts: %w", err)
	}
	return nil
}

// addLiveness watches the leases of the verifiers. Without a namespace there are none,
// and no verifier is ever called lost.
func addLiveness(mgr manager.Manager, namespace string) (*liveness.Watcher, error) {
	if namespace == "" {
		return nil, nil // a nil Watcher is one that knows of no lease
	}
	w := &liveness.Watcher{
		Client: mgr.GetClient(), Namespace: namespace, Clock: time.Now,
		Changed: make(chan event.TypedGenericEvent[*v1alpha1.MirrorSession]),
	}
	if err := mgr.Add(w); err != nil {
		return nil, fmt.Errorf("add the watch of the verifiers' leases: %w", err)
	}
	return w, nil
}

// clusterID names this cluster in the ownership marks, see plan.ClusterID.
func clusterID(ctx context.Context, reader client.Reader) (string, error) {
	var system corev1.Namespace
	if err := reader.Get(ctx, client.ObjectKey{Name: "kube-system"}, &system); err != nil {
		return "", fmt.Errorf("read the namespace kube-system, whose UID names the cluster in the cloud: %w", err)
	}
	return plan.ClusterID(string(system.UID)), nil
}

// addMetrics lets Prometheus know what the objects say. Those of the calls to the cloud are the adapter's.
func (o options) addMetrics(mgr manager.Manager) error {
	for _, c := range []prometheus.Collector{
		startup.BuildInfo("manager", version),
		&telemetry.Objects{Cache: mgr.GetCache(), Leads: mgr.Elected(), Detail: telemetry.Detail(o.sessionMetrics), Log: mgr.GetLogger()},
	} {
		if err := metrics.Registry.Register(c); err != nil {
			return fmt.Errorf("register the metrics: %w", err)
		}
	}
	return nil
}

// addProbes makes /healthz succeed while the process runs, and /readyz once its caches are
// synced: before that it would decide on half of what there is.
func addProbes(mgr manager.Manager) error {
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("add the health check: %w", err)
	}
	ready := newReadiness(mgr.GetCache())
	if err := mgr.Add(ready); err != nil {
		return fmt.Errorf("add the readiness check: %w", err)
	}
	if err := mgr.AddReadyzCheck("caches", ready.check); err != nil {
		return fmt.Errorf("add the readiness check: %w", err)
	}
	return nil
}

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	return s
}

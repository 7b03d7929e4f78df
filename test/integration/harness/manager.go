package harness

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/controllers/credentials"
	"vpcmirror.io/operator/controllers/inventory"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/liveness"
	"vpcmirror.io/operator/controllers/mirrorfilter"
	"vpcmirror.io/operator/controllers/mirrorsession"
	"vpcmirror.io/operator/controllers/rehearsal"
	"vpcmirror.io/operator/controllers/telemetry"
	"vpcmirror.io/operator/controllers/tracing"
)

// Setting changes how a manager is made.
type Setting func(*settings)

type settings struct {
	resync  time.Duration
	timing  lifecycle.Timing
	wrap    func(client.Client) client.Client
	cloud   huawei.Options
	gate    *Gate
	lag     *Lag
	rules   credentials.Rules
	api     *rest.Config
	tracing *tracing.Tracing
	// removeOrphans deletes what is left over in the cloud.
	removeOrphans bool
	own           credentials.Own
	// selector is that of the namespaces that own serves.
	selector labels.Selector
	interval time.Duration // of the look at the namespaces
	telling  bool
}

// WithMetrics registers all metrics of a manager, and reads quotas as that does.
func WithMetrics() Setting { return func(s *settings) { s.telling = true } }

// As lets the manager be a user of the API server with other rights than the administrator's.
func As(user *rest.Config) Setting { return func(s *settings) { s.api = user } }

// WithTracing makes spans of what the manager does.
func WithTracing(t *tracing.Tracing) Setting { return func(s *settings) { s.tracing = t } }

// WithOrphansDeleted deletes what is left over in the cloud for over an hour.
func WithOrphansDeleted() Setting { return func(s *settings) { s.removeOrphans = true } }

// WithResync compares with the cloud so often. It is two hours by default, so that no test sees a resync it did not
// ask for: an object's moment comes at least a tenth of that after the last look at it.
func WithResync(d time.Duration) Setting { return func(s *settings) { s.resync = d } }

// WithClient puts something between the reconcilers and the API server.
func WithClient(wrap func(client.Client) client.Client) Setting {
	return func(s *settings) { s.wrap = wrap }
}

// quick is the timing of a cloud that is asked on the loopback.
var quick = lifecycle.Timing{CallDeadline: 300 * time.Millisecond, Lag: 700 * time.Millisecond, Recheck: 3 * time.Second}

// WithTiming sets how long the cloud may take.
func WithTiming(t lifecycle.Timing) Setting { return func(s *settings) { s.timing = t } }

// WithDeadline bounds a call to the cloud.
func WithDeadline(d time.Duration) Setting { return func(s *settings) { s.cloud.Deadline = d } }

// WithCalls bounds the calls to an account, which are not by default.
func WithCalls(perSecond float64, burst int) Setting {
	return func(s *settings) { s.cloud.CallsPerSecond, s.cloud.Burst = perSecond, burst }
}

// WithEndpoints lets Secrets name these servers too, beside the World's own cloud.
func WithEndpoints(origins ...string) Setting {
	return func(s *settings) { s.rules.Endpoints.Allowed = append(s.rules.Endpoints.Allowed, origins...) }
}

// WithOwnCredentials gives the operator credentials of its own, which serve the namespaces
// that the selector selects. These are looked at again and again after interval.
func WithOwnCredentials(own cloud.Credentials, selector labels.Set, interval time.Duration) Setting {
	return WithOwn(credentials.Fixed(own), selector, interval)
}

// WithOwn is WithOwnCredentials for such as change.
func WithOwn(own credentials.Own, selector labels.Set, interval time.Duration) Setting {
	return func(s *settings) { s.own, s.selector, s.interval = own, labels.SelectorFromSet(selector), interval }
}

// WithTransport sends what goes to the cloud.
func WithTransport(t http.RoundTripper) Setting { return func(s *settings) { s.cloud.Transport = t } }

// WithProxy reaches the cloud through a proxy.
func WithProxy(u *url.URL) Setting { return func(s *settings) { s.cloud.Proxy = http.ProxyURL(u) } }

// Manager is the manager's wiring, at work on one namespace.
type Manager struct {
	// Log is everything that it logged.
	Log *text
	// Metrics are those that a manager of its own registers.
	Metrics *prometheus.Registry
	// Liveness is what it knows of the verifiers' leases, which are in the namespace too.
	Liveness *liveness.Watcher
	polls    *polls

	cancel   context.CancelFunc
	done     chan error
	requests *requests
	events   atomic.Int64 // how many were made
}

// Start runs a manager until Stop, or the end of the test.
func (w *World) Start(change ...Setting) *Manager {
	w.t.Helper()
	s := settings{api: w.Cluster.Config, resync: 2 * time.Hour, timing: quick, cloud: huawei.Options{CallsPerSecond: 1e6, Burst: 1e6, Observe: tracing.Call}}
	s.rules.Endpoints = credentials.Endpoints{Allowed: []string{w.Cloud.URL}, Usual: huawei.UsualEndpoints}
	s.selector = labels.Nothing()
	for _, c := range change {
		c(&s)
	}
	m := &Manager{Log: &text{}, Metrics: prometheus.NewRegistry(), done: make(chan error, 1), requests: &requests{}}
	if s.telling {
		s.cloud.Registerer = m.Metrics
	}
	server := m.requests.watch(s.api)
	if s.gate != nil {
		server.Wrap(s.gate.toServer)
	}
	if s.lag != nil {
		server.Wrap(s.lag.toServer)
	}
	mgr, err := ctrl.NewManager(server, w.options(m.Log))
	if err != nil {
		w.t.Fatalf("setting the manager up: %v", err)
	}
	m.polls = &polls{Client: mgr.GetClient()}
	m.Liveness = &liveness.Watcher{
		Client: m.polls, Namespace: w.Namespace, Clock: w.Clock.Now, Interval: 20 * time.Millisecond,
		Changed: make(chan event.TypedGenericEvent[*v1alpha1.MirrorSession]),
	}
	if err := mgr.Add(m.Liveness); err != nil {
		w.t.Fatalf("setting the watch of the leases up: %v", err)
	}
	if err := w.addControllers(mgr, m, s); err != nil {
		w.t.Fatalf("setting the controllers up: %v", err)
	}
	ctx, cancel := context.WithCancel(w.ctx())
	m.cancel = cancel
	go func() { m.done <- mgr.Start(ctx) }()
	w.t.Cleanup(func() {
		m.Stop(w)
		if w.t.Failed() {
			w.t.Logf("what the manager logged about objects:\n%s", m.Log.linesWith(`"note"`, `"Not synced"`, `"ERROR"`))
		}
	})
	return m
}

// everything is logr's level 5, at which controller-runtime logs the end of each reconcile.
const everything = slog.Level(-5)

// options are those of cmd/manager, but for one namespace and without ports.
func (w *World) options(out *text) ctrl.Options {
	logger := logr.FromSlogHandler(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: everything}))
	return ctrl.Options{
		BaseContext: func() context.Context { return log.IntoContext(w.ctx(), logger) }, // else what is no controller would log nowhere
		Scheme:      w.Cluster.Client.Scheme(),
		Metrics:     metricsserver.Options{BindAddress: "0"},
		Logger:      logger,
		Cache: cache.Options{
			DefaultNamespaces: map[string]cache.Config{w.Namespace: {}},
			// Nodes are in no namespace, and those of other tests are none of this one's.
			ByObject: map[client.Object]cache.ByObject{&corev1.Node{}: {Label: labels.SelectorFromSet(w.ours())}},
		},
		NewClient:      lifecycle.NewClient,
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return w.Cluster.Client.RESTMapper(), nil },
		// Controllers of several managers have the same names here.
		// No reconcile is cut short because this machine is busy: cmd/manager has two minutes.
		Controller: config.Controller{SkipNameValidation: new(true), ReconciliationTimeout: 10 * time.Minute},
	}
}

func (w *World) addControllers(mgr manager.Manager, m *Manager, s settings) error {
	w.t.Helper()
	writer := mgr.GetClient()
	if s.wrap != nil {
		writer = s.wrap(writer)
	}
	s.rules.Namespaces = credentials.NewNamespaces(mgr.GetAPIReader(), s.selector, w.Clock.Now)
	secrets := credentials.NewSecrets(mgr.GetAPIReader(), w.Clock.Now)
	factory := huawei.NewFactory(s.cloud)
	services := lifecycle.New(lifecycle.Options{
		Client:    writer,
		Reader:    mgr.GetAPIReader(),
		Clients:   credentials.NewProvider(secrets, factory.New, s.own, s.rules, credentials.Assuming{Assume: factory.Assume}),
		Secrets:   secrets,
		Inventory: inventory.New(w.Clock.Now),
		Liveness:  m.Liveness,
		Tracing:   s.tracing,
		Recorder:  countedEvents{mgr.GetEventRecorder("vpcmirror-manager"), &m.events},
		Cluster:   w.Mark(&corev1.Namespace{}).Cluster,
		Clock:     w.Clock.Now,
		Resync:    s.resync,
		Timing:    s.timing,
	})
	if err := mgr.Add(&lifecycle.NamespaceWatch{Services: services, Namespaces: s.rules.Namespaces, Interval: s.interval}); err != nil {
		return err
	}
	orphans, err := lifecycle.NewOrphans(services, w.Namespace, s.removeOrphans, m.Metrics)
	if err != nil {
		return err
	}
	if err := mgr.Add(orphans); err != nil {
		return err
	}
	if s.telling {
		if err := m.tell(mgr, services); err != nil {
			return err
		}
	}
	const workers = 4
	if err := (&mirrorfilter.Reconciler{Services: services}).SetupWithManager(mgr, workers); err != nil {
		return err
	}
	if err := rehearsal.Setup(mgr, services); err != nil {
		return err
	}
	return (&mirrorsession.Reconciler{Services: services}).SetupWithManager(w.ctx(), mgr, workers)
}

// tell adds what cmd/manager has for Prometheus beside what the calls and the orphans register themselves.
func (m *Manager) tell(mgr manager.Manager, services *lifecycle.Services) error {
	for _, c := range []prometheus.Collector{
		&telemetry.Accounts{Known: services.Inventory.Known, Clock: services.Clock, Resync: services.Resync},
		&telemetry.Objects{Cache: mgr.GetCache(), Leads: mgr.Elected(), Detail: telemetry.Auto, Log: mgr.GetLogger()},
	} {
		if err := m.Metrics.Register(c); err != nil {
			return err
		}
	}
	return mgr.Add(lifecycle.NewQuotas(services))
}

// Stop ends the manager and waits for its end; again it does nothing.
func (m *Manager) Stop(w *World) {
	w.t.Helper()
	m.cancel()
	select {
	case err := <-m.done:
		m.done <- err
		if err != nil {
			w.t.Errorf("the manager ended with: %v", err)
		}
	case <-time.After(deadline):
		w.t.Errorf("the manager did not end within %s", deadline)
	}
}

// Writes returns what the manager asked the API server to change so far.
func (m *Manager) Writes() []string {
	return slices.DeleteFunc(m.requests.copy(), func(r string) bool {
		return strings.HasPrefix(r, http.MethodGet) || strings.HasPrefix(r, watching)
	})
}

// Reads returns what the manager asked the API server for so far, beside what it watches.
func (m *Manager) Reads() []string {
	return slices.DeleteFunc(m.requests.copy(), func(r string) bool { return !strings.HasPrefix(r, http.MethodGet) })
}

// Looks returns how often the manager has finished with an object so far.
func (m *Manager) Looks() int { return strings.Count(m.Log.linesWith("Reconcile done"), "\n") }

// Evented returns how many events with the reason the manager has made so far.
func (m *Manager) Evented(reason string) int {
	return strings.Count(m.Log.linesWith(`"Event occurred"`), fmt.Sprintf(`"reason":%q`, reason))
}

// Reconciled waits until the manager has reconciled every one of the objects since it
// started.
func (m *Manager) Reconciled(w *World, objects ...client.Object) {
	w.t.Helper()
	for _, o := range objects {
		object := fmt.Sprintf(`"%s":{"name":"%s","namespace":"%s"}`, kindOf(o), o.GetName(), w.Namespace)
		Poll(w.t, "a reconcile of "+o.GetName(), func() string { return m.Log.linesWith("Reconcile done") },
			func(lines string) bool { return strings.Contains(lines, object) })
	}
}

// EventsSent waits until every event that was made so far has been sent: events are sent
// in no order, later than what they are about.
func (m *Manager) EventsSent(w *World) {
	w.t.Helper()
	_ = Poll(w.t, "every event is sent", func() int64 {
		sent := int64(0)
		for _, r := range m.Writes() {
			if strings.HasSuffix(r, "/events") {
				sent++
			}
		}
		return m.events.Load() - sent
	}, func(missing int64) bool { return missing <= 0 })
}

// countedEvents counts the events that are made.
type countedEvents struct {
	events.EventRecorder
	count *atomic.Int64
}

// Eventf counts the event and makes it.
func (c countedEvents) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) {
	c.count.Add(1)
	c.EventRecorder.Eventf(regarding, related, kind, reason, action, note, args...)
}

// requests notes the requests of a client.
type requests struct {
	mu  sync.Mutex
	all []string
}

func (r *requests) watch(config *rest.Config) *rest.Config {
	copied := rest.CopyConfig(config)
	copied.QPS, copied.Burst = -1, 0
	copied.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			r.mu.Lock()
			r.all = append(r.all, verb(request)+" "+request.URL.Path)
			r.mu.Unlock()
			return next.RoundTrip(request)
		})
	})
	return copied
}

// verb is the method of a request, and WATCH for a watch: it asks once, and costs nothing then.
func verb(r *http.Request) string {
	if r.URL.Query().Get("watch") != "" {
		return watching
	}
	return r.Method
}

const watching = "WATCH"

func (r *requests) copy() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

package lifecycle

import (
	"cmp"
	"context"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/credentials"
	"vpcmirror.io/operator/controllers/inventory"
	"vpcmirror.io/operator/controllers/liveness"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/controllers/tracing"
)

// ClientSource gives the cloud client that an object's spec asks for, by what the API server showed
// of its credentials at notBefore or later. Before it sends anything it asks admit, with a name for
// the servers that it would ask.
type ClientSource interface {
	ClientFor(ctx context.Context, namespace string, spec *v1alpha1.CloudSpec, notBefore time.Time, admit func(server string) error) (cloud.Client, error)
	// Renewed reports whether the operator's own credentials are others by now than those of a client that
	// it gave for an object without a Secret.
	Renewed(ctx context.Context, namespace string, spec *v1alpha1.CloudSpec, notBefore time.Time, used cloud.Client) bool
}

// Options are what Services are made of. All but Secrets, Liveness, Tracing and Timing are needed.
type Options struct {
	// Client writes, and reads from the cache; see NewClient.
	Client client.Client
	// Reader reads past the cache, before what can't be taken back: an object that the cache shows
	// as it was before would make a second cloud object.
	Reader client.Reader
	// Clients gives the cloud client for an object.
	Clients ClientSource
	// Secrets shares reads of Secrets, with Clients; one of its own when nil.
	Secrets *credentials.Secrets
	// Inventory shares reads of the cloud.
	Inventory *inventory.Inventory
	// Liveness knows which verifiers are alive; nil when they hold no leases.
	Liveness *liveness.Watcher
	// Tracing makes spans of reconciles; nil makes none.
	Tracing *tracing.Tracing
	// Recorder makes events of transitions.
	Recorder events.EventRecorder
	// Cluster is this cluster's name in the ownership mark, see plan.ClusterID.
	Cluster string
	// Clock is the source of time.
	Clock cloud.Clock
	// Timing is how long the cloud may take; DefaultTiming when zero.
	Timing Timing
	// Resync is how often the cloud is compared with the spec when nothing happens.
	Resync time.Duration
}

// Services are what both reconcilers work with. Make them with New. Their methods may be
// called from several goroutines.
type Services struct {
	Options
	// Expectations are the creations whose outcome no status has yet.
	Expectations *Expectations
	// Filters and Sessions are what the objects of each kind share.
	Filters, Sessions Lane
	// FilterChanges are what changed of the filters.
	FilterChanges FilterChanges

	clients  *clientMemo
	shared   *credentials.Secrets
	guard    *secretGuard
	outcome  *outcome
	arrivals *arrivals
	sums     status.Pace
	takes    takeovers
}

// New returns services that have not seen any object yet.
func New(o Options) *Services {
	o.Timing = cmp.Or(o.Timing, DefaultTiming)
	s := &Services{Options: o, Expectations: NewExpectations(o.Clock, o.Timing), clients: newClientMemo(), arrivals: newArrivals()}
	s.outcome = newOutcome(o.Recorder, o.Resync)
	if s.shared = o.Secrets; s.shared == nil {
		s.shared = credentials.NewSecrets(o.Reader, o.Clock)
	}
	s.guard = &secretGuard{client: o.Client, reader: o.Reader, shared: s.shared}
	if o.Inventory != nil {
		o.Inventory.Resync(o.Resync)
		o.Inventory.Cluster(o.Cluster)
	}
	return s
}

// Mark is the ownership mark of a part of an object; parts are numbered from 1.
func (s *Services) Mark(o client.Object, part int) plan.Mark {
	return plan.Mark{Cluster: s.Cluster, UID: string(o.GetUID()), Part: part}
}

// Scope is one reconcile of one object.
type Scope struct {
	*Services
	// Object is our copy of the object; its status is stored at the end.
	Object status.Object
	// Stored is the object as the API server has it; moved on by each write.
	Stored status.Object
	// Version is that of the object as it was read. One that a write has made since may hold what the
	// verifiers wrote meanwhile, which this reconcile has not seen.
	Version string
	// Latest is true once it is known that the API server has the object as Stored says.
	Latest bool
	// WasSynced is true when the last reconcile found the present spec in the cloud, so
	// that any difference found now is drift.
	WasSynced bool
	// log is the reconcile's.
	log logr.Logger
	// began is when the reconcile began.
	began time.Time
	// secret is the Secret that serves the reconcile, nil for none and for one that was read for it.
	secret *corev1.Secret
	// Cloud is nil until Connect has found the credentials.
	Cloud cloud.Client
	// NotBefore is when the answers of the cloud must have begun that serve this reconcile, where
	// that is later than the steady state asks for; zero for no such reason.
	NotBefore time.Time

	// waited is true where the object waited for a worker of its server before this reconcile.
	waited  bool
	arrived arrival
}

// NewScope begins a reconcile of an object that was just read. The context is the reconcile's: what is told of the
// object is logged with its logger.
func (s *Services) NewScope(ctx context.Context, o status.Object) *Scope {
	now := s.Clock()
	scope := &Scope{
		Services: s, log: log.FromContext(ctx), Object: o, Stored: copyOf(o), Version: o.GetResourceVersion(), WasSynced: status.IsSynced(o), began: now, arrived: s.arrivals.note(o, now),
	}
	if o.Common().ObservedGeneration == 0 {
		// Somebody has wiped the status: what is stored on the way must not look as if all
		// were done, so it says what the definition's default says of a new object.
		o.Common().ObservedGeneration = -1
	}
	return scope
}

func copyOf(o status.Object) status.Object {
	return o.DeepCopyObject().(status.Object) // a copy has its original's type
}

// Store writes the object's status when it differs from what the API server has.
func (s *Scope) Store(ctx context.Context) error {
	if status.Same(s.Stored, s.Object) {
		return nil
	}
	if _, err := status.Write(ctx, s.Client, s.Reader, s.Stored, s.Object); err != nil {
		return Untaken(err)
	}
	s.Stored = copyOf(s.Object)
	return nil
}

// Event makes an event of a transition of the object, and a line of the log. action is what was being done, such
// as Create.
func (s *Scope) Event(kind, reason, action, format string, args ...any) {
	note := s.outcome.event(s.Object, kind, reason, action, format, args...)
	s.log.Info(note, "type", kind, "reason", reason)
}

// FreshSince is when an answer of the cloud must have begun to serve this reconcile: any time in
// the resync interval in the steady state unless NotBefore says otherwise; else after the present
// spec, or a request, came, and after what ended badly was tried. All who came before an answer
// began share it.
func (s *Scope) FreshSince() time.Time {
	now := s.Clock()
	if s.steady() {
		return later(now.Add(-s.Resync), s.NotBefore)
	}
	return freshSince(s.arrived, now, s.Resync)
}

// Came is when what the object asks for came to this process: its present spec, or a request.
func (s *Scope) Came() time.Time { return s.arrived.came }

// Tried reports whether the object as it is now was looked at before, and could not be brought in line
// because of what the answers of then said.
func (s *Scope) Tried() bool { return !s.steady() && s.arrived.tried.After(s.arrived.came) }

// steady reports whether the shared lists may serve this reconcile.
func (s *Scope) steady() bool {
	_, awaited := s.Expectations.Recheck(s.Object.GetUID())
	return status.Settled(s.Object) && !ReconcileRequested(s.Object) && !awaited
}

// owned reports whether the object has our finalizer: the cloud may have something of it.
// Nothing else tells that, as a status can be wiped or restored from somewhere else.
func (s *Scope) owned() bool { return controllerutil.ContainsFinalizer(s.Object, v1alpha1.Finalizer) }

// SharesAccount reports whether an object uses the operator's own credentials: the account
// is also that of other namespaces, and no message names what is theirs.
func SharesAccount(o status.Object) bool { return secretOf(o) == "" }

// ReconcileRequested reports whether somebody asks for a comparison with the cloud now.
func ReconcileRequested(o status.Object) bool {
	request := o.GetAnnotations()[v1alpha1.ReconcileRequestedAnnotation]
	return request != "" && status.Echo(request) != o.Common().LastHandledReconcileAt
}

// handled echoes the request, so that whoever asked can wait for it.
func handled(o status.Object) {
	if request := o.GetAnnotations()[v1alpha1.ReconcileRequestedAnnotation]; request != "" {
		o.Common().LastHandledReconcileAt = status.Echo(request)
	}
}

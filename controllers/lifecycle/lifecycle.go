package lifecycle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
	"vpcmirror.io/operator/controllers/liveness"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
)

// ClientSource gives the cloud client that an object's spec asks for.
type ClientSource interface {
	ClientFor(ctx context.Context, namespace string, spec *v1alpha1.CloudSpec) (cloud.Client, error)
}

// Base is what a reconciler works with.
type Base struct {
	// Client writes, and reads from the cache.
	Client client.Client
	// Reader reads past the cache: an object of ours is always read with it, because a
	// cache that misses our own last write would make a second cloud object.
	Reader client.Reader
	// Clients gives the cloud client for an object.
	Clients ClientSource
	// Inventory shares reads of the cloud.
	Inventory *inventory.Inventory
	// Liveness tells which verifiers are alive; nil when they hold no leases.
	Liveness *liveness.Watcher
	// Recorder tells transitions as events.
	Recorder events.EventRecorder
	// Cluster is this cluster's name in the ownership mark, see plan.ClusterID.
	Cluster string
	// Clock tells the time.
	Clock cloud.Clock
	// Resync is how often the cloud is compared with the spec when nothing happens.
	Resync time.Duration

	attempts sync.Map // types.UID -> attempt, the last create whose ID is not stored
	clients  sync.Map // types.UID -> cloud.Client that was last used for the object
	logged   sync.Map // types.UID -> string, what the log has of why it is not synced
	// secrets is held while an object begins or ends to need a Secret.
	secrets sync.Mutex
}

// Mark is the ownership mark of an object.
func (b *Base) Mark(o client.Object) plan.Mark {
	return plan.Mark{Cluster: b.Cluster, UID: string(o.GetUID())}
}

// attempt is a create whose outcome is not in the object's status.
type attempt struct {
	at time.Time
	// refused says that the cloud surely made nothing.
	refused bool
}

// Attempt notes that a create begins. Until Stored is called a look for the object's
// own earlier creation needs a list that began after it.
func (b *Base) Attempt(o client.Object) { b.attempts.Store(o.GetUID(), attempt{at: b.Clock()}) }

// Attempted returns what came of a create, and notes when surely nothing was made.
func (b *Base) Attempted(o client.Object, err error) error {
	if err != nil && !cloud.IsAmbiguous(err) {
		if a, ok := b.attempts.Load(o.GetUID()); ok {
			b.attempts.Store(o.GetUID(), attempt{at: a.(attempt).at, refused: true}) //nolint:forcetypeassert // nothing else is stored
		}
	}
	return err
}

// Lost notes that a read said that the object whose ID was stored is gone. One read can
// be wrong: a list that begins after it has to agree before another one is made.
func (b *Base) Lost(o client.Object) {
	b.attempts.Store(o.GetUID(), attempt{at: b.Clock(), refused: true})
}

// Contradiction is what a list says that still shows an object which a read has just
// said to be gone: nobody knows, so nothing is done until they agree.
func Contradiction(what, id string) error {
	return Retry(v1alpha1.ReasonCloudUnavailable, "the cloud says that the %s %s does not exist, and lists it all the same: waiting until it is sure", what, id)
}

// Stored notes that the ID of what was created is in the object's status.
func (b *Base) Stored(o client.Object) { b.attempts.Delete(o.GetUID()) }

// NotBefore is the earliest begin of a list in which the object's own earlier creation
// can be looked for, and the earliest begin of one in which its absence is believed:
// reads may lag behind a create. Any list of the inventory began after this leader's
// term. An object that is bound to an account, but has no ID, may have been created by
// a manager that was killed before it could tell.
func (b *Base) NotBefore(o status.Object) (found, absent time.Time) {
	stored, ok := b.attempts.Load(o.GetUID())
	switch {
	case ok:
	case o.Common().Account == nil:
		return time.Time{}, time.Time{}
	default:
		stored, _ = b.attempts.LoadOrStore(o.GetUID(), attempt{at: b.Clock()})
	}
	a := stored.(attempt) //nolint:forcetypeassert // nothing else is stored
	found = a.at.Add(1)
	if a.refused {
		return found, found
	}
	return found, a.at.Add(inventory.Lag)
}

// Since is how recent a list has to be in which the object's own earlier creation is
// looked for, and whether its absence from that list can be believed.
func (b *Base) Since(o status.Object) (since time.Time, conclusive bool) {
	found, absent := b.NotBefore(o)
	if b.Clock().Before(absent) {
		return found, false
	}
	return absent, true
}

// Unsure waits until the absence of an earlier creation can be believed. Why the create
// had no answer stays in the status meanwhile, where it is there.
func (b *Base) Unsure(o status.Object) error {
	p := Retry(v1alpha1.ReasonProgressing,
		"an earlier create may have taken effect without an answer: looking for what it made before creating again")
	if c := ready(o); c != nil && c.Status == metav1.ConditionFalse && c.ObservedGeneration == o.GetGeneration() {
		p.Reason, p.Message = c.Reason, c.Message
		p.Stalled = meta.IsStatusConditionTrue(o.Common().Conditions, v1alpha1.ConditionStalled)
	}
	return p
}

// NotBeforeAny is the latest begin of a create of any object.
func (b *Base) NotBeforeAny() time.Time {
	var latest time.Time
	b.attempts.Range(func(_, stored any) bool {
		if after := stored.(attempt).at.Add(1); after.After(latest) { //nolint:forcetypeassert // nothing else is stored
			latest = after
		}
		return true
	})
	return latest
}

// Settled is the age after which "not found" is believed for something that this
// process itself has made or seen: reads of the cloud may lag behind writes.
const Settled = 30 * time.Second

// AddFinalizer stores the finalizer. It must come before any call that could create.
// The patch carries the resource version, so it can neither revive a deleted object
// nor overwrite another writer's finalizers.
func (b *Base) AddFinalizer(ctx context.Context, o client.Object) error {
	before := o.DeepCopyObject().(client.Object)
	if !controllerutil.AddFinalizer(o, v1alpha1.Finalizer) {
		return nil
	}
	if err := b.Client.Patch(ctx, o, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("store the finalizer: %w", err)
	}
	return nil
}

// RemoveFinalizer lets the object go.
func (b *Base) RemoveFinalizer(ctx context.Context, o client.Object) error {
	before := o.DeepCopyObject().(client.Object)
	if !controllerutil.RemoveFinalizer(o, v1alpha1.Finalizer) {
		return nil
	}
	err := b.Client.Patch(ctx, o, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err = client.IgnoreNotFound(err); err != nil {
		return fmt.Errorf("remove the finalizer: %w", err)
	}
	b.Stored(o)
	b.clients.Delete(o.GetUID())
	b.logged.Delete(o.GetUID())
	return nil
}

// Connect gets the cloud client for an object and checks that it is for the object's
// account. When the Secret was removed by force, an object that is being deleted is
// served with the client it had before.
func (b *Base) Connect(ctx context.Context, o status.Object) (cloud.Client, error) {
	c, err := b.Clients.ClientFor(ctx, o.GetNamespace(), o.Cloud())
	if err != nil {
		last, ok := b.clients.Load(o.GetUID())
		if !ok || o.GetDeletionTimestamp().IsZero() || !credentialsMissing(err) {
			return nil, err
		}
		log.FromContext(ctx).Info("Deleting with the credentials of before", "because", err.Error())
		c = last.(cloud.Client) //nolint:forcetypeassert // nothing else is stored
	}
	if err := CheckAccount(o, c.Account()); err != nil {
		return nil, err
	}
	b.clients.Store(o.GetUID(), c)
	if o.GetDeletionTimestamp().IsZero() {
		if err := b.GuardSecret(ctx, o); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// CheckAccount refuses a client for another account than the one in which the object
// lives. Nothing is created, changed or deleted then.
func CheckAccount(o status.Object, account cloud.Account) error {
	bound := o.Common().Account
	if bound == nil || accountOf(bound) == account {
		return nil
	}
	return Stall(v1alpha1.ReasonAccountChanged,
		"the object lives in %s, but its credentials are now for %s: nothing was touched. Restore the old credentials, or delete the object with them and create it anew",
		describe(accountOf(bound)), describe(account))
}

// Bind records the account in the status (not stored yet).
func Bind(o status.Object, account cloud.Account) {
	o.Common().Account = &v1alpha1.Account{Region: account.Region, ProjectID: account.ProjectID, Endpoint: account.Endpoint}
}

// Unbind takes the account out of the status again (not stored yet) when err says that
// the object's very first create surely had no effect: it has nothing in the cloud then,
// and can go without credentials.
func Unbind(o status.Object, err error) {
	if cloud.ClassOf(err) != "" && !cloud.IsAmbiguous(err) {
		o.Common().Account = nil
	}
}

// SameAccount says whether a recorded account is the given one.
func SameAccount(bound *v1alpha1.Account, account cloud.Account) bool {
	return bound != nil && accountOf(bound) == account
}

func accountOf(a *v1alpha1.Account) cloud.Account {
	return cloud.Account{Region: a.Region, ProjectID: a.ProjectID, Endpoint: a.Endpoint}
}

func describe(a cloud.Account) string {
	return fmt.Sprintf("project %s of region %s at %s", a.ProjectID, a.Region, a.Endpoint)
}

// Poked says whether somebody asks for a look at the cloud now.
func Poked(o status.Object) bool {
	request := o.GetAnnotations()[v1alpha1.ReconcileRequestedAnnotation]
	return request != "" && cut(request) != o.Common().LastHandledReconcileAt
}

// Handled echoes the request, so that whoever asked can wait for it.
func Handled(o status.Object) {
	if request := o.GetAnnotations()[v1alpha1.ReconcileRequestedAnnotation]; request != "" {
		o.Common().LastHandledReconcileAt = cut(request)
	}
}

// cut keeps a text within 128 characters, the bound of the status field that echoes a
// request and of an event's action.
func cut(text string) string {
	if r := []rune(text); len(r) > 128 {
		return string(r[:128])
	}
	return text
}

// Conclude turns the outcome of a look into conditions, an event when they changed,
// and the time of the next look. The status is not stored yet.
func (b *Base) Conclude(ctx context.Context, before, o status.Object, err error, synced string) (ctrl.Result, error) {
	if err == nil {
		Handled(o)
		status.Synced(o, synced)
		b.tell(before, o, corev1.EventTypeNormal)
		b.logged.Delete(o.GetUID())
		return b.Later(0), nil
	}
	p := Diagnose(err)
	if p == nil || ctx.Err() != nil {
		// The API server's fault, or the manager stops in the middle of a look: neither
		// says anything about the object.
		return ctrl.Result{}, err
	}
	Handled(o)
	if c := ready(before); c != nil && c.Reason == p.Reason && sameButRequest(c.Message, p.Message) {
		p.Message = c.Message
	}
	if p.Stalled {
		status.Stalled(o, p.Reason, p.Message)
	} else {
		status.Waiting(o, p.Reason, p.Message)
	}
	kind := corev1.EventTypeNormal
	if p.Stalled || p.Retry {
		kind = corev1.EventTypeWarning
	}
	told := b.tell(before, o, kind) // events are logged, too
	if was, _ := b.logged.Swap(o.GetUID(), p.Reason+": "+p.Message); !told && was != p.Reason+": "+p.Message {
		log.FromContext(ctx).Info("Not synced", "reason", p.Reason, "message", p.Message)
	}
	if p.Retry {
		return ctrl.Result{}, err
	}
	return b.Later(p.After), nil
}

var requestID = regexp.MustCompile(`\(request [^)]*\)`)

// sameButRequest says whether two messages differ only in the cloud's request IDs, which
// are new each time: that is no reason to write a status.
func sameButRequest(a, b string) bool {
	return requestID.ReplaceAllString(a, "") == requestID.ReplaceAllString(b, "")
}

// tell makes an event when the reason or the truth of Ready changed, and says whether.
func (b *Base) tell(before, o status.Object, kind string) bool {
	was, is := ready(before), ready(o)
	if is == nil || (was != nil && was.Reason == is.Reason && was.Status == is.Status) {
		return false
	}
	b.Event(o, kind, is.Reason, "Reconcile", "%s", is.Message)
	return true
}

func ready(o status.Object) *metav1.Condition {
	for i, c := range o.Common().Conditions {
		if c.Type == v1alpha1.ConditionReady {
			return &o.Common().Conditions[i]
		}
	}
	return nil
}

// maxNote is the API server's bound for an event's note, in bytes.
const maxNote = 1024

// Event tells a transition. action is what was being done, such as Create.
func (b *Base) Event(o client.Object, kind, reason, action, format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-4], "") + " ..."
	}
	b.Recorder.Eventf(o, nil, kind, reason, cut(action), "%s", note)
}

// Restoring is the action of an event about drift. It names the fields, because events
// of an unchanged object with the same reason and action are folded into the first of
// them, whatever their notes say (client-go, package events).
func Restoring(changes []plan.Change) string {
	fields := make([]string, 0, len(changes))
	for _, c := range changes {
		fields = append(fields, c.Field)
	}
	return cut("Restore " + strings.Join(fields, ", "))
}

// Later is when to look again: after the given time, or the resync interval when that
// is zero; up to 10 % later, so that objects made together don't stay together.
func (b *Base) Later(after time.Duration) ctrl.Result {
	if after <= 0 {
		after = b.Resync
	}
	return ctrl.Result{RequeueAfter: after + rand.N(after/10+1)}
}

// Save stores the status when it differs from before's, and notes it as stored.
func (b *Base) Save(ctx context.Context, before, o status.Object) (bool, error) {
	return status.Write(ctx, b.Client, b.Reader, before, o)
}

// FreshSince is how old an answer of the cloud may be: any age up to the resync
// interval in the steady state, none when the spec changed, the last look failed, or
// somebody asks.
func (b *Base) FreshSince(o status.Object) time.Time {
	if !status.IsSynced(o) || Poked(o) {
		return b.Clock()
	}
	return b.Clock().Add(-b.Resync)
}

// Backoff is the growing delay between failed looks at one object: 1 s to 2 min.
func Backoff() workqueue.TypedRateLimiter[ctrl.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](time.Second, 2*time.Minute)
}

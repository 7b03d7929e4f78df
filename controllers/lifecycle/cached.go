package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/controllers/status"
)

// NewClient makes the client of a manager, for ctrl.Options.NewClient. Its reads come from the cache,
// but for Secrets and namespaces, which are neither listed nor watched. A read with OwnWrites waits
// until the cache shows what this client has written of the object; all others take what is there, so
// that a write which gets no answer holds up nobody else.
func NewClient(config *rest.Config, o client.Options) (client.Client, error) {
	if o.Cache != nil {
		cached := *o.Cache
		cached.DisableFor = append(slices.Clone(cached.DisableFor), &corev1.Secret{}, &corev1.Namespace{})
		cached.EnableReadYourWritesConsistency = new(true)
		o.Cache = &cached
	}
	c, err := client.New(config, o)
	if err != nil {
		return nil, fmt.Errorf("make the client of the API server: %w", err)
	}
	return unheld{c}, nil
}

// unheld is a client whose reads wait for writes only where that is asked for.
type unheld struct{ client.Client }

// Get waits for writes with OwnWrites alone.
func (c unheld) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if !slices.Contains(opts, client.GetOption(OwnWrites)) {
		opts = append(slices.Clone(opts), client.DisableReadYourWritesConsistency)
	}
	return c.Client.Get(ctx, key, o, opts...)
}

// List never waits for writes.
func (c unheld) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	return c.Client.List(ctx, list, append(slices.Clone(opts), client.DisableReadYourWritesConsistency)...)
}

// SessionsByFilter is the index of the cache by which the sessions of a filter are found, in its namespace
// by its name. The reconciler of sessions adds it.
const SessionsByFilter = "vpcmirror.io/filter"

// OwnWrites lets a Get of NewClient's client wait until the cache shows what that has written.
const OwnWrites = ownWrites(true)

type ownWrites bool

// ApplyToGet changes nothing: what waits is the client.
func (ownWrites) ApplyToGet(*client.GetOptions) {}

// cachePatience is for how long a reconcile waits for the cache to show its object's last write. A
// watch that is behind for longer may be for minutes, and would take one worker after the other.
const cachePatience = 2 * time.Second

// Read reads an object that is to be reconciled, and reports whether that is how the API server has
// it now. In the steady state it comes from the cache, and costs nothing. It is read past the cache
// where the caller wants that (latest), where it is being deleted, and where the cache does not show
// our own last write in time.
func Read[T any, O interface {
	*T
	status.Object
}](ctx context.Context, s *Services, key client.ObjectKey, latest bool) (o O, isLatest bool, err error) {
	if !latest {
		o = new(T)
		if latest, err = s.readCached(ctx, key, o); err != nil {
			return nil, false, err
		}
	}
	if !latest && o.GetDeletionTimestamp().IsZero() {
		return o, false, nil
	}
	o = new(T)
	if err := s.Reader.Get(ctx, key, o); err != nil {
		return nil, false, fmt.Errorf("read it: %w", err)
	}
	return o, true, nil
}

// readCached reads an object from the cache, and reports whether that is too far behind.
func (s *Services) readCached(ctx context.Context, key client.ObjectKey, o status.Object) (behind bool, err error) {
	patient, cancel := context.WithTimeout(ctx, cachePatience)
	defer cancel()
	err = s.Client.Get(patient, key, o, OwnWrites)
	switch {
	case err == nil:
		return false, nil
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		log.FromContext(ctx).V(1).Info("The cache does not show the last write yet: reading past it", "because", err.Error())
		return true, nil
	default:
		return false, fmt.Errorf("read it: %w", err)
	}
}

// errOutdated means that the object, or its Secret, is not any more how it was read before.
var errOutdated = errors.New("the object, or its Secret, has changed since it was read")

// Latest reconciles an object once, and once more with what the API server has of it where the cache
// was too old for what there was to do. The error is for the queue: one that alarms nobody says so itself.
func Latest(ctx context.Context, once func(latest bool) (ctrl.Result, error)) (ctrl.Result, error) {
	result, err := once(false)
	if errors.Is(err, errOutdated) {
		result, err = once(true)
	}
	return result, forQueue(ctx, err)
}

// expected is an error that only lets the queue come back: nothing is wrong, or what is wrong stands in the
// status and in the log already.
type expected struct{ error }

// Unwrap returns the error.
func (e expected) Unwrap() error { return e.error }

// Expected is true: controller-runtime logs each error that a reconcile ends with as one, and the log
// of the program puts this one at the level of decisions.
func (e expected) Expected() bool { return true }

// forQueue marks the errors of a reconcile that alarm nobody.
func forQueue(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled): // the manager stops
	case errors.Is(err, errOutdated), apierrors.IsConflict(err): // somebody else was faster
	case Diagnose(err) != nil: // see outcome.tell
	default:
		return err
	}
	return expected{err}
}

// EnsureLatest comes before whatever a later reconcile can't take back: what is made, changed or
// deleted in the cloud, and a Secret's finalizer. The object may have been read from a cache that is
// behind, as that of a manager that has just begun to lead: there it may exist no more, or may have
// been made by the one before, or may be what the user has corrected since. One read in a reconcile
// tells; what the verifiers write makes no difference.
func (s *Scope) EnsureLatest(ctx context.Context) error {
	if s.Latest {
		return nil
	}
	now := copyOf(s.Object)
	err := s.Reader.Get(ctx, client.ObjectKeyFromObject(s.Object), now)
	switch {
	case apierrors.IsNotFound(err):
		return errOutdated
	case err != nil:
		return fmt.Errorf("see whether the object is still as it was read: %w", err)
	}
	unchanged, err := status.Unchanged(s.Stored, now)
	if err != nil {
		return err
	}
	if !unchanged || now.GetGeneration() != s.Object.GetGeneration() || !now.GetDeletionTimestamp().IsZero() ||
		!slices.Equal(now.GetFinalizers(), s.Object.GetFinalizers()) {
		return errOutdated
	}
	s.Object.SetResourceVersion(now.GetResourceVersion())
	s.Latest = true
	return nil
}

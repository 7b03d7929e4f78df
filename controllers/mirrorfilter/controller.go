// Package mirrorfilter reconciles MirrorFilters: it makes the cloud's filter and rules
// match the spec and shows in the status how far it is.
//
// It may import api, controllers/cloud, controllers/credentials, controllers/diagnosis,
// controllers/diagnosis/history, controllers/inventory, controllers/lifecycle, controllers/liveness,
// controllers/plan, controllers/status and controllers/tracing.
package mirrorfilter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// Reconciler makes cloud filters match MirrorFilters.
type Reconciler struct {
	*lifecycle.Services

	edits edits
}

// scope is one reconcile of one filter.
type scope struct {
	*lifecycle.Scope
	// filter is Object by its type.
	filter *v1alpha1.MirrorFilter
	// changing is what the cloud had when this reconcile began to change it, nil while it has not.
	changing *cloud.Filter
	// making is true while the filter is made: that is no change of what it was.
	making bool
	// edited is true when the spec is another one than the last reconcile's, and nobody knows
	// what that was.
	edited bool
}

// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorfilters,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorfilters/status,verbs=patch
// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorsessions,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;patch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile goes once through the life of one filter and its counterpart in the cloud.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	defer r.Filters.Done(req)
	return lifecycle.Latest(ctx, func(latest bool) (ctrl.Result, error) { return r.look(ctx, req, latest) })
}

// look reconciles one filter, from the cache or as the API server has it.
func (r *Reconciler) look(ctx context.Context, req ctrl.Request, latest bool) (ctrl.Result, error) {
	filter, latest, err := lifecycle.Read[v1alpha1.MirrorFilter](ctx, r.Services, req.NamespacedName, latest)
	if err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if v1alpha1.PlannedOf(filter) != "" {
		return ctrl.Result{}, nil // it is a question, see package rehearsal
	}
	s := &scope{Scope: r.NewScope(ctx, filter), filter: filter}
	s.Latest = latest
	if filter.DeletionTimestamp.IsZero() {
		s.edit(&r.edits)
	}
	return s.Scope.Reconcile(ctx, s)
}

// Rehearse goes once through the life of a filter, and returns it as it is then. It is for services whose clients
// write nothing. The error is one that no condition of the filter tells, such as that of reading it.
func (r *Reconciler) Rehearse(ctx context.Context, key client.ObjectKey) (*v1alpha1.MirrorFilter, error) {
	filter, latest, err := lifecycle.Read[v1alpha1.MirrorFilter](ctx, r.Services, key, true)
	if err != nil {
		return nil, err
	}
	s := &scope{Scope: r.NewScope(ctx, filter), filter: filter}
	s.Latest = latest
	_, err = s.Scope.Reconcile(ctx, s)
	return filter, lifecycle.Untold(filter, err)
}

// Sync observes the cloud's filter, makes it where there is none, and mends what differs.
func (s *scope) Sync(ctx context.Context) error {
	part := s.part()
	want, err := plan.FilterFrom(s.filter, s.Mark(s.filter, part.Number))
	if err != nil {
		return lifecycle.Stall(v1alpha1.ReasonInvalidRequest, "%s", err)
	}
	if s.Observes() {
		return s.compare(ctx, part, want)
	}
	have, err := part.Find(ctx)
	if err != nil {
		return err
	}
	lost := s.filter.Status.ID
	if part.ImportID != "" {
		want = plan.ImportFilter(want, &s.filter.Spec.CloudSpec, s.Mark(s.filter, part.Number), *have)
	}
	if have == nil {
		// Its rules come one by one: a filter is made without any.
		created, err := part.Create(ctx, func(ctx context.Context) (cloud.Filter, error) {
			return s.Cloud.CreateFilter(ctx, want.Name, want.Description)
		})
		if err != nil {
			return err
		}
		s.Event(corev1.EventTypeNormal, "Created", "Create", "created the filter %s in the cloud", created.ID)
		s.made(lost, len(want.Rules))
		have = &created
	}
	if err := part.Converge(ctx, *have, s.mend(part, want)); err != nil {
		return err
	}
	s.changed(asCloud(want, have.ID))
	return part.Surplus(ctx)
}

// compare observes the cloud's filter, and says how it differs from the spec.
func (s *scope) compare(ctx context.Context, part *lifecycle.Part[cloud.Filter], want plan.WantedFilter) error {
	have, err := part.FindObserved(ctx)
	if err != nil {
		return err
	}
	want = plan.ObservedFilter(want, &s.filter.Spec.CloudSpec, s.Mark(s.filter, part.Number), *have)
	part.Record(*have)
	return part.Differing(*have, plan.DiffFilter(want, *have).Changes)
}

// Synced is the message of Ready when the cloud matches the spec.
func (s *scope) Synced() string {
	message := fmt.Sprintf("the cloud has the filter with every rule of the spec (%d)", len(s.filter.Spec.Rules))
	if s.Observes() {
		message += "; it is only observed (spec.managementPolicy)"
	}
	return message
}

// Observe has nothing to show of a filter beside the cloud's state.
func (s *scope) Observe(context.Context) time.Duration { return 0 }

// Delete removes the cloud's filter once no session uses it.
func (s *scope) Delete(ctx context.Context) error {
	if err := s.checkUnused(ctx); err != nil {
		return err
	}
	if s.Observes() {
		s.Leave()
		return nil
	}
	if s.Retained() {
		return s.Release(ctx, func(ctx context.Context) error { return s.part().Disown(ctx) })
	}
	if err := s.Connect(ctx); err != nil {
		return err
	}
	return s.part().Delete(ctx)
}

// checkUnused waits for the sessions that use the filter. A failed list is not an empty
// one: the filter stays.
func (s *scope) checkUnused(ctx context.Context) error {
	var sessions v1alpha1.MirrorSessionList
	err := s.Client.List(ctx, &sessions, client.InNamespace(s.filter.Namespace), client.MatchingFields{lifecycle.SessionsByFilter: s.filter.Name},
		client.UnsafeDisableDeepCopy) // the cache's own objects are only read
	if err != nil {
		return fmt.Errorf("find the sessions that use the filter: %w", err)
	}
	var users []string
	for i := range sessions.Items {
		if controllerutil.ContainsFinalizer(&sessions.Items[i], v1alpha1.Finalizer) {
			users = append(users, sessions.Items[i].Name)
		}
	}
	if len(users) == 0 {
		return nil
	}
	slices.Sort(users)
	return lifecycle.Wait(v1alpha1.ReasonFilterInUse,
		"sessions still use the filter: %s. It goes when they are deleted or use another", strings.Join(users, ", "))
}

// SetupWithManager registers the reconciler. A filter is reconciled when its spec or an
// annotation changes, and when the spec of a session that uses it changes or the session goes,
// because a filter in use is not deleted. Those of one server get so many workers.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, workers int) error {
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.MirrorFilter{}, builder.WithPredicates(r.Arrivals(), predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&v1alpha1.MirrorSession{}, lifecycle.Follows(handler.EnqueueRequestsFromMapFunc(filterOf)),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(r.Filters.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: r.Filters.Share(workers), RateLimiter: lifecycle.Backoff()}).
		Complete(r.Tracing.Reconciler("MirrorFilter", r))
}

func filterOf(_ context.Context, o client.Object) []reconcile.Request {
	session, ok := o.(*v1alpha1.MirrorSession)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: session.Namespace, Name: session.Spec.FilterRef.Name}}}
}

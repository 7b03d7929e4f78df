package mirrorsession

import (
	"cmp"
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/status"
)

// SetupWithManager registers the reconciler. A session is reconciled when its spec,
// an annotation or a verifier's entry changes, when its filter does, and when another session
// frees the priority or the quota that it waits for. Those of one server get so many workers.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, workers int) error {
	if err := addIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	b := ctrl.NewControllerManagedBy(mgr)
	if r.Liveness != nil {
		b = b.WatchesRawSource(source.TypedChannel(r.Liveness.Changed, lifecycle.Follows(&handler.TypedEnqueueRequestForObject[*v1alpha1.MirrorSession]{})))
	}
	return b.
		For(&v1alpha1.MirrorSession{}, builder.WithPredicates(r.Arrivals(), predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&v1alpha1.MirrorSession{}, lifecycle.Follows[client.Object](&handler.EnqueueRequestForObject{}), builder.WithPredicates(verificationChanged())).
		Watches(&v1alpha1.MirrorFilter{}, lifecycle.Follows(handler.EnqueueRequestsFromMapFunc(r.usersOf)), builder.WithPredicates(filterMatters())).
		Watches(&corev1.Node{}, lifecycle.Follows(r.ofNodes()), builder.WithPredicates(nodeMatters())).
		Watches(&v1alpha1.MirrorSession{}, lifecycle.Follows(handler.EnqueueRequestsFromMapFunc(r.waitingForRoom)), builder.WithPredicates(givesRoom())).
		WatchesRawSource(r.Sessions.Source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: r.Sessions.Share(workers), RateLimiter: lifecycle.Backoff()}).
		Complete(r.Tracing.Reconciler("MirrorSession", r))
}

// verificationChanged passes what a verifier wrote, and not what we wrote ourselves.
func verificationChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*v1alpha1.MirrorSession)
		after, ok2 := e.ObjectNew.(*v1alpha1.MirrorSession)
		return ok1 && ok2 && !equality.Semantic.DeepEqual(before.Status.Verification, after.Status.Verification) ||
			ok1 && ok2 && !equality.Semantic.DeepEqual(before.Status.ProbeReports, after.Status.ProbeReports)
	}}
}

// sinceTheStart passes what has come since this process began to reconcile. It then looks at every session
// anyway, so what was there before needs to wake none: thousands of nodes are in the first list.
func sinceTheStart(e event.CreateEvent) bool { return !e.IsInInitialList }

// filterMatters passes the changes of a filter that matter to a session: its ID, its epoch, its
// account, whether it is ready, that an edit was seen, and that it goes.
func filterMatters() predicate.Predicate {
	return predicate.Funcs{CreateFunc: sinceTheStart, UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*v1alpha1.MirrorFilter)
		after, ok2 := e.ObjectNew.(*v1alpha1.MirrorFilter)
		return ok1 && ok2 && (before.Status.ID != after.Status.ID || before.Status.Epoch != after.Status.Epoch ||
			before.Status.EpochBasis != after.Status.EpochBasis || before.Status.ObservedGeneration != after.Status.ObservedGeneration ||
			status.IsSynced(before) != status.IsSynced(after) || status.Settled(before) != status.Settled(after) ||
			before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() ||
			!equality.Semantic.DeepEqual(before.Status.Account, after.Status.Account))
	}}
}

// givesRoom passes what can free a number: that a session of the cloud goes, or changes;
// and that one begins to wait for a priority, because two can wait for each other's.
func givesRoom() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(*v1alpha1.MirrorSession)
			after, ok2 := e.ObjectNew.(*v1alpha1.MirrorSession)
			return ok1 && ok2 && (after.WaitsFor(v1alpha1.ReasonPriorityTaken) && !before.WaitsFor(v1alpha1.ReasonPriorityTaken) ||
				before.InCloud() && !equality.Semantic.DeepEqual(before.Status.Sessions, after.Status.Sessions))
		},
	}
}

// waitingForRoom wakes the other sessions that wait for a priority or a quota, and those
// that may be about to: what they found taken may be free by now.
func (r *Reconciler) waitingForRoom(ctx context.Context, o client.Object) []reconcile.Request {
	return r.sessionsThat(ctx, func(s *v1alpha1.MirrorSession) bool { return s.UID != o.GetUID() }, client.MatchingFields{sessionsByWait: forRoom})
}

// usersOf wakes the sessions that use a filter.
func (r *Reconciler) usersOf(ctx context.Context, o client.Object) []reconcile.Request {
	return r.sessionsThat(ctx, every, client.InNamespace(o.GetNamespace()), client.MatchingFields{sessionsByFilter: o.GetName()})
}

func every(*v1alpha1.MirrorSession) bool { return true }

func (r *Reconciler) sessionsThat(ctx context.Context, fit func(*v1alpha1.MirrorSession) bool, where ...client.ListOption) []reconcile.Request {
	var sessions v1alpha1.MirrorSessionList
	// The cache's own objects are only read here, and there may be many.
	if err := r.Client.List(ctx, &sessions, append(where, client.UnsafeDisableDeepCopy)...); err != nil {
		if ctx.Err() == nil { // the cache, which answers this, may stop before us
			ctrl.LoggerFrom(ctx).Error(err, "Sessions were not woken")
		}
		return nil
	}
	var found []*v1alpha1.MirrorSession
	for i := range sessions.Items {
		if fit(&sessions.Items[i]) {
			found = append(found, &sessions.Items[i])
		}
	}
	slices.SortFunc(found, byAge) // the cache has no order
	requests := make([]reconcile.Request, 0, len(found))
	for _, s := range found {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(s)})
	}
	return requests
}

// byAge is the order of sessions by when they were made, and then by their names.
func byAge(a, b *v1alpha1.MirrorSession) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

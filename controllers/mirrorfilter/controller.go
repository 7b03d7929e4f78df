// Package mirrorfilter reconciles MirrorFilters: it makes the cloud's filter and rules
// match the spec and tells in the status how far it is.
//
// It may import api, controllers/cloud, controllers/credentials, controllers/inventory,
// controllers/lifecycle, controllers/liveness, controllers/plan and controllers/status.
package mirrorfilter

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/status"
)

// Reconciler makes cloud filters match MirrorFilters.
type Reconciler struct {
	*lifecycle.Base
}

// scope is one look at one filter.
type scope struct {
	// filter is our copy of the object; its status is written at the end.
	filter *v1alpha1.MirrorFilter
	// stored is the object as the API server has it; moved on by each write.
	stored *v1alpha1.MirrorFilter
	// cloud is set once the credentials are resolved.
	cloud cloud.Client
	// wasSynced says that the last look found the present spec in the cloud, so that
	// any difference found now is drift.
	wasSynced bool
}

// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorfilters,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorfilters/status,verbs=patch
// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorsessions,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;patch
// +kubebuilder:rbac:groups="",resources=namespaces,resourceNames=kube-system,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile looks at one filter and its counterpart in the cloud.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	filter := &v1alpha1.MirrorFilter{}
	if err := r.Reader.Get(ctx, req.NamespacedName, filter); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	s := &scope{filter: filter, stored: filter.DeepCopy(), wasSynced: status.IsSynced(filter)}
	var result ctrl.Result
	var err error
	switch {
	case !filter.DeletionTimestamp.IsZero():
		return r.delete(ctx, s)
	case filter.Spec.Suspend:
		status.Suspended(filter)
	default:
		err = r.sync(ctx, s)
		result, err = r.Conclude(ctx, s.stored, filter, err,
			fmt.Sprintf("the cloud has the filter with every rule of the spec (%d)", len(filter.Spec.Rules)))
	}
	if _, failed := r.Save(ctx, s.stored, filter); failed != nil {
		return ctrl.Result{}, failed
	}
	return result, err
}

// sync is the life of a filter that is not being deleted, top to bottom.
func (r *Reconciler) sync(ctx context.Context, s *scope) error {
	if err := r.AddFinalizer(ctx, s.filter); err != nil {
		return err
	}
	if err := r.connect(ctx, s); err != nil {
		return err
	}
	want, err := r.want(s)
	if err != nil {
		return err
	}
	have, err := r.observe(ctx, s, want)
	if err != nil {
		return err
	}
	if have == nil {
		if have, err = r.create(ctx, s, want); err != nil {
			return err
		}
	}
	return r.converge(ctx, s, want, *have)
}

// SetupWithManager registers the reconciler. A filter is looked at when its spec or a
// poke changes, and when the spec of a session that uses it changes or the session goes,
// because a filter in use is not deleted.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, workers int) error {
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.MirrorFilter{}, builder.WithPredicates(predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&v1alpha1.MirrorSession{}, handler.EnqueueRequestsFromMapFunc(filterOf),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: lifecycle.Backoff()}).
		Complete(r)
}

func filterOf(_ context.Context, o client.Object) []reconcile.Request {
	session, ok := o.(*v1alpha1.MirrorSession)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: session.Namespace, Name: session.Spec.FilterRef.Name}}}
}

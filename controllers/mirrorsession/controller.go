// Package mirrorsession reconciles MirrorSessions: it resolves what the spec refers
// to, makes the cloud's session match, and sums up what the verifiers saw.
//
// It may import api, controllers/cloud, controllers/credentials, controllers/inventory,
// controllers/lifecycle, controllers/liveness, controllers/plan and controllers/status.
package mirrorsession

import (
	"context"
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
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
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
)

// Reconciler makes cloud sessions match MirrorSessions.
type Reconciler struct {
	*lifecycle.Base

	turns sync.Map // cloud.Account -> chan struct{}, see turn
}

// scope is one look at one session.
type scope struct {
	// session is our copy of the object; its status is written at the end.
	session *v1alpha1.MirrorSession
	// stored is the object as the API server has it; moved on by each write.
	stored *v1alpha1.MirrorSession
	// wasSynced says that the last look found the present spec in the cloud, so that
	// any difference found now is drift.
	wasSynced bool
	// cloud is set once the credentials are resolved.
	cloud cloud.Client
	// filter is set once the reference is resolved.
	filter *v1alpha1.MirrorFilter
	// sources and target are set once they are resolved.
	sources []cloud.Interface
	target  cloud.Interface
	// aside is who has the priority that the spec names, when this look gives the session
	// another one for a while, see exchange.
	aside *cloud.Session
}

func scopeOf(session *v1alpha1.MirrorSession) *scope {
	return &scope{session: session, stored: session.DeepCopy(), wasSynced: status.IsSynced(session)}
}

// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorsessions,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorsessions/status,verbs=patch
// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorfilters,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;patch
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile looks at one session and its counterpart in the cloud.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	session := &v1alpha1.MirrorSession{}
	if err := r.Reader.Get(ctx, req.NamespacedName, session); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !session.DeletionTimestamp.IsZero() {
		return r.delete(ctx, scopeOf(session))
	}
	if err := r.retire(ctx, session); err != nil {
		return ctrl.Result{}, err
	}
	s := scopeOf(session)
	var result ctrl.Result
	var err error
	switch {
	case session.Spec.Suspend:
		status.Suspended(session)
	default:
		err = r.sync(ctx, s)
		result, err = r.Conclude(ctx, s.stored, session, err, describe(session))
	}
	status.Traffic(session, r.Liveness.Lost)
	r.tellTraffic(s)
	if _, failed := r.Save(ctx, s.stored, session); failed != nil {
		return ctrl.Result{}, failed
	}
	return result, err
}

// sync is the life of a session that is not being deleted, top to bottom.
func (r *Reconciler) sync(ctx context.Context, s *scope) error {
	if err := r.AddFinalizer(ctx, s.session); err != nil {
		return err
	}
	if err := r.connect(ctx, s); err != nil {
		return err
	}
	if len(s.session.Spec.Sources) == 0 {
		return r.pause(ctx, s)
	}
	if err := r.findFilter(ctx, s); err != nil {
		return err
	}
	if err := r.resolve(ctx, s); err != nil {
		return err
	}
	have, err := r.observe(ctx, s)
	if err != nil {
		return err
	}
	n := kept(s, have)
	if !n.held(s, have) {
		end, err := r.turn(ctx, s.cloud.Account())
		if err != nil {
			return err
		}
		defer end()
		if err := r.choose(ctx, s, &n); err != nil {
			return err
		}
	}
	if have == nil {
		return r.create(ctx, s, r.want(s, n))
	}
	if err := r.converge(ctx, s, r.want(s, n), *have); err != nil || s.aside == nil {
		return err
	}
	n.has = n.priority
	return n.priorityTaken(s, *s.aside)
}

// want is what the spec asks of the cloud, with references resolved and numbers chosen.
func (r *Reconciler) want(s *scope, n numbers) plan.WantedSession {
	ids := make([]string, 0, len(s.sources))
	for _, i := range s.sources {
		ids = append(ids, i.ID)
	}
	return plan.SessionFrom(s.session, r.Mark(s.session), s.filter.Status.ID, s.target.ID, ids, n.vni, n.priority)
}

func describe(s *v1alpha1.MirrorSession) string {
	switch {
	case s.Spec.Enabled != nil && !*s.Spec.Enabled:
		return "the cloud has the session; it is switched off by spec.enabled"
	case s.Status.Target != nil && s.Status.VNI != nil:
		return fmt.Sprintf("the cloud copies from %s to %s with VNI %d",
			names(s.Status.Sources...), names(*s.Status.Target), *s.Status.VNI)
	default:
		return "the cloud has the session"
	}
}

// names are the primary addresses of interfaces, or their IDs where they have none.
func names(interfaces ...v1alpha1.ResolvedInterface) string {
	out := make([]string, 0, len(interfaces))
	for _, i := range interfaces {
		if len(i.Addresses) > 0 {
			out = append(out, i.Addresses[0])
		} else {
			out = append(out, i.InterfaceID)
		}
	}
	return strings.Join(out, ", ")
}

// SetupWithManager registers the reconciler. A session is looked at when its spec, a
// poke or a verifier's entry changes, when its filter does, and when another session
// frees the priority or the quota that it waits for.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, workers int) error {
	b := ctrl.NewControllerManagedBy(mgr)
	if r.Liveness != nil {
		b = b.WatchesRawSource(source.TypedChannel(r.Liveness.Changed, &handler.TypedEnqueueRequestForObject[*v1alpha1.MirrorSession]{}))
	}
	return b.
		For(&v1alpha1.MirrorSession{}, builder.WithPredicates(predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, verificationChanged()))).
		Watches(&v1alpha1.MirrorFilter{}, handler.EnqueueRequestsFromMapFunc(r.usersOf), builder.WithPredicates(filterMatters())).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(r.usersOfNode), builder.WithPredicates(nodeMatters())).
		Watches(&v1alpha1.MirrorSession{}, handler.EnqueueRequestsFromMapFunc(r.waitingForRoom), builder.WithPredicates(givesRoom())).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: lifecycle.Backoff()}).
		Complete(r)
}

// verificationChanged passes what a verifier wrote, and not what we wrote ourselves.
func verificationChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*v1alpha1.MirrorSession)
		after, ok2 := e.ObjectNew.(*v1alpha1.MirrorSession)
		return ok1 && ok2 && !equality.Semantic.DeepEqual(before.Status.Verification, after.Status.Verification)
	}}
}

// filterMatters passes the changes of a filter that a session can wait for: its ID, its
// account, whether it is ready, and that it goes.
func filterMatters() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*v1alpha1.MirrorFilter)
		after, ok2 := e.ObjectNew.(*v1alpha1.MirrorFilter)
		return ok1 && ok2 && (before.Status.ID != after.Status.ID ||
			status.IsSynced(before) != status.IsSynced(after) ||
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
			return ok1 && ok2 && (waitsFor(after, v1alpha1.ReasonPriorityTaken) && !waitsFor(before, v1alpha1.ReasonPriorityTaken) ||
				len(before.Status.Sessions) > 0 && !equality.Semantic.DeepEqual(before.Status.Sessions, after.Status.Sessions))
		},
	}
}

// waitingForRoom wakes the other sessions that wait for a priority or a quota, and those
// that may be about to: what they found taken may be free by now.
func (r *Reconciler) waitingForRoom(ctx context.Context, o client.Object) []reconcile.Request {
	return r.sessionsThat(ctx, func(s *v1alpha1.MirrorSession) bool {
		return s.UID != o.GetUID() &&
			(waitsFor(s, v1alpha1.ReasonPriorityTaken) || waitsFor(s, v1alpha1.ReasonQuotaExceeded) || s.Status.ObservedGeneration != s.Generation)
	})
}

// waitsFor says whether the last look at the present spec ended with a reason.
func waitsFor(s *v1alpha1.MirrorSession, reason string) bool {
	ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Reason == reason && ready.ObservedGeneration == s.Generation
}

// usersOf wakes the sessions that use a filter.
func (r *Reconciler) usersOf(ctx context.Context, o client.Object) []reconcile.Request {
	return r.sessionsThat(ctx, func(s *v1alpha1.MirrorSession) bool { return s.Spec.FilterRef.Name == o.GetName() },
		client.InNamespace(o.GetNamespace()))
}

func (r *Reconciler) sessionsThat(ctx context.Context, fit func(*v1alpha1.MirrorSession) bool, where ...client.ListOption) []reconcile.Request {
	var sessions v1alpha1.MirrorSessionList
	// The cache's own objects are only read here, and there may be many.
	if err := r.Client.List(ctx, &sessions, append(where, client.UnsafeDisableDeepCopy)...); err != nil {
		// The cache answers this; it fails only when it stops, and then so do we.
		ctrl.LoggerFrom(ctx).Error(err, "Sessions were not woken")
		return nil
	}
	var requests []reconcile.Request
	for i := range sessions.Items {
		if fit(&sessions.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&sessions.Items[i])})
		}
	}
	return requests
}

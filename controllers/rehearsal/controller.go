package rehearsal

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/status"
)

// atOnce is how many plans of a kind are made at a time: somebody waits for each, and each is some reads.
const atOnce = 2

const (
	// longest is how long one rehearsal may take: whoever asked waits no longer.
	longest = 30 * time.Second
	// patience is for how long a rehearsal that fails is tried again before its failure is the answer.
	patience = 5 * time.Second
)

// Setup adds the controllers that answer what would be done: one for each kind. The services are those of the real
// reconcilers.
func Setup(mgr ctrl.Manager, services *lifecycle.Services) error {
	asked := newRuns(services)
	if err := add(mgr, services, "plan-mirrorfilter", func() *v1alpha1.MirrorFilter { return &v1alpha1.MirrorFilter{} }, asked.filter); err != nil {
		return err
	}
	return add(mgr, services, "plan-mirrorsession", func() *v1alpha1.MirrorSession { return &v1alpha1.MirrorSession{} }, asked.session)
}

// answerer answers the questions of one kind.
type answerer[T status.Object] struct {
	services *lifecycle.Services
	empty    func() T
	rehearse func(context.Context, T) (*v1alpha1.Plan, error)
}

func add[T status.Object](mgr ctrl.Manager, services *lifecycle.Services, name string, empty func() T, rehearse func(context.Context, T) (*v1alpha1.Plan, error)) error {
	err := ctrl.NewControllerManagedBy(mgr).
		Named(name).
		For(empty(), builder.WithPredicates(predicate.NewPredicateFuncs(asks))).
		WithOptions(controller.Options{MaxConcurrentReconciles: atOnce, RateLimiter: lifecycle.Backoff()}).
		Complete(&answerer[T]{services, empty, rehearse})
	if err != nil {
		return fmt.Errorf("set up the controller %s: %w", name, err)
	}
	return nil
}

// asks reports whether an object is a question that has no answer yet.
func asks(o client.Object) bool {
	is, known := o.(status.Object)
	return known && v1alpha1.PlannedOf(is) != "" && is.Common().Plan == nil
}

// Reconcile answers one question.
func (a *answerer[T]) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	question := a.empty()
	if err := a.services.Client.Get(ctx, request.NamespacedName, question); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !asks(question) {
		return ctrl.Result{}, nil
	}
	plan, err := a.answer(ctx, question)
	if err != nil {
		return ctrl.Result{}, err
	}
	answered := question.DeepCopyObject().(status.Object) // a copy has its original's type
	status.Suspended(answered)
	answered.Common().Plan = plan
	if _, err := status.Write(ctx, a.services.Client, a.services.Reader, question, answered); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	return ctrl.Result{}, nil
}

// answer is the plan that a question asks for, or after some attempts the reason why there is none. The steps of
// a rehearsal are not logged: nothing of what they say was done.
func (a *answerer[T]) answer(ctx context.Context, question T) (*v1alpha1.Plan, error) {
	within, cancel := context.WithTimeout(log.IntoContext(ctx, logr.Discard()), longest)
	defer cancel()
	plan, err := a.rehearse(within, question)
	if err == nil {
		return plan, nil
	}
	err = fmt.Errorf("rehearse: %w", err)
	if now := a.services.Clock(); ctx.Err() == nil && now.Sub(question.GetCreationTimestamp().Time) >= patience {
		return unanswered(now, err), nil
	}
	return nil, err
}

// unanswered is the plan of which nothing is known but why: whoever waits is told, and it is not tried for ever.
func unanswered(now time.Time, err error) *v1alpha1.Plan {
	reason, message := "Unanswered", err.Error()
	if p := lifecycle.Diagnose(err); p != nil {
		reason, message = p.Reason, p.Message
	}
	return &v1alpha1.Plan{
		At: metav1.NewTime(now), Ready: metav1.ConditionUnknown, Reason: reason,
		Message: "what would be done could not be found out: " + message,
	}
}

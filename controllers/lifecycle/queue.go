package lifecycle

import (
	"context"
	"sync"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Priorities in a controller's queue: what somebody asks for goes first, which is what a watch shows
// of the object itself.
const (
	// PriorityFollows is of what follows from something else that has changed: of a filter's sessions,
	// a node's, of what the verifiers tell.
	PriorityFollows = -10
	// PriorityByItself is of what comes back by itself, such as a resync.
	PriorityByItself = handler.LowPriority
)

// Follows lets what a handler puts into a queue go after what somebody asks for.
func Follows[T any](h handler.TypedEventHandler[T, reconcile.Request]) handler.TypedEventHandler[T, reconcile.Request] {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.TypedFuncs[T, reconcile.Request]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[T], q queue) { h.Create(ctx, e, following(q)) },
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[T], q queue) { h.Update(ctx, e, following(q)) },
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[T], q queue) { h.Delete(ctx, e, following(q)) },
		GenericFunc: func(ctx context.Context, e event.TypedGenericEvent[T], q queue) {
			h.Generic(ctx, e, following(q))
		},
	}
}

func following(q workqueue.TypedRateLimitingInterface[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	if prioritised, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		return followers{prioritised}
	}
	return q
}

// followers is a queue that takes in what follows from something else.
type followers struct {
	priorityqueue.PriorityQueue[reconcile.Request]
}

// Add adds an object.
func (f followers) Add(r reconcile.Request) { f.AddWithOpts(priorityqueue.AddOpts{}, r) }

// AddWithOpts adds objects, unless it is said otherwise with the priority of what follows.
func (f followers) AddWithOpts(o priorityqueue.AddOpts, all ...reconcile.Request) {
	if o.Priority == nil {
		o.Priority = new(PriorityFollows)
	}
	f.PriorityQueue.AddWithOpts(o, all...)
}

// Queue is the queue of a controller, for whoever wants an object reconciled without a
// change that a watch shows. The zero value is ready.
type Queue struct {
	mu sync.Mutex
	of workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Source gives the queue to the controller that it is added to.
func (q *Queue) Source() source.Source {
	return source.Func(func(_ context.Context, of workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.of = of
		return nil
	})
}

// Add lets an object be reconciled soon. Before the controller has started that does
// nothing: it then begins with every object.
func (q *Queue) Add(request reconcile.Request) {
	q.mu.Lock()
	of := q.of
	q.mu.Unlock()
	if of != nil {
		of.Add(request)
	}
}

package lifecycle

import (
	"context"
	"sync"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

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

package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// readiness is ready once the caches are synced. It runs on every replica, the
// standby too, whose caches are to be warm when it takes over.
type readiness struct {
	cache  cache.Cache
	synced chan struct{} // closed once they are
}

func newReadiness(c cache.Cache) *readiness { return &readiness{cache: c, synced: make(chan struct{})} }

// Start waits for the caches.
func (r *readiness) Start(ctx context.Context) error {
	if r.cache.WaitForCacheSync(ctx) {
		close(r.synced)
	}
	<-ctx.Done()
	return nil
}

// NeedLeaderElection lets it run before the election.
func (r *readiness) NeedLeaderElection() bool { return false }

// readyWait is how long a question whether the caches are synced may wait for the answer, below the
// timeout of the pod's probe.
const readyWait = 2 * time.Second

var errNotSynced = errors.New("the caches are not synced yet")

// check waits a little for the caches, so that a start that goes as usual is no failure in any log.
func (r *readiness) check(request *http.Request) error {
	ctx, cancel := context.WithTimeout(request.Context(), readyWait)
	defer cancel()
	select {
	case <-r.synced:
		return nil
	case <-ctx.Done():
		return errNotSynced
	}
}

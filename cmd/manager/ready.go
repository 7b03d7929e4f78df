package main

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// readiness is ready once the caches are synced. It runs on every replica, the
// standby too, whose caches are to be warm when it takes over.
type readiness struct {
	cache  cache.Cache
	synced atomic.Bool
}

// Start waits for the caches.
func (r *readiness) Start(ctx context.Context) error {
	if r.cache.WaitForCacheSync(ctx) {
		r.synced.Store(true)
	}
	<-ctx.Done()
	return nil
}

// NeedLeaderElection lets it run before the election.
func (r *readiness) NeedLeaderElection() bool { return false }

var errNotSynced = errors.New("the caches are not synced yet")

func (r *readiness) check(*http.Request) error {
	if !r.synced.Load() {
		return errNotSynced
	}
	return nil
}

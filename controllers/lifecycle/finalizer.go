package lifecycle

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"vpcmirror.io/operator/api/v1alpha1"
)

// addFinalizer stores the finalizer. It must come before any call that could create. The
// patch carries the resource version, so it can neither revive a deleted object nor
// overwrite another writer's finalizers.
func (s *Scope) addFinalizer(ctx context.Context) error {
	before := copyOf(s.Object)
	if !controllerutil.AddFinalizer(s.Object, v1alpha1.Finalizer) {
		return nil
	}
	if err := s.Client.Patch(ctx, s.Object, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("store the finalizer: %w", err)
	}
	return nil
}

// removeFinalizer lets the object go, and forgets it.
func (s *Scope) removeFinalizer(ctx context.Context) error {
	before := copyOf(s.Object)
	if !controllerutil.RemoveFinalizer(s.Object, v1alpha1.Finalizer) {
		return nil
	}
	err := s.Client.Patch(ctx, s.Object, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err = client.IgnoreNotFound(err); err != nil {
		return fmt.Errorf("remove the finalizer: %w", err)
	}
	uid := s.Object.GetUID()
	s.Expectations.forget(uid)
	s.clients.forget(uid)
	s.outcome.forget(uid)
	return nil
}

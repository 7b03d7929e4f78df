package lifecycle

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// claim stores what has to be there before the cloud may have anything of the object: its
// finalizers, that of its Secret, and its account.
func (s *Scope) claim(ctx context.Context) error {
	finalizers := []string{v1alpha1.Finalizer}
	if secretOf(s.Object) != "" {
		finalizers = append(finalizers, v1alpha1.CredentialsFinalizer)
	}
	if err := s.changeFinalizers(ctx, controllerutil.AddFinalizer, finalizers...); err != nil {
		return err
	}
	// A shared answer serves: of this process nobody takes the Secret's finalizer off without having it
	// forgotten, and who looks afterwards whether an object needs it sees this one's finalizer.
	if err := s.guardSecret(ctx, s.FreshSince()); err != nil {
		return err
	}
	s.clients.keep(s.Object.GetUID(), s.Cloud)
	s.Bind()
	return s.Store(ctx)
}

// Bind records the account in the status (not stored yet).
func (s *Scope) Bind() {
	a := s.Cloud.Account()
	s.Object.Common().Account = &v1alpha1.Account{Region: a.Region, ProjectID: a.ProjectID, Endpoint: a.Endpoint}
}

// letGo undoes claim for an object of which the cloud has nothing any more, or nothing
// that it should not have. Each step can be the last before a crash: from the first on
// nobody asks the cloud again, and the last one goes when the Secret needs no holder.
func (s *Scope) letGo(ctx context.Context) error {
	noted, named := s.Object.Common().SecretName, secretOf(s.Object)
	if err := s.changeFinalizers(ctx, controllerutil.RemoveFinalizer, v1alpha1.Finalizer); err != nil {
		return err
	}
	uid := s.Object.GetUID()
	s.Expectations.forget(uid)
	s.outcome.forget(uid)
	s.sums.Forget(uid)
	s.takes.forget(uid)
	// The one in the status is not that of the spec when the spec has just changed.
	for _, name := range slices.Compact([]string{noted, named}) {
		if err := s.guard.release(ctx, s.Object, name); err != nil {
			return err
		}
	}
	s.clients.forget(uid)
	s.Object.Common().Account = nil
	return s.changeFinalizers(ctx, controllerutil.RemoveFinalizer, v1alpha1.CredentialsFinalizer)
}

// changeFinalizers adds or removes finalizers of the object. The patch carries the resource
// version, so it can neither revive a deleted object nor overwrite another writer's
// finalizers. Of an object that is gone there is nothing to remove.
func (s *Scope) changeFinalizers(ctx context.Context, change func(client.Object, string) bool, names ...string) error {
	before := copyOf(s.Object)
	changed := false
	for _, name := range names {
		changed = change(s.Object, name) || changed
	}
	if !changed {
		return nil
	}
	now := copyOf(s.Object)
	err := s.Client.Patch(ctx, now, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if !s.Object.GetDeletionTimestamp().IsZero() {
		err = client.IgnoreNotFound(err)
	}
	if err != nil {
		s.Object.SetFinalizers(before.GetFinalizers())
		return fmt.Errorf("change the finalizers: %w", err)
	}
	// The status of our copy is not stored yet.
	s.Object.SetResourceVersion(now.GetResourceVersion())
	return nil
}

// surelyRefused reports whether a create that gave err made nothing, and is not just about
// to be tried again.
func surelyRefused(err error) bool {
	switch cloud.ClassOf(err) {
	case "", cloud.ClassThrottled:
		return false
	case cloud.ClassServer:
		return cloud.IsUnsent(err)
	default:
		return !cloud.IsAmbiguous(err)
	}
}

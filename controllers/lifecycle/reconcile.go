package lifecycle

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

// Kind is what is particular to a kind in one reconcile of one object.
type Kind interface {
	// Sync brings the cloud in line with the spec. The finalizer is stored and the cloud
	// connected by then.
	Sync(ctx context.Context) error
	// Synced is the message of Ready after a Sync without an error.
	Synced() string
	// Delete removes what the cloud has of the object. Without an error there surely is
	// nothing any more, or nothing that has to go.
	Delete(ctx context.Context) error
	// Observe sets what else the status shows, once the conditions about the cloud are set.
	Observe()
}

// Reconcile goes once through the life of the object, which was just read.
func (s *Scope) Reconcile(ctx context.Context, k Kind) (ctrl.Result, error) {
	if !s.Object.GetDeletionTimestamp().IsZero() {
		return s.finalize(ctx, k)
	}
	var result ctrl.Result
	var err error
	if s.Object.Cloud().Suspend {
		status.Suspended(s.Object)
	} else {
		err = s.sync(ctx, k)
		result, err = s.outcome.conclude(ctx, s.Stored, s.Object, err, k.Synced())
	}
	k.Observe()
	if failed := s.Store(ctx); failed != nil {
		return ctrl.Result{}, failed
	}
	return result, err
}

func (s *Scope) sync(ctx context.Context, k Kind) error {
	if err := s.addFinalizer(ctx); err != nil {
		return err
	}
	if err := s.Connect(ctx); err != nil {
		return err
	}
	return k.Sync(ctx)
}

// finalize ends the life of an object: the finalizer goes when the cloud has surely
// nothing of it any more, or when that is to be retained.
func (s *Scope) finalize(ctx context.Context, k Kind) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(s.Object, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	err := k.Delete(ctx)
	if err == nil {
		return ctrl.Result{}, s.letGo(ctx)
	}
	result, err := s.outcome.conclude(ctx, s.Stored, s.Object, Stuck(err), "")
	if failed := s.Store(ctx); failed != nil {
		return ctrl.Result{}, failed
	}
	return result, err
}

// MustDelete reports whether deleting the object has to delete something in the cloud: it
// was bound to an account, and the cloud's part is not to be retained.
func (s *Scope) MustDelete() bool {
	return s.Object.Common().Account != nil && s.Object.Cloud().DeletionPolicy != v1alpha1.DeletionRetain
}

package mirrorsession

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
)

// delete ends the life of a session: the finalizer goes when the cloud has surely
// nothing of it any more, or when it is to be retained.
func (r *Reconciler) delete(ctx context.Context, s *scope) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(s.session, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	err := r.remove(ctx, s)
	if err == nil {
		return ctrl.Result{}, r.LetGo(ctx, s.session)
	}
	result, err := r.Conclude(ctx, s.stored, s.session, lifecycle.Stuck(err), "")
	if _, failed := r.Save(ctx, s.stored, s.session); failed != nil {
		return ctrl.Result{}, failed
	}
	return result, err
}

// remove deletes from the identity in the status, never from the spec's references,
// which may be gone already.
func (r *Reconciler) remove(ctx context.Context, s *scope) error {
	if s.session.Status.Account == nil || s.session.Spec.DeletionPolicy == v1alpha1.DeletionRetain {
		return nil // nothing was ever created, or it stays
	}
	if err := r.connect(ctx, s); err != nil {
		return err
	}
	ids := make([]string, 0, 1)
	for _, c := range s.session.Status.Sessions {
		ids = append(ids, c.ID)
	}
	if len(ids) == 0 {
		have, err := r.byMark(ctx, s)
		if have == nil || err != nil {
			return err
		}
		ids = append(ids, have.ID)
	}
	for _, id := range ids {
		if err := s.cloud.DeleteSession(ctx, id); err != nil && !cloud.IsNotFound(err) {
			return fmt.Errorf("delete the session %s: %w", id, err)
		}
		// A good status is no proof: something between us and the cloud may have given it.
		switch _, err := s.cloud.GetSession(ctx, id); {
		case err == nil:
			return lifecycle.Retry(v1alpha1.ReasonDeleting, "the cloud still has the session %s after it took its deletion", id)
		case !cloud.IsNotFound(err):
			return fmt.Errorf("see whether the session %s is gone: %w", id, err)
		}
		r.Inventory.ForgetSession(s.cloud.Account(), id)
		r.Event(s.session, corev1.EventTypeNormal, "Deleted", "Delete", "deleted the session %s from the cloud", id)
	}
	return nil
}

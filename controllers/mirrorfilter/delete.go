package mirrorfilter

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
)

// delete ends the life of a filter: the finalizer goes when the cloud has surely
// nothing of it any more, or when it is to be retained.
func (r *Reconciler) delete(ctx context.Context, s *scope) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(s.filter, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	err := r.remove(ctx, s)
	if err == nil {
		return ctrl.Result{}, r.LetGo(ctx, s.filter)
	}
	result, err := r.Conclude(ctx, s.stored, s.filter, lifecycle.Stuck(err), "")
	if _, failed := r.Save(ctx, s.stored, s.filter); failed != nil {
		return ctrl.Result{}, failed
	}
	return result, err
}

// remove deletes from the identity in the status, never from the spec's references,
// which may be gone already.
func (r *Reconciler) remove(ctx context.Context, s *scope) error {
	if err := r.checkUnused(ctx, s); err != nil {
		return err
	}
	if s.filter.Status.Account == nil || s.filter.Spec.DeletionPolicy == v1alpha1.DeletionRetain {
		return nil // nothing was ever created, or it stays
	}
	if err := r.connect(ctx, s); err != nil {
		return err
	}
	id := s.filter.Status.ID
	if id == "" {
		have, err := r.byMark(ctx, s)
		if have == nil || err != nil {
			return err
		}
		id = have.ID
	}
	if err := s.cloud.DeleteFilter(ctx, id); err != nil && !cloud.IsNotFound(err) {
		return fmt.Errorf("delete the filter %s: %w", id, err)
	}
	// A good status is no proof: something between us and the cloud may have given it.
	switch _, err := s.cloud.GetFilter(ctx, id); {
	case err == nil:
		return lifecycle.Retry(v1alpha1.ReasonDeleting, "the cloud still has the filter %s after it took its deletion", id)
	case !cloud.IsNotFound(err):
		return fmt.Errorf("see whether the filter %s is gone: %w", id, err)
	}
	r.Inventory.ForgetFilter(s.cloud.Account(), id)
	r.Event(s.filter, corev1.EventTypeNormal, "Deleted", "Delete", "deleted the filter %s from the cloud", id)
	return nil
}

// checkUnused waits for the sessions that use the filter. A failed list is not an empty
// one: the filter stays.
func (r *Reconciler) checkUnused(ctx context.Context, s *scope) error {
	var sessions v1alpha1.MirrorSessionList
	if err := r.Client.List(ctx, &sessions, client.InNamespace(s.filter.Namespace)); err != nil {
		return fmt.Errorf("find the sessions that use the filter: %w", err)
	}
	var users []string
	for _, session := range sessions.Items {
		if session.Spec.FilterRef.Name == s.filter.Name && controllerutil.ContainsFinalizer(&session, v1alpha1.Finalizer) {
			users = append(users, session.Name)
		}
	}
	if len(users) == 0 {
		return nil
	}
	slices.Sort(users)
	return lifecycle.Wait(v1alpha1.ReasonFilterInUse,
		"sessions still use the filter: %s. It goes when they are deleted or use another", strings.Join(users, ", "))
}

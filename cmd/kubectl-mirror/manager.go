package main

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/cmd/kubectl-mirror/why"
)

const (
	// leaseName is the lease of which one manager is the holder.
	leaseName = "vpcmirror-manager"
	// usualNamespace is that of an installation by kustomize, and of the chart's documents.
	usualNamespace = "vpcmirror-system"
)

// lease reads the manager's lease: in the namespace named, or else wherever the cluster has one,
// or where it usually is, whichever of the two may be read. nil is an answer too: a manager that
// runs alone needs no lease, and not everybody may read one.
func (r *reader) lease(ctx context.Context, namespace string) *why.Lease {
	if namespace == "" {
		var list coordinationv1.LeaseList
		if err := r.List(ctx, &list, client.MatchingFields{"metadata.name": leaseName}); err == nil {
			return latest(list.Items)
		}
		namespace = usualNamespace
	}
	var lease coordinationv1.Lease
	if err := r.Get(ctx, client.ObjectKey{Namespace: namespace, Name: leaseName}, &lease); err != nil {
		return nil
	}
	return latest([]coordinationv1.Lease{lease})
}

// latest is the lease that was renewed last: what an older installation left behind says nothing.
func latest(leases []coordinationv1.Lease) *why.Lease {
	var last *why.Lease
	for _, l := range leases {
		if l.Spec.RenewTime == nil || l.Spec.LeaseDurationSeconds == nil {
			continue
		}
		is := why.Lease{
			Namespace: l.Namespace, RenewedAt: l.Spec.RenewTime.Time,
			Held:     l.Spec.HolderIdentity != nil && *l.Spec.HolderIdentity != "",
			Duration: time.Duration(*l.Spec.LeaseDurationSeconds) * time.Second,
		}
		if at := writtenAt(l.ManagedFields); !at.IsZero() {
			is.RenewedAt = at
		}
		if last == nil || last.RenewedAt.Before(is.RenewedAt) {
			last = &is
		}
	}
	return last
}

// writtenAt is when an object was last written by the API server's clock, which all else is
// compared with; the time that a manager writes into its lease is by its own.
func writtenAt(fields []metav1.ManagedFieldsEntry) (at time.Time) {
	for _, e := range fields {
		if e.Time != nil && e.Time.After(at) {
			at = e.Time.Time
		}
	}
	return at
}

// again is the time between two looks for an echo.
const again = 300 * time.Millisecond

// reconciled asks the manager to compare the sessions with the cloud, waits until it has, and
// returns them as they are then. Those that it has not come to within the time are late.
func (r *reader) reconciled(ctx context.Context, o *options, sessions []*v1alpha1.MirrorSession) (now []*v1alpha1.MirrorSession, late map[string]bool, err error) {
	request := r.clock.now().UTC().Format(time.RFC3339Nano)
	asked := map[types.UID]bool{}
	for _, s := range sessions {
		if s.Spec.Suspend { // the manager has its hands off it
			continue
		}
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.ReconcileRequestedAnnotation, request)
		err := r.Patch(ctx, s.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch)), client.FieldOwner("kubectl-mirror"))
		switch {
		case apierrors.IsNotFound(err): // it has just been deleted
		case apierrors.IsForbidden(err):
			return nil, nil, fmt.Errorf("--now asks the manager by an annotation, which you may not set: leave --now out, or have the right to patch mirrorsessions (%w)", err)
		case err != nil:
			return nil, nil, fmt.Errorf("ask the manager to look at MirrorSession %s: %w", s.Name, err)
		default:
			asked[s.UID] = true
		}
	}
	now = sessions
	err = wait.PollUntilContextTimeout(ctx, again, o.timeout, false, func(ctx context.Context) (bool, error) {
		read, err := r.read(ctx, o.name)
		if err != nil {
			return false, err
		}
		now, late = read, map[string]bool{}
		for _, s := range read {
			if asked[s.UID] && s.Status.LastHandledReconcileAt != request {
				late[s.Name] = true
			}
		}
		return len(late) == 0, nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		err = nil // the answers say it
	}
	return now, late, err
}

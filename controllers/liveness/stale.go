package liveness

import (
	"context"
	"errors"
	"fmt"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// deleteStale deletes the leases that expired long ago, whose nodes have left the cluster,
// and of whose verifiers no session has an entry: in a cluster whose nodes come and go
// they would pile up. Where the cluster has no nodes at all, the verifiers run beside it,
// and no lease can be known to be stale.
func (w *Watcher) deleteStale(ctx context.Context, leases []coordinationv1.Lease) error {
	candidates := w.longExpired(leases)
	if len(candidates) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	var nodes corev1.NodeList
	if err := w.Client.List(ctx, &nodes); err != nil {
		return fmt.Errorf("list the nodes: %w", err)
	}
	if len(nodes.Items) == 0 {
		return nil
	}
	var sessions v1alpha1.MirrorSessionList
	if err := w.Client.List(ctx, &sessions); err != nil {
		return fmt.Errorf("list the sessions: %w", err)
	}
	needed := make(map[string]bool)
	for _, n := range nodes.Items {
		needed[v1alpha1.LeaseName(n.Name)] = true
	}
	for _, s := range sessions.Items {
		for _, e := range s.Status.Verification {
			needed[v1alpha1.LeaseName(e.Node)] = true
		}
	}
	// When one can't be deleted the others still are.
	var failed []error
	for i := range candidates {
		l := &candidates[i]
		if needed[l.Name] {
			continue
		}
		// One that was renewed since is not deleted.
		unchanged := client.Preconditions{UID: &l.UID, ResourceVersion: &l.ResourceVersion}
		if err := w.Client.Delete(ctx, l, unchanged); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			failed = append(failed, fmt.Errorf("delete the lease %s/%s of a node that is gone: %w", l.Namespace, l.Name, err))
		}
	}
	return errors.Join(failed...)
}

// longExpired returns the verifiers' leases that are lost, and whose own time of renewal
// is longer ago than retention: that clocks differ matters little over a day, and a leader
// need not be that old to know it. It returns none when it did less than cleanupInterval
// ago.
func (w *Watcher) longExpired(leases []coordinationv1.Lease) (out []coordinationv1.Lease) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.Clock()
	if now.Sub(w.cleaned) < cleanupInterval {
		return nil
	}
	w.cleaned = now
	for _, l := range leases {
		lost := w.leases[l.Name].state == Lost && strings.HasPrefix(l.Name, v1alpha1.VerifierPrefix)
		if lost && l.Spec.RenewTime != nil && now.Sub(l.Spec.RenewTime.Time) >= retention {
			out = append(out, l)
		}
	}
	return out
}

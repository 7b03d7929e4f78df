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

// tidy deletes the leases that ran out long ago, whose nodes have left the cluster, and
// of which no session has an entry: a cluster whose nodes come and go would gather them
// for ever. Where the cluster has no nodes at all, verifiers run beside it, and nobody
// can tell.
func (w *Watcher) tidy(ctx context.Context, leases []coordinationv1.Lease) error {
	old := w.old(leases)
	if len(old) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, tidyTimeout)
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
		needed[v1alpha1.VerifierName(n.Name)] = true
	}
	for _, s := range sessions.Items {
		for _, e := range s.Status.Verification {
			needed[v1alpha1.VerifierName(e.Node)] = true
		}
	}
	// The others are tried too when one can't be deleted.
	var failed []error
	for i := range old {
		if needed[old[i].Name] {
			continue
		}
		// Not when it was renewed since.
		same := client.Preconditions{UID: &old[i].UID, ResourceVersion: &old[i].ResourceVersion}
		if err := w.Client.Delete(ctx, &old[i], same); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			failed = append(failed, fmt.Errorf("delete the lease %s/%s of a node that is gone: %w", old[i].Namespace, old[i].Name, err))
		}
	}
	return errors.Join(failed...)
}

// old are the verifiers' leases that ran out under our eyes, and that by their own word
// were not renewed for as long as memory lasts: clocks agree well enough for that, and a
// leader need not be that old. There are none where they were looked for a short time ago.
func (w *Watcher) old(leases []coordinationv1.Lease) (out []coordinationv1.Lease) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.Clock()
	if now.Sub(w.tidied) < tidying {
		return nil
	}
	w.tidied = now
	for _, l := range leases {
		lost := w.leases[l.Name].state == Lost && strings.HasPrefix(l.Name, v1alpha1.VerifierPrefix)
		if lost && l.Spec.RenewTime != nil && now.Sub(l.Spec.RenewTime.Time) >= memory {
			out = append(out, l)
		}
	}
	return out
}

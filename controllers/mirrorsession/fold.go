package mirrorsession

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/status"
)

// changedError is what fold returns when somebody wrote to the session since it was read.
type changedError struct{}

// Error says it.
func (changedError) Error() string { return "the session has changed since it was read" }

// Expected is true: it is folded at the next look, and alarms nobody.
func (changedError) Expected() bool { return true }

// foldFinalEntries folds entries that no verifier will ever write again into traffic.retired: those
// whose verifier has ended them, because the target is on another node now, and those
// of a node that has left the cluster. One patch removes the entry and adds its counts,
// and only if nobody wrote in between, so the totals neither fall nor double.
//
// It comes first in a reconcile, while the session is as the API server has it, and leaves the
// session as it is then.
func (r *Reconciler) foldFinalEntries(ctx context.Context, session *v1alpha1.MirrorSession) error {
	const attempts = 10 // several verifiers may be writing beside us
	for attempt := 1; ; attempt++ {
		err := r.foldAll(ctx, session)
		if !errors.Is(err, changedError{}) || attempt == attempts {
			return err
		}
		var now v1alpha1.MirrorSession
		if err := r.Reader.Get(ctx, client.ObjectKeyFromObject(session), &now); err != nil {
			return fmt.Errorf("read the session again: %w", err)
		}
		if now.UID != session.UID {
			return err // it was deleted and made anew, which is another reconcile
		}
		if now.ResourceVersion == session.ResourceVersion {
			return lifecycle.Untaken(err) // nobody has written, so it was no test that failed
		}
		*session = now
	}
}

func (r *Reconciler) foldAll(ctx context.Context, session *v1alpha1.MirrorSession) error {
	for i := len(session.Status.Verification) - 1; i >= 0; i-- {
		final, err := r.final(ctx, session.Status.Verification[i])
		if err != nil {
			return err
		}
		if !final {
			continue
		}
		if err := r.fold(ctx, session, i); err != nil {
			return err
		}
	}
	return nil
}

// final reports whether an entry gets no more counts. A verifier whose lease ran out may
// come back as long as its node is there; where the cluster does not know the node at
// all, it is not known.
func (r *Reconciler) final(ctx context.Context, e v1alpha1.Verification) (bool, error) {
	if e.Ended {
		return true, nil
	}
	if !r.Liveness.Lost(e.Node, false) {
		return false, nil
	}
	var node corev1.Node
	err := r.Client.Get(ctx, client.ObjectKey{Name: e.Node}, &node)
	if err == nil {
		return false, nil
	}
	if !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("read the node %q: %w", e.Node, err)
	}
	var nodes corev1.NodeList
	if err := r.Client.List(ctx, &nodes, client.Limit(1)); err != nil {
		return false, fmt.Errorf("list the nodes: %w", err)
	}
	return len(nodes.Items) > 0, nil // with none verifiers run as processes, beside any cluster
}

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// fold takes entry i out of the session.
func (r *Reconciler) fold(ctx context.Context, session *v1alpha1.MirrorSession, i int) error {
	entry := session.Status.Verification[i]
	traffic := status.Retire(&session.Status, i, r.Clock())
	patch, err := json.Marshal([]operation{
		{Op: "test", Path: "/metadata/resourceVersion", Value: session.ResourceVersion},
		{Op: "remove", Path: "/status/verification/" + strconv.Itoa(i)},
		{Op: "add", Path: "/status/traffic", Value: traffic},
	})
	if err != nil {
		return fmt.Errorf("encode the end of the entry of %s: %w", entry.Node, err)
	}
	// A fresh object, so that nothing of what was read can stay where the answer is silent.
	now := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Namespace: session.Namespace, Name: session.Name}}
	err = r.Client.Status().Patch(ctx, now, client.RawPatch(types.JSONPatchType, patch), client.FieldOwner(status.FieldManager))
	switch {
	case apierrors.IsInvalid(err), apierrors.IsConflict(err): // a test that fails is the former
		return fmt.Errorf("fold the entry of %s into traffic.retired: %w: %w", entry.Node, changedError{}, err)
	case err != nil:
		return fmt.Errorf("fold the entry of %s into traffic.retired: %w", entry.Node, err)
	}
	*session = *now
	r.NewScope(ctx, session).Event(corev1.EventTypeNormal, "Retired", "Retire "+entry.Node,
		"the verifier of %s counts the session no more; its %d packets are kept in traffic.retired", entry.Node, entry.Packets)
	return nil
}

package report

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// ErrGone is what Read and Write return when the session was deleted, and perhaps made
// anew with the same name: there is no entry any more, and nothing to write.
var ErrGone = errors.New("the session is gone")

// ErrChanged is what Write returns when the session has changed since it was read.
var ErrChanged = errors.New("the session has changed since it was read")

// Own returns a node's entry in a session's status, nil when it has none.
func Own(s *v1alpha1.MirrorSession, node string) *v1alpha1.Verification {
	for i := range s.Status.Verification {
		if s.Status.Verification[i].Node == node {
			return &s.Status.Verification[i]
		}
	}
	return nil
}

// Read returns the session as the API server has it now. The reader must ask the API
// server, not a cache: a verifier that was just started again would go on from an entry
// that its predecessor has replaced since, and totals would fall.
func Read(ctx context.Context, r client.Reader, s *v1alpha1.MirrorSession) (*v1alpha1.MirrorSession, error) {
	var stored v1alpha1.MirrorSession
	key := client.ObjectKeyFromObject(s)
	err := r.Get(ctx, key, &stored)
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("read the session %s: %w: %w", key, ErrGone, err)
	case err != nil:
		return nil, fmt.Errorf("read the session %s: %w", key, err)
	case stored.UID != s.UID:
		return nil, fmt.Errorf("read the session %s: %w: the name is now that of another", key, ErrGone)
	}
	return &stored, nil
}

// Write stores the node's own entry, and nothing else, in the status of a session that
// was just read. The body carries the resource version, so that the write fails with
// ErrChanged when anything has changed since: an entry of another run of this verifier
// is never overwritten unseen, nor is a session touched that was made anew with the same
// name. (The UID alone would not do: for the status of custom resources the API server
// takes all metadata but the version from the stored object.)
func Write(ctx context.Context, c client.Client, read *v1alpha1.MirrorSession, entry v1alpha1.Verification) error {
	return write(ctx, c, read, v1alpha1.VerifierName(entry.Node), "verification", entry.Node, &entry)
}

// write stores the item of a node in one of the lists of the status, by the field manager of that item alone.
func write(ctx context.Context, c client.Client, read *v1alpha1.MirrorSession, manager, list, node string, item any) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(item)
	if err != nil {
		return fmt.Errorf("encode the entry of %s: %w", node, err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"status": map[string]any{list: []any{content}},
	}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MirrorSession"))
	u.SetNamespace(read.Namespace)
	u.SetName(read.Name)
	u.SetUID(read.UID)
	u.SetResourceVersion(read.ResourceVersion)
	// The node's own field manager: with one that nodes share, one node's apply would
	// delete another's entry.
	err = c.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(manager), client.ForceOwnership)
	key := client.ObjectKeyFromObject(read)
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return fmt.Errorf("write the entry of %s in %s: %w: %w", node, key, ErrGone, err)
	case apierrors.IsConflict(err):
		return fmt.Errorf("write the entry of %s in %s: %w: %w", node, key, ErrChanged, err)
	default:
		return fmt.Errorf("write the entry of %s in %s: %w", node, key, err)
	}
}

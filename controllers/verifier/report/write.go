package report

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// FieldManager is the node's own field manager in server-side apply. With one that
// nodes share, one node's apply would delete another's entry.
func FieldManager(node string) string {
	sum := sha256.Sum256([]byte(node))
	return "vpcmirror-verifier-" + hex.EncodeToString(sum[:8])
}

// Own returns a node's entry in a session's status, nil when it has none.
func Own(s *v1alpha1.MirrorSession, node string) *v1alpha1.Verification {
	for i := range s.Status.Verification {
		if s.Status.Verification[i].Node == node {
			return &s.Status.Verification[i]
		}
	}
	return nil
}

// Read returns the node's stored entry, the zero value when it has none. The reader
// must ask the API server, not a cache: a verifier that was just started again would
// go on from an entry that its predecessor has replaced since, and totals would fall.
func Read(ctx context.Context, r client.Reader, s *v1alpha1.MirrorSession, node string) (v1alpha1.Verification, error) {
	var stored v1alpha1.MirrorSession
	key := client.ObjectKeyFromObject(s)
	err := r.Get(ctx, key, &stored)
	switch {
	case apierrors.IsNotFound(err):
		return v1alpha1.Verification{}, fmt.Errorf("read the entry of %s in %s: %w: %w", node, key, ErrGone, err)
	case err != nil:
		return v1alpha1.Verification{}, fmt.Errorf("read the entry of %s in %s: %w", node, key, err)
	case stored.UID != s.UID:
		return v1alpha1.Verification{}, fmt.Errorf("read the entry of %s in %s: %w: the name is now that of another", node, key, ErrGone)
	}
	if own := Own(&stored, node); own != nil {
		return *own, nil
	}
	return v1alpha1.Verification{}, nil
}

// Write stores the node's own entry, and nothing else, in the session's status. The
// body carries the UID: a session that was deleted and made anew is not touched.
func Write(ctx context.Context, c client.Client, s *v1alpha1.MirrorSession, entry v1alpha1.Verification) error {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&entry)
	if err != nil {
		return fmt.Errorf("encode the entry of %s: %w", entry.Node, err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"status": map[string]any{"verification": []any{content}},
	}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MirrorSession"))
	u.SetNamespace(s.Namespace)
	u.SetName(s.Name)
	u.SetUID(s.UID)
	err = c.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u),
		client.FieldOwner(FieldManager(entry.Node)), client.ForceOwnership)
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		// Ownership is forced and no version is asked for: only the UID can conflict.
		return fmt.Errorf("write the entry of %s in %s/%s: %w: %w", entry.Node, s.Namespace, s.Name, ErrGone, err)
	default:
		return fmt.Errorf("write the entry of %s in %s/%s: %w", entry.Node, s.Namespace, s.Name, err)
	}
}

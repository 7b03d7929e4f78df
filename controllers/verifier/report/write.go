package report

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// FieldManager is the node's own field manager in server-side apply. With one that
// nodes share, one node's apply would delete another's entry.
func FieldManager(node string) string {
	sum := sha256.Sum256([]byte(node))
	return "vpcmirror-verifier-" + hex.EncodeToString(sum[:8])
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
	if err != nil {
		return fmt.Errorf("write the entry of %s in %s/%s: %w", entry.Node, s.Namespace, s.Name, err)
	}
	return nil
}

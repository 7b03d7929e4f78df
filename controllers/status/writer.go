package status

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// FieldManager is the manager's name in server-side apply. It never applies
// status.verification, which belongs to the verifiers.
const FieldManager = "vpcmirror-manager"

// verificationField is what the manager leaves out of its status.
const verificationField = "verification"

// Write stores the status of after when it differs from that of before, and says
// whether it did. The body carries the UID, so that an object that was deleted and
// made anew meanwhile is not touched.
func Write(ctx context.Context, c client.Client, before, after Object) (bool, error) {
	was, err := statusOf(before)
	if err != nil {
		return false, err
	}
	is, err := statusOf(after)
	if err != nil {
		return false, err
	}
	if equality.Semantic.DeepEqual(was, is) {
		return false, nil
	}
	gvk, err := apiutil.GVKForObject(after, c.Scheme())
	if err != nil {
		return false, fmt.Errorf("find the kind of %T: %w", after, err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"status": is}}
	u.SetGroupVersionKind(gvk)
	u.SetNamespace(after.GetNamespace())
	u.SetName(after.GetName())
	u.SetUID(after.GetUID())
	err = c.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u),
		client.FieldOwner(FieldManager), client.ForceOwnership)
	if err != nil {
		return false, fmt.Errorf("write the status of %s %s: %w", gvk.Kind, client.ObjectKeyFromObject(after), err)
	}
	return true, nil
}

func statusOf(o Object) (map[string]any, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("read the status of %T: %w", o, err)
	}
	status, _, err := unstructured.NestedMap(content, "status")
	if err != nil {
		return nil, fmt.Errorf("read the status of %T: %w", o, err)
	}
	delete(status, verificationField)
	return status, nil
}

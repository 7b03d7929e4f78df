package status

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// FieldManager is the manager's name in server-side apply. It never applies
// status.verification and status.probeReports, which belong to the verifiers.
const FieldManager = "vpcmirror-manager"

// verifiersFields are what the manager leaves out of its status.
var verifiersFields = []string{"verification", "probeReports"}

// attempts is how often a write is tried while verifiers write their entries beside it.
const attempts = 5

// Write stores the status of after when it differs from that of before, reports whether it
// did, and moves the resource version of after on. For the status of custom resources the
// API server compares no UID, only the version, so the write names the version and is tried
// again when a verifier's entry came between; reader must read past any cache. It is a
// conflict when the object was deleted and made anew meanwhile, or when somebody else has
// changed what the manager owns of the status: another manager may lead by now.
func Write(ctx context.Context, c client.Client, reader client.Reader, before, after Object) (bool, error) {
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
	for attempt := 1; ; attempt++ {
		err = apply(ctx, c, gvk, after, is)
		if err == nil {
			return true, nil
		}
		if !apierrors.IsConflict(err) || attempt == attempts || !catchUp(ctx, reader, before, after) {
			return false, fmt.Errorf("write the status of %s %s: %w", gvk.Kind, client.ObjectKeyFromObject(after), err)
		}
	}
}

// applied is a status as it is applied: a typed configuration, because the cache's reads wait only
// for writes of their own representation (client.CacheOptions.EnableReadYourWritesConsistency).
// The status is sent and the answer's is not read: its metadata tell the version, and that is all
// that anybody wants to know.
type applied struct {
	metav1ac.TypeMetaApplyConfiguration    `json:",inline"`
	*metav1ac.ObjectMetaApplyConfiguration `json:"metadata"`

	Status map[string]any `json:"status"`
}

// IsApplyConfiguration marks it as one.
func (applied) IsApplyConfiguration() {}

// UnmarshalJSON takes the version from an answer.
func (a *applied) UnmarshalJSON(answer []byte) error {
	var o struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(answer, &o); err != nil {
		return fmt.Errorf("read the version in the answer: %w", err)
	}
	a.ObjectMetaApplyConfiguration = (&metav1ac.ObjectMetaApplyConfiguration{}).WithResourceVersion(o.Metadata.ResourceVersion)
	return nil
}

func apply(ctx context.Context, c client.Client, gvk schema.GroupVersionKind, o Object, status map[string]any) error {
	a := &applied{ObjectMetaApplyConfiguration: &metav1ac.ObjectMetaApplyConfiguration{}, Status: status}
	a.WithAPIVersion(gvk.GroupVersion().String()).WithKind(gvk.Kind)
	a.WithNamespace(o.GetNamespace()).WithName(o.GetName()).WithResourceVersion(o.GetResourceVersion())
	err := c.Status().Apply(ctx, a, client.FieldOwner(FieldManager), client.ForceOwnership)
	if err == nil {
		o.SetResourceVersion(*a.ResourceVersion)
	}
	return err
}

// catchUp moves the version of o to the present one, unless the name is now that of another
// object, or its status is not the one any more that was read, the verifiers' entries aside.
func catchUp(ctx context.Context, reader client.Reader, before, o Object) bool {
	now := o.DeepCopyObject().(Object) // a copy has its original's type
	if err := reader.Get(ctx, client.ObjectKeyFromObject(o), now); err != nil {
		return false
	}
	if unchanged, err := Unchanged(before, now); err != nil || !unchanged {
		return false
	}
	o.SetResourceVersion(now.GetResourceVersion())
	return true
}

// Unchanged reports whether two versions of an object are of one object and have the same
// status, the verifiers' entries aside.
func Unchanged(before, now Object) (bool, error) {
	was, err := statusOf(before)
	if err != nil {
		return false, err
	}
	is, err := statusOf(now)
	if err != nil {
		return false, err
	}
	return before.GetUID() == now.GetUID() && equality.Semantic.DeepEqual(was, is), nil
}

// statusOf is the status of o as the manager writes it, each field cut to its bound.
func statusOf(o Object) (map[string]any, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("read the status of %T: %w", o, err)
	}
	status, _, err := unstructured.NestedMap(content, "status")
	if err != nil {
		return nil, fmt.Errorf("read the status of %T: %w", o, err)
	}
	for _, field := range verifiersFields {
		delete(status, field)
	}
	within("", status)
	return status, nil
}

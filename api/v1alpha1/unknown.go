package v1alpha1

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
)

// UnknownFieldsAnnotation holds, in a cache that leaves out what kubectl apply has noted, what
// [UnknownFields] found in it. It is never stored.
const UnknownFieldsAnnotation = "vpcmirror.io/unknown-fields"

// UnknownFields are the paths of what the manifest that kubectl apply sent last has, and no field of the
// kind is, with commas between: Kubernetes has left it out where validation was switched off. It is empty
// where the object was written otherwise, as nothing tells it then.
func UnknownFields(o metav1.Object) string {
	annotations := o.GetAnnotations()
	applied, ok := annotations[corev1.LastAppliedConfigAnnotation]
	if !ok {
		return annotations[UnknownFieldsAnnotation]
	}
	var into any
	switch o.(type) {
	case *MirrorFilter:
		into = &MirrorFilter{}
	case *MirrorSession:
		into = &MirrorSession{}
	default:
		return ""
	}
	strict, err := json.UnmarshalStrict([]byte(applied), into, json.DisallowUnknownFields)
	if err != nil {
		return "" // somebody else's annotation
	}
	var paths []string
	for _, e := range strict {
		if field, ok := e.(json.FieldError); ok && strings.HasPrefix(field.FieldPath(), "spec.") { //nolint:errorlint // its own list, never wrapped
			paths = append(paths, field.FieldPath())
		}
	}
	slices.Sort(paths)
	return Fit(strings.Join(paths, ", "), 256)
}

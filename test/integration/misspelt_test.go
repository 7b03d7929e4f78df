package integration_test

import (
	"encoding/json"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/integration/harness"
)

// withoutValidation sends a filter as kubectl apply --validate=false does: what is misspelt in it is left out by
// the API server, and stands in what kubectl notes.
func withoutValidation(t *testing.T, w *harness.World, name, end string) error {
	t.Helper()
	filter := w.Filter(name)
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(filter)
	if err != nil {
		t.Fatal(err)
	}
	content["spec"].(map[string]any)["rules"] = []any{map[string]any{
		"direction": "Ingress", "priority": int64(1), "action": "Accept", end: map[string]any{"cidr": "192.168.0.161/32"},
	}}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MirrorFilter"))
	applied, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	u.SetAnnotations(map[string]string{corev1.LastAppliedConfigAnnotation: string(applied)})
	return client.WithFieldValidation(w.Cluster.Client, "Ignore").Create(t.Context(), u)
}

func TestAFilterThatAcceptsEverythingBecauseOfAMisspeltFieldIsFound(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	for name, end := range map[string]string{"misspelt": "src", "right": "source"} {
		if err := withoutValidation(t, w, name, end); err != nil {
			t.Fatal(err)
		}
		w.Create(w.Session(name, name))
	}
	unknown := func(name string) (messages []string) {
		session := harness.Ready(w, w.Session(name, name))
		for _, f := range session.Status.Findings {
			if f.Reason == v1alpha1.ReasonUnknownField {
				messages = append(messages, f.Message)
			}
		}
		return messages
	}
	harness.Same(t, "what is found of the misspelt one", []string{
		`the manifest of filter "misspelt" has spec.rules[0].src, which MirrorFilter does not know: Kubernetes has left it out, ` +
			"so that the filter may accept more than is meant",
	}, unknown("misspelt"))
	harness.Same(t, "what is found of the right one", 0, len(slices.Clip(unknown("right"))))
}

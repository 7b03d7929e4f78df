package v1alpha1_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

func TestWhatKubernetesLeftOutOfAManifestIsKnownByWhatKubectlNoted(t *testing.T) {
	applied := func(text string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: text}}
	}
	const misspelt = `{"kind":"MirrorFilter","metadata":{"x":1},"spec":{"rules":[{"direction":"Ingress","priority":1,"action":"Accept","src":{"cidr":"10.0.0.0/8"}}],"susp":1}}`
	for name, c := range map[string]struct {
		object metav1.Object
		want   string
	}{
		"a filter with two":                    {&v1alpha1.MirrorFilter{ObjectMeta: applied(misspelt)}, "spec.rules[0].src, spec.susp"},
		"a session with one":                   {&v1alpha1.MirrorSession{ObjectMeta: applied(`{"spec":{"target":{"node":"a"}}}`)}, "spec.target.node"},
		"a filter that is right":               {&v1alpha1.MirrorFilter{ObjectMeta: applied(`{"spec":{"rules":[]}}`)}, ""},
		"one that nobody has applied":          {&v1alpha1.MirrorFilter{}, ""},
		"one that is no JSON":                  {&v1alpha1.MirrorFilter{ObjectMeta: applied("{")}, ""},
		"one whose values have another type":   {&v1alpha1.MirrorFilter{ObjectMeta: applied(`{"spec":{"rules":7,"x":1}}`)}, ""},
		"one that a cache has made smaller":    {&v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.UnknownFieldsAnnotation: "spec.x"}}}, "spec.x"},
		"what kubectl noted comes before ours": {&v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.UnknownFieldsAnnotation: "spec.x", corev1.LastAppliedConfigAnnotation: "{}"}}}, ""},
		"something else than a kind of ours":   {&corev1.Secret{ObjectMeta: applied(misspelt)}, ""},
	} {
		if got := v1alpha1.UnknownFields(c.object); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

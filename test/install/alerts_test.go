package install

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// alertNames are those of the PrometheusRule that the chart makes with these values.
func alertNames(t *testing.T, values string) (names []string) {
	t.Helper()
	for _, u := range rendered(t, values) {
		if u.GetKind() != "PrometheusRule" {
			continue
		}
		groups, _, err := unstructured.NestedSlice(u.Object, "spec", "groups")
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range groups {
			rules, _, err := unstructured.NestedSlice(group.(map[string]any), "rules")
			if err != nil {
				t.Fatal(err)
			}
			for _, rule := range rules {
				names = append(names, rule.(map[string]any)["alert"].(string))
			}
		}
	}
	return names
}

// By design nobody counts where no verifier is installed: an alert about each session would say so for ever.
func TestWhereNoVerifierIsInstalledNoAlertSaysThatItIsMissing(t *testing.T) {
	const missing = "VPCMirrorVerifierMissing"
	all := alertNames(t, "monitoring: {rules: {enabled: true}}")
	if !slices.Contains(all, missing) {
		t.Errorf("with verifiers there is no alert %s: %v", missing, all)
	}
	want := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == missing })
	if got := alertNames(t, "{verifier: {enabled: false}, monitoring: {rules: {enabled: true}}}"); !slices.Equal(got, want) {
		t.Errorf("without verifiers there are the alerts\n%v, want\n%v", got, want)
	}
}

package diagnosis_test

import (
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/diagnosis"
)

func TestAMisspeltFieldOfAFilterIsNamed(t *testing.T) {
	w := newWorld()
	w.session.Spec.FilterRef.Name = "web"
	k := &diagnosis.Known{Session: w.session, Reported: &v1alpha1.MirrorSessionStatus{}, Now: noon,
		Unknown: diagnosis.Unknown{Filter: "spec.rules[0].src", Session: "spec.silencAfter"}}
	got := map[string]string{}
	for _, f := range diagnosis.Findings(k) {
		if f.Reason == v1alpha1.ReasonUnknownField {
			got[f.Subject] = string(f.Severity) + ": " + f.Message
		}
	}
	same(t, "what is found", map[string]string{
		`filter "web"`: `Warning: the manifest of filter "web" has spec.rules[0].src, which MirrorFilter does not know: ` +
			"Kubernetes has left it out, so that the filter may accept more than is meant",
		"the session": "Warning: the manifest of the session has spec.silencAfter, which MirrorSession does not know: Kubernetes has left it out",
	}, got)
	k.Unknown = diagnosis.Unknown{}
	for _, f := range diagnosis.Findings(k) {
		if f.Reason == v1alpha1.ReasonUnknownField {
			t.Errorf("nothing is misspelt, and it is found: %v", f)
		}
	}
}

//go:build !oldest

package integration_test

import (
	"strings"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestATextThatTheCloudTrimsIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"with a line's end":  "copies for the IDS\n",
		"of long characters": strings.Repeat("镜", 160),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t, sim.WithQuirks(state.Quirks{TrimTexts: true, BytesCount: true}))
			w.Start()
			filter := w.Filter("texts", func(f *v1alpha1.MirrorFilter) {
				f.Spec.Description, f.Spec.Rules[0].Description = text, text
			})
			session := w.Session("texts", "texts", func(s *v1alpha1.MirrorSession) { s.Spec.Description = text })
			w.Create(filter)
			w.Create(session)
			harness.Ready(w, filter)
			harness.Ready(w, session)
			made := w.Cloud.Journal.Last()
			harness.ReconcileNow(w, filter)
			harness.ReconcileNow(w, session)
			harness.Same(t, "what was written to the cloud again", []string{}, harness.Operations(w.Cloud.Journal.Writes(made)))
		})
	}
}

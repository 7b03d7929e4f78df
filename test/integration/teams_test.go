package integration_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/env/checkout"
	"vpcmirror.io/operator/test/integration/harness"
)

// team are the filter and the session of a file of the recipe for two teams, in the namespace of a test.
func team(t *testing.T, w *harness.World, name string) (*v1alpha1.MirrorFilter, *v1alpha1.MirrorSession) {
	t.Helper()
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(root, "config/samples/two-teams", name))
	if err != nil {
		t.Fatal(err)
	}
	filter, session := &v1alpha1.MirrorFilter{}, &v1alpha1.MirrorSession{}
	for reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content))); ; {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var head metav1.TypeMeta
		if err := yaml.Unmarshal(document, &head); err != nil {
			t.Fatal(err)
		}
		for kind, object := range map[string]client.Object{"MirrorFilter": filter, "MirrorSession": session} {
			if head.Kind == kind {
				if err := yaml.UnmarshalStrict(document, object); err != nil {
					t.Fatal(err)
				}
				object.SetNamespace(w.Namespace)
			}
		}
	}
	return filter, session
}

// have fails the test unless all sessions become ready with the priorities that their
// specs name, in the cloud and in the status.
func have(t *testing.T, w *harness.World, sessions ...*v1alpha1.MirrorSession) {
	t.Helper()
	for _, s := range sessions {
		harness.Ready(w, s)
		wanted := *s.Spec.Priority
		harness.Same(t, "the priority in the status of "+s.Name, wanted, s.Status.Sessions[0].Priority)
		harness.Same(t, "the priority in the cloud of "+s.Name, int(wanted), w.Cloud.State.Snapshot().Sessions[s.Status.Sessions[0].ID].Priority)
	}
}

func TestTheTwoTeamsOfTheRecipeShareASourceAndNeitherTakesUnseenWhatTheOtherAsksFor(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	takenFilter, first := team(t, w, "network.yaml")
	restFilter, second := team(t, w, "security.yaml")
	for _, o := range []client.Object{takenFilter, first, restFilter, second} {
		w.Create(o)
	}
	have(t, w, first, second)
	taken := func(s *v1alpha1.MirrorSession) bool {
		return slices.ContainsFunc(s.Status.Findings, func(f v1alpha1.Finding) bool {
			return f.Reason == v1alpha1.ReasonTakenEarlier || f.Reason == v1alpha1.ReasonRejectedEarlier
		})
	}
	for _, s := range []*v1alpha1.MirrorSession{first, second} {
		harness.ReconcileNow(w, s)
		if taken(s) {
			t.Errorf("%s has the findings %+v", s.Name, s.Status.Findings)
		}
	}

	t.Run("without the rule that says what the first one takes, the second one tells of it", func(t *testing.T) {
		harness.Change(w, restFilter, func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = f.Spec.Rules[1:] })
		harness.Until(w, second, "it says that another session takes its packets earlier", taken)
	})

	t.Run("a fourth session of the source is refused", func(t *testing.T) {
		third, fourth := w.Session("third", takenFilter.Name), w.Session("fourth", takenFilter.Name)
		w.Create(third)
		harness.Ready(w, third)
		w.Create(fourth)
		harness.Because(w, fourth, v1alpha1.ReasonQuotaExceeded)
	})
}

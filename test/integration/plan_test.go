package integration_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/integration/harness"
)

// planOf asks what would be done for an object, and returns the answer. The question is deleted.
func planOf(t *testing.T, w *harness.World, o status.Object, run string) *v1alpha1.Plan {
	t.Helper()
	question := o.DeepCopyObject().(status.Object) // a copy has its original's type
	for _, of := range []metav1.Object{question} {
		of.SetUID("")
		of.SetResourceVersion("")
		of.SetFinalizers(nil)
		of.SetName(o.GetName() + "-plan")
		of.SetAnnotations(map[string]string{v1alpha1.PlanOfAnnotation: o.GetName(), v1alpha1.PlanRunAnnotation: run})
	}
	question.Cloud().Suspend = true
	*question.Common() = v1alpha1.CommonStatus{}
	w.Create(question)
	if run == "" {
		defer w.Delete(question)
	}
	harness.Poll(t, "an answer", func() bool { return w.Get(question) == nil && question.Common().Plan != nil }, isTrue)
	return question.Common().Plan
}

func isTrue(is bool) bool { return is }

// written are the operations among calls that write.
func written(calls []string) (writes []string) {
	for _, call := range calls {
		if !strings.HasPrefix(call, "List") && !strings.HasPrefix(call, "Show") {
			writes = append(writes, call)
		}
	}
	return writes
}

func plannedCalls(p *v1alpha1.Plan) (operations []string) {
	for _, c := range p.Calls {
		operations = append(operations, c.Operation)
	}
	return operations
}

func TestAPlanIsWhatAnApplyThenDoes(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*v1alpha1.MirrorSession){
		"nothing":         func(*v1alpha1.MirrorSession) {},
		"another VNI":     func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(77)) },
		"a source more":   func(s *v1alpha1.MirrorSession) { s.Spec.Sources = append(s.Spec.Sources, harness.Sources(harness.At("192.168.0.161"))...) },
		"another source":  func(s *v1alpha1.MirrorSession) { s.Spec.Sources = harness.Sources(harness.At("192.168.0.161")) },
		"switched off":    func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = new(false) },
		"no source":       func(s *v1alpha1.MirrorSession) { s.Spec.Sources = nil },
		"roles exchanged": func(s *v1alpha1.MirrorSession) {
			s.Spec.Sources, s.Spec.Target = harness.Sources(harness.At("192.168.0.164")), v1alpha1.TargetSelector{InterfaceSelector: harness.At("192.168.0.230")}
		},
		"another filter": func(s *v1alpha1.MirrorSession) { s.Spec.FilterRef.Name = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			other := w.Filter("other")
			w.Create(other)
			harness.Ready(w, other)
			_, session := w.Pair("planned")
			harness.Ready(w, session)
			asked := w.Cloud.Journal.Last()
			wanted := session.DeepCopy()
			edit(wanted)
			plan := planOf(t, w, wanted, "")
			if writes := written(harness.Operations(w.Cloud.Journal.Since(asked))); len(writes) > 0 {
				t.Fatalf("the question was written to the cloud: %s", writes)
			}
			for _, warning := range plan.Warnings {
				t.Logf("%s: %s", warning.Reason, warning.Message)
			}
			for _, call := range plan.Calls {
				t.Logf("%s %s %v", call.Operation, call.ID, call.Changes)
			}
			asked = w.Cloud.Journal.Last()
			harness.Change(w, session, edit)
			harness.Poll(t, "the edit is looked at", func() bool {
				return w.Get(session) == nil && session.Status.ObservedGeneration == session.Generation && fmt.Sprint(readyReason(session)) == plan.Reason
			}, isTrue)
			harness.Same(t, "the writes", written(harness.Operations(w.Cloud.Journal.Since(asked))), plannedCalls(plan))
		})
	}
}

func readyReason(o status.Object) string {
	i := slices.IndexFunc(o.Common().Conditions, func(c metav1.Condition) bool { return c.Type == v1alpha1.ConditionReady })
	if i < 0 {
		return ""
	}
	return o.Common().Conditions[i].Reason
}

func TestWhatIsNotThereIsPlannedAsAWhole(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	asked := w.Cloud.Journal.Last()
	filter := planOf(t, w, w.Filter("f"), "run-1")
	session := planOf(t, w, w.Session("s", "f"), "run-1")
	for _, p := range []*v1alpha1.Plan{filter, session} {
		t.Logf("%+v", *p)
	}
	harness.Same(t, "the calls", []string{"CreateTrafficMirrorFilter", "CreateTrafficMirrorFilterRule", "CreateTrafficMirrorSession"}, append(plannedCalls(filter), plannedCalls(session)...))
	if writes := written(harness.Operations(w.Cloud.Journal.Since(asked))); len(writes) > 0 {
		t.Fatalf("the question was written to the cloud: %s", writes)
	}
}

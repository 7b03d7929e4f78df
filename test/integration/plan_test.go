//go:build !oldest

package integration_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
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
		of.SetAnnotations(map[string]string{v1alpha1.PlanOfAnnotation: o.GetName()})
		if run != "" {
			of.SetLabels(map[string]string{v1alpha1.PlanLabel: run})
		}
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

func TestAPlanOfASessionIsWhatAnApplyThenDoes(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*v1alpha1.MirrorSession){
		"nothing":        func(*v1alpha1.MirrorSession) {},
		"another VNI":    func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(77)) },
		"a source more":  func(s *v1alpha1.MirrorSession) { s.Spec.Sources = append(s.Spec.Sources, naming(interfaceID(1, 0))...) },
		"another source": func(s *v1alpha1.MirrorSession) { s.Spec.Sources = naming(interfaceID(1, 0)) },
		"sources for three sessions": func(s *v1alpha1.MirrorSession) {
			s.Spec.Sources = append(s.Spec.Sources, naming(numbered(0, 22)...)...)
		},
		"switched off": func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = new(false) },
		"no source":    func(s *v1alpha1.MirrorSession) { s.Spec.Sources = nil },
		"roles exchanged": func(s *v1alpha1.MirrorSession) {
			s.Spec.Sources, s.Spec.Target = harness.Sources(harness.At("192.168.0.164")), harness.Target(harness.At("192.168.0.230"))
		},
		"another filter": func(s *v1alpha1.MirrorSession) { s.Spec.FilterRef.Name = "other" },
		"a missing one":  func(s *v1alpha1.MirrorSession) { s.Spec.FilterRef.Name = "missing" },
		"only observed": func(s *v1alpha1.MirrorSession) {
			s.Spec.ManagementPolicy, s.Spec.VNI = v1alpha1.ManagementObserve, new(int32(78))
		},
		"nobody's source": func(s *v1alpha1.MirrorSession) { s.Spec.Sources = harness.Sources(harness.At("192.168.0.99")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			servers(w, 30)
			w.Start()
			other := w.Filter("other")
			w.Create(other)
			_, session := w.Pair("planned")
			harness.Ready(w, other)
			planned(t, w, session, func(o status.Object) { edit(o.(*v1alpha1.MirrorSession)) })
		})
	}
}

func TestAPlanOfAFilterIsWhatAnApplyThenDoes(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*v1alpha1.MirrorFilter){
		"nothing":         func(*v1alpha1.MirrorFilter) {},
		"a rule more":     func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = append(f.Spec.Rules, harness.Rule(2)) },
		"another rule":    func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = []v1alpha1.FilterRule{harness.Rule(7)} },
		"a rule changed":  func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Destination.Port = new(int32(99)) },
		"another side":    func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Direction = v1alpha1.DirectionEgress },
		"another name":    func(f *v1alpha1.MirrorFilter) { f.Spec.CloudName = "renamed" },
		"without a CIDR":  func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Source = nil },
		"no rule at all":  func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = nil },
		"another account": func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef.Name = "missing" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			filter := w.Filter("planned")
			w.Create(filter)
			planned(t, w, harness.Ready(w, filter), func(o status.Object) { edit(o.(*v1alpha1.MirrorFilter)) })
		})
	}
}

// planned holds that what is planned for an edit is written to the cloud once it is made, and nothing before.
func planned(t *testing.T, w *harness.World, o status.Object, edit func(status.Object)) {
	t.Helper()
	asked := w.Cloud.Journal.Last()
	wanted := o.DeepCopyObject().(status.Object)
	edit(wanted)
	plan := planOf(t, w, wanted, "")
	if writes := written(harness.Operations(w.Cloud.Journal.Since(asked))); len(writes) > 0 {
		t.Fatalf("the question was written to the cloud: %s", writes)
	}
	asked = w.Cloud.Journal.Last()
	harness.Change(w, o, edit)
	harness.Poll(t, "the edit is looked at, and ends as planned", func() string { return readyOf(w, o) }, func(reason string) bool { return reason == plan.Reason })
	harness.Same(t, "the writes", written(harness.Operations(w.Cloud.Journal.Since(asked))), plannedCalls(plan))
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

// The sessions of a file come to one cloud, so each is planned as it comes after those before it.
func TestTheSessionsOfAFileArePlannedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	// The filter of the walkthrough is not for its other server, whose copies the target's group would drop.
	ofTheTest := []string{v1alpha1.ReasonTargetGroupDenies, v1alpha1.ReasonFilterMatchesNothing}
	for name, row := range map[string]struct {
		quota int
		edits []func(*v1alpha1.MirrorSession)
		ready []string
		warns []string // of the last one
	}{
		"two to one target that leave the VNI open": {
			edits: []func(*v1alpha1.MirrorSession){func(*v1alpha1.MirrorSession) {}, from(scenario.WalkthroughTest)},
			ready: []string{v1alpha1.ReasonSynced, v1alpha1.ReasonSynced},
			warns: ofTheTest,
		},
		"two that name one priority": {
			edits: []func(*v1alpha1.MirrorSession){rankedAs(7), func(s *v1alpha1.MirrorSession) {
				rankedAs(7)(s)
				from(scenario.WalkthroughTest)(s)
			}},
			ready: []string{v1alpha1.ReasonSynced, v1alpha1.ReasonPriorityTaken},
			warns: ofTheTest,
		},
		"one too many for the quota": {
			quota: 1,
			edits: []func(*v1alpha1.MirrorSession){func(*v1alpha1.MirrorSession) {}, from(scenario.WalkthroughTest)},
			ready: []string{v1alpha1.ReasonSynced, v1alpha1.ReasonQuotaExceeded},
			warns: ofTheTest,
		},
		"one that takes the packets of the one before it": {
			edits: []func(*v1alpha1.MirrorSession){rankedAs(7), rankedAs(6)},
			ready: []string{v1alpha1.ReasonSynced, v1alpha1.ReasonSynced},
			warns: []string{"Precedes"},
		},
		"three of one source, of which one is off": {
			edits: []func(*v1alpha1.MirrorSession){func(*v1alpha1.MirrorSession) {}, func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = new(false) }, rankedAs(3)},
			ready: []string{v1alpha1.ReasonSynced, v1alpha1.ReasonSynced, v1alpha1.ReasonSynced},
			warns: []string{"Precedes"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t, sim.WithQuotas(func(q *state.Quotas) {
				q.SessionsPerSource = 10
				if row.quota > 0 {
					q.Sessions = row.quota
				}
			}))
			w.Start()
			objects := []status.Object{w.Filter("f")}
			for i, edit := range row.edits {
				objects = append(objects, w.Session(fmt.Sprintf("s%d", i), "f", edit))
			}
			var plans []*v1alpha1.Plan
			var ready []string
			for _, o := range objects {
				p := planOf(t, w, o, "run-1")
				plans, ready = append(plans, p), append(ready, p.Reason)
			}
			harness.Same(t, "what Ready would be", append([]string{v1alpha1.ReasonSynced}, row.ready...), ready)
			var warns []string
			for _, warning := range plans[len(plans)-1].Warnings {
				warns = append(warns, warning.Reason)
			}
			harness.Same(t, "the warnings", row.warns, warns)
			for _, p := range plans {
				if text := fmt.Sprint(p.Message, p.Warnings); strings.Contains(text, "00000000-0000-4000-8000-0") {
					t.Errorf("an ID is named that the cloud does not have: %s", text)
				}
			}

			asked := w.Cloud.Journal.Last()
			for i, o := range objects {
				w.Create(o)
				harness.Poll(t, "it ends as planned", func() string { return readyOf(w, o) }, func(reason string) bool { return reason == plans[i].Reason })
			}
			var want, planned []string
			for _, s := range w.Content().Sessions {
				want = append(want, fmt.Sprint(s.VNI, " ", s.Priority, " ", s.Enabled))
			}
			for _, p := range plans[1:] {
				for _, c := range p.Calls {
					planned = append(planned, valueOf(c, "vni")+" "+valueOf(c, "priority")+" "+valueOf(c, "enabled"))
				}
			}
			harness.Same(t, "VNI, priority and switch of what is made", want, planned)
			var calls []string
			for _, p := range plans {
				calls = append(calls, plannedCalls(p)...)
			}
			taken := slices.DeleteFunc(w.Cloud.Journal.Since(asked), func(e journal.Entry) bool { return e.Status >= 300 })
			harness.Same(t, "the writes that the cloud took", written(harness.Operations(taken)), calls)
		})
	}
}

func from(id string) func(*v1alpha1.MirrorSession) {
	return func(s *v1alpha1.MirrorSession) { s.Spec.Sources = harness.Sources(harness.ID(id)) }
}

func rankedAs(priority int32) func(*v1alpha1.MirrorSession) {
	return func(s *v1alpha1.MirrorSession) { s.Spec.Priority = &priority }
}

// readyOf is the reason of Ready of the present spec, empty while there is none.
func readyOf(w *harness.World, o status.Object) string {
	if w.Get(o) != nil || o.Common().ObservedGeneration != o.GetGeneration() {
		return ""
	}
	return readyReason(o)
}

// valueOf is what a call would set a field to.
func valueOf(c v1alpha1.PlannedCall, field string) string {
	for _, change := range c.Changes {
		if change.Field == field {
			return change.Want
		}
	}
	return ""
}

func TestAPlanSaysBeforehandWhatStandsInTheWay(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		before  func(*harness.World)
		edit    func(*v1alpha1.MirrorSession)
		ready   string
		reasons []string
		says    string
	}{
		"a session of others that would lose its packets": {
			before: func(w *harness.World) {
				first := w.Session("first", "planned", func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(500)) })
				w.Create(first)
				harness.Ready(w, first)
			},
			edit:    func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(400)) },
			ready:   v1alpha1.ReasonSynced,
			reasons: []string{"Precedes"},
			says:    "would lose all of the packets that its filter accepts",
		},
		"a quota that is used up": {
			before: func(w *harness.World) {
				servers(w, 30)
			},
			edit: func(s *v1alpha1.MirrorSession) {
				s.Spec.Sources = append(s.Spec.Sources, naming(numbered(0, 22)...)...)
			},
			ready:   v1alpha1.ReasonQuotaExceeded,
			reasons: []string{v1alpha1.ReasonTargetGroupDenies},
		},
		"a group that drops the copies": {
			before: func(w *harness.World) { servers(w, 3) },
			edit: func(s *v1alpha1.MirrorSession) {
				s.Spec.Sources, s.Spec.Target = harness.Sources(harness.At("192.168.0.230")), harness.Target(harness.At("192.168.0.161"))
			},
			ready:   v1alpha1.ReasonSynced,
			reasons: []string{v1alpha1.ReasonTargetGroupDenies},
			says:    "has no rule that allows UDP 4789 from 192.168.0.230",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t, sim.WithQuotas(func(q *state.Quotas) { q.Sessions = 2 }))
			w.Start()
			_, session := w.Pair("planned")
			row.before(w)
			row.edit(session)
			plan := planOf(t, w, session, "")
			var reasons []string
			says := ""
			for _, warning := range plan.Warnings {
				reasons, says = append(reasons, warning.Reason), says+warning.Message+"\n"
			}
			harness.Same(t, "Ready afterwards", row.ready, plan.Reason)
			harness.Same(t, "the warnings", row.reasons, slices.Compact(reasons))
			if !strings.Contains(says, row.says) {
				t.Errorf("the warnings lack %q:\n%s", row.says, says)
			}
		})
	}
}

func TestWhatSomebodyElseHasMadeIsPlannedToBeMarkedAlone(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	haveFilter, haveSession := w.Terraformed()
	w.Start()
	importing := func(o interface{ Cloud() *v1alpha1.CloudSpec }, id string) {
		o.Cloud().Import, o.Cloud().CloudName, o.Cloud().Description = &v1alpha1.Import{ID: id}, "", ""
	}
	filter := planOf(t, w, w.Filter("f", func(f *v1alpha1.MirrorFilter) { importing(f, haveFilter.ID) }), "run-1")
	session := planOf(t, w, w.Session("s", "f", func(s *v1alpha1.MirrorSession) {
		importing(s, haveSession.ID)
		s.Spec.VNI, s.Spec.Priority = nil, nil
	}), "run-1")
	marked := []v1alpha1.PlannedChange{{Field: "description", Have: "by Terraform", Want: "by Terraform [vpcmirror]"}}
	harness.Same(t, "the calls", []v1alpha1.PlannedCall{
		{Operation: "UpdateTrafficMirrorFilter", ID: haveFilter.ID, Changes: marked},
		{Operation: "UpdateTrafficMirrorSession", ID: haveSession.ID, Changes: marked},
	}, append(filter.Calls, session.Calls...))
}

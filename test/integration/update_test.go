package integration_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

var noSessionTimes = cmpopts.IgnoreFields(state.Session{}, "CreatedAt", "UpdatedAt")

func TestAnEditOfEachFieldOfASessionReachesTheCloudWithOneCall(t *testing.T) {
	t.Parallel()
	const update = "UpdateTrafficMirrorSession"
	for field, c := range map[string]struct {
		edit func(*v1alpha1.MirrorSession)
		want func(*state.Session)
		ops  []string
	}{
		"cloudName": {
			func(s *v1alpha1.MirrorSession) { s.Spec.CloudName = "renamed" },
			func(s *state.Session) { s.Name = "renamed" }, []string{update},
		},
		"description": {
			func(s *v1alpha1.MirrorSession) { s.Spec.Description = "new words" },
			func(s *state.Session) { s.Description = "new words " + s.Description }, []string{update},
		},
		"vni": {
			func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(16777215)) },
			func(s *state.Session) { s.VNI = 16777215 }, []string{update},
		},
		"priority": {
			func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(5)) },
			func(s *state.Session) { s.Priority = 5 }, []string{update},
		},
		"packetLength": {
			func(s *v1alpha1.MirrorSession) { s.Spec.PacketLength = new(int32(128)) },
			func(s *state.Session) { s.PacketLength = 128 }, []string{update},
		},
		"enabled": {
			func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = new(false) },
			func(s *state.Session) { s.Enabled = false }, []string{update},
		},
		"target": {
			func(s *v1alpha1.MirrorSession) { s.Spec.Target = harness.Target(harness.At("192.168.0.161")) },
			func(s *state.Session) { s.TargetID = scenario.WalkthroughTest }, []string{update},
		},
		"sources": {
			func(s *v1alpha1.MirrorSession) {
				s.Spec.Sources = harness.Sources(harness.At("192.168.0.161"))
			},
			func(s *state.Session) { s.Sources = []string{scenario.WalkthroughTest} },
			[]string{"AddSourcesToTrafficMirrorSession", "RemoveSourcesFromTrafficMirrorSession"},
		},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			_, session := w.Pair("edited")
			want, asked := w.Content().Sessions, w.Cloud.Journal.Last()
			harness.Change(w, session, c.edit)
			harness.Ready(w, session)
			c.want(&want[0])
			harness.Same(t, "the session", want, w.Content().Sessions, noSessionTimes)
			writes := w.Cloud.Journal.Writes(asked)
			harness.Same(t, "the calls", c.ops, harness.Operations(writes))
			for _, e := range writes {
				if e.Operation == update && strings.Contains(e.Body, "traffic_mirror_sources") {
					t.Errorf("the update touches the sources: %s", harness.Describe(e))
				}
			}
			harness.Same(t, "the priority in the status", int32(want[0].Priority), session.Status.Sessions[0].Priority)
			harness.Same(t, "the VNI in the status", int32(want[0].VNI), *session.Status.VNI)
		})
	}
}

func TestAnEditOfEachFieldOfAFilterReachesTheCloud(t *testing.T) {
	t.Parallel()
	for field, c := range map[string]struct {
		edit func(*v1alpha1.MirrorFilter)
		want func(*state.Filter, *[]state.Rule)
		ops  []string
	}{
		"cloudName": {
			func(f *v1alpha1.MirrorFilter) { f.Spec.CloudName = "renamed" },
			func(f *state.Filter, _ *[]state.Rule) { f.Name = "renamed" }, []string{"UpdateTrafficMirrorFilter"},
		},
		"description": {
			func(f *v1alpha1.MirrorFilter) { f.Spec.Description = "new words" },
			func(f *state.Filter, _ *[]state.Rule) { f.Description = "new words " + f.Description }, []string{"UpdateTrafficMirrorFilter"},
		},
		"a rule more": {
			func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = append(f.Spec.Rules, harness.Rule(2)) },
			func(_ *state.Filter, r *[]state.Rule) { *r = append(*r, harness.CloudRule(2)) },
			[]string{"CreateTrafficMirrorFilterRule"},
		},
		"no rule": {
			func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = nil },
			func(_ *state.Filter, r *[]state.Rule) { *r = nil }, []string{"DeleteTrafficMirrorFilterRule"},
		},
		"a rule's words": {
			func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Description = "why" },
			func(_ *state.Filter, r *[]state.Rule) { (*r)[0].Description = "why" }, []string{"UpdateTrafficMirrorFilterRule"},
		},
		"a rule's port range": {
			func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Destination.EndPort = new(int32(1300)) },
			func(_ *state.Filter, r *[]state.Rule) { (*r)[0].DestinationPortRange = "1234-1300" }, []string{"UpdateTrafficMirrorFilterRule"},
		},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			filter := w.Filter("edited")
			w.Create(filter)
			harness.Ready(w, filter)
			want, asked := w.Content(), w.Cloud.Journal.Last()
			harness.Change(w, filter, c.edit)
			harness.Ready(w, filter)
			c.want(&want.Filters[0], &want.Rules)
			for i := range want.Rules {
				want.Rules[i].FilterID = filter.Status.ID
			}
			w.Holds(want)
			harness.Same(t, "the calls", c.ops, harness.Operations(w.Cloud.Journal.Writes(asked)))
			harness.Same(t, "the number of rules in the status", int32(len(want.Rules)), filter.Status.RuleCount)
		})
	}
}

func TestAnOptionalFieldOfARuleIsClearedByANewRuleAndNeverByAGap(t *testing.T) {
	t.Parallel()
	for field, c := range map[string]struct {
		edit func(*v1alpha1.FilterRule)
		want func(*state.Rule)
	}{
		"the source's CIDR":      {func(r *v1alpha1.FilterRule) { r.Source = nil }, func(r *state.Rule) { r.SourceCIDR = "" }},
		"the destination's CIDR": {func(r *v1alpha1.FilterRule) { r.Destination.CIDR = "" }, func(r *state.Rule) { r.DestinationCIDR = "" }},
		"the destination's port": {func(r *v1alpha1.FilterRule) { r.Destination.Port = nil }, func(r *state.Rule) { r.DestinationPortRange = "" }},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			filter := w.Filter("cleared")
			w.Create(filter)
			harness.Ready(w, filter)
			old, asked := w.Content().Rules[0], w.Cloud.Journal.Last()
			harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { c.edit(&f.Spec.Rules[0]) })
			harness.Ready(w, filter)
			want := harness.CloudRule(1)
			want.FilterID = filter.Status.ID
			c.want(&want)
			got := w.Content().Rules
			harness.Same(t, "the rules", []state.Rule{want}, got, cmpopts.IgnoreFields(state.Rule{}, "ID", "CreatedAt", "UpdatedAt"))
			if got[0].ID == old.ID {
				t.Error("the rule has its old ID, though a field can't be cleared in place")
			}
			var count, least = 1, 1
			for _, e := range w.Cloud.Journal.Writes(asked) {
				count += map[string]int{"CreateTrafficMirrorFilterRule": 1, "DeleteTrafficMirrorFilterRule": -1}[e.Operation]
				least = min(least, count)
			}
			harness.Same(t, "the least number of rules on the way", 1, least)
		})
	}
}

func TestNewSourcesAreAddedBeforeOldOnesGo(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("moving", func(s *v1alpha1.MirrorSession) {
		s.Spec.Target = harness.Target(harness.ID(scenario.WalkthroughTarget))
	})
	asked := w.Cloud.Journal.Last()
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = harness.Sources(harness.ID(scenario.WalkthroughTest))
	})
	harness.Ready(w, session)
	var bodies []string
	for _, e := range w.Cloud.Journal.Writes(asked) {
		bodies = append(bodies, e.Operation+" "+compact(e))
	}
	harness.Same(t, "the calls in their order", []string{
		`AddSourcesToTrafficMirrorSession {"traffic_mirror_session":{"traffic_mirror_sources":["` + scenario.WalkthroughTest + `"]}}`,
		`RemoveSourcesFromTrafficMirrorSession {"traffic_mirror_session":{"traffic_mirror_sources":["` + scenario.WalkthroughSource + `"]}}`,
	}, bodies)
}

func compact(e journal.Entry) string { return strings.Join(strings.Fields(e.Body), "") }

func TestANumberThatWasAllocatedStaysWhenTheSpecStopsNamingAnother(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("numbers", func(s *v1alpha1.MirrorSession) {
		s.Spec.VNI, s.Spec.Priority = new(int32(77)), new(int32(42))
	})
	asked := w.Cloud.Journal.Last()
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.VNI, s.Spec.Priority = nil, nil })
	harness.Ready(w, session)
	harness.Same(t, "what was written to the cloud", []string{}, harness.Operations(w.Cloud.Journal.Writes(asked)))
	harness.Same(t, "the name", plan.CloudName(w.Namespace, "numbers", string(session.UID)), w.Content().Sessions[0].Name)
}

package plan_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// anySession draws a session over few interfaces, so that they change their roles.
func anySession(t *rapid.T, label string) (spec cloud.SessionSpec, sources []string) {
	interfaces := make([]string, 13)
	for i := range interfaces {
		interfaces[i] = fmt.Sprint("i", i)
	}
	few := rapid.SampledFrom([]int{2, 3, 13}).Draw(t, label+" interfaces")
	interfaces = rapid.Permutation(interfaces[:few]).Draw(t, label+" order")
	return cloud.SessionSpec{
		Name:         rapid.SampledFrom([]string{"a", "b"}).Draw(t, label+" name"),
		FilterID:     rapid.SampledFrom([]string{"f1", "f2"}).Draw(t, label+" filter"),
		TargetID:     interfaces[0],
		TargetType:   cloud.TargetInterface,
		VNI:          rapid.IntRange(0, 2).Draw(t, label+" vni"),
		PacketLength: rapid.SampledFrom([]int{96, 1460}).Draw(t, label+" length"),
		Priority:     rapid.IntRange(1, 3).Draw(t, label+" priority"),
		Enabled:      rapid.Bool().Draw(t, label+" enabled"),
	}, interfaces[1 : 1+rapid.IntRange(1, min(10, few-1)).Draw(t, label+" sources")]
}

func apply(s cloud.Session, step plan.SessionStep) cloud.Session {
	s.Sources = slices.Clone(s.Sources)
	set := func(to *string, v *string) {
		if v != nil {
			*to = *v
		}
	}
	if u := step.Update; u != nil {
		set(&s.Name, u.Name)
		set(&s.Description, u.Description)
		set(&s.FilterID, u.FilterID)
		set(&s.TargetID, u.TargetID)
		if u.VNI != nil {
			s.VNI = *u.VNI
		}
		if u.PacketLength != nil {
			s.PacketLength = *u.PacketLength
		}
		if u.Priority != nil {
			s.Priority = *u.Priority
		}
		if u.Enabled != nil {
			s.Enabled = *u.Enabled
		}
	}
	s.Sources = append(s.Sources, step.AddSources...)
	s.Sources = slices.DeleteFunc(s.Sources, func(id string) bool { return slices.Contains(step.RemoveSources, id) })
	return s
}

// paths are what is copied where by which filter: (source, filter, target).
func paths(s cloud.Session) map[string]bool {
	out := map[string]bool{}
	for _, source := range s.Sources {
		if s.Enabled {
			out[source+" "+s.FilterID+" "+s.TargetID] = true
		}
	}
	return out
}

func TestAnEditOfASessionNeverOpensAPathThatNeitherStateHasAndEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := cloud.Session{ID: "s"}, plan.WantedSession{}
		have.SessionSpec, have.Sources = anySession(t, "have")
		want.SessionSpec, want.Sources = anySession(t, "want")
		goal := paths(cloud.Session{SessionSpec: want.SessionSpec, Sources: want.Sources})
		start := paths(have)

		diff := plan.DiffSession(want, have)
		if plan.MustReplace(want, have) {
			if len(have.Sources) != 1 || len(want.Sources) != 1 || have.Sources[0] != want.TargetID || want.Sources[0] != have.TargetID {
				t.Fatalf("%+v is to be made anew for %+v", have, want)
			}
			return
		}
		steps := diff.Steps(10)
		now := have
		for _, step := range steps {
			now = apply(now, step)
			if len(now.Sources) == 0 {
				t.Fatalf("the last source was removed by %+v", step)
			}
			if slices.Contains(now.Sources, now.TargetID) {
				t.Fatalf("%s is source and target after %+v", now.TargetID, step)
			}
			if len(now.Sources) > 10 {
				t.Fatalf("more than 10 sources after %+v", step)
			}
			for path := range paths(now) {
				if !start[path] && !goal[path] {
					t.Fatalf("%s is neither in the old nor in the new state, after %+v", path, step)
				}
			}
			for path := range start {
				if goal[path] && !paths(now)[path] {
					t.Fatalf("%s stays, but is interrupted by %+v", path, step)
				}
			}
		}
		if again := plan.DiffSession(want, now); len(again.Changes) != 0 {
			t.Fatalf("compared again it still wants %v", again.Changes)
		}
		if (len(steps) == 0) != (len(diff.Changes) == 0) {
			t.Fatalf("steps %v and changes %v don't agree", steps, diff.Changes)
		}
	})
}

func TestTheOwnershipMarkSurvivesEveryDescription(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mark := plan.Mark{Cluster: plan.ClusterID(rapid.String().Draw(t, "cluster")), UID: "0f3c2b1a-0000-4000-8000-0123456789ab", Part: rapid.IntRange(1, 16).Draw(t, "part")}
		description := mark.Describe(rapid.StringN(0, 300, -1).Draw(t, "description"))
		if n := len([]rune(description)); n > 255 {
			t.Fatalf("%d characters are too many for the cloud", n)
		}
		if got, ok := plan.MarkOf(description); !ok || got != mark {
			t.Fatalf("read back %+v, %v", got, ok)
		}
	})
}

func TestACloudNameFitsAndSaysWhoseItIs(t *testing.T) {
	got := []string{
		plan.CloudName("security", "ids", "0f3c2b1a-9999-4000-8000-0123456789ab"),
		plan.CloudName("a-namespace-with-a-name-of-quite-some-length-in-it", "and-a-long-object", "0f3c2b1a-9999"),
	}
	if diff := cmp.Diff([]string{
		"security-ids-0f3c2b1a",
		"a-namespace-with-a-name-of-quite-some-length-in-it-and--0f3c2b1a",
	}, got); diff != "" {
		t.Error(diff)
	}
}

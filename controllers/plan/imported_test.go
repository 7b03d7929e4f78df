package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

var (
	ourMark   = Mark{Cluster: "0a1b2c3d", UID: "11111111-2222-3333-4444-555555555555", Part: 1}
	theirMark = Mark{Cluster: "ffffffff", UID: "99999999-2222-3333-4444-555555555555", Part: 2}
)

func TestADescriptionIsReadWithoutWhoseItIsOrWas(t *testing.T) {
	for description, want := range map[string]string{
		"":                               "",
		" by Terraform\n":                "by Terraform",
		ourMark.Describe("by Terraform"): "by Terraform",
		theirMark.Describe(""):           "",
		ourMark.Released("by Terraform"): "by Terraform",
		ourMark.Describe(theirMark.Released("x")): "x",
		"[vpcmirror is not a mark]":               "[vpcmirror is not a mark]",
		"x [retained from vpcmirror 1] y":         "x [retained from vpcmirror 1] y",
	} {
		if got := Unmarked(description); got != want {
			t.Errorf("%q is read as %q, want %q", description, got, want)
		}
	}
}

// described is any description, marked by us, by others, or not at all.
func described() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("ab c漢[]/")), 0, 80, -1).Draw(t, "text")
		switch rapid.IntRange(0, 3).Draw(t, "how") {
		case 0:
			return ourMark.Describe(text)
		case 1:
			return theirMark.Describe(text)
		case 2:
			return ourMark.Released(text)
		default:
			return text
		}
	})
}

func anySession(t *rapid.T) cloud.Session {
	return cloud.Session{ID: "id", SessionSpec: cloud.SessionSpec{
		Name: rapid.SampledFrom([]string{"", "tf", "other"}).Draw(t, "name"), Description: described().Draw(t, "description"),
		FilterID: rapid.SampledFrom([]string{"f1", "f2"}).Draw(t, "filter"), TargetID: rapid.SampledFrom([]string{"t1", "t2"}).Draw(t, "target"),
		TargetType: rapid.SampledFrom([]cloud.TargetType{cloud.TargetInterface, cloud.TargetLoadBalancer}).Draw(t, "type"),
		VNI:        rapid.IntRange(0, 2).Draw(t, "vni"), PacketLength: rapid.SampledFrom([]int{96, 1460}).Draw(t, "length"),
		Priority: rapid.IntRange(1, 3).Draw(t, "priority"), Enabled: rapid.Bool().Draw(t, "enabled"),
	}, Sources: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"s1", "s2"}), 1, 2, rapid.ID[string]).Draw(t, "sources")}
}

// sessionAs is a spec that asks for what the cloud has; what it may leave out it leaves out here and there.
func sessionAs(t *rapid.T, have cloud.Session) *v1alpha1.MirrorSession {
	s := &v1alpha1.MirrorSession{}
	s.UID = "11111111-2222-3333-4444-555555555555"
	says := func(field string) bool { return rapid.Bool().Draw(t, "says "+field) }
	if says("name") {
		s.Spec.CloudName = have.Name
	}
	if says("description") {
		s.Spec.Description = Unmarked(have.Description)
	}
	if says("vni") {
		s.Spec.VNI = new(int32(have.VNI))
	}
	if says("priority") {
		s.Spec.Priority = new(int32(have.Priority))
	}
	if says("sources") {
		s.Spec.Sources = make([]v1alpha1.SourceSelector, len(have.Sources))
	}
	s.Spec.PacketLength, s.Spec.Enabled = new(int32(have.PacketLength)), new(have.Enabled)
	return s
}

func TestASpecThatAsksForWhatTheCloudHasDiffersInNothingObserved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have := anySession(t)
		s := sessionAs(t, have)
		sources := have.Sources
		if len(s.Spec.Sources) == 0 {
			sources = nil
		}
		want := ObservedSession(SessionFrom(s, ourMark, have.FilterID, have.TargetID, sources, 0, 0), &s.Spec, ourMark, have)
		if changes := DiffSession(want, have).Changes; len(changes) > 0 {
			t.Fatalf("it differs: %s", Summary(changes))
		}
	})
}

func TestTakingOverWhatTheSpecAsksForChangesTheDescriptionAloneAndOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have := anySession(t)
		have.TargetType = cloud.TargetInterface
		s := sessionAs(t, have)
		take := func() SessionDiff {
			want := SessionFrom(s, ourMark, have.FilterID, have.TargetID, have.Sources, have.VNI, have.Priority)
			return DiffSession(ImportSession(want, &s.Spec.CloudSpec, ourMark, have), have)
		}
		said := Unmarked(have.Description)
		first := take()
		for _, step := range first.Steps(0) {
			if step.Update == nil || step.Update.Description == nil || *step.Update != (cloud.SessionUpdate{Description: step.Update.Description}) {
				t.Fatalf("it does more than describe: %s", Summary(first.Changes))
			}
			have.Description = *step.Update.Description
		}
		if ownership, _ := ourMark.OwnershipOf(have.Description); ownership != OwnershipOurs {
			t.Fatalf("it is not marked: %q", have.Description)
		}
		if kept := text(said, maxDescription-len(ourMark.String())-1); Unmarked(have.Description) != Unmarked(kept) {
			t.Fatalf("the text %q became %q", said, have.Description)
		}
		if second := take(); len(second.Changes) > 0 {
			t.Fatalf("it differs still: %s", Summary(second.Changes))
		}
	})
}

func TestTheDescriptionOfARuleThatAnObservedSpecLeavesOutIsNoDifference(t *testing.T) {
	rule := cloud.RuleSpec{Direction: cloud.Ingress, Priority: 1, Accept: true, Protocol: cloud.TCP}
	text := func(r cloud.RuleSpec, says string) cloud.RuleSpec { r.Description = says; return r }
	other := rule
	other.Priority = 2
	for name, c := range map[string]struct {
		says, has cloud.RuleSpec
		want      []string
	}{
		"left out":            {rule, text(rule, "a < b"), nil},
		"said otherwise":      {text(rule, "mine"), text(rule, "theirs"), []string{"rules[Ingress 1].description"}},
		"of a rule elsewhere": {other, text(rule, "a < b"), []string{"rules[Ingress 1]", "rules[Ingress 2]"}},
	} {
		t.Run(name, func(t *testing.T) {
			have := cloud.Filter{ID: "f", Rules: []cloud.Rule{{ID: "r", RuleSpec: c.has}}}
			want := ObservedFilter(WantedFilter{Rules: []cloud.RuleSpec{c.says}}, &v1alpha1.CloudSpec{}, ourMark, have)
			var fields []string
			for _, change := range DiffFilter(want, have).Changes {
				fields = append(fields, change.Field)
			}
			if diff := cmp.Diff(c.want, fields); diff != "" {
				t.Errorf("what differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatAnObservedSpecSaysOtherwiseIsNamed(t *testing.T) {
	have := cloud.Session{SessionSpec: cloud.SessionSpec{
		Name: "tf", Description: theirMark.Describe("by Terraform"), FilterID: "f", TargetID: "t", TargetType: cloud.TargetLoadBalancer,
		VNI: 7, PacketLength: 96, Priority: 3, Enabled: true,
	}, Sources: []string{"a"}}
	s := &v1alpha1.MirrorSession{Spec: v1alpha1.MirrorSessionSpec{
		CloudSpec: v1alpha1.CloudSpec{CloudName: "mine", Description: "of mine"},
		Sources:   make([]v1alpha1.SourceSelector, 1), VNI: new(int32(8)), Priority: new(int32(4)), PacketLength: new(int32(1460)), Enabled: new(false),
	}}
	want := ObservedSession(SessionFrom(s, ourMark, "g", "u", []string{"b"}, 0, 0), &s.Spec, ourMark, have)
	var fields []string
	for _, c := range DiffSession(want, have).Changes {
		fields = append(fields, c.Field)
	}
	if diff := cmp.Diff([]string{"name", "description", "filter", "target", "target type", "vni", "packetLength", "priority", "enabled", "sources"}, fields); diff != "" {
		t.Errorf("what differs (-want +got):\n%s", diff)
	}
}

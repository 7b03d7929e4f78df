package plan_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// keeping are the ways in which a service may keep a text that it was sent.
var keeping = map[string]func(string) string{
	"as sent":              func(s string) string { return s },
	"trimmed":              strings.TrimSpace,
	"trimmed as Java does": func(s string) string { return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }) },
}

// anyText draws descriptions, with a bias to white space at the ends and to long characters.
func anyText(t *rapid.T) string {
	blank := rapid.SampledFrom([]string{"", " ", "\n", "\r\n", "\t", "\u00a0", "\x01"})
	text := rapid.OneOf(rapid.StringN(0, 255, -1), rapid.StringOfN(rapid.SampledFrom([]rune("aü镜𝄞 ")), 0, 255, -1))
	return blank.Draw(t, "before") + text.Draw(t, "text") + blank.Draw(t, "after")
}

func TestATextThatTheCloudKeepsInItsOwnWayIsNotWrittenAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		description, ruleDescription := anyText(t), anyText(t)
		keep := keeping[rapid.SampledFrom([]string{"as sent", "trimmed", "trimmed as Java does"}).Draw(t, "kept")]
		mark := plan.Mark{Cluster: plan.ClusterID("c"), UID: "0f3c2b1a-0000-4000-8000-0123456789ab", Part: 1}

		f := &v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{Name: "f"}}
		f.Spec.Description = description
		f.Spec.Rules = []v1alpha1.FilterRule{{
			Direction: v1alpha1.DirectionIngress, Priority: 1, Action: v1alpha1.ActionAccept, EtherType: v1alpha1.EtherTypeIPv4,
			Protocol: v1alpha1.ProtocolTCP, Description: ruleDescription,
		}}
		filter, err := plan.FilterFrom(f, mark)
		if err != nil {
			t.Fatal(err)
		}
		have := cloud.Filter{ID: "f", Name: filter.Name, Description: keep(filter.Description)}
		made := plan.DiffFilter(filter, have)
		steps, _ := made.Steps(0)
		if len(steps) != 1 || steps[0].CreateRule == nil {
			t.Fatalf("the rule is made by %+v", steps)
		}
		rule := *steps[0].CreateRule
		sentRule := rule.Description
		rule.Description = keep(rule.Description)
		have.Rules = []cloud.Rule{{ID: "r", RuleSpec: rule}}
		if again := plan.DiffFilter(filter, have); len(again.Changes) != 0 {
			t.Fatalf("the filter is written again: %v", again.Changes)
		}

		s := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Name: "s"}}
		s.Spec.Description = description
		session := plan.SessionFrom(s, mark, "f", "t", []string{"s"}, 1, 1)
		inCloud := cloud.Session{SessionSpec: session.SessionSpec, Sources: []string{"s"}}
		inCloud.Description = keep(inCloud.Description)
		if again := plan.DiffSession(session, inCloud); len(again.Changes) != 0 {
			t.Fatalf("the session is written again: %v", again.Changes)
		}

		for _, sent := range []string{filter.Description, session.Description, sentRule} {
			if len(sent) > 255 || !utf8.ValidString(sent) {
				t.Fatalf("%q with %d bytes is sent", sent, len(sent))
			}
		}
		for _, kept := range []string{have.Description, inCloud.Description} {
			if got, ok := plan.MarkOf(kept); !ok || got != mark {
				t.Fatalf("the mark of %q is read as %+v, %v", kept, got, ok)
			}
		}
	})
}

func TestADescriptionIsCutWithinItsBytesAndNeverInACharacter(t *testing.T) {
	mark := plan.Mark{Cluster: plan.ClusterID("c"), UID: "0f3c2b1a-0000-4000-8000-0123456789ab", Part: 1}
	for name, tc := range map[string]struct{ description, want string }{
		"none":            {"", mark.String()},
		"only blanks":     {" \n\t", mark.String()},
		"a trailing line": {"mirror\n", "mirror " + mark.String()},
		"what fits":       {strings.Repeat("a", 197), strings.Repeat("a", 197) + " " + mark.String()},
		"what does not":   {strings.Repeat("a", 198), strings.Repeat("a", 197) + " " + mark.String()},
		"characters":      {strings.Repeat("镜", 160), strings.Repeat("镜", 65) + " " + mark.String()},
		"a blank at the cut": {
			strings.Repeat("a", 196) + " b", strings.Repeat("a", 196) + " " + mark.String(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mark.Describe(tc.description); got != tc.want {
				t.Errorf("%q is described as %q, want %q", tc.description, got, tc.want)
			}
		})
	}
}

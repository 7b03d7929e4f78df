package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Points of a row.
const (
	// right: the true reason is the worst one, with its subject and remedy.
	right = 2
	// half: it is there, but not the worst, or with a wrong subject, remedy or condition.
	half = 1
)

// verdict is what a session said of its cause.
type verdict struct {
	points int
	// said is what it says first, text the words of that, and lacks what is missing for more points.
	said, text, lacks string
}

// judge scores what a session says. names replaces the names in braces.
func judge(want says, names *strings.Replacer, m *v1alpha1.MirrorSession) verdict {
	texts := func(all []string) (out []string) {
		for _, text := range all {
			out = append(out, names.Replace(text))
		}
		return out
	}
	want.subject, want.words, want.change = names.Replace(want.subject), texts(want.words), texts(want.change)
	v := verdict{said: said(m), text: text(want, m)}
	if want.reason != "" {
		v.points, v.lacks = judgeReason(want, m)
	} else {
		v.points = right
	}
	if v.points < right {
		return v
	}
	for _, lacks := range []string{lacksPath(want, m), lacksChange(want, m), lacksMending(want, m)} {
		if lacks != "" {
			v.points, v.lacks = half, lacks
			if want.reason == "" {
				v.points = 0
			}
			return v
		}
	}
	return v
}

// judgeReason looks for the reason among the findings, or in the condition.
func judgeReason(want says, m *v1alpha1.MirrorSession) (points int, lacks string) {
	found := m.Status.Findings
	if want.condition != "" {
		found = nil
		if c := meta.FindStatusCondition(m.Status.Conditions, want.condition); c != nil {
			found = []v1alpha1.Finding{{Reason: c.Reason, Message: c.Message}}
		}
	}
	reasons := append([]string{want.reason}, want.or...)
	for i, f := range found {
		if !slices.Contains(reasons, f.Reason) {
			continue
		}
		switch lacks := lacksWords(want, f); {
		case lacks != "":
			return half, lacks
		case i > 0:
			return half, f.Reason + " to be the worst"
		default:
			return right, ""
		}
	}
	return 0, want.reason
}

func lacksWords(want says, f v1alpha1.Finding) string {
	all := f.Message + "\n" + f.Remedy
	if !strings.Contains(f.Subject+"\n"+f.Message, want.subject) {
		return fmt.Sprintf("subject %q", want.subject)
	}
	for _, word := range want.words {
		if !strings.Contains(strings.ToLower(all), strings.ToLower(word)) {
			return fmt.Sprintf("%q", word)
		}
	}
	return ""
}

func lacksPath(want says, m *v1alpha1.MirrorSession) string {
	c := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionPathClear)
	if want.path == "" || c != nil && string(c.Status) == want.path {
		return ""
	}
	return "PathClear " + want.path
}

// lacksChange looks for one change by somebody else in the cloud with all the words.
func lacksChange(want says, m *v1alpha1.MirrorSession) string {
	if len(want.change) == 0 {
		return ""
	}
	for _, c := range m.Status.Changes {
		if c.By == v1alpha1.ChangedByCloud && !slices.ContainsFunc(want.change, func(word string) bool { return !strings.Contains(c.What, word) }) {
			return ""
		}
	}
	return fmt.Sprintf("a change with %q", want.change)
}

func lacksMending(want says, m *v1alpha1.MirrorSession) string {
	if want.mended && !meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.ConditionReady) {
		return "to be mended"
	}
	return ""
}

// said is what a person sees first, with all reasons.
func said(m *v1alpha1.MirrorSession) string {
	var b strings.Builder
	for i, f := range m.Status.Findings {
		if i > 0 {
			b.WriteString(" + ")
		}
		b.WriteString(f.Reason)
	}
	if len(m.Status.Findings) == 0 {
		b.WriteString("nothing found")
	}
	for _, kind := range []string{v1alpha1.ConditionPathClear, v1alpha1.ConditionTrafficObserved, v1alpha1.ConditionConsumerReady} {
		if c := meta.FindStatusCondition(m.Status.Conditions, kind); c != nil {
			fmt.Fprintf(&b, " · %s %s/%s", strings.TrimSuffix(kind, "Observed"), c.Status, c.Reason)
		}
	}
	return b.String()
}

// text is what a person reads of all that.
func text(want says, m *v1alpha1.MirrorSession) string {
	var lines []string
	for _, f := range m.Status.Findings {
		lines = append(lines, fmt.Sprintf("%s of %q: %s -> %s", f.Reason, f.Subject, f.Message, f.Remedy))
	}
	if c := meta.FindStatusCondition(m.Status.Conditions, want.condition); c != nil {
		lines = append(lines, fmt.Sprintf("%s: %s", c.Type, c.Message))
	}
	for _, c := range m.Status.Changes {
		lines = append(lines, fmt.Sprintf("change by %s: %s", c.By, c.What))
	}
	return strings.Join(lines, "\n")
}

// healthy says what is wrong with a session whose copies flow, empty for nothing.
func healthy(m *v1alpha1.MirrorSession) string {
	var wrong []string
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionTrafficObserved, v1alpha1.ConditionPathClear} {
		if c := meta.FindStatusCondition(m.Status.Conditions, kind); c == nil || c.Status != metav1.ConditionTrue {
			wrong = append(wrong, "no "+kind)
		}
	}
	for _, f := range m.Status.Findings {
		wrong = append(wrong, f.Reason+": "+f.Message)
	}
	return strings.Join(wrong, "; ")
}

// result is the row of a cause in the table.
type result struct {
	cause *cause
	verdict
	after time.Duration
	// looked is whether the session was looked at since the cause is there.
	looked bool
	// before is what was wrong while copies flowed.
	before string
}

// table is the results as a table for a person.
func table(results []result) string {
	var b strings.Builder
	sum := 0
	for _, r := range results {
		sum += r.points
		fmt.Fprintf(&b, "%d  %5.1f s  %-24s %s\n%12s%s\n", r.points, r.after.Seconds(), r.cause.id, r.cause.name, "", r.said)
		if r.lacks != "" {
			fmt.Fprintf(&b, "%12slacks %s\n", "", r.lacks)
			for line := range strings.Lines(r.text) {
				fmt.Fprintf(&b, "%14s%s\n", "", strings.TrimRight(line, "\n"))
			}
		}
		if r.after > r.cause.promise() && r.points == right {
			fmt.Fprintf(&b, "%12slate: promised are %s\n", "", r.cause.promise())
		}
		if r.before != "" {
			fmt.Fprintf(&b, "%12sbefore: %s\n", "", r.before)
		}
	}
	fmt.Fprintf(&b, "sum: %d of %d\n", sum, right*len(results))
	return b.String()
}

// promise is within how long the cause is told.
func (c *cause) promise() time.Duration {
	if c.within != 0 {
		return c.within
	}
	return 30 * time.Second
}

func TestOnlyTheTrueWorstReasonWithSubjectAndRemedyScoresFull(t *testing.T) {
	finding := func(reason string) v1alpha1.Finding {
		return v1alpha1.Finding{Reason: reason, Subject: "source 10.0.0.1", Message: "no rule for it in sg", Remedy: "Allow UDP 4789 from 10.0.0.1/32"}
	}
	want := says{reason: "A", subject: "{source}", words: []string{"allow UDP 4789 from {source}/32"}, path: "False"}
	names := strings.NewReplacer("{source}", "10.0.0.1")
	session := func(path metav1.ConditionStatus, findings ...v1alpha1.Finding) *v1alpha1.MirrorSession {
		m := &v1alpha1.MirrorSession{}
		m.Status.Findings = findings
		m.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionPathClear, Status: path, Reason: "A"}}
		return m
	}
	other := finding("A")
	other.Remedy = "see"
	foreign := finding("A")
	foreign.Subject, foreign.Message = "the target", "no rule"
	for name, c := range map[string]struct {
		session *v1alpha1.MirrorSession
		want    int
	}{
		"it is the worst":          {session("False", finding("A"), finding("B")), right},
		"it is not the worst":      {session("False", finding("B"), finding("A")), half},
		"it is not there":          {session("False", finding("B")), 0},
		"there is nothing":         {session("False"), 0},
		"the remedy is another":    {session("False", other), half},
		"the subject is another":   {session("False", foreign), half},
		"the condition is another": {session("True", finding("A")), half},
	} {
		if got := judge(want, names, c.session); got.points != c.want {
			t.Errorf("%s: %d points, wanted are %d: %+v", name, got.points, c.want, got)
		}
	}
}

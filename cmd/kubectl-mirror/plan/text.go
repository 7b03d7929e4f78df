package plan

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Answer is what would be done for one object.
type Answer struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Suspended is true where the spec says so: nothing is done then.
	Suspended bool           `json:"suspended,omitempty"`
	Plan      *v1alpha1.Plan `json:"plan,omitempty"`
}

// Verdict is what a plan comes to; a larger one matters more.
type Verdict int

// Verdicts, which are the exit codes, as those of kubectl diff.
const (
	// NoChange means that nothing would be written to the cloud.
	NoChange Verdict = iota
	// Changes means that something would be.
	Changes
	// Failed means that the object would not become Ready by what would be done, or that the question had no answer.
	Failed
)

// Verdict is that of the answer.
func (a *Answer) Verdict() Verdict {
	switch {
	case a.Suspended:
		return NoChange
	case a.Plan.Ready != metav1.ConditionTrue:
		return Failed
	case len(a.Plan.Calls) > 0:
		return Changes
	default:
		return NoChange
	}
}

// Worst is the verdict on several answers.
func Worst(answers []Answer) (worst Verdict) {
	for i := range answers {
		worst = max(worst, answers[i].Verdict())
	}
	return worst
}

// Text is the answers for people, with a line at the end that counts.
func Text(answers []Answer) string {
	var b strings.Builder
	calls, changed := 0, 0
	for i := range answers {
		a := &answers[i]
		a.write(&b)
		if a.Plan != nil && len(a.Plan.Calls) > 0 {
			calls, changed = calls+len(a.Plan.Calls)+int(a.Plan.MoreCalls), changed+1
		}
	}
	switch {
	case calls == 0:
		fmt.Fprintf(&b, "Nothing would be written to the cloud.\n")
	case len(answers) == 1:
		fmt.Fprintf(&b, "%s to the cloud. Nothing was written.\n", count(calls, "write"))
	default:
		fmt.Fprintf(&b, "%s to the cloud, for %d of %d objects. Nothing was written.\n", count(calls, "write"), changed, len(answers))
	}
	return b.String()
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (a *Answer) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s %s/%s\n", a.Kind, a.Namespace, a.Name)
	if a.Suspended {
		b.WriteString("    spec.suspend is true: nothing is done until it is false\n\n")
		return
	}
	for i := range a.Plan.Calls {
		writeCall(b, &a.Plan.Calls[i])
	}
	if a.Plan.MoreCalls > 0 {
		fmt.Fprintf(b, "  ... and %s\n", count(int(a.Plan.MoreCalls), "more call"))
	}
	for _, w := range a.Plan.Warnings {
		fmt.Fprintf(b, "  ! %s: %s\n", w.Reason, w.Message)
	}
	switch {
	case a.Plan.Ready == metav1.ConditionTrue && len(a.Plan.Calls) == 0:
		fmt.Fprintf(b, "    no change: %s\n", a.Plan.Message)
	case a.Plan.Ready == metav1.ConditionTrue:
		fmt.Fprintf(b, "    then: %s\n", a.Plan.Message)
	case a.Plan.Stalled:
		fmt.Fprintf(b, "    then it needs somebody: %s: %s\n", a.Plan.Reason, a.Plan.Message)
	default:
		fmt.Fprintf(b, "    then it waits: %s: %s\n", a.Plan.Reason, a.Plan.Message)
	}
	b.WriteString("\n")
}

// writeCall writes a call with what it changes: + for what is made, - for what is deleted, ~ for what is changed.
func writeCall(b *strings.Builder, c *v1alpha1.PlannedCall) {
	sign := "~"
	switch {
	case strings.HasPrefix(c.Operation, "Create"):
		sign = "+"
	case strings.HasPrefix(c.Operation, "Delete"):
		sign = "-"
	}
	fmt.Fprintf(b, "  %s %s %s\n", sign, c.Operation, c.ID)
	if sign == "-" && strings.HasSuffix(c.Operation, "Session") || c.Operation == "DeleteTrafficMirrorFilter" {
		return // all of it goes
	}
	width := 0
	for _, f := range c.Changes {
		width = max(width, len(f.Field))
	}
	for _, f := range c.Changes {
		name := f.Field + ":" + strings.Repeat(" ", width-len(f.Field))
		switch {
		case f.Have == "":
			fmt.Fprintf(b, "      + %s %s\n", name, f.Want)
		case f.Want == "":
			fmt.Fprintf(b, "      - %s %s\n", name, f.Have)
		default:
			fmt.Fprintf(b, "      ~ %s %s -> %s\n", name, f.Have, f.Want)
		}
	}
}

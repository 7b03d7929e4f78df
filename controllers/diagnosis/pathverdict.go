package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// JudgePath decides PathClear: whether copies can get from the sources to the target, by what was
// read. What was found is more than what could not be read, and that more than that nothing was
// found.
func JudgePath(k *Known) Verdict {
	if v, is := notLookedAt(k); is {
		return v
	}
	if found := serious(k); len(found) > 0 {
		worst := found[0]
		return Verdict{
			Status: metav1.ConditionFalse, Reason: worst.Reason, Severity: worst.Severity, DecidedBy: worst.DecidedBy,
			Message: v1alpha1.Fit(howMany(k, found)+worst.Message+others(len(found)-1), maxMessage),
		}
	}
	seen, refuted := k.seenAndRefuted()
	if v, is := inDoubt(append(seen.doubts, orderDoubts(k)...)); is {
		return v
	}
	return Verdict{
		Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonClear, DecidedBy: v1alpha1.DecidedByRead,
		Message: v1alpha1.Fit(allClear(k, seen.assumed, refuted), maxMessage),
	}
}

// notLookedAt is the verdict while nothing is to be judged, or nobody has looked.
func notLookedAt(k *Known) (Verdict, bool) {
	v := Verdict{Status: metav1.ConditionUnknown, Severity: v1alpha1.SeverityInfo, DecidedBy: v1alpha1.DecidedBySpec}
	switch why := k.noCopiesWanted(); {
	case k.suspended():
		v.Reason, v.Message = v1alpha1.ReasonSuspended, why
		return v, true
	case why != "":
		v.Reason, v.Message = v1alpha1.ReasonDisabled, why
		return v, true
	case k.Path != nil:
		return v, false
	}
	v.DecidedBy = v1alpha1.DecidedByRead
	v.Reason, v.Message = v1alpha1.ReasonNotJudged, "the cloud was not asked about the way yet"
	if c := k.pathClear(); c != nil {
		v.Status, v.Reason, v.Message = c.Status, c.Reason, c.Message
	}
	return v, true
}

// pathClear is the condition that stands in the status, nil for none.
func (k *Known) pathClear() *metav1.Condition {
	if k.Reported == nil {
		return nil
	}
	return meta.FindStatusCondition(k.Reported.Conditions, v1alpha1.ConditionPathClear)
}

// serious are the findings that make PathClear False, the worst first.
func serious(k *Known) []v1alpha1.Finding {
	var found []v1alpha1.Finding
	for _, look := range slices.Concat(pathCauses, filterCauses) {
		for _, f := range look(k) {
			if NeedsPerson(f.Severity) {
				found = append(found, f)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b v1alpha1.Finding) int { return cmp.Compare(rank(a.Severity), rank(b.Severity)) })
	return found
}

// howMany says how many of several sources are concerned, where it is not all of them.
func howMany(k *Known, found []v1alpha1.Finding) string {
	sources := k.named()
	concerned := 0
	for _, source := range sources {
		if slices.ContainsFunc(found, func(f v1alpha1.Finding) bool { return f.Subject == k.sourceAbout(source) }) {
			concerned++
		}
	}
	if len(sources) < 2 || concerned == 0 || found[0].Severity == v1alpha1.SeverityError {
		return ""
	}
	return fmt.Sprintf("%d of %d sources: ", concerned, len(sources))
}

func others(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return " (and 1 more, see status.findings)"
	default:
		return fmt.Sprintf(" (and %d more, see status.findings)", n)
	}
}

// inDoubt is the verdict where something that decides could not be judged. A right that is missing
// comes first: it can be granted.
func inDoubt(doubts []doubt) (Verdict, bool) {
	if len(doubts) == 0 {
		return Verdict{}, false
	}
	reason := v1alpha1.ReasonNotJudged
	var said []string
	for _, lacksRight := range []bool{true, false} {
		for _, d := range doubts {
			if (d.action != "") != lacksRight || slices.Contains(said, d.says) {
				continue
			}
			if said = append(said, d.says); lacksRight {
				reason = v1alpha1.ReasonNotPermitted
			}
		}
	}
	return Verdict{
		Status: metav1.ConditionUnknown, Reason: reason, Severity: v1alpha1.SeverityInfo, DecidedBy: v1alpha1.DecidedByRead,
		Message: v1alpha1.Fit(strings.Join(said, "; "), maxMessage),
	}, true
}

// allClear says that nothing stands in the way, and what that goes by.
func allClear(k *Known, assumed []string, refuted []obstacle) string {
	message := "nothing that was read stands in the way of the copies"
	if target := k.nameOf(k.targetID()); target != "" {
		message += " to " + target
	}
	slices.Sort(assumed)
	if assumed = slices.Compact(assumed); len(assumed) > 0 {
		message += ", assuming that " + strings.Join(assumed, ", and that ")
	}
	if len(refuted) > 0 {
		message += "; copies come, although " + k.finding(refuted, "", "").Message
	}
	return message
}

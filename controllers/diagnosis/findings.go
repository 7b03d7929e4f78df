package diagnosis

import (
	"slices"

	"vpcmirror.io/operator/api/v1alpha1"
)

// maxFindings is the bound of status.findings.
const maxFindings = 16

// causes are all that is looked for; of what is equally bad the first is said first: why no copies
// come before that none do.
var causes = slices.Concat(pathCauses, filterCauses, []func(*Known) []v1alpha1.Finding{
	unknownField, notReady, unobserved, nobodyTakes, captureFailed, verifierLost, membersUncounted, booksDontBalance, verifierBehind, sourceSilent,
	sharedVNI, captureDrops, payloadTruncated, unexpectedPackets, foreignSource, unreadableCopies, clockAhead,
})

// Findings are what stands in the way of the copies, or of believing what is counted, the
// worst first. There is one at least where Ready or TrafficObserved is not True, and none when
// all is well.
func Findings(k *Known) []v1alpha1.Finding {
	var all []v1alpha1.Finding
	for _, look := range causes {
		for _, f := range look(k) {
			if !slices.ContainsFunc(all, func(other v1alpha1.Finding) bool { return SameCause(f, other) }) {
				all = append(all, settled(k, f))
			}
		}
	}
	slices.SortStableFunc(all, func(a, b v1alpha1.Finding) int { return rank(a.Severity) - rank(b.Severity) })
	return all[:min(len(all), maxFindings)]
}

// SameCause reports whether two findings are one that is found again.
func SameCause(a, b v1alpha1.Finding) bool { return a.Reason == b.Reason && a.Subject == b.Subject }

// settled completes a finding: since when it is so, and what helps in general where the cause
// does not know better. Its texts are cut to their bounds, so that it is found again as it is
// stored.
func settled(k *Known, f v1alpha1.Finding) v1alpha1.Finding {
	f.Subject = v1alpha1.Fit(f.Subject, 256)
	if f.Since.IsZero() {
		f.Since = since(k.Now)
		if before := k.reported(f.Reason, f.Subject); before != nil {
			f.Since = before.Since
		}
	}
	if f.Remedy == "" {
		f.Remedy = v1alpha1.Remedy(f.Reason)
	}
	return f
}

func rank(s v1alpha1.Severity) int {
	return slices.Index([]v1alpha1.Severity{v1alpha1.SeverityError, v1alpha1.SeverityWarning, v1alpha1.SeverityInfo}, s)
}

// NeedsPerson reports whether somebody has to do something about what is so severe.
func NeedsPerson(s v1alpha1.Severity) bool {
	return s == v1alpha1.SeverityError || s == v1alpha1.SeverityWarning
}

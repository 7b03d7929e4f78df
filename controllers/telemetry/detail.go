package telemetry

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Detail is of which sessions there are series of their own.
type Detail string

const (
	// Auto is [All] up to [Many] sessions and as many filters, and [Troubled] beyond.
	Auto Detail = "auto"
	// All is of every session.
	All Detail = "all"
	// Troubled is of those that need somebody's eye: a condition is False or Stalled, or nobody can know
	// it because something is broken, or there is a finding of Warning or Error; [Many] at most.
	Troubled Detail = "troubled"
	// Off is of none. What counts all of them together is there nevertheless.
	Off Detail = "off"
)

// Many is how many sessions can have 8 to 30 series each without a Prometheus noticing. Of filters, which have
// fewer, there are no more either.
const Many = 2000

// details are in the order in which they are named to people.
var details = []Detail{Auto, All, Troubled, Off}

// ParseDetail reads one.
func ParseDetail(text string) (Detail, error) {
	var names []string
	for _, d := range details {
		if string(d) == text {
			return d, nil
		}
		names = append(names, string(d))
	}
	return "", fmt.Errorf("%q is none of %s", text, strings.Join(names, ", "))
}

// of is what it comes to with so many filters and sessions.
func (d Detail) of(filters, sessions int) Detail {
	switch {
	case d != Auto:
		return d
	case max(filters, sessions) > Many:
		return Troubled
	default:
		return All
	}
}

// choose gives the objects of a kind that have series of their own, and how many more would have if there were no
// bound. Of those in trouble there are series of [Many] at most, the first by namespace and name, so that each
// scrape tells of the same ones.
func choose[T any, O interface {
	*T
	client.Object
}](d Detail, all []T, troubled func(O) bool) (chosen []O, leftOut int) {
	if d != All && d != Troubled {
		return nil, 0
	}
	for i := range all {
		if o := O(&all[i]); d == All || troubled(o) {
			chosen = append(chosen, o)
		}
	}
	if d == All || len(chosen) <= Many {
		return chosen, 0
	}
	slices.SortFunc(chosen, func(a, b O) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return chosen[:Many], len(chosen) - Many
}

// unready reports whether a filter is known not to be ready.
func unready(f *v1alpha1.MirrorFilter) bool {
	return statusOf(f.Status.Conditions, v1alpha1.ConditionReady) == metav1.ConditionFalse
}

// broken are the reasons by which something that is Unknown is so because something is broken or somebody has
// to act: not because of what the spec wants, what nobody can see from outside, or a quiet network.
var broken = map[string]bool{
	v1alpha1.ReasonNoVerifier: true, v1alpha1.ReasonVerifierLost: true, v1alpha1.ReasonCaptureFailed: true, v1alpha1.ReasonNotReady: true,
}

// troubled reports whether somebody may want to know of a session. What is wanted (suspended, disabled), and
// what can't be known of healthy sessions either, is nobody's trouble.
func troubled(s *v1alpha1.MirrorSession) bool {
	for i := range s.Status.Findings {
		if s.Status.Findings[i].Severity != v1alpha1.SeverityInfo {
			return true
		}
	}
	return slices.ContainsFunc(s.Status.Conditions, func(c metav1.Condition) bool {
		switch {
		case c.Type == v1alpha1.ConditionReconciling, c.Reason == v1alpha1.ReasonSuspended, c.Reason == v1alpha1.ReasonDisabled:
			return false
		case c.Type == v1alpha1.ConditionStalled:
			return c.Status == metav1.ConditionTrue
		default:
			return c.Status == metav1.ConditionFalse || c.Status == metav1.ConditionUnknown && broken[c.Reason]
		}
	})
}

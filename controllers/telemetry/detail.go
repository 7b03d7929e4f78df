package telemetry

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Detail is of which sessions there are series of their own.
type Detail string

const (
	// Auto is [All] up to [Many] sessions, and [Troubled] beyond.
	Auto Detail = "auto"
	// All is of every session.
	All Detail = "all"
	// Troubled is of those that need somebody's eye: a condition is not True, or there is a finding.
	Troubled Detail = "troubled"
	// Off is of none. What counts all of them together is there nevertheless.
	Off Detail = "off"
)

// Many is how many sessions can have 8 to 30 series each without a Prometheus noticing.
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

// of is what it comes to with so many sessions.
func (d Detail) of(sessions int) Detail {
	switch {
	case d != Auto:
		return d
	case sessions > Many:
		return Troubled
	default:
		return All
	}
}

// tells reports whether a session has series of its own.
func (d Detail) tells(s *v1alpha1.MirrorSession) bool {
	switch d {
	case All:
		return true
	case Troubled:
		return troubled(s)
	default:
		return false
	}
}

// troubled reports whether somebody may want to know of a session. Reconciling and Stalled are there only
// while they are True, which of Reconciling is nobody's trouble.
func troubled(s *v1alpha1.MirrorSession) bool {
	if len(s.Status.Findings) > 0 || len(s.Status.Conditions) == 0 {
		return true
	}
	for i := range s.Status.Conditions {
		switch c := &s.Status.Conditions[i]; c.Type {
		case v1alpha1.ConditionReconciling:
		case v1alpha1.ConditionStalled:
			return true
		default:
			if c.Status != metav1.ConditionTrue {
				return true
			}
		}
	}
	return false
}

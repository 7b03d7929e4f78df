package rehearsal

import (
	"fmt"
	"slices"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// neighbours is what a plan means for the sessions of others.
type neighbours struct {
	// before and after are the sessions of the object, and others all that are not its.
	before, after, others []cloud.Session
	// filters are by ID.
	filters map[string]cloud.Filter
	// interfaces are those of the sources that are known, by ID.
	interfaces map[string]cloud.Interface
	// private is true where others may not be named.
	private bool
}

// starved are the sessions that lose packets they have now: each packet is copied once at most, by the session with
// the smallest priority that decides about it.
func (n *neighbours) starved() (warnings []v1alpha1.PlanWarning) {
	for _, other := range n.others {
		lost, lostAll := n.loses(other, n.before)
		loses, all := n.loses(other, n.after)
		if loses == lost && all == lostAll || !loses {
			continue // no more than now
		}
		called := fmt.Sprintf("the session %q (%s, priority %d)", other.Name, other.ID, other.Priority)
		if n.private {
			called = "another session"
		}
		what := "some"
		if all {
			what = "all"
		}
		warnings = append(warnings, v1alpha1.PlanWarning{Reason: "Precedes", Message: fmt.Sprintf(
			"%s would lose %s of the packets that its filter accepts at a source that both have: this one is tried before it, and each packet is copied once at most; "+
				"set spec.priority to a number above that of the other to have what it leaves", called, what)})
	}
	return warnings
}

// loses reports whether a session loses some or all of its packets to sessions of the object, at any source.
func (n *neighbours) loses(other cloud.Session, to []cloud.Session) (some, all bool) {
	filter, known := n.filters[other.FilterID]
	if !known || !other.Enabled {
		return false, false
	}
	path := &diagnosis.Path{Session: other, Filter: &filter}
	for _, id := range other.Sources {
		if i, known := n.interfaces[id]; known {
			path.Sources = append(path.Sources, i)
		}
	}
	for _, one := range to {
		o := diagnosis.Other{Session: one}
		if f, known := n.filters[one.FilterID]; known {
			o.Filter = &f
		}
		path.Others = append(path.Others, o)
	}
	return path.Deprived()
}

// isOf reports whether a session is one of some.
func isOf(sessions []cloud.Session, id string) bool {
	return slices.ContainsFunc(sessions, func(s cloud.Session) bool { return s.ID == id })
}

package rehearsal

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/status"
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

// neighbours are the sessions beside those of the object, by what the inventory knows and the stage.
func (r *rehearsal) neighbours(ctx context.Context, o status.Object) (*neighbours, error) {
	n := &neighbours{filters: map[string]cloud.Filter{}, interfaces: map[string]cloud.Interface{}, private: lifecycle.SharesAccount(o)}
	if _, is := o.(*v1alpha1.MirrorSession); !is || len(r.cloud.calls) == 0 {
		return n, nil
	}
	before, err := r.cloud.sessionsBefore(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the sessions: %w", err)
	}
	known := []string{}
	for i := range o.(*v1alpha1.MirrorSession).Status.Sessions {
		known = append(known, o.(*v1alpha1.MirrorSession).Status.Sessions[i].ID)
	}
	for _, c := range r.cloud.calls {
		if s := c.session; s != nil {
			known = append(known, cmp.Or(s.before, s.after).ID)
		}
	}
	for _, one := range before {
		if slices.Contains(known, one.ID) {
			n.before = append(n.before, one)
		} else {
			n.others = append(n.others, one)
		}
	}
	after, err := r.cloud.ListSessions(ctx)
	if err != nil {
		return nil, err
	}
	for _, one := range after {
		if !isOf(n.others, one.ID) {
			n.after = append(n.after, one)
		}
	}
	filters, err := r.cloud.ListFilters(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range filters {
		n.filters[f.ID] = f
	}
	return n, n.readInterfaces(ctx, r.cloud)
}

// readInterfaces reads those that sessions of the object and others have in common.
func (n *neighbours) readInterfaces(ctx context.Context, from *stageCloud) error {
	for _, other := range n.others {
		for _, id := range other.Sources {
			if !slices.ContainsFunc(n.after, func(s cloud.Session) bool { return slices.Contains(s.Sources, id) }) {
				continue
			}
			i, err := from.GetInterface(ctx, id)
			switch {
			case cloud.IsNotFound(err):
			case err != nil:
				return fmt.Errorf("read the interface %s: %w", id, err)
			default:
				n.interfaces[id] = i
			}
		}
	}
	return nil
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

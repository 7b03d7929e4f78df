package mirrorsession

import (
	"fmt"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// exchange has, by the ID of what they have in the cloud, the MirrorSessions whose specs
// name a priority: among those that wait for each other's one has to step aside.
type exchange map[string]asking

type asking struct {
	priority int
	// waits says that nothing but its priority's holder is in its way.
	waits bool
}

// note takes another MirrorSession in, when it is of the same account.
func (e exchange) note(s *scope, o *v1alpha1.MirrorSession) {
	if o.Spec.Priority == nil || len(o.Status.Sessions) == 0 || !moves(o) || !lifecycle.SameAccount(o.Status.Account, s.cloud.Account()) {
		return
	}
	e[o.Status.Sessions[0].ID] = asking{int(*o.Spec.Priority), waitsFor(o, v1alpha1.ReasonPriorityTaken)}
}

// moves says whether a session is brought in line with its spec.
func moves(o *v1alpha1.MirrorSession) bool {
	return o.DeletionTimestamp.IsZero() && !o.Spec.Suspend && len(o.Spec.Sources) > 0
}

// stepAside says whether a session has to take another priority for a while, because it
// and others, all of which could move at once, wait for each other's. Two never do so for
// each other: they choose in turn, see turn.
func (e exchange) stepAside(n *numbers) bool {
	waiting := map[string]int{n.ownID: n.priority}
	for id, o := range e {
		if o.waits {
			waiting[id] = o.priority
		}
	}
	return plan.PriorityRing(n.sessions, waiting, n.ownID)
}

// priorityTaken waits until the holder gives the priority up or the spec names another.
// The status has the priority that the cloud has, so that those who wait for it are woken.
func (n *numbers) priorityTaken(s *scope, holder cloud.Session) error {
	if hasSession(s) {
		s.session.Status.Sessions[0].Priority = int32(n.has)
	}
	then := "a priority is unique in account and region: choose another in spec.priority, or leave it out"
	if o, ours := n.others[holder.ID]; ours && o.priority != holder.Priority {
		then = fmt.Sprintf("which is to get priority %d: this one waits for that", o.priority)
		if n.ownID != "" {
			then += fmt.Sprintf(" and has priority %d until then", n.has)
		}
	}
	p := lifecycle.Wait(v1alpha1.ReasonPriorityTaken, "priority %d is already used by the cloud's session %s (%s); %s",
		*s.session.Spec.Priority, holder.ID, holder.Name, then)
	p.After = lifecycle.AbsentProbe
	return p
}

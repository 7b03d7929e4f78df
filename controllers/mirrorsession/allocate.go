package mirrorsession

import (
	"context"
	"fmt"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// want is what the spec asks of the cloud, with VNI and priority chosen. A number that
// was once allocated stays, so that consumers of the copies can rely on it.
func (r *Reconciler) want(ctx context.Context, s *scope, have *cloud.Session) (plan.WantedSession, error) {
	n := numbers{ownID: ""}
	if have != nil {
		n.ownID = have.ID
	}
	vni, priority := r.kept(s, have)
	if have == nil || vni < 0 || s.session.Spec.Priority != nil {
		if err := r.readNumbers(ctx, s, &n, r.Clock().Add(-r.Resync)); err != nil {
			return plan.WantedSession{}, err
		}
	}
	priority, err := r.priority(ctx, s, &n, priority)
	if err != nil {
		return plan.WantedSession{}, err
	}
	if vni < 0 {
		var ok bool
		if vni, ok = plan.ChooseVNI(n.sessions, s.target.ID, n.ownID, n.vnis, n.rank); !ok {
			return plan.WantedSession{}, lifecycle.Stall(v1alpha1.ReasonQuotaExceeded, "every VNI of the target is in use: choose another target")
		}
	}
	ids := make([]string, 0, len(s.sources))
	for _, i := range s.sources {
		ids = append(ids, i.ID)
	}
	return plan.SessionFrom(s.session, r.Mark(s.session), s.filter.Status.ID, s.target.ID, ids, vni, priority), nil
}

// priority checks the priority that is kept, or chooses one. One that the spec names is
// waited for; one that was allocated earlier and has been taken meanwhile is replaced.
func (r *Reconciler) priority(ctx context.Context, s *scope, n *numbers, kept int) (int, error) {
	_, taken := plan.PriorityHolder(n.sessions, kept, n.ownID)
	if kept >= 0 && !taken {
		return kept, nil
	}
	if taken && s.session.Spec.Priority != nil {
		if err := r.readNumbers(ctx, s, n, r.Clock().Add(-lifecycle.AbsentProbe/2)); err != nil {
			return 0, err
		}
		if holder, still := plan.PriorityHolder(n.sessions, kept, n.ownID); still {
			return 0, priorityTaken(kept, holder)
		}
		return kept, nil
	}
	chosen, ok := plan.ChoosePriority(n.sessions, n.priorities, n.rank)
	if !ok {
		return 0, lifecycle.Stall(v1alpha1.ReasonQuotaExceeded, "every session priority of the account is in use: delete sessions that are not needed")
	}
	return chosen, nil
}

// kept returns the numbers that need no allocation, -1 for one that does: those of the
// spec, else those allocated before, else those of the session that was found. A VNI
// allocated for one target says nothing about another.
func (r *Reconciler) kept(s *scope, have *cloud.Session) (vni, priority int) {
	vni, priority = -1, -1
	st := s.stored.Status
	sameTarget := st.Target != nil && st.Target.InterfaceID == s.target.ID
	switch {
	case s.session.Spec.VNI != nil:
		vni = int(*s.session.Spec.VNI)
	case st.VNI != nil && (sameTarget || st.Target == nil):
		vni = int(*st.VNI)
	case have != nil && have.TargetID == s.target.ID:
		vni = have.VNI
	}
	switch {
	case s.session.Spec.Priority != nil:
		priority = int(*s.session.Spec.Priority)
	case len(st.Sessions) > 0:
		priority = int(st.Sessions[0].Priority)
	case have != nil:
		priority = have.Priority
	}
	return vni, priority
}

// numbers is what an allocation has to respect.
type numbers struct {
	ownID string
	// sessions of the account, foreign ones included.
	sessions []cloud.Session
	// priorities and vnis that other MirrorSessions have or ask for, though the cloud
	// may not show them yet; vnis are those for the same target.
	priorities, vnis map[int]bool
	// rank is how many older MirrorSessions also wait for numbers.
	rank int
}

// readNumbers fills n from the cloud's sessions, read at or after since, and from the
// MirrorSessions of this cluster.
func (r *Reconciler) readNumbers(ctx context.Context, s *scope, n *numbers, since time.Time) error {
	if after := r.NotBefore(s.session); after.After(since) {
		since = after
	}
	sessions, err := r.Inventory.Sessions(ctx, s.cloud, since)
	if err != nil {
		return fmt.Errorf("list the sessions to choose a priority and a VNI: %w", err)
	}
	var others v1alpha1.MirrorSessionList
	if err := r.Client.List(ctx, &others); err != nil {
		return fmt.Errorf("list the MirrorSessions to choose a priority and a VNI: %w", err)
	}
	n.sessions, n.priorities, n.vnis = sessions, map[int]bool{}, map[int]bool{}
	for _, o := range others.Items {
		if o.UID == s.session.UID {
			continue
		}
		if o.Spec.Priority != nil {
			n.priorities[int(*o.Spec.Priority)] = true
		}
		for _, c := range o.Status.Sessions {
			n.priorities[int(c.Priority)] = true
		}
		if t := o.Status.Target; t != nil && t.InterfaceID == s.target.ID {
			for _, v := range []*int32{o.Spec.VNI, o.Status.VNI} {
				if v != nil {
					n.vnis[int(*v)] = true
				}
			}
		}
		if len(o.Status.Sessions) == 0 && o.DeletionTimestamp.IsZero() && older(&o, s.session) {
			n.rank++
		}
	}
	return nil
}

func older(a, b *v1alpha1.MirrorSession) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.UID < b.UID
	}
	return a.CreationTimestamp.Before(&b.CreationTimestamp)
}

// priorityTaken waits until the holder gives the priority up or the spec names another.
func priorityTaken(priority int, holder cloud.Session) error {
	p := lifecycle.Wait(v1alpha1.ReasonPriorityTaken,
		"priority %d is already used by the cloud's session %s (%s); a priority is unique in account and region: choose another in spec.priority, or leave it out",
		priority, holder.ID, holder.Name)
	p.After = lifecycle.AbsentProbe
	return p
}

package mirrorsession

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// numbersAge is how much older than what a session asks for a list of the cloud's sessions may be
// when numbers are chosen from it: sessions of others count too, and for a VNI the cloud itself
// refuses nothing. What others make later is found when numbers are compared next.
const numbersAge = 30 * time.Second

func sooner(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// numbers returns the VNI and the priority of a part. leads are those of the first part, nil for that itself, and wants
// what the parts before it are to be.
func (s *scope) numbers(ctx context.Context, number int, leads *plan.Numbers, sources []string, wants map[int]plan.WantedSession) (n plan.Numbers, err error) {
	in := plan.NumbersInput{
		Session: s.storedSession(), Part: number, Leads: leads, Siblings: s.siblings(number, wants),
		Account: s.Cloud.Account(), TargetID: s.target.ID, Sources: sources, Cluster: s.Cluster,
	}
	if own, there := s.parts.have[number]; there {
		in.Own = &own
	}
	fresh := s.FreshSince()
	since := sooner(fresh, s.Clock().Add(-numbersAge))
	if s.keepsNumbers(in) { // an edit of something else does not wait for a list of thousands
		since = sooner(since, s.Clock().Add(-s.Resync))
	}
	if in.InCloud, err = s.Inventory.Sessions(ctx, s.Cloud, since); err != nil {
		return n, fmt.Errorf("list the sessions to compare their numbers: %w", err)
	}
	n, current := in.KeptNumbers()
	if !current {
		if n, err = s.choose(ctx, in, fresh); err != nil {
			return n, err
		}
	}
	for _, other := range n.Preceded {
		s.Event(corev1.EventTypeWarning, "PriorityPrecedes", "Allocate",
			"no priority after that of %s is free: this one gets %d, and takes the packets of the sources that both have", s.called(other), n.Priority)
	}
	if leads != nil {
		return n, nil
	}
	other := n.SameVNI
	s.compared = other == nil || other.VNI == n.VNI // else it is to get another VNI first
	if other != nil && other.VNI == n.VNI {
		s.sameVNI, s.sameVNICalled = other, s.called(*other)
	}
	for _, other := range []*cloud.Session{n.Holder, s.sameVNI} {
		if err := s.noteLeftover(ctx, other); err != nil {
			return n, err
		}
	}
	return n, nil
}

// siblings are the priorities that the other parts have or are to get.
func (s *scope) siblings(number int, wants map[int]plan.WantedSession) (priorities []int) {
	for other, have := range s.parts.have {
		if other != number {
			priorities = append(priorities, have.Priority)
		}
	}
	for i := range s.session.Status.Sessions {
		if stored := &s.session.Status.Sessions[i]; stored.Number() != number {
			priorities = append(priorities, int(stored.Priority))
		}
	}
	for _, want := range wants {
		priorities = append(priorities, want.Priority)
	}
	return priorities
}

// keepsNumbers reports whether the cloud's session has the target and the numbers that the spec asks for.
func (s *scope) keepsNumbers(in plan.NumbersInput) bool {
	spec, have := &s.session.Spec, in.Own
	if have == nil || have.TargetID != s.target.ID || lifecycle.ReconcileRequested(s.session) || s.Tried() {
		return false
	}
	if in.Leads != nil {
		return in.Leads.VNI == have.VNI
	}
	return (spec.Priority == nil || int(*spec.Priority) == have.Priority) && (spec.VNI == nil || int(*spec.VNI) == have.VNI)
}

// choose decides VNI and priority by everything that the cloud and the cluster have of
// them. A create that may have taken effect counts: the list must have begun after it, and after
// what a process before this one can have made.
func (s *scope) choose(ctx context.Context, in plan.NumbersInput, fresh time.Time) (plan.Numbers, error) {
	since := sooner(fresh, s.Clock().Add(-numbersAge))
	if lifecycle.ReconcileRequested(s.session) || s.Tried() { // what is free may be known wrong
		since = fresh
	}
	inherited, _ := s.Expectations.Inherited()
	for _, latest := range []time.Time{s.Expectations.Latest(), inherited} {
		if latest.After(since) && !latest.After(s.Clock()) {
			since = latest
		}
	}
	var err error
	if in.InCloud, err = s.Inventory.Sessions(ctx, s.Cloud, since); err != nil {
		return plan.Numbers{}, fmt.Errorf("list the sessions to choose a priority and a VNI: %w", err)
	}
	others := &cachedClaims{ctx: ctx, client: s.Client, uid: s.session.UID}
	chosen, err := s.reconciler.reserved.choose(in, others, s.Came(), s.Clock())
	switch {
	case others.failed != nil:
		return plan.Numbers{}, others.failed
	case errors.Is(err, plan.ErrNoPriority):
		return chosen, lifecycle.Stall(v1alpha1.ReasonQuotaExceeded, "%s: delete sessions that are not needed", err)
	case errors.Is(err, plan.ErrNoVNI):
		return chosen, lifecycle.Stall(v1alpha1.ReasonQuotaExceeded, "%s: choose another target", err)
	}
	return chosen, err
}

// leftOver says of a session whose it was, and the way out.
const leftOver = "it is left over from an object of this cluster that is gone: delete it in the cloud, or let the manager do that (--delete-orphans)"

// noteLeftover notes whether a session, that is in the way of this one, bears this cluster's
// mark, though its object is gone, as when somebody has taken a finalizer off by hand.
func (s *scope) noteLeftover(ctx context.Context, other *cloud.Session) error {
	if other == nil || lifecycle.SharesAccount(s.session) {
		return nil
	}
	mark, ok := plan.MarkOf(other.Description)
	if !ok || mark.Cluster != s.Cluster {
		return nil
	}
	exists, err := s.exists(ctx, types.UID(mark.UID))
	if err != nil {
		return fmt.Errorf("find whose the session %s is: %w", other.ID, err)
	}
	if exists {
		return nil
	}
	s.leftover[other.ID] = true
	return nil
}

// holding returns the session that has the priority which the spec names, where another
// serves meanwhile, and the problem that this is; nil for neither. A session that waits
// keeps the priority that it has.
func (s *scope) holding(n *plan.Numbers, have cloud.Session, there bool) (interim *cloud.Session, taken *lifecycle.Problem) {
	switch {
	case n.Holder == nil:
		return nil, nil
	case n.Priority != 0:
		interim = n.Holder
	case there:
		n.Priority = have.Priority
	}
	return interim, s.priorityTaken(*n, n.Priority)
}

// priorityTaken waits until the holder gives the priority up or the spec names another. has
// is the priority that the cloud's session has meanwhile, 0 where there is none.
func (s *scope) priorityTaken(n plan.Numbers, has int) *lifecycle.Problem {
	holder := fmt.Sprintf("the cloud's session %s (%s)", n.Holder.ID, n.Holder.Name)
	then := "a priority is unique in account and region: choose another in spec.priority, or leave it out"
	gets := fmt.Sprintf("priority %d", n.HolderWants)
	if lifecycle.SharesAccount(s.session) {
		holder, gets = "another session of the account", "another one"
	}
	switch {
	case n.HolderWants != 0:
		then = "which is to get " + gets + ": this one waits for that"
		if has != 0 {
			then += fmt.Sprintf(" and has priority %d until then", has)
		}
	case s.leftover[n.Holder.ID]:
		then = leftOver + "; or choose another in spec.priority"
	}
	p := lifecycle.Wait(v1alpha1.ReasonPriorityTaken, "priority %d is already used by %s; %s", *s.session.Spec.Priority, holder, then)
	p.After = lifecycle.AbsentProbe
	return p
}

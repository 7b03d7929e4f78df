package mirrorsession

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// reservations are the numbers that were chosen a short time ago, by account: what the lists
// of the cloud may not show yet. The zero value is ready.
type reservations struct {
	mu        sync.Mutex
	byAccount map[cloud.Account]map[types.UID]reservation
}

type reservation struct {
	plan.Reservation
	until time.Time
}

// choose lets one session choose at a time; nobody is asked anything meanwhile.
func (r *reservations) choose(in plan.NumbersInput, now time.Time) (plan.Numbers, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byAccount == nil {
		r.byAccount = make(map[cloud.Account]map[types.UID]reservation)
	}
	valid := r.byAccount[in.Account]
	if valid == nil {
		valid = make(map[types.UID]reservation)
		r.byAccount[in.Account] = valid
	}
	for uid, reserved := range valid {
		if now.After(reserved.until) {
			delete(valid, uid)
			continue
		}
		in.Reserved = append(in.Reserved, reserved.Reservation)
	}
	n, reserve, err := plan.ChooseNumbers(in)
	for _, reserved := range reserve {
		valid[reserved.UID] = reservation{reserved, now.Add(reservedFor)}
	}
	return n, err
}

// reservedFor is longer than a list may be old, see numbersAge, with the time of a create.
const reservedFor = time.Minute

// numbersAge is how old a list of the cloud's sessions may be when numbers are chosen
// from it: sessions of others count too, and for a VNI the cloud itself refuses nothing.
const numbersAge = 30 * time.Second

// numbers returns the VNI and the priority.
func (s *scope) numbers(ctx context.Context, have *cloud.Session) (n plan.Numbers, err error) {
	in := plan.NumbersInput{
		Session: s.storedSession(), Own: have, Account: s.Cloud.Account(), TargetID: s.target.ID, Sources: s.sourceIDs(), Cluster: s.Cluster,
	}
	since := s.Clock().Add(-numbersAge)
	if steady := s.FreshSince(); steady.Before(since) {
		since = steady
	}
	if in.InCloud, err = s.Inventory.Sessions(ctx, s.Cloud, since); err != nil {
		return n, fmt.Errorf("list the sessions to compare their numbers: %w", err)
	}
	n, current := in.KeptNumbers()
	if !current {
		if n, err = s.choose(ctx, in); err != nil {
			return n, err
		}
	}
	if other := n.SameVNI; other != nil && other.VNI == n.VNI {
		s.sameVNI = other.ID
	}
	for _, other := range n.Preceded {
		which := fmt.Sprintf("the session %s (%d)", other.ID, other.Priority)
		if lifecycle.SharesAccount(s.session) {
			which = "another session"
		}
		s.Event(corev1.EventTypeWarning, "PriorityPrecedes", "Allocate",
			"no priority after that of %s is free: this one gets %d, and takes the packets of the sources that both have", which, n.Priority)
	}
	return n, nil
}

// choose decides VNI and priority by everything that the cloud and the cluster have of
// them. A create that may have taken effect counts: the list must have begun after it.
func (s *scope) choose(ctx context.Context, in plan.NumbersInput) (plan.Numbers, error) {
	since := s.Clock().Add(-numbersAge)
	if lifecycle.ReconcileRequested(s.session) {
		since = s.Clock()
	}
	if latest := s.Expectations.Latest(); latest.After(since) {
		since = latest
	}
	var err error
	if in.InCloud, err = s.Inventory.Sessions(ctx, s.Cloud, since); err != nil {
		return plan.Numbers{}, fmt.Errorf("list the sessions to choose a priority and a VNI: %w", err)
	}
	var others v1alpha1.MirrorSessionList
	if err := s.Client.List(ctx, &others); err != nil {
		return plan.Numbers{}, fmt.Errorf("list the MirrorSessions to choose a priority and a VNI: %w", err)
	}
	in.Others = others.Items
	chosen, err := s.reconciler.reserved.choose(in, s.Clock())
	switch {
	case errors.Is(err, plan.ErrNoPriority):
		return chosen, lifecycle.Stall(v1alpha1.ReasonQuotaExceeded, "%s: delete sessions that are not needed", err)
	case errors.Is(err, plan.ErrNoVNI):
		return chosen, lifecycle.Stall(v1alpha1.ReasonQuotaExceeded, "%s: choose another target", err)
	}
	return chosen, err
}

// holding returns the session that has the priority which the spec names, where another
// serves meanwhile, and the problem that this is; nil for neither. A session that waits
// keeps the priority that it has.
func (s *scope) holding(n *plan.Numbers, have *cloud.Session) (interim *cloud.Session, taken *lifecycle.Problem) {
	switch {
	case n.Holder == nil:
		return nil, nil
	case n.Priority != 0:
		interim = n.Holder
	case have != nil:
		n.Priority = have.Priority
	}
	return interim, s.priorityTaken(*n, n.Priority)
}

// priorityTaken waits until the holder gives the priority up or the spec names another. has
// is the priority that the cloud's session has meanwhile, 0 where there is none: the status
// shows it, so that those who wait for it are woken.
func (s *scope) priorityTaken(n plan.Numbers, has int) *lifecycle.Problem {
	if part := s.session.Part(1); part != nil {
		part.Priority = int32(has)
	}
	holder := fmt.Sprintf("the cloud's session %s (%s)", n.Holder.ID, n.Holder.Name)
	then := "a priority is unique in account and region: choose another in spec.priority, or leave it out"
	gets := fmt.Sprintf("priority %d", n.HolderWants)
	if lifecycle.SharesAccount(s.session) {
		holder, gets = "another session of the account", "another one"
	}
	if n.HolderWants != 0 {
		then = "which is to get " + gets + ": this one waits for that"
		if has != 0 {
			then += fmt.Sprintf(" and has priority %d until then", has)
		}
	}
	p := lifecycle.Wait(v1alpha1.ReasonPriorityTaken, "priority %d is already used by %s; %s", *s.session.Spec.Priority, holder, then)
	p.After = lifecycle.AbsentProbe
	return p
}

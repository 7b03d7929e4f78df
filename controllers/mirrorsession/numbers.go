package mirrorsession

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// allocationLocks let one session of an account choose its numbers at a time. The zero
// value is ready.
type allocationLocks struct {
	mu        sync.Mutex
	byAccount map[cloud.Account]chan struct{}
}

// lock waits until no other session of the account chooses numbers, and returns what ends
// that. It is held until the cloud has the session: only then do the others see what was
// chosen.
func (l *allocationLocks) lock(ctx context.Context, account cloud.Account) (unlock func(), err error) {
	only := l.of(account)
	select {
	case only <- struct{}{}:
		return func() { <-only }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other sessions that choose their numbers: %w", ctx.Err())
	}
}

func (l *allocationLocks) of(account cloud.Account) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byAccount == nil {
		l.byAccount = make(map[cloud.Account]chan struct{})
	}
	only, ok := l.byAccount[account]
	if !ok {
		only = make(chan struct{}, 1)
		l.byAccount[account] = only
	}
	return only
}

// numbersAge is how old a list of the cloud's sessions may be when numbers are chosen
// from it: sessions of others count too, and for a VNI the cloud itself refuses nothing.
const numbersAge = 30 * time.Second

// numbers returns the VNI and the priority, and what has to be called once the cloud has
// the session: until then no other session of the account chooses.
func (s *scope) numbers(ctx context.Context, have *cloud.Session) (n plan.Numbers, unlock func(), err error) {
	in := plan.NumbersInput{
		Session: s.storedSession(), Own: have, Account: s.Cloud.Account(), TargetID: s.target.ID, Sources: s.sourceIDs(), Cluster: s.Cluster,
	}
	since := s.Clock().Add(-numbersAge)
	if steady := s.FreshSince(); steady.Before(since) {
		since = steady
	}
	if in.InCloud, err = s.Inventory.Sessions(ctx, s.Cloud, since); err != nil {
		return n, nil, fmt.Errorf("list the sessions to compare their numbers: %w", err)
	}
	if kept, current := in.KeptNumbers(); current {
		return kept, func() {}, nil
	}
	if unlock, err = s.reconciler.allocation.lock(ctx, s.Cloud.Account()); err != nil {
		return n, nil, err
	}
	if n, err = s.choose(ctx, in); err != nil {
		unlock()
		return n, nil, err
	}
	for _, other := range n.Preceded {
		s.Event(corev1.EventTypeWarning, "PriorityPrecedes", "Allocate",
			"no priority after that of the session %s (%d) is free: this one gets %d, and takes the packets of the sources that both have",
			other.ID, other.Priority, n.Priority)
	}
	return n, unlock, nil
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
	chosen, err := plan.ChooseNumbers(in)
	switch {
	case errors.Is(err, plan.ErrNoPriority):
		return chosen, lifecycle.Stall(v1alpha1.ReasonQuotaExceeded, "%s: delete sessions that are not needed", err)
	case errors.Is(err, plan.ErrNoVNI):
		return chosen, lifecycle.Stall(v1alpha1.ReasonQuotaExceeded, "%s: choose another target", err)
	}
	return chosen, err
}

// holding returns the session that has the priority which the spec names, where another
// serves meanwhile, and the problem that this is; nil for neither.
func (s *scope) holding(n plan.Numbers, have *cloud.Session) (interim *cloud.Session, taken error) {
	if n.Holder == nil {
		return nil, nil
	}
	if n.Priority != 0 {
		return n.Holder, s.priorityTaken(n, n.Priority)
	}
	if have == nil {
		return nil, s.priorityTaken(n, 0)
	}
	return nil, s.priorityTaken(n, have.Priority)
}

// priorityTaken waits until the holder gives the priority up or the spec names another. has
// is the priority that the cloud's session has meanwhile, 0 where there is none: the status
// shows it, so that those who wait for it are woken.
func (s *scope) priorityTaken(n plan.Numbers, has int) error {
	if part := s.session.Part(1); part != nil {
		part.Priority = int32(has)
	}
	then := "a priority is unique in account and region: choose another in spec.priority, or leave it out"
	if n.HolderWants != 0 {
		then = fmt.Sprintf("which is to get priority %d: this one waits for that", n.HolderWants)
		if has != 0 {
			then += fmt.Sprintf(" and has priority %d until then", has)
		}
	}
	p := lifecycle.Wait(v1alpha1.ReasonPriorityTaken, "priority %d is already used by the cloud's session %s (%s); %s",
		*s.session.Spec.Priority, n.Holder.ID, n.Holder.Name, then)
	p.After = lifecycle.AbsentProbe
	return p
}

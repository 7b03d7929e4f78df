package mirrorsession

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

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

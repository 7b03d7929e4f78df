package lifecycle

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/status"
)

// Kind is what is particular to a kind in one reconcile of one object.
type Kind interface {
	// Sync brings the cloud in line with the spec. The cloud is connected by then.
	Sync(ctx context.Context) error
	// Synced is the message of Ready after a Sync without an error.
	Synced() string
	// Delete removes what the cloud has of the object. Without an error there surely is
	// nothing any more, or nothing that has to go.
	Delete(ctx context.Context) error
	// Observe sets what else the status shows, once the conditions about the cloud are set, or
	// while they stay because it is not the object's turn: it asks the cloud nothing. It returns
	// after how long that may be different by itself, 0 when it stays.
	Observe(ctx context.Context) time.Duration
}

// Reconcile goes once through the life of the object, which was just read.
func (s *Scope) Reconcile(ctx context.Context, k Kind) (ctrl.Result, error) {
	result, err := s.reconcile(ctx, k)
	result.Priority = new(priorityOf(s.arrivals.awaits(s.Object.GetUID())))
	return result, err
}

// priorityOf is with which priority an object comes back: after all that somebody waits for, unless it is
// awaited itself.
func priorityOf(awaited bool) int {
	if awaited {
		return PriorityFollows
	}
	return PriorityByItself
}

func (s *Scope) reconcile(ctx context.Context, k Kind) (ctrl.Result, error) {
	ctx = cloud.WithUrgency(ctx, s.urgency())
	s.Object.Common().Plan = nil // it was a question once, and is none any more
	if !s.Object.GetDeletionTimestamp().IsZero() {
		return s.finalize(ctx, k)
	}
	var result ctrl.Result
	var err error
	if s.Object.Cloud().Suspend {
		status.Suspended(s.Object)
	} else {
		err = s.sync(ctx, k)
		switch {
		case errors.Is(err, errNoWorker):
			return s.waiting(ctx, k)
		case errors.Is(err, errOutdated):
			return ctrl.Result{}, err
		}
		s.noteUnanswered(err)
		s.arrivals.end(s.Object.GetUID(), s.arrived, err, s.Clock())
		result, err = s.outcome.conclude(ctx, s.Stored, s.Object, err, k.Synced())
	}
	again, failed := s.observe(ctx, k)
	if failed != nil {
		return s.unstored(ctx, failed)
	}
	return s.noLater(s.recheck(result), again), err
}

// observe takes in what is observed of an object, and stores its status where that has changed. It returns
// after how long that may be different, and why it could not be stored.
func (s *Scope) observe(ctx context.Context, k Kind) (again time.Duration, failed error) {
	again = k.Observe(ctx)
	if status.Same(s.Stored, s.Object) {
		return again, nil
	}
	if wait := s.refreshIn(); wait > 0 {
		return soonest(again, wait), nil
	}
	return again, s.Store(ctx)
}

// refreshIn is how long a status that has changed need not be stored, as nothing is new but numbers that have
// moved on, and many such are written already; 0 when it is to be.
func (s *Scope) refreshIn() time.Duration {
	if !status.Refreshes(s.Stored, s.Object) {
		s.sums.Forget(s.Object.GetUID())
		return 0
	}
	return s.sums.Wait(s.Object.GetUID(), s.Clock())
}

// soonest is the shorter of two times, of which 0 is none.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// urgency is how urgent the calls are that an object needs: whether somebody waits for it, because it goes,
// or because what it asks for was not looked at yet, or only held back.
func (s *Scope) urgency() cloud.Urgency {
	o := s.Stored
	if !o.GetDeletionTimestamp().IsZero() || o.Common().ObservedGeneration != o.GetGeneration() || ReconcileRequested(o) || s.arrived.awaited {
		return cloud.Edited
	}
	return cloud.Routine
}

// unobserved is how long an object waits for a worker of its server before what is observed goes on
// without one. Where many come at once, as in a resync, nearly all of them wait for less.
const unobserved = 2 * time.Second

// waiting ends the reconcile of an object whose server has no worker free, and which is woken
// when one is: what the conditions about the cloud say is as it was. What is observed goes on
// where that takes longer, and asks nothing of the server.
func (s *Scope) waiting(ctx context.Context, k Kind) (ctrl.Result, error) {
	if !s.waited {
		return ctrl.Result{RequeueAfter: unobserved}, nil
	}
	again, failed := s.observe(ctx, k)
	if failed != nil {
		return s.unstored(ctx, failed)
	}
	return ctrl.Result{RequeueAfter: again}, nil
}

// noLater brings the next reconcile forward to when what is observed may be different. What is in
// line costs the cloud no call then, as shared lists serve it; what is not costs some, but its
// mirror may go on, and stop, for long before it is looked at otherwise.
func (s *Scope) noLater(result ctrl.Result, again time.Duration) ctrl.Result {
	if again > 0 && result.RequeueAfter > 0 {
		result.RequeueAfter = min(result.RequeueAfter, again)
	}
	return result
}

// noteUnanswered remembers a write without an answer.
func (s *Scope) noteUnanswered(err error) {
	if cloud.IsAmbiguous(err) {
		s.Expectations.WriteUnanswered(s.Object.GetUID())
	}
}

// recheck lets an object be reconciled once more when the effect of a write without an
// answer must have come. Until then no shared list serves it. What a process before this one
// wrote without an answer is not known: a list that all share tells. What is not in line is
// looked at again in any case, when its problem says, and when what was written for it must have its
// effect: the cloud may have refused the next write for want of that.
func (s *Scope) recheck(result ctrl.Result) ctrl.Result {
	in, awaited := s.Expectations.Recheck(s.Object.GetUID())
	if _, until := s.Expectations.Inherited(); until > 0 && s.owned() && status.IsSynced(s.Object) {
		result.RequeueAfter = min(result.RequeueAfter, s.outcome.later(s.Object, until).RequeueAfter)
	}
	if in := s.Expectations.Settles(s.Object.GetUID()); in > 0 && result.RequeueAfter > 0 && !status.IsSynced(s.Object) {
		result.RequeueAfter = min(result.RequeueAfter, in)
	}
	switch {
	case !awaited || result.RequeueAfter == 0: // the queue comes back sooner
	case in <= 0 && !status.IsSynced(s.Object): // it could not be compared
	case in <= 0:
		s.Expectations.Rechecked(s.Object.GetUID())
	default:
		result.RequeueAfter = min(result.RequeueAfter, in)
	}
	return result
}

func (s *Scope) sync(ctx context.Context, k Kind) error {
	err := s.Connect(ctx)
	if err == nil {
		err = k.Sync(ctx)
	}
	if s.rekeyed(ctx, err) {
		return errOutdated
	}
	return err
}

// finalize ends the life of an object: the finalizer goes when the cloud has surely
// nothing of it any more, or when that is to be retained.
func (s *Scope) finalize(ctx context.Context, k Kind) (ctrl.Result, error) {
	var err error
	switch {
	case s.owned():
		if err = Stuck(k.Delete(ctx)); err == nil {
			err = s.letGo(ctx)
		}
	case controllerutil.ContainsFinalizer(s.Object, v1alpha1.CredentialsFinalizer):
		err = s.letGo(ctx) // only its Secret is left
	}
	if err == nil {
		return ctrl.Result{}, nil
	}
	if errors.Is(err, errNoWorker) {
		return s.waiting(ctx, k)
	}
	result, err := s.outcome.conclude(ctx, s.Stored, s.Object, err, "")
	k.Observe(ctx) // what is being deleted says so wherever it says what is wrong
	if failed := s.Store(ctx); failed != nil {
		return s.unstored(ctx, failed)
	}
	return result, err
}

// Release lets what the cloud has stay when the object goes, and takes the mark off it: what
// bears a mark without an object counts as left over. To let go must not wait for a cloud
// that can't be reached, so that is only said.
func (s *Scope) Release(ctx context.Context, disown func(context.Context) error) error {
	err := s.Connect(ctx)
	if err == nil {
		err = disown(ctx)
	}
	if err == nil || !s.outOfReach(err) {
		return err
	}
	s.Event(corev1.EventTypeWarning, "MarkStays", "Retain",
		"what the cloud has of this object is retained, but still bears its mark %s, by which it counts as left over: take the mark off its description before "+
			"anybody lets the manager delete what is left over. It could not be taken off: %s", s.Mark(s.Object, 1), err)
	return nil
}

// awayFor is how long the cloud may be away before an object that is to be let go is.
const awayFor = time.Minute

// outOfReach reports whether only a person can help with what keeps the cloud from being
// changed, or the cloud is away for too long. That it is not an object's turn yet, or that
// it is throttled, ends by itself.
func (s *Scope) outOfReach(err error) bool {
	p := Diagnose(err)
	switch {
	case p == nil, p.Reason == v1alpha1.ReasonForbidden:
		return false
	case p.Stalled, p.Reason == v1alpha1.ReasonCredentialsNotFound, p.Reason == v1alpha1.ReasonCredentialsUnavailable:
		return true
	default:
		return p.Reason == v1alpha1.ReasonCloudUnavailable && s.Clock().Sub(s.Object.GetDeletionTimestamp().Time) > awayFor
	}
}

// Retained reports whether what the cloud has is to stay when the object is deleted.
func (s *Scope) Retained() bool { return s.Object.Cloud().Deletion() == v1alpha1.DeletionRetain }

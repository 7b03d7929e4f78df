package mirrorsession

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
	"vpcmirror.io/operator/controllers/inventory"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/status"
)

const (
	// changedAge is how old an answer may be that a changed spec is judged by.
	changedAge = 30 * time.Second
	// holdOff is for how long the way of copies is not read of an account, or of a part of it, that gave
	// no answer to that, the first time.
	holdOff = 20 * time.Second
)

// expectCopies looks whether the counts are an edge, so that whatever this reconcile reads of the
// cloud must be of now.
func (s *scope) expectCopies(ctx context.Context) {
	s.began = s.Clock()
	memo := s.reconciler.observed.of(s.session)
	known := s.known(ctx, s.began)
	if now := s.counted(known); now.version == "" || memo.rest.counted != now {
		known.Movement = memo.movement.Next(known)
		memo.edges = memo.edges.track(s.began, diagnosis.Await(known), pathBlocked(s.session))
	}
	if memo.edges.due(s.began) {
		s.edgeIn = s.reconciler.observed.round(s.Cloud.Account(), s.Inventory.Calls(s.Cloud), s.began)
		if s.edgeIn == 0 {
			memo.edges = memo.edges.asked(s.began, s.Resync)
			s.NotBefore = s.began.Add(-edgeAge)
		}
	}
	s.reconciler.observed.keep(s.session, memo)
}

// pathBlocked reports whether something is said to be in the way.
func pathBlocked(s *v1alpha1.MirrorSession) bool {
	return meta.IsStatusConditionFalse(s.Status.Conditions, v1alpha1.ConditionPathClear)
}

// readPath reads of the cloud what decides whether copies can get to the target, after all else
// was done, and however that ended. That it can't be read changes nothing: what was said stays.
// Who got no answer at all is held off in the steady state; a part that gave none is only missing.
func (s *scope) readPath(ctx context.Context, outcome error) {
	observed := &s.reconciler.observed
	memo := observed.of(s.session)
	if ctx.Err() != nil || !answers(outcome) {
		return
	}
	since := s.pathSince(memo)
	if until := observed.heldOff(s.Cloud); until.After(s.began) && !since.After(s.began.Add(-s.Resync)) {
		s.pathAgain = until
		return
	}
	r := &pathReader{scope: s, since: since, before: memo.path, former: s.formerSources(memo.former), outcome: outcome}
	if r.before == nil {
		r.before = &diagnosis.Path{}
	}
	path := r.read(ctx)
	switch {
	case r.silent || r.failed != nil && path == nil:
		s.pathAgain = observed.silent(s.Cloud, s.began, s.Resync)
	case r.failed != nil:
		observed.answered(s.Cloud)
		memo.incomplete = memo.incomplete.next(s.began, s.Resync)
		s.pathAgain = memo.incomplete.until
	default:
		observed.answered(s.Cloud)
		memo.incomplete = pause{}
	}
	if path = samePath(memo.path, path); path != nil {
		if path != memo.path {
			s.tellPath(&memo.changes, path)
		}
		memo.former = r.former
		memo.path, memo.generation, memo.epoch = path, s.session.Generation, s.session.Status.Epoch
	}
	observed.keep(s.session, memo)
}

// answers reports whether the cloud would answer a read, by how a reconcile ended.
func answers(outcome error) bool {
	if outcome == nil {
		return true
	}
	switch cloud.ClassOf(outcome) {
	case cloud.ClassServer, cloud.ClassThrottled, cloud.ClassAuthentication:
		return false
	default:
		return lifecycle.Diagnose(outcome) != nil // else it is the API server that does not
	}
}

// pathSince is how old the answers may be: as old as all others in the steady state, of now on
// request and at an edge, and little older than a change of the spec, or of what is in the cloud.
func (s *scope) pathSince(memo observation) time.Time {
	changed := memo.generation != s.session.Generation || memo.epoch != s.session.Status.Epoch
	if memo.path == nil { // this process has just begun
		said := meta.FindStatusCondition(s.storedSession().Status.Conditions, v1alpha1.ConditionPathClear)
		changed = said == nil || said.ObservedGeneration != s.session.Generation
	}
	switch {
	case lifecycle.ReconcileRequested(s.session):
		return s.Came()
	case !s.NotBefore.IsZero():
		return s.NotBefore
	case changed && memo.generation == s.session.Generation: // by somebody in the cloud
		return s.began.Add(-changedAge)
	case changed:
		return later(s.Came().Add(-changedAge), s.began.Add(-s.Resync))
	default:
		return s.began.Add(-s.Resync)
	}
}

// interfacesSince is how old an answer about a single interface may be. An edge asks for one list
// that all sessions share; only where that lacks an interface is each asked for anew.
func (s *scope) interfacesSince(ctx context.Context) time.Time {
	since := s.FreshSince()
	if s.NotBefore.IsZero() || !since.Equal(s.NotBefore) {
		return since
	}
	all, err := s.Inventory.Interfaces(ctx, s.Cloud, s.NotBefore)
	for _, r := range resolvedOf(s.session) {
		if _, there := all.ByID(r.InterfaceID); err == nil && !there {
			return since
		}
	}
	return s.began.Add(-s.Resync)
}

// wakeFilter lets the MirrorFilter be reconciled where the cloud's list shows that its filter is
// not what its spec wants: that same list serves it.
func (s *scope) wakeFilter(all *inventory.Listed[cloud.Filter]) {
	f := s.filter
	if f == nil || !status.Settled(f) || f.Spec.Suspend || !f.DeletionTimestamp.IsZero() {
		return
	}
	if have := filterIn(all, f.Status.ID); have == nil || outOfLine(f, s.Mark(f, 1), *have) {
		s.Filters.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(f)})
	}
}

// filterIn is the filter of a list that has the ID, nil for none. All share it: nobody changes it.
func filterIn(all *inventory.Listed[cloud.Filter], id string) *cloud.Filter {
	return all.Shared(id)
}

// mirrored is the session as the cloud has it, or as it would be made, without an ID then.
func (s *scope) mirrored() cloud.Session {
	if have := s.inCloud(); have != nil {
		return *have
	}
	n, spec := s.chosen, s.session.Spec
	if n.Priority == 0 && spec.Priority != nil {
		n.Priority = int(*spec.Priority)
	}
	if n.VNI == 0 && spec.VNI != nil {
		n.VNI = int(*spec.VNI)
	}
	want := s.want(1, s.sourceIDs(), n)
	return cloud.Session{SessionSpec: want.SessionSpec, Sources: want.Sources}
}

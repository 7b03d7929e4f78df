package mirrorsession

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// create makes the cloud's session.
func (s *scope) create(ctx context.Context, part *lifecycle.Part[cloud.Session], want plan.WantedSession) (cloud.Session, error) {
	have, err := part.Create(ctx, func(ctx context.Context) (cloud.Session, error) {
		created, err := s.Cloud.CreateSession(ctx, want.SessionSpec, want.Sources)
		if err == nil {
			s.made(created)
		}
		return created, err
	})
	if err != nil {
		return have, err
	}
	s.Event(corev1.EventTypeNormal, "Created", "Create",
		"created the session %s in the cloud with VNI %d and priority %d", have.ID, have.VNI, have.Priority)
	return have, nil
}

// switchOff switches the session off that the cloud has, because the spec names no source
// any more. It is not deleted, so that its ID and its numbers stay; and the last source
// is not removed, because the cloud may then blank the target.
func (s *scope) switchOff(ctx context.Context) error {
	s.session.Status.Sources = nil
	const remedy = "spec.sources is empty: name at least one elastic network interface to copy from"
	part := s.part()
	have, err := part.Find(ctx)
	switch {
	case err != nil:
		return err
	case have == nil:
		s.epoch(nil)
		return lifecycle.Stall(v1alpha1.ReasonNoSources, remedy)
	}
	if have.Enabled {
		s.changes.changing = new(*have)
		if err := part.Foresee(ctx, *have); err != nil {
			return err
		}
		off := false
		if err := do(ctx, s.Cloud, have.ID, plan.SessionStep{Update: &cloud.SessionUpdate{Enabled: &off}}); err != nil {
			return err
		}
		s.Event(corev1.EventTypeWarning, v1alpha1.ReasonNoSources, "Update",
			"switched the session %s off, because spec.sources is empty", have.ID)
		have.Enabled = false
		s.changed(*have)
	}
	s.have = have
	s.epoch(have)
	return s.orSurplus(ctx, part, lifecycle.Stall(v1alpha1.ReasonNoSources, "%s. Until then the session %s is switched off in the cloud", remedy, have.ID))
}

// mend does what brings the cloud's session in line with want. interim is who has the
// priority that the spec names when want has another one for a while, nil otherwise.
func (s *scope) mend(want plan.WantedSession, n plan.Numbers, interim *cloud.Session) func(cloud.Session) ([]plan.Change, lifecycle.Mend[cloud.Session]) {
	return func(have cloud.Session) ([]plan.Change, lifecycle.Mend[cloud.Session]) {
		diff := plan.DiffSession(want, have)
		return diff.Changes, func(ctx context.Context) (*cloud.Session, error) {
			s.announce(have, diff.Changes, n, interim)
			s.begins(have)
			// The limit matters for the order alone, so what does not differ need not ask.
			for _, step := range diff.Steps(s.sourceLimit(ctx)) {
				if err := do(ctx, s.Cloud, have.ID, step); err != nil {
					return nil, s.narrow(ctx, want, have.ID, err)
				}
			}
			return nil, nil
		}
	}
}

// narrow switches off and takes sources away as the spec wants it, after a step that failed
// in a way that does not end soon, and returns why.
func (s *scope) narrow(ctx context.Context, want plan.WantedSession, id string, why error) error {
	if !lifecycle.Lasting(why) {
		return why
	}
	// Some steps were done, so it is compared anew.
	now, err := s.Cloud.GetSession(ctx, id)
	if err != nil {
		return why
	}
	diff := plan.DiffSession(want, now)
	for _, step := range diff.Narrowing() {
		err = errors.Join(err, do(ctx, s.Cloud, id, step))
	}
	return errors.Join(err, why) // the first decides when it is tried again
}

// announce makes an event of drift or an edit.
func (s *scope) announce(have cloud.Session, changes []plan.Change, n plan.Numbers, interim *cloud.Session) {
	summary := s.Summary(changes)
	switch {
	case n.SameVNI != nil && have.VNI != n.VNI && s.session.Spec.VNI == nil:
		s.Event(corev1.EventTypeWarning, "VNIChanged", "Take another VNI",
			"%s to the same target has VNI %d too, and is older: this one's VNI changes from %d to %d", s.called(*n.SameVNI), have.VNI, have.VNI, n.VNI)
	case interim != nil:
		s.Event(corev1.EventTypeNormal, "Updating", "Take another priority",
			"%s: this priority serves until %s has left priority %d", summary, s.called(*interim), interim.Priority)
	case s.WasSynced:
		s.Event(corev1.EventTypeWarning, "DriftCorrected", lifecycle.Restoring(changes), "changed outside: %s; restoring", summary)
	default:
		s.Event(corev1.EventTypeNormal, "Updating", "Update", "%s", summary)
	}
}

// called is how messages call a session of the cloud that is not this object's. With the operator's
// own credentials it can be anybody's, and has no name.
func (s *scope) called(other cloud.Session) string {
	if lifecycle.SharesAccount(s.session) {
		return "another session"
	}
	return s.nameInCloud(other)
}

// sourceLimit is the quota of sources for a session, or unknown where the cloud does not
// have it: not knowing a limit must not stop a change.
func (s *scope) sourceLimit(ctx context.Context) int {
	quota, err := s.Inventory.Quota(ctx, s.Cloud, s.Clock().Add(-s.Resync))
	if err != nil {
		return 0
	}
	return quota.SourcesPerSession
}

// do makes one call.
func do(ctx context.Context, c cloud.Client, id string, step plan.SessionStep) error {
	switch {
	case step.Update != nil:
		return lifecycle.Doing("update the session "+id, c.UpdateSession(ctx, id, *step.Update))
	case len(step.AddSources) > 0:
		return lifecycle.Doing("add sources to the session "+id, c.AddSources(ctx, id, step.AddSources))
	case len(step.RemoveSources) > 0:
		return lifecycle.Doing("remove sources from the session "+id, c.RemoveSources(ctx, id, step.RemoveSources))
	default:
		return nil
	}
}

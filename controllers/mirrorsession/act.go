package mirrorsession

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
)

// create makes the session and stores its identity at once.
func (r *Reconciler) create(ctx context.Context, s *scope, want plan.WantedSession) error {
	first := s.session.Status.Account == nil
	if first {
		// An object without a recorded account has nothing in the cloud.
		lifecycle.Bind(s.session, s.cloud.Account())
		if err := r.store(ctx, s); err != nil {
			return err
		}
	}
	r.Attempt(s.session)
	have, err := s.cloud.CreateSession(ctx, want.SessionSpec, want.Sources)
	if err = r.Attempted(s.session, err); err != nil {
		if first {
			lifecycle.Unbind(s.session, err)
		}
		return fmt.Errorf("create the session: %w", err)
	}
	r.Inventory.NoteSession(s.cloud.Account(), have)
	if err := r.storeID(ctx, s, have); err != nil {
		return err
	}
	r.Event(s.session, corev1.EventTypeNormal, "Created", "Create",
		"created the session %s in the cloud with VNI %d and priority %d", have.ID, have.VNI, have.Priority)
	return r.converge(ctx, s, want, have)
}

// pause switches the session off that the cloud has, because the spec names no source
// any more. It is not deleted, so that its ID and its numbers stay; and the last source
// is not removed, because the cloud may then blank the target.
func (r *Reconciler) pause(ctx context.Context, s *scope) error {
	s.session.Status.Sources = nil
	const remedy = "spec.sources is empty: name at least one elastic network interface to copy from"
	if s.session.Status.Account == nil { // nothing was ever created
		return lifecycle.Stall(v1alpha1.ReasonNoSources, remedy)
	}
	have, err := r.observe(ctx, s)
	switch {
	case err != nil:
		return err
	case have == nil:
		return lifecycle.Stall(v1alpha1.ReasonNoSources, remedy)
	}
	if have.Enabled {
		off := false
		if err := do(ctx, s.cloud, have.ID, plan.SessionStep{Update: &cloud.SessionUpdate{Enabled: &off}}); err != nil {
			return err
		}
		r.Event(s.session, corev1.EventTypeWarning, v1alpha1.ReasonNoSources, "Update",
			"switched the session %s off, because spec.sources is empty", have.ID)
	}
	return lifecycle.Stall(v1alpha1.ReasonNoSources, "%s. Until then the session %s is switched off in the cloud", remedy, have.ID)
}

// maxRounds bounds how often is planned; the plan needs one.
const maxRounds = 3

// converge does what the plan says until it says nothing more. What the shared list
// shows is confirmed before anything is done about it.
func (r *Reconciler) converge(ctx context.Context, s *scope, want plan.WantedSession, have cloud.Session) error {
	for round := 0; ; round++ {
		if plan.Session(want, have, -1).Empty() {
			record(s, have)
			return nil
		}
		// The limit matters for the order of the steps alone, so a resync need not ask.
		p := plan.Session(want, have, r.sourceLimit(ctx, s))
		if round == maxRounds {
			return lifecycle.Retry(v1alpha1.ReasonProgressing, "the session %s does not settle: still %s", have.ID, plan.Summary(p.Changes))
		}
		if round > 0 || !s.wasSynced {
			if err := r.act(ctx, s, have.ID, p); err != nil {
				return err
			}
		}
		now, err := r.read(ctx, s, have.ID)
		if err != nil {
			return err
		}
		if now == nil {
			return lifecycle.Retry(v1alpha1.ReasonProgressing, "the session %s went from the cloud while it was changed", have.ID)
		}
		have = *now
	}
}

// act does the steps of a plan. On a failure the status shows how far it came.
func (r *Reconciler) act(ctx context.Context, s *scope, id string, p plan.SessionPlan) error {
	switch {
	case s.aside != nil:
		r.Event(s.session, corev1.EventTypeNormal, "Updating", "Step aside",
			"%s: stepping aside until the session %s has left priority %d", plan.Summary(p.Changes), s.aside.ID, s.aside.Priority)
	case s.wasSynced:
		r.Event(s.session, corev1.EventTypeWarning, "DriftCorrected", lifecycle.Restoring(p.Changes), "changed outside: %s; restoring", plan.Summary(p.Changes))
	default:
		r.Event(s.session, corev1.EventTypeNormal, "Updating", "Update", "%s", plan.Summary(p.Changes))
	}
	for _, step := range p.Steps {
		if err := do(ctx, s.cloud, id, step); err != nil {
			// VNI and priority stay as they were chosen: a drift that was not mended must
			// not become what is wanted.
			if now, failed := r.read(ctx, s, id); failed == nil && now != nil && hasSession(s) {
				s.session.Status.Sessions[0].Sources = sorted(now.Sources)
			}
			return err
		}
	}
	return nil
}

// sourceLimit is the quota of sources for a session, or unknown where the cloud does not
// tell it: not knowing a limit must not stop a change.
func (r *Reconciler) sourceLimit(ctx context.Context, s *scope) int {
	quota, err := r.Inventory.Quota(ctx, s.cloud, r.Clock().Add(-r.Resync))
	if err != nil {
		return -1
	}
	return quota.SourcesPerSession
}

// do makes one call of a plan.
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

func sorted(ids []string) []string {
	out := slices.Clone(ids)
	slices.Sort(out)
	return out
}

// tellTraffic makes an event when TrafficObserved turned.
func (r *Reconciler) tellTraffic(s *scope) {
	is := meta.FindStatusCondition(s.session.Status.Conditions, v1alpha1.ConditionTrafficObserved)
	if is == nil || is.Status == status.TrafficIs(s.stored) {
		return
	}
	kind := corev1.EventTypeNormal
	if is.Status == metav1.ConditionFalse {
		kind = corev1.EventTypeWarning
	}
	r.Event(s.session, kind, is.Reason, "Verify", "%s", is.Message)
}

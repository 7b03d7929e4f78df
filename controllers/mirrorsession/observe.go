package mirrorsession

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// observe finds the cloud's session: by the ID in the status, else by the ownership
// mark. It returns nil only when the cloud surely has none; not knowing is an error.
func (r *Reconciler) observe(ctx context.Context, s *scope) (*cloud.Session, error) {
	lost := ""
	if hasSession(s) {
		lost = s.session.Status.Sessions[0].ID
		have, err := r.byID(ctx, s, lost)
		if have != nil || err != nil {
			return have, err
		}
		r.Lost(s.session)
	}
	have, err := r.byMark(ctx, s)
	if have != nil || err != nil {
		return have, err
	}
	if lost != "" {
		r.Event(s.session, corev1.EventTypeWarning, "DriftCorrected", "Create", "the session %s is gone from the cloud: making a new one", lost)
		s.session.Status.Sessions = nil
	}
	return nil, nil
}

// byID reads the shared list in the steady state and the session itself otherwise.
func (r *Reconciler) byID(ctx context.Context, s *scope, id string) (*cloud.Session, error) {
	if s.wasSynced && !lifecycle.Poked(s.session) {
		all, err := r.Inventory.Sessions(ctx, s.cloud, r.FreshSince(s.session))
		if err != nil {
			return nil, fmt.Errorf("list the sessions: %w", err)
		}
		for _, have := range all {
			if have.ID == id {
				return &have, nil
			}
		}
	}
	return r.read(ctx, s, id)
}

// read asks the cloud for one session; nil means surely absent.
func (r *Reconciler) read(ctx context.Context, s *scope, id string) (*cloud.Session, error) {
	account := s.cloud.Account()
	have, err := s.cloud.GetSession(ctx, id)
	switch {
	case cloud.IsNotFound(err):
		if r.Inventory.SessionNoted(account, id, r.Clock().Add(-lifecycle.Settled)) {
			return nil, fmt.Errorf("the session %s was there a moment ago: %w", id, err)
		}
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the session %s: %w", id, err)
	}
	r.Inventory.NoteSession(account, have)
	return &have, nil
}

// byMark looks for the object's own earlier creation.
func (r *Reconciler) byMark(ctx context.Context, s *scope) (*cloud.Session, error) {
	since, conclusive := r.Since(s.session)
	all, err := r.Inventory.Sessions(ctx, s.cloud, since)
	if err != nil {
		return nil, fmt.Errorf("look for an earlier creation of the session: %w", err)
	}
	mark := r.Mark(s.session)
	var own []cloud.Session
	for _, have := range all {
		if m, ok := plan.MarkOf(have.Description); ok && m == mark {
			own = append(own, have)
		}
	}
	switch len(own) {
	case 0:
		if !conclusive {
			return nil, r.Unsure(s.session)
		}
		return nil, nil
	case 1:
		if hasSession(s) && own[0].ID == s.session.Status.Sessions[0].ID {
			return nil, lifecycle.Contradiction("session", own[0].ID)
		}
		if err := r.storeID(ctx, s, own[0]); err != nil {
			return nil, err
		}
		r.Event(s.session, corev1.EventTypeNormal, "Found", "Create", "found the session %s of an earlier attempt", own[0].ID)
		return &own[0], nil
	default:
		ids := make([]string, 0, len(own))
		for _, have := range own {
			ids = append(ids, have.ID)
		}
		return nil, lifecycle.Stall(v1alpha1.ReasonConflict,
			"the cloud has %d sessions with this object's mark: %s. Delete all but one, and that one is taken",
			len(own), strings.Join(ids, ", "))
	}
}

// record puts what the cloud has into the status.
func record(s *scope, have cloud.Session) {
	vni := int32(have.VNI)
	s.session.Status.VNI = &vni
	s.session.Status.Sessions = []v1alpha1.CloudSession{{ID: have.ID, Priority: int32(have.Priority), Sources: sorted(have.Sources)}}
}

// storeID stores the identity of the cloud's session at once: from then on it is found
// without its mark.
func (r *Reconciler) storeID(ctx context.Context, s *scope, have cloud.Session) error {
	lifecycle.Bind(s.session, s.cloud.Account())
	record(s, have)
	if err := r.store(ctx, s); err != nil {
		return err
	}
	r.Stored(s.session)
	return nil
}

func (r *Reconciler) store(ctx context.Context, s *scope) error {
	if _, err := r.Save(ctx, s.stored, s.session); err != nil {
		return err
	}
	s.stored = s.session.DeepCopy()
	return nil
}

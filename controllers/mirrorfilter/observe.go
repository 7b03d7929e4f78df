package mirrorfilter

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

// connect gets the cloud client for the filter's account.
func (r *Reconciler) connect(ctx context.Context, s *scope) (err error) {
	s.cloud, err = r.Connect(ctx, s.filter)
	return err
}

func (r *Reconciler) want(s *scope) (plan.WantedFilter, error) {
	want, err := plan.FilterFrom(s.filter, r.Mark(s.filter))
	if err != nil {
		return want, lifecycle.Stall(v1alpha1.ReasonInvalidRequest, "%s", err)
	}
	return want, nil
}

// observe finds the cloud's filter: by the ID in the status, else by the ownership
// mark. It returns nil only when the cloud surely has none; not knowing is an error.
func (r *Reconciler) observe(ctx context.Context, s *scope, want plan.WantedFilter) (*cloud.Filter, error) {
	lost := s.filter.Status.ID
	if lost != "" {
		have, err := r.byID(ctx, s, want)
		if have != nil || err != nil {
			return have, err
		}
		r.Lost(s.filter)
	}
	have, err := r.byMark(ctx, s)
	if have != nil || err != nil {
		return have, err
	}
	if lost != "" {
		r.Event(s.filter, corev1.EventTypeWarning, "DriftCorrected", "Create", "the filter %s is gone from the cloud: making a new one", lost)
		s.filter.Status.ID, s.filter.Status.Rules, s.filter.Status.RuleCount = "", nil, 0
	}
	return nil, nil
}

// byID believes the shared list while it agrees with the spec, and asks for the filter
// itself otherwise.
func (r *Reconciler) byID(ctx context.Context, s *scope, want plan.WantedFilter) (*cloud.Filter, error) {
	id, account := s.filter.Status.ID, s.cloud.Account()
	all, err := r.listWhenSteady(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if f.ID == id && plan.Filter(want, f, 0).Empty() {
			return &f, nil
		}
	}
	have, err := s.cloud.GetFilter(ctx, id)
	switch {
	case cloud.IsNotFound(err):
		if r.Inventory.FilterNoted(account, id, r.Clock().Add(-lifecycle.Settled)) {
			return nil, fmt.Errorf("the filter %s was there a moment ago: %w", id, err)
		}
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the filter %s: %w", id, err)
	}
	r.Inventory.NoteFilter(account, have)
	return &have, nil
}

// listWhenSteady returns the shared list when its age may serve, nothing when the
// filter itself has to be asked for anyway.
func (r *Reconciler) listWhenSteady(ctx context.Context, s *scope) ([]cloud.Filter, error) {
	if !s.wasSynced || lifecycle.Poked(s.filter) {
		return nil, nil
	}
	all, err := r.Inventory.Filters(ctx, s.cloud, r.FreshSince(s.filter))
	if err != nil {
		return nil, fmt.Errorf("list the filters: %w", err)
	}
	return all, nil
}

// byMark looks for the object's own earlier creation.
func (r *Reconciler) byMark(ctx context.Context, s *scope) (*cloud.Filter, error) {
	since, conclusive := r.Since(s.filter)
	all, err := r.Inventory.Filters(ctx, s.cloud, since)
	if err != nil {
		return nil, fmt.Errorf("look for an earlier creation of this filter: %w", err)
	}
	mark := r.Mark(s.filter)
	var own []cloud.Filter
	for _, f := range all {
		if m, ok := plan.MarkOf(f.Description); ok && m == mark {
			own = append(own, f)
		}
	}
	switch len(own) {
	case 0:
		if !conclusive {
			return nil, r.Unsure(s.filter)
		}
		return nil, nil
	case 1:
		if own[0].ID == s.filter.Status.ID {
			return nil, lifecycle.Contradiction("filter", own[0].ID)
		}
		if err := r.storeID(ctx, s, own[0].ID); err != nil {
			return nil, err
		}
		r.Event(s.filter, corev1.EventTypeNormal, "Found", "Create", "found the filter %s of an earlier attempt", own[0].ID)
		return &own[0], nil
	default:
		ids := make([]string, 0, len(own))
		for _, f := range own {
			ids = append(ids, f.ID)
		}
		return nil, lifecycle.Stall(v1alpha1.ReasonConflict,
			"the cloud has %d filters with this object's mark: %s. Delete those that are not in use, and the remaining one is taken",
			len(own), strings.Join(ids, ", "))
	}
}

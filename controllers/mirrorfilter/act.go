package mirrorfilter

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// create makes the filter, without rules yet, and stores its ID at once.
func (r *Reconciler) create(ctx context.Context, s *scope, want plan.WantedFilter) (*cloud.Filter, error) {
	first := s.filter.Status.Account == nil
	if err := r.storeAccount(ctx, s); err != nil {
		return nil, err
	}
	r.Attempt(s.filter)
	have, err := s.cloud.CreateFilter(ctx, want.Name, want.Description)
	if err = r.Attempted(s.filter, err); err != nil {
		if first {
			lifecycle.Unbind(s.filter, err)
		}
		return nil, fmt.Errorf("create the filter: %w", err)
	}
	r.Inventory.NoteFilter(s.cloud.Account(), have)
	if err := r.storeID(ctx, s, have.ID); err != nil {
		return nil, err
	}
	r.Event(s.filter, corev1.EventTypeNormal, "Created", "Create", "created the filter %s in the cloud", have.ID)
	return &have, nil
}

// storeAccount records where the object lives before anything of it is there: an
// object without a recorded account has nothing in the cloud.
func (r *Reconciler) storeAccount(ctx context.Context, s *scope) error {
	if s.filter.Status.Account != nil {
		return nil
	}
	lifecycle.Bind(s.filter, s.cloud.Account())
	return r.store(ctx, s)
}

func (r *Reconciler) storeID(ctx context.Context, s *scope, id string) error {
	lifecycle.Bind(s.filter, s.cloud.Account())
	s.filter.Status.ID = id
	if err := r.store(ctx, s); err != nil {
		return err
	}
	r.Stored(s.filter)
	return nil
}

func (r *Reconciler) store(ctx context.Context, s *scope) error {
	if _, err := r.Save(ctx, s.stored, s.filter); err != nil {
		return err
	}
	s.stored = s.filter.DeepCopy()
	return nil
}

// maxRounds bounds how often is planned; the plan needs two.
const maxRounds = 4

// converge does what the plan says until it says nothing more.
func (r *Reconciler) converge(ctx context.Context, s *scope, want plan.WantedFilter, have cloud.Filter) error {
	for round := 0; ; round++ {
		if plan.Filter(want, have, 0).Empty() {
			r.show(s, have)
			return nil
		}
		// The limit matters for the order of the steps alone, so a resync need not ask.
		p := plan.Filter(want, have, r.ruleLimit(ctx, s))
		if round == maxRounds {
			return lifecycle.Retry(v1alpha1.ReasonProgressing, "the filter %s does not settle: still %s", have.ID, plan.Summary(p.Changes))
		}
		if round == 0 {
			r.announce(s, p)
		}
		for _, step := range p.Steps {
			if err := do(ctx, s.cloud, have.ID, step); err != nil {
				r.refresh(ctx, s, have.ID)
				return err
			}
		}
		now, err := s.cloud.GetFilter(ctx, have.ID)
		if err != nil {
			return fmt.Errorf("read the filter %s after a change: %w", have.ID, err)
		}
		r.Inventory.NoteFilter(s.cloud.Account(), now)
		have = now
	}
}

// ruleLimit is the quota of rules for each direction, or the documented default where
// the cloud does not tell it: not knowing a limit must not stop a change.
func (r *Reconciler) ruleLimit(ctx context.Context, s *scope) int {
	quota, err := r.Inventory.Quota(ctx, s.cloud, r.Clock().Add(-r.Resync))
	if err != nil {
		return 0
	}
	return quota.RulesPerDirection
}

// refresh notes how far a failed change came, as far as the cloud tells.
func (r *Reconciler) refresh(ctx context.Context, s *scope, id string) {
	if now, err := s.cloud.GetFilter(ctx, id); err == nil {
		r.Inventory.NoteFilter(s.cloud.Account(), now)
		r.show(s, now)
	}
}

// show puts what the cloud has into the status.
func (r *Reconciler) show(s *scope, have cloud.Filter) {
	s.filter.Status.RuleCount = int32(len(have.Rules))
	s.filter.Status.Rules = nil
	for _, rule := range plan.InOrder(have.Rules) {
		s.filter.Status.Rules = append(s.filter.Status.Rules, v1alpha1.FilterRuleStatus{
			Direction: v1alpha1.Direction(rule.Direction), Priority: int32(rule.Priority), ID: rule.ID,
		})
	}
}

// announce tells drift and edits as events. A filter that was just made is not worth one.
func (r *Reconciler) announce(s *scope, p plan.FilterPlan) {
	gap := ""
	if p.Gap {
		gap = "; for a moment less is copied, because no rule slot is free"
	}
	switch {
	case s.wasSynced:
		r.Event(s.filter, corev1.EventTypeWarning, "DriftCorrected", lifecycle.Restoring(p.Changes), "changed outside: %s; restoring%s", plan.Summary(p.Changes), gap)
	case s.stored.Status.RuleCount > 0:
		r.Event(s.filter, corev1.EventTypeNormal, "Updating", "Update", "%s%s", plan.Summary(p.Changes), gap)
	}
}

// do makes one call of a plan.
func do(ctx context.Context, c cloud.Client, filterID string, step plan.FilterStep) error {
	switch {
	case step.UpdateFilter != nil:
		return lifecycle.Doing("update the filter "+filterID, c.UpdateFilter(ctx, filterID, *step.UpdateFilter))
	case step.CreateRule != nil:
		_, err := c.CreateRule(ctx, filterID, *step.CreateRule)
		return lifecycle.Doing(fmt.Sprintf("create rule %s %d", step.CreateRule.Direction, step.CreateRule.Priority), err)
	case step.UpdateRule != nil:
		return lifecycle.Doing(fmt.Sprintf("update rule %s %d", step.UpdateRule.Direction, step.UpdateRule.Priority),
			c.UpdateRule(ctx, step.UpdateRule.ID, step.UpdateRule.RuleSpec))
	case step.DeleteRule != nil:
		err := c.DeleteRule(ctx, step.DeleteRule.ID)
		if cloud.IsNotFound(err) {
			return nil
		}
		return lifecycle.Doing(fmt.Sprintf("delete rule %s %d", step.DeleteRule.Direction, step.DeleteRule.Priority), err)
	default:
		return nil
	}
}

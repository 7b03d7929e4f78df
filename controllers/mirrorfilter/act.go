package mirrorfilter

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// mend does what brings have in line with want, and makes an event of that the first time.
func (s *scope) mend(part *lifecycle.Part[cloud.Filter], want plan.WantedFilter) func(cloud.Filter) ([]plan.Change, lifecycle.Mend[cloud.Filter]) {
	announced := false
	return func(have cloud.Filter) ([]plan.Change, lifecycle.Mend[cloud.Filter]) {
		diff := plan.DiffFilter(want, have)
		return diff.Changes, func(ctx context.Context) (*cloud.Filter, error) {
			// The limit matters for the order alone, so what does not differ need not ask.
			steps, gap := diff.Steps(s.ruleLimit(ctx))
			s.begins(want, have)
			if !announced {
				s.announce(diff.Changes, gap)
				announced = true
			}
			told := new(have)
			told.Rules = slices.Clone(have.Rules)
			for _, step := range steps {
				rule, err := do(ctx, s.Cloud, have.ID, step)
				did := part.DidOver
				if step.CreateRule != nil { // it takes nothing back, and a new filter gets one after the other
					did = part.Did
				}
				if did(err) != nil {
					return nil, s.narrow(ctx, part, want, have.ID, err)
				}
				if rule == nil {
					told = nil
				}
				if told != nil {
					told.Rules = append(told.Rules, *rule)
				}
			}
			return told, nil
		}
	}
}

// narrow takes away what the spec no longer accepts, after a step that failed in a way that
// does not end soon, and returns why.
func (s *scope) narrow(ctx context.Context, part *lifecycle.Part[cloud.Filter], want plan.WantedFilter, id string, why error) error {
	if !lifecycle.Lasting(why) {
		return why
	}
	// Some steps were done, so it is compared anew.
	now, err := s.Cloud.GetFilter(ctx, id)
	if err != nil {
		return why
	}
	diff := plan.DiffFilter(want, now)
	for _, step := range diff.Narrowing() {
		_, failed := do(ctx, s.Cloud, id, step)
		err = errors.Join(err, part.DidOver(failed))
	}
	return errors.Join(err, why) // the first decides when it is tried again
}

// ruleLimit is the quota of rules for each direction, or unknown where the cloud does not
// have it: not knowing a limit must not stop a change.
func (s *scope) ruleLimit(ctx context.Context) int {
	quota, err := s.Inventory.Quota(ctx, s.Cloud, s.Clock().Add(-s.Resync))
	if err != nil {
		return 0
	}
	return quota.RulesPerDirection
}

// announce makes an event of drift or an edit. A filter that was just made is worth none.
func (s *scope) announce(changes []plan.Change, gap bool) {
	note := ""
	if gap {
		note = "; for a moment less is copied, because no rule slot is free"
	}
	switch {
	case s.WasSynced:
		s.Event(corev1.EventTypeWarning, "DriftCorrected", lifecycle.Restoring(changes), "changed outside: %s; restoring%s", s.Summary(changes), note)
	case s.filter.Status.RuleCount > 0:
		s.Event(corev1.EventTypeNormal, "Updating", "Update", "%s%s", s.Summary(changes), note)
	}
}

// do makes one call. The rule that it has made is as the cloud's answer shows it, nil for any other
// call.
func do(ctx context.Context, c cloud.Client, filterID string, step plan.FilterStep) (*cloud.Rule, error) {
	switch {
	case step.UpdateFilter != nil:
		return nil, lifecycle.Doing("update the filter "+filterID, c.UpdateFilter(ctx, filterID, *step.UpdateFilter))
	case step.CreateRule != nil:
		made, err := c.CreateRule(ctx, filterID, *step.CreateRule)
		return &made, lifecycle.Doing(fmt.Sprintf("create rule %s %d", step.CreateRule.Direction, step.CreateRule.Priority), err)
	case step.UpdateRule != nil:
		return nil, lifecycle.Doing(fmt.Sprintf("update rule %s %d", step.UpdateRule.Direction, step.UpdateRule.Priority),
			c.UpdateRule(ctx, step.UpdateRule.ID, step.UpdateRule.RuleSpec))
	case step.DeleteRule != nil:
		err := c.DeleteRule(ctx, step.DeleteRule.ID)
		if cloud.IsNotFound(err) {
			return nil, nil
		}
		return nil, lifecycle.Doing(fmt.Sprintf("delete rule %s %d", step.DeleteRule.Direction, step.DeleteRule.Priority), err)
	default:
		return nil, nil
	}
}

package mirrorfilter

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// oneCall is a cloud that answers every change of rules with an error, and keeps its name.
type oneCall struct {
	cloud.Client
	err  error
	call string
}

func (c *oneCall) UpdateFilter(context.Context, string, cloud.FilterUpdate) error {
	c.call = "update filter"
	return c.err
}

func (c *oneCall) CreateRule(context.Context, string, cloud.RuleSpec) (cloud.Rule, error) {
	c.call = "create rule"
	return cloud.Rule{}, c.err
}

func (c *oneCall) UpdateRule(context.Context, string, cloud.RuleSpec) error {
	c.call = "update rule"
	return c.err
}

func (c *oneCall) DeleteRule(context.Context, string) error {
	c.call = "delete rule"
	return c.err
}

func TestAStepIsOneCallAndItsErrorSaysWhatWasBeingDone(t *testing.T) {
	rule := cloud.RuleSpec{Direction: cloud.Ingress, Priority: 3}
	failed, gone := errors.New("503"), &cloud.Error{Class: cloud.ClassNotFound, Op: "DeleteRule"}
	for name, c := range map[string]struct {
		step plan.FilterStep
		err  error
		want []string // the call, and the error
	}{
		"a name":                          {plan.FilterStep{UpdateFilter: &cloud.FilterUpdate{}}, failed, []string{"update filter", "update the filter f: 503"}},
		"a rule that is added":            {plan.FilterStep{CreateRule: &rule}, failed, []string{"create rule", "create rule Ingress 3: 503"}},
		"a rule that is changed":          {plan.FilterStep{UpdateRule: &cloud.Rule{ID: "r", RuleSpec: rule}}, failed, []string{"update rule", "update rule Ingress 3: 503"}},
		"a rule that is removed":          {plan.FilterStep{DeleteRule: &cloud.Rule{ID: "r", RuleSpec: rule}}, failed, []string{"delete rule", "delete rule Ingress 3: 503"}},
		"a rule that was removed already": {plan.FilterStep{DeleteRule: &cloud.Rule{ID: "r", RuleSpec: rule}}, gone, []string{"delete rule", ""}},
		"a step without an error":         {plan.FilterStep{CreateRule: &rule}, nil, []string{"create rule", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			client, said := &oneCall{err: c.err}, ""
			if _, err := do(t.Context(), client, "f", c.step); err != nil {
				said = err.Error()
			}
			if diff := cmp.Diff(c.want, []string{client.call, said}); diff != "" {
				t.Errorf("call and error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheStatusListsTheCloudsRulesInOrder(t *testing.T) {
	s := &scope{filter: &v1alpha1.MirrorFilter{}}
	s.record(cloud.Filter{ID: "f", Rules: []cloud.Rule{
		{ID: "c", RuleSpec: cloud.RuleSpec{Direction: cloud.Egress, Priority: 1}},
		{ID: "b", RuleSpec: cloud.RuleSpec{Direction: cloud.Ingress, Priority: 9}},
		{ID: "a", RuleSpec: cloud.RuleSpec{Direction: cloud.Ingress, Priority: 2}},
	}})
	want := v1alpha1.MirrorFilterStatus{ID: "f", RuleCount: 3, Rules: []v1alpha1.FilterRuleStatus{
		{Direction: "Ingress", Priority: 2, ID: "a"}, {Direction: "Ingress", Priority: 9, ID: "b"}, {Direction: "Egress", Priority: 1, ID: "c"},
	}}
	if diff := cmp.Diff(want, s.filter.Status, cmpopts.IgnoreFields(v1alpha1.MirrorFilterStatus{}, "Epoch", "EpochBasis")); diff != "" {
		t.Errorf("the status (-want +got):\n%s", diff)
	}
}

package mirrorfilter

import (
	"context"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// part is the filter in the cloud. The scope must be connected.
func (s *scope) part() *lifecycle.Part[cloud.Filter] {
	st := &s.filter.Status
	return &lifecycle.Part[cloud.Filter]{
		Scope: s.Scope, Number: 1, Collection: s.collection(), Name: plan.NameOf(s.filter, &s.filter.Spec.CloudSpec),
		ImportID: s.filter.Spec.ImportID(),
		StoredID: func() string { return st.ID },
		Record:   s.record,
		Progress: func(have cloud.Filter) {
			s.changed(have)
			s.record(have)
		},
		Epoch:  s.epoch,
		Absent: func() { st.ID, st.RuleCount, st.Rules = "", 0, nil },
	}
}

func (s *scope) collection() lifecycle.Collection[cloud.Filter] {
	account := s.Cloud.Account()
	return lifecycle.Collection[cloud.Filter]{
		Kind: "filter", Identity: lifecycle.FilterIdentity, State: plan.FilterState,
		List: func(ctx context.Context, notBefore time.Time) (lifecycle.Listed[cloud.Filter], error) {
			return s.Inventory.Filters(ctx, s.Cloud, notBefore)
		},
		Get:    s.Cloud.GetFilter,
		Delete: s.Cloud.DeleteFilter,
		Describe: func(ctx context.Context, id, description string) error {
			return s.Cloud.UpdateFilter(ctx, id, cloud.FilterUpdate{Description: &description})
		},
		Note:   func(f cloud.Filter) { s.Inventory.NoteFilter(account, f) },
		Forget: func(id string) { s.Inventory.ForgetFilter(account, id) },
		Noted:  func(id string, since time.Time) bool { return s.Inventory.FilterNoted(account, id, since) },
	}
}

// epoch begins a new epoch when the rules are not those of the present one.
func (s *scope) epoch(have cloud.Filter) bool {
	st := &s.filter.Status
	next, begins := plan.Epoch{Number: st.Epoch, Basis: st.EpochBasis}.Next(plan.FilterBasis(have))
	st.Epoch, st.EpochBasis = next.Number, next.Basis
	return begins
}

// record puts what the cloud has into the status.
func (s *scope) record(have cloud.Filter) {
	st := &s.filter.Status
	s.epoch(have)
	st.ID, st.RuleCount, st.Rules = have.ID, int32(len(have.Rules)), nil
	for _, rule := range plan.InOrder(have.Rules) {
		st.Rules = append(st.Rules, v1alpha1.FilterRuleStatus{
			Direction: v1alpha1.Direction(rule.Direction), Priority: int32(rule.Priority), ID: rule.ID,
		})
	}
}

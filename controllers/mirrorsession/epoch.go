package mirrorsession

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/plan"
)

// observed puts into the status what was found, once what the spec names is resolved as far as
// it can be. What only a shared list shows must be confirmed before it counts.
func (s *scope) observed() {
	for _, number := range s.numbersKnown() {
		if s.parts.absent[number] {
			s.vanished(number)
		}
	}
	for number := range s.parts.have {
		if !s.parts.known[number].Confirmed() {
			return
		}
	}
	s.show()
	s.epoch()
}

// epoch begins a new epoch when what the cloud has is not what the present one stands for.
// The epoch is in the same status as what was found, so it is
// never raised before the cloud has changed.
func (s *scope) epoch() {
	st := &s.session.Status
	basis := plan.Absent
	if have := s.inCloud(); have != nil {
		// Of the filter that the cloud's session has; one that can't be read is as it was.
		filterEpoch := plan.FilterEpochIn(st.EpochBasis)
		if s.filter != nil && s.filter.Status.ID == have.FilterID {
			filterEpoch = plan.Epoch{Number: s.filter.Status.Epoch, Basis: s.filter.Status.EpochBasis}
		}
		basis = plan.SessionBasis(filterEpoch, s.each()...)
	}
	known := make([]int64, 0, len(st.Verification))
	for i := range st.Verification {
		known = append(known, st.Verification[i].Epoch)
	}
	next, begins := plan.Epoch{Number: st.Epoch, Basis: st.EpochBasis}.Next(basis, known...)
	if !begins {
		return
	}
	st.Epoch, st.EpochBasis = next.Number, next.Basis
	if st.Traffic == nil {
		st.Traffic = &v1alpha1.Traffic{}
	}
	st.Traffic.Since = &metav1.Time{Time: s.Clock()}
}

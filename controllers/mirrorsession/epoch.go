package mirrorsession

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// observed puts into the status what was found, once what the spec names is resolved as far as
// it can be. What only a shared list shows must be confirmed before it counts.
func (s *scope) observed(part *lifecycle.Part[cloud.Session], have *cloud.Session) {
	switch {
	case have == nil:
		s.vanished()
		s.epoch(nil)
	case part.Confirmed():
		s.show(*have)
		s.epoch(have)
	}
}

// epoch begins a new epoch when what the cloud has is not what the present one stands for; nil
// is that it surely has nothing. The epoch is in the same status as what was found, so it is
// never raised before the cloud has changed.
func (s *scope) epoch(have *cloud.Session) {
	st := &s.session.Status
	basis := plan.Absent
	if have != nil {
		// Of the filter that the cloud's session has; one that can't be read is as it was.
		filterEpoch := plan.FilterEpochIn(st.EpochBasis)
		if s.filter != nil && s.filter.Status.ID == have.FilterID {
			filterEpoch = plan.Epoch{Number: s.filter.Status.Epoch, Basis: s.filter.Status.EpochBasis}
		}
		basis = plan.SessionBasis(*have, filterEpoch)
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

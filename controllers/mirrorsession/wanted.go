package mirrorsession

import (
	"context"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
	"vpcmirror.io/operator/controllers/plan"
)

// wanted is what the specs ask of the cloud. The session is compared with that after it was brought
// in line, so what differs then could not be. A MirrorFilter is put back by itself, which its own
// reconcile tells; only one that is suspended, or observed, stays as somebody has changed it.
func (r *pathReader) wanted(p *diagnosis.Path) diagnosis.Wanted {
	wanted := diagnosis.Wanted{Session: r.changes.all, Parts: r.changes.wanted}
	f := r.filter
	if f == nil || !leftAlone(f) || f.Status.ID == "" || f.Status.ID != p.Session.FilterID {
		return wanted
	}
	if filter, err := plan.FilterFrom(f, r.Mark(f, 1)); err == nil { // else its own conditions say
		wanted.Filter, wanted.FilterLeft, wanted.FilterObserved = &filter, true, !f.Spec.Suspend
	}
	return wanted
}

// quota is what the account may have, where the cloud refuses the session for that; nil where it is
// not needed or known.
func (r *pathReader) quota(ctx context.Context) *cloud.Quota {
	if cloud.ClassOf(r.outcome) != cloud.ClassQuota {
		return nil
	}
	quota, err := r.Inventory.Quota(ctx, r.Cloud, r.began.Add(-r.Resync))
	if err != nil {
		return nil // the documented ones serve
	}
	return &quota
}

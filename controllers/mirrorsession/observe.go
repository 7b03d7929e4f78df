package mirrorsession

import (
	"context"
	"slices"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// part is the session in the cloud, the only one today. The scope must be connected.
func (s *scope) part() *lifecycle.Part[cloud.Session] {
	const first = 1
	return &lifecycle.Part[cloud.Session]{
		Scope: s.Scope, Number: first, Collection: s.collection(), Name: plan.NameOf(s.session, &s.session.Spec.CloudSpec),
		StoredID: func() string {
			if stored := s.session.Part(first); stored != nil {
				return stored.ID
			}
			return ""
		},
		Record: s.record,
		Epoch: func(have cloud.Session) bool {
			s.begins(have) // before that is stored
			s.epoch(&have)
			return s.session.Status.Epoch != s.storedSession().Status.Epoch // it may have begun when have was found
		},
		// VNI and priority stay as they were chosen: a drift that was not mended must not
		// become what is wanted.
		Progress: func(have cloud.Session) {
			s.changed(have)
			s.have = &have
			s.show(have)
			s.epoch(&have)
			if stored := s.session.Part(first); stored != nil {
				stored.Sources = sorted(have.Sources)
			}
		},
	}
}

func (s *scope) collection() lifecycle.Collection[cloud.Session] {
	account := s.Cloud.Account()
	return lifecycle.Collection[cloud.Session]{
		Kind: "session", Identity: lifecycle.SessionIdentity,
		List: func(ctx context.Context, notBefore time.Time) (lifecycle.Listed[cloud.Session], error) {
			return s.Inventory.Sessions(ctx, s.Cloud, notBefore)
		},
		Get:    s.Cloud.GetSession,
		Delete: s.Cloud.DeleteSession,
		Describe: func(ctx context.Context, id, description string) error {
			return s.Cloud.UpdateSession(ctx, id, cloud.SessionUpdate{Description: &description})
		},
		Note:   func(have cloud.Session) { s.Inventory.NoteSession(account, have) },
		Forget: func(id string) { s.Inventory.ForgetSession(account, id) },
		Noted:  func(id string, since time.Time) bool { return s.Inventory.SessionNoted(account, id, since) },
	}
}

// record puts what the cloud has into the status.
func (s *scope) record(have cloud.Session) {
	s.have = &have
	vni := int32(have.VNI)
	s.session.Status.VNI = &vni
	s.show(have)
	s.epoch(&have)
	s.session.Status.Sessions = []v1alpha1.CloudSession{{ID: have.ID, Priority: int32(have.Priority), Sources: sorted(have.Sources)}}
}

func sorted(ids []string) []string {
	out := slices.Clone(ids)
	slices.Sort(out)
	return out
}

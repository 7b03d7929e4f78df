package lifecycle

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
)

// clientMemo keeps for each object the cloud client that it had last.
type clientMemo struct {
	mu   sync.Mutex
	last map[types.UID]cloud.Client
}

func newClientMemo() *clientMemo { return &clientMemo{last: make(map[types.UID]cloud.Client)} }

func (m *clientMemo) of(uid types.UID) cloud.Client {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last[uid]
}

func (m *clientMemo) keep(uid types.UID, c cloud.Client) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last[uid] = c
}

func (m *clientMemo) forget(uid types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.last, uid)
}

// Connect gets the cloud client for the object and checks that it is for the object's
// account. When the Secret was removed by force, an object that is being deleted is
// served with the client it had before.
func (s *Scope) Connect(ctx context.Context) error {
	o := s.Object
	deleting := !o.GetDeletionTimestamp().IsZero()
	// In the steady state credentials may be as old as what the cloud is compared with.
	since := s.FreshSince()
	if deleting || s.Tried() {
		since = s.Clock()
	}
	c, err := s.Clients.ClientFor(ctx, o.GetNamespace(), o.Cloud(), since, s.enter)
	if !credentialsMissing(err) {
		s.noteSecret(ctx, since)
	}
	if err != nil {
		last := s.clients.of(o.GetUID())
		if last == nil || !deleting || !credentialsMissing(err) {
			return err
		}
		log.FromContext(ctx).Info("Deleting with the credentials of before", "because", err.Error())
		if err := s.enter(last.Account().Endpoint); err != nil {
			return err
		}
		c = last
	}
	if err := checkAccount(o, c.Account()); err != nil {
		return err
	}
	s.Cloud = c
	if s.Observes() {
		s.Cloud = cloud.ReadOnly(c)
	}
	if !s.owned() {
		return nil // client and Secret are kept for what the cloud has
	}
	s.clients.keep(o.GetUID(), c)
	if deleting {
		return nil
	}
	return s.guardSecret(ctx, since)
}

// enter takes a worker for the object among those of its server.
func (s *Scope) enter(server string) (err error) {
	s.waited, err = s.lane().Enter(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(s.Object)}, server,
		Precedence{Urgent: s.urgency() == cloud.Edited, Created: s.Object.GetCreationTimestamp().Time})
	return err
}

func (s *Scope) lane() *Lane {
	if _, ok := s.Object.(*v1alpha1.MirrorSession); ok {
		return &s.Sessions
	}
	return &s.Filters
}

// checkAccount refuses a client for another account than the one in which the object
// lives. Nothing is created, changed or deleted then.
func checkAccount(o status.Object, account cloud.Account) error {
	bound := o.Common().Account
	if bound == nil || plan.SameAccount(bound, account) {
		return nil
	}
	return Stall(v1alpha1.ReasonAccountChanged,
		"the object lives in %s, but its credentials are now for %s: nothing was touched. Restore the old credentials, or delete the object with them and create it anew",
		describe(plan.AccountOf(bound)), describe(account)).Probed()
}

func describe(a cloud.Account) string {
	return fmt.Sprintf("project %s of region %s at %s", a.ProjectID, a.Region, a.Endpoint)
}

package lifecycle

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
)

// quotaAccount is a client that lists no session and counts how often its quota is read.
type quotaAccount struct {
	cloud.Client // no other method may be called

	account cloud.Account
	failure error
	read    atomic.Int64
}

func (q *quotaAccount) Account() cloud.Account { return q.account }

func (q *quotaAccount) ListSessions(context.Context) ([]cloud.Session, error) { return nil, nil }

func (q *quotaAccount) GetQuota(context.Context) (cloud.Quota, error) {
	q.read.Add(1)
	return cloud.Quota{Sessions: 20}, q.failure
}

func TestTheQuotaOfAnAccountInUseIsReadOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		services := New(Options{Clock: time.Now, Resync: 10 * time.Minute, Inventory: inventory.New(time.Now)})
		quotas := NewQuotas(services)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- quotas.Start(ctx) }()
		may := &quotaAccount{account: cloud.Account{Region: "r", ProjectID: "may"}}
		mayNot := &quotaAccount{account: cloud.Account{Region: "r", ProjectID: "may-not"}, failure: &cloud.Error{Class: cloud.ClassPermission, Op: "GetQuota"}}
		list := func(all ...*quotaAccount) {
			t.Helper()
			for _, c := range all {
				if _, err := services.Inventory.Sessions(t.Context(), c, time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		quota := func(account string) (sessions int) {
			for _, k := range services.Inventory.Known() {
				if k.Account.ProjectID == account && k.Quota != nil {
					return k.Quota.Sessions
				}
			}
			return -1
		}
		same(t, "reads before an account is in use", int64(0), may.read.Load())
		for range 6 {
			list(may, mayNot)
			<-time.After(10 * time.Minute)
		}
		same(t, "reads within an hour", int64(1), may.read.Load())
		same(t, "reads of one that may not, within an hour", int64(1), mayNot.read.Load())
		same(t, "what is known", 20, quota("may"))
		same(t, "what is known of one that may not", -1, quota("may-not"))
		<-time.After(time.Minute)
		list(may)
		same(t, "reads after an hour", int64(2), may.read.Load())
		same(t, "reads of one that is not listed any more", int64(1), mayNot.read.Load())
		<-time.After(2 * quotaAge)
		list(may)
		if _, kept := quotas.asked[mayNot.account]; kept {
			t.Error("an account that nobody has used for hours is still remembered")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		same(t, "only the leader reads the cloud", true, quotas.NeedLeaderElection())
	})
}

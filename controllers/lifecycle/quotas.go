package lifecycle

import (
	"context"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/tracing"
)

// quotaAge is how old what is known of an account's quota may be. People raise it now and then.
const quotaAge = time.Hour

// quotaTimeout bounds one read, as other accounts wait.
const quotaTimeout = 30 * time.Second

// Quotas keeps it known what each account may have, so that somebody is told before nothing more can be made.
// An account that may not read its quota is asked as seldom. Make it with NewQuotas.
type Quotas struct {
	services *Services

	mu      sync.Mutex
	pending map[cloud.Account]cloud.Client
	arrived chan struct{}
	// asked is when each account was asked last; Start alone uses it.
	asked map[cloud.Account]time.Time
}

// NewQuotas returns what reads the quotas of the accounts whose sessions are listed.
func NewQuotas(s *Services) *Quotas {
	q := &Quotas{services: s, pending: map[cloud.Account]cloud.Client{}, arrived: make(chan struct{}, 1), asked: map[cloud.Account]time.Time{}}
	s.Inventory.WatchSessions(q.listed)
	return q
}

// listed notes that an account is in use, and who may read it.
func (q *Quotas) listed(c cloud.Client, _ time.Time, _ []cloud.Session) {
	q.mu.Lock()
	q.pending[c.Account()] = c
	q.mu.Unlock()
	select {
	case q.arrived <- struct{}{}:
	default: // it is told already
	}
}

// NeedLeaderElection is true: only the leader reads the cloud.
func (q *Quotas) NeedLeaderElection() bool { return true }

// Start reads quotas until ctx ends.
func (q *Quotas) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-q.arrived:
		}
		q.mu.Lock()
		pending := q.pending
		q.pending = map[cloud.Account]cloud.Client{}
		q.mu.Unlock()
		for account, c := range pending {
			q.read(ctx, account, c)
		}
		q.forget()
	}
}

func (q *Quotas) read(ctx context.Context, account cloud.Account, c cloud.Client) {
	now := q.services.Clock()
	if now.Sub(q.asked[account]) < quotaAge {
		return
	}
	q.asked[account] = now
	ctx, cancel := context.WithTimeout(tracing.Noting(ctx), quotaTimeout)
	defer cancel()
	if _, err := q.services.Inventory.Quota(ctx, c, now.Add(-quotaAge)); err != nil && ctx.Err() == nil {
		log.FromContext(ctx).V(1).Info("The quota of an account is not known", "account", describe(account), "because", err.Error())
	}
}

// forget drops the accounts that nobody uses any more.
func (q *Quotas) forget() {
	for account, at := range q.asked {
		if q.services.Clock().Sub(at) > 2*quotaAge {
			delete(q.asked, account)
		}
	}
}

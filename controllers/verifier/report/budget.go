package report

import (
	"time"

	"golang.org/x/time/rate"

	"vpcmirror.io/operator/api/v1alpha1"
)

// The writes of one host. Those that only move numbers are at most v1alpha1.NodeReportsPerSecond,
// after a few that may come at once. Edges are what readers wait for, and have a budget of their own:
// those of as many sessions as one host may well have go out within seconds, but not again and again.
const (
	// EdgesAtOnce is how many edges one host may write in a row: some for each of 300 sessions.
	// Afterwards it may write as many a second as numbers.
	EdgesAtOnce = 1000
	// EdgesPerSecond is how fast they are in a row.
	EdgesPerSecond = 40
	// ClusterEdgesPerSecond is how many edges the API server gets from all hosts together, when all
	// have some at the same moment, beyond the first few of each: a host with half of the sessions
	// writes half of them.
	ClusterEdgesPerSecond = 2000
	// fewEdges and fewNumbers are how many may come in the same moment.
	fewEdges   = 10
	fewNumbers = 5
)

// Budget bounds the writes of one host. Make it with [NewBudget]. It is not safe for concurrent use.
type Budget struct{ row, pace, numbers *rate.Limiter }

// NewBudget returns a budget of which nothing is spent.
func NewBudget() *Budget {
	return &Budget{
		row:     rate.NewLimiter(v1alpha1.NodeReportsPerSecond, EdgesAtOnce),
		pace:    rate.NewLimiter(EdgesPerSecond, fewEdges),
		numbers: rate.NewLimiter(v1alpha1.NodeReportsPerSecond, fewNumbers),
	}
}

// Share says how many of the cluster's sessions the host has.
func (b *Budget) Share(now time.Time, sessions, ofNode int) {
	share := float64(ClusterEdgesPerSecond) * float64(ofNode) / float64(max(sessions, ofNode, 1))
	if limit := rate.Limit(min(max(share, v1alpha1.NodeReportsPerSecond), EdgesPerSecond)); b.pace.Limit() != limit {
		b.pace.SetLimitAt(now, limit)
	}
}

// Spend takes a write out of the budget, and reports whether there was one. What is no edge is
// numbers.
func (b *Budget) Spend(now time.Time, urgency Urgency) bool {
	if urgency != Edge {
		return b.numbers.AllowN(now, 1)
	}
	return b.row.TokensAt(now) >= 1 && b.pace.AllowN(now, 1) && b.row.AllowN(now, 1)
}

// Next is when there is something to spend again, if nothing is spent until then.
func (b *Budget) Next(now time.Time, urgency Urgency) time.Time {
	if urgency != Edge {
		return now.Add(until(b.numbers, now))
	}
	return now.Add(max(until(b.row, now), until(b.pace, now)))
}

// until is how long it takes until a limiter allows something.
func until(l *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - l.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing/float64(l.Limit())*float64(time.Second)) + time.Millisecond
}

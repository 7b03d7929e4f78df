package scale

import (
	"context"
	"time"

	"vpcmirror.io/operator/test/bench/cluster"
	"vpcmirror.io/operator/test/bench/proc"
)

// span is what the manager does and uses from its beginning to its end.
type span struct {
	t         *trial
	began     time.Time
	cpu       *proc.Meter
	calls     calls
	looks     float64
	allocated float64
}

// spent is what happened in a span.
type spent struct {
	calls     calls            // to the cloud
	requests  cluster.Requests // to the API server
	looks     float64
	allocated float64 // MiB
	cpu       time.Duration
	percent   float64 // of a core
	took      time.Duration
}

// begin begins a span.
func (t *trial) begin(ctx context.Context) (*span, error) {
	now, err := t.cloud.stats(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := t.Audit.Next(); err != nil {
		return nil, err
	}
	f, err := t.manager.figures(ctx)
	if err != nil {
		return nil, err
	}
	cpu, err := proc.Begin(t.manager.process.PID)
	return &span{t: t, began: time.Now(), cpu: cpu, calls: now.Operations, looks: f.looks, allocated: f.allocated}, err
}

// fresh is a span that began with the manager's process.
func (t *trial) fresh(before calls) *span {
	return &span{t: t, began: t.manager.began, cpu: proc.New(t.manager.process.PID, t.manager.began), calls: before}
}

// end returns what happened since its beginning.
func (s *span) end(ctx context.Context) (spent, error) {
	out, err := s.peek(ctx)
	if err != nil {
		return out, err
	}
	out.requests, err = s.t.Audit.Next()
	return out, err
}

// peek is end without the requests to the API server, for a span that goes on.
func (s *span) peek(ctx context.Context) (spent, error) {
	var out spent
	var err error
	if out.cpu, out.percent, err = s.cpu.Used(); err != nil {
		return out, err
	}
	out.took = time.Since(s.began)
	now, err := s.t.cloud.stats(ctx)
	if err != nil {
		return out, err
	}
	f, err := s.t.manager.figures(ctx)
	if err != nil {
		return out, err
	}
	out.calls, out.looks, out.allocated = now.Operations.since(s.calls), f.looks-s.looks, (f.allocated-s.allocated)/(1<<20)
	return out, nil
}

// pass is a span of so long.
func (t *trial) pass(ctx context.Context, d time.Duration) (spent, error) {
	s, err := t.begin(ctx)
	if err != nil {
		return spent{}, err
	}
	if err := cluster.Pause(ctx, d); err != nil {
		return spent{}, err
	}
	return s.end(ctx)
}

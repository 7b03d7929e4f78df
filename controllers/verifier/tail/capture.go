package tail

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"vpcmirror.io/operator/controllers/verifier/agent"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/tally"
)

// found is what another look at the session has shown.
type found struct {
	now agent.Counting
	err error
}

// captureFor captures for a session as it is now, until ctx ends, a limit is reached (t.over), something fails, or
// the session is such that something else has to be captured: then it returns what it is next.
func (t *tailer) captureFor(ctx context.Context, now agent.Counting) (next agent.Counting, err error) {
	ring, err := t.Open(now.Local, t.Port, narrow(now, t.Payload))
	if err != nil {
		return now, fmt.Errorf("capture on %s: %w", now.Local.Name, err)
	}
	defer func() {
		stats, _ := ring.Stats() // those that could be read
		t.dropped += stats.Drops
		err = errors.Join(err, ring.Close())
	}()
	for {
		t.begin(now)
		next, err := t.capture(ctx, ring, now)
		if err != nil || ctx.Err() != nil || t.over != "" {
			return next, err
		}
		if !sameCapture(now, next) {
			t.note("%s: the session has changed, and copies that came meanwhile may be missing", t.Session)
			return next, nil
		}
		t.note("%s: the session has changed", t.Session)
		now = next
	}
}

// sameCapture reports whether the same is to be captured for both: what the filter says of it, and for which session, is
// decided afterwards.
func sameCapture(a, b agent.Counting) bool {
	return a.Local.Index == b.Local.Index && a.Local.Name == b.Local.Name && slices.Equal(narrow(a, false).Sources, narrow(b, false).Sources)
}

// capture shows copies from a ring, and returns as captureFor does, or when the session has changed at all.
func (t *tailer) capture(ctx context.Context, ring *capture.Ring, now agent.Counting) (next agent.Counting, err error) {
	judge, err := tally.NewJudge(now.Session, t.Port)
	if err != nil {
		return now, fmt.Errorf("judge the copies: %w", err)
	}
	looks, stop := t.look(ctx, now)
	defer stop()
	for ctx.Err() == nil && t.over == "" {
		select {
		case f := <-looks:
			return f.now, f.err
		case err := <-t.written:
			t.written <- nil
			return now, err
		default:
		}
		block, err := ring.Next(blockWait)
		if err != nil {
			return now, fmt.Errorf("capture on %s: %w", now.Local.Name, err)
		}
		if block != nil {
			t.show(block, judge, now)
			block.Release()
		}
	}
	return now, nil
}

// narrow is what of all that comes to the host is to be captured.
func narrow(c agent.Counting, whole bool) capture.Narrow {
	n := capture.Narrow{Whole: whole}
	for _, s := range c.Session.Sources {
		n.Sources = append(n.Sources, s.OuterAddrs...)
	}
	return n
}

// look reads the session again and again beside the capture, and tells once what is worth another begin. What can't be
// read now is told and tried again: the API server may be away for longer than whoever looks at packets wants to be.
func (t *tailer) look(ctx context.Context, now agent.Counting) (<-chan found, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	out, done := make(chan found, 1), make(chan struct{})
	go func() {
		defer close(done)
		told := false
		for {
			select {
			case <-time.After(t.Every):
			case <-ctx.Done():
				return
			}
			next, err := t.locate(ctx)
			if ctx.Err() != nil {
				return
			}
			if _, later := errors.AsType[unreadable](err); later {
				if !told {
					t.note("%s: copies are shown as of before: %v", t.Session, err)
				}
				told = true
				continue
			}
			if err != nil || !reflect.DeepEqual(now, next) {
				out <- found{next, err}
				return
			}
		}
	}()
	return out, func() { cancel(); <-done }
}

// show queues the copies of a block.
func (t *tailer) show(block *capture.Block, judge *tally.Judge, now agent.Counting) {
	var f capture.Frame
	for t.over == "" && block.Next(&f) {
		judge.Frame(&f, func(c *tally.Copy) { t.copy(c, now) })
	}
}

// copy queues one copy, or loses it.
func (t *tailer) copy(c *tally.Copy, now agent.Counting) {
	if t.over != "" {
		return
	}
	t.seen++
	const line = 512 // or somewhat more: rendering costs, and what is lost need not be rendered
	if t.queue.full(line) {
		t.missing, t.lost = t.missing+1, t.lost+1
		return
	}
	record := t.record(c, now.Session.Rules, now.Judged, t.Port, t.missing)
	if t.queue.full(len(record)) {
		t.missing, t.lost = t.missing+1, t.lost+1
		return
	}
	ok, over := t.spent.admit(t.Limits, len(record))
	t.over = over
	if !ok {
		t.seen--
		return
	}
	t.missing = 0
	t.queue.put(record)
}

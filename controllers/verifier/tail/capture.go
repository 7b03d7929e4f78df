package tail

import (
	"context"
	"errors"
	"fmt"
	"reflect"
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

// capture shows copies of the session as it is now, until ctx ends, a limit is reached (t.over), something
// fails, or the session has changed: then it returns what it is next.
func (t *tailer) capture(ctx context.Context, now agent.Counting) (next agent.Counting, err error) {
	judge, err := tally.NewJudge(now.Session, t.Port)
	if err != nil {
		return now, fmt.Errorf("judge the copies: %w", err)
	}
	ring, err := t.Open(now.Local, t.Port, narrow(now, t.Payload))
	if err != nil {
		return now, fmt.Errorf("capture on %s: %w", now.Local.Name, err)
	}
	defer func() {
		stats, _ := ring.Stats() // those that could be read
		t.dropped += stats.Drops
		err = errors.Join(err, ring.Close())
	}()
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

// look reads the session again and again beside the capture, and tells once what is worth another begin.
func (t *tailer) look(ctx context.Context, now agent.Counting) (<-chan found, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	out, done := make(chan found, 1), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-time.After(findInterval):
			case <-ctx.Done():
				return
			}
			next, err := t.locate(ctx)
			if ctx.Err() != nil {
				return
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
	record := t.record(c, now.Session.Rules, now.Judged, t.Port)
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
	t.tellMissing()
	t.queue.put(record)
}

// tellMissing says in the midst of lines how many copies are not there.
func (t *tailer) tellMissing() {
	if t.missing > 0 && !t.Pcapng {
		t.queue.put(fmt.Appendf(nil, "-- %d copies are missing here: they came faster than they were read\n", t.missing))
	}
	t.missing = 0
}

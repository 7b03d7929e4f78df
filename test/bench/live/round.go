package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// round is one measurement: one reader, one rate.
type round struct {
	rate    int // frames a second that were wanted, 0 for full speed
	reader  reader
	sent    sent
	arrived uint64 // frames that the kernel counted at the receiving interface
	books   books
	cpu     time.Duration // of the reader, from before the first frame until the last was counted
}

// unbalanced says by how much the reader's books are off, empty where they balance to the frame.
func (r *round) unbalanced() string {
	if !r.reader.readsFrames() || r.books.sum() == r.arrived && r.books.Unlike == 0 {
		return ""
	}
	return fmt.Sprintf("the books don't balance: %d frames arrived, %d were counted, %d dropped, %d taken for something else",
		r.arrived, r.books.Counted, r.books.Drops, r.books.Unlike)
}

// slack is how much slower than wanted a run may be.
const slack = 0.05

// disturbed says why a round whose books balance tells nothing all the same, empty where it does.
func (r *round) disturbed() string {
	if lost := int64(r.sent.Frames) - int64(r.arrived); lost != 0 {
		return fmt.Sprintf("%d of %d frames did not arrive", lost, r.sent.Frames)
	}
	if r.rate == 0 {
		return ""
	}
	if r.books.Drops > 0 {
		return fmt.Sprintf("%d of %d frames were dropped", r.books.Drops, r.arrived)
	}
	if reached := r.reached(); reached < float64(r.rate)*(1-slack) {
		return fmt.Sprintf("%.0f frames a second were sent instead of %d", reached, r.rate)
	}
	return ""
}

// reached is the rate of sending, frames a second.
func (r *round) reached() float64 { return float64(r.sent.Frames) / r.sent.Time.Seconds() }

// perFrame is the reader's CPU for a frame that it counted, in us.
func (r *round) perFrame() float64 {
	return r.cpu.Seconds() * 1e6 / float64(max(r.books.Counted, 1))
}

// perSent is what a frame costs where it is sent, in us.
func (r *round) perSent() float64 { return r.sent.Burst.Seconds() * 1e6 / segments }

// lost is the share of frames that the kernel dropped because the reader was late, in percent.
func (r *round) lost() float64 { return 100 * float64(r.books.Drops) / float64(max(r.arrived, 1)) }

// ladder is what all rounds share.
type ladder struct {
	*wire
	self    string  // this program
	seconds float64 // of one round
}

// measure plays a round. An error is of the machine, not of what is measured.
func (l *ladder) measure(ctx context.Context, rate int, who reader) (r round, err error) {
	r = round{rate: rate, reader: who}
	before, err := l.receiver.received()
	if err != nil {
		return r, err
	}
	if who == nobody {
		if r.sent, err = l.send(ctx, rate); err != nil {
			return r, err
		}
		r.arrived, err = l.arrived(ctx, before, r.sent)
		return r, err
	}
	reading, err := startReader(ctx, who, l.self, &l.receiver)
	if err != nil {
		return r, err
	}
	defer func() {
		if stopErr := reading.stop(); err == nil {
			err = stopErr
		}
	}()
	base, err := reading.cpu()
	if err != nil {
		return r, err
	}
	if r.sent, err = l.send(ctx, rate); err != nil {
		return r, err
	}
	if r.arrived, err = l.arrived(ctx, before, r.sent); err != nil {
		return r, err
	}
	return r, reading.settle(ctx, &r, base)
}

// settle waits until the reader has counted what arrived. What it costs to ask is not the reader's.
func (run *running) settle(ctx context.Context, r *round, base time.Duration) error {
	const pause = 300 * time.Millisecond // more than a block of the ring waits
	for end := time.Now().Add(patience); ; {
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		now, err := run.cpu()
		if err != nil {
			return err
		}
		r.cpu += now - base
		if r.books, err = run.ask(ctx); err != nil {
			return err
		}
		if !r.reader.readsFrames() || r.books.sum() >= r.arrived || time.Now().After(end) {
			return nil
		}
		if base, err = run.cpu(); err != nil {
			return err
		}
	}
}

// send runs the sender once.
func (l *ladder) send(ctx context.Context, rate int) (s sent, err error) {
	what, err := json.Marshal(sending{Index: l.sender.index, To: l.receiver.mac, Rate: rate, Seconds: l.seconds})
	if err != nil {
		return s, err
	}
	var out bytes.Buffer
	command := exec.CommandContext(ctx, l.self, sendWord, string(what))
	command.Stdout, command.Stderr = &out, os.Stderr
	p, err := l.sender.start(command)
	if err != nil {
		return s, err
	}
	<-p.ended
	if p.err != nil {
		return s, fmt.Errorf("send: %w", p.err)
	}
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		return s, fmt.Errorf("read what was sent: %w", err)
	}
	return s, nil
}

// arrived waits until all that was sent arrived, for a short time at most: what is still in the
// kernel's backlog then was lost.
func (l *ladder) arrived(ctx context.Context, before uint64, s sent) (uint64, error) {
	for end := time.Now().Add(time.Second); ; {
		n, err := l.receiver.received()
		if err != nil {
			return 0, err
		}
		if n-before >= uint64(s.Frames) || time.Now().After(end) {
			return n - before, nil
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

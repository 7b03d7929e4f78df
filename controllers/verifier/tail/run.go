package tail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/agent"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/memory"
)

// Options of a tail. All are needed that don't say otherwise.
type Options struct {
	// Session is the one whose copies are shown, Node this host's name, and Version that of the program.
	Session       types.NamespacedName
	Node, Version string
	// Port is the UDP port of the copies.
	Port uint16
	View
	Limits
	// Lifeline is how long nothing may come by In before the tail ends: whoever started it is gone
	// then. 0 is without end; an end of In always ends it.
	Lifeline time.Duration
	In       io.Reader
	// Out gets the copies, Notes what is told beside them.
	Out, Notes io.Writer
	// Find reads the session and its filter, each nil when there is none. It is asked again and again.
	Find func(context.Context) (*v1alpha1.MirrorSession, *v1alpha1.MirrorFilter, error)
	// Interfaces returns the interfaces of this host.
	Interfaces func() ([]agent.Interface, error)
	// Open opens a ring on one of them.
	Open func(local agent.Interface, port uint16, n capture.Narrow) (*capture.Ring, error)
	// Memory says how much memory the pod uses and may use, and Older how many tails it had already when this
	// one began.
	Memory func() memory.Usage
	Older  func() int
	Clock  func() time.Time
	// Every is how often the session is read again, so that a change of it is followed.
	Every time.Duration
}

const (
	// queueRoom is how many bytes may wait for whoever reads.
	queueRoom = 512 << 10
	// blockWait bounds the wait for a block, so that an end is seen.
	blockWait = 100 * time.Millisecond
	// flushTimeout bounds the wait for whoever reads at the end.
	flushTimeout = 2 * time.Second
)

// RingOptions are those of a small ring.
func RingOptions(n capture.Narrow) capture.RingOptions {
	return capture.RingOptions{BlockSize: 256 << 10, Blocks: 4, BlockTimeout: 50 * time.Millisecond, Narrow: &n}
}

// ended is why a tail ended, where that is no error.
type ended struct{ why string }

// Error is the reason.
func (e ended) Error() string { return e.why }

// Run shows copies until a limit is reached, In ends, or ctx does. The error is one sentence.
func Run(ctx context.Context, o Options) error {
	if err := room(o.Memory(), o.Older()); err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	timer := time.AfterFunc(o.Time, func() { end(ended{fmt.Sprintf("%s are over (--for)", o.Time)}) })
	defer timer.Stop()
	go o.watchLifeline(ctx, end)
	go o.watchMemory(ctx, end)
	t := newTailer(o)
	err := t.follow(ctx)
	if err == nil || errors.Is(err, context.Canceled) {
		err = context.Cause(ctx) // of whatever was given up for it
	}
	return t.conclude(err)
}

// watchLifeline ends the tail when nobody is there any more who started it.
func (o *Options) watchLifeline(ctx context.Context, end context.CancelCauseFunc) {
	signs := make(chan error)
	go func() {
		buffer := make([]byte, 64)
		for {
			_, err := o.In.Read(buffer)
			select {
			case signs <- err:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	var silence <-chan time.Time
	for {
		if o.Lifeline > 0 {
			silence = time.After(o.Lifeline)
		}
		select {
		case err := <-signs:
			if err != nil {
				end(ended{"it was interrupted"})
				return
			}
		case <-silence:
			end(ended{fmt.Sprintf("nothing was heard for %s from whoever started it", o.Lifeline)})
			return
		case <-ctx.Done():
			return
		}
	}
}

// tailer is a tail that runs.
type tailer struct {
	Options
	locator *agent.Locator
	queue   *queue
	written chan error // what became of the writing, once

	spent spent
	over  string // the limit that is reached
	// missing are copies that were lost since the last one that was shown, lost all of them; seen are all.
	missing, lost, seen uint64
	dropped             uint64 // frames, by rings

	started bool // the output has begun
}

func newTailer(o Options) *tailer {
	return &tailer{Options: o, locator: agent.NewLocator(), queue: newQueue(queueRoom), written: make(chan error, 1)}
}

// note tells something beside the copies.
func (t *tailer) note(format string, args ...any) {
	fmt.Fprintf(t.Notes, format+"\n", args...)
}

// unreadable is what is not known now and may be at the next look.
type unreadable struct{ error }

// Unwrap returns why.
func (u unreadable) Unwrap() error { return u.error }

// locate finds how the session is counted here now.
func (t *tailer) locate(ctx context.Context) (agent.Counting, error) {
	session, filter, err := t.Find(ctx)
	if err != nil {
		return agent.Counting{}, unreadable{err}
	}
	if session == nil {
		return agent.Counting{}, fmt.Errorf("there is no MirrorSession %s", t.Session)
	}
	local, err := t.Interfaces()
	if err != nil {
		return agent.Counting{}, unreadable{err}
	}
	c, here := t.locator.Locate(session, filter, local)
	if !here {
		return agent.Counting{}, fmt.Errorf("no copies of MirrorSession %s are expected on node %s: its target is not here, or it is not in the cloud yet; "+
			"kubectl mirror why says where it stands", t.Session, t.Node)
	}
	return c, nil
}

// follow shows copies until ctx or an error ends it, and captures anew whenever what is to be captured has changed.
func (t *tailer) follow(ctx context.Context) error {
	now, err := t.locate(ctx)
	for err == nil && ctx.Err() == nil && t.over == "" {
		now, err = t.captureFor(ctx, now)
	}
	return err
}

// begin says what is shown from now on.
func (t *tailer) begin(c agent.Counting) {
	what := "headers of inner frames"
	switch {
	case t.Outer && t.Payload:
		what = "whole copies"
	case t.Outer:
		what = "headers of copies"
	case t.Payload:
		what = "whole inner frames"
	}
	title := fmt.Sprintf("MirrorSession %s: %s with VNI %d from %s", t.Session, what, c.Session.VNI, strings.Join(outerSources(c), ", "))
	t.note("%s, on %s of node %s; at most %d copies, %d bytes, %s", title, c.Local.Name, t.Node, t.Packets, t.Bytes, t.Time)
	if c.Problem != "" {
		t.note("%s", c.Problem)
	}
	if t.started {
		return
	}
	t.started = true
	if t.Pcapng {
		t.queue.put(appendHeader(nil, header{
			Application: "vpcmirror verifier " + t.Version, Comment: title, Name: c.Local.Name, Description: "copies on node " + t.Node,
		}))
	}
	go t.write()
}

// outerSources are the addresses that the copies come from.
func outerSources(c agent.Counting) (out []string) {
	const some = 4
	for _, s := range c.Session.Sources {
		for _, a := range s.OuterAddrs {
			out = append(out, a.String())
		}
	}
	if more := len(out) - some; more > 0 {
		out = append(out[:some], fmt.Sprintf("%d more", more))
	}
	return out
}

// write writes what is queued until nothing more comes.
func (t *tailer) write() {
	var batch bytes.Buffer
	for t.queue.take(&batch) {
		if _, err := t.Out.Write(batch.Bytes()); err != nil {
			t.written <- fmt.Errorf("write the copies: %w", err)
			return
		}
	}
	t.written <- nil
}

// conclude ends the output, tells how it went, and returns what went wrong.
func (t *tailer) conclude(why error) error {
	if !t.started {
		if end, ok := errors.AsType[ended](why); ok {
			t.note("%s: ended because %s", t.Session, end.why)
			return nil
		}
		return why
	}
	reason := t.over
	if end, ok := errors.AsType[ended](why); ok {
		reason, why = end.why, nil
	} else if errors.Is(why, context.Canceled) {
		reason, why = "it was interrupted", nil
	}
	if t.missing > 0 && !t.Pcapng {
		t.queue.put([]byte(told(t.missing)))
	}
	summary := fmt.Sprintf("%d copies were seen, %d shown, %d missing", t.seen, t.seen-t.lost, t.lost)
	if t.dropped > 0 {
		summary += fmt.Sprintf("; the kernel dropped %d frames before that", t.dropped)
	}
	if t.Pcapng {
		t.queue.put(appendStatistics(nil, t.Clock(), t.seen+t.dropped, t.lost+t.dropped, summary))
	}
	t.queue.close()
	select {
	case err := <-t.written:
		why = errors.Join(why, err)
	case <-time.After(flushTimeout):
		summary += "; the last of them were not read"
	}
	if reason != "" {
		summary += "; ended because " + reason
	}
	t.note("%s: %s", t.Session, summary)
	return why
}

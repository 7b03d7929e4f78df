package packets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Show has the verifiers in some pods, one on each node, show the copies of a session. Those of several nodes become one
// output, in the order of their times. An error is one sentence, or ErrTold.
func Show(ctx context.Context, config *rest.Config, session client.ObjectKey, r Request, pods []*corev1.Pod, to Streams) error {
	if len(pods) == 1 {
		return Run(ctx, config, pods[0], r.Command(session, pods[0]), to)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	m, notes := NewMerge(to.Out, r, stop), &together{to: to.Notes}
	streams := make([]io.WriteCloser, len(pods))
	for i, p := range pods {
		streams[i] = m.Stream(p.Spec.NodeName)
	}
	results := make(chan error, len(pods))
	for i, p := range pods {
		go func() {
			err := Run(ctx, config, p, r.Command(session, p), Streams{Out: streams[i], Notes: &named{name: p.Spec.NodeName, of: notes}})
			if closed := streams[i].Close(); err == nil {
				err = closed
			}
			results <- err
		}()
	}
	err := collect(results, len(pods), m)
	if over := m.Over(); over != "" {
		fmt.Fprintf(to.Notes, "%s: ended because %s\n", session, over)
	}
	return err
}

// collect waits for all, writes meanwhile what has waited for long enough, and returns what went wrong first that nobody
// was told yet.
func collect(results <-chan error, n int, m *Merge) (worst error) {
	ticks := time.NewTicker(holdBack / 5)
	defer ticks.Stop()
	for n > 0 {
		select {
		case err := <-results:
			if n--; worst == nil || errors.Is(worst, ErrTold) && err != nil {
				worst = err
			}
		case <-ticks.C:
			m.Flush()
		}
	}
	return worst
}

// together is where several write whole lines.
type together struct {
	mu sync.Mutex
	to io.Writer
}

// named writes lines with a name before each.
type named struct {
	name string
	of   *together
	rest []byte
}

// Write writes the whole lines.
func (w *named) Write(p []byte) (int, error) {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		end := bytes.IndexByte(w.rest, '\n') + 1
		if end == 0 {
			return len(p), nil
		}
		if _, err := fmt.Fprintf(w.of.to, "%s: %s", w.name, w.rest[:end]); err != nil {
			return 0, err
		}
		w.rest = w.rest[end:]
	}
}

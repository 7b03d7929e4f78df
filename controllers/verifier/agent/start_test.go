package agent

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/nodecache"
)

// run starts an agent with a cache of its own, as cmd/verifier does, and returns how to
// end it and wait for that.
func (w *world) run() (h *host, end func()) {
	w.t.Helper()
	config := w.verifier
	informers, err := cache.New(config, cache.Options{
		Scheme: w.admin.Scheme(), Mapper: w.admin.RESTMapper(), DefaultNamespaces: map[string]cache.Config{w.namespace: {}},
		DefaultTransform: nodecache.Keep(node),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	cached, err := client.New(config, client.Options{
		Scheme: w.admin.Scheme(), Mapper: w.admin.RESTMapper(), Cache: &client.CacheOptions{Reader: informers},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	h = w.host(node, w.pair, func(client.Client) client.Client { return cached })
	if h.Reader, err = client.New(config, client.Options{Scheme: w.admin.Scheme(), Mapper: w.admin.RESTMapper()}); err != nil {
		w.t.Fatal(err)
	}
	h.Cache = informers
	// As in a manager, the cache ends after the agent has.
	caching, endCache := context.WithCancel(context.Background())
	ctx, cancel := context.WithCancel(caching)
	done := make(chan error, 2)
	go func() { done <- informers.Start(caching) }()
	go func() { done <- h.Start(ctx) }()
	ended := false
	end = func() {
		w.t.Helper()
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		endCache()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
	w.t.Cleanup(end)
	return h, end
}

func (w *world) untilReported(s *v1alpha1.MirrorSession, what string, right func(v1alpha1.Verification) bool) {
	w.t.Helper()
	w.until(what, func() bool {
		entries := w.stored(s).Status.Verification
		return len(entries) == 1 && right(entries[0])
	})
}

func TestARunFromStartToEnd(t *testing.T) {
	w := newWorld(t)
	h, end := w.run()
	w.until("the agent is ready", func() bool { return h.Ready(asked(t.Context())) == nil })
	w.filter("web")
	s := w.session("web", "web") // made while it runs: its informer has to see it
	w.untilReported(s, "there is a first entry", func(e v1alpha1.Verification) bool { return e.Message == "" })
	w.send(good(1)...)
	w.untilReported(s, "the first packet is reported", func(e v1alpha1.Verification) bool { return e.Packets == 1 })
	w.send(good(500)...)
	end()
	w.expectEntries(s, entry(501))
	if got := w.kernel(); got != 501 {
		t.Errorf("the kernel counted %d", got)
	}

	var all bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		t.Fatal(err)
	}
	if left := all.String(); strings.Contains(left, "agent.(*capturer)") || strings.Contains(left, "agent.(*Agent)") {
		t.Errorf("goroutines of the agent are left:\n%s", left)
	}

	h, end = w.run()
	w.untilReported(s, "the next run has begun", func(e v1alpha1.Verification) bool { return e.StartedAt.Time.Equal(h.startedOf(s)) })
	w.send(good(9)...)
	end()
	w.expectEntries(s, entry(510))
}

// startedOf is when this run began to count a session, as precise as the status has it.
func (h *host) startedOf(s *v1alpha1.MirrorSession) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.tracked[s.UID]; t != nil {
		return t.ledger.Started().Truncate(time.Microsecond)
	}
	return time.Time{}
}

// asked is a probe's question.
func asked(ctx context.Context) *http.Request {
	return httptest.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil)
}

func TestAnAgentIsNotReadyBeforeItHasSeenTheSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(Options{})
		began := time.Now()
		if err := a.Ready(asked(t.Context())); err == nil || time.Since(began) != readyWait {
			t.Errorf("an agent that was not started says %v after %s", err, time.Since(began))
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		began = time.Now()
		if err := a.Ready(asked(gone)); err == nil || time.Since(began) != 0 {
			t.Errorf("whoever asked is gone; said is %v after %s", err, time.Since(began))
		}
		answer := make(chan error)
		go func() { answer <- a.Ready(asked(t.Context())) }()
		synctest.Wait()
		close(a.assigned)
		if err := <-answer; err != nil {
			t.Errorf("once they are known it says %v", err)
		}
	})
}

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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// run starts an agent with a cache of its own, as cmd/verifier does, and returns how to
// end it and wait for that.
func (w *world) run() (h *host, end func()) {
	w.t.Helper()
	config := w.verifier
	informers, err := cache.New(config, cache.Options{
		Scheme: w.admin.Scheme(), Mapper: w.admin.RESTMapper(), DefaultNamespaces: map[string]cache.Config{w.namespace: {}},
		DefaultTransform: cache.TransformStripManagedFields(),
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

func TestWhichUpdatesMatter(t *testing.T) {
	before := sessionHere("web", time.Hour, nil)
	for _, c := range []struct {
		name string
		edit func(*v1alpha1.MirrorSession)
		want bool
	}{
		{"a new generation does", func(s *v1alpha1.MirrorSession) { s.Generation++ }, true},
		{"another VNI does", func(s *v1alpha1.MirrorSession) { s.Status.VNI = new(int32(2)) }, true},
		{"another source does", func(s *v1alpha1.MirrorSession) { s.Status.Sources[0].Addresses = []string{"10.0.0.1"} }, true},
		{"another target does", func(s *v1alpha1.MirrorSession) { s.Status.Target = nil }, true},
		{"a session made anew does", func(s *v1alpha1.MirrorSession) { s.UID = "other" }, true},
		{"a verifier's entry does not", func(s *v1alpha1.MirrorSession) { s.Status.Verification = []v1alpha1.Verification{{Node: node}} }, false},
		{"the manager's sum does not", func(s *v1alpha1.MirrorSession) { s.Status.Traffic = &v1alpha1.Traffic{} }, false},
		{"a condition does not", func(s *v1alpha1.MirrorSession) { s.Status.Conditions = []metav1.Condition{{Type: "Ready"}} }, false},
		{"another epoch does", func(s *v1alpha1.MirrorSession) { s.Status.Epoch++ }, true},
		{"a finding does not", func(s *v1alpha1.MirrorSession) { s.Status.Findings = []v1alpha1.Finding{{Reason: "Silent"}} }, false},
		{"that the manager has acted on another generation does", func(s *v1alpha1.MirrorSession) { s.Status.ObservedGeneration++ }, true},
		{"a change that the manager lists does not", func(s *v1alpha1.MirrorSession) { s.Status.Changes = []v1alpha1.Change{{What: "a rule is gone"}} }, false},
		{"that a request was handled does not", func(s *v1alpha1.MirrorSession) { s.Status.LastHandledReconcileAt = "now" }, false},
		{"an account does not", func(s *v1alpha1.MirrorSession) { s.Status.Account = &v1alpha1.Account{} }, false},
		{"a new version alone does not", func(s *v1alpha1.MirrorSession) { s.ResourceVersion = "2" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			after := before.DeepCopy()
			c.edit(after)
			if got := matters(&before, after); got != c.want {
				t.Errorf("got %t", got)
			}
		})
	}
	t.Run("every update of a filter does", func(t *testing.T) {
		if !matters(&v1alpha1.MirrorFilter{}, &v1alpha1.MirrorFilter{}) {
			t.Error("it was passed over")
		}
	})
}

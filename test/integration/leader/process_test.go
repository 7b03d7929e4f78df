package leader_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"k8s.io/client-go/rest"

	"vpcmirror.io/operator/test/integration/harness"
)

// program is a running manager that reaches the API server through a proxy of its own.
type program struct {
	*exec.Cmd
	log       bytes.Buffer
	ended     chan struct{}
	namespace string

	mu sync.Mutex
	// answered is told of each write, once the API server has answered it and before the
	// program knows. It is nil while nobody is interested.
	answered func()
	// stuck reports whether a write is to be left without an answer.
	stuck func(*http.Request) bool
	// underway is how many writes have no answer yet.
	underway int
}

// start runs the manager until the end of the test.
func start(t *testing.T, w *harness.World, path string, args ...string) *program {
	t.Helper()
	p := &program{ended: make(chan struct{}), namespace: w.Namespace}
	p.Cmd = exec.Command(path, append([]string{
		"--kubeconfig=" + p.proxied(t, w.Cluster.Config), "--metrics-bind-address=0", "--health-probe-bind-address=0", "--log-encoding=text",
	}, args...)...)
	p.Stderr = &p.log
	if err := p.Start(); err != nil {
		t.Fatalf("starting the manager: %v", err)
	}
	go func() {
		defer close(p.ended)
		_ = p.Wait() // the test asks how it ended
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill() // it may have ended by itself
		<-p.ended
		if t.Failed() {
			t.Logf("what manager %d logged:\n%s", p.Process.Pid, p.log.String())
		}
	})
	return p
}

// proxied returns a kubeconfig for the program's proxy in front of the API server.
func (p *program) proxied(t *testing.T, config *rest.Config) string {
	t.Helper()
	return harness.Proxied(t, config, func(proxy http.Handler) http.Handler {
		return http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
			if p.before(r) {
				<-r.Context().Done() // until the program gives up
				return
			}
			r.URL.Path = within(r.URL.Path, p.namespace)
			proxy.ServeHTTP(answer, r)
		})
	}, p.after)
}

// within is the path of what is asked for, but our objects of all namespaces become those of one. A manager
// looks after every namespace; so several tests have theirs at the same time, and no manager is busy with what
// a test before it has left behind.
func within(path, namespace string) string {
	const ours = "/apis/vpcmirror.io/v1alpha1/"
	if kind, ok := strings.CutPrefix(path, ours); ok && !strings.Contains(kind, "/") {
		return ours + "namespaces/" + namespace + "/" + kind
	}
	return path
}

// counts reports whether a request is a write to an object that a reconcile is about, or
// to its Secret.
func counts(r *http.Request, namespace string) bool {
	return r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/namespaces/"+namespace+"/") &&
		!strings.Contains(r.URL.Path, "/leases") && !strings.Contains(r.URL.Path, "/events")
}

// before notes a request, and reports whether it is to be left without an answer.
func (p *program) before(r *http.Request) bool {
	if !counts(r, p.namespace) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stuck != nil && p.stuck(r) {
		return true
	}
	p.underway++
	return false
}

// after notes that a request has its answer.
func (p *program) after(r *http.Request) {
	if !counts(r, p.namespace) {
		return
	}
	p.mu.Lock()
	told := p.answered
	p.mu.Unlock()
	if told != nil {
		told()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.underway--
}

// idle reports whether every write has its answer.
func (p *program) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.underway == 0
}

func (p *program) onAnswer(told func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered = told
}

func (p *program) leaveUnanswered(stuck func(*http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stuck = stuck
}

// pause stops the process as a machine without memory does, and returns when it stands
// still.
func (p *program) pause() error {
	if err := p.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
		if err != nil {
			return err
		}
		// The state is the first field after the name in brackets, proc(5).
		if rest := stat[bytes.LastIndexByte(stat, ')')+1:]; bytes.HasPrefix(rest, []byte(" T")) {
			return nil
		}
	}
}

func (p *program) resume(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatalf("waking the manager: %v", err)
	}
}

package logs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"vpcmirror.io/operator/test/integration/harness"
)

// program is a running manager or verifier that logs as it does in a pod.
type program struct {
	*exec.Cmd
	t      *testing.T
	health string
	log    bytes.Buffer
	ended  chan struct{}
}

// start runs a program until stop, or the end of the test.
func start(t *testing.T, path string, args ...string) *program {
	t.Helper()
	p := &program{t: t, health: freeAddress(t), ended: make(chan struct{})}
	p.Cmd = exec.Command(path, append(args, "--metrics-bind-address=0", "--health-probe-bind-address="+p.health)...)
	p.Stderr = &p.log
	if err := p.Start(); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	go func() {
		defer close(p.ended)
		_ = p.Wait() // the test asks how it ended
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill() // it may have ended by itself
		<-p.ended
		if t.Failed() {
			t.Logf("what %s logged:\n%s", filepath.Base(path), p.log.String())
		}
	})
	return p
}

// stop ends the program as the kubelet does, and returns the lines of its log.
func (p *program) stop() []line {
	p.t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("stopping %s: %v", p.Path, err)
	}
	<-p.ended
	if !p.ProcessState.Success() {
		p.t.Errorf("%s ended with %s", filepath.Base(p.Path), p.ProcessState)
	}
	return linesOf(p.t, p.log.String())
}

// probe asks whether the program is ready, as the kubelet does, until it is. asked is told
// when a question has reached it.
func (p *program) probe(asked func()) {
	p.t.Helper()
	ctx := httptrace.WithClientTrace(p.t.Context(), &httptrace.ClientTrace{WroteRequest: func(w httptrace.WroteRequestInfo) {
		if w.Err == nil {
			asked()
		}
	}})
	harness.Poll(p.t, "the program is ready", func() int {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.health+"/readyz", http.NoBody)
		if err != nil {
			p.t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return 0 // it does not serve yet
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}, func(status int) bool { return status == http.StatusOK })
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// line is one line of a log.
type line map[string]any

func linesOf(t *testing.T, log string) []line {
	t.Helper()
	var all []line
	for text := range strings.Lines(log) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Errorf("a line of the log is no JSON: %s", text)
			continue
		}
		all = append(all, l)
	}
	return all
}

// troubling returns the lines by which somebody would be alarmed.
func troubling(lines []line) (found []string) {
	for _, l := range lines {
		if l["level"] == "ERROR" || l["level"] == "WARN" || strings.Contains(fmt.Sprint(l["msg"]), "failed") {
			found = append(found, fmt.Sprint(map[string]any(l)))
		}
	}
	return found
}

// server is a way to the API server on which requests can be held.
type server struct {
	kubeconfig string
	mu         sync.Mutex
	hold       func(*http.Request) <-chan struct{}
}

// before returns a way to the API server on which each request waits for the channel that hold
// gives it, nil for none.
func before(t *testing.T, config *rest.Config, hold func(*http.Request) <-chan struct{}) *server {
	t.Helper()
	s := &server{hold: hold}
	s.kubeconfig = harness.Proxied(t, config, func(proxy http.Handler) http.Handler {
		return http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			until := s.hold(r)
			s.mu.Unlock()
			if until != nil {
				select {
				case <-until:
				case <-r.Context().Done():
				case <-time.After(10 * time.Second): // the test fails then for another reason
				}
			}
			proxy.ServeHTTP(answer, r)
		})
	}, nil)
	return s
}

package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Effect is one thing that a manager does to the world outside: a call to the cloud, or a
// write to the API server. Those of one name are numbered from 1.
type Effect struct {
	// Name is the method and what it is about, such as "PUT traffic-mirror-sessions/*" or
	// "PATCH mirrorsessions/a/status".
	Name   string
	Number int
	// Cloud is false for a write to the API server.
	Cloud bool
}

// String reads like: PUT traffic-mirror-sessions/* 2.
func (e Effect) String() string { return fmt.Sprintf("%s %d", e.Name, e.Number) }

// IsWrite is false for a call that only reads.
func (e Effect) IsWrite() bool { return !strings.HasPrefix(e.Name, http.MethodGet+" ") }

// Path matches the paths of the effect's calls to the cloud, see fault.Fault.
func (e Effect) Path() string {
	_, what, _ := strings.Cut(e.Name, " ")
	return "/v3/*/vpc/" + what
}

// Method is that of the effect's request.
func (e Effect) Method() string {
	method, _, _ := strings.Cut(e.Name, " ")
	return method
}

// Moment is before or after an effect.
type Moment string

// The moments.
const (
	Before Moment = "before"
	After  Moment = "after"
)

// Gate stands between a manager and the world. It numbers the manager's effects since Arm,
// and can end the manager before or after any of them as a crash does: from then on
// nothing of it reaches anybody, and no answer reaches it.
type Gate struct {
	mu      sync.Mutex
	count   map[string]int
	effects []Effect
	stop    func(Effect) (Moment, bool)
	broken  func(Effect) (Moment, bool)
	dead    bool
	died    chan struct{}
	reads   map[string][]time.Time // by what is read: when the last ones began
	stored  func(status []byte, reads []time.Time, answered time.Time)
}

// NewGate lets everything through.
func NewGate() *Gate {
	return &Gate{count: map[string]int{}, died: make(chan struct{}), reads: map[string][]time.Time{}}
}

// WithGate puts a gate around the manager. One gate serves one manager.
func WithGate(g *Gate) Setting {
	return func(s *settings) {
		s.gate = g
		s.cloud.Transport = g.toCloud(gateTransport)
	}
}

// gateTransport keeps the connections of all gates.
var gateTransport = &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: 10 * time.Second}

// Arm numbers from 1 again. stop says at which effect the manager ends, and broken at which
// write to the API server the connection breaks, before the write has reached it or after;
// either may be nil.
func (g *Gate) Arm(stop, broken func(Effect) (Moment, bool)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count, g.effects, g.stop, g.broken = map[string]int{}, nil, stop, broken
}

// Once is a moment at one effect, for Arm.
func Once(when Moment, where Effect) func(Effect) (Moment, bool) {
	return func(e Effect) (Moment, bool) { return when, e == where }
}

// Effects are those since Arm.
func (g *Gate) Effects() []Effect {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.effects)
}

// Died is closed when the manager's end has come.
func (g *Gate) Died() <-chan struct{} { return g.died }

var errDead = errors.New("the process has ended")

// pass numbers an effect and does it, unless the end comes before.
func (g *Gate) pass(name string, cloud bool, do func() (*http.Response, error)) (*http.Response, error) {
	g.mu.Lock()
	if g.dead {
		g.mu.Unlock()
		return nil, errDead
	}
	g.count[name]++
	e := Effect{Name: name, Number: g.count[name], Cloud: cloud}
	g.effects = append(g.effects, e)
	ends, end := g.matches(g.stop, e)
	breaks, broken := g.matches(g.broken, e)
	if end && ends == Before {
		g.kill()
	}
	g.mu.Unlock()
	switch {
	case end && ends == Before:
		return nil, errDead
	case broken && breaks == Before:
		return nil, fmt.Errorf("the connection broke before %s", e)
	}
	answer, err := do()
	if end {
		g.mu.Lock()
		g.kill()
		g.mu.Unlock()
	}
	if end || broken || g.isDead() {
		if err == nil {
			_ = answer.Body.Close() // nobody reads it
		}
		return nil, fmt.Errorf("the connection broke after %s", e)
	}
	return answer, err
}

func (g *Gate) matches(at func(Effect) (Moment, bool), e Effect) (Moment, bool) {
	if at == nil {
		return "", false
	}
	return at(e)
}

// kill is the end. The caller holds the mutex.
func (g *Gate) kill() {
	if !g.dead {
		g.dead = true
		close(g.died)
	}
}

func (g *Gate) isDead() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dead
}

var uuidInPath = regexp.MustCompile(`/[0-9a-f]{8}-[0-9a-f-]{27}`)

// toCloud is the way to the cloud.
func (g *Gate) toCloud(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		what := uuidInPath.ReplaceAllString(r.URL.Path, "/*")
		if parts := strings.SplitN(what, "/", 4); len(parts) == 4 { // "", version, project, rest
			what = strings.TrimPrefix(parts[3], "vpc/")
		}
		if r.Method == http.MethodGet {
			g.noteRead(what)
		}
		return g.pass(r.Method+" "+what, true, func() (*http.Response, error) { return next.RoundTrip(r) })
	})
}

// readsKept is how many of the last reads of a kind are remembered: other workers read
// between an object's read and the write of its status.
const readsKept = 8

func (g *Gate) noteRead(what string) {
	kind, _, _ := strings.Cut(what, "/")
	g.mu.Lock()
	defer g.mu.Unlock()
	all := append(g.reads[kind], time.Now())
	g.reads[kind] = all[max(0, len(all)-readsKept):]
}

// cloudKinds are the cloud's words for what the status of a kind is about.
var cloudKinds = map[string]string{"mirrorfilters": "traffic-mirror-filters", "mirrorsessions": "traffic-mirror-sessions"}

// toServer is the way to the API server. What only reads is let through as long as the
// manager lives, and so are events, which come in no order.
func (g *Gate) toServer(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		_, what, _ := strings.Cut(r.URL.Path, "/namespaces/")
		_, what, _ = strings.Cut(what, "/")
		if r.Method == http.MethodGet || what == "" || strings.HasPrefix(what, "events") {
			if g.isDead() {
				return nil, errDead
			}
			return next.RoundTrip(r)
		}
		return g.pass(r.Method+" "+what, false, func() (*http.Response, error) {
			kind, isStatus := strings.CutSuffix(what, "/status")
			kind, _, _ = strings.Cut(kind, "/")
			if !isStatus || g.stored == nil {
				return next.RoundTrip(r)
			}
			return g.storeStatus(next, r, cloudKinds[kind])
		})
	})
}

// storeStatus lets a status be written and shows what the API server then has.
func (g *Gate) storeStatus(next http.RoundTripper, r *http.Request, kind string) (*http.Response, error) {
	g.mu.Lock()
	reads := slices.Clone(g.reads[kind])
	g.mu.Unlock()
	answer, err := next.RoundTrip(r)
	if err != nil || answer.StatusCode >= http.StatusMultipleChoices {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	g.stored(body, reads, time.Now())
	return answer, nil
}

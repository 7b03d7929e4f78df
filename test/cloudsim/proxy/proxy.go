// Package proxy is an HTTP proxy in front of the simulated cloud, as companies have them: it makes tunnels for https, passes
// requests of http on, and refuses both when it is told to.
//
// It may import nothing of ours.
package proxy

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
)

// Proxy is a running proxy on a loopback port. It is safe for concurrent use.
type Proxy struct {
	// URL is where it listens: http://127.0.0.1:port.
	URL *url.URL

	server *httptest.Server

	mu       sync.Mutex
	led      map[string]string // where to, by the host and port that are asked for
	refusing int
	login    string
	seen     []string
	open     []net.Conn
}

// TB is the part of testing.TB that ForTest needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// ForTest runs a proxy for one test and closes it with the test.
func ForTest(t TB) *Proxy {
	t.Helper()
	p := &Proxy{}
	p.server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	u, err := url.Parse(p.server.URL)
	if err != nil {
		t.Fatalf("read the proxy's own address: %v", err)
	}
	p.URL = u
	return p
}

// Close ends the proxy and its tunnels.
func (p *Proxy) Close() {
	p.Cut()
	p.server.Close()
}

// Cut ends the tunnels that stand.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		_ = c.Close()
	}
	p.open = nil
}

// Refuse answers everything with a status; 0 ends it.
func (p *Proxy) Refuse(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusing = status
}

// Want lets only through who gives this user and password.
func (p *Proxy) Want(user, password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.login = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// Lead takes what is asked of a host and port, which need not exist, to another address.
func (p *Proxy) Lead(from, to string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.led == nil {
		p.led = map[string]string{}
	}
	p.led[from] = to
}

// to is where what is asked of a host and port is taken to.
func (p *Proxy) to(host string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to, ok := p.led[host]; ok {
		return to
	}
	return host
}

// Seen returns what was asked for so far, such as "CONNECT 127.0.0.1:443".
func (p *Proxy) Seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

// ServeHTTP makes a tunnel, or passes a request on.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if status := p.admit(r); status != 0 {
		http.Error(w, "the proxy of the company says no", status)
		return
	}
	if r.Method == http.MethodConnect {
		p.tunnel(w, r)
		return
	}
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.URL.Host = p.to(r.URL.Host)
	out.Header.Del("Proxy-Authorization")
	answer, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		http.Error(w, "", http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

// admit notes a request and returns the status that refuses it, 0 for none.
func (p *Proxy) admit(r *http.Request) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, r.Method+" "+r.Host)
	if p.refusing == 0 && p.login != "" && r.Header.Get("Proxy-Authorization") != p.login {
		return http.StatusProxyAuthRequired
	}
	return p.refusing
}

func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	there, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", p.to(r.Host))
	if err != nil {
		http.Error(w, "", http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = there.Close()
		return
	}
	p.mu.Lock()
	p.open = append(p.open, here, there)
	p.mu.Unlock()
	go func() {
		_, _ = io.Copy(there, buffered)
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there)
	_ = here.Close()
}

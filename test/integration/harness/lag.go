package harness

import (
	"io"
	"net/http"
	"strings"
	"sync"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Lag holds up what the API server tells a manager of filters and sessions: its cache shows them as
// they were, while whatever it reads or writes itself is answered.
type Lag struct {
	mu   sync.Mutex
	held chan struct{} // closed when it is over; nil while nothing is held up
}

// WithLag lets the watches of a manager be held up.
func WithLag(l *Lag) Setting { return func(s *settings) { s.lag = l } }

// Hold holds up what comes from now on.
func (l *Lag) Hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = make(chan struct{})
	}
}

// Release lets through what was held up, in its order.
func (l *Lag) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held != nil {
		close(l.held)
		l.held = nil
	}
}

func (l *Lag) over() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

func (l *Lag) toServer(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		answer, err := next.RoundTrip(r)
		if err == nil && verb(r) == watching && strings.HasPrefix(r.URL.Path, "/apis/"+v1alpha1.GroupVersion.Group+"/") {
			answer.Body = &lagging{ReadCloser: answer.Body, lag: l, closed: make(chan struct{})}
		}
		return answer, err
	})
}

// lagging is the answer to a watch.
type lagging struct {
	io.ReadCloser

	lag    *Lag
	once   sync.Once
	closed chan struct{}
}

// Read gives what has come once it may be seen.
func (b *lagging) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	for held := b.lag.over(); held != nil; held = b.lag.over() {
		select {
		case <-held:
		case <-b.closed:
			return 0, io.ErrUnexpectedEOF
		}
	}
	return n, err
}

// Close ends a Read that is held up.
func (b *lagging) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.ReadCloser.Close()
}

package huawei

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"sync"
)

// maxTransports bounds how many pools of connections are kept for authorities that Secrets
// name: whoever may write Secrets can name new ones without end.
const maxTransports = 64

// transports makes and keeps the pools of connections: one for all who trust the same
// authorities.
type transports struct {
	// given is Options.Transport, which is used for all when it is not nil.
	given       http.RoundTripper
	proxy       func(*http.Request) (*url.URL, error) // nil for none
	authorities []*x509.Certificate

	mu       sync.Mutex
	byBundle map[[sha256.Size]byte]*http.Transport
}

func newTransports(o Options) *transports {
	return &transports{given: o.Transport, proxy: o.Proxy, authorities: o.Authorities, byBundle: map[[sha256.Size]byte]*http.Transport{}}
}

// trusting gives the pool for a bundle of authorities, which is empty for the usual ones.
func (t *transports) trusting(bundle string) (http.RoundTripper, error) {
	if t.given != nil {
		return t.given, nil
	}
	key := sha256.Sum256([]byte(bundle))
	t.mu.Lock()
	defer t.mu.Unlock()
	if found, ok := t.byBundle[key]; ok {
		return found, nil
	}
	authorities := t.authorities
	if bundle != "" {
		more, err := ReadAuthorities([]byte(bundle))
		if err != nil {
			return nil, err
		}
		authorities = append(authorities[:len(authorities):len(authorities)], more...)
	}
	if len(t.byBundle) >= maxTransports {
		for _, old := range t.byBundle { // who uses one goes on with it
			old.CloseIdleConnections()
		}
		clear(t.byBundle)
	}
	made := newTransport(t.proxy, authorities)
	t.byBundle[key] = made
	return made, nil
}

// newTransport is Go's default one, which the SDK's is not, with enough idle connections for
// the calls that the limiter allows. The environment's proxy is obeyed only where the program
// wants that: it is for the whole process, and the manager's way to the API server must not lead
// through it.
func newTransport(proxy func(*http.Request) (*url.URL, error), authorities []*x509.Certificate) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() // documented type
	t.MaxIdleConnsPerHost = DefaultBurst
	t.MaxResponseHeaderBytes = 64 << 10
	t.Proxy = proxy
	// Without this the transport makes the proxy's own text an error without a type.
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
		if answer.StatusCode != http.StatusOK {
			return &tunnelError{status: answer.StatusCode}
		}
		return nil
	}
	if len(authorities) > 0 {
		roots, err := x509.SystemCertPool()
		if err != nil { // there is none on this machine
			roots = x509.NewCertPool()
		}
		for _, authority := range authorities {
			roots.AddCert(authority)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return t
}

// ReadAuthorities reads certificates in PEM form. What is damaged or something else is an
// error, which shows nothing of the content.
func ReadAuthorities(bundle []byte) ([]*x509.Certificate, error) {
	rest := bytes.TrimPrefix(bundle, []byte("\ufeff")) // editors put it there, and it would hide the first one
	var all []*x509.Certificate
	blocks := bytes.Count(rest, []byte("-----BEGIN"))
	for range blocks {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("a certificate in it is damaged or cut off: copy the whole file, from BEGIN to END CERTIFICATE")
		}
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("it holds something else than certificates: leave keys and requests out")
		}
		authority, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("a certificate in it can't be read: copy the authority's file anew")
		}
		all = append(all, authority)
	}
	if len(all) == 0 {
		return nil, errors.New("it holds no certificate in PEM form: give the authority's, from BEGIN to END CERTIFICATE")
	}
	return all, nil
}

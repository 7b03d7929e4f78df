package huawei

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// tunnelError is a proxy's refusal to make a tunnel to the cloud.
type tunnelError struct{ status int }

func (e *tunnelError) Error() string {
	return fmt.Sprintf("the proxy answers CONNECT with %d", e.status)
}

// obstacle says why a request had no answer, and what to do about it. The sentence is made
// of the types of the errors and never of their texts: these hold ports, times and the
// addresses of name servers, which differ at each attempt, and what a stranger's server says.
func (c *caller) obstacle(err error, left bool) string {
	if tunnel, ok := errors.AsType[*tunnelError](err); ok {
		return c.proxyRefusal(tunnel.status)
	}
	words := c.factory.words
	to, remedy := c.endpoint, "check the endpoint, "+words.Way+", and whether a proxy is needed ("+words.Proxy+")"
	if proxy := c.factory.transports.proxyOf(c.endpoint); proxy != nil {
		remedy = "check the endpoint, and that the proxy " + proxyName(proxy) + " may reach it"
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "proxyconnect" {
			to, remedy = "the proxy "+proxyName(proxy), "check "+words.Proxy+" and "+words.Way
		}
	}
	if sentence := words.certificateObstacle(err, to); sentence != "" {
		return sentence
	}
	if sentence := handshakeObstacle(err, to); sentence != "" {
		return sentence
	}
	if left {
		return "no answer from " + to + words.why(err)
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		if name.IsNotFound {
			return fmt.Sprintf("the name of %s is unknown: correct it, or check %s", to, words.DNS)
		}
		return fmt.Sprintf("the name of %s can't be looked up: check %s and %s", to, words.DNS, words.Way)
	}
	return "no connection to " + to + words.why(err) + ": " + remedy
}

// proxyRefusal is the sentence for a proxy that does not let a request through.
func (c *caller) proxyRefusal(status int) string {
	name := "on the way"
	if proxy := c.factory.transports.proxyOf(c.endpoint); proxy != nil {
		name = proxyName(proxy)
	}
	remedy := "look into the proxy's log why it can't reach that"
	switch status {
	case http.StatusProxyAuthRequired:
		remedy = "give the user and the password that it wants in " + c.factory.words.Proxy
	case http.StatusForbidden:
		remedy = "have it allow that host"
	}
	return fmt.Sprintf("the proxy %s refuses the way to %s with %d %s: %s", name, c.endpoint, status, statusText(status), remedy)
}

// proxyName is a proxy without user and password.
func proxyName(proxy *url.URL) string { return proxy.Scheme + "://" + proxy.Host }

// why is the reason at the end of a sentence, empty when nothing can be said that stays the
// same.
func (w Words) why(err error) string {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return " in time"
	}
	if errors.Is(err, context.Canceled) {
		return ": " + w.Ended
	}
	// How a connection breaks is a matter of chance: one and the same server gives all these.
	for _, broken := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, broken) {
			return ": the connection broke"
		}
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return ": " + number.Error()
	}
	return ""
}

// certificateObstacle is the sentence about a certificate that is not trusted, empty for
// other errors.
func (w Words) certificateObstacle(err error, of string) string {
	of = "the certificate of " + of
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return of + " is of an authority that is not known here: give the authority's certificate as caBundle in the Secret, or for all by " + w.Authorities
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return of + " is for another name: write the endpoint with a name that it has, or have one made for this name"
	}
	if bad, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if bad.Reason != x509.Expired || bad.Cert == nil {
			return of + " is not one of a server, or its chain is broken: have it made anew"
		}
		if from := bad.Cert.NotBefore; time.Now().Before(from) {
			return fmt.Sprintf("%s is valid from %s on: check this machine's clock", of, from.UTC().Format(time.RFC3339))
		}
		return fmt.Sprintf("%s, or of its authority, has expired on %s: renew it, and check this machine's clock", of, bad.Cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return of + " can't be verified: " + w.Reason
	}
	return ""
}

// handshakeObstacle is the sentence about TLS that does not begin, empty for other errors.
func handshakeObstacle(err error, with string) string {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return with + " does not speak TLS: write http in place of https, or name the port that speaks it"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" { // so crypto/tls calls an alert
		return with + " refuses the TLS handshake: " + op.Err.Error()
	}
	return ""
}

// neverSent reports whether the request surely did not leave, by the type of the error: the
// connection was never made. Everything else may have reached the cloud.
func neverSent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "dial" || op.Op == "proxyconnect") {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*tunnelError](err); ok {
		return true
	}
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

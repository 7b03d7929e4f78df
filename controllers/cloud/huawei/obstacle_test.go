package huawei_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/test/cloudsim/proxy"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/env/pki"
)

// listening is an address that does with a connection what a test says.
func listening(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return listener.Addr().String()
}

// nowhere is an address at which nobody listens.
func nowhere(t *testing.T) string {
	t.Helper()
	listener := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	ok(t, listener.Close())
	return listener.Addr().String()
}

var loopback = net.IPv4(127, 0, 0, 1)

// secure is a simulated cloud on https with a certificate of the authority.
func secure(t *testing.T, certificate func(*pki.Authority) (pki.Pair, error)) (*sim.Sim, *pki.Authority) {
	t.Helper()
	authority := must[*pki.Authority](t)(pki.New())
	pair := must[pki.Pair](t)(certificate(authority))
	return sim.ForTest(t, sim.WithCertificate(must[tls.Certificate](t)(tls.X509KeyPair(pair.Cert, pair.Key)))), authority
}

func goodCertificate(a *pki.Authority) (pki.Pair, error) { return a.Server("cloud", nil, loopback) }

// failed is what a caller sees of an error.
type failed struct {
	Class             cloud.Class
	Ambiguous, Unsent bool
	HTTPStatus        int
	Text              string
}

func TestWhyACallHasNoAnswerIsSaidInOneSentenceThatStaysTheSame(t *testing.T) {
	type setting struct {
		options  huawei.Options
		endpoint string
		bundle   string
	}
	proxied := func(status int) setting {
		s, _ := secure(t, goodCertificate)
		p := proxy.ForTest(t)
		p.Refuse(status)
		return setting{options: huawei.Options{Proxy: withLogin(p.URL)}, endpoint: s.URL}
	}
	certified := func(certificate func(*pki.Authority) (pki.Pair, error), trusted bool) setting {
		s, authority := secure(t, certificate)
		if !trusted {
			return setting{endpoint: s.URL}
		}
		return setting{endpoint: s.URL, bundle: string(authority.CertPEM)}
	}
	for name, tc := range map[string]struct {
		set  setting
		left bool
		says []string // beside the endpoint
	}{
		"nobody listens": {setting{endpoint: "http://" + nowhere(t)}, false,
			[]string{"no connection to", "connection refused", "--cloud-proxy"}},
		"TLS does not begin in time": {setting{
			endpoint: "https://" + listening(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), options: huawei.Options{Deadline: 200 * time.Millisecond},
		}, false, []string{"no connection to", "in time"}},
		"TLS is refused": {setting{endpoint: "https://" + listening(t, func(c net.Conn) {
			_ = tls.Server(c, &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}).Handshake() //nolint:gosec // that it is old is what is tested
			_ = c.Close()
		})}, false, []string{"refuses the TLS handshake", "protocol version"}},
		"there is no TLS":             {setting{endpoint: strings.Replace(sim.ForTest(t).URL, "http:", "https:", 1)}, false, []string{"does not speak TLS", "write http"}},
		"the authority is not known":  {certified(goodCertificate, false), false, []string{"authority that is not known", "caBundle", "--cloud-ca-bundle"}},
		"the certificate has expired": {certified(func(a *pki.Authority) (pki.Pair, error) { return a.Expired("cloud", loopback) }, true), false, []string{"has expired on 20", "renew", "clock"}},
		"the certificate is for another name": {certified(func(a *pki.Authority) (pki.Pair, error) { return a.Server("cloud", []string{"vpc.example"}) }, true), false,
			[]string{"is for another name", "write the endpoint with a name that it has"}},
		"a proxy wants a password":    {proxied(http.StatusProxyAuthRequired), false, []string{"the proxy http://127.0.0.1:", "407 Proxy Authentication Required", "user and the password"}},
		"a proxy does not allow it":   {proxied(http.StatusForbidden), false, []string{"the proxy http://127.0.0.1:", "403 Forbidden", "allow that host"}},
		"a proxy can't reach it":      {proxied(http.StatusBadGateway), false, []string{"the proxy http://127.0.0.1:", "502 Bad Gateway", "proxy's log"}},
		"a proxy answers with a page": {proxied(http.StatusTeapot), false, []string{"the proxy http://127.0.0.1:", "418"}},
		"the proxy is away":           {setting{endpoint: "https://vpc.example", options: huawei.Options{Proxy: withLogin(&url.URL{Scheme: "http", Host: nowhere(t)})}}, false, []string{"no connection to the proxy http://127.0.0.1:", "connection refused", "--cloud-proxy"}},
		"the connection ends before the answer": {setting{endpoint: "http://" + listening(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		})}, true, []string{"no answer from"}},
		"something else than HTTP answers": {setting{endpoint: "http://" + listening(t, func(c net.Conn) {
			_, _ = fmt.Fprintf(c, "SSH-2.0-OpenSSH_9.6 %s\r\n", c.RemoteAddr())
			_, _ = c.Read(make([]byte, 4096))
			_ = c.Close()
		})}, true, []string{"no answer from"}},
	} {
		t.Run(name, func(t *testing.T) {
			set := tc.set
			set.options.CallsPerSecond, set.options.Burst = 1e6, 1e6
			credentials := good()
			credentials.Endpoint, credentials.CABundle = set.endpoint, set.bundle
			c := connect(t, set.options, credentials)
			var first failed
			for attempt := range 3 {
				_, err := c.CreateFilter(t.Context(), "f", "")
				e, isCloud := errors.AsType[*cloud.Error](err)
				if !isCloud {
					t.Fatalf("got %v, want a cloud error", err)
				}
				got := failed{e.Class, e.Ambiguous, e.Unsent, e.HTTPStatus, err.Error()}
				if attempt == 0 {
					first = got
				}
				want := failed{cloud.ClassServer, tc.left, !tc.left, 0, first.Text}
				if got != want {
					t.Errorf("attempt %d gives\n%+v, want\n%+v", attempt, got, want)
				}
				if e.Detail == "" {
					t.Error("the log learns nothing more")
				}
			}
			for _, word := range tc.says {
				if !strings.Contains(first.Text, word) {
					t.Errorf("%q does not say %q", first.Text, word)
				}
			}
			for _, word := range []string{"SSH", "->", "hidden", "company"} {
				if strings.Contains(first.Text, word) {
					t.Errorf("%q says %q", first.Text, word)
				}
			}
		})
	}
}

func withLogin(u *url.URL) func(*http.Request) (*url.URL, error) {
	out := *u
	out.User = url.UserPassword("me", "hidden")
	return http.ProxyURL(&out)
}

func TestAProxyThatKeepsAPlainRequestIsNamedToo(t *testing.T) {
	s, p := sim.ForTest(t), proxy.ForTest(t)
	p.Want("me", "hidden")
	o := fast
	o.Proxy = http.ProxyURL(p.URL)
	_, err := connect(t, o, credentialsOf(s)).CreateFilter(t.Context(), "f", "")
	if cloud.ClassOf(err) != cloud.ClassServer || cloud.IsAmbiguous(err) || !cloud.IsUnsent(err) || !strings.Contains(err.Error(), "the proxy "+p.URL.String()) {
		t.Errorf("got %v, want an unsent one that names the proxy", err)
	}
}

func TestTheCloudIsReachedThroughTheProxy(t *testing.T) {
	for name, cloudOf := range map[string]func(*testing.T) (*sim.Sim, []byte){
		"over https": func(t *testing.T) (*sim.Sim, []byte) {
			t.Helper()
			s, authority := secure(t, goodCertificate)
			return s, authority.CertPEM
		},
		"over http": func(t *testing.T) (*sim.Sim, []byte) { t.Helper(); return sim.ForTest(t), nil },
	} {
		t.Run(name, func(t *testing.T) {
			s, bundle := cloudOf(t)
			p := proxy.ForTest(t)
			p.Want("me", "hidden")
			o := fast
			o.Proxy = withLogin(p.URL)
			credentials := credentialsOf(s)
			credentials.CABundle = string(bundle)
			must[cloud.Filter](t)(connect(t, o, credentials).CreateFilter(t.Context(), "f", ""))
			if len(p.Seen()) != 1 || len(s.Journal.Since(0)) != 1 {
				t.Errorf("the proxy saw %v and the cloud %d calls, want one each", p.Seen(), len(s.Journal.Since(0)))
			}
		})
	}
}

func TestAuthoritiesAreTrustedForOneAccountOrForAll(t *testing.T) {
	s, authority := secure(t, goodCertificate)
	trusting := credentialsOf(s)
	trusting.CABundle = "\ufeff# the company's\r\n" + strings.ReplaceAll(string(authority.CertPEM), "\n", "\r\n")
	factory := huawei.NewFactory(fast)
	must[[]cloud.Filter](t)(must[cloud.Client](t)(factory.New(t.Context(), trusting)).ListFilters(t.Context()))
	if _, err := must[cloud.Client](t)(factory.New(t.Context(), credentialsOf(s))).ListFilters(t.Context()); err == nil {
		t.Error("another account of the factory trusts the authority too")
	}
	o := fast
	o.Authorities = must[[]*x509.Certificate](t)(huawei.ReadAuthorities(authority.CertPEM))
	must[[]cloud.Filter](t)(connect(t, o, credentialsOf(s)).ListFilters(t.Context()))
	lookUp := trusting
	lookUp.ProjectID, lookUp.IAMEndpoint = "", s.URL
	must[[]cloud.Filter](t)(must[cloud.Client](t)(factory.New(t.Context(), lookUp)).ListFilters(t.Context()))
}

func TestABundleThatIsDamagedIsAMistake(t *testing.T) {
	pem := string(must[*pki.Authority](t)(pki.New()).CertPEM)
	key := must[pki.Pair](t)(must[*pki.Authority](t)(pki.New()).Client("x")).Key
	for name, tc := range map[string]struct{ bundle, says string }{
		"a text":             {"our authority", "no certificate in PEM form"},
		"a half":             {pem[:len(pem)/2], "damaged or cut off"},
		"a half after one":   {pem + pem[:len(pem)/2], "damaged or cut off"},
		"a key":              {pem + string(key), "something else than certificates"},
		"another BEGIN line": {strings.Replace(pem, "BEGIN CERTIFICATE", "BEGIN CERT", 1), "damaged or cut off"},
		"letters in between": {strings.Replace(pem, "MII", "AII", 1), "can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good()
			c.CABundle = tc.bundle
			_, err := huawei.NewFactory(fast).New(t.Context(), c)
			if cloud.ClassOf(err) != cloud.ClassInvalid || !strings.Contains(err.Error(), "caBundle") || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want Invalid with caBundle and %q", err, tc.says)
			}
		})
	}
}

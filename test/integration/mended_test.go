//go:build !oldest

package integration_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/proxy"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/env/pki"
	"vpcmirror.io/operator/test/integration/harness"
)

// silent is an address that ends every connection before an answer, and counts them.
func silent(t *testing.T) (endpoint string, connections *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	connections = &atomic.Int64{}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_, _ = c.Read(make([]byte, 1))
			_ = c.(*net.TCPConn).SetLinger(0) // a reset
			_ = c.Close()
		}
	}()
	return "http://" + listener.Addr().String(), connections
}

func TestAMendedSecretIsPickedUpAtOnceWhateverWasWrongWithIt(t *testing.T) {
	t.Parallel()
	dead, _ := silent(t)
	for name, c := range map[string]struct {
		key, value, reason string
		words              []string
	}{
		"the access key":            {"accessKey", "WRONGACCESSKEY", v1alpha1.ReasonAuthenticationFailed, nil},
		"the secret key":            {"secretKey", "wrong-secret-key", v1alpha1.ReasonAuthenticationFailed, nil},
		"a secret key that is gone": {"secretKey", "", v1alpha1.ReasonCredentialsNotFound, []string{"secretKey"}},
		"a mark in the access key": {"accessKey", "\ufeff" + scenario.WalkthroughAccessKey, v1alpha1.ReasonInvalidCredentials,
			[]string{"accessKey", "U+FEFF", "BYTE ORDER MARK", "character 1"}},
		"the region":      {"region", "cn nord", v1alpha1.ReasonInvalidCredentials, []string{"region"}},
		"the project":     {"projectID", scenario.WalkthroughOtherProject, v1alpha1.ReasonPermissionDenied, []string{"check projectID"}},
		"an endpoint":     {"endpoint", dead, v1alpha1.ReasonCloudUnavailable, []string{dead}},
		"a private CA":    {"caBundle", "no certificate", v1alpha1.ReasonInvalidCredentials, []string{"caBundle"}},
		"a text as URL":   {"endpoint", "vpc.example", v1alpha1.ReasonEndpointNotAllowed, []string{"endpoint"}},
		"a long-gone IAM": {"iamEndpoint", "https://iam.example", v1alpha1.ReasonEndpointNotAllowed, []string{"iamEndpoint"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			secret := w.Secret(harness.SecretName)
			right, had := secret.Data[c.key]
			harness.Change(w, secret, func(s *corev1.Secret) { s.Data[c.key] = []byte(c.value) })
			w.Start(harness.WithEndpoints(dead))
			filter := w.Filter("mended")
			w.Create(filter)
			harness.Because(w, filter, c.reason, c.words...)
			harness.Change(w, secret, func(s *corev1.Secret) {
				if s.Data[c.key] = right; !had {
					delete(s.Data, c.key)
				}
			})
			harness.Ready(w, filter)
		})
	}
}

func TestWhatIsMendedInTheCloudIsPickedUpAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  fault.Fault
		reason string
	}{
		"a key that was not active yet": {fault.Fault{Kind: fault.Error, Status: 401, Code: "APIGW.0301", Message: "Incorrect IAM authentication information"},
			v1alpha1.ReasonAuthenticationFailed},
		"a right that was missing": {fault.Forbidden(""), v1alpha1.ReasonPermissionDenied},
		"an account in arrears": {fault.Fault{Kind: fault.Error, Status: 403, Code: "VPC.2701", Message: "The account is in arrears"},
			v1alpha1.ReasonPermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			broken := w.Fault(c.fault)
			w.Start()
			filter, session := w.Filter("mended"), w.Session("mended", "mended")
			w.Create(filter)
			w.Create(session)
			harness.Because(w, filter, c.reason)
			harness.Because(w, session, c.reason)
			w.Cloud.Faults.Remove(broken)
			harness.Ready(w, filter)
			harness.Ready(w, session)
		})
	}
}

func TestAnEndpointThatBreaksEveryConnectionWritesTheStatusOnce(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	endpoint, connections := silent(t)
	harness.Change(w, w.Secret(harness.SecretName), func(s *corev1.Secret) { s.Data["endpoint"] = []byte(endpoint) })
	m := w.Start(harness.WithEndpoints(endpoint))
	filter := w.Filter("broken")
	w.Create(filter)
	harness.Poll(t, "four attempts", connections.Load, func(n int64) bool { return n >= 4 })
	harness.Because(w, filter, v1alpha1.ReasonCloudUnavailable, "look for an earlier creation of the filter", "no answer from "+endpoint)
	var statuses int
	for _, r := range m.Writes() {
		if strings.HasSuffix(r, "/status") {
			statuses++
		}
	}
	harness.Same(t, "writes of the status", 1, statuses)
	if !strings.Contains(m.Log.String(), "127.0.0.1:") {
		t.Error("the log does not have the addresses of the connection")
	}
}

func TestRetryAfterIsObeyedAndGrows(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	throttle := fault.Throttle(4, "1")
	throttle.Operation = "ListTrafficMirrorFilters"
	w.Fault(throttle)
	w.Start()
	filter := w.Filter("throttled")
	w.Create(filter)
	harness.Ready(w, filter)
	var at []time.Time
	for _, e := range w.Cloud.Journal.Since(0) {
		if e.Status == 429 {
			at = append(at, e.Time)
		}
	}
	for i := range len(at) - 1 {
		if gap, least := at[i+1].Sub(at[i]), time.Second<<i*9/10; gap < least {
			t.Errorf("look %d comes %s after the one before, want at least %s", i+1, gap, least)
		}
	}
	harness.Same(t, "the looks that were throttled", 4, len(at))
}

func TestACloudBehindAProxyAndAPrivateAuthority(t *testing.T) {
	t.Parallel()
	authority, err := pki.New()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Server("cloud", nil, net.IPv4(127, 0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	w, p := harness.New(t, sim.WithCertificate(certificate)), proxy.ForTest(t)
	p.Want("me", "hidden")
	through := *p.URL
	through.User = url.UserPassword("me", "hidden")
	m := w.Start(harness.WithProxy(&through))
	filter := w.Filter("private")
	w.Create(filter)
	harness.Because(w, filter, v1alpha1.ReasonCloudUnavailable, w.Cloud.URL, "authority that is not known", "caBundle")

	secret := w.Secret(harness.SecretName)
	harness.Change(w, secret, func(s *corev1.Secret) { s.Data["caBundle"] = authority.CertPEM })
	harness.Ready(w, filter)

	p.Refuse(403) // for new tunnels; those that stand are cut
	p.Cut()
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = append(f.Spec.Rules, harness.Rule(2)) })
	harness.Because(w, filter, v1alpha1.ReasonCloudUnavailable, fmt.Sprintf("the proxy %s refuses the way to %s with 403", p.URL, w.Cloud.URL))
	p.Refuse(0)
	harness.Ready(w, filter)
	harness.Same(t, "the rules", 2, len(w.Content().Rules))
	if shown := m.Log.String() + harness.Text(filter); strings.Contains(shown, "hidden") {
		t.Error("log or status show the proxy's password")
	}
}

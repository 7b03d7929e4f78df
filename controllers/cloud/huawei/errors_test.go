package huawei

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

func TestEveryRowOfTheErrorTable(t *testing.T) {
	reached := map[int]bool{}
	for _, tc := range []struct {
		name          string
		status        int
		code, message string
		want          cloud.Class
	}{
		{"401 is authentication", 401, "APIGW.0301", "Incorrect IAM authentication information", cloud.ClassAuthentication},
		{"402 is permission", 402, "", "", cloud.ClassPermission},
		{"404 of the public gateway is unsupported", 404, "APIGW.0101", "The API does not exist", cloud.ClassUnsupported},
		{"404 of one's own gateway is unsupported", 404, "APIG.0101", "The API does not exist", cloud.ClassUnsupported},
		{"404 with a VPC code is not found", 404, "VPC.9904", "could not be found", cloud.ClassNotFound},
		{"404 with a code of the ELB service is not found", 404, "ELB.8904", "could not be found", cloud.ClassNotFound},
		{"400 that says a load balancer does not exist is not found", 400, "ELB.1003", "The load balancer does not exist.", cloud.ClassNotFound},
		{"404 without a VPC code proves nothing", 404, "", "already in use", cloud.ClassServer},
		{"405 is unsupported", 405, "", "", cloud.ClassUnsupported},
		{"407 is a proxy's", 407, "", "", cloud.ClassServer},
		{"408 is the server's", 408, "", "", cloud.ClassServer},
		{"413 is invalid", 413, "APIGW.0201", "too large", cloud.ClassInvalid},
		{"414 is invalid", 414, "APIGW.0201", "too large", cloud.ClassInvalid},
		{"423 is a conflict", 423, "", "", cloud.ClassConflict},
		{"429 is throttled", 429, "APIGW.0308", "over ratelimit", cloud.ClassThrottled},
		{"431 is invalid", 431, "", "headers too large", cloud.ClassInvalid},
		{"494 is invalid", 494, "APIGW.0201", "headers too large", cloud.ClassInvalid},

		{"400 for a project that is not that of the keys is a lack of permission", 400, "VPC.0007", "urlTenantId is not equal tokenTenantId", cloud.ClassPermission},
		{"400 with the code of a limit of calls is throttled", 400, "APIGW.0308", "over ratelimit", cloud.ClassThrottled},
		{"the same of one's own gateway", 403, "APIG.0308", "over ratelimit", cloud.ClassThrottled},
		{"400 with the code of a quota is one", 400, "VPC.9905", "no more of these", cloud.ClassQuota},
		{"403 with the code of a quota is one", 403, "vpc.9905", "", cloud.ClassQuota},
		{"409 VPC.9905 is a quota", 409, "VPC.9905", "Quota exceeded", cloud.ClassQuota},
		{"400 with the code of a reference is a conflict", 400, "VPC.9907", "", cloud.ClassConflict},
		{"403 of the policy engine is permission, whatever the action is called", 403, "VPC.0010", "Policy doesn't allow vpc:quotas:list", cloud.ClassPermission},
		{"403 of VPC about rights or the bill is permission", 403, "VPC.2701", "already overdue", cloud.ClassPermission},
		{"403 of the gateway is permission", 403, "APIGW.0302", "", cloud.ClassPermission},
		{"403 of one's own gateway is permission", 403, "APIG.0802", "", cloud.ClassPermission},

		{"403 about policies is permission, whatever the action is called", 403, "PAP5.0012", "no policy allows vpc:quotas:list", cloud.ClassPermission},
		{"403 about authority is permission", 403, "", "User is not authorized to perform vpc:quotas:list", cloud.ClassPermission},
		{"403 about permissions is permission", 403, "", "No permission for vpc:quotas:list", cloud.ClassPermission},
		{"403 about what is not allowed is permission", 403, "", "vpc:quotas:list is not allowed", cloud.ClassPermission},
		{"403 about a denial is permission", 403, "", "Access to vpc:quotas:list denied", cloud.ClassPermission},
		{"403 about the bill is permission", 403, "", "The account is already in arrears", cloud.ClassPermission},
		{"403 about a frozen account is permission", 403, "", "The account has already been frozen", cloud.ClassPermission},
		{"403 about a suspended account is permission", 403, "", "The account is already Suspended", cloud.ClassPermission},

		{"400 about a quota is one", 400, "VPC.9901", "Quota exceeded for resources: ['traffic_mirror_session']", cloud.ClassQuota},
		{"403 about a quota is one", 403, "", "The quota is used up", cloud.ClassQuota},
		{"409 about a quota is one, whatever its code", 409, "VPC.9902", "exceeds the quota", cloud.ClassQuota},
		{"400 about a maximum number is a quota", 400, "", "The Maximum number of sessions is 3", cloud.ClassQuota},
		{"409 about too many is a quota", 409, "", "Too many sessions for one source", cloud.ClassQuota},

		{"400 about support is unsupported", 400, "VPC.9902", "Flavor s6 does not support traffic mirroring.", cloud.ClassUnsupported},
		{"409 about support is unsupported", 409, "VPC.9902", "Flavor s6 is not supported.", cloud.ClassUnsupported},
		{"400 about something that exists already is a conflict", 400, "VPC.9901", "priority 1 already exists", cloud.ClassConflict},
		{"403 about something that is used already is a conflict", 403, "", "priority 1 is Already used", cloud.ClassConflict},
		{"400 about something that exists is a conflict", 400, "", "such a session exists in the region", cloud.ClassConflict},
		{"422 about a duplicate is a conflict", 422, "", "Duplicate priority", cloud.ClassConflict},
		{"400 about something in use is a conflict", 400, "VPC.9902", "filter is in use", cloud.ClassConflict},
		{"400 about something being used is a conflict", 400, "", "the filter is being used by a session", cloud.ClassConflict},
		{"400 about what somebody uses is a conflict", 400, "", "the filter is used by a session", cloud.ClassConflict},
		{"403 about a reference is a conflict", 403, "", "the filter is Referenced by a session", cloud.ClassConflict},
		{"400 about a conflict is a conflict", 400, "VPC.9902", "Conflict with the state", cloud.ClassConflict},

		{"400 is invalid", 400, "VPC.9901", "Invalid input for name. Length must be 1-64.", cloud.ClassInvalid},
		{"what does not exist is no duplicate", 400, "VPC.9901", "the port does not exist", cloud.ClassInvalid},
		{"403 is permission", 403, "", "", cloud.ClassPermission},
		{"409 is a conflict", 409, "", "", cloud.ClassConflict},
		{"412 is a conflict", 412, "", "", cloud.ClassConflict},
		{"415 is invalid", 415, "", "", cloud.ClassInvalid},
		{"422 is invalid", 422, "", "", cloud.ClassInvalid},
		{"a status that nobody knows is the server's", 418, "", "", cloud.ClassServer},
		{"503 is the server's, whatever it says", 503, "APIGW.0613", "quota in use already", cloud.ClassServer},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := classify(tc.status, tc.code, tc.message); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
		for i, r := range table {
			if r.fits(tc.status, tc.code, strings.ToLower(tc.message)) {
				reached[i] = true
				break
			}
		}
	}
	for i, r := range table {
		if !reached[i] {
			t.Errorf("no test reaches row %d of the table: %+v", i, r)
		}
	}
	t.Run("the code alone never makes an object absent", func(t *testing.T) {
		for status := 100; status < 600; status++ {
			if status != 404 && classify(status, "VPC.9904", "could not be found") == cloud.ClassNotFound {
				t.Errorf("status %d with VPC.9904 is NotFound", status)
			}
		}
	})
}

func TestTheBodyOfARefusalIsRead(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		want fault
	}{
		"in the gateway's shape": {`{"error_code":"APIGW.0308","error_msg":"slow down","request_id":"abc"}`, fault{"APIGW.0308", "slow down", "abc"}},
		"in the older shape":     {`{"code":"VPC.0002","message":"no"}`, fault{"VPC.0002", "no", ""}},
		"inside an object":       {`{"error":{"code":"VPC.0002","message":"no"},"request_id":"abc"}`, fault{"VPC.0002", "no", "abc"}},
		"in Neutron's shape":     {`{"NeutronError":{"type":"PortNotFound","message":"no port","detail":""}}`, fault{"", "no port", ""}},
		"with a number as code":  {`{"error":{"code":401,"message":"no"}}`, fault{"", "no", ""}},
		"the first pair wins":    {`{"code":"B","message":"b","error_code":"A","error_msg":"a"}`, fault{"A", "a", ""}},
		"not when it is a page":  {`<html>keys: 1234</html>`, fault{}},
		"not when it is a list":  {`[{"code":"A","message":"b"}]`, fault{}},
		"not an unknown text":    {`{"secret":"the metadata of some server"}`, fault{}},
		"not a hostile code":     {`{"error_code":"a\nb","error_msg":"m"}`, fault{"", "m", ""}},
		"not when it is empty":   {``, fault{}},
		"not when it is endless": {`{"error_code":"A","error_msg":"` + strings.Repeat("x", maxFaultBytes) + `"}`, fault{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := readFault([]byte(tc.body)); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestRetryAfterIsReadInBothForms(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"17":                            17 * time.Second,
		" 17 ":                          17 * time.Second,
		"0":                             0,
		"-5":                            0,
		"soon":                          0,
		"99999":                         maxRetryAfter,
		"99999999999999999999":          0,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second,
		"Fri, 02 Jan 2026 03:04:00 GMT": 0,
		"Sat, 02 Jan 2027 03:04:05 GMT": maxRetryAfter,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("Retry-After %q gives %s, want %s", value, got, want)
		}
	}
}

func TestSecretsAreScrubbed(t *testing.T) {
	s := newSecrets("ACCESSKEY1", "secret/key+1", "token==", "")
	for name, tc := range map[string][2]string{
		"an access key in a sentence":                {"ak ACCESSKEY1 not exist", "ak *** not exist"},
		"the echo of the signed request":             {"verify aksk signature fail, canonicalRequest:GET|/v3/|x-sdk-date:2026|token==", "verify aksk signature fail"},
		"the echo in another spelling":               {"signature mismatch. Canonical-Request: GET", "signature mismatch"},
		"the string to sign":                         {"fail; StringToSign=abc", "fail"},
		"a signature":                                {"bad Signature=0123456789", "bad"},
		"a header":                                   {"sent Authorization: SDK-HMAC-SHA256 Access=x", "sent"},
		"line breaks and control characters go away": {"a\r\n\tb\x1b[31mc\x00", "a b[31mc"},
		"what is no UTF-8 goes away":                 {"a\xff\xfeb", "ab"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := s.scrub(tc[0]); got != tc[1] {
				t.Errorf("got %q, want %q", got, tc[1])
			}
		})
	}
	t.Run("a long message is bounded", func(t *testing.T) {
		if got := []rune(s.scrub(strings.Repeat("界", 10000))); len(got) != maxMessageRunes+4 {
			t.Errorf("got %d characters", len(got))
		}
	})
}

func FuzzNoSecretSurvivesScrubbing(f *testing.F) {
	f.Add("ak ", "ACCESSKEY1", " not exist")
	f.Add("abcabc", "abcabcabc", "\x00abc")
	f.Add("se", "secret", "cret")
	f.Add("ak ", "\ufeffACCESSKEY1", " not exist")
	f.Add("ak ", "ACCESS\u200bKEY1", " not exist")
	f.Add("ak ", "ACCESS\u2028 KEY1", " not exist")
	f.Add("ak ", "ACCESS\xffKEY1\r\n", " not exist")
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		// Stars are what the scrubber writes.
		bare := strings.ReplaceAll(printable(secret), " ", "")
		if len(bare) < minSecret || strings.Contains(bare, "*") {
			t.Skip()
		}
		scrubber := newSecrets(secret)
		for _, shown := range []string{secret, strings.TrimSpace(secret), printable(secret), bare} {
			got := scrubber.scrub(before + shown + after)
			if strings.Contains(got, secret) || strings.Contains(got, bare) {
				t.Errorf("%q holds the secret %q", got, secret)
			}
		}
	})
}

func TestOnlyAConnectionThatWasNeverMadeIsSurelyNotSent(t *testing.T) {
	wrap := func(err error) error {
		return fmt.Errorf("calling: %w", &url.Error{Op: "Post", URL: "http://x", Err: err})
	}
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"a refused connection":    {&net.OpError{Op: "dial", Err: errors.New("refused")}, true},
		"a name that is unknown":  {&net.DNSError{Err: "no such host"}, true},
		"an untrusted server":     {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, true},
		"a proxy that refuses":    {&tunnelError{status: 403}, true},
		"a proxy that is away":    {&net.OpError{Op: "proxyconnect", Err: errors.New("refused")}, true},
		"a reset while reading":   {&net.OpError{Op: "read", Err: errors.New("reset")}, false},
		"a time-out":              {http.ErrHandlerTimeout, false},
		"an unknown error":        {errors.New("?"), false},
		"a reset while it writes": {&net.OpError{Op: "write", Err: errors.New("reset")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := neverSent(wrap(tc.err)); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
}

func TestTheEnvironmentsProxyIsNotUsed(t *testing.T) {
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	// Go asks no proxy for the loopback, so what is decided for another name is asked for.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://vpc.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	if choose := newTransport(nil, nil).Proxy; choose != nil {
		u, err := choose(request)
		t.Errorf("the proxy is %v (%v), want none", u, err)
	}
	want := &url.URL{Scheme: "http", Host: "proxy.example:3128"}
	if got, err := newTransport(http.ProxyURL(want), nil).Proxy(request); err != nil || got.String() != want.String() {
		t.Errorf("the proxy is %v (%v), want %v", got, err, want)
	}
}

func TestANameThatCanNotBeLookedUpIsSaidWithoutTheNameServer(t *testing.T) {
	c := &caller{factory: NewFactory(Options{}), endpoint: "https://vpc.example"}
	for want, err := range map[string]*net.DNSError{
		"the name of https://vpc.example is unknown: correct it, or check the cluster's DNS": {
			Err: "no such host", Name: "vpc.example", Server: "10.0.0.10:53", IsNotFound: true},
		"the name of https://vpc.example can't be looked up: check the cluster's DNS and the network policies": {
			Err: "read udp 10.0.0.7:51234->10.0.0.10:53: i/o timeout", Name: "vpc.example", Server: "10.0.0.10:53", IsTimeout: true},
	} {
		if got := c.obstacle(&net.OpError{Op: "dial", Net: "tcp", Err: err}, false); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestACloudsSentenceKeepsNothingThatChangesAtEachAttempt(t *testing.T) {
	got := lasting("request 0f3c of 20261126T010203Z is too old: it is 2026-11-26 01:20:00.123Z, Thu, 26 Nov 2026 01:20:00 GMT. Limit: 5 per 1 minute",
		"0f3c", "", "Thu, 26 Nov 2026 01:20:00 GMT")
	if want := "request ... of ... is too old: it is ..., .... Limit: 5 per 1 minute"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

package huawei

import (
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
		{"400 for a project that is not that of the keys is a lack of permission", 400, "VPC.0007", "urlTenantId is not equal tokenTenantId", cloud.ClassPermission},
		{"400 VPC.9902 about support is unsupported", 400, "VPC.9902", "Flavor s6 does not support traffic mirroring.", cloud.ClassUnsupported},
		{"400 VPC.9902 about something that is there already is a conflict", 400, "VPC.9902", "priority 1 is Already used", cloud.ClassConflict},
		{"400 VPC.9902 about something in use is a conflict", 400, "vpc.9902", "filter is in use", cloud.ClassConflict},
		{"400 VPC.9902 about a conflict is a conflict", 400, "VPC.9902", "Conflict with the state", cloud.ClassConflict},
		{"400 is invalid", 400, "VPC.9901", "Invalid input for name. It is already in use.", cloud.ClassInvalid},
		{"401 is authentication", 401, "APIGW.0301", "Incorrect IAM authentication information", cloud.ClassAuthentication},
		{"402 is permission", 402, "", "", cloud.ClassPermission},
		{"403 is permission", 403, "VPC.0010", "Policy doesn't allow", cloud.ClassPermission},
		{"404 of the public gateway is unsupported", 404, "APIGW.0101", "The API does not exist", cloud.ClassUnsupported},
		{"404 of one's own gateway is unsupported", 404, "APIG.0101", "The API does not exist", cloud.ClassUnsupported},
		{"404 with a VPC code is not found", 404, "VPC.9904", "could not be found", cloud.ClassNotFound},
		{"404 without a VPC code proves nothing", 404, "", "", cloud.ClassServer},
		{"405 is unsupported", 405, "", "", cloud.ClassUnsupported},
		{"408 is the server's", 408, "", "", cloud.ClassServer},
		{"409 VPC.9905 is a quota", 409, "VPC.9905", "Quota exceeded", cloud.ClassQuota},
		{"409 is a conflict", 409, "VPC.9907", "in use", cloud.ClassConflict},
		{"412 is a conflict", 412, "", "", cloud.ClassConflict},
		{"413 is invalid", 413, "APIGW.0201", "too large", cloud.ClassInvalid},
		{"414 is invalid", 414, "APIGW.0201", "too large", cloud.ClassInvalid},
		{"415 is invalid", 415, "", "", cloud.ClassInvalid},
		{"422 is invalid", 422, "", "", cloud.ClassInvalid},
		{"423 is a conflict", 423, "", "", cloud.ClassConflict},
		{"429 is throttled", 429, "APIGW.0308", "over ratelimit", cloud.ClassThrottled},
		{"494 is invalid", 494, "APIGW.0201", "headers too large", cloud.ClassInvalid},
		{"a status that nobody knows is the server's", 503, "APIGW.0613", "", cloud.ClassServer},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := classify(tc.status, tc.code, tc.message); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
		for i, r := range table {
			if (r.status == 0 || r.status == tc.status) && hasPrefixFold(tc.code, r.code) && strings.Contains(strings.ToLower(tc.message), r.words) {
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
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		// Keys are printable ASCII without blanks; stars are what the scrubber writes.
		if len(secret) < minSecret || strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' || r == '*' }) {
			t.Skip()
		}
		if got := newSecrets(secret).scrub(before + secret + after); strings.Contains(got, secret) {
			t.Errorf("%q holds the secret %q", got, secret)
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
		"an untrusted server":     {x509.UnknownAuthorityError{}, true},
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

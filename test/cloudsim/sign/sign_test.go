package sign

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const vectorURL = "/v3/0123456789abcdef0123456789abcdef/vpc/traffic-mirror-filters"

// The vectors were made with the cloud's own SDK (access key EXAMPLEAK, secret key EXAMPLESK).
var vectors = []struct {
	name, method, url, body, signature string
}{
	{
		"a GET with an empty, a repeated and a non-ASCII query value", http.MethodGet,
		vectorURL + "?limit=2&marker&name=a+b%2F%E4%B8%AD", "",
		"3ecaa2bdb7a2ccf1f8c4047c81472825fa655e03e1b5318d1bfa5bee8be68fdb",
	},
	{
		"a POST whose JSON ends with a line feed", http.MethodPost, vectorURL,
		`{"traffic_mirror_filter":{"description":"demo","name":"f1"}}` + "\n",
		"ed9c09da2bcb766a4fecfe215e4ba05c53ceb56ea67de4b9afa89fa978742b30",
	},
}

func vectorTime(t *testing.T) time.Time {
	t.Helper()
	at, err := time.Parse(dateLayout, "20260101T000000Z")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func lookupVector(ak string) (Key, bool) { return Key{Secret: "EXAMPLESK"}, ak == "EXAMPLEAK" }

func TestTheSDKsOwnSignaturesVerify(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			r := httptest.NewRequest(v.method, v.url, strings.NewReader(v.body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set(HeaderDate, "20260101T000000Z")
			r.Header.Set(HeaderProject, "0123456789abcdef0123456789abcdef")
			r.Header.Set("Authorization", Algorithm+" Access=EXAMPLEAK, SignedHeaders=x-project-id;x-sdk-date, Signature="+v.signature)
			ak, err := Verify(r, []byte(v.body), lookupVector, vectorTime(t), DefaultSkew)
			if err != nil || ak != "EXAMPLEAK" {
				t.Fatalf("Verify = %q, %v; want EXAMPLEAK", ak, err)
			}
		})
		t.Run(v.name+" is signed by us just so", func(t *testing.T) {
			r := httptest.NewRequest(v.method, v.url, strings.NewReader(v.body))
			c := Credentials{AccessKey: "EXAMPLEAK", SecretKey: "EXAMPLESK", ProjectID: "0123456789abcdef0123456789abcdef"}
			if err := Sign(r, c, []byte(v.body), vectorTime(t)); err != nil {
				t.Fatal(err)
			}
			want := Algorithm + " Access=EXAMPLEAK, SignedHeaders=x-project-id;x-sdk-date, Signature=" + v.signature
			if diff := cmp.Diff(want, r.Header.Get("Authorization")); diff != "" {
				t.Fatalf("Authorization (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARefusedSignatureSaysWhy(t *testing.T) {
	now := vectorTime(t)
	temporary := func(ak string) (Key, bool) {
		return Key{Secret: "EXAMPLESK", Token: "TOKEN", TokenExpires: now.Add(time.Hour)}, ak == "EXAMPLEAK"
	}
	for _, tc := range []struct {
		name   string
		creds  Credentials
		lookup func(string) (Key, bool)
		change func(*http.Request)
		at     time.Time
		want   string
	}{
		{name: "a request without a signature", change: func(r *http.Request) { r.Header.Del("Authorization") }, want: "Authorization header not found"},
		{name: "another algorithm", change: func(r *http.Request) { r.Header.Set("Authorization", "V11-HMAC-SHA256 Credential=x") }, want: "not supported"},
		{name: "half an Authorization header", change: func(r *http.Request) { r.Header.Set("Authorization", Algorithm+" Access=EXAMPLEAK") }, want: "needs Access, SignedHeaders and Signature"},
		{name: "an unknown access key", creds: Credentials{AccessKey: "OTHER", SecretKey: "x"}, want: "ak OTHER not exist"},
		{name: "a wrong secret key gets the canonical request back", creds: Credentials{AccessKey: "EXAMPLEAK", SecretKey: "wrong"}, want: "canonicalRequest:GET|/v3/p/vpc/|a=1&b=|x-sdk-date:20260101T000000Z||x-sdk-date|e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{name: "a query changed after signing", change: func(r *http.Request) { r.URL.RawQuery = "a=2" }, want: "signature fail"},
		{name: "a date that is not signed", change: func(r *http.Request) {
			r.Header.Set("Authorization", Algorithm+" Access=EXAMPLEAK, SignedHeaders=host, Signature=00")
		}, want: "x-sdk-date is not among"},
		{name: "a malformed date", change: func(r *http.Request) { r.Header.Set(HeaderDate, "yesterday") }, want: "is not of the form"},
		{name: "a clock sixteen minutes behind", at: now.Add(16 * time.Minute), want: "differ by more than"},
		{name: "a clock sixteen minutes ahead", at: now.Add(-16 * time.Minute), want: "differ by more than"},
		{name: "a temporary key without its token", lookup: temporary, want: "security token is required"},
		{name: "a temporary key with another token", lookup: temporary, creds: Credentials{AccessKey: "EXAMPLEAK", SecretKey: "EXAMPLESK", Token: "OTHER"}, want: "token is invalid"},
		{name: "a permanent key with a token", creds: Credentials{AccessKey: "EXAMPLEAK", SecretKey: "EXAMPLESK", Token: "TOKEN"}, want: "does not belong"},
		{name: "an expired token", lookup: func(string) (Key, bool) { return Key{Secret: "EXAMPLESK", Token: "TOKEN", TokenExpires: now}, true }, creds: Credentials{AccessKey: "EXAMPLEAK", SecretKey: "EXAMPLESK", Token: "TOKEN"}, want: "has expired"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/v3/p/vpc?a=1&b", nil)
			if tc.creds.AccessKey == "" {
				tc.creds = Credentials{AccessKey: "EXAMPLEAK", SecretKey: "EXAMPLESK"}
			}
			if tc.lookup == nil {
				tc.lookup = lookupVector
			}
			if tc.at.IsZero() {
				tc.at = now
			}
			if err := Sign(r, tc.creds, nil, now); err != nil {
				t.Fatal(err)
			}
			if tc.change != nil {
				tc.change(r)
			}
			_, err := Verify(r, nil, tc.lookup, tc.at, DefaultSkew)
			var refused *Error
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("Verify = %v; want a refusal with %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "EXAMPLESK") {
				t.Fatalf("the message holds the secret key: %v", err)
			}
		})
	}
}

func TestATemporaryKeyWithItsTokenVerifies(t *testing.T) {
	now := vectorTime(t)
	r := httptest.NewRequest(http.MethodPut, "/v3/a%20b/", bytes.NewReader([]byte("{}")))
	if err := Sign(r, Credentials{AccessKey: "EXAMPLEAK", SecretKey: "EXAMPLESK", Token: "TOKEN"}, []byte("{}"), now); err != nil {
		t.Fatal(err)
	}
	lookup := func(string) (Key, bool) { return Key{Secret: "EXAMPLESK", Token: "TOKEN"}, true }
	if _, err := Verify(r, []byte("{}"), lookup, now, DefaultSkew); err != nil {
		t.Fatal(err)
	}
}

func TestASignedHostIsTakenFromTheRequest(t *testing.T) {
	now := vectorTime(t)
	r := httptest.NewRequest(http.MethodGet, "http://vpc.example.com/", nil)
	r.Header.Set(HeaderDate, now.Format(dateLayout))
	signed := []string{"host", "x-sdk-date"}
	if canonical := Canonical(r, signed, nil); !strings.Contains(canonical, "\nhost:vpc.example.com\n") {
		t.Fatalf("canonical request %q lacks the host", canonical)
	}
}

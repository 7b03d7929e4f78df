package account

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/test/cloudsim/sign"
)

const (
	accessKey = "EXAMPLEACCESSKEY9999"
	secretKey = "example-secret-of-this-test"
	token     = "example-token-of-this-test"
)

// client asks a server that answers as the handler does.
func client(t *testing.T, change func(*Config), handler http.HandlerFunc) (*Client, *bytes.Buffer) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	var log bytes.Buffer
	c := Config{
		VPC: server.URL, IAM: server.URL, Project: "0123456789abcdef0123456789abcdef", Guard: ourGuard,
		Keys:  sign.Credentials{AccessKey: accessKey, SecretKey: secretKey, Token: token},
		Scrub: NewScrubber(accessKey, secretKey, token), Journal: &Journal{Out: &log, Side: "cloud"},
	}
	if change != nil {
		change(&c)
	}
	made := New(c)
	t.Cleanup(made.Close)
	return made, &log
}

var read = Request{Service: VPC, Method: http.MethodGet, Path: project + "quotas", Case: "quotas", Step: "show the quotas"}

func TestTheJournalHasStatusCodeAndMessageOfEachCallAndNoSecret(t *testing.T) {
	c, log := client(t, nil, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "one")
		w.WriteHeader(http.StatusUnauthorized)
		answer, err := json.Marshal(map[string]string{
			"error_code": "APIGW.0301", "error_msg": "ak " + accessKey + " token " + r.Header.Get("X-Security-Token") + " and " + r.Header.Get("Authorization"),
		})
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(answer)
	})
	answer, err := c.Do(t.Context(), read)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{accessKey, secretKey, token} {
		if strings.Contains(log.String()+string(answer.Body), secret) {
			t.Errorf("%q is in the journal or in the answer:\n%s\n%s", secret, log, answer.Body)
		}
	}
	var got entry
	if err := json.Unmarshal(log.Bytes(), &got); err != nil {
		t.Fatalf("the journal is not one line of JSON: %v\n%s", err, log)
	}
	want := entry{
		Side: "cloud", Case: "quotas", Step: "show the quotas", Method: "GET", Path: project + "quotas", Status: 401, Code: "APIGW.0301", RequestID: "one",
		Message: "ak *** token *** and SDK-HMAC-SHA256 Access=***, SignedHeaders=x-project-id;x-sdk-date;x-security-token, Signature=***",
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(entry{}, "Time", "Milliseconds")); diff != "" {
		t.Errorf("the line (-want +got):\n%s", diff)
	}
}

func TestACallThatIsThrottledIsMadeAgain(t *testing.T) {
	calls := 0
	c, log := client(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls < 3 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	answer, err := c.Do(t.Context(), read)
	if err != nil || answer.Status != 200 || answer.Throttled != 2 {
		t.Errorf("it gives %d after %d times throttled, %v", answer.Status, answer.Throttled, err)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 3 {
		t.Errorf("the journal has %d lines, want one for each attempt:\n%s", lines, log)
	}
}

func TestNoCallIsMadeBeyondTheBudget(t *testing.T) {
	served := 0
	c, _ := client(t, func(c *Config) { c.MaxCalls = 2 }, func(http.ResponseWriter, *http.Request) { served++ })
	var err error
	for range 3 {
		_, err = c.Do(t.Context(), read)
	}
	if !errors.Is(err, ErrBudget) || served != 2 {
		t.Errorf("%d calls were made, the last gave %v", served, err)
	}
	c.Allow(1)
	if _, err := c.Do(t.Context(), read); err != nil || served != 3 {
		t.Errorf("with one more allowed %d calls were made: %v", served, err)
	}
}

func TestAnInterruptLetsACallUnderWayEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := client(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		_, _ = w.Write([]byte(`{"traffic_mirror_filter":{"id":"x"}}`))
	})
	answer, err := c.Do(ctx, read)
	if err != nil || answer.Err != nil || len(answer.Body) == 0 {
		t.Errorf("the call under way gave %+v, %v", answer, err)
	}
	if _, err := c.Do(ctx, read); err == nil {
		t.Error("a further call was made after the interrupt")
	}
}

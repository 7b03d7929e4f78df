package huawei_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// issuing is a simulated cloud that issues keys for the walkthrough's account in every way.
func issuing(t *testing.T, lifetime time.Duration, options ...sim.Option) *sim.Sim {
	t.Helper()
	s := sim.ForTest(t, options...)
	s.State.Edit(func(w *state.World) {
		const who = scenario.WalkthroughAccessKey
		w.Identity = state.Identity{
			Server: who, Agencies: map[string]string{"walkthrough/mirror": who}, Providers: map[string]string{"cluster": who},
			Pods: map[string]string{"pod-token": who}, Lifetime: lifetime,
		}
	})
	return s
}

// tokenFile has a token of a service account.
func tokenFile(t *testing.T, token string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	ok(t, os.WriteFile(path, []byte(token+"\n"), 0o600))
	return path
}

// ways are all ways to temporary keys.
func ways(t *testing.T, s *sim.Sim) map[string]cloud.Issuer {
	t.Helper()
	f := huawei.NewFactory(fast)
	c := credentialsOf(s)
	c.IAMEndpoint = s.URL
	file := tokenFile(t, "pod-token")
	return map[string]cloud.Issuer{
		"metadata":    huawei.Metadata{Endpoint: s.URL}.Issue,
		"podIdentity": huawei.PodIdentity{URL: s.URL + "/v1/credentials", File: file}.Issue,
		"workloadIdentity": func(ctx context.Context) (cloud.Keys, error) {
			return f.IssueByToken(ctx, huawei.WorkloadIdentity{Provider: "cluster", File: file, Credentials: c})
		},
		"agency": func(ctx context.Context) (cloud.Keys, error) {
			with := c
			with.Agency = cloud.Agency{Name: "mirror", Domain: "walkthrough"}
			return f.Assume(ctx, with)
		},
	}
}

// issuedBy lets an issuer be a source that is asked each time.
type issuedBy struct {
	cloud.Issuer
	refused atomic.Int64
}

func (i *issuedBy) Keys(ctx context.Context) (cloud.Keys, error) { return i.Issuer(ctx) }
func (i *issuedBy) Refused(cloud.Keys)                           { i.refused.Add(1) }

// with are the credentials with keys of a source.
func with(c cloud.Credentials, source cloud.KeySource) cloud.Credentials {
	c.AccessKey, c.SecretKey, c.Issued = "", "", source
	return c
}

func TestEveryWayGivesKeysThatTheCloudTakesUntilTheyEnd(t *testing.T) {
	for _, name := range []string{"metadata", "podIdentity", "workloadIdentity", "agency"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := issuing(t, 0)
			keys := must[cloud.Keys](t)(ways(t, s)[name](t.Context()))
			if left := time.Until(keys.Expires); left < 58*time.Minute || left > 24*time.Hour {
				t.Errorf("they end in %s", left)
			}
			source := &issuedBy{Issuer: func(context.Context) (cloud.Keys, error) { return keys, nil }}
			c := connect(t, fast, with(credentialsOf(s), source))
			must[[]cloud.Filter](t)(c.ListFilters(t.Context()))

			s.State.Edit(func(w *state.World) { // the time has passed
				a := w.Accounts[keys.AccessKey]
				a.TokenExpires = time.Now().Add(-time.Second)
				w.Accounts[keys.AccessKey] = a
			})
			_, err := c.ListFilters(t.Context())
			if cloud.ClassOf(err) != cloud.ClassAuthentication || !strings.Contains(err.Error(), "expired") || source.refused.Load() != 1 {
				t.Errorf("got %v, and %d refusals are told", err, source.refused.Load())
			}
		})
	}
}

func TestWhatAnIssuerRefusesIsSaidWithTheRemedyAndWithoutItsWords(t *testing.T) {
	s := issuing(t, 0)
	s.State.Edit(func(w *state.World) { w.Identity = state.Identity{} })
	for name, want := range map[string]string{
		"metadata":         "IssueKeys: 401: the metadata service of the server: it answers 401 (is an agency bound to the server?)",
		"podIdentity":      "IssueKeys: 403: the agent for pod identities: it answers 403 (is an agency bound to the service account?)",
		"workloadIdentity": "IssueKeys: 401: the identity service: it answers 401 (is the cluster an identity provider there, of this ID, and has it a rule for the service account?)",
		"agency":           "assuming the agency mirror of walkthrough: CreateTemporaryAccessKeyByAgency: 403 IAM.1109: You are not allowed to assume the agency",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ways(t, s)[name](t.Context())
			got := strings.TrimSpace(strings.Split(fmt.Sprint(err), " (the call needs")[0])
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnIssuerThatHangsOrTalksNonsenseIsBoundedInTimeAndSize(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"it hangs":       {hang, "it does not answer in time"},
		"a page of HTML": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>secret-text</html>") }, "the answer is no JSON with keys"},
		"no keys":        {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"error":"secret-text"}`) }, "the answer holds no keys"},
		"without an end": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, issuedAs("tomorrow, secret-text")) }, "the answer doesn't say when the keys end"},
		"without a token": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"credential":{"access":"secret-text","secret":"s"}}`)
		}, "the answer holds no security token"},
		"a blank in a key": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.Replace(issuedAs("2030-01-01T00:00:00Z"), "ak", "secret-text ak", 1))
		}, "the answer's keys can't be used: Configure: accessKey holds a blank, a line break or another character that no key has: store the key without it"},
		"a megabyte": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, long) }, "its answer is too long for keys"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, "it answers 302"},
		"the connection is reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "it can't be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.answer)
			t.Cleanup(server.Close)
			began := time.Now()
			_, err := huawei.PodIdentity{URL: server.URL, File: tokenFile(t, "pod-token")}.Issue(t.Context())
			took := time.Since(began)
			if err == nil || !strings.Contains(err.Error(), ": "+c.want) || strings.Contains(err.Error(), "secret-text") || took > 5*time.Second {
				t.Errorf("got %v after %s, want %q", err, took, c.want)
			}
		})
	}
}

// hang answers when the client has gone, which a server sees once it has read the body.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// issuedAs is an answer whose keys end then.
func issuedAs(ends string) string {
	return fmt.Sprintf(`{"credential":{"access":"ak","secret":"sk","securitytoken":"t","expires_at":%q}}`, ends)
}

func TestHowLongKeysLastIsToldByTheIssuersOwnClock(t *testing.T) {
	for name, off := range map[string]time.Duration{"it is ahead": 8 * time.Hour, "it is behind": -8 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := issuing(t, time.Hour, sim.WithClock(func() time.Time { return time.Now().Add(off) }))
			keys := must[cloud.Keys](t)(huawei.Metadata{Endpoint: s.URL}.Issue(t.Context()))
			if left := time.Until(keys.Expires); left < 59*time.Minute || left > time.Hour+2*time.Second {
				t.Errorf("they end in %s, want an hour", left)
			}
		})
	}
}

func TestAServiceOfTheFirstVersionIsAskedWithoutAToken(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Metadata-Token"))
		if r.Method == http.MethodPut {
			http.Error(w, "no", http.StatusMethodNotAllowed)
			return
		}
		fmt.Fprint(w, issuedAs(time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	}))
	t.Cleanup(server.Close)
	must[cloud.Keys](t)(huawei.Metadata{Endpoint: server.URL}.Issue(t.Context()))
	if diff := cmp.Diff([]string{"PUT /meta-data/latest/api/token ", "GET /openstack/latest/securitykey "}, asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheTokenOfTheMetadataServiceIsTakenWithoutTheLineBreakAroundIt(t *testing.T) {
	for token, want := range map[string]string{
		"secret-token\n":    "",
		"secret\ntoken":     "the metadata service of the server: its token can't be used",
		" \n":               "the metadata service of the server: its token can't be used",
		"<html>\r\n</html>": "the metadata service of the server: its token can't be used",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPut:
				fmt.Fprint(w, token)
			case r.Header.Get("X-Metadata-Token") != "secret-token":
				http.Error(w, "no", http.StatusUnauthorized)
			default:
				fmt.Fprint(w, issuedAs(time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
			}
		}))
		_, err := huawei.Metadata{Endpoint: server.URL}.Issue(t.Context())
		server.Close()
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", token, err, want)
		}
	}
}

func TestAnIdentityServiceThatTakesATokenAndGivesNoneIsNotSaidToRefuseIt(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }))
	t.Cleanup(server.Close)
	c := cloud.Credentials{Region: scenario.WalkthroughRegion, Endpoint: server.URL, IAMEndpoint: server.URL}
	_, err := huawei.NewFactory(fast).IssueByToken(t.Context(), huawei.WorkloadIdentity{Provider: "cluster", File: tokenFile(t, "pod-token"), Credentials: c})
	if err == nil || !strings.Contains(err.Error(), "IssueKeys: 201: the identity service: its answer holds no token") {
		t.Errorf("got %v", err)
	}
}

func TestATenantIsNotToldOfTheAgencyOfTheOperatorsOwnCredentials(t *testing.T) {
	s := issuing(t, 0)
	s.State.Edit(func(w *state.World) { w.Identity = state.Identity{} })
	c := credentialsOf(s)
	c.IAMEndpoint, c.Shared, c.Agency = s.URL, true, cloud.Agency{Name: "mirror", Domain: "walkthrough"}
	_, err := huawei.NewFactory(fast).Assume(t.Context(), c)
	if err == nil || !strings.HasPrefix(err.Error(), "assuming the agency: CreateTemporaryAccessKeyByAgency: 403") || strings.Contains(err.Error(), "walkthrough") {
		t.Errorf("got %v", err)
	}
}

func TestAServiceThatFailsNowAndThenIsNoHarm(t *testing.T) {
	s := issuing(t, time.Hour)
	if _, err := s.Faults.Add(fault.Fault{Kind: fault.HTML, Operation: "GetSecurityKey", Times: 1}); err != nil {
		t.Fatal(err)
	}
	issue := huawei.Metadata{Endpoint: s.URL}.Issue
	if _, err := issue(t.Context()); err == nil {
		t.Error("a page of HTML is taken for keys")
	}
	must[cloud.Keys](t)(issue(t.Context()))
}

// turning gives other keys at each call, all of which the cloud takes.
type turning struct {
	all  []cloud.Keys
	next atomic.Int64
}

func (k *turning) Keys(context.Context) (cloud.Keys, error) {
	return k.all[int(k.next.Add(1))%len(k.all)], nil
}
func (*turning) Refused(cloud.Keys) {}

// A mixture of two pairs, or the token of a third, would be refused. With -race it also shows that no
// signature reads what another goroutine writes.
func TestEachCallIsSignedWithOneSetOfKeysWhileTheyChangeUnderLoad(t *testing.T) {
	s := issuing(t, time.Hour)
	keys := &turning{}
	for range 5 {
		keys.all = append(keys.all, must[cloud.Keys](t)(huawei.Metadata{Endpoint: s.URL}.Issue(t.Context())))
	}
	c := connect(t, fast, with(credentialsOf(s), keys))
	var all sync.WaitGroup
	failed := make(chan error, 400)
	for range 8 {
		all.Go(func() {
			for range 50 {
				_, err := c.ListFilters(t.Context())
				failed <- err
			}
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			t.Fatal(err)
		}
	}
	used := map[string]bool{}
	for _, e := range s.Journal.Since(0) {
		if e.Operation == "ListTrafficMirrorFilters" {
			used[e.AccessKey] = true
		}
	}
	if len(used) != len(keys.all) {
		t.Errorf("%d keys were used, want %d", len(used), len(keys.all))
	}
}

func TestNoKeyOfAnySetIsInATextOfACallThatItSigned(t *testing.T) {
	var seen atomic.Pointer[string]
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := r.Header.Get("Authorization") + " " + r.Header.Get("X-Security-Token")
		seen.Store(&text)
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error_code":"APIGW.0301","error_msg":%q}`, "who are you? "+text)
	}))
	t.Cleanup(echo.Close)
	k := &turning{}
	for n := range 3 {
		k.all = append(k.all, cloud.Keys{AccessKey: fmt.Sprint("ACCESS-", n), SecretKey: fmt.Sprint("SECRET-", n), SecurityToken: fmt.Sprint("TOKEN-OF-", n)})
	}
	c := connect(t, fast, with(cloud.Credentials{Region: scenario.WalkthroughRegion, ProjectID: scenario.WalkthroughProject, Endpoint: echo.URL}, k))
	for range 6 {
		_, err := c.ListFilters(t.Context())
		text := fmt.Sprintf("%v %#v %+v %s", err, c, k.all, cloud.DetailOf(err))
		for _, secret := range []string{"ACCESS-", "SECRET-", "TOKEN-OF-"} {
			if strings.Contains(text, secret) {
				t.Fatalf("%s is in %s", secret, text)
			}
		}
		if !strings.Contains(*seen.Load(), "TOKEN-OF-") || !strings.Contains(*seen.Load(), "ACCESS-") {
			t.Fatalf("the server saw %q", *seen.Load())
		}
	}
}

func TestWithoutKeysNothingIsSent(t *testing.T) {
	s := issuing(t, 0)
	away := errors.New("away")
	c := connect(t, fast, with(credentialsOf(s), &issuedBy{Issuer: func(context.Context) (cloud.Keys, error) { return cloud.Keys{}, away }}))
	asked := s.Journal.Last()
	_, err := c.CreateFilter(t.Context(), "f", "")
	if !errors.Is(err, away) || cloud.IsAmbiguous(err) || s.Journal.Last() != asked {
		t.Errorf("got %v (ambiguous: %t), and %d requests", err, cloud.IsAmbiguous(err), s.Journal.Last()-asked)
	}
}

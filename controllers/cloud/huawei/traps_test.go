package huawei_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
)

const (
	someID  = "5a1f0c7e-0000-4000-8000-000000000001"
	otherID = "5a1f0c7e-0000-4000-8000-000000000002"
)

// serve gives a client of a server that answers as the handler says.
func serve(t *testing.T, o huawei.Options, handler http.HandlerFunc) cloud.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return connect(t, o, cloud.Credentials{
		AccessKey: "ACCESSKEY1", SecretKey: "secretkey1", SecurityToken: "securitytoken1",
		Region: "cn-north-4", ProjectID: "0123456789abcdef0123456789abcdef", Endpoint: server.URL,
	})
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func TestAnAnswerThatCanNotBeUsedIsTheServersFault(t *testing.T) {
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		status  int
		says    string
	}{
		"an empty 200":                  {answer(200, ""), 200, "no session"},
		"an empty object":               {answer(200, "{}"), 200, "no session"},
		"null":                          {answer(200, "null"), 200, "no session"},
		"a number where a text belongs": {answer(200, `{"traffic_mirror_session":{"id":5}}`), 200, "can't be read"},
		"a text where a number belongs": {answer(200, `{"traffic_mirror_session":{"id":"`+someID+`","virtual_network_id":"7"}}`), 200, "can't be read"},
		"a session without an ID":       {answer(200, `{"traffic_mirror_session":{"name":"n"}}`), 200, "no UUID"},
		"JSON that is cut":              {answer(200, `{"traffic_mirror_session":{"id":"`), 200, "can't be read"},
		"an HTML page":                  {answer(200, "<html>sign in</html>"), 200, "can't be read"},
		"an HTML page in the error":     {answer(502, "<html>the secret of some server</html>"), 502, "Bad Gateway"},
		"BSON by its header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/bson")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte{1, 2, 3})
		}, 500, "Internal Server Error"},
		"a redirect with a body": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}, 302, "redirect"},
		"a redirect without a body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://192.0.2.1/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, 307, "redirect"},
		"a body that breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"traffic_mirror_session":{`))
		}, 200, "broke"},
		"a body without an end": {func(w http.ResponseWriter, _ *http.Request) {
			block := []byte(strings.Repeat(" ", 1<<20))
			for {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, 200, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, fast, tc.handler)
			_, err := c.GetSession(t.Context(), someID)
			e, isCloud := errors.AsType[*cloud.Error](err)
			if !isCloud || e.Class != cloud.ClassServer || e.HTTPStatus != tc.status || e.Ambiguous || !strings.Contains(e.Message, tc.says) {
				t.Errorf("reading gives %#v, want Server with status %d and %q", err, tc.status, tc.says)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sign in") {
				t.Errorf("%q shows what some server said", err)
			}
			if err := c.UpdateSession(t.Context(), someID, cloud.SessionUpdate{VNI: new(1)}); tc.says != "no UUID" && !cloud.IsAmbiguous(err) {
				t.Errorf("writing gives %v, which is not ambiguous", err)
			}
		})
	}
}

func TestJSONIsReadWhateverItsContentTypeSays(t *testing.T) {
	for _, kind := range []string{"application/xml", "application/bson", "text/plain", ""} {
		c := serve(t, fast, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write([]byte(`{"traffic_mirror_session":{"id":"` + someID + `"}}`))
		})
		if got, err := c.GetSession(t.Context(), someID); err != nil || got.ID != someID {
			t.Errorf("as %q it gives %v and %v", kind, got, err)
		}
	}
}

func TestADeleteIsDoneOnlyWithAGoodStatus(t *testing.T) {
	for status, body := range map[int]string{302: "", 200: "<html>sign in</html>", 304: ""} {
		if err := serve(t, fast, answer(status, body)).DeleteSession(t.Context(), someID); !cloud.IsAmbiguous(err) {
			t.Errorf("status %d with %q gives %v, want an ambiguous error", status, body, err)
		}
	}
	if err := serve(t, fast, answer(204, "")).DeleteSession(t.Context(), someID); err != nil {
		t.Errorf("status 204 gives %v", err)
	}
}

// held answers when the client has gone.
func held(arrived chan<- struct{}) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client goes
		arrived <- struct{}{}
		<-r.Context().Done()
	}
}

func TestACallEndsWithItsTime(t *testing.T) {
	o := fast
	t.Run("that is the adapter's own deadline", func(t *testing.T) {
		arrived := make(chan struct{}, 2)
		o.Deadline = 50 * time.Millisecond
		c := serve(t, o, held(arrived))
		err := c.DeleteSession(t.Context(), someID)
		if !errors.Is(err, context.DeadlineExceeded) || !cloud.IsAmbiguous(err) || cloud.ClassOf(err) != cloud.ClassServer {
			t.Errorf("got %v, want an ambiguous end by the deadline", err)
		}
		if len(arrived) != 1 {
			t.Errorf("%d requests arrived, want one", len(arrived))
		}
	})
	t.Run("that is the deadline of the context", func(t *testing.T) {
		o.Deadline = 0
		c := serve(t, o, held(make(chan struct{}, 1)))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := c.ListSessions(ctx); !errors.Is(err, context.DeadlineExceeded) || cloud.IsAmbiguous(err) {
			t.Errorf("got %v, want an end by the deadline", err)
		}
	})
	t.Run("that is the cancellation of the context", func(t *testing.T) {
		arrived := make(chan struct{}, 1)
		c := serve(t, o, held(arrived))
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		if _, err := c.CreateFilter(ctx, "f", ""); !errors.Is(err, context.Canceled) || !cloud.IsAmbiguous(err) {
			t.Errorf("got %v, want an ambiguous end by cancellation", err)
		}
	})
	t.Run("also while the body trickles in", func(t *testing.T) {
		arrived := make(chan struct{}, 1)
		c := serve(t, o, func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("{"))
			_ = http.NewResponseController(w).Flush()
			arrived <- struct{}{}
			<-r.Context().Done()
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-arrived; cancel() }()
		if _, err := c.GetQuota(ctx); cloud.ClassOf(err) != cloud.ClassServer || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want an end by cancellation", err)
		}
	})
	t.Run("and is not sent when the context has ended before", func(t *testing.T) {
		arrived := make(chan struct{}, 1)
		c := serve(t, o, held(arrived))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.DeleteFilter(ctx, someID); !errors.Is(err, context.Canceled) || cloud.IsAmbiguous(err) || len(arrived) != 0 {
			t.Errorf("got %v and %d requests, want an end that is not ambiguous", err, len(arrived))
		}
	})
}

func TestAWriteThatFoundNoServerIsNotAmbiguous(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	c := connect(t, fast, cloud.Credentials{AccessKey: "ACCESSKEY1", SecretKey: "secretkey1", Region: "cn-north-4",
		ProjectID: "0123456789abcdef0123456789abcdef", Endpoint: server.URL})
	_, err := c.CreateFilter(t.Context(), "f", "")
	e, isCloud := errors.AsType[*cloud.Error](err)
	if !isCloud || e.Class != cloud.ClassServer || e.HTTPStatus != 0 || e.Ambiguous || !strings.Contains(e.Message, server.URL) {
		t.Errorf("got %#v, want Server, not ambiguous, without a status, naming the endpoint", err)
	}
}

func TestTheOwnLimitRefusesWithoutARequest(t *testing.T) {
	requests := 0
	c := serve(t, huawei.Options{CallsPerSecond: 0.01, Burst: 1}, func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.WriteHeader(http.StatusNoContent)
	})
	ok(t, c.DeleteSession(t.Context(), someID))
	err := c.DeleteSession(t.Context(), someID)
	e, isCloud := errors.AsType[*cloud.Error](err)
	if !isCloud || e.Class != cloud.ClassThrottled || e.RetryAfter <= 0 || e.Ambiguous || requests != 1 {
		t.Errorf("got %#v after %d requests, want a RetryAfter", err, requests)
	}
}

func TestAListWhoseMarkerStandsStillEnds(t *testing.T) {
	for name, markers := range map[string][]string{
		"when the marker repeats at once": {otherID, otherID},
		"when the markers go in a circle": {someID, otherID, someID},
		"when a full page says nothing":   {""},
	} {
		t.Run(name, func(t *testing.T) {
			page := 0
			o := fast
			o.PageSize = 1
			c := serve(t, o, func(w http.ResponseWriter, _ *http.Request) {
				info := ""
				if marker := markers[page%len(markers)]; marker != "" {
					info = fmt.Sprintf(`,"page_info":{"next_marker":%q}`, marker)
				}
				page++
				_, _ = fmt.Fprintf(w, `{"traffic_mirror_filters":[{"id":%q}]%s}`, someID, info)
			})
			filters, err := c.ListFilters(t.Context())
			if filters != nil || cloud.ClassOf(err) != cloud.ClassServer || page > len(markers) {
				t.Errorf("got %v and %v after %d pages, want Server", filters, err, page)
			}
		})
	}
}

func TestAPageThatIsTooLongIsAskedForAgainWithFewerObjects(t *testing.T) {
	var limits []string
	const tooLong = 5 << 20
	ids := []string{someID, otherID}
	c := serve(t, fast, func(w http.ResponseWriter, r *http.Request) {
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		limits = append(limits, r.URL.Query().Get("limit"))
		if limit > 300 {
			_, _ = fmt.Fprintf(w, `{"traffic_mirror_sessions":[{"description":%q}]}`, strings.Repeat("x", tooLong))
			return
		}
		id, next := ids[0], `{"next_marker":"`+ids[0]+`"}`
		if r.URL.Query().Get("marker") != "" {
			id, next = ids[1], `{"current_count":1}`
		}
		_, _ = fmt.Fprintf(w, `{"traffic_mirror_sessions":[{"id":%q}],"page_info":%s}`, id, next)
	})
	var got []string
	for _, s := range must[[]cloud.Session](t)(c.ListSessions(t.Context())) {
		got = append(got, s.ID)
	}
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"1000", "500", "250", "250"}, limits); diff != "" {
		t.Errorf("what was asked for (-want +got):\n%s", diff)
	}
}

func TestAnEmptyListIsTheOneThatSaysSo(t *testing.T) {
	for body, good := range map[string]bool{
		`{"traffic_mirror_sessions":[],"page_info":{"current_count":0}}`:                      true,
		`{"traffic_mirror_sessions":null,"page_info":{"current_count":0}}`:                    true,
		`{"traffic_mirror_sessions":[]}`:                                                      true,
		`{"request_id":"x"}`:                                                                  false,
		`{"page_info":{"current_count":3}}`:                                                   false,
		`{"page_info":{"current_count":0,"next_marker":"` + someID + `"}}`:                    false,
		`{"traffic_mirror_sessions":{"id":"` + someID + `"},"page_info":{"current_count":1}}`: false,
	} {
		sessions, err := serve(t, fast, answer(200, body)).ListSessions(t.Context())
		if len(sessions) != 0 || (err == nil) != good {
			t.Errorf("%s gives %v and %v, want it good: %t", body, sessions, err, good)
		}
	}
}

func TestEveryPageOfInterfacesIsRead(t *testing.T) {
	port := func(id string) string {
		return fmt.Sprintf(`{"id":%q,"mac_address":"FA:16:3E:00:00:01","private_ips":[{"ip_address":"10.0.0.5"}],"fixed_ips":[{"ip_address":"10.0.0.5"}],
			"device_owner":"compute:az1","status":"ACTIVE","security_groups":null}`, id)
	}
	for name, tc := range map[string]struct {
		path string
		next map[string]string // the answer by the marker that was sent
	}{
		"in a region with v3 ports, by the marker of the answer": {"/v3/", map[string]string{
			"":      `{"ports":[` + port(someID) + `],"page_info":{"next_marker":"` + someID + `"}}`,
			someID:  `{"ports":[` + port(otherID) + `],"page_info":{"next_marker":"` + otherID + `"}}`,
			otherID: `{"ports":[]}`,
		}},
		"in a region without them, by the last ID": {"/v1/", map[string]string{
			"": `{"ports":[` + port(someID) + `]}`, someID: `{"ports":[` + port(otherID) + `]}`, otherID: `{"ports":[]}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := fast
			o.PageSize = 1
			c := serve(t, o, func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasPrefix(r.URL.Path, tc.path) {
					answer(404, `{"error_code":"APIGW.0101","error_msg":"The API does not exist"}`)(w, r)
					return
				}
				answer(200, tc.next[r.URL.Query().Get("marker")])(w, r)
			})
			var ids []string
			for _, i := range must[[]cloud.Interface](t)(c.FindInterfaces(t.Context(), netip.MustParseAddr("10.0.0.5"))) {
				ids = append(ids, i.ID+" "+i.MAC)
			}
			if diff := cmp.Diff([]string{someID + " fa:16:3e:00:00:01", otherID + " fa:16:3e:00:00:01"}, ids); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("an interface whose address can't be read is no interface without one", func(t *testing.T) {
		c := serve(t, fast, answer(200, `{"ports":[{"id":"`+someID+`","private_ips":[{"ip_address":"ten"}]}],"page_info":{"current_count":1}}`))
		if found, err := c.FindInterfaces(t.Context(), netip.MustParseAddr("10.0.0.5")); found != nil || cloud.ClassOf(err) != cloud.ClassServer {
			t.Errorf("got %v and %v, want Server", found, err)
		}
	})
}

func TestWhatTheCloudsOwnFiltersLetThroughIsNotTrusted(t *testing.T) {
	t.Run("an interface with a longer address", func(t *testing.T) {
		c := serve(t, fast, answer(200, `{"ports":[{"id":"`+someID+`","private_ips":[{"ip_address":"10.0.0.55"}]}]}`))
		if found, err := c.FindInterfaces(t.Context(), netip.MustParseAddr("10.0.0.5")); err != nil || len(found) != 0 {
			t.Errorf("got %v and %v, want none", found, err)
		}
	})
	t.Run("an interface of another server", func(t *testing.T) {
		c := serve(t, fast, answer(200, `{"ports":[{"id":"`+someID+`","device_id":"`+someID+`"}]}`))
		if found, err := c.FindServerInterfaces(t.Context(), otherID); err != nil || len(found) != 0 {
			t.Errorf("got %v and %v, want none", found, err)
		}
	})
	t.Run("a project with a longer name", func(t *testing.T) {
		server := httptest.NewServer(answer(200, `{"projects":[{"id":"`+strings.Repeat("f", 32)+`","name":"cn-north-4_team"},
			{"id":"`+strings.Repeat("a", 32)+`","name":"cn-north-4"}]}`))
		t.Cleanup(server.Close)
		c := good()
		c.ProjectID, c.IAMEndpoint = "", server.URL
		if got := connect(t, fast, c).Account().ProjectID; got != strings.Repeat("a", 32) {
			t.Errorf("got project %s, want the one of that very name", got)
		}
	})
}

func TestARegionWithoutV3PortsIsNotAskedForThemEachTime(t *testing.T) {
	var paths []string
	c := serve(t, fast, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path[:3])
		if strings.HasPrefix(r.URL.Path, "/v3") {
			answer(404, `{"error_code":"APIGW.0101","error_msg":"The API does not exist"}`)(w, r)
			return
		}
		answer(200, `{"port":{"id":"`+someID+`"}}`)(w, r)
	})
	for range 3 {
		must[cloud.Interface](t)(c.GetInterface(t.Context(), someID))
	}
	if diff := cmp.Diff([]string{"/v3", "/v1", "/v1", "/v1"}, paths); diff != "" {
		t.Error(diff)
	}
}

func TestOneBrokenRuleHidesNoFilter(t *testing.T) {
	c := serve(t, fast, answer(200, `{"traffic_mirror_filters":[
		{"id":"`+someID+`","name":"theirs","description":null,"ingress_rules":[{"id":"`+otherID+`","protocol":"SCTP","ethertype":"IPv4","action":"accept","priority":1}]},
		{"id":"`+otherID+`","name":"ours","ingress_rules":[],"egress_rules":null}],"page_info":{"current_count":2}}`))
	filters := must[[]cloud.Filter](t)(c.ListFilters(t.Context()))
	if len(filters) != 2 || filters[0].Rules[0].Unreadable != `protocol "SCTP"` || filters[1].Name != "ours" {
		t.Errorf("got %+v, want both filters and the mark on the rule", filters)
	}
}

func TestNoSecretIsInAnyError(t *testing.T) {
	secrets := []string{"ACCESSKEY1", "secretkey1", "securitytoken1", "Signature"}
	echo := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Request-Id", r.Header.Get("X-Security-Token"))
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"error_code":"APIGW.0301","error_msg":"ak ACCESSKEY1 sk secretkey1 %s, canonicalRequest:%s|%s"}`,
				r.Header.Get("X-Security-Token"), r.Header.Get("Authorization"), "secretkey1")
		}
	}
	for _, status := range []int{200, 201, 302, 400, 401, 403, 404, 409, 429, 500} {
		c := serve(t, fast, echo(status))
		for name, call := range everyCall(c, someID) {
			err := call(t.Context())
			for ; err != nil; err = errors.Unwrap(err) {
				for _, shown := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
					if i := slices.IndexFunc(secrets, func(s string) bool { return strings.Contains(shown, s) }); i >= 0 {
						t.Errorf("%s with status %d shows %q in %q", name, status, secrets[i], shown)
					}
				}
			}
		}
		if shown := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(shown, "secretkey1") {
			t.Errorf("a printed client shows its key: %s", shown)
		}
	}
}

func TestNothingIsWrittenBelowHome(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	var agent string
	c := serve(t, fast, func(w http.ResponseWriter, r *http.Request) {
		agent = r.UserAgent()
		w.WriteHeader(http.StatusNoContent)
	})
	ok(t, c.DeleteSession(t.Context(), someID))
	files, err := os.ReadDir(home)
	ok(t, err)
	if len(files) != 0 {
		t.Errorf("the SDK wrote %v", files)
	}
	if !strings.HasSuffix(agent, "vpcmirror") {
		t.Errorf("the user agent is %q", agent)
	}
}

func TestEveryCallIsCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	o := fast
	o.Registerer = registry
	ok(t, serve(t, o, answer(204, "")).DeleteSession(t.Context(), someID))
	if err := serve(t, o, answer(409, "")).DeleteSession(t.Context(), someID); err == nil {
		t.Fatal("409 is no error")
	}
	want := `
# HELP vpcmirror_cloud_calls_total Calls to the cloud's API by account (region/project, or unproven for keys that were never taken), operation and result: OK, the class of the error, or NotSent for what this manager held back, of which the cloud knows nothing.
# TYPE vpcmirror_cloud_calls_total counter
vpcmirror_cloud_calls_total{account="cn-north-4/0123456789abcdef0123456789abcdef",op="DeleteTrafficMirrorSession",result="OK"} 1
vpcmirror_cloud_calls_total{account="unproven",op="DeleteTrafficMirrorSession",result="Conflict"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "vpcmirror_cloud_calls_total"); err != nil {
		t.Error(err)
	}
	// Before the cloud has taken a key nobody knows whose call waits.
	for name, want := range map[string]int{"vpcmirror_cloud_call_duration_seconds": 2, "vpcmirror_cloud_limiter_wait_seconds": 1} {
		if n, err := testutil.GatherAndCount(registry, name); err != nil || n != want {
			t.Errorf("%s has %d series (%v), want %d", name, n, err, want)
		}
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("the rules of Prometheus: %v, %v", problems, err)
	}
}

func TestAnInterfaceIsPrimaryOnlyWhereTheCloudSaysSo(t *testing.T) {
	for details, want := range map[string]bool{
		`{"primary_interface":true}`: true, `{"primary_interface":"true"}`: true, `{"primary_interface":false}`: false,
		`{}`: false, `null`: false, `"primary"`: false, `[true]`: false, `{"primary_interface":{}}`: false,
	} {
		c := serve(t, fast, answer(200, `{"port":{"id":"`+someID+`","binding:vif_details":`+details+`}}`))
		if i, err := c.GetInterface(t.Context(), someID); err != nil || i.Primary != want {
			t.Errorf("with the details %s it is primary: %t, with the error %v; want %t", details, i.Primary, err, want)
		}
	}
}

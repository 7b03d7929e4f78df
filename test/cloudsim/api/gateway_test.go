package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sign"
)

func signAgain(g *gateway, r *http.Request) error { return sign.Sign(r, g.creds, nil, g.now) }

func TestEveryAnswerCarriesARequestID(t *testing.T) {
	g := newGateway(t)
	for _, a := range []answer{
		g.do("GET", "traffic-mirror-sessions", ""), g.do("GET", "nowhere", ""), g.do("POST", "traffic-mirror-filters", ""),
		g.do("GET", "quotas", ""), g.do("GET", "/v3/projects", ""), g.do("GET", "/v3/auth/domains", ""),
		g.do("GET", "firewalls", ""),
	} {
		id := a.header.Get("X-Request-Id")
		if len(id) != 32 || a.body["request_id"] != id {
			t.Errorf("X-Request-Id %q and request_id %v; want 32 hex digits in both", id, a.body["request_id"])
		}
	}
	t.Run("and a deletion's is empty but for that", func(t *testing.T) {
		a := g.do("DELETE", "traffic-mirror-filters/"+g.filter(), "")
		if a.status != 204 || a.raw != "" || len(a.header.Get("X-Request-Id")) != 32 {
			t.Fatalf("answer %d %q with X-Request-Id %q", a.status, a.raw, a.header.Get("X-Request-Id"))
		}
	})
}

func TestWhatIsNotPublishedIs404OfTheGateway(t *testing.T) {
	g := newGateway(t)
	project := "/v3/" + scenario.WalkthroughProject
	for name, call := range map[string][2]string{
		"the singular path that old documents misprint": {"GET", project + "/vpc/traffic-mirror-filter/x"},
		"a method that the path does not have":          {"PATCH", project + "/vpc/traffic-mirror-filters"},
		"the root":                                      {"GET", "/"},
		"a path with an empty segment":                  {"GET", project + "/vpc/traffic-mirror-filters//add"},
		"a call deeper than any":                        {"PUT", project + "/vpc/traffic-mirror-sessions/x/add-sources/y"},
		"batch-create of rules":                         {"POST", project + "/vpc/traffic-mirror-filters/x/traffic-mirror-filter-rules/batch-create"},
	} {
		t.Run(name, func(t *testing.T) {
			g.t = t
			g.want(g.do(call[0], call[1], ""), 404, "APIGW.0101")
		})
	}
	t.Run("and needs no signature", func(t *testing.T) {
		g.t = t
		g.want(g.send(httptest.NewRequest(http.MethodGet, "/v9/nothing", nil)), 404, "APIGW.0101")
	})
}

func TestTheGatewayChecksWhoAsks(t *testing.T) {
	g := newGateway(t)
	list := "/v3/" + scenario.WalkthroughProject + "/vpc/traffic-mirror-filters"
	t.Run("no signature", func(t *testing.T) {
		g.t = t
		g.want(g.send(httptest.NewRequest(http.MethodGet, list, nil)), 401, "APIGW.0301")
	})
	t.Run("an old signature", func(t *testing.T) {
		g.t = t
		r := g.request("GET", list, "")
		g.now = g.now.Add(16 * time.Minute)
		g.want(g.send(r), 401, "APIGW.0301")
	})
	t.Run("a header with another project than the path", func(t *testing.T) {
		g.t = t
		before := g.creds.ProjectID
		g.creds.ProjectID = scenario.WalkthroughOtherProject
		g.want(g.do("GET", list, ""), 400, "VPC.0007")
		g.creds.ProjectID = before
	})
	t.Run("a project that was never filled in", func(t *testing.T) {
		g.t = t
		g.want(g.do("GET", "/v3/%7Bproject_id%7D/vpc/traffic-mirror-filters", ""), 400, "VPC.0007")
	})
	t.Run("a body beyond the gateway's limit", func(t *testing.T) {
		g.t = t
		g.want(g.do("POST", list, strings.Repeat(" ", MaxBody+1)), 413, "APIGW.0201")
	})
}

func TestTheRateLimitIsPerKeyAndRefills(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.Rate, c.Burst, c.RetryAfter = 1, 2, "1" })
	g.want(g.do("GET", "quotas", ""), 200, "")
	g.want(g.do("GET", "quotas", ""), 200, "")
	refused := g.do("GET", "quotas", "")
	g.want(refused, 429, "APIGW.0308")
	if refused.header.Get("Retry-After") != "1" {
		t.Fatalf("Retry-After = %q, want 1", refused.header.Get("Retry-After"))
	}
	mine := g.creds
	g.creds = sign.Credentials{AccessKey: scenario.WalkthroughOtherKey, SecretKey: scenario.WalkthroughOtherSecret, ProjectID: scenario.WalkthroughOtherProject}
	g.want(g.do("GET", "quotas", ""), 200, "")
	g.creds = mine
	g.now = g.now.Add(time.Second)
	g.want(g.do("GET", "quotas", ""), 200, "")
	g.want(g.do("GET", "quotas", ""), 429, "APIGW.0308")
}

func TestTheJournalShowsWhatWasAsked(t *testing.T) {
	g := newGateway(t)
	filter := g.filter()
	g.do("GET", "traffic-mirror-filters/"+filter+"?x=1", "")
	g.do("GET", "nowhere", "")
	base := "/v3/" + scenario.WalkthroughProject + "/vpc/"
	want := []journal.Entry{
		{Sequence: 1, Method: "POST", Path: base + "traffic-mirror-filters", Operation: "CreateTrafficMirrorFilter", AccessKey: g.creds.AccessKey, Body: `{"traffic_mirror_filter":{"name":"f"}}`, Status: 201},
		{Sequence: 2, Method: "GET", Path: base + "traffic-mirror-filters/" + filter, Query: "x=1", Operation: "ShowTrafficMirrorFilter", AccessKey: g.creds.AccessKey, Status: 200},
		{Sequence: 3, Method: "GET", Path: base + "nowhere", Status: 404, ErrorCode: "APIGW.0101"},
	}
	got := g.server.Journal.Since(0)
	for i := range got {
		if !got[i].Time.Equal(g.now) || got[i].RequestID == "" {
			t.Errorf("entry %+v lacks time or request ID", got[i])
		}
		got[i].Time, got[i].RequestID = time.Time{}, ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("the journal (-want +got):\n%s", diff)
	}
	if writes := g.server.Journal.Writes(1); len(writes) != 0 {
		t.Fatalf("writes after the first entry: %v", writes)
	}
	data, err := json.Marshal(g.server.Journal.Since(0))
	if err != nil || strings.Contains(string(data), scenario.WalkthroughSecretKey) {
		t.Fatalf("the journal holds the secret key, or cannot be encoded (%v)", err)
	}
}

func TestFaultsShapeTheAnswer(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fault  fault.Fault
		status int
		code   string
		check  func(*testing.T, answer)
		made   int // filters there are after the create
	}{
		{name: "429 without Retry-After", fault: fault.Throttle(1, ""), status: 429, code: "APIGW.0308", check: header("Retry-After", "")},
		{name: "429 with Retry-After", fault: fault.Throttle(1, "7"), status: 429, code: "APIGW.0308", check: header("Retry-After", "7")},
		{name: "500", fault: fault.Unavailable(1, 500), status: 500, code: "APIGW.0201"},
		{name: "502", fault: fault.Unavailable(1, 502), status: 502, code: "APIGW.0201"},
		{name: "503", fault: fault.Unavailable(1, 503), status: 503, code: "APIGW.0201"},
		{name: "504 after the effect", fault: fault.Fault{Kind: fault.Error, Status: 504, Code: "APIGW.0201", Times: 1, AfterEffect: true}, status: 504, code: "APIGW.0201", made: 1},
		{name: "403", fault: fault.Forbidden("CreateTrafficMirrorFilter"), status: 403, code: "VPC.0010"},
		{name: "a region that lacks the call", fault: fault.NotPublished("*TrafficMirror*"), status: 404, code: "APIGW.0101"},
		{name: "an HTML page", fault: fault.Fault{Kind: fault.HTML}, status: 502, check: header("Content-Type", "text/html")},
		{name: "an empty 200", fault: fault.Fault{Kind: fault.Empty}, status: 200, check: func(t *testing.T, a answer) {
			t.Helper()
			if a.raw != "" {
				t.Fatalf("body %q, want none", a.raw)
			}
		}},
		{name: "an empty 200 after the effect", fault: fault.Fault{Kind: fault.Empty, AfterEffect: true}, status: 200, made: 1},
		{name: "one for another method leaves the call alone", fault: fault.Fault{Kind: fault.HTML, Method: "GET"}, status: 201, made: 1},
		{name: "one for another key leaves the call alone", fault: fault.Fault{Kind: fault.HTML, AccessKey: "OTHER"}, status: 201, made: 1},
		{name: "one that skips the first leaves it alone", fault: fault.Fault{Kind: fault.HTML, Skip: 1}, status: 201, made: 1},
		{name: "one for the path", fault: fault.Fault{Kind: fault.HTML, Status: 503, Path: "/v3/*/vpc/traffic-mirror-filters"}, status: 503},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGateway(t)
			id, err := g.server.Faults.Add(tc.fault)
			if err != nil {
				t.Fatal(err)
			}
			a := g.do("POST", "traffic-mirror-filters", `{"traffic_mirror_filter":{"name":"f"}}`)
			g.want(a, tc.status, tc.code)
			if tc.check != nil {
				tc.check(t, a)
			}
			if n := len(g.server.State.Snapshot().Filters); n != tc.made {
				t.Fatalf("%d filters after the call, want %d", n, tc.made)
			}
			if struck := g.server.Faults.List()[0].Struck == 1; struck != (g.server.Journal.Since(0)[0].Fault == id) {
				t.Fatal("the journal and the fault disagree about who shaped the answer")
			}
			if tc.fault.Times == 1 && g.server.Faults.List()[0].Struck == 1 {
				g.want(g.do("POST", "traffic-mirror-filters", `{"traffic_mirror_filter":{"name":"g"}}`), 201, "")
			}
		})
	}
}

func header(name, want string) func(*testing.T, answer) {
	return func(t *testing.T, a answer) {
		t.Helper()
		if got := a.header.Get(name); got != want {
			t.Fatalf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestStaleReadsShowThePastAndWritesDoNot(t *testing.T) {
	g := newGateway(t)
	if _, err := g.server.Faults.Add(fault.Fault{Kind: fault.Stale, For: fault.Duration(30 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	filter := g.filter()
	g.want(g.do("GET", "traffic-mirror-filters/"+filter, ""), 404, "VPC.9904")
	g.now = g.now.Add(20 * time.Second)
	g.want(g.rule(filter, nil), 201, "")
	g.want(g.do("GET", "traffic-mirror-filters/"+filter, ""), 404, "VPC.9904")
	g.now = g.now.Add(10 * time.Second)
	rules := func() int {
		return len(g.must("GET", "traffic-mirror-filters/"+filter, "", "traffic_mirror_filter")["ingress_rules"].([]any))
	}
	if n := rules(); n != 0 {
		t.Fatalf("%d rules half a minute after the filter's creation; want the state of then, without rules", n)
	}
	g.now = g.now.Add(20 * time.Second)
	if n := rules(); n != 1 {
		t.Fatalf("%d rules half a minute after the rule's creation; want it", n)
	}
}

func TestTheControlCalls(t *testing.T) {
	g := newGateway(t)
	control := func(method, path, body string) answer {
		return g.send(httptest.NewRequest(method, ControlPrefix+path, strings.NewReader(body)))
	}
	made := control("POST", "faults", `{"kind":"slow","delay":"1ms","operation":"Create*","times":1}`)
	if made.status != 201 || made.body["id"] != "fault-1" {
		t.Fatalf("POST faults = %d %s", made.status, made.raw)
	}
	g.filter()
	if f := control("GET", "faults", "").body["faults"].([]any)[0].(map[string]any); f["struck"] != 1.0 || f["delay"] != "1ms" {
		t.Fatalf("the fault after it struck: %v", f)
	}
	for name, body := range map[string]string{
		"an unknown field": `{"kind":"html","oops":1}`, "an unknown kind": `{"kind":"fire"}`, "an error without status": `{"kind":"error"}`,
		"a slow one without delay": `{"kind":"slow"}`, "a stale one without for": `{"kind":"stale"}`, "a bad pattern": `{"kind":"html","path":"["}`,
		"a bad duration": `{"kind":"slow","delay":"soon"}`, "a negative count": `{"kind":"html","times":-1}`, "no JSON": `x`,
		"an accepted one without effect_in": `{"kind":"accepted"}`, "an effect in the past": `{"kind":"html","effect_in":"-1s"}`,
		"two effects": `{"kind":"html","effect_in":"1s","after_effect":true}`, "a read with an effect": `{"kind":"stale","for":"1s","effect_in":"1s"}`,
	} {
		if a := control("POST", "faults", body); a.status != 400 || a.body["error"] == "" {
			t.Errorf("POST faults with %s = %d %s; want 400 and why", name, a.status, a.raw)
		}
	}
	if a := control("GET", "journal?since=0&writes=true", ""); len(a.body["entries"].([]any)) != 1 || a.body["last"] != 1.0 {
		t.Fatalf("GET journal = %s", a.raw)
	}
	g.server.SetStats(func() any { return map[string]int{"frames": 7} })
	if a := control("GET", "stats", ""); a.object("data_plane")["frames"] != 7.0 || a.body["filters"] != 1.0 {
		t.Fatalf("GET stats = %s", a.raw)
	}
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{"DELETE", "faults/fault-9", 404}, {"DELETE", "faults/fault-1", 204}, {"DELETE", "faults", 204}, {"DELETE", "journal", 204},
		{"GET", "journal?since=x", 400}, {"GET", "health", 200}, {"PUT", "stats", 404}, {"GET", "", 404},
	} {
		if a := control(tc.method, tc.path, ""); a.status != tc.status {
			t.Errorf("%s %s = %d %s; want %d", tc.method, tc.path, a.status, a.raw, tc.status)
		}
	}
	if n := len(g.server.Journal.Since(0)); n != 0 {
		t.Fatalf("%d entries after the journal was cleared", n)
	}
	g.server.Preparing = true
	if a := control("GET", "health", ""); a.status != 503 || a.body["error"] == "" {
		t.Errorf("GET health = %d %s before the data plane is there; want 503 and why", a.status, a.raw)
	}
	g.server.Ready()
	if a := control("GET", "health", ""); a.status != 200 {
		t.Errorf("GET health = %d %s once it is there; want 200", a.status, a.raw)
	}
}

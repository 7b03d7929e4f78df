package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sign"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// gateway is a server of the walkthrough that tests talk to without a socket.
type gateway struct {
	t      testing.TB
	server *Server
	now    time.Time
	creds  sign.Credentials
}

func newGateway(t testing.TB, change ...func(*Config)) *gateway {
	t.Helper()
	g := &gateway{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), creds: sign.Credentials{
		AccessKey: scenario.WalkthroughAccessKey, SecretKey: scenario.WalkthroughSecretKey, ProjectID: scenario.WalkthroughProject,
	}}
	clock := func() time.Time { return g.now }
	c := Config{State: state.NewStore(state.FromScenario(scenario.Walkthrough(), g.now), clock), Clock: clock}
	for _, f := range change {
		f(&c)
	}
	g.server = New(c)
	t.Cleanup(g.server.Close)
	return g
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func (a answer) code() string {
	code, _ := a.body["error_code"].(string)
	return code
}

// object returns a nested object of the answer.
func (a answer) object(key string) map[string]any {
	o, _ := a.body[key].(map[string]any)
	return o
}

func (g *gateway) request(method, path, body string) *http.Request {
	g.t.Helper()
	if !strings.HasPrefix(path, "/") {
		path = "/v3/" + g.creds.ProjectID + "/vpc/" + path
	}
	r := httptest.NewRequest(method, path, bytes.NewReader([]byte(body)))
	if err := sign.Sign(r, g.creds, []byte(body), g.now); err != nil {
		g.t.Fatal(err)
	}
	return r
}

// do signs and sends; a path without a leading slash is below the project's /vpc.
func (g *gateway) do(method, path, body string) answer {
	g.t.Helper()
	return g.send(g.request(method, path, body))
}

func (g *gateway) send(r *http.Request) answer {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.server.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header(), raw: w.Body.String()}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
			g.t.Fatalf("the answer %q is no JSON: %v", a.raw, err)
		}
	}
	return a
}

func (g *gateway) want(a answer, status int, code string) {
	g.t.Helper()
	if a.status != status || a.code() != code {
		g.t.Fatalf("answer %d %s; want %d %q", a.status, a.raw, status, code)
	}
}

// must sends and returns the inner object of a successful answer.
func (g *gateway) must(method, path, body, key string) map[string]any {
	g.t.Helper()
	a := g.do(method, path, body)
	if a.status >= 300 {
		g.t.Fatalf("%s %s %s: answer %d %s", method, path, body, a.status, a.raw)
	}
	return a.object(key)
}

func (g *gateway) filter() string {
	g.t.Helper()
	return g.must("POST", "traffic-mirror-filters", `{"traffic_mirror_filter":{"name":"f"}}`, "traffic_mirror_filter")["id"].(string)
}

// fields merges changes into a base object; a nil value removes the field.
func fields(base map[string]any, changes map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range base {
		out[k] = v
	}
	for k, v := range changes {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	return out
}

func wrap(t testing.TB, key string, inner map[string]any) string {
	t.Helper()
	data, err := json.Marshal(map[string]any{key: inner})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func ruleFields(filter string) map[string]any {
	return map[string]any{
		"traffic_mirror_filter_id": filter, "direction": "ingress", "protocol": "TCP", "ethertype": "IPv4", "action": "accept", "priority": 1,
	}
}

func sessionFields(filter string) map[string]any {
	return map[string]any{
		"name": "s", "traffic_mirror_filter_id": filter, "traffic_mirror_sources": []string{scenario.WalkthroughSource},
		"traffic_mirror_target_id": scenario.WalkthroughTarget, "traffic_mirror_target_type": "eni", "priority": 1,
	}
}

package account

import (
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	ours    = "11111111-0000-4000-8000-000000000001"
	foreign = "22222222-0000-4000-8000-000000000002"
	port    = "33333333-0000-4000-8000-000000000003"
	mark    = "vpcmirror-live-ABCDEFGHIJKL"
	mine    = "0123456789abcdef0123456789abcdef"
	project = "/v3/" + mine + "/vpc/"
)

var ourGuard = Guard{Project: mine, Mark: mark, Owns: func(id string) bool { return id == ours }, Ports: []string{port, ""}}

func TestTheGuardLetsThroughOnlyWritesToWhatTheRunMade(t *testing.T) {
	marked := `{"traffic_mirror_filter":{"name":"` + mark + `-a"}}`
	session := func(filter, source, target string) string {
		return `{"traffic_mirror_session":{"description":"` + mark + `","traffic_mirror_filter_id":"` + filter + `","traffic_mirror_sources":["` + source +
			`"],"traffic_mirror_target_id":"` + target + `"}}`
	}
	for _, c := range []struct {
		name, method, path, body string
		refused                  string // a part of the sentence; empty where it is let through
	}{
		{"a read of anything", "GET", project + "security-groups/" + foreign, "", ""},
		{"a create with the mark in its name", "POST", project + "traffic-mirror-filters", marked, ""},
		{"a create without the mark", "POST", project + "traffic-mirror-filters", `{"traffic_mirror_filter":{"name":"a"}}`, "run's mark"},
		{"a create of something else", "POST", "/v1/0123456789abcdef0123456789abcdef/ports", marked, "only mirror filters"},
		{"a create below another path", "POST", project + "security-groups", marked, "only mirror filters"},
		{"an update of ours", "PUT", project + "traffic-mirror-filters/" + ours, marked, ""},
		{"an update of another's", "PUT", project + "traffic-mirror-filters/" + foreign, marked, "did not make"},
		{"an update of nothing", "PUT", project + "traffic-mirror-filters/" + MadeUp(1), marked, ""},
		{"a deletion of ours", "DELETE", project + "traffic-mirror-sessions/" + ours, "", ""},
		{"a deletion of another's", "DELETE", project + "traffic-mirror-sessions/" + foreign, "", "did not make"},
		{"a deletion of a whole list", "DELETE", project + "traffic-mirror-sessions", "", "no case needs"},
		{"a deletion of a port", "DELETE", "/v1/0123456789abcdef0123456789abcdef/ports/" + ours, "", "only mirror filters"},
		{"a way round by the path", "DELETE", project + "traffic-mirror-sessions/" + ours + "/../" + foreign, "", "no case needs"},
		{"a way up by the path", "DELETE", project + "traffic-mirror-sessions/" + ours + "/..", "", "no case needs"},
		{"a rule of our filter without the mark", "POST", project + "traffic-mirror-filter-rules", `{"traffic_mirror_filter_rule":{"traffic_mirror_filter_id":"` + ours + `"}}`, ""},
		{"a rule of another's filter", "POST", project + "traffic-mirror-filter-rules", `{"traffic_mirror_filter_rule":{"description":"` + mark + `","traffic_mirror_filter_id":"` + foreign + `"}}`, "names a filter"},
		{"rules of our filter at once", "POST", project + "traffic-mirror-filters/" + ours + "/traffic-mirror-filter-rules/batch-create", `{}`, ""},
		{"rules of another's filter at once", "POST", project + "traffic-mirror-filters/" + foreign + "/traffic-mirror-filter-rules/batch-create", `{}`, "did not make"},
		{"a session on the ports given", "POST", project + "traffic-mirror-sessions", session(ours, port, MadeUp(2)), ""},
		{"a session of another's filter", "POST", project + "traffic-mirror-sessions", session(foreign, port, port), "names a filter"},
		{"a session from another's port", "POST", project + "traffic-mirror-sessions", session(ours, foreign, port), "names a port"},
		{"a session to another's port", "POST", project + "traffic-mirror-sessions", session(ours, port, foreign), "names a port"},
		{"sources of ours", "PUT", project + "traffic-mirror-sessions/" + ours + "/add-sources", `{"traffic_mirror_session":{"traffic_mirror_sources":["` + port + `"]}}`, ""},
		{"a create in another project", "POST", "/v3/fedcba9876543210fedcba9876543210/vpc/traffic-mirror-filters", marked, "another project"},
		{"another's port beside what is no object", "PUT", project + "traffic-mirror-sessions/" + ours, `{"traffic_mirror_session":{"traffic_mirror_target_id":"` + foreign + `"},"x":1}`, "names a port"},
		{"another's port where a list belongs", "PUT", project + "traffic-mirror-sessions/" + ours, `{"traffic_mirror_session":{"traffic_mirror_sources":"` + foreign + `"}}`, "names a port"},
		{"a rule of another's filter among several", "POST", project + "traffic-mirror-filters/" + ours + "/traffic-mirror-filter-rules/batch-create", `{"traffic_mirror_filter_rules":[{"traffic_mirror_filter_id":"` + foreign + `"}]}`, "names a filter"},
		{"what is not JSON", "PUT", project + "traffic-mirror-sessions/" + ours, `{"traffic_mirror_session"`, "can't be read"},
		{"another's port as a source of ours", "PUT", project + "traffic-mirror-sessions/" + ours + "/add-sources", `{"traffic_mirror_session":{"traffic_mirror_sources":["` + foreign + `"]}}`, "names a port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := ourGuard.Permit(Request{Service: VPC, Method: c.method, Path: c.path, Body: []byte(c.body)})
			switch {
			case c.refused == "" && err != nil:
				t.Errorf("it is refused: %v", err)
			case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
				t.Errorf("it gives %v, want a refusal with %q", err, c.refused)
			}
		})
	}
}

// Whatever the words of the path are: what is not ours is never updated nor deleted.
func TestNoPathLeadsToWhatIsNotOurs(t *testing.T) {
	word := rapid.SampledFrom([]string{"traffic-mirror-filters", "traffic-mirror-sessions", "vpc", "v3", "..", ".", "", "add-sources", foreign, "ports", "x"})
	rapid.Check(t, func(rt *rapid.T) {
		parts := rapid.SliceOfN(word, 1, 7).Draw(rt, "path")
		method := rapid.SampledFrom([]string{http.MethodPut, http.MethodDelete, http.MethodPost, http.MethodPatch}).Draw(rt, "method")
		path := "/" + strings.Join(parts, "/")
		if ourGuard.Permit(Request{Service: VPC, Method: method, Path: path}) == nil {
			rt.Fatalf("%s %s is let through", method, path)
		}
	})
}

package api

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// walk follows next_marker to the end, as a client should, and returns the IDs in the order in which they came.
func (g *gateway) walk(path, plural string, query url.Values) (ids []string, pages int) {
	g.t.Helper()
	for {
		a := g.do("GET", path+"?"+query.Encode(), "")
		g.want(a, 200, "")
		items := a.body[plural].([]any)
		for _, item := range items {
			ids = append(ids, item.(map[string]any)["id"].(string))
		}
		pages++
		info := a.object("page_info")
		if info["current_count"] != float64(len(items)) {
			g.t.Fatalf("current_count %v for %d items", info["current_count"], len(items))
		}
		next, more := info["next_marker"].(string)
		if !more {
			return ids, pages
		}
		if next != ids[len(ids)-1] {
			g.t.Fatalf("next_marker %s is not the last ID of the page, %s", next, ids[len(ids)-1])
		}
		query.Set("marker", next)
	}
}

func TestPagingReturnsEachObjectOnceInOrderWhateverTheLimit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := newGateway(t, func(c *Config) {
			c.PageSize = rapid.IntRange(1, 9).Draw(rt, "page size")
			c.PageCap = rapid.IntRange(0, 9).Draw(rt, "page cap")
		})
		count := rapid.IntRange(0, 20).Draw(rt, "filters")
		want := []string{}
		for i := range count {
			f, err := g.server.State.CreateFilter(scenario.WalkthroughProject, state.FilterInput{Name: ptr(fmt.Sprintf("f%d", i%3))})
			if err != nil {
				rt.Fatal(err)
			}
			want = append(want, f.ID)
		}
		slices.Sort(want)
		query := url.Values{}
		effective := g.server.PageSize
		if limit := rapid.IntRange(-1, 25).Draw(rt, "limit"); limit >= 0 {
			query.Set("limit", fmt.Sprint(limit))
			if limit > 0 {
				effective = limit
			}
		}
		if g.server.PageCap > 0 {
			effective = min(effective, g.server.PageCap)
		}
		got, pages := g.walk("traffic-mirror-filters", "traffic_mirror_filters", query)
		if diff := cmp.Diff(want, append([]string{}, got...)); diff != "" {
			rt.Fatalf("IDs over all pages (-want +got):\n%s", diff)
		}
		if wantPages := max(1, (count+effective-1)/effective); pages != wantPages {
			rt.Fatalf("%d pages of %d for %d objects; want %d", pages, effective, count, wantPages)
		}
	})
}

func ptr[T any](v T) *T { return &v }

func TestAListSelects(t *testing.T) {
	g := newGateway(t, func(c *Config) { c.PageSize = 1 })
	filter := g.filter()
	g.want(g.rule(filter, map[string]any{"protocol": "tcp", "destination_port_range": "80-80"}), 201, "")
	g.want(g.rule(filter, map[string]any{"priority": 2, "direction": "egress", "action": "reject"}), 201, "")
	g.want(g.session(filter, map[string]any{"name": "one", "virtual_network_id": 5, "enabled": true}), 201, "")
	g.want(g.session(filter, map[string]any{"name": "two", "priority": 2}), 201, "")
	for _, tc := range []struct {
		path, plural, query string
		want                int
	}{
		{"traffic-mirror-filter-rules", "traffic_mirror_filter_rules", "", 2},
		{"traffic-mirror-filter-rules", "traffic_mirror_filter_rules", "direction=egress", 1},
		{"traffic-mirror-filter-rules", "traffic_mirror_filter_rules", "protocol=TCP&destination_port_range=80-80", 1},
		{"traffic-mirror-filter-rules", "traffic_mirror_filter_rules", "priority=2&action=accept", 0},
		{"traffic-mirror-filter-rules", "traffic_mirror_filter_rules", "traffic_mirror_filter_id=" + filter, 2},
		{"traffic-mirror-sessions", "traffic_mirror_sessions", "name=one", 1},
		{"traffic-mirror-sessions", "traffic_mirror_sessions", "name=on", 0},
		{"traffic-mirror-sessions", "traffic_mirror_sessions", "name=one&name=two", 2},
		{"traffic-mirror-sessions", "traffic_mirror_sessions", "virtual_network_id=5", 1},
		{"traffic-mirror-sessions", "traffic_mirror_sessions", "enabled=false", 1},
		{"traffic-mirror-sessions", "traffic_mirror_sessions", "traffic_mirror_target_id=" + scenario.WalkthroughTarget, 2},
		{"traffic-mirror-sessions", "traffic_mirror_sessions", "created_at=x&unknown=y", 2},
		{"security-group-rules", "security_group_rules", "security_group_id=" + scenario.WalkthroughTargetGroup + "&security_group_id=" + scenario.WalkthroughSourceGroup + "&protocol=udp", 1},
		{"security-groups", "security_groups", "name=sg-target", 1},
		{"/v3/" + scenario.WalkthroughProject + "/ports", "ports", "device_owner_prefixlike=compute", 3},
		{"/v3/" + scenario.WalkthroughProject + "/ports", "ports", "mac_address=fa:16:3e:7e:d6:bc", 1},
		{"/v3/" + scenario.WalkthroughProject + "/ports", "ports", "limit=1", 3},
	} {
		t.Run(strings.TrimPrefix(tc.path, "/")+" by "+tc.query, func(t *testing.T) {
			query, err := url.ParseQuery(tc.query)
			if err != nil {
				t.Fatal(err)
			}
			g.t = t
			if ids, _ := g.walk(tc.path, tc.plural, query); len(ids) != tc.want {
				t.Fatalf("found %v; want %d", ids, tc.want)
			}
		})
	}
}

func TestAListRefuses(t *testing.T) {
	g := newGateway(t)
	for name, query := range map[string]string{
		"a limit beyond 2000":         "limit=2001",
		"a negative limit":            "limit=-1",
		"a limit in words":            "limit=ten",
		"a marker that is no object":  "marker=5a1f0c7e-0000-4000-8000-00000000dead",
		"a query that cannot be read": "name=%zz",
	} {
		t.Run(name, func(t *testing.T) {
			g.t = t
			r := g.request("GET", "traffic-mirror-filters", "")
			r.URL.RawQuery = query
			if err := signAgain(g, r); err != nil {
				t.Fatal(err)
			}
			g.want(g.send(r), 400, "VPC.9901")
		})
	}
}

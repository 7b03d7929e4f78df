package api

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

func (g *gateway) rule(filter string, changes map[string]any) answer {
	g.t.Helper()
	return g.do("POST", "traffic-mirror-filter-rules", wrap(g.t, "traffic_mirror_filter_rule", fields(ruleFields(filter), changes)))
}

func (g *gateway) session(filter string, changes map[string]any) answer {
	g.t.Helper()
	return g.do("POST", "traffic-mirror-sessions", wrap(g.t, "traffic_mirror_session", fields(sessionFields(filter), changes)))
}

func (g *gateway) put(path, key string, changes map[string]any) answer {
	g.t.Helper()
	return g.do("PUT", path, wrap(g.t, key, changes))
}

func TestARulesPriorityIsUniquePerFilterAndDirection(t *testing.T) {
	g := newGateway(t)
	filter := g.filter()
	g.want(g.rule(filter, nil), 201, "")
	g.want(g.rule(filter, nil), 409, "VPC.9902")
	g.want(g.rule(filter, map[string]any{"direction": "egress"}), 201, "")
	g.want(g.rule(g.filter(), nil), 201, "")
	second := g.rule(filter, map[string]any{"priority": 2})
	g.want(second, 201, "")
	id := second.object("traffic_mirror_filter_rule")["id"].(string)
	g.want(g.put("traffic-mirror-filter-rules/"+id, "traffic_mirror_filter_rule", map[string]any{"priority": 1}), 409, "VPC.9902")
	g.want(g.put("traffic-mirror-filter-rules/"+id, "traffic_mirror_filter_rule", map[string]any{"priority": 2}), 200, "")
}

func TestASessionsPriorityIsUniquePerProject(t *testing.T) {
	g := newGateway(t)
	filter := g.filter()
	g.want(g.session(filter, nil), 201, "")
	g.want(g.session(filter, nil), 409, "VPC.9902")
	g.want(g.session(filter, map[string]any{"priority": 2}), 201, "")
}

func TestARuleShowsWhatItWasGivenAndNullForTheRest(t *testing.T) {
	g := newGateway(t)
	filter := g.filter()
	got := g.rule(filter, map[string]any{"protocol": "tcp", "ethertype": "ipv6", "source_cidr_block": " fd00::/8 "}).object("traffic_mirror_filter_rule")
	want := map[string]any{
		"id": got["id"], "project_id": scenario.WalkthroughProject, "traffic_mirror_filter_id": filter, "direction": "ingress",
		"protocol": "tcp", "ethertype": "IPv6", "action": "accept", "priority": 1.0, "source_cidr_block": "fd00::/8",
		"destination_cidr_block": nil, "source_port_range": nil, "destination_port_range": nil, "description": "",
		"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("the rule (-want +got):\n%s", diff)
	}
	embedded := g.must("GET", "traffic-mirror-filters/"+filter, "", "traffic_mirror_filter")["ingress_rules"]
	if diff := cmp.Diff([]any{want}, embedded); diff != "" {
		t.Fatalf("the rule within its filter (-want +got):\n%s", diff)
	}
}

func TestARuleUpdate(t *testing.T) {
	const path = "traffic-mirror-filter-rules/"
	const key = "traffic_mirror_filter_rule"
	start := func(t *testing.T) (*gateway, string, map[string]any) {
		t.Helper()
		g := newGateway(t)
		made := g.rule(g.filter(), map[string]any{"protocol": "udp", "source_port_range": "80-90", "destination_cidr_block": "10.0.0.0/8"}).object(key)
		return g, path + made["id"].(string), made
	}
	for _, tc := range []struct {
		name    string
		quirks  state.Quirks
		changes map[string]any
		want    map[string]any // what differs; nil: refused
	}{
		{name: "changes what it carries and keeps the rest", changes: map[string]any{"priority": "7", "action": "reject"}, want: map[string]any{"priority": 7.0, "action": "reject"}},
		{name: "without a change does not touch updated_at", changes: map[string]any{"protocol": "udp"}, want: map[string]any{"updated_at": "2026-01-01T00:00:00Z"}},
		{name: "to ICMP drops the ports", changes: map[string]any{"protocol": "icmp"}, want: map[string]any{"protocol": "icmp", "source_port_range": nullValue}},
		{name: "cannot clear a CIDR with an empty string", changes: map[string]any{"destination_cidr_block": ""}, want: map[string]any{"updated_at": "2026-01-01T00:00:00Z"}},
		{name: "can clear it where the quirk says so", quirks: state.Quirks{EmptyClears: true}, changes: map[string]any{"destination_cidr_block": ""}, want: map[string]any{"destination_cidr_block": nullValue}},
		{name: "to IPv6 with an IPv4 CIDR left is refused", changes: map[string]any{"ethertype": "IPv6"}},
		{name: "of the direction is ignored", changes: map[string]any{"direction": "egress"}, want: map[string]any{"updated_at": "2026-01-01T00:00:00Z"}},
		{name: "of the direction is refused where the quirk says so", quirks: state.Quirks{RefuseRuleMove: true}, changes: map[string]any{"direction": "egress"}},
		{name: "to ICMP with ports is refused where protocols are strict", quirks: state.Quirks{StrictProtocols: true}, changes: map[string]any{"protocol": "ICMP", "source_port_range": "1-2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, path, made := start(t)
			g.server.State.SetQuirks(tc.quirks)
			g.now = g.now.Add(time.Minute)
			a := g.put(path, key, tc.changes)
			if tc.want == nil {
				g.want(a, 400, "VPC.9901")
				return
			}
			g.want(a, 200, "")
			want := fields(made, map[string]any{"updated_at": "2026-01-01T00:01:00Z"})
			for field, v := range tc.want {
				want[field] = v
				if v == nullValue {
					want[field] = nil
				}
			}
			if diff := cmp.Diff(want, a.object(key)); diff != "" {
				t.Fatalf("after the update (-want +got):\n%s", diff)
			}
		})
	}
}

const nullValue = "null"

func TestSourcesChangeOnlyByTheirOwnCalls(t *testing.T) {
	const key = "traffic_mirror_session"
	start := func(t *testing.T, q state.Quirks) (g *gateway, path string) {
		t.Helper()
		g = newGateway(t)
		g.server.State.SetQuirks(q)
		return g, "traffic-mirror-sessions/" + g.session(g.filter(), nil).object(key)["id"].(string)
	}
	source := map[string]any{"traffic_mirror_sources": []string{scenario.WalkthroughSource}}
	other := map[string]any{"traffic_mirror_sources": []string{scenario.WalkthroughTest}}
	t.Run("an update ignores them, and type too", func(t *testing.T) {
		g, path := start(t, state.Quirks{})
		a := g.put(path, key, fields(other, map[string]any{"type": "whatever", "name": "renamed"}))
		g.want(a, 200, "")
		got := a.object(key)
		if diff := cmp.Diff([]any{[]any{scenario.WalkthroughSource}, "eni", "renamed"}, []any{got["traffic_mirror_sources"], got["type"], got["name"]}); diff != "" {
			t.Fatalf("after the update (-want +got):\n%s", diff)
		}
	})
	t.Run("adding one that is there, and removing one that is not, is fine", func(t *testing.T) {
		g, path := start(t, state.Quirks{})
		g.want(g.put(path+"/add-sources", key, source), 200, "")
		g.want(g.put(path+"/remove-sources", key, other), 200, "")
	})
	t.Run("or is refused where the quirk says so", func(t *testing.T) {
		g, path := start(t, state.Quirks{StrictSources: true})
		g.want(g.put(path+"/add-sources", key, source), 409, "VPC.9902")
		g.want(g.put(path+"/remove-sources", key, other), 404, "VPC.9904")
	})
	t.Run("the last one can be removed", func(t *testing.T) {
		g, path := start(t, state.Quirks{})
		s := g.put(path+"/remove-sources", key, source).object(key)
		if diff := cmp.Diff([]any{[]any{}, scenario.WalkthroughTarget}, []any{s["traffic_mirror_sources"], s["traffic_mirror_target_id"]}); diff != "" {
			t.Fatalf("without sources (-want +got):\n%s", diff)
		}
	})
	t.Run("or takes the target along where the quirk says so, and the session still changes", func(t *testing.T) {
		g, path := start(t, state.Quirks{BlankTargetWithLastSource: true})
		s := g.put(path+"/remove-sources", key, source).object(key)
		if diff := cmp.Diff([]any{[]any{}, "", ""}, []any{s["traffic_mirror_sources"], s["traffic_mirror_target_id"], s["traffic_mirror_target_type"]}); diff != "" {
			t.Fatalf("without sources (-want +got):\n%s", diff)
		}
		g.want(g.put(path+"/add-sources", key, source), 200, "")
	})
	t.Run("or stays where the quirk says so", func(t *testing.T) {
		g, path := start(t, state.Quirks{RefuseLastSource: true})
		g.want(g.put(path+"/remove-sources", key, source), 400, "VPC.9902")
	})
	t.Run("an empty list is refused", func(t *testing.T) {
		g, path := start(t, state.Quirks{})
		g.want(g.put(path+"/add-sources", key, map[string]any{"traffic_mirror_sources": []string{}}), 400, "VPC.9901")
		g.want(g.put(path+"/add-sources", key, map[string]any{}), 400, "VPC.9901")
	})
}

func TestASessionStaysChangeableAfterItsSourceIsGone(t *testing.T) {
	g := newGateway(t)
	path := "traffic-mirror-sessions/" + g.session(g.filter(), nil).object("traffic_mirror_session")["id"].(string)
	g.server.State.Edit(func(w *state.World) { delete(w.Ports, scenario.WalkthroughSource) })
	g.want(g.put(path, "traffic_mirror_session", map[string]any{"enabled": true}), 200, "")
}

func TestEachQuotaRefusesTheNextObject(t *testing.T) {
	for _, tc := range []struct {
		name  string
		limit func(*state.Quotas)
		next  func(g *gateway, filter string) answer
	}{
		{"filters per project", func(q *state.Quotas) { q.Filters = 1 }, func(g *gateway, _ string) answer {
			return g.do("POST", "traffic-mirror-filters", `{"traffic_mirror_filter":{"name":"g"}}`)
		}},
		{"rules per direction", func(q *state.Quotas) { q.RulesPerDirection = 1 }, func(g *gateway, filter string) answer {
			return g.rule(filter, map[string]any{"priority": 2})
		}},
		{"sessions per project", func(q *state.Quotas) { q.Sessions = 1 }, nextSession(nil)},
		{"sessions per filter", func(q *state.Quotas) { q.SessionsPerFilter = 1 }, nextSession(nil)},
		{"sessions per target interface", func(q *state.Quotas) { q.SessionsPerENITarget = 1 }, nextSession(nil)},
		{"sessions per source", func(q *state.Quotas) { q.SessionsPerSource = 1 }, nextSession(nil)},
		{"sources per session", func(q *state.Quotas) { q.SourcesPerSession = 1 }, nextSession(map[string]any{
			"traffic_mirror_sources": []string{scenario.WalkthroughSource, scenario.WalkthroughTest},
		})},
		{"rules per security group", func(q *state.Quotas) { q.SecurityGroupRulesPerGroup = 6 }, func(g *gateway, _ string) answer {
			return g.do("POST", "security-group-rules", wrap(g.t, "security_group_rule", map[string]any{
				"security_group_id": scenario.WalkthroughTargetGroup, "direction": "ingress", "protocol": "tcp", "multiport": "80",
			}))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newGateway(t)
			filter := g.filter()
			g.want(g.rule(filter, nil), 201, "")
			g.want(g.session(filter, nil), 201, "")
			g.server.State.Edit(func(w *state.World) { tc.limit(&w.Quotas) })
			g.want(tc.next(g, filter), 409, "VPC.9905")
			g.server.State.Edit(func(w *state.World) { w.Quotas = state.DefaultQuotas() })
			g.want(tc.next(g, filter), 201, "")
		})
	}
}

func nextSession(changes map[string]any) func(*gateway, string) answer {
	return func(g *gateway, filter string) answer {
		return g.session(filter, fields(map[string]any{"priority": 2}, changes))
	}
}

func TestASecurityGroupRuleIsRefusedWith(t *testing.T) {
	g := newGateway(t)
	base := map[string]any{"security_group_id": scenario.WalkthroughSourceGroup, "direction": "ingress", "protocol": "udp", "multiport": "9000"}
	refusals{
		{"no direction", map[string]any{"direction": nil}, "direction"},
		{"priority 101", map[string]any{"priority": "101"}, "1-100"},
		{"action accept", map[string]any{"action": "accept"}, "allow, deny"},
		{"ports of ICMP", map[string]any{"protocol": "icmp"}, "tcp or udp"},
		{"a malformed multiport", map[string]any{"multiport": "80,,90"}, "22,80-90"},
		{"a prefix and a group", map[string]any{"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": scenario.WalkthroughTargetGroup}, "excludes"},
		{"a prefix of the other family", map[string]any{"remote_ip_prefix": "fd00::/8"}, "ethertype"},
		{"protocol 256", map[string]any{"protocol": "256", "multiport": nil}, "0-255"},
	}.check(t, g, "security-group-rules", "security_group_rule", base)
	g.t = t
	const nobody = "5a1f0c7e-0000-4000-8000-00000000dead"
	for _, field := range []string{"security_group_id", "remote_group_id"} {
		g.want(g.do("POST", "security-group-rules", wrap(t, "security_group_rule", fields(base, map[string]any{field: nobody}))), 404, "VPC.9904")
	}
}

func TestSubscribersSeeEachChangeBeforeItsAnswer(t *testing.T) {
	g := newGateway(t)
	var seen []string
	cancel := g.server.State.Subscribe(func(w *state.World) {
		seen = append(seen, fmt.Sprintf("%d: %d filters, %d rules", w.Version, len(w.Filters), len(w.Rules)))
	})
	filter := g.filter()
	g.rule(filter, nil)
	g.rule(filter, nil) // refused: no change
	want := []string{"0: 0 filters, 0 rules", "1: 1 filters, 0 rules", "2: 1 filters, 1 rules"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Fatalf("seen (-want +got):\n%s", diff)
	}
	cancel()
	g.filter()
	if len(seen) != 3 {
		t.Fatalf("seen %v after the subscription ended", seen)
	}
}

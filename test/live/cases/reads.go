package cases

import (
	"net/http"
	"slices"

	"vpcmirror.io/operator/test/live/compare"
)

// All returns the table. How soon changes are seen is asked first: where that takes a while, the reads of the cases after wait
// for it.
func All() []Case {
	var first, out []Case
	for _, part := range [][]Case{account(), missing(), lists(), selections(), filterCases(), ruleCases(), sessionCases(), sourceCases()} {
		for _, c := range part {
			if slices.ContainsFunc(c.Steps, func(s Step) bool { return s.Until != "" }) {
				first = append(first, c)
			} else {
				out = append(out, c)
			}
		}
	}
	return append(first, out...)
}

// account asks for what is there without us: projects, quotas, ports. Values are the account's own, so shapes are compared.
func account() []Case {
	byName := get("list projects by name", "/v3/projects", map[string]string{"name": "${region}"}, compare.Shape)
	allowed := get("list the projects allowed", "/v3/auth/projects", nil, compare.Shape)
	byName.IAM, allowed.IAM = true, true
	return []Case{
		{
			Name: "projects-by-name", Asks: "Does GET /v3/projects?name= find the region's project, and what does it answer?",
			Steps: []Step{byName},
		},
		{
			Name: "projects-allowed", Asks: "Does GET /v3/auth/projects, which needs no right, list it too?",
			Steps: []Step{allowed},
		},
		{
			Name: "quotas", Asks: "Which quotas does GET /quotas tell, and with which limits?",
			Steps: []Step{get("show the quotas", base+"quotas", nil, compare.Whole)},
		},
		{
			Name: "ports-v3", Asks: "Is there the v3 read of ports in this region, and which fields has a port?", Needs: []string{"source"},
			Steps: []Step{
				get("show the port", "/v3/${project}/ports/${source}", nil, compare.Shape),
				get("list it", "/v3/${project}/ports", map[string]string{"id": "${source}"}, compare.Shape),
			},
		},
		{
			Name: "ports-v1", Asks: "Which fields has a port by the v1 read, and has its list a page_info?", Needs: []string{"source"},
			Steps: []Step{
				get("show the port", "/v1/${project}/ports/${source}", nil, compare.Shape),
				get("list one", "/v1/${project}/ports", map[string]string{"limit": "1"}, compare.Shape),
			},
		},
	}
}

// missing asks for what does not exist: the one 404 that means "gone" has to be told from the one that means "no such call".
func missing() []Case {
	of := func(k kind) Case {
		steps := []Step{k.show("nothing1"), k.update("nothing1", Fields{"description": "${mark}"}), k.remove("nothing1")}
		return Case{Name: k.noun + "-missing", Asks: "What do show, update and delete of a " + k.noun + " say that does not exist?", Steps: steps}
	}
	return []Case{
		of(filters), of(rules), of(sessions),
		{
			Name: "sources-of-missing-session", Asks: "What do add-sources and remove-sources say where there is no session?",
			Steps: []Step{sources("add", "nothing1", "${nothing2}"), sources("remove", "nothing1", "${nothing2}")},
		},
		{
			Name: "rule-of-missing-filter", Asks: "What does a rule for a filter say that does not exist?",
			Steps: []Step{rule("rule", Fields{"traffic_mirror_filter_id": "${nothing1}"})},
		},
		{
			Name: "ports-missing", Asks: "What do the v3 and v1 reads of a port say that does not exist?",
			Steps: []Step{
				get("show by v3", "/v3/${project}/ports/${nothing1}", nil, compare.Whole),
				get("show by v1", "/v1/${project}/ports/${nothing1}", nil, compare.Whole),
				get("list by v3", "/v3/${project}/ports", map[string]string{"id": "${nothing1}"}, compare.Whole),
			},
		},
		{
			Name: "neighbours-missing", Asks: "What do reads of a security group, a network ACL and a server say that do not exist?",
			Steps: []Step{
				get("show the group", base+"security-groups/${nothing1}", nil, compare.Whole),
				get("show the ACL", base+"firewalls/${nothing1}", nil, compare.Whole),
			},
		},
		{
			Name: "path-unknown", Asks: "What does the gateway say of a path that it does not have?",
			Steps: []Step{get("ask an unknown path", base+"traffic-mirror-nothing", nil, compare.Whole)},
		},
		{
			Name: "id-malformed", Asks: "What do reads say of an ID that is no UUID: 400 or 404?",
			Steps: []Step{
				get("show a filter", base+filters.plural+"/nothing", nil, compare.Whole),
				get("show a rule", base+rules.plural+"/nothing", nil, compare.Whole),
				get("show a session", base+sessions.plural+"/nothing", nil, compare.Whole),
			},
		},
	}
}

func ask(k kind, name string, query map[string]string) Step { return k.list(query).named(name) }

// lists asks how lists are paged. Those of rules are of one filter of ours, so that all of them is known.
func lists() []Case {
	three := []Step{
		filter("filter", nil), rule("rule1", nil), rule("rule2", Fields{"priority": 2}), rule("rule3", Fields{"priority": 3}),
	}
	of := func(more ...string) map[string]string {
		query := map[string]string{"traffic_mirror_filter_id": "${filter}"}
		for i := 0; i+1 < len(more); i += 2 {
			query[more[i]] = more[i+1]
		}
		return query
	}
	paged := func(name string, more ...string) Step {
		step := ask(rules, name, of(more...))
		step.View = compare.Page
		return step
	}
	first := paged("list one", "limit", "1")
	first.Saves = map[string]string{"page2": "page_info.next_marker"}
	second := paged("list the next", "limit", "1", "marker", "${page2}")
	second.Saves = map[string]string{"page3": "page_info.next_marker"}
	return []Case{
		{
			Name: "list-pages", Asks: "Do limit=1 and next_marker lead through all pages, and has the last one none?",
			Steps: append(three[:len(three):len(three)], ask(rules, "list without a limit", of()), first, second,
				paged("list the last", "limit", "1", "marker", "${page3}"), paged("list two", "limit", "2")),
		},
		{
			Name: "list-limit-zero", Asks: "Does limit=0 mean the default, nothing, or an error?",
			Steps: append(three[:len(three):len(three)],
				ask(rules, "list rules with limit=0", of("limit", "0")),
				ask(filters, "list filters with limit=0", map[string]string{"limit": "0", "name": "${mark}-filter"}),
				ask(sessions, "list sessions with limit=0", map[string]string{"limit": "0"})),
		},
		{
			Name: "list-limit-bad", Asks: "What do limits say that are negative, above 2000, or no number?",
			Steps: []Step{
				ask(filters, "list with limit=-1", map[string]string{"limit": "-1"}),
				ask(filters, "list with limit=2001", map[string]string{"limit": "2001", "name": "${mark}-none"}),
				ask(filters, "list with limit=many", map[string]string{"limit": "many"}),
			},
		},
		{
			Name: "list-marker-bad", Asks: "What does a marker say that is no object of the list, or no ID at all?",
			Steps: []Step{
				ask(filters, "list filters after nothing", map[string]string{"marker": "${nothing1}", "limit": "1"}),
				ask(rules, "list rules after nothing", map[string]string{"marker": "${nothing1}", "limit": "1"}),
				ask(sessions, "list sessions after nothing", map[string]string{"marker": "${nothing1}", "limit": "1"}),
				ask(filters, "list filters after what is no ID", map[string]string{"marker": "nothing", "limit": "1"}),
			},
		},
	}
}

// selections asks how the keys of a list's query select, and what a create says of a body that is not as it should be.
func selections() []Case {
	return []Case{
		{
			Name: "list-by-name", Asks: "Does name= select by the whole name, by its beginning, or by a part, and with regard to case?",
			Steps: []Step{
				filter("filter", nil), filter("filter2", Fields{"name": "${mark}-filter-and-more"}),
				ask(filters, "list by the whole name", map[string]string{"name": "${mark}-filter"}),
				ask(filters, "list by the beginning", map[string]string{"name": "${mark}-filt"}),
				ask(filters, "list by a name that none has", map[string]string{"name": "${mark}-none"}),
				ask(filters, "list by the ID", map[string]string{"id": "${filter2}"}),
				ask(filters, "list by the description", map[string]string{"description": "${mark}"}),
			},
		},
		{
			Name: "list-by-unknown-key", Asks: "Is a key of the query that does not exist ignored?",
			Steps: []Step{filter("filter", nil), ask(filters, "list by an unknown key", map[string]string{"name": "${mark}-filter", "no_such_key": "1"})},
		},
		{
			Name: "body-bad", Asks: "What does a create say whose object is not in its wrapper, or that has a field that does not exist?",
			Steps: []Step{
				{
					Name: "create in a wrong wrapper", Method: http.MethodPost, Path: base + filters.plural,
					Body: Fields{"filter": Fields{"name": "${mark}-wrapped", "description": "${mark}"}},
				},
				filter("filter", Fields{"no_such_field": "1"}).named("create with an unknown field"),
			},
		},
	}
}

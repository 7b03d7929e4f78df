package cases

import (
	"net/http"

	"vpcmirror.io/operator/test/live/compare"
)

// kind is one of the three kinds of objects.
type kind struct{ plural, wrapper, noun string }

var (
	filters  = kind{"traffic-mirror-filters", "traffic_mirror_filter", "filter"}
	rules    = kind{"traffic-mirror-filter-rules", "traffic_mirror_filter_rule", "rule"}
	sessions = kind{"traffic-mirror-sessions", "traffic_mirror_session", "session"}
)

const base = "/v3/${project}/vpc/"

func (k kind) create(save string, fields Fields) Step {
	return Step{
		Name: "create " + save, Method: http.MethodPost, Path: base + k.plural, Body: Fields{k.wrapper: fields},
		Saves: map[string]string{save: k.wrapper + ".id"},
	}
}

// show reads an object by the variable that holds its ID.
func (k kind) show(of string) Step {
	return Step{Name: "show " + of, Method: http.MethodGet, Path: base + k.plural + "/${" + of + "}"}
}

func (k kind) update(of string, fields Fields) Step {
	return Step{Name: "update " + of, Method: http.MethodPut, Path: base + k.plural + "/${" + of + "}", Body: Fields{k.wrapper: fields}}
}

func (k kind) remove(of string) Step {
	return Step{Name: "delete " + of, Method: http.MethodDelete, Path: base + k.plural + "/${" + of + "}"}
}

func (k kind) list(query map[string]string) Step {
	return Step{Name: "list " + k.noun + "s", Method: http.MethodGet, Path: base + k.plural, Query: query, View: compare.Ours}
}

// filter makes one that is plain but for the fields given.
func filter(save string, fields Fields) Step {
	plain := Fields{"name": "${mark}-" + save, "description": "${mark}"}
	return filters.create(save, plain.with(fields))
}

// rule makes one of ${filter}, plain but for the fields given. It has only the fields that are required, and a description.
func rule(save string, fields Fields) Step {
	plain := Fields{
		"traffic_mirror_filter_id": "${filter}", "direction": "ingress", "protocol": "TCP", "ethertype": "IPv4", "action": "accept",
		"priority": 1, "description": "${mark}",
	}
	return rules.create(save, plain.with(fields))
}

// session makes one of ${filter} from ${source} to ${target}, plain but for the fields given. The types of its fields are
// those of the Go SDK. It is off, and its filter has no rules, so that nothing is ever copied.
func session(save string, fields Fields) Step {
	plain := Fields{
		"name": "${mark}-" + save, "description": "${mark}", "traffic_mirror_filter_id": "${filter}",
		"traffic_mirror_sources": []any{"${source}"}, "traffic_mirror_target_id": "${target}", "traffic_mirror_target_type": "eni",
		"priority": Number("priority1"), "virtual_network_id": "5", "packet_length": "96", "enabled": "false", "type": "eni",
	}
	return sessions.create(save, plain.with(fields))
}

// sources changes those of a session; how is add or remove.
func sources(how, of string, ports ...any) Step {
	return Step{
		Name: how + " sources of " + of, Method: http.MethodPut, Path: base + sessions.plural + "/${" + of + "}/" + how + "-sources",
		Body: Fields{sessions.wrapper: Fields{"traffic_mirror_sources": ports}},
	}
}

// named gives a step another name, where a case has two that are alike.
func (s Step) named(name string) Step {
	s.Name = name
	return s
}

// until repeats a read until a text is shown or gone.
func (s Step) until(u Until, text string) Step {
	s.Until, s.Text = u, text
	s.Name += " until " + string(u)
	return s
}

func get(name, path string, query map[string]string, view compare.View) Step {
	return Step{Name: name, Method: http.MethodGet, Path: path, Query: query, View: view}
}

// ports are the variables that a session needs.
var ports = []string{"source", "target"}

// twoSources are those of a case that needs a second source.
var twoSources = []string{"source", "source2", "target"}

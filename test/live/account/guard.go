package account

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Guard decides which writes may be sent: it is asked for each, whatever a case says. Reads pass.
type Guard struct {
	// Project is the one that may be written to.
	Project string
	// Mark has to be in the name or the description of all that is made.
	Mark string
	// Owns reports whether the run made the object with this ID.
	Owns func(id string) bool
	// Ports are those that the user gave: no other may be the source or the target of a session.
	Ports []string
}

// madeUp begins the IDs that no object has, for asking what the cloud says of those.
const madeUp = "5afe0000-0000-4000-8000-"

// MadeUp returns an ID that no object has.
func MadeUp(number int) string { return fmt.Sprintf("%s%012d", madeUp, number) }

// The only paths that are written to, after /v3/{project}/vpc/.
const (
	filters  = "traffic-mirror-filters"
	rules    = "traffic-mirror-filter-rules"
	sessions = "traffic-mirror-sessions"
)

// Permit returns why a write must not be sent; nil where it may.
func (g Guard) Permit(r Request) error {
	if r.Method == http.MethodGet {
		return nil
	}
	why := g.refusal(r)
	if why == "" {
		why = g.references(r.Body)
	}
	if why != "" {
		return fmt.Errorf("%s %s is not sent: %s", r.Method, r.Path, why)
	}
	return nil
}

// refusal judges method and path, and the mark of a create.
func (g Guard) refusal(r Request) string {
	parts := strings.Split(strings.Trim(r.Path, "/"), "/")
	if r.Service != VPC || len(parts) < 4 || parts[0] != "v3" || parts[2] != "vpc" || !slices.Contains([]string{filters, rules, sessions}, parts[3]) {
		return "only mirror filters, rules and sessions are ever written"
	}
	kind, rest := parts[3], parts[4:]
	switch {
	case parts[1] != g.Project:
		return "it is for another project"
	case !known(r.Method, kind, rest):
		return "no case needs such a call"
	case len(rest) > 0 && !g.own(rest[0]):
		return "this run did not make the object"
	case len(rest) == 0 && !marked(r.Body, g.Mark) && (kind != rules || !g.ofOwnFilter(r.Body)):
		return "neither its name nor its description has the run's mark"
	}
	return ""
}

// known reports whether a write of the kind, with so much behind it in the path, is one of those that cases have.
func known(method, kind string, rest []string) bool {
	switch method {
	case http.MethodPost:
		return len(rest) == 0 || kind == filters && len(rest) == 3 && rest[1] == rules && rest[2] == "batch-create"
	case http.MethodPut:
		return len(rest) == 1 || kind == sessions && len(rest) == 2 && (rest[1] == "add-sources" || rest[1] == "remove-sources")
	case http.MethodDelete:
		return len(rest) == 1
	}
	return false
}

// references looks at the IDs in a body, at whatever depth: a case may send what the API does not know.
func (g Guard) references(body []byte) string {
	if len(body) == 0 {
		return ""
	}
	var all any
	if json.Unmarshal(body, &all) != nil {
		return "its body can't be read"
	}
	return g.names(all)
}

// names judges what a value and all that is in it name.
func (g Guard) names(value any) string {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			why := ""
			switch key {
			case "traffic_mirror_filter_id":
				why = all(inner, func(id string) bool { return id == "" || g.own(id) }, "it names a filter that this run did not make")
			case "traffic_mirror_sources", "traffic_mirror_target_id":
				why = all(inner, g.permitsPort, "it names a port that was not given for this run")
			}
			if why == "" {
				why = g.names(inner)
			}
			if why != "" {
				return why
			}
		}
	case []any:
		for _, inner := range value {
			if why := g.names(inner); why != "" {
				return why
			}
		}
	}
	return ""
}

// all returns why unless each text in a value, which may be a list, is good. What is no text can name nothing.
func all(value any, good func(string) bool, why string) string {
	switch value := value.(type) {
	case string:
		if !good(value) {
			return why
		}
	case []any:
		for _, inner := range value {
			if bad := all(inner, good, why); bad != "" {
				return bad
			}
		}
	}
	return ""
}

func (g Guard) permitsPort(id string) bool {
	return id == "" || slices.Contains(g.Ports, id) || strings.HasPrefix(id, madeUp)
}

func (g Guard) own(id string) bool { return strings.HasPrefix(id, madeUp) || g.Owns(id) }

// marked reports whether the object in a create's body bears the mark.
func marked(body []byte, mark string) bool {
	for _, fields := range wrapped(body) {
		for _, field := range []string{"name", "description"} {
			if text, is := fields[field].(string); is && strings.Contains(text, mark) {
				return true
			}
		}
	}
	return false
}

// ofOwnFilter reports whether a rule is one of a filter of ours: it goes with that.
func (g Guard) ofOwnFilter(body []byte) bool {
	for _, fields := range wrapped(body) {
		if id, is := fields["traffic_mirror_filter_id"].(string); is && g.own(id) {
			return true
		}
	}
	return false
}

// wrapped returns the objects below the keys of a body.
func wrapped(body []byte) map[string]map[string]any {
	var out map[string]map[string]any
	if json.Unmarshal(body, &out) != nil {
		return nil
	}
	return out
}

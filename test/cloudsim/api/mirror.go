package api

import (
	"net/http"
	"strconv"

	"vpcmirror.io/operator/test/cloudsim/state"
)

const (
	filterKey  = "traffic_mirror_filter"
	ruleKey    = "traffic_mirror_filter_rule"
	sessionKey = "traffic_mirror_session"
)

func filterBody(c *call) (state.FilterInput, error) {
	b := decodeBody(c.body, filterKey)
	return state.FilterInput{Name: b.text("name"), Description: b.text("description")}, b.err
}

// filterView shows a filter with its rules, both lists empty rather than null.
func filterView(w *state.World) func(state.Filter) any {
	return func(f state.Filter) any {
		return map[string]any{
			"id": f.ID, "project_id": f.ProjectID, "name": f.Name, "description": f.Description, "type": "eni",
			"ingress_rules": ruleViews(w.RulesOf(f.ID, state.Ingress)), "egress_rules": ruleViews(w.RulesOf(f.ID, state.Egress)),
			"created_at": stamp(f.CreatedAt), "updated_at": stamp(f.UpdatedAt),
		}
	}
}

// filterNow answers a change of a filter.
func (c *call) filterNow(status int, f state.Filter, err error) (answer response) {
	c.State.Read(func(w *state.World) { answer = result(status, filterKey, f, err, filterView(w)) })
	return answer
}

func createFilter(c *call) response {
	in, err := filterBody(c)
	if err != nil {
		return refusal(err)
	}
	f, err := c.State.CreateFilter(c.project, in)
	return c.filterNow(http.StatusCreated, f, err)
}

func listFilters(c *call) response {
	w := c.world()
	return listing[state.Filter]{
		plural: "traffic_mirror_filters",
		id:     func(f state.Filter) string { return f.ID },
		fields: map[string]func(state.Filter) []string{
			"id":          one(func(f state.Filter) string { return f.ID }),
			"name":        one(func(f state.Filter) string { return f.Name }),
			"description": one(func(f state.Filter) string { return f.Description }),
		},
		view: filterView(w),
	}.serve(c, mine(w.Filters, c.project, func(f state.Filter) string { return f.ProjectID }))
}

func showFilter(c *call) response {
	w := c.world()
	f, err := w.Filter(c.project, c.params["id"])
	return result(http.StatusOK, filterKey, f, err, filterView(w))
}

func updateFilter(c *call) response {
	in, err := filterBody(c)
	if err != nil {
		return refusal(err)
	}
	f, err := c.State.UpdateFilter(c.project, c.params["id"], in)
	return c.filterNow(http.StatusOK, f, err)
}

func deleteFilter(c *call) response { return gone(c.State.DeleteFilter(c.project, c.params["id"])) }

func ruleBody(c *call) (state.RuleInput, error) {
	b := decodeBody(c.body, ruleKey)
	return state.RuleInput{
		FilterID: b.text("traffic_mirror_filter_id"), Direction: b.text("direction"), Protocol: b.text("protocol"),
		EtherType: b.text("ethertype"), Action: b.text("action"), Priority: b.number("priority"),
		SourceCIDR: b.text("source_cidr_block"), DestinationCIDR: b.text("destination_cidr_block"),
		SourcePortRange: b.text("source_port_range"), DestinationPortRange: b.text("destination_port_range"),
		Description: b.text("description"),
	}, b.err
}

func ruleView(r state.Rule) any {
	return map[string]any{
		"id": r.ID, "project_id": r.ProjectID, "traffic_mirror_filter_id": r.FilterID, "direction": r.Direction,
		"protocol": r.Protocol, "ethertype": r.EtherType, "action": r.Action, "priority": r.Priority,
		"source_cidr_block": orNull(r.SourceCIDR), "destination_cidr_block": orNull(r.DestinationCIDR),
		"source_port_range": orNull(r.SourcePortRange), "destination_port_range": orNull(r.DestinationPortRange),
		"description": r.Description, "created_at": stamp(r.CreatedAt), "updated_at": stamp(r.UpdatedAt),
	}
}

func ruleViews(rules []state.Rule) []any {
	out := make([]any, 0, len(rules))
	for _, r := range rules {
		out = append(out, ruleView(r))
	}
	return out
}

func createRule(c *call) response {
	in, err := ruleBody(c)
	if err != nil {
		return refusal(err)
	}
	r, err := c.State.CreateRule(c.project, in)
	return result(http.StatusCreated, ruleKey, r, err, ruleView)
}

func listRules(c *call) response {
	return listing[state.Rule]{
		plural: "traffic_mirror_filter_rules",
		id:     func(r state.Rule) string { return r.ID },
		fields: map[string]func(state.Rule) []string{
			"id":                       one(func(r state.Rule) string { return r.ID }),
			"description":              one(func(r state.Rule) string { return r.Description }),
			"traffic_mirror_filter_id": one(func(r state.Rule) string { return r.FilterID }),
			"direction":                one(func(r state.Rule) string { return r.Direction }),
			"protocol":                 upper(func(r state.Rule) string { return r.Protocol }),
			"source_cidr_block":        one(func(r state.Rule) string { return r.SourceCIDR }),
			"destination_cidr_block":   one(func(r state.Rule) string { return r.DestinationCIDR }),
			"source_port_range":        one(func(r state.Rule) string { return r.SourcePortRange }),
			"destination_port_range":   one(func(r state.Rule) string { return r.DestinationPortRange }),
			"action":                   one(func(r state.Rule) string { return r.Action }),
			"priority":                 one(func(r state.Rule) string { return strconv.Itoa(r.Priority) }),
		},
		view: ruleView,
	}.serve(c, mine(c.world().Rules, c.project, func(r state.Rule) string { return r.ProjectID }))
}

func showRule(c *call) response {
	r, err := c.world().Rule(c.project, c.params["id"])
	return result(http.StatusOK, ruleKey, r, err, ruleView)
}

func updateRule(c *call) response {
	in, err := ruleBody(c)
	if err != nil {
		return refusal(err)
	}
	r, err := c.State.UpdateRule(c.project, c.params["id"], in)
	return result(http.StatusOK, ruleKey, r, err, ruleView)
}

func deleteRule(c *call) response { return gone(c.State.DeleteRule(c.project, c.params["id"])) }

// sessionBody reads what create and update have in common.
func sessionBody(b *body) state.SessionInput {
	return state.SessionInput{
		Name: b.text("name"), Description: b.text("description"), FilterID: b.text("traffic_mirror_filter_id"),
		TargetID: b.text("traffic_mirror_target_id"), TargetType: b.text("traffic_mirror_target_type"),
		VNI: b.number("virtual_network_id"), PacketLength: b.number("packet_length"), Priority: b.number("priority"),
		Enabled: b.boolean("enabled"),
	}
}

func sessionView(s state.Session) any {
	sources := s.Sources
	if sources == nil {
		sources = []string{}
	}
	return map[string]any{
		"id": s.ID, "project_id": s.ProjectID, "name": s.Name, "description": s.Description,
		"traffic_mirror_filter_id": s.FilterID, "traffic_mirror_sources": sources, "traffic_mirror_target_id": s.TargetID,
		"traffic_mirror_target_type": s.TargetType, "virtual_network_id": s.VNI, "packet_length": s.PacketLength,
		"priority": s.Priority, "enabled": s.Enabled, "type": s.Type,
		"created_at": stamp(s.CreatedAt), "updated_at": stamp(s.UpdatedAt),
	}
}

func createSession(c *call) response {
	b := decodeBody(c.body, sessionKey)
	in := sessionBody(b)
	in.Sources, in.Type = b.texts("traffic_mirror_sources"), b.text("type")
	if b.err != nil {
		return refusal(b.err)
	}
	s, err := c.State.CreateSession(c.project, in)
	return result(http.StatusCreated, sessionKey, s, err, sessionView)
}

func listSessions(c *call) response {
	return listing[state.Session]{
		plural: "traffic_mirror_sessions",
		id:     func(s state.Session) string { return s.ID },
		fields: map[string]func(state.Session) []string{
			"id":                         one(func(s state.Session) string { return s.ID }),
			"name":                       one(func(s state.Session) string { return s.Name }),
			"description":                one(func(s state.Session) string { return s.Description }),
			"traffic_mirror_filter_id":   one(func(s state.Session) string { return s.FilterID }),
			"traffic_mirror_target_id":   one(func(s state.Session) string { return s.TargetID }),
			"traffic_mirror_target_type": one(func(s state.Session) string { return s.TargetType }),
			"virtual_network_id":         one(func(s state.Session) string { return strconv.Itoa(s.VNI) }),
			"packet_length":              one(func(s state.Session) string { return strconv.Itoa(s.PacketLength) }),
			"priority":                   one(func(s state.Session) string { return strconv.Itoa(s.Priority) }),
			"enabled":                    one(func(s state.Session) string { return strconv.FormatBool(s.Enabled) }),
			"type":                       one(func(s state.Session) string { return s.Type }),
		},
		view: sessionView,
	}.serve(c, mine(c.world().Sessions, c.project, func(s state.Session) string { return s.ProjectID }))
}

func showSession(c *call) response {
	s, err := c.world().Session(c.project, c.params["id"])
	return result(http.StatusOK, sessionKey, s, err, sessionView)
}

// updateSession never touches the sources: a traffic_mirror_sources or type in the body is ignored, as unknown keys are.
func updateSession(c *call) response {
	b := decodeBody(c.body, sessionKey)
	in := sessionBody(b)
	if b.err != nil {
		return refusal(b.err)
	}
	s, err := c.State.UpdateSession(c.project, c.params["id"], in)
	return result(http.StatusOK, sessionKey, s, err, sessionView)
}

func addSources(c *call) response    { return changeSources(c, c.State.AddSources) }
func removeSources(c *call) response { return changeSources(c, c.State.RemoveSources) }

func changeSources(c *call, change func(project, id string, ports []string) (state.Session, error)) response {
	b := decodeBody(c.body, sessionKey)
	ports := b.texts("traffic_mirror_sources")
	if b.err != nil {
		return refusal(b.err)
	}
	if ports == nil {
		return refusal(badField("traffic_mirror_sources", "the field is required"))
	}
	s, err := change(c.project, c.params["id"], *ports)
	return result(http.StatusOK, sessionKey, s, err, sessionView)
}

func deleteSession(c *call) response { return gone(c.State.DeleteSession(c.project, c.params["id"])) }

// showQuota returns limits only, never what is used.
func showQuota(c *call) response {
	return ok("quota", c.world().Quotas.ByName())
}

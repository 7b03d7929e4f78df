package api

import (
	"net/http"
	"strconv"

	"vpcmirror.io/operator/test/cloudsim/state"
)

func groupView(g state.SecurityGroup) map[string]any {
	return map[string]any{
		"id": g.ID, "name": g.Name, "description": g.Description, "project_id": g.ProjectID, "enterprise_project_id": "0",
		"tags": []any{}, "created_at": stamp(g.CreatedAt), "updated_at": stamp(g.UpdatedAt),
	}
}

// groupRuleView lacks "enabled" where the region is older than that field (quirk rules-without-enabled).
func groupRuleView(w *state.World) func(state.GroupRule) any {
	return func(r state.GroupRule) any {
		view := map[string]any{
			"id": r.ID, "project_id": r.ProjectID, "security_group_id": r.GroupID, "description": r.Description, "direction": r.Direction,
			"ethertype": r.EtherType, "protocol": orNull(r.Protocol), "multiport": orNull(r.Multiport), "action": r.Action,
			"priority": r.Priority, "remote_ip_prefix": orNull(r.RemotePrefix), "remote_group_id": orNull(r.RemoteGroup),
			"remote_address_group_id": orNull(r.RemoteAddressGroup), "created_at": stamp(r.CreatedAt), "updated_at": stamp(r.UpdatedAt),
		}
		if !w.Quirks.RulesWithoutEnabled {
			view["enabled"] = r.Enabled
		}
		return view
	}
}

func listGroups(c *call) response {
	return listing[state.SecurityGroup]{
		plural: "security_groups",
		id:     func(g state.SecurityGroup) string { return g.ID },
		fields: map[string]func(state.SecurityGroup) []string{
			"id":          one(func(g state.SecurityGroup) string { return g.ID }),
			"name":        one(func(g state.SecurityGroup) string { return g.Name }),
			"description": one(func(g state.SecurityGroup) string { return g.Description }),
		},
		view: func(g state.SecurityGroup) any { return groupView(g) },
	}.serve(c, mine(c.world().Groups, c.project, func(g state.SecurityGroup) string { return g.ProjectID }))
}

func showGroup(c *call) response {
	w := c.world()
	g, err := w.Group(c.project, c.params["id"])
	return result(http.StatusOK, "security_group", g, err, groupWithRules(w))
}

func listGroupRules(c *call) response {
	w := c.world()
	return listing[state.GroupRule]{
		plural: "security_group_rules",
		id:     func(r state.GroupRule) string { return r.ID },
		fields: map[string]func(state.GroupRule) []string{
			"id":                      one(func(r state.GroupRule) string { return r.ID }),
			"security_group_id":       one(func(r state.GroupRule) string { return r.GroupID }),
			"protocol":                one(func(r state.GroupRule) string { return r.Protocol }),
			"description":             one(func(r state.GroupRule) string { return r.Description }),
			"remote_group_id":         one(func(r state.GroupRule) string { return r.RemoteGroup }),
			"remote_address_group_id": one(func(r state.GroupRule) string { return r.RemoteAddressGroup }),
			"remote_ip_prefix":        one(func(r state.GroupRule) string { return r.RemotePrefix }),
			"direction":               one(func(r state.GroupRule) string { return r.Direction }),
			"action":                  one(func(r state.GroupRule) string { return r.Action }),
			"ethertype":               one(func(r state.GroupRule) string { return r.EtherType }),
			"priority":                one(func(r state.GroupRule) string { return strconv.Itoa(r.Priority) }),
			"enabled":                 one(func(r state.GroupRule) string { return strconv.FormatBool(r.Enabled) }),
		},
		view: groupRuleView(w),
	}.serve(c, mine(w.GroupRules, c.project, func(r state.GroupRule) string { return r.ProjectID }))
}

func showGroupRule(c *call) response {
	w := c.world()
	r, err := w.GroupRule(c.project, c.params["id"])
	return result(http.StatusOK, "security_group_rule", r, err, groupRuleView(w))
}

func groupBody(c *call) (state.GroupInput, error) {
	b := decodeBody(c.body, "security_group")
	return state.GroupInput{Name: b.text("name"), Description: b.text("description")}, b.err
}

// groupWithRules is the view of one group; a list shows groups without their rules.
func groupWithRules(w *state.World) func(state.SecurityGroup) any {
	return func(g state.SecurityGroup) any {
		rules := []any{}
		for _, r := range w.RulesOfGroup(g.ID) {
			rules = append(rules, groupRuleView(w)(r))
		}
		view := groupView(g)
		view["security_group_rules"] = rules
		return view
	}
}

func createGroup(c *call) response {
	in, err := groupBody(c)
	if err != nil {
		return refusal(err)
	}
	g, err := c.State.CreateGroup(c.project, in)
	return result(http.StatusCreated, "security_group", g, err, groupWithRules(c.State.Snapshot()))
}

func updateGroup(c *call) response {
	in, err := groupBody(c)
	if err != nil {
		return refusal(err)
	}
	g, err := c.State.UpdateGroup(c.project, c.params["id"], in)
	return result(http.StatusOK, "security_group", g, err, groupWithRules(c.State.Snapshot()))
}

func deleteGroup(c *call) response { return gone(c.State.DeleteGroup(c.project, c.params["id"])) }

func groupRuleBody(b *body) state.GroupRuleInput {
	return state.GroupRuleInput{
		GroupID: b.text("security_group_id"), Description: b.text("description"), Direction: b.text("direction"),
		EtherType: b.text("ethertype"), Protocol: b.text("protocol"), Multiport: b.text("multiport"),
		RemotePrefix: b.text("remote_ip_prefix"), RemoteGroup: b.text("remote_group_id"),
		RemoteAddressGroup: b.text("remote_address_group_id"), Action: b.text("action"),
		Priority: b.number("priority"), Enabled: b.boolean("enabled"),
	}
}

func createGroupRule(c *call) response {
	b := decodeBody(c.body, "security_group_rule")
	in := groupRuleBody(b)
	if b.err != nil {
		return refusal(b.err)
	}
	r, err := c.State.CreateGroupRule(c.project, in)
	return result(http.StatusCreated, "security_group_rule", r, err, groupRuleView(c.State.Snapshot()))
}

func createGroupRules(c *call) response {
	b := decodeFields(c.body)
	var all []state.GroupRuleInput
	for _, o := range b.objects("security_group_rules") {
		all = append(all, groupRuleBody(o))
		if o.err != nil {
			b.fail(o.err)
		}
	}
	ignore := b.boolean("ignore_duplicate")
	if b.err == nil && len(all) == 0 {
		b.fail(badField("security_group_rules", "at least one rule is required"))
	}
	if b.err != nil {
		return refusal(b.err)
	}
	rules, err := c.State.CreateGroupRules(c.project, c.params["id"], all, ignore != nil && *ignore)
	return result(http.StatusCreated, "security_group_rules", rules, err, func(rules []state.GroupRule) any {
		views := []any{}
		for _, r := range rules {
			views = append(views, groupRuleView(c.State.Snapshot())(r))
		}
		return views
	})
}

func deleteGroupRule(c *call) response {
	return gone(c.State.DeleteGroupRule(c.project, c.params["id"]))
}

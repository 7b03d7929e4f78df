package api

import (
	"net/http"
	"strconv"

	"vpcmirror.io/operator/test/cloudsim/state"
)

const firewallKey = "firewall"

// firewallStatus follows the service that OpenStack's firewalls are: INACTIVE without a subnet, DOWN when it is off.
func firewallStatus(f state.Firewall) string {
	switch {
	case f.Off:
		return "DOWN"
	case len(f.Subnets) == 0:
		return "INACTIVE"
	}
	return "ACTIVE"
}

// firewallInList lacks the rules: the list does not show them.
func firewallInList(f state.Firewall) map[string]any {
	associations := []any{}
	for _, id := range f.Subnets {
		associations = append(associations, map[string]any{"virsubnet_id": id})
	}
	return map[string]any{
		"id": f.ID, "name": f.Name, "description": f.Description, "project_id": f.ProjectID, "admin_state_up": !f.Off,
		"status": firewallStatus(f), "enterprise_project_id": "0", "tags": []any{}, "associations": associations, "type": "normal",
		"created_at": stamp(f.CreatedAt), "updated_at": stamp(f.UpdatedAt),
	}
}

func firewallView(f state.Firewall) any {
	view := firewallInList(f)
	view["ingress_rules"], view["egress_rules"] = firewallRuleViews(f, f.Ingress), firewallRuleViews(f, f.Egress)
	return view
}

func firewallRuleViews(f state.Firewall, rules []state.FirewallRule) []any {
	views := []any{}
	for _, r := range rules {
		views = append(views, map[string]any{
			"id": r.ID, "name": r.Name, "description": r.Description, "action": r.Action, "project_id": f.ProjectID,
			"protocol": r.Protocol, "ip_version": r.IPVersion, "enabled": r.Enabled,
			"source_ip_address": orNull(r.SourceAddress), "destination_ip_address": orNull(r.DestinationAddress),
			"source_port": orNull(r.SourcePort), "destination_port": orNull(r.DestinationPort),
			"source_address_group_id": orNull(r.SourceGroup), "destination_address_group_id": orNull(r.DestinationGroup),
		})
	}
	return views
}

func listFirewalls(c *call) response {
	return listing[state.Firewall]{
		plural: "firewalls",
		id:     func(f state.Firewall) string { return f.ID },
		fields: map[string]func(state.Firewall) []string{
			"id":             one(func(f state.Firewall) string { return f.ID }),
			"name":           one(func(f state.Firewall) string { return f.Name }),
			"status":         one(firewallStatus),
			"admin_state_up": one(func(f state.Firewall) string { return strconv.FormatBool(!f.Off) }),
		},
		view: func(f state.Firewall) any { return firewallInList(f) },
	}.serve(c, mine(c.world().Firewalls, c.project, func(f state.Firewall) string { return f.ProjectID }))
}

func showFirewall(c *call) response {
	f, err := c.world().Firewall(c.project, c.params["id"])
	return result(http.StatusOK, firewallKey, f, err, firewallView)
}

func firewallBody(c *call) (state.FirewallInput, error) {
	b := decodeBody(c.body, firewallKey)
	return state.FirewallInput{Name: b.text("name"), Description: b.text("description"), Up: b.boolean("admin_state_up")}, b.err
}

func createFirewall(c *call) response {
	in, err := firewallBody(c)
	if err != nil {
		return refusal(err)
	}
	f, err := c.State.CreateFirewall(c.project, in)
	return result(http.StatusCreated, firewallKey, f, err, firewallView)
}

func updateFirewall(c *call) response {
	in, err := firewallBody(c)
	if err != nil {
		return refusal(err)
	}
	f, err := c.State.UpdateFirewall(c.project, c.params["id"], in)
	return result(http.StatusOK, firewallKey, f, err, firewallView)
}

func deleteFirewall(c *call) response { return gone(c.State.DeleteFirewall(c.project, c.params["id"])) }

// firewallRules reads the rules of a direction.
func firewallRules(b *body, direction string) []state.FirewallRuleInput {
	var out []state.FirewallRuleInput
	for _, o := range b.objects(direction + "_rules") {
		out = append(out, state.FirewallRuleInput{
			ID: o.text("id"), Name: o.text("name"), Description: o.text("description"), Action: o.text("action"), Protocol: o.text("protocol"),
			IPVersion: o.number("ip_version"), SourceAddress: o.text("source_ip_address"), DestinationAddress: o.text("destination_ip_address"),
			SourcePort: o.text("source_port"), DestinationPort: o.text("destination_port"),
			SourceGroup: o.text("source_address_group_id"), DestinationGroup: o.text("destination_address_group_id"),
			Enabled: o.boolean("enabled"),
		})
		if o.err != nil {
			b.fail(o.err)
		}
	}
	return out
}

func insertFirewallRules(c *call) response {
	b := decodeBody(c.body, firewallKey)
	ingress, egress := firewallRules(b, state.Ingress), firewallRules(b, state.Egress)
	after := valueOf(b.text("insert_after_rule"))
	if b.err != nil {
		return refusal(b.err)
	}
	f, err := c.State.InsertFirewallRules(c.project, c.params["id"], ingress, egress, after)
	return result(http.StatusOK, firewallKey, f, err, firewallView)
}

// oneDirection gives the only direction of which the body has rules: the calls that change and remove rules take one.
func oneDirection(b *body) (direction string, rules []state.FirewallRuleInput) {
	ingress, egress := firewallRules(b, state.Ingress), firewallRules(b, state.Egress)
	switch {
	case len(ingress) > 0 && len(egress) > 0:
		b.fail(badField("ingress_rules", "it excludes egress_rules"))
	case len(ingress)+len(egress) == 0:
		b.fail(badField("ingress_rules", "ingress_rules or egress_rules is required"))
	case len(ingress) > 0:
		return state.Ingress, ingress
	}
	return state.Egress, egress
}

func updateFirewallRules(c *call) response {
	b := decodeBody(c.body, firewallKey)
	direction, rules := oneDirection(b)
	if len(rules) > 1 {
		b.fail(badField(direction+"_rules", "only one rule can be updated at a time"))
	}
	if b.err != nil {
		return refusal(b.err)
	}
	f, err := c.State.UpdateFirewallRule(c.project, c.params["id"], direction, rules[0])
	return result(http.StatusOK, firewallKey, f, err, firewallView)
}

func removeFirewallRules(c *call) response {
	b := decodeBody(c.body, firewallKey)
	direction, rules := oneDirection(b)
	if b.err != nil {
		return refusal(b.err)
	}
	ids := []string{}
	for _, r := range rules {
		ids = append(ids, valueOf(r.ID))
	}
	f, err := c.State.RemoveFirewallRules(c.project, c.params["id"], direction, ids)
	return result(http.StatusOK, firewallKey, f, err, firewallView)
}

func associateSubnets(c *call) response { return changeSubnets(c, c.State.AssociateSubnets) }
func disassociateSubnets(c *call) response {
	return changeSubnets(c, c.State.DisassociateSubnets)
}

func changeSubnets(c *call, change func(project, id string, subnets []string) (state.Firewall, error)) response {
	b := decodeFields(c.body)
	subnets := []string{}
	for _, o := range b.objects("subnets") {
		subnets = append(subnets, valueOf(o.text("virsubnet_id")))
	}
	if b.err != nil {
		return refusal(b.err)
	}
	f, err := change(c.project, c.params["id"], subnets)
	return result(http.StatusOK, firewallKey, f, err, firewallView)
}

package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"vpcmirror.io/operator/test/cloudsim/state"
)

// zone is where all servers stand.
func zone(w *state.World) string { return w.Region + "a" }

func portsOf(c *call) []state.Port {
	return mine(c.world().Ports, c.project, func(p state.Port) string { return p.ProjectID })
}

func portView(w *state.World) func(state.Port) any {
	return func(p state.Port) any {
		ips := make([]any, 0, len(p.Addresses))
		for _, a := range p.Addresses {
			ips = append(ips, map[string]any{"subnet_cidr_id": p.SubnetID, "ip_address": a.String()})
		}
		return map[string]any{
			"id": p.ID, "name": p.Name, "description": "", "project_id": p.ProjectID, "tenant_id": p.ProjectID,
			"mac_address": p.MAC, "private_ips": ips, "virsubnet_id": p.SubnetID, "vpc_id": p.VPCID, "vpc_tenant_id": p.ProjectID,
			"device_id": p.ServerID, "device_owner": deviceOwner(w, p), "ecs_flavor": p.Flavor, "instance_id": "", "instance_type": "",
			"security_groups": nonNil(p.SecurityGroups), "status": p.Status, "admin_state_up": true, "port_security_enabled": true,
			"binding:vif_details": map[string]any{"primary_interface": p.Primary}, "binding:vif_type": "ovs",
			"binding:vnic_type": "normal", "binding:host_id": "", "binding:profile": map[string]any{}, "zone_id": zone(w),
			"enable_efi": false, "scope": "center", "allowed_address_pairs": []any{}, "extra_dhcp_opts": []any{}, "tags": []any{},
			"created_at": stamp(p.CreatedAt), "updated_at": stamp(p.UpdatedAt),
		}
	}
}

func deviceOwner(w *state.World, p state.Port) string {
	if p.ServerID == "" {
		return ""
	}
	return "compute:" + zone(w)
}

func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// addressKeys are the spellings in which a query may name an address of a port.
func addressKeys(addresses []netip.Addr) []string {
	var out []string
	for _, a := range addresses {
		out = append(out, "ip_address="+a.String(), a.String())
	}
	return out
}

func portFields(w *state.World) map[string]func(state.Port) []string {
	return map[string]func(state.Port) []string{
		"id":              one(func(p state.Port) string { return p.ID }),
		"name":            one(func(p state.Port) string { return p.Name }),
		"admin_state_up":  one(func(state.Port) string { return "true" }),
		"status":          one(func(p state.Port) string { return p.Status }),
		"virsubnet_id":    one(func(p state.Port) string { return p.SubnetID }),
		"network_id":      one(func(p state.Port) string { return p.SubnetID }), // the v1 name
		"device_id":       one(func(p state.Port) string { return p.ServerID }),
		"device_owner":    one(func(p state.Port) string { return deviceOwner(w, p) }),
		"mac_address":     one(func(p state.Port) string { return p.MAC }),
		"vpc_id":          one(func(p state.Port) string { return p.VPCID }),
		"security_groups": func(p state.Port) []string { return p.SecurityGroups },
		"private_ips":     func(p state.Port) []string { return addressKeys(p.Addresses) },
		"fixed_ips":       func(p state.Port) []string { return addressKeys(p.Addresses) }, // the v1 name
	}
}

func listPorts(c *call) response {
	w := c.world()
	ports := portsOf(c)
	if prefix := c.r.URL.Query().Get("device_owner_prefixlike"); prefix != "" {
		ports = slices.DeleteFunc(ports, func(p state.Port) bool { return !strings.HasPrefix(deviceOwner(w, p), prefix) })
	}
	fields := portFields(w)
	delete(fields, "network_id")
	delete(fields, "fixed_ips")
	return listing[state.Port]{plural: "ports", id: portID, fields: fields, view: portView(w), whole: true}.serve(c, ports)
}

func portID(p state.Port) string { return p.ID }

func showPort(c *call) response {
	w := c.world()
	p, err := w.Port(c.project, c.params["id"])
	return result(http.StatusOK, "port", p, err, portView(w))
}

// portViewV1 lacks the VPC and the flavor.
func portViewV1(w *state.World) func(state.Port) any {
	return func(p state.Port) any {
		ips := make([]any, 0, len(p.Addresses))
		for _, a := range p.Addresses {
			ips = append(ips, map[string]any{"subnet_id": p.SubnetID, "ip_address": a.String()})
		}
		return map[string]any{
			"id": p.ID, "name": p.Name, "network_id": p.SubnetID, "admin_state_up": true, "mac_address": p.MAC, "fixed_ips": ips,
			"device_id": p.ServerID, "device_owner": deviceOwner(w, p), "tenant_id": p.ProjectID, "status": p.Status,
			"security_groups": nonNil(p.SecurityGroups), "allowed_address_pairs": []any{}, "extra_dhcp_opts": []any{},
			"binding:vnic_type": "normal", "binding:vif_details": map[string]any{"primary_interface": p.Primary},
			"binding:profile": map[string]any{}, "dns_assignment": []any{}, "dns_name": "", "instance_id": "", "instance_type": "",
			"port_security_enabled": true, "zone_id": zone(w), "enable_efi": false, "ipv6_bandwidth_id": "",
		}
	}
}

func listPortsV1(c *call) response {
	w := c.world()
	fields := portFields(w)
	for _, key := range []string{"virsubnet_id", "vpc_id", "private_ips"} {
		delete(fields, key)
	}
	return listing[state.Port]{plural: "ports", id: portID, fields: fields, view: portViewV1(w), whole: true, bare: true}.serve(c, portsOf(c))
}

func showPortV1(c *call) response {
	w := c.world()
	p, err := w.Port(c.project, c.params["id"])
	return result(http.StatusOK, "port", p, err, portViewV1(w))
}

func groupView(g state.SecurityGroup) map[string]any {
	return map[string]any{
		"id": g.ID, "name": g.Name, "description": g.Description, "project_id": g.ProjectID, "enterprise_project_id": "0",
		"tags": []any{}, "created_at": stamp(g.CreatedAt), "updated_at": stamp(g.UpdatedAt),
	}
}

func groupRuleView(r state.GroupRule) any {
	return map[string]any{
		"id": r.ID, "project_id": r.ProjectID, "security_group_id": r.GroupID, "description": r.Description, "direction": r.Direction,
		"ethertype": r.EtherType, "protocol": orNull(r.Protocol), "multiport": orNull(r.Multiport), "action": r.Action,
		"priority": r.Priority, "remote_ip_prefix": orNull(r.RemotePrefix), "remote_group_id": orNull(r.RemoteGroup),
		"remote_address_group_id": nil, "enabled": r.Enabled, "created_at": stamp(r.CreatedAt), "updated_at": stamp(r.UpdatedAt),
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
	return result(http.StatusOK, "security_group", g, err, func(g state.SecurityGroup) any {
		rules := []any{}
		for _, r := range w.RulesOfGroup(g.ID) {
			rules = append(rules, groupRuleView(r))
		}
		view := groupView(g)
		view["security_group_rules"] = rules
		return view
	})
}

func listGroupRules(c *call) response {
	return listing[state.GroupRule]{
		plural: "security_group_rules",
		id:     func(r state.GroupRule) string { return r.ID },
		fields: map[string]func(state.GroupRule) []string{
			"id":                one(func(r state.GroupRule) string { return r.ID }),
			"security_group_id": one(func(r state.GroupRule) string { return r.GroupID }),
			"protocol":          one(func(r state.GroupRule) string { return r.Protocol }),
			"description":       one(func(r state.GroupRule) string { return r.Description }),
			"remote_group_id":   one(func(r state.GroupRule) string { return r.RemoteGroup }),
			"remote_ip_prefix":  one(func(r state.GroupRule) string { return r.RemotePrefix }),
			"direction":         one(func(r state.GroupRule) string { return r.Direction }),
			"action":            one(func(r state.GroupRule) string { return r.Action }),
			"ethertype":         one(func(r state.GroupRule) string { return r.EtherType }),
			"priority":          one(func(r state.GroupRule) string { return strconv.Itoa(r.Priority) }),
			"enabled":           one(func(r state.GroupRule) string { return strconv.FormatBool(r.Enabled) }),
		},
		view: groupRuleView,
	}.serve(c, mine(c.world().GroupRules, c.project, func(r state.GroupRule) string { return r.ProjectID }))
}

func showGroupRule(c *call) response {
	r, err := c.world().GroupRule(c.project, c.params["id"])
	return result(http.StatusOK, "security_group_rule", r, err, groupRuleView)
}

func createGroupRule(c *call) response {
	b := decodeBody(c.body, "security_group_rule")
	in := state.GroupRuleInput{
		GroupID: b.text("security_group_id"), Description: b.text("description"), Direction: b.text("direction"),
		EtherType: b.text("ethertype"), Protocol: b.text("protocol"), Multiport: b.text("multiport"),
		RemotePrefix: b.text("remote_ip_prefix"), RemoteGroup: b.text("remote_group_id"), Action: b.text("action"),
		Priority: b.number("priority"), Enabled: b.boolean("enabled"),
	}
	if b.err != nil {
		return refusal(b.err)
	}
	r, err := c.State.CreateGroupRule(c.project, in)
	return result(http.StatusCreated, "security_group_rule", r, err, groupRuleView)
}

func deleteGroupRule(c *call) response {
	return gone(c.State.DeleteGroupRule(c.project, c.params["id"]))
}

// listFirewalls is always empty: no subnet of the simulated cloud has a network ACL.
func listFirewalls(*call) response {
	return response{status: http.StatusOK, body: map[string]any{"firewalls": []any{}, "page_info": map[string]any{"current_count": 0}}}
}

func showFirewall(c *call) response {
	return *gatewayError(http.StatusNotFound, "VPC.9904", "Firewall "+c.params["id"]+" could not be found.")
}

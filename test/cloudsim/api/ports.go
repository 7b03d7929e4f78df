package api

import (
	"net/http"
	"net/netip"
	"slices"
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
			"security_groups": nonNil(p.SecurityGroups), "status": p.Status, "admin_state_up": true, "port_security_enabled": !p.Unsecured,
			"binding:vif_details": map[string]any{"primary_interface": p.Primary}, "binding:vif_type": "ovs",
			"binding:vnic_type": "normal", "binding:host_id": "", "binding:profile": map[string]any{}, "zone_id": zone(w),
			"enable_efi": false, "scope": "center", "allowed_address_pairs": pairViews(p), "extra_dhcp_opts": []any{}, "tags": []any{},
			"created_at": stamp(p.CreatedAt), "updated_at": stamp(p.UpdatedAt),
		}
	}
}

func pairViews(p state.Port) []any {
	views := []any{}
	for _, pair := range p.AllowedPairs {
		view := map[string]any{"ip_address": pair.Address}
		if pair.MAC != "" {
			view["mac_address"] = pair.MAC
		}
		views = append(views, view)
	}
	return views
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
			"security_groups": nonNil(p.SecurityGroups), "allowed_address_pairs": pairViews(p), "extra_dhcp_opts": []any{},
			"binding:vnic_type": "normal", "binding:vif_details": map[string]any{"primary_interface": p.Primary},
			"binding:profile": map[string]any{}, "dns_assignment": []any{}, "dns_name": "", "instance_id": "", "instance_type": "",
			"port_security_enabled": !p.Unsecured, "zone_id": zone(w), "enable_efi": false, "ipv6_bandwidth_id": "",
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

// portBody reads a port of the v1 calls.
func portBody(b *body) state.PortInput {
	in := state.PortInput{Name: b.text("name"), SecurityGroups: b.texts("security_groups"), SubnetID: b.text("network_id")}
	for _, ip := range b.objects("fixed_ips") {
		if a := ip.text("ip_address"); a != nil {
			list := append(valueOf(in.Addresses), *a)
			in.Addresses = &list
		}
		if ip.err != nil {
			b.fail(ip.err)
		}
	}
	return in
}

func valueOf[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func createPortV1(c *call) response {
	b := decodeBody(c.body, "port")
	in := portBody(b)
	if b.err != nil {
		return refusal(b.err)
	}
	p, err := c.State.CreatePort(c.project, in)
	return result(http.StatusOK, "port", p, err, portViewV1(c.State.Snapshot()))
}

func updatePortV1(c *call) response {
	b := decodeBody(c.body, "port")
	in := state.PortInput{Name: b.text("name"), SecurityGroups: b.texts("security_groups")}
	if pairs := b.objects("allowed_address_pairs"); pairs != nil {
		in.AllowedPairs = &[]state.AddressPair{}
		for _, o := range pairs {
			*in.AllowedPairs = append(*in.AllowedPairs, state.AddressPair{Address: valueOf(o.text("ip_address")), MAC: valueOf(o.text("mac_address"))})
		}
	}
	if b.err != nil {
		return refusal(b.err)
	}
	p, err := c.State.UpdatePort(c.project, c.params["id"], in)
	return result(http.StatusOK, "port", p, err, portViewV1(c.State.Snapshot()))
}

func deletePortV1(c *call) response { return gone(c.State.DeletePort(c.project, c.params["id"])) }

func insertGroups(c *call) response {
	b := decodeBody(c.body, "port")
	groups, index := b.texts("security_groups"), b.number("index")
	if b.err != nil {
		return refusal(b.err)
	}
	p, err := c.State.InsertGroups(c.project, c.params["id"], valueOf(groups), index)
	return result(http.StatusOK, "port", p, err, portView(c.State.Snapshot()))
}

func removeGroups(c *call) response {
	b := decodeBody(c.body, "port")
	groups := b.texts("security_groups")
	if b.err != nil {
		return refusal(b.err)
	}
	p, err := c.State.RemoveGroups(c.project, c.params["id"], valueOf(groups))
	return result(http.StatusOK, "port", p, err, portView(c.State.Snapshot()))
}

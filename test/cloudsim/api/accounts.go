package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"vpcmirror.io/operator/test/cloudsim/state"
)

// listProjects is IAM's, not VPC's: the answer carries links instead of page_info. An IAM user needs a right for it.
func listProjects(c *call) response {
	return projectsOf(c, c.r.URL.Query().Get("name"), "/v3/projects")
}

// listAuthProjects lists the projects that the key may use, for which no right is needed. It takes no query.
func listAuthProjects(c *call) response { return projectsOf(c, "", "/v3/auth/projects") }

func projectsOf(c *call, name, self string) response {
	world := c.State.Snapshot()
	projects := []any{}
	for _, id := range slices.Sorted(slices.Values(c.account.Projects)) {
		p := world.Projects[id]
		if name != "" && p.Name != name {
			continue
		}
		projects = append(projects, map[string]any{
			"id": p.ID, "name": p.Name, "domain_id": p.DomainID, "parent_id": p.DomainID, "is_domain": false, "enabled": true,
			"description": "", "links": map[string]any{"self": "/v3/projects/" + p.ID},
		})
	}
	return iamAnswer(c, map[string]any{"projects": projects, "links": links(self)})
}

func listDomains(c *call) response {
	domain := map[string]any{
		"id": c.account.DomainID, "name": c.account.Name, "enabled": true, "description": "",
		"links": map[string]any{"self": "/v3/domains/" + c.account.DomainID},
	}
	return iamAnswer(c, map[string]any{"domains": []any{domain}, "links": links("/v3/auth/domains")})
}

func links(self string) map[string]any {
	return map[string]any{"self": self, "next": nil, "previous": nil}
}

func iamAnswer(c *call, body map[string]any) response {
	return response{status: http.StatusOK, body: body, header: http.Header{"X-Iam-Trace-Id": {"token_" + c.requestID}}}
}

func flavorView(f state.Flavor) any {
	return map[string]any{
		"id": f.Name, "name": f.Name, "vcpus": strconv.Itoa(f.VCPUs), "ram": f.MemoryMiB, "disk": "0", "swap": "",
		"OS-FLV-EXT-DATA:ephemeral": 0, "OS-FLV-DISABLED:disabled": false, "rxtx_factor": 1.0, "rxtx_quota": nil, "rxtx_cap": nil,
		"os-flavor-access:is_public": true, "links": []any{},
		"os_extra_specs": map[string]any{
			"ecs:performancetype": "normal", "network_interface:traffic_mirroring_supported": strconv.FormatBool(f.Mirroring),
		},
	}
}

// listFlavors shows the scenario's flavors, and those that its servers use beside them.
func listFlavors(c *call) response {
	w := c.world()
	flavors := map[string]state.Flavor{}
	for _, s := range w.Servers {
		flavors[s.Flavor] = state.Flavor{Name: s.Flavor, VCPUs: 2, MemoryMiB: 4096, Mirroring: w.FlavorMirrors(s.Flavor)}
	}
	for name, f := range w.Flavors {
		flavors[name] = f
	}
	return listing[state.Flavor]{
		plural: "flavors",
		id:     func(f state.Flavor) string { return f.Name },
		fields: map[string]func(state.Flavor) []string{"flavor_id": one(func(f state.Flavor) string { return f.Name })},
		view:   flavorView, whole: true, bare: true,
	}.serve(c, mine(flavors, "", func(state.Flavor) string { return "" }))
}

func serverOf(c *call, w *state.World) (state.Server, []state.Port, error) {
	s, ok := w.Servers[c.params["id"]]
	if !ok || s.ProjectID != c.project {
		return s, nil, &state.Error{Reason: state.Missing, Message: "Instance[" + c.params["id"] + "] could not be found."}
	}
	var ports []state.Port
	for _, p := range w.Ports {
		if p.ServerID == s.ID {
			ports = append(ports, p)
		}
	}
	slices.SortFunc(ports, func(a, b state.Port) int { return strings.Compare(a.ID, b.ID) })
	return s, ports, nil
}

// ecsRefusal bears the codes of the ECS service.
func ecsRefusal(err error) response {
	return *gatewayError(http.StatusNotFound, "Ecs.0114", err.Error())
}

func showServer(c *call) response {
	w := c.world()
	s, ports, err := serverOf(c, w)
	if err != nil {
		return ecsRefusal(err)
	}
	nics, addresses := []any{}, map[string][]any{}
	for _, p := range ports {
		nics = append(nics, map[string]any{"port_id": p.ID, "primary": p.Primary})
		for _, a := range p.Addresses {
			version := "6"
			if a.Is4() {
				version = "4"
			}
			addresses[p.VPCID] = append(addresses[p.VPCID], map[string]any{
				"version": version, "addr": a.String(), "OS-EXT-IPS-MAC:mac_addr": p.MAC, "OS-EXT-IPS:port_id": p.ID, "OS-EXT-IPS:type": "fixed",
			})
		}
	}
	return ok("server", map[string]any{
		"id": s.ID, "name": s.Name, "tenant_id": s.ProjectID, "status": "ACTIVE", "OS-EXT-AZ:availability_zone": zone(w),
		"flavor":    map[string]any{"id": s.Flavor, "name": s.Flavor},
		"addresses": addresses, "network_interfaces": nics,
	})
}

func listServerInterfaces(c *call) response {
	_, ports, err := serverOf(c, c.world())
	if err != nil {
		return ecsRefusal(err)
	}
	attachments := []any{}
	for _, p := range ports {
		ips := []any{}
		for _, a := range p.Addresses {
			ips = append(ips, map[string]any{"ip_address": a.String(), "subnet_id": p.SubnetID})
		}
		attachments = append(attachments, map[string]any{
			"port_id": p.ID, "port_state": p.Status, "mac_addr": p.MAC, "net_id": p.SubnetID, "fixed_ips": ips,
		})
	}
	return ok("interfaceAttachments", attachments)
}

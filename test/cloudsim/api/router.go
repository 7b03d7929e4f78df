package api

import (
	"net/http"
	"net/url"
	"strings"
)

type handler func(*call) response

// route is one published call. Path segments in braces are parameters.
type route struct {
	method    string
	segments  []string
	operation string
	handler   handler
	// byBody names the operation by the key of the request's body, where several share one path.
	byBody map[string]string
}

// named gives the operation that a request with this body asks for.
func (rt route) named(body []byte) string {
	if rt.byBody == nil {
		return rt.operation
	}
	for key := range decodeFields(body).fields {
		if name, ok := rt.byBody[key]; ok {
			return name
		}
	}
	return rt.operation
}

const (
	mirrorBase = "/v3/{project_id}/vpc"
	ecsBase    = "/v1/{project_id}/cloudservers"
)

// adder adds a published call; operations bear the SDK's names.
type adder func(method, path, operation string, h handler)

// routes lists every call that is published.
func routes() []route {
	var out []route
	add := func(method, path, operation string, h handler) {
		out = append(out, route{method: method, segments: strings.Split(strings.Trim(path, "/"), "/"), operation: operation, handler: h})
	}
	for _, of := range []func(adder){mirrorRoutes, portRoutes, groupRoutes, pathRoutes, serverRoutes, elbRoutes, identityRoutes, issuingRoutes} {
		of(add)
	}
	for i, r := range out {
		if r.operation == switchOperation {
			out[i].byBody = map[string]string{"os-stop": "BatchStopServers", "os-start": "BatchStartServers", "reboot": "BatchRebootServers"}
		}
	}
	return out
}

// switchOperation is the operation of the path that stops, starts and restarts servers, whatever the body says.
const switchOperation = "BatchSwitchServers"

func mirrorRoutes(add adder) {
	filters, rules, sessions := mirrorBase+"/traffic-mirror-filters", mirrorBase+"/traffic-mirror-filter-rules", mirrorBase+"/traffic-mirror-sessions"
	add(http.MethodPost, filters, "CreateTrafficMirrorFilter", createFilter)
	add(http.MethodGet, filters, "ListTrafficMirrorFilters", listFilters)
	add(http.MethodGet, filters+"/{id}", "ShowTrafficMirrorFilter", showFilter)
	add(http.MethodPut, filters+"/{id}", "UpdateTrafficMirrorFilter", updateFilter)
	add(http.MethodDelete, filters+"/{id}", "DeleteTrafficMirrorFilter", deleteFilter)

	add(http.MethodPost, rules, "CreateTrafficMirrorFilterRule", createRule)
	add(http.MethodGet, rules, "ListTrafficMirrorFilterRules", listRules)
	add(http.MethodGet, rules+"/{id}", "ShowTrafficMirrorFilterRule", showRule)
	add(http.MethodPut, rules+"/{id}", "UpdateTrafficMirrorFilterRule", updateRule)
	add(http.MethodDelete, rules+"/{id}", "DeleteTrafficMirrorFilterRule", deleteRule)

	add(http.MethodPost, sessions, "CreateTrafficMirrorSession", createSession)
	add(http.MethodGet, sessions, "ListTrafficMirrorSessions", listSessions)
	add(http.MethodGet, sessions+"/{id}", "ShowTrafficMirrorSession", showSession)
	add(http.MethodPut, sessions+"/{id}", "UpdateTrafficMirrorSession", updateSession)
	add(http.MethodPut, sessions+"/{id}/add-sources", "AddSourcesToTrafficMirrorSession", addSources)
	add(http.MethodPut, sessions+"/{id}/remove-sources", "RemoveSourcesFromTrafficMirrorSession", removeSources)
	add(http.MethodDelete, sessions+"/{id}", "DeleteTrafficMirrorSession", deleteSession)

	add(http.MethodGet, mirrorBase+"/quotas", "ShowQuota", showQuota)
}

func portRoutes(add adder) {
	add(http.MethodGet, "/v3/{project_id}/ports", "ListPorts", listPorts)
	add(http.MethodGet, "/v3/{project_id}/ports/{id}", "ShowPort", showPort)
	add(http.MethodGet, "/v1/{project_id}/ports", "ListPortsV1", listPortsV1)
	add(http.MethodGet, "/v1/{project_id}/ports/{id}", "ShowPortV1", showPortV1)
	add(http.MethodPost, "/v1/{project_id}/ports", "CreatePort", createPortV1)
	add(http.MethodPut, "/v1/{project_id}/ports/{id}", "UpdatePort", updatePortV1)
	add(http.MethodDelete, "/v1/{project_id}/ports/{id}", "DeletePort", deletePortV1)
	add(http.MethodPut, "/v3/{project_id}/ports/{id}/insert-security-groups", "AddSecurityGroups", dryable(insertGroups))
	add(http.MethodPut, "/v3/{project_id}/ports/{id}/remove-security-groups", "RemoveSecurityGroups", dryable(removeGroups))
}

func groupRoutes(add adder) {
	groups, groupRules := mirrorBase+"/security-groups", mirrorBase+"/security-group-rules"
	add(http.MethodGet, groups, "ListSecurityGroups", listGroups)
	add(http.MethodGet, groups+"/{id}", "ShowSecurityGroup", showGroup)
	add(http.MethodPost, groups, "CreateSecurityGroup", dryable(createGroup))
	add(http.MethodPut, groups+"/{id}", "UpdateSecurityGroup", dryable(updateGroup))
	add(http.MethodDelete, groups+"/{id}", "DeleteSecurityGroup", deleteGroup)
	add(http.MethodPost, groups+"/{id}/security-group-rules/batch-create", "BatchCreateSecurityGroupRules", dryable(createGroupRules))
	add(http.MethodPost, groupRules, "CreateSecurityGroupRule", dryable(createGroupRule))
	add(http.MethodGet, groupRules, "ListSecurityGroupRules", listGroupRules)
	add(http.MethodGet, groupRules+"/{id}", "ShowSecurityGroupRule", showGroupRule)
	add(http.MethodDelete, groupRules+"/{id}", "DeleteSecurityGroupRule", deleteGroupRule)

	addresses := mirrorBase + "/address-groups"
	add(http.MethodPost, addresses, "CreateAddressGroup", dryable(createAddressGroup))
	add(http.MethodGet, addresses, "ListAddressGroup", listAddressGroups)
	add(http.MethodGet, addresses+"/{id}", "ShowAddressGroup", showAddressGroup)
	add(http.MethodPut, addresses+"/{id}", "UpdateAddressGroup", dryable(updateAddressGroup))
	add(http.MethodDelete, addresses+"/{id}", "DeleteAddressGroup", deleteAddressGroup)
	add(http.MethodDelete, addresses+"/{id}/force", "DeleteIpAddressGroupForce", forceDeleteAddressGroup)

	acls := mirrorBase + "/firewalls"
	add(http.MethodPost, acls, "CreateFirewall", dryable(createFirewall))
	add(http.MethodGet, acls, "ListFirewall", listFirewalls)
	add(http.MethodGet, acls+"/{id}", "ShowFirewall", showFirewall)
	add(http.MethodPut, acls+"/{id}", "UpdateFirewall", dryable(updateFirewall))
	add(http.MethodDelete, acls+"/{id}", "DeleteFirewall", deleteFirewall)
	add(http.MethodPut, acls+"/{id}/insert-rules", "AddFirewallRules", dryable(insertFirewallRules))
	add(http.MethodPut, acls+"/{id}/update-rules", "UpdateFirewallRules", dryable(updateFirewallRules))
	add(http.MethodPut, acls+"/{id}/remove-rules", "RemoveFirewallRules", dryable(removeFirewallRules))
	add(http.MethodPut, acls+"/{id}/associate-subnets", "AssociateSubnetFirewall", dryable(associateSubnets))
	add(http.MethodPut, acls+"/{id}/disassociate-subnets", "DisassociateSubnetFirewall", dryable(disassociateSubnets))
}

// pathRoutes are those of VPCs, subnets, peerings, whose paths name no project, and route tables.
func pathRoutes(add adder) {
	add(http.MethodGet, mirrorBase+"/vpcs", "ListVpcs", listVPCs)
	add(http.MethodGet, mirrorBase+"/vpcs/{id}", "ShowVpc", showVPC)
	add(http.MethodGet, "/v1/{project_id}/subnets", "ListSubnets", listSubnets)
	add(http.MethodGet, "/v1/{project_id}/subnets/{id}", "ShowSubnet", showSubnet)

	const peerings, tables = "/v2.0/vpc/peerings", "/v1/{project_id}/routetables"
	add(http.MethodPost, peerings, "CreateVpcPeering", createPeering)
	add(http.MethodGet, peerings, "ListVpcPeerings", listPeerings)
	add(http.MethodGet, peerings+"/{id}", "ShowVpcPeering", showPeering)
	add(http.MethodPut, peerings+"/{id}", "UpdateVpcPeering", updatePeering)
	add(http.MethodPut, peerings+"/{id}/accept", "AcceptVpcPeering", acceptPeering)
	add(http.MethodPut, peerings+"/{id}/reject", "RejectVpcPeering", rejectPeering)
	add(http.MethodDelete, peerings+"/{id}", "DeleteVpcPeering", deletePeering)

	add(http.MethodPost, tables, "CreateRouteTable", createRouteTable)
	add(http.MethodGet, tables, "ListRouteTables", listRouteTables)
	add(http.MethodGet, tables+"/{id}", "ShowRouteTable", showRouteTable)
	add(http.MethodPut, tables+"/{id}", "UpdateRouteTable", updateRouteTable)
	add(http.MethodDelete, tables+"/{id}", "DeleteRouteTable", deleteRouteTable)
	add(http.MethodPost, tables+"/{id}/action", "AssociateRouteTable", moveSubnets)
}

func serverRoutes(add adder) {
	add(http.MethodGet, ecsBase+"/flavors", "ListFlavors", listFlavors)
	add(http.MethodGet, ecsBase+"/detail", "ListServersDetails", listServers)
	add(http.MethodPost, ecsBase+"/action", switchOperation, switchServers)
	add(http.MethodPost, ecsBase+"/delete", "DeleteServers", deleteServers)
	add(http.MethodGet, ecsBase+"/{id}", "ShowServer", showServer)
	add(http.MethodPost, ecsBase+"/{id}/nics", "BatchAddServerNics", addServerPorts)
	add(http.MethodPost, ecsBase+"/{id}/nics/delete", "BatchDeleteServerNics", deleteServerPorts)
	add(http.MethodGet, "/v1/{project_id}/jobs/{id}", "ShowJob", showJob)
	add(http.MethodGet, ecsBase+"/{id}/os-interface", "ListServerInterfaces", listServerInterfaces)
}

func identityRoutes(add adder) {
	add(http.MethodGet, "/v3/projects", "KeystoneListProjects", listProjects)
	add(http.MethodGet, "/v3/auth/projects", "KeystoneListAuthProjects", listAuthProjects)
	add(http.MethodGet, "/v3/auth/domains", "KeystoneListAuthDomains", listDomains)
}

// dryable is a call that only checks the request when its body says dry_run, and answers 202 when nothing is wrong with it.
func dryable(h handler) handler {
	return func(c *call) response {
		if dry := decodeFields(c.body).boolean("dry_run"); dry == nil || !*dry {
			return h(c)
		}
		trial, _ := c.State.Trial()
		tried := *c
		tried.State = trial
		if answer := h(&tried); answer.status >= http.StatusMultipleChoices {
			return answer
		}
		return response{status: http.StatusAccepted, body: map[string]any{}}
	}
}

// find looks the request's method and path up. Where several routes fit, the one listed first wins.
func (c *call) find() (route, bool) {
	segments := strings.Split(strings.Trim(c.r.URL.EscapedPath(), "/"), "/")
	for _, rt := range c.routes {
		if rt.method != c.r.Method {
			continue
		}
		if params, ok := rt.match(segments); ok {
			c.params = params
			return rt, true
		}
	}
	return route{}, false
}

func (rt route) match(segments []string) (map[string]string, bool) {
	if len(segments) != len(rt.segments) {
		return nil, false
	}
	params := map[string]string{}
	for i, pattern := range rt.segments {
		name, isParam := strings.CutPrefix(pattern, "{")
		if !isParam {
			if pattern != segments[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(segments[i])
		if err != nil || value == "" {
			return nil, false
		}
		params[strings.TrimSuffix(name, "}")] = value
	}
	return params, true
}

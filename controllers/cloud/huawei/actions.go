package huawei

import "regexp"

// actions are the rights that the calls need, in the words of custom policies. Identity policies
// spell some otherwise, such as vpc:ports:list.
var actions = map[string]string{
	"ListTrafficMirrorFilters":              "vpc:trafficMirrorFilters:list",
	"ShowTrafficMirrorFilter":               "vpc:trafficMirrorFilters:get",
	"CreateTrafficMirrorFilter":             "vpc:trafficMirrorFilters:create",
	"UpdateTrafficMirrorFilter":             "vpc:trafficMirrorFilters:update",
	"DeleteTrafficMirrorFilter":             "vpc:trafficMirrorFilters:delete",
	"CreateTrafficMirrorFilterRule":         "vpc:trafficMirrorFilterRules:create",
	"UpdateTrafficMirrorFilterRule":         "vpc:trafficMirrorFilterRules:update",
	"DeleteTrafficMirrorFilterRule":         "vpc:trafficMirrorFilterRules:delete",
	"ListTrafficMirrorSessions":             "vpc:trafficMirrorSessions:list",
	"ShowTrafficMirrorSession":              "vpc:trafficMirrorSessions:get",
	"CreateTrafficMirrorSession":            "vpc:trafficMirrorSessions:create",
	"UpdateTrafficMirrorSession":            "vpc:trafficMirrorSessions:update",
	"DeleteTrafficMirrorSession":            "vpc:trafficMirrorSessions:delete",
	"AddSourcesToTrafficMirrorSession":      "vpc:trafficMirrorSessions:addSource",
	"RemoveSourcesFromTrafficMirrorSession": "vpc:trafficMirrorSessions:removeSource",
	"ListPorts":                             "vpc:ports:get",
	"ShowPort":                              "vpc:ports:get",
	"ShowQuota":                             "vpc:quotas:list",

	"ListSecurityGroups":     "vpc:securityGroups:list",
	"ListSecurityGroupRules": "vpc:securityGroupRules:list",
	"ListAddressGroup":       "vpc:addressGroups:list",
	"ListFirewall":           "vpc:firewalls:list",
	"ShowFirewall":           "vpc:firewalls:get",
	"ListVpcPeerings":        "vpc:peerings:get",
	"ListRouteTables":        "vpc:routeTables:list",
	"ShowRouteTable":         "vpc:routeTables:get",
	"ListServersDetails":     "ecs:cloudServers:list",
	"ListFlavors":            "ecs:cloudServerFlavors:get",
	"ShowLoadBalancer":       "elb:loadbalancers:get",
	"ListListeners":          "elb:listeners:list",
	"ShowPool":               "elb:pools:get",
	"ListMembers":            "elb:members:list",
}

// actionInText is a right in a sentence of the cloud.
var actionInText = regexp.MustCompile(`\b(vpc|ecs|elb):[A-Za-z]{1,64}:[A-Za-z]{1,64}\b`)

// actionFor is the right that a refused call needs: what the cloud's sentence names, which knows
// the policies that are in force, else what its documents name.
func actionFor(op, sentence string) string {
	if named := actionInText.FindString(sentence); named != "" {
		return named
	}
	return actions[op]
}

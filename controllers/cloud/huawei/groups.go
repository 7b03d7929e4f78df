package huawei

import (
	"context"
	"strconv"
	"strings"

	vpc "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/controllers/cloud"
)

type groupsAnswer struct {
	Objects        *[]securityGroup `json:"security_groups"`
	PageInfo       *model.PageInfo  `json:"page_info"`
	HttpStatusCode int              `json:"-"` // the SDK sets the field by this name, here and below
}

type securityGroup struct {
	ID   loose `json:"id"`
	Name loose `json:"name"`
}

type groupRulesAnswer struct {
	Objects        *[]groupRule    `json:"security_group_rules"`
	PageInfo       *model.PageInfo `json:"page_info"`
	HttpStatusCode int             `json:"-"`
}

type groupRule struct {
	ID                   loose `json:"id"`
	SecurityGroupID      loose `json:"security_group_id"`
	Direction            loose `json:"direction"`
	Protocol             loose `json:"protocol"`
	Ethertype            loose `json:"ethertype"`
	Multiport            loose `json:"multiport"`
	Action               loose `json:"action"`
	Priority             loose `json:"priority"`
	RemoteIPPrefix       loose `json:"remote_ip_prefix"`
	RemoteGroupID        loose `json:"remote_group_id"`
	RemoteAddressGroupID loose `json:"remote_address_group_id"`
	Enabled              loose `json:"enabled"`
}

// ListSecurityGroups reads the rules of all groups in one list: one list for each group would be
// far more calls.
func (c *client) ListSecurityGroups(ctx context.Context) ([]cloud.SecurityGroup, error) {
	limit := c.factory.page(pageOfGroups)
	groups, err := readPages(ctx, c.caller, "ListSecurityGroups", &limit, groupOf,
		func(hc *exchange, marker *string) (*[]securityGroup, *model.PageInfo, error) {
			answer, err := ask[groupsAnswer](hc, &model.ListSecurityGroupsRequest{Limit: &limit, Marker: marker}, vpc.GenReqDefForListSecurityGroups())
			if err != nil {
				return nil, nil, err
			}
			return answer.Objects, answer.PageInfo, nil
		})
	if err != nil {
		return nil, err
	}
	groups = unique(groups, func(g cloud.SecurityGroup) string { return g.ID })
	rules, err := c.listGroupRules(ctx)
	if err != nil {
		return nil, err
	}
	place := make(map[string]int, len(groups))
	for i := range groups {
		place[groups[i].ID] = i
	}
	for _, r := range rules {
		if i, ok := place[r.group]; ok { // a group that was made meanwhile is in the next list
			groups[i].Rules = append(groups[i].Rules, r.GroupRule)
		}
	}
	return groups, nil
}

func groupOf(m *securityGroup) (cloud.SecurityGroup, error) {
	return cloud.SecurityGroup{ID: string(m.ID), Name: string(m.Name)}, nil
}

// ruleOfGroup is a rule and the ID of its group.
type ruleOfGroup struct {
	cloud.GroupRule
	group string
}

func (c *client) listGroupRules(ctx context.Context) ([]ruleOfGroup, error) {
	limit := c.factory.page(pageOfRules)
	rules, err := readPages(ctx, c.caller, "ListSecurityGroupRules", &limit, groupRuleOf,
		func(hc *exchange, marker *string) (*[]groupRule, *model.PageInfo, error) {
			answer, err := ask[groupRulesAnswer](hc, &model.ListSecurityGroupRulesRequest{Limit: &limit, Marker: marker}, vpc.GenReqDefForListSecurityGroupRules())
			if err != nil {
				return nil, nil, err
			}
			return answer.Objects, answer.PageInfo, nil
		})
	return unique(rules, func(r ruleOfGroup) string { return r.ID }), err
}

// groupRuleOf reads a rule. By the reference a rule is enabled and of the first priority where it
// does not say; what allows or denies, and in which direction, it must say.
func groupRuleOf(m *groupRule) (ruleOfGroup, error) {
	var odd oddities
	rule := cloud.GroupRule{
		ID:                   string(m.ID),
		Protocol:             odd.protocolIn(m.Protocol),
		Remote:               odd.prefixIn("remote_ip_prefix", m.RemoteIPPrefix),
		RemoteGroupID:        string(m.RemoteGroupID),
		RemoteAddressGroupID: string(m.RemoteAddressGroupID),
		Disabled:             !odd.switchedOn("enabled", m.Enabled),
	}
	rule.Direction = odd.directionOf("direction", m.Direction)
	rule.IPv6 = odd.ethertypeOf("ethertype", m.Ethertype)
	rule.Allow = odd.allows("action", m.Action)
	if !isICMP(rule.Protocol) {
		rule.Ports = odd.portsIn("multiport", m.Multiport)
	}
	priority, err := strconv.Atoi(string(m.Priority.or("1")))
	odd.unless(err == nil && priority >= 1 && priority <= 100, "priority", m.Priority)
	rule.Priority = priority
	if remotes := count(m.RemoteIPPrefix, m.RemoteGroupID, m.RemoteAddressGroupID); remotes > 1 {
		odd.unless(false, "remote_group_id beside another remote", m.RemoteGroupID.or(m.RemoteAddressGroupID))
	}
	rule.Unreadable = odd.String()
	return ruleOfGroup{GroupRule: rule, group: string(m.SecurityGroupID)}, nil
}

// count tells how many are not empty.
func count(values ...loose) (n int) {
	for _, v := range values {
		if v != "" {
			n++
		}
	}
	return n
}

func (o *oddities) directionOf(field string, value loose) cloud.Direction {
	for _, d := range []cloud.Direction{cloud.Ingress, cloud.Egress} {
		if strings.EqualFold(string(value), string(d)) {
			return d
		}
	}
	o.unless(false, field, value)
	return ""
}

// ethertypeOf reads the family of addresses, which is IPv4 where a rule does not say.
func (o *oddities) ethertypeOf(field string, value loose) (ipv6 bool) {
	switch s := string(value.or(etherIPv4)); {
	case s == "4", strings.EqualFold(s, etherIPv4):
		return false
	case s == "6", strings.EqualFold(s, etherIPv6):
		return true
	}
	o.unless(false, field, value)
	return false
}

func (o *oddities) allows(field string, value loose) bool {
	allow := strings.EqualFold(string(value), "allow")
	o.unless(allow || strings.EqualFold(string(value), "deny"), field, value)
	return allow
}

type addressGroupsAnswer struct {
	Objects        *[]addressGroup `json:"address_groups"`
	PageInfo       *model.PageInfo `json:"page_info"`
	HttpStatusCode int             `json:"-"`
}

type addressGroup struct {
	ID    loose   `json:"id"`
	Name  loose   `json:"name"`
	IPSet []loose `json:"ip_set"`
	Extra []struct {
		IP loose `json:"ip"`
	} `json:"ip_extra_set"`
}

// ListAddressGroups returns every address group.
func (c *client) ListAddressGroups(ctx context.Context) ([]cloud.AddressGroup, error) {
	limit := c.factory.page(pageOfACLs)
	groups, err := readPages(ctx, c.caller, "ListAddressGroup", &limit, addressGroupOf,
		func(hc *exchange, marker *string) (*[]addressGroup, *model.PageInfo, error) {
			answer, err := ask[addressGroupsAnswer](hc, &model.ListAddressGroupRequest{Limit: &limit, Marker: marker}, vpc.GenReqDefForListAddressGroup())
			if err != nil {
				return nil, nil, err
			}
			return answer.Objects, answer.PageInfo, nil
		})
	return unique(groups, func(g cloud.AddressGroup) string { return g.ID }), err
}

// addressGroupOf reads a group. Its addresses stand in ip_set, and with remarks once more in
// ip_extra_set, which is read where ip_set is empty.
func addressGroupOf(m *addressGroup) (cloud.AddressGroup, error) {
	group, entries := cloud.AddressGroup{ID: string(m.ID), Name: string(m.Name)}, m.IPSet
	if len(entries) == 0 {
		for _, e := range m.Extra {
			entries = append(entries, e.IP)
		}
	}
	var odd oddities
	for _, e := range entries {
		addresses, ok := rangeOf(string(e))
		odd.unless(ok, "address", e)
		if ok {
			group.Ranges = append(group.Ranges, addresses)
		}
	}
	group.Unreadable = odd.String()
	return group, nil
}

package huawei

import (
	"context"

	vpc "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/controllers/cloud"
)

type firewallsAnswer struct {
	Objects        *[]firewall     `json:"firewalls"`
	PageInfo       *model.PageInfo `json:"page_info"`
	HttpStatusCode int             `json:"-"`
}

type firewallAnswer struct {
	Firewall       *firewall `json:"firewall"`
	HttpStatusCode int       `json:"-"`
}

type firewall struct {
	ID           loose `json:"id"`
	Name         loose `json:"name"`
	AdminStateUp loose `json:"admin_state_up"`
	Associations []struct {
		VirsubnetID loose `json:"virsubnet_id"`
	} `json:"associations"`
	// The rules are nil in a list.
	IngressRules *[]firewallRule `json:"ingress_rules"`
	EgressRules  *[]firewallRule `json:"egress_rules"`
}

type firewallRule struct {
	ID                        loose `json:"id"`
	Name                      loose `json:"name"`
	Action                    loose `json:"action"`
	Protocol                  loose `json:"protocol"`
	IPVersion                 loose `json:"ip_version"`
	SourceIPAddress           loose `json:"source_ip_address"`
	DestinationIPAddress      loose `json:"destination_ip_address"`
	SourcePort                loose `json:"source_port"`
	DestinationPort           loose `json:"destination_port"`
	SourceAddressGroupID      loose `json:"source_address_group_id"`
	DestinationAddressGroupID loose `json:"destination_address_group_id"`
	Enabled                   loose `json:"enabled"`
}

// ListNetworkACLs returns every network ACL, without rules.
func (c *client) ListNetworkACLs(ctx context.Context) ([]cloud.NetworkACL, error) {
	limit := c.factory.page(pageOfACLs)
	acls, err := readPages(ctx, c.caller, "ListFirewall", &limit, func(m *firewall) (cloud.NetworkACL, error) { return aclOf(m), nil },
		func(hc *exchange, marker *string) (*[]firewall, *model.PageInfo, error) {
			answer, err := ask[firewallsAnswer](hc, &model.ListFirewallRequest{Limit: &limit, Marker: marker}, vpc.GenReqDefForListFirewall())
			if err != nil {
				return nil, nil, err
			}
			return answer.Objects, answer.PageInfo, nil
		})
	return unique(acls, func(a cloud.NetworkACL) string { return a.ID }), err
}

// GetNetworkACL returns one with its rules.
func (c *client) GetNetworkACL(ctx context.Context, id string) (cloud.NetworkACL, error) {
	const op = "ShowFirewall"
	if err := checkIDs(op, id); err != nil {
		return cloud.NetworkACL{}, err
	}
	var acl cloud.NetworkACL
	err := c.do(ctx, op, read, func(hc *exchange) error {
		answer, err := ask[firewallAnswer](hc, &model.ShowFirewallRequest{FirewallId: id}, vpc.GenReqDefForShowFirewall())
		if err != nil {
			return err
		}
		if answer.Firewall == nil {
			return empty("network ACL")
		}
		// No rules at all would deny everything, which must not be made of an answer without them.
		if answer.Firewall.IngressRules == nil || answer.Firewall.EgressRules == nil {
			return empty("list of the ACL's rules")
		}
		acl = aclOf(answer.Firewall)
		return nil
	})
	return acl, err
}

func aclOf(m *firewall) cloud.NetworkACL {
	var odd oddities
	acl := cloud.NetworkACL{ID: string(m.ID), Name: string(m.Name), Enabled: odd.switchedOn("admin_state_up", m.AdminStateUp)}
	acl.Unreadable = odd.String()
	for _, a := range m.Associations {
		acl.Subnets = append(acl.Subnets, string(a.VirsubnetID))
	}
	acl.Ingress, acl.Egress = aclRulesOf(m.IngressRules), aclRulesOf(m.EgressRules)
	return acl
}

func aclRulesOf(rules *[]firewallRule) []cloud.ACLRule {
	if rules == nil {
		return nil
	}
	all := make([]cloud.ACLRule, 0, len(*rules))
	for i := range *rules {
		all = append(all, aclRuleOf(&(*rules)[i]))
	}
	return all
}

// aclRuleOf reads a rule. By the reference one is enabled and about IPv4 where it does not say.
func aclRuleOf(m *firewallRule) cloud.ACLRule {
	var odd oddities
	rule := cloud.ACLRule{
		ID: string(m.ID), Name: string(m.Name),
		Allow:                   odd.allows("action", m.Action),
		IPv6:                    odd.ethertypeOf("ip_version", m.IPVersion),
		Protocol:                odd.protocolIn(m.Protocol),
		Source:                  odd.prefixIn("source_ip_address", m.SourceIPAddress),
		Destination:             odd.prefixIn("destination_ip_address", m.DestinationIPAddress),
		SourceAddressGroup:      string(m.SourceAddressGroupID),
		DestinationAddressGroup: string(m.DestinationAddressGroupID),
		Disabled:                !odd.switchedOn("enabled", m.Enabled),
	}
	if !isICMP(rule.Protocol) {
		rule.SourcePorts = odd.portsIn("source_port", m.SourcePort)
		rule.DestinationPorts = odd.portsIn("destination_port", m.DestinationPort)
	}
	// An address beside a group is what the reference excludes, but for the one that means any.
	if rule.Source.IsValid() && rule.Source.Bits() > 0 && rule.SourceAddressGroup != "" {
		odd.unless(false, "source_address_group_id beside an address", m.SourceAddressGroupID)
	}
	if rule.Destination.IsValid() && rule.Destination.Bits() > 0 && rule.DestinationAddressGroup != "" {
		odd.unless(false, "destination_address_group_id beside an address", m.DestinationAddressGroupID)
	}
	rule.Unreadable = odd.String()
	return rule
}

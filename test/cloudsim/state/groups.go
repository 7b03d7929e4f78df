package state

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	defaultGroupPriority = 100
	kindGroup            = "Security group"
	kindGroupRule        = "Security group rule"
)

// Group looks one up; Reason Missing when the project has no such security group.
func (w *World) Group(project, id string) (SecurityGroup, error) {
	g, ok := w.Groups[id]
	if !ok || g.ProjectID != project {
		return SecurityGroup{}, missing(kindGroup, id)
	}
	return g, nil
}

// GroupRule looks one up; Reason Missing when the project has no such security group rule.
func (w *World) GroupRule(project, id string) (GroupRule, error) {
	r, ok := w.GroupRules[id]
	if !ok || r.ProjectID != project {
		return GroupRule{}, missing(kindGroupRule, id)
	}
	return r, nil
}

// CreateGroupRule adds a rule to a security group.
func (s *Store) CreateGroupRule(project string, in GroupRuleInput) (GroupRule, error) {
	return change(s, func(w *World, now time.Time) (GroupRule, error) {
		r := GroupRule{
			ID: s.newID(), ProjectID: project, EtherType: "IPv4", Action: "allow", Priority: defaultGroupPriority,
			Enabled: true, CreatedAt: now, UpdatedAt: now,
		}
		if err := required("security_group_id", in.GroupID, "direction", in.Direction); err != nil {
			return r, err
		}
		if err := s.fillGroupRule(&r, in); err != nil {
			return r, err
		}
		if err := w.admitGroupRule(r); err != nil {
			return r, err
		}
		w.GroupRules[r.ID] = r
		return r, nil
	})
}

// DeleteGroupRule removes a rule of a security group.
func (s *Store) DeleteGroupRule(project, id string) error {
	_, err := change(s, func(w *World, _ time.Time) (struct{}, error) {
		_, err := w.GroupRule(project, id)
		delete(w.GroupRules, id)
		return struct{}{}, err
	})
	return err
}

func (s *Store) fillGroupRule(r *GroupRule, in GroupRuleInput) error {
	var err error
	r.GroupID = value(in.GroupID)
	if err := s.quirks.fillDescription(&r.Description, in.Description); err != nil {
		return err
	}
	if r.Direction, err = pick("direction", value(in.Direction), Ingress, Egress); err != nil {
		return err
	}
	if t := value(in.EtherType); t != "" {
		if r.EtherType, err = pick("ethertype", t, "IPv4", "IPv6"); err != nil {
			return err
		}
	}
	if a := value(in.Action); a != "" {
		if r.Action, err = pick("action", a, "allow", "deny"); err != nil {
			return err
		}
	}
	if in.Priority != nil {
		if err := checkRange("priority", *in.Priority, 1, 100); err != nil {
			return err
		}
		r.Priority = *in.Priority
	}
	if in.Enabled != nil {
		r.Enabled = *in.Enabled
	}
	r.Protocol, r.Multiport = strings.ToLower(value(in.Protocol)), value(in.Multiport)
	r.RemotePrefix, r.RemoteGroup = strings.TrimSpace(value(in.RemotePrefix)), value(in.RemoteGroup)
	return checkGroupRule(r)
}

func checkGroupRule(r *GroupRule) error {
	switch r.Protocol {
	case "", "tcp", "udp", "icmp", "icmpv6":
	default:
		if n, err := strconv.Atoi(r.Protocol); err != nil || n < 0 || n > 255 {
			return invalid("protocol", "'%s' is none of tcp, udp, icmp, icmpv6 or a number 0-255", r.Protocol)
		}
	}
	if err := checkMultiport("multiport", r.Multiport); err != nil {
		return err
	}
	if r.Multiport != "" && r.Protocol != "tcp" && r.Protocol != "udp" {
		return invalid("multiport", "ports need protocol tcp or udp")
	}
	if r.RemotePrefix != "" && r.RemoteGroup != "" {
		return invalid("remote_ip_prefix", "it excludes remote_group_id")
	}
	if r.RemotePrefix == "" {
		return nil
	}
	if addr, err := netip.ParseAddr(r.RemotePrefix); err == nil {
		r.RemotePrefix = netip.PrefixFrom(addr, addr.BitLen()).String()
	}
	return checkCIDR("remote_ip_prefix", r.RemotePrefix, r.EtherType)
}

func (w *World) admitGroupRule(r GroupRule) error {
	if _, err := w.Group(r.ProjectID, r.GroupID); err != nil {
		return err
	}
	if r.RemoteGroup != "" {
		if _, err := w.Group(r.ProjectID, r.RemoteGroup); err != nil {
			return err
		}
	}
	rules := w.RulesOfGroup(r.GroupID)
	for _, other := range rules {
		if sameGroupRule(other, r) {
			return refuse(Duplicate, "%s already exists. Rule id is %s.", kindGroupRule, other.ID)
		}
	}
	if exceeds(len(rules)+1, w.Quotas.SecurityGroupRulesPerGroup) {
		return quotaExceeded("secgroup_contain_rules", w.Quotas.SecurityGroupRulesPerGroup)
	}
	return nil
}

func sameGroupRule(a, b GroupRule) bool {
	a.ID, a.Description, a.Enabled, a.CreatedAt, a.UpdatedAt = b.ID, b.Description, b.Enabled, b.CreatedAt, b.UpdatedAt
	return a == b
}

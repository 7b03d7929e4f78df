package state

import (
	"errors"
	"net/netip"
	"slices"
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

// GroupInput is the body of a security group's create or update; nil means absent.
type GroupInput struct{ Name, Description *string }

// CreateGroup makes a security group with the rules that the cloud gives to each: all egress, and all between its members.
func (s *Store) CreateGroup(project string, in GroupInput) (SecurityGroup, error) {
	return change(s, func(w *World, now time.Time) (SecurityGroup, error) {
		g := SecurityGroup{ID: s.newID(), ProjectID: project, CreatedAt: now, UpdatedAt: now}
		if err := required("name", in.Name); err != nil {
			return g, err
		}
		if err := s.fillGroup(&g, in); err != nil {
			return g, err
		}
		w.Groups[g.ID] = g
		for _, family := range []string{"IPv4", "IPv6"} {
			for _, direction := range []string{Ingress, Egress} {
				r := GroupRule{
					ID: s.newID(), ProjectID: project, GroupID: g.ID, Direction: direction, EtherType: family, Action: "allow",
					Priority: defaultGroupPriority, Enabled: true, CreatedAt: now, UpdatedAt: now,
				}
				if direction == Ingress {
					r.RemoteGroup = g.ID
				}
				w.GroupRules[r.ID] = r
			}
		}
		return g, nil
	})
}

// UpdateGroup changes what the input carries and keeps the rest.
func (s *Store) UpdateGroup(project, id string, in GroupInput) (SecurityGroup, error) {
	return change(s, func(w *World, now time.Time) (SecurityGroup, error) {
		g, err := w.Group(project, id)
		if err != nil {
			return g, err
		}
		g.UpdatedAt = now
		if err := s.fillGroup(&g, in); err != nil {
			return g, err
		}
		w.Groups[id] = g
		return g, nil
	})
}

func (s *Store) fillGroup(g *SecurityGroup, in GroupInput) error {
	if err := s.quirks.fillName(&g.Name, in.Name); err != nil {
		return err
	}
	return s.quirks.fillDescription(&g.Description, in.Description)
}

// DeleteGroup removes a security group and its rules; Reason InUse while a port or another group's rule names it.
func (s *Store) DeleteGroup(project, id string) error {
	_, err := change(s, func(w *World, _ time.Time) (struct{}, error) {
		if _, err := w.Group(project, id); err != nil {
			return struct{}{}, err
		}
		for _, p := range w.Ports {
			if slices.Contains(p.SecurityGroups, id) {
				return struct{}{}, refuse(InUse, "%s %s is in use by port %s.", kindGroup, id, p.ID)
			}
		}
		for _, r := range w.GroupRules {
			if r.RemoteGroup == id && r.GroupID != id {
				return struct{}{}, refuse(InUse, "%s %s is in use by security group rule %s.", kindGroup, id, r.ID)
			}
		}
		for _, r := range w.RulesOfGroup(id) {
			delete(w.GroupRules, r.ID)
		}
		delete(w.Groups, id)
		return struct{}{}, nil
	})
	return err
}

// CreateGroupRule adds a rule to a security group.
func (s *Store) CreateGroupRule(project string, in GroupRuleInput) (GroupRule, error) {
	return change(s, func(w *World, now time.Time) (GroupRule, error) { return s.createGroupRule(w, project, in, now) })
}

func (s *Store) createGroupRule(w *World, project string, in GroupRuleInput, now time.Time) (GroupRule, error) {
	r := GroupRule{
		ID: s.newID(), ProjectID: project, EtherType: "IPv4", Action: "allow", Priority: defaultGroupPriority,
		Enabled: true, CreatedAt: now, UpdatedAt: now,
	}
	if err := required("security_group_id", in.GroupID, "direction", in.Direction); err != nil {
		return r, err
	}
	r.GroupID = *in.GroupID
	if err := s.fillGroupRule(&r, in); err != nil {
		return r, err
	}
	if err := w.admitGroupRule(r); err != nil {
		return r, err
	}
	w.GroupRules[r.ID] = r
	return r, nil
}

// CreateGroupRules adds rules to one security group, all or none. Those that are there already are left out when they are
// to be ignored, and refused otherwise.
func (s *Store) CreateGroupRules(project, group string, all []GroupRuleInput, ignoreDuplicates bool) ([]GroupRule, error) {
	return change(s, func(w *World, now time.Time) ([]GroupRule, error) {
		made := []GroupRule{}
		for _, in := range all {
			in.GroupID = &group
			if in.Priority == nil {
				in.Priority = new(1) // the reference gives this call a default of its own
			}
			r, err := s.createGroupRule(w, project, in, now)
			var refused *Error
			if ignoreDuplicates && errors.As(err, &refused) && refused.Reason == Duplicate {
				continue
			}
			if err != nil {
				return nil, err
			}
			made = append(made, r)
		}
		return made, nil
	})
}

// UpdateGroupRule changes what the input carries and keeps the rest, as the console does: the reference has no call for it.
func (s *Store) UpdateGroupRule(id string, in GroupRuleInput) (GroupRule, error) {
	return change(s, func(w *World, now time.Time) (GroupRule, error) {
		r, ok := w.GroupRules[id]
		if !ok {
			return r, missing(kindGroupRule, id)
		}
		r.UpdatedAt = now
		if err := s.fillGroupRule(&r, in); err != nil {
			return r, err
		}
		if err := w.admitGroupRule(r); err != nil {
			return r, err
		}
		w.GroupRules[id] = r
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
	if err := s.quirks.fillDescription(&r.Description, in.Description); err != nil {
		return err
	}
	for _, choice := range []struct {
		field   string
		to      *string
		from    *string
		allowed []string
	}{
		{"direction", &r.Direction, in.Direction, []string{Ingress, Egress}},
		{"ethertype", &r.EtherType, in.EtherType, []string{"IPv4", "IPv6"}},
		{"action", &r.Action, in.Action, []string{"allow", "deny"}},
	} {
		if value(choice.from) == "" && choice.field != "direction" || choice.from == nil {
			continue
		}
		text, err := pick(choice.field, *choice.from, choice.allowed...)
		if err != nil {
			return err
		}
		*choice.to = text
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
	for _, text := range []struct{ to, from *string }{
		{&r.Protocol, in.Protocol}, {&r.Multiport, in.Multiport}, {&r.RemotePrefix, in.RemotePrefix},
		{&r.RemoteGroup, in.RemoteGroup}, {&r.RemoteAddressGroup, in.RemoteAddressGroup},
	} {
		if text.from != nil {
			*text.to = strings.TrimSpace(*text.from)
		}
	}
	r.Protocol = strings.ToLower(r.Protocol)
	return checkGroupRule(r)
}

func checkGroupRule(r *GroupRule) error {
	if r.Protocol != "" {
		if err := checkProtocol(r.Protocol); err != nil {
			return err
		}
	}
	if err := checkMultiport("multiport", r.Multiport); err != nil {
		return err
	}
	if r.Multiport != "" && r.Protocol != "tcp" && r.Protocol != "udp" {
		return invalid("multiport", "ports need protocol tcp or udp")
	}
	remotes := without([]string{r.RemotePrefix, r.RemoteGroup, r.RemoteAddressGroup}, []string{""})
	if len(remotes) > 1 {
		return invalid("remote_ip_prefix", "it excludes remote_group_id and remote_address_group_id, as each of them excludes the others")
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
	if r.RemoteAddressGroup != "" {
		g, err := w.AddressGroup(r.ProjectID, r.RemoteAddressGroup)
		if err != nil {
			return err
		}
		if (g.IPVersion == 4) != (r.EtherType == "IPv4") {
			return invalid("ethertype", "address group %s is of version %d", g.ID, g.IPVersion)
		}
	}
	count := 1
	for _, other := range w.RulesOfGroup(r.GroupID) {
		if other.ID == r.ID {
			continue
		}
		count++
		if sameGroupRule(other, r) {
			return refuse(Duplicate, "%s already exists. Rule id is %s.", kindGroupRule, other.ID)
		}
	}
	if exceeds(count, w.Quotas.SecurityGroupRulesPerGroup) {
		return quotaExceeded("secgroup_contain_rules", w.Quotas.SecurityGroupRulesPerGroup)
	}
	return nil
}

func sameGroupRule(a, b GroupRule) bool {
	a.ID, a.Description, a.Enabled, a.CreatedAt, a.UpdatedAt = b.ID, b.Description, b.Enabled, b.CreatedAt, b.UpdatedAt
	return a == b
}

package state

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	kindFirewall     = "Firewall"
	kindFirewallRule = "Firewall rule"
)

// Firewall is a network ACL.
type Firewall struct {
	ID, ProjectID, Name, Description string
	// Off: admin_state_up is false. Its rules don't count then, and the one that denies everything does: "If a network ACL is
	// disabled, custom rules will become invalid but default rules are still applied" (VPC user guide, 2025-08).
	Off                  bool
	Subnets              []string       // IDs
	Ingress, Egress      []FirewallRule // the first that matches decides
	CreatedAt, UpdatedAt time.Time
}

// FirewallRule is a rule of a network ACL. An empty address without a group, and an empty port, mean any.
type FirewallRule struct {
	ID, Name, Description             string
	Action                            string // allow or deny
	Protocol                          string // tcp, udp, icmp, icmpv6, any or a number
	IPVersion                         int    // 4 or 6
	SourceAddress, DestinationAddress string
	SourceGroup, DestinationGroup     string // IDs of address groups
	SourcePort, DestinationPort       string
	Enabled                           bool
}

// FirewallInput is the body of a network ACL's create or update; nil means absent.
type FirewallInput struct {
	Name, Description *string
	Up                *bool
}

// FirewallRuleInput is the body of a network ACL's rule; nil means absent.
type FirewallRuleInput struct {
	ID                                *string // update only
	Name, Description                 *string
	Action, Protocol                  *string
	IPVersion                         *int
	SourceAddress, DestinationAddress *string
	SourceGroup, DestinationGroup     *string
	SourcePort, DestinationPort       *string
	Enabled                           *bool
}

// Firewall looks one up; Reason Missing when the project has no such network ACL.
func (w *World) Firewall(project, id string) (Firewall, error) {
	f, ok := w.Firewalls[id]
	if !ok || f.ProjectID != project {
		return Firewall{}, missing(kindFirewall, id)
	}
	return f, nil
}

// FirewallOf finds the network ACL of a subnet.
func (w *World) FirewallOf(subnet string) (Firewall, bool) {
	for _, f := range w.Firewalls {
		if slices.Contains(f.Subnets, subnet) {
			return f, true
		}
	}
	return Firewall{}, false
}

// CreateFirewall makes a network ACL without rules and subnets.
func (s *Store) CreateFirewall(project string, in FirewallInput) (Firewall, error) {
	return change(s, func(w *World, now time.Time) (Firewall, error) {
		f := Firewall{ID: s.newID(), ProjectID: project, CreatedAt: now, UpdatedAt: now}
		if err := required("name", in.Name); err != nil {
			return f, err
		}
		if err := s.fillFirewall(&f, in); err != nil {
			return f, err
		}
		w.Firewalls[f.ID] = f
		return f, nil
	})
}

func (s *Store) fillFirewall(f *Firewall, in FirewallInput) error {
	if err := s.quirks.fillName(&f.Name, in.Name); err != nil {
		return err
	}
	if in.Up != nil {
		f.Off = !*in.Up
	}
	return s.quirks.fillDescription(&f.Description, in.Description)
}

// modifyFirewall changes a network ACL. f replaces slices and changes none in place.
func (s *Store) modifyFirewall(project, id string, f func(w *World, n *Firewall) error) (Firewall, error) {
	return change(s, func(w *World, now time.Time) (Firewall, error) {
		n, err := w.Firewall(project, id)
		if err != nil {
			return n, err
		}
		n.UpdatedAt = now
		if err := f(w, &n); err != nil {
			return n, err
		}
		w.Firewalls[id] = n
		return n, nil
	})
}

// UpdateFirewall changes what the input carries and keeps the rest.
func (s *Store) UpdateFirewall(project, id string, in FirewallInput) (Firewall, error) {
	return s.modifyFirewall(project, id, func(_ *World, n *Firewall) error { return s.fillFirewall(n, in) })
}

// DeleteFirewall removes a network ACL; Reason InUse while it has subnets.
func (s *Store) DeleteFirewall(project, id string) error {
	_, err := change(s, func(w *World, _ time.Time) (struct{}, error) {
		f, err := w.Firewall(project, id)
		if err == nil && len(f.Subnets) > 0 {
			err = refuse(InUse, "%s %s is in use by subnet %s.", kindFirewall, id, f.Subnets[0])
		}
		if err == nil {
			delete(w.Firewalls, id)
		}
		return struct{}{}, err
	})
	return err
}

// AssociateSubnets puts subnets under a network ACL. A subnet has at most one.
func (s *Store) AssociateSubnets(project, id string, subnets []string) (Firewall, error) {
	return s.modifyFirewall(project, id, func(w *World, n *Firewall) error {
		if len(subnets) == 0 {
			return invalid("subnets", "at least one subnet is required")
		}
		for _, subnet := range subnets {
			if found, ok := w.Subnets[subnet]; !ok || found.ProjectID != project {
				return missing("Subnet", subnet)
			}
			if other, ok := w.FirewallOf(subnet); ok {
				return refuse(Duplicate, "Subnet %s is already associated with firewall %s.", subnet, other.ID)
			}
		}
		n.Subnets = append(slices.Clone(n.Subnets), subnets...)
		return nil
	})
}

// DisassociateSubnets takes subnets from under a network ACL.
func (s *Store) DisassociateSubnets(project, id string, subnets []string) (Firewall, error) {
	return s.modifyFirewall(project, id, func(_ *World, n *Firewall) error {
		for _, subnet := range subnets {
			if !slices.Contains(n.Subnets, subnet) {
				return missing("Subnet", subnet)
			}
		}
		n.Subnets = without(n.Subnets, subnets)
		return nil
	})
}

// rules gives the rules of a direction.
func (n *Firewall) rules(direction string) *[]FirewallRule {
	if direction == Ingress {
		return &n.Ingress
	}
	return &n.Egress
}

// InsertFirewallRules puts rules before all others of their direction, or after the one that is named.
func (s *Store) InsertFirewallRules(project, id string, ingress, egress []FirewallRuleInput, after string) (Firewall, error) {
	return s.modifyFirewall(project, id, func(w *World, n *Firewall) error {
		if len(ingress)+len(egress) == 0 {
			return invalid("firewall", "at least one rule is required")
		}
		if after != "" && len(ingress) > 0 && len(egress) > 0 {
			return invalid("insert_after_rule", "it goes with rules of one direction only")
		}
		for _, side := range []struct {
			list   *[]FirewallRule
			inputs []FirewallRuleInput
		}{{&n.Ingress, ingress}, {&n.Egress, egress}} { // in order, since IDs are given out
			list, inputs := side.list, side.inputs
			if len(inputs) == 0 {
				continue
			}
			at := 0
			if after != "" {
				if at = 1 + slices.IndexFunc(*list, func(r FirewallRule) bool { return r.ID == after }); at == 0 {
					return missing(kindFirewallRule, after)
				}
			}
			rules := make([]FirewallRule, 0, len(inputs))
			for _, in := range inputs {
				r := FirewallRule{ID: s.newID(), Enabled: true}
				if err := required("action", in.Action, "protocol", in.Protocol, "ip_version", in.IPVersion); err != nil {
					return err
				}
				if err := s.fillFirewallRule(w, project, &r, in); err != nil {
					return err
				}
				rules = append(rules, r)
			}
			*list = slices.Insert(slices.Clone(*list), at, rules...)
		}
		return nil
	})
}

// UpdateFirewallRule changes one rule: what the input carries; the rest is kept.
func (s *Store) UpdateFirewallRule(project, id, direction string, in FirewallRuleInput) (Firewall, error) {
	return s.modifyFirewall(project, id, func(w *World, n *Firewall) error {
		list := n.rules(direction)
		at := slices.IndexFunc(*list, func(r FirewallRule) bool { return r.ID == value(in.ID) })
		if at < 0 {
			return missing(kindFirewallRule, value(in.ID))
		}
		*list = slices.Clone(*list)
		return s.fillFirewallRule(w, project, &(*list)[at], in)
	})
}

// RemoveFirewallRules removes rules of one direction.
func (s *Store) RemoveFirewallRules(project, id, direction string, rules []string) (Firewall, error) {
	return s.modifyFirewall(project, id, func(_ *World, n *Firewall) error {
		list := n.rules(direction)
		for _, rule := range rules {
			if !slices.ContainsFunc(*list, func(r FirewallRule) bool { return r.ID == rule }) {
				return missing(kindFirewallRule, rule)
			}
		}
		*list = slices.DeleteFunc(slices.Clone(*list), func(r FirewallRule) bool { return slices.Contains(rules, r.ID) })
		return nil
	})
}

func (s *Store) fillFirewallRule(w *World, project string, r *FirewallRule, in FirewallRuleInput) error {
	if in.Name != nil && *in.Name != "" {
		if err := s.quirks.fillName(&r.Name, in.Name); err != nil {
			return err
		}
	}
	if err := s.quirks.fillDescription(&r.Description, in.Description); err != nil {
		return err
	}
	var err error
	if in.Action != nil {
		if r.Action, err = pick("action", *in.Action, "allow", "deny"); err != nil {
			return err
		}
	}
	if in.Protocol != nil {
		r.Protocol = strings.ToLower(*in.Protocol)
	}
	if in.IPVersion != nil {
		r.IPVersion = *in.IPVersion
	}
	if in.Enabled != nil {
		r.Enabled = *in.Enabled
	}
	for _, text := range []struct{ to, from *string }{
		{&r.SourceAddress, in.SourceAddress}, {&r.DestinationAddress, in.DestinationAddress},
		{&r.SourceGroup, in.SourceGroup}, {&r.DestinationGroup, in.DestinationGroup},
		{&r.SourcePort, in.SourcePort}, {&r.DestinationPort, in.DestinationPort},
	} {
		if text.from != nil {
			*text.to = strings.TrimSpace(*text.from)
		}
	}
	if err := checkFirewallRule(r); err != nil {
		return err
	}
	return w.checkFirewallGroups(project, r)
}

func checkFirewallRule(r *FirewallRule) error {
	if r.IPVersion != 4 && r.IPVersion != 6 {
		return invalid("ip_version", "'%d' is not in [4, 6]", r.IPVersion)
	}
	if r.Protocol != "any" {
		if err := checkProtocol(r.Protocol); err != nil {
			return err
		}
	}
	for _, side := range []struct {
		name, ports, group string
		address            *string
	}{
		{"source", r.SourcePort, r.SourceGroup, &r.SourceAddress},
		{"destination", r.DestinationPort, r.DestinationGroup, &r.DestinationAddress},
	} {
		if err := checkMultiport(side.name+"_port", side.ports); err != nil {
			return err
		}
		if side.ports != "" && r.Protocol != "tcp" && r.Protocol != "udp" {
			return invalid(side.name+"_port", "ports need protocol tcp or udp")
		}
		if *side.address != "" && side.group != "" {
			return invalid(side.name+"_ip_address", "it excludes %s_address_group_id", side.name)
		}
		if a, err := netip.ParseAddr(*side.address); err == nil {
			*side.address = netip.PrefixFrom(a, a.BitLen()).String()
		}
		if err := checkCIDR(side.name+"_ip_address", *side.address, "IPv"+strconv.Itoa(r.IPVersion)); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) checkFirewallGroups(project string, r *FirewallRule) error {
	for _, id := range []string{r.SourceGroup, r.DestinationGroup} {
		if id == "" {
			continue
		}
		g, err := w.AddressGroup(project, id)
		if err != nil {
			return err
		}
		if g.IPVersion != r.IPVersion {
			return invalid("ip_version", "address group %s is of version %d", id, g.IPVersion)
		}
	}
	return nil
}

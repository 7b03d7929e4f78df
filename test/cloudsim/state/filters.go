package state

import (
	"slices"
	"strings"
	"time"
)

const kindFilter = "Traffic mirror filter"
const kindRule = "Traffic mirror filter rule"

func (w *World) filter(project, id string) (Filter, error) {
	f, ok := w.Filters[id]
	if !ok || f.ProjectID != project {
		return Filter{}, missing(kindFilter, id)
	}
	return f, nil
}

func (w *World) rule(project, id string) (Rule, error) {
	r, ok := w.Rules[id]
	if !ok || r.ProjectID != project {
		return Rule{}, missing(kindRule, id)
	}
	return r, nil
}

// Filter looks one up; Reason Missing when the project has no such filter.
func (w *World) Filter(project, id string) (Filter, error) { return w.filter(project, id) }

// Rule looks one up; Reason Missing when the project has no such rule.
func (w *World) Rule(project, id string) (Rule, error) { return w.rule(project, id) }

// CreateFilter makes a filter without rules.
func (s *Store) CreateFilter(project string, in FilterInput) (Filter, error) {
	return amend(s, func(w *World, now time.Time) (Filter, error) {
		f := Filter{ID: s.newID(), ProjectID: project, CreatedAt: now, UpdatedAt: now}
		if err := required("name", in.Name); err != nil {
			return f, err
		}
		if err := s.fillFilter(w, &f, in); err != nil {
			return f, err
		}
		count := 0
		for _, other := range w.Filters {
			if other.ProjectID == project {
				count++
			}
		}
		if exceeds(count+1, w.Quotas.Filters) {
			return f, quotaExceeded("traffic_mirror_filter", w.Quotas.Filters)
		}
		w.Filters[f.ID] = f
		return f, nil
	})
}

// UpdateFilter changes what the input carries and keeps the rest.
func (s *Store) UpdateFilter(project, id string, in FilterInput) (Filter, error) {
	return amend(s, func(w *World, now time.Time) (Filter, error) {
		before, err := w.filter(project, id)
		if err != nil {
			return before, err
		}
		f := before
		if err := s.fillFilter(w, &f, in); err != nil {
			return f, err
		}
		if f != before {
			f.UpdatedAt = now
		}
		w.Filters[id] = f
		return f, nil
	})
}

func (s *Store) fillFilter(w *World, f *Filter, in FilterInput) error {
	if err := s.quirks.fillName(&f.Name, in.Name); err != nil {
		return err
	}
	if in.Name != nil {
		for _, other := range w.Filters {
			if s.quirks.UniqueNames && other.ID != f.ID && other.ProjectID == f.ProjectID && other.Name == f.Name {
				return refuse(Duplicate, "%s with name %s already exists.", kindFilter, f.Name)
			}
		}
	}
	return s.quirks.fillDescription(&f.Description, in.Description)
}

// DeleteFilter removes a filter and its rules; Reason InUse while a session uses it.
func (s *Store) DeleteFilter(project, id string) error {
	_, err := amend(s, func(w *World, _ time.Time) (struct{}, error) {
		if _, err := w.filter(project, id); err != nil {
			return struct{}{}, err
		}
		for _, session := range w.Sessions {
			if session.FilterID == id {
				return struct{}{}, refuse(InUse, "%s %s is in use by traffic mirror session %s.", kindFilter, id, session.ID)
			}
		}
		for _, r := range s.rulesOf(w, project, id) {
			s.dropRule(w, r.ID)
		}
		delete(w.Filters, id)
		return struct{}{}, nil
	})
	return err
}

// CreateRule adds a rule to a filter.
func (s *Store) CreateRule(project string, in RuleInput) (Rule, error) {
	return amend(s, func(w *World, now time.Time) (Rule, error) {
		r := Rule{ID: s.newID(), ProjectID: project, CreatedAt: now, UpdatedAt: now}
		err := required("traffic_mirror_filter_id", in.FilterID, "direction", in.Direction, "protocol", in.Protocol,
			"ethertype", in.EtherType, "action", in.Action, "priority", in.Priority)
		if err != nil {
			return r, err
		}
		if r.Direction, err = pick("direction", *in.Direction, Ingress, Egress); err != nil {
			return r, err
		}
		r.FilterID = *in.FilterID
		if err := s.fillRule(&r, in); err != nil {
			return r, err
		}
		if _, err := w.filter(project, r.FilterID); err != nil {
			return r, err
		}
		if err := s.admitRule(w, r); err != nil {
			return r, err
		}
		s.putRule(w, r)
		w.touchFilter(r.FilterID, now)
		return r, nil
	})
}

// UpdateRule changes what the input carries and keeps the rest. A change to ICMP or ICMPV6 drops ports that were not sent,
// as the Terraform provider's acceptance test expects.
func (s *Store) UpdateRule(project, id string, in RuleInput) (Rule, error) {
	return amend(s, func(w *World, now time.Time) (Rule, error) {
		before, err := w.rule(project, id)
		if err != nil {
			return before, err
		}
		if s.quirks.RefuseRuleMove && (in.Direction != nil || in.FilterID != nil) {
			return before, invalid("direction", "direction and traffic_mirror_filter_id cannot be changed")
		}
		r := before
		if in.Protocol != nil && isICMP(*in.Protocol) && !isICMP(r.Protocol) {
			r.SourcePortRange, r.DestinationPortRange = "", ""
		}
		if err := s.fillRule(&r, in); err != nil {
			return r, err
		}
		if err := s.admitRule(w, r); err != nil {
			return r, err
		}
		if r != before {
			r.UpdatedAt = now
			w.touchFilter(r.FilterID, now)
		}
		s.putRule(w, r)
		return r, nil
	})
}

// DeleteRule removes a rule, also of a filter in use.
func (s *Store) DeleteRule(project, id string) error {
	_, err := amend(s, func(w *World, now time.Time) (struct{}, error) {
		r, err := w.rule(project, id)
		if err != nil {
			return struct{}{}, err
		}
		s.dropRule(w, id)
		w.touchFilter(r.FilterID, now)
		return struct{}{}, nil
	})
	return err
}

func (w *World) touchFilter(id string, now time.Time) {
	f, ok := w.Filters[id]
	if !ok {
		return
	}
	f.UpdatedAt = now
	w.Filters[id] = f
}

func isICMP(protocol string) bool {
	return strings.EqualFold(protocol, "ICMP") || strings.EqualFold(protocol, "ICMPV6")
}

// fillRule writes the input over the rule and checks the whole.
func (s *Store) fillRule(r *Rule, in RuleInput) error {
	if in.Protocol != nil {
		if _, err := pick("protocol", *in.Protocol, mirrorProtocols...); err != nil {
			return err
		}
		r.Protocol = *in.Protocol // comes back in the case in which it was sent
	}
	var err error
	if in.EtherType != nil {
		if r.EtherType, err = pick("ethertype", *in.EtherType, "IPv4", "IPv6"); err != nil {
			return err
		}
	}
	if in.Action != nil {
		if r.Action, err = pick("action", *in.Action, "accept", "reject"); err != nil {
			return err
		}
	}
	if in.Priority != nil {
		if err := checkRange("priority", *in.Priority, 1, 65535); err != nil {
			return err
		}
		r.Priority = *in.Priority
	}
	if err := s.quirks.fillDescription(&r.Description, in.Description); err != nil {
		return err
	}
	s.fillRange(&r.SourceCIDR, in.SourceCIDR)
	s.fillRange(&r.DestinationCIDR, in.DestinationCIDR)
	s.fillRange(&r.SourcePortRange, in.SourcePortRange)
	s.fillRange(&r.DestinationPortRange, in.DestinationPortRange)
	return s.checkRule(r)
}

// fillRange keeps what is there when the new value is empty, unless the quirk says that an empty one clears.
func (s *Store) fillRange(field *string, in *string) {
	if in == nil {
		return
	}
	text := strings.TrimSpace(*in)
	if text != "" || s.quirks.EmptyClears {
		*field = text
	}
}

func (s *Store) checkRule(r *Rule) error {
	for _, err := range []error{
		checkCIDR("source_cidr_block", r.SourceCIDR, r.EtherType),
		checkCIDR("destination_cidr_block", r.DestinationCIDR, r.EtherType),
		checkPortRange("source_port_range", r.SourcePortRange),
		checkPortRange("destination_port_range", r.DestinationPortRange),
	} {
		if err != nil {
			return err
		}
	}
	if !s.quirks.StrictProtocols {
		return nil
	}
	protocol := strings.ToUpper(r.Protocol)
	if protocol == "ICMP" && r.EtherType != "IPv4" || protocol == "ICMPV6" && r.EtherType != "IPv6" {
		return invalid("protocol", "%s does not go with ethertype %s", r.Protocol, r.EtherType)
	}
	if !slices.Contains([]string{"TCP", "UDP"}, protocol) && r.SourcePortRange+r.DestinationPortRange != "" {
		return invalid("protocol", "port ranges need TCP or UDP, not %s", r.Protocol)
	}
	return nil
}

// admitRule checks what depends on the filter's other rules.
func (s *Store) admitRule(w *World, r Rule) error {
	count := 1
	for _, other := range s.rulesOf(w, r.ProjectID, r.FilterID) {
		if other.ID == r.ID || other.Direction != r.Direction {
			continue
		}
		count++
		if other.Priority == r.Priority {
			return refuse(Duplicate, "Priority %d is already used by the %s rule %s of the filter.", r.Priority, r.Direction, other.ID)
		}
	}
	if exceeds(count, w.Quotas.RulesPerDirection) {
		return quotaExceeded("traffic_mirror_filter_contain_rules_each_direction", w.Quotas.RulesPerDirection)
	}
	return nil
}

package state

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	kindAddressGroup = "Address group"
	// maxGroupAddresses is how many entries an address group may have (VPC API reference).
	maxGroupAddresses = 20
)

// AddressGroup is a named set of addresses, which rules of security groups and ACLs may name.
type AddressGroup struct {
	ID, ProjectID, Name, Description string
	IPVersion                        int      // 4 or 6
	Addresses                        []string // each an address, a CIDR, or first-last
	MaxCapacity                      int
	CreatedAt, UpdatedAt             time.Time
}

// AddressRange is a range of addresses of one family, both ends included.
type AddressRange struct{ From, To netip.Addr }

// Ranges are the group's addresses.
func (g AddressGroup) Ranges() []AddressRange {
	var out []AddressRange
	for _, text := range g.Addresses {
		if r, ok := parseAddresses(text); ok {
			out = append(out, r)
		}
	}
	return out
}

// parseAddresses reads an address, a CIDR, or first-last.
func parseAddresses(text string) (AddressRange, bool) {
	if first, last, isRange := strings.Cut(text, "-"); isRange {
		from, errFrom := netip.ParseAddr(first)
		to, errTo := netip.ParseAddr(last)
		return AddressRange{from, to}, errFrom == nil && errTo == nil && from.Is4() == to.Is4() && from.Compare(to) <= 0
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		last := p.Masked().Addr().AsSlice()
		for bit := p.Bits(); bit < len(last)*8; bit++ {
			last[bit/8] |= 0x80 >> (bit % 8)
		}
		to, _ := netip.AddrFromSlice(last) // of the length that an address has
		return AddressRange{p.Masked().Addr(), to}, true
	}
	a, err := netip.ParseAddr(text)
	return AddressRange{a, a}, err == nil
}

// AddressGroupInput is the body of an address group's create or update; nil means absent.
type AddressGroupInput struct {
	Name, Description *string
	IPVersion         *int // create only
	Addresses         *[]string
	MaxCapacity       *int
}

// AddressGroup looks one up; Reason Missing when the project has no such address group.
func (w *World) AddressGroup(project, id string) (AddressGroup, error) {
	g, ok := w.AddressGroups[id]
	if !ok || g.ProjectID != project {
		return AddressGroup{}, missing(kindAddressGroup, id)
	}
	return g, nil
}

// CreateAddressGroup makes an address group.
func (s *Store) CreateAddressGroup(project string, in AddressGroupInput) (AddressGroup, error) {
	return change(s, func(w *World, now time.Time) (AddressGroup, error) {
		g := AddressGroup{ID: s.newID(), ProjectID: project, MaxCapacity: maxGroupAddresses, CreatedAt: now, UpdatedAt: now}
		if err := required("name", in.Name, "ip_version", in.IPVersion); err != nil {
			return g, err
		}
		if g.IPVersion = *in.IPVersion; g.IPVersion != 4 && g.IPVersion != 6 {
			return g, invalid("ip_version", "'%d' is not in [4, 6]", g.IPVersion)
		}
		if err := s.fillAddressGroup(&g, in); err != nil {
			return g, err
		}
		w.AddressGroups[g.ID] = g
		return g, nil
	})
}

// UpdateAddressGroup changes what the input carries and keeps the rest; the addresses are replaced as a whole.
func (s *Store) UpdateAddressGroup(project, id string, in AddressGroupInput) (AddressGroup, error) {
	return change(s, func(w *World, now time.Time) (AddressGroup, error) {
		g, err := w.AddressGroup(project, id)
		if err != nil {
			return g, err
		}
		g.UpdatedAt = now
		if err := s.fillAddressGroup(&g, in); err != nil {
			return g, err
		}
		w.AddressGroups[id] = g
		return g, nil
	})
}

func (s *Store) fillAddressGroup(g *AddressGroup, in AddressGroupInput) error {
	if err := s.quirks.fillName(&g.Name, in.Name); err != nil {
		return err
	}
	if err := s.quirks.fillDescription(&g.Description, in.Description); err != nil {
		return err
	}
	if in.MaxCapacity != nil {
		if err := checkRange("max_capacity", *in.MaxCapacity, 0, maxGroupAddresses); err != nil {
			return err
		}
		g.MaxCapacity = *in.MaxCapacity
	}
	if in.Addresses != nil {
		g.Addresses = slices.Clone(*in.Addresses)
	}
	for _, text := range g.Addresses {
		if r, ok := parseAddresses(text); !ok || r.From.Is4() != (g.IPVersion == 4) {
			return invalid("ip_set", "'%s' is not an IPv%d address, network or range", text, g.IPVersion)
		}
	}
	if len(g.Addresses) > g.MaxCapacity {
		return quotaExceeded("ip_set", g.MaxCapacity)
	}
	return nil
}

// DeleteAddressGroup removes an address group. While a rule names it that is refused with Reason InUse, or, by force, the
// rules go too.
func (s *Store) DeleteAddressGroup(project, id string, force bool) error {
	_, err := change(s, func(w *World, now time.Time) (struct{}, error) {
		if _, err := w.AddressGroup(project, id); err != nil {
			return struct{}{}, err
		}
		for _, r := range w.GroupRules {
			if r.RemoteAddressGroup != id {
				continue
			}
			if !force {
				return struct{}{}, refuse(InUse, "%s %s is in use by security group rule %s.", kindAddressGroup, id, r.ID)
			}
			delete(w.GroupRules, r.ID)
		}
		for _, f := range w.Firewalls {
			kept := f
			names := func(r FirewallRule) bool { return r.SourceGroup == id || r.DestinationGroup == id }
			kept.Ingress, kept.Egress = slices.DeleteFunc(slices.Clone(f.Ingress), names), slices.DeleteFunc(slices.Clone(f.Egress), names)
			if len(kept.Ingress)+len(kept.Egress) == len(f.Ingress)+len(f.Egress) {
				continue
			}
			if !force {
				return struct{}{}, refuse(InUse, "%s %s is in use by network ACL %s.", kindAddressGroup, id, f.ID)
			}
			kept.UpdatedAt = now
			w.Firewalls[f.ID] = kept
		}
		delete(w.AddressGroups, id)
		return struct{}{}, nil
	})
	return err
}

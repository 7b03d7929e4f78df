package state

import (
	"reflect"
	"slices"
	"time"
)

const kindSession = "Traffic mirror session"

// Defaults and bounds of a session (VPC API reference, traffic mirror sessions).
const (
	DefaultVNI          = 1
	DefaultPacketLength = 96
	MaxVNI              = 1<<24 - 1
	MaxPacketLength     = 1460
	MaxSessionPriority  = 32766
)

// Session looks one up; Reason Missing when the project has no such session.
func (w *World) Session(project, id string) (Session, error) {
	s, ok := w.Sessions[id]
	if !ok || s.ProjectID != project {
		return Session{}, missing(kindSession, id)
	}
	return s, nil
}

// Port looks one up; Reason Missing when the project has no such port.
func (w *World) Port(project, id string) (Port, error) {
	p, ok := w.Ports[id]
	if !ok || p.ProjectID != project {
		return Port{}, missing(kindPort, id)
	}
	return p, nil
}

// CreateSession makes a session with all that it refers to.
func (s *Store) CreateSession(project string, in SessionInput) (Session, error) {
	return amend(s, func(w *World, now time.Time) (Session, error) {
		n := Session{
			ID: s.newID(), ProjectID: project, VNI: DefaultVNI, PacketLength: DefaultPacketLength, Type: TargetENI,
			Enabled: s.quirks.EnabledByDefault, CreatedAt: now, UpdatedAt: now,
		}
		err := required("name", in.Name, "traffic_mirror_filter_id", in.FilterID, "traffic_mirror_sources", in.Sources,
			"traffic_mirror_target_id", in.TargetID, "traffic_mirror_target_type", in.TargetType, "priority", in.Priority)
		if err != nil {
			return n, err
		}
		if in.Type != nil {
			if n.Type, err = pick("type", *in.Type, TargetENI); err != nil {
				return n, err
			}
		}
		n.Sources = slices.Clone(*in.Sources)
		if len(n.Sources) == 0 {
			return n, invalid("traffic_mirror_sources", "at least one source is required")
		}
		if err := s.fillSession(&n, in); err != nil {
			return n, err
		}
		if err := s.admitSession(w, n); err != nil {
			return n, err
		}
		s.putSession(w, n)
		return n, nil
	})
}

// UpdateSession changes what the input carries and keeps the rest. Sources are not among it: see AddSources and
// RemoveSources.
func (s *Store) UpdateSession(project, id string, in SessionInput) (Session, error) {
	return s.modifySession(project, id, func(n *Session) error { return s.fillSession(n, in) })
}

// AddSources adds sources to a session.
func (s *Store) AddSources(project, id string, ports []string) (Session, error) {
	return s.modifySession(project, id, func(n *Session) error {
		if err := checkSourceList(ports); err != nil {
			return err
		}
		for _, port := range ports {
			if !slices.Contains(n.Sources, port) {
				n.Sources = append(n.Sources, port)
			} else if s.quirks.StrictSources {
				return refuse(Duplicate, "Source %s is already in %s %s.", port, kindSession, id)
			}
		}
		return nil
	})
}

// RemoveSources takes sources out of a session.
func (s *Store) RemoveSources(project, id string, ports []string) (Session, error) {
	return s.modifySession(project, id, func(n *Session) error {
		if err := checkSourceList(ports); err != nil {
			return err
		}
		for _, port := range ports {
			if s.quirks.StrictSources && !slices.Contains(n.Sources, port) {
				return missing("Traffic mirror source", port)
			}
		}
		had := len(n.Sources) > 0
		n.Sources = without(n.Sources, ports)
		if had && len(n.Sources) == 0 {
			if s.quirks.RefuseLastSource {
				return refuse(Unsupported, "The last source of %s %s cannot be removed.", kindSession, id)
			}
			if s.quirks.BlankTargetWithLastSource {
				n.TargetID, n.TargetType = "", ""
			}
		}
		return nil
	})
}

func checkSourceList(ports []string) error {
	if len(ports) == 0 {
		return invalid("traffic_mirror_sources", "at least one source is required")
	}
	return nil
}

func (s *Store) modifySession(project, id string, f func(*Session) error) (Session, error) {
	return amend(s, func(w *World, now time.Time) (Session, error) {
		before, err := w.Session(project, id)
		if err != nil {
			return before, err
		}
		n := before
		n.Sources = slices.Clone(before.Sources)
		if err := f(&n); err != nil {
			return n, err
		}
		if err := s.admitSession(w, n); err != nil {
			return n, err
		}
		if !reflect.DeepEqual(n, before) {
			n.UpdatedAt = now
		}
		s.putSession(w, n)
		return n, nil
	})
}

// DeleteSession removes a session.
func (s *Store) DeleteSession(project, id string) error {
	_, err := amend(s, func(w *World, _ time.Time) (struct{}, error) {
		_, err := w.Session(project, id)
		if err == nil {
			s.dropSession(w, id)
		}
		return struct{}{}, err
	})
	return err
}

// fillSession writes the input over the session and checks each value by itself.
func (s *Store) fillSession(n *Session, in SessionInput) error {
	if err := s.quirks.fillName(&n.Name, in.Name); err != nil {
		return err
	}
	if err := s.quirks.fillDescription(&n.Description, in.Description); err != nil {
		return err
	}
	if in.FilterID != nil {
		n.FilterID = *in.FilterID
	}
	if in.TargetID != nil {
		if *in.TargetID == "" {
			return invalid("traffic_mirror_target_id", "the field must not be empty")
		}
		n.TargetID = *in.TargetID
	}
	if in.TargetType != nil {
		t, err := pick("traffic_mirror_target_type", *in.TargetType, TargetENI, TargetELB)
		if err != nil {
			return err
		}
		n.TargetType = t
	}
	if in.Enabled != nil {
		n.Enabled = *in.Enabled
	}
	for _, number := range []struct {
		field     string
		in        *int
		out       *int
		low, high int
	}{
		{"virtual_network_id", in.VNI, &n.VNI, 0, MaxVNI},
		{"packet_length", in.PacketLength, &n.PacketLength, 1, MaxPacketLength},
		{"priority", in.Priority, &n.Priority, 1, MaxSessionPriority},
	} {
		if number.in == nil {
			continue
		}
		if err := checkRange(number.field, *number.in, number.low, number.high); err != nil {
			return err
		}
		*number.out = *number.in
	}
	return nil
}

// admitSession checks what the session refers to, what must be unique and the quotas.
func (s *Store) admitSession(w *World, n Session) error {
	if dup, found := firstDuplicate(n.Sources); found {
		return invalid("traffic_mirror_sources", "'%s' appears twice", dup)
	}
	before := w.Sessions[n.ID] // zero for a new session
	if before.FilterID != n.FilterID {
		if _, err := w.filter(n.ProjectID, n.FilterID); err != nil {
			return err
		}
	}
	if before.TargetID != n.TargetID || before.TargetType != n.TargetType {
		if err := w.checkTarget(n); err != nil {
			return err
		}
	}
	for _, source := range n.Sources {
		if slices.Contains(before.Sources, source) {
			continue // an old source may have gone since; the session stays changeable
		}
		if err := s.checkSource(w, n, source); err != nil {
			return err
		}
	}
	if err := s.checkRelations(w, n); err != nil {
		return err
	}
	return s.checkSessionQuotas(w, n)
}

func (w *World) checkTarget(n Session) error {
	if n.TargetID == "" {
		return nil // blanked by removing the last source
	}
	if n.TargetType == TargetELB {
		if lb, ok := w.LoadBalancers[n.TargetID]; !ok || lb.ProjectID != n.ProjectID {
			return missing("Load balancer", n.TargetID)
		}
		return nil
	}
	_, err := w.Port(n.ProjectID, n.TargetID)
	return err
}

func (s *Store) checkSource(w *World, n Session, id string) error {
	port, err := w.Port(n.ProjectID, id)
	if err != nil {
		return err
	}
	if port.ServerID == "" {
		return refuse(Unsupported, "Port %s is not attached to a server and cannot be a traffic mirror source.", id)
	}
	if !s.quirks.AcceptAnyFlavor && !w.Flavor(port.Flavor).Accepted {
		return refuse(Unsupported, "Flavor %s of port %s does not support traffic mirroring.", port.Flavor, id)
	}
	return nil
}

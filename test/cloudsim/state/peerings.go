package state

import (
	"slices"
	"time"
)

// VPC is a private network.
type VPC struct {
	ID, ProjectID, Name string
	CIDR                string // empty where the scenario names none
	CreatedAt           time.Time
}

// What the cloud says of a peering.
const (
	PeeringPending  = "PENDING_ACCEPTANCE"
	PeeringRejected = "REJECTED"
	PeeringExpired  = "EXPIRED"
	PeeringDeleted  = "DELETED"
	PeeringActive   = "ACTIVE"
)

// PeeringStatuses are all that there are.
var PeeringStatuses = []string{PeeringPending, PeeringRejected, PeeringExpired, PeeringDeleted, PeeringActive}

const kindPeering = "VPC peering"

// PeeringSide is one of the two VPCs of a peering.
type PeeringSide struct{ VPCID, ProjectID string }

// Peering is a connection of two VPCs. Packets pass only while it is ACTIVE, and where both sides have routes.
type Peering struct {
	ID, Name, Description string
	Status                string
	Requester, Accepter   PeeringSide
	CreatedAt, UpdatedAt  time.Time
}

// Of reports whether the project has a side of the peering.
func (p Peering) Of(project string) bool {
	return p.Requester.ProjectID == project || p.Accepter.ProjectID == project
}

// PeeringInput is the body of a peering's create or update; nil means absent.
type PeeringInput struct {
	Name, Description   *string
	Requester, Accepter *PeeringSide // create only; an empty project is the caller's own
}

// VPC looks one up; Reason Missing when the project has no such VPC.
func (w *World) VPC(project, id string) (VPC, error) {
	v, ok := w.VPCs[id]
	if !ok || v.ProjectID != project {
		return VPC{}, missing("VPC", id)
	}
	return v, nil
}

// Subnet looks one up; Reason Missing when the project has no such subnet.
func (w *World) Subnet(project, id string) (Subnet, error) {
	s, ok := w.Subnets[id]
	if !ok || s.ProjectID != project {
		return Subnet{}, missing("Subnet", id)
	}
	return s, nil
}

// Peering looks one up; Reason Missing when the project has no side of it.
func (w *World) Peering(project, id string) (Peering, error) {
	p, ok := w.Peerings[id]
	if !ok || !p.Of(project) {
		return Peering{}, missing(kindPeering, id)
	}
	return p, nil
}

// CreatePeering asks for a connection of two VPCs. Within a project it is ACTIVE at once; another project has to accept it.
func (s *Store) CreatePeering(project string, in PeeringInput) (Peering, error) {
	return change(s, func(w *World, now time.Time) (Peering, error) {
		p := Peering{ID: s.newID(), Status: PeeringActive, CreatedAt: now, UpdatedAt: now}
		if err := required("name", in.Name); err != nil {
			return p, err
		}
		if in.Requester == nil || in.Accepter == nil {
			return p, invalid("request_vpc_info", "request_vpc_info and accept_vpc_info are required")
		}
		if err := s.fillPeering(&p, in); err != nil {
			return p, err
		}
		p.Requester, p.Accepter = *in.Requester, *in.Accepter
		p.Requester.ProjectID = project
		if p.Accepter.ProjectID == "" {
			p.Accepter.ProjectID = project
		}
		for _, side := range []PeeringSide{p.Requester, p.Accepter} {
			if _, err := w.VPC(side.ProjectID, side.VPCID); err != nil {
				return p, err
			}
		}
		if p.Requester.VPCID == p.Accepter.VPCID {
			return p, invalid("accept_vpc_info", "a VPC cannot be connected with itself")
		}
		for _, other := range w.Peerings {
			if other.joins(p.Requester.VPCID, p.Accepter.VPCID) && other.Status != PeeringRejected {
				return p, refuse(Duplicate, "%s %s between these VPCs already exists.", kindPeering, other.ID)
			}
		}
		if p.Accepter.ProjectID != project {
			p.Status = PeeringPending
		}
		w.Peerings[p.ID] = p
		return p, nil
	})
}

// joins reports whether the peering is of these two VPCs.
func (p Peering) joins(a, b string) bool {
	return p.Requester.VPCID == a && p.Accepter.VPCID == b || p.Requester.VPCID == b && p.Accepter.VPCID == a
}

func (s *Store) fillPeering(p *Peering, in PeeringInput) error {
	if err := s.quirks.fillName(&p.Name, in.Name); err != nil {
		return err
	}
	return s.quirks.fillDescription(&p.Description, in.Description)
}

func (s *Store) modifyPeering(project, id string, f func(p *Peering) error) (Peering, error) {
	return change(s, func(w *World, now time.Time) (Peering, error) {
		p, err := w.Peering(project, id)
		if err != nil {
			return p, err
		}
		p.UpdatedAt = now
		if err := f(&p); err != nil {
			return p, err
		}
		w.Peerings[id] = p
		return p, nil
	})
}

// UpdatePeering changes what the input carries and keeps the rest.
func (s *Store) UpdatePeering(project, id string, in PeeringInput) (Peering, error) {
	return s.modifyPeering(project, id, func(p *Peering) error { return s.fillPeering(p, in) })
}

// AnswerPeering accepts or rejects a peering that waits for it; only the accepter's project may.
func (s *Store) AnswerPeering(project, id, status string) (Peering, error) {
	return s.modifyPeering(project, id, func(p *Peering) error {
		if p.Accepter.ProjectID != project {
			return missing(kindPeering, id)
		}
		if p.Status != PeeringPending {
			return refuse(Unsupported, "%s %s is %s and waits for no answer.", kindPeering, id, p.Status)
		}
		p.Status = status
		return nil
	})
}

// SetPeeringStatus gives a peering a status, whatever it was.
func (s *Store) SetPeeringStatus(id, status string) (Peering, error) {
	return change(s, func(w *World, now time.Time) (Peering, error) {
		p, ok := w.Peerings[id]
		if !ok {
			return p, missing(kindPeering, id)
		}
		var err error
		if p.Status, err = pick("status", status, PeeringStatuses...); err != nil {
			return p, err
		}
		p.UpdatedAt = now
		w.Peerings[id] = p
		return p, nil
	})
}

// DeletePeering removes a peering, and the routes that led over it.
func (s *Store) DeletePeering(project, id string) error {
	_, err := change(s, func(w *World, now time.Time) (struct{}, error) {
		if _, err := w.Peering(project, id); err != nil {
			return struct{}{}, err
		}
		delete(w.Peerings, id)
		for _, t := range w.RouteTables {
			kept := slices.DeleteFunc(slices.Clone(t.Routes), func(r Route) bool { return r.Type == RoutePeering && r.NextHop == id })
			if len(kept) < len(t.Routes) {
				t.Routes, t.UpdatedAt = kept, now
				w.RouteTables[t.ID] = t
			}
		}
		return struct{}{}, nil
	})
	return err
}

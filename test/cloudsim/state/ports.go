package state

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// What the cloud says of a port.
const (
	PortActive = "ACTIVE"
	PortDown   = "DOWN"
)

const kindPort = "Port"

// PortInput is the body of a port's create or update; nil means absent.
type PortInput struct {
	Name           *string
	SubnetID       *string   // create only
	Addresses      *[]string // create only
	SecurityGroups *[]string
	AllowedPairs   *[]AddressPair
}

// CreatePort makes a port that is attached to nothing. Without an address it gets a free one of the subnet.
func (s *Store) CreatePort(project string, in PortInput) (Port, error) {
	return change(s, func(w *World, now time.Time) (Port, error) { return s.createPort(w, project, in, now) })
}

func (s *Store) createPort(w *World, project string, in PortInput, now time.Time) (Port, error) {
	p := Port{ID: s.newID(), ProjectID: project, Name: value(in.Name), Status: PortDown, CreatedAt: now, UpdatedAt: now}
	if err := required("network_id", in.SubnetID); err != nil {
		return p, err
	}
	subnet, ok := w.Subnets[*in.SubnetID]
	if !ok || subnet.ProjectID != project {
		return p, missing("Network", *in.SubnetID)
	}
	p.SubnetID, p.VPCID = subnet.ID, subnet.VPCID
	for _, text := range value(in.Addresses) {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Is4() && !subnet.CIDR.Contains(addr) {
			return p, invalid("fixed_ips", "'%s' is not an address of the subnet %s", text, subnet.CIDR)
		}
		if taken, by := w.addressTaken(subnet.VPCID, addr); taken {
			return p, refuse(Duplicate, "IP address %s is already allocated to %s.", addr, by)
		}
		p.Addresses = append(p.Addresses, addr)
	}
	if len(p.Addresses) == 0 {
		addr, err := w.freeAddress(subnet)
		if err != nil {
			return p, err
		}
		p.Addresses = []netip.Addr{addr}
	}
	p.MAC = s.macFor(w, p)
	if err := w.setGroups(&p, value(in.SecurityGroups)); err != nil {
		return p, err
	}
	w.Ports[p.ID] = p
	return p, nil
}

func (w *World) addressTaken(vpc string, addr netip.Addr) (taken bool, by string) {
	for _, p := range w.Ports {
		if p.VPCID == vpc && slices.Contains(p.Addresses, addr) {
			return true, "port " + p.ID
		}
	}
	for _, s := range w.Subnets {
		if s.VPCID == vpc && s.Gateway == addr {
			return true, "the gateway of subnet " + s.ID
		}
	}
	return false, ""
}

func (w *World) freeAddress(subnet Subnet) (netip.Addr, error) {
	for addr := subnet.CIDR.Addr().Next(); subnet.CIDR.Contains(addr); addr = addr.Next() {
		if taken, _ := w.addressTaken(subnet.VPCID, addr); !taken && subnet.CIDR.Contains(addr.Next()) { // not the broadcast address
			return addr, nil
		}
	}
	return netip.Addr{}, refuse(QuotaExceeded, "No more IP addresses available on network %s.", subnet.ID)
}

// macFor gives the MAC of the interface that has the port's addresses, so that its host need not change, or a new one.
func (s *Store) macFor(w *World, p Port) string {
	for _, i := range w.Interfaces {
		if i.VPCID == p.VPCID && slices.Equal(i.Addresses, p.Addresses) {
			return i.MAC
		}
	}
	var a, b, c uint8
	if _, err := fmt.Sscanf(p.ID, "%2x%2x%2x", &a, &b, &c); err != nil {
		panic(fmt.Sprintf("the port's ID %q is no UUID: %v", p.ID, err))
	}
	return fmt.Sprintf("fa:16:3e:%02x:%02x:%02x", a, b, c)
}

func (w *World) setGroups(p *Port, groups []string) error {
	for _, id := range groups {
		if _, err := w.Group(p.ProjectID, id); err != nil {
			return err
		}
	}
	if dup, found := firstDuplicate(groups); found {
		return invalid("security_groups", "'%s' appears twice", dup)
	}
	p.SecurityGroups = slices.Clone(groups)
	return nil
}

func (s *Store) modifyPort(project, id string, f func(w *World, p *Port) error) (Port, error) {
	return change(s, func(w *World, now time.Time) (Port, error) {
		p, err := w.Port(project, id)
		if err != nil {
			return p, err
		}
		p.UpdatedAt = now
		if err := f(w, &p); err != nil {
			return p, err
		}
		w.Ports[id] = p
		return p, nil
	})
}

// UpdatePort changes what the input carries and keeps the rest.
func (s *Store) UpdatePort(project, id string, in PortInput) (Port, error) {
	return s.modifyPort(project, id, func(w *World, p *Port) error {
		if in.Name != nil {
			p.Name = *in.Name
		}
		if in.AllowedPairs != nil {
			for _, pair := range *in.AllowedPairs {
				if _, ok := parseAddresses(pair.Address); !ok || strings.Contains(pair.Address, "-") || pair.Address == "0.0.0.0/0" {
					return invalid("allowed_address_pairs", "'%s' is not an address or network, or not allowed", pair.Address)
				}
			}
			p.AllowedPairs = slices.Clone(*in.AllowedPairs)
		}
		if in.SecurityGroups == nil {
			return nil
		}
		return w.setGroups(p, *in.SecurityGroups)
	})
}

// InsertGroups binds security groups to a port, after the first index ones; nil means after all.
func (s *Store) InsertGroups(project, id string, groups []string, index *int) (Port, error) {
	return s.modifyPort(project, id, func(w *World, p *Port) error {
		if len(groups) == 0 {
			return invalid("security_groups", "at least one security group is required")
		}
		at := len(p.SecurityGroups)
		if index != nil {
			if err := checkRange("index", *index, 0, at); err != nil {
				return err
			}
			at = *index
		}
		return w.setGroups(p, slices.Insert(slices.Clone(p.SecurityGroups), at, groups...))
	})
}

// RemoveGroups takes security groups off a port.
func (s *Store) RemoveGroups(project, id string, groups []string) (Port, error) {
	return s.modifyPort(project, id, func(w *World, p *Port) error {
		for _, group := range groups {
			if !slices.Contains(p.SecurityGroups, group) {
				return missing(kindGroup, group)
			}
		}
		return w.setGroups(p, without(p.SecurityGroups, groups))
	})
}

// DeletePort removes a port; Reason InUse while it is attached to a server. Sessions keep its ID.
func (s *Store) DeletePort(project, id string) error {
	_, err := change(s, func(w *World, _ time.Time) (struct{}, error) {
		p, err := w.Port(project, id)
		if err == nil && p.ServerID != "" {
			err = refuse(InUse, "%s %s is in use by server %s.", kindPort, id, p.ServerID)
		}
		if err == nil {
			s.removePort(w, id)
		}
		return struct{}{}, err
	})
	return err
}

// AttachPort attaches a port to a server, or makes one in the subnet that the input names and attaches that.
func (s *Store) AttachPort(project, server, port string, in PortInput) (Port, Job, error) {
	var job Job
	attached, err := change(s, func(w *World, now time.Time) (Port, error) {
		if _, err := w.Server(project, server); err != nil {
			return Port{}, err
		}
		var p Port
		var err error
		if port != "" {
			p, err = w.Port(project, port)
		} else {
			p, err = s.createPort(w, project, in, now)
		}
		if err != nil {
			return p, err
		}
		if err := w.attach(&p, server, now); err != nil {
			return p, err
		}
		job = s.job(w, project, JobAttachNIC, []string{server}, now)
		job.PortID = p.ID
		w.Jobs[job.ID] = job
		return p, nil
	})
	return attached, job, err
}

// attach plugs a port into the free interface of the server that has its addresses. Without one, the API shows it as
// attached, and no packet passes it.
func (w *World) attach(p *Port, server string, now time.Time) error {
	if p.ServerID != "" {
		return refuse(InUse, "%s %s is in use by server %s.", kindPort, p.ID, p.ServerID)
	}
	others := w.PortsOf(server)
	if len(others) > 0 && others[0].VPCID != p.VPCID {
		return refuse(Unsupported, "%s %s is in VPC %s, the server in %s.", kindPort, p.ID, p.VPCID, others[0].VPCID)
	}
	p.ServerID, p.Flavor, p.Primary = server, w.Servers[server].Flavor, len(others) == 0
	p.Status, p.UpdatedAt, p.Interface = PortActive, now, ""
	for _, i := range w.Interfaces {
		if i.ServerID == server && i.SubnetID == p.SubnetID && slices.Equal(i.Addresses, p.Addresses) && !w.plugged(i.ID) {
			p.Interface = i.ID
		}
	}
	w.Ports[p.ID] = *p
	return nil
}

func (w *World) plugged(iface string) bool {
	for _, p := range w.Ports {
		if p.Interface == iface {
			return true
		}
	}
	return false
}

// DeleteServerPorts takes ports off a server and removes them, as the ECS service does; the primary one stays.
func (s *Store) DeleteServerPorts(project, server string, ids []string) (Job, error) {
	return change(s, func(w *World, now time.Time) (Job, error) {
		if _, err := w.Server(project, server); err != nil {
			return Job{}, err
		}
		if len(ids) == 0 {
			return Job{}, invalid("nics", "at least one interface is required")
		}
		for _, id := range ids {
			p, err := w.Port(project, id)
			switch {
			case err != nil:
				return Job{}, err
			case p.ServerID != server:
				return Job{}, refuse(Unsupported, "%s %s is not attached to %s %s.", kindPort, id, kindServer, server)
			case p.Primary:
				return Job{}, refuse(Unsupported, "%s %s is the primary interface of %s %s and cannot be deleted.", kindPort, id, kindServer, server)
			}
			s.removePort(w, id)
		}
		return s.job(w, project, JobDeleteNICs, []string{server}, now), nil
	})
}

// DetachPort takes a port off its server, the primary one too, and keeps it.
func (s *Store) DetachPort(id string) (Port, error) {
	return s.overPort(id, func(w *World, p Port, now time.Time) Port {
		p.ServerID, p.Flavor, p.Primary, p.Interface, p.Status, p.UpdatedAt = "", "", false, "", PortDown, now
		w.Ports[id] = p
		return p
	})
}

// DropPort removes a port, whatever it is attached to.
func (s *Store) DropPort(id string) error {
	_, err := s.overPort(id, func(w *World, p Port, _ time.Time) Port {
		s.removePort(w, id)
		return p
	})
	return err
}

// removePort takes a port out of the world. What sessions make of it no document says.
func (s *Store) removePort(w *World, id string) {
	delete(w.Ports, id)
	if !s.quirks.DeadPortsLeaveSessions {
		return
	}
	for _, session := range w.Sessions {
		session.Sources = without(session.Sources, []string{id})
		w.Sessions[session.ID] = session
	}
}

// ReplacePort puts a port with another ID in a port's place, with all else the same.
func (s *Store) ReplacePort(id string) (Port, error) {
	return s.overPort(id, func(w *World, p Port, now time.Time) Port { return s.renamePort(w, p, now) })
}

func (s *Store) renamePort(w *World, p Port, now time.Time) Port {
	delete(w.Ports, p.ID)
	p.ID, p.CreatedAt, p.UpdatedAt = s.newID(), now, now
	w.Ports[p.ID] = p
	return p
}

// overPort changes a port as no call of the API can.
func (s *Store) overPort(id string, f func(w *World, p Port, now time.Time) Port) (Port, error) {
	return change(s, func(w *World, now time.Time) (Port, error) {
		p, ok := w.Ports[id]
		if !ok {
			return p, missing(kindPort, id)
		}
		return f(w, p, now), nil
	})
}

package state

import (
	"time"

	"vpcmirror.io/operator/test/cloudsim/scenario"
)

// PortSettings is what of a port a control call changes, since no call of the API does; nil keeps what is there.
type PortSettings struct {
	// MTU of the device that the port is plugged into; 0 means the greatest.
	MTU *int
	// Status is ACTIVE, BUILD or DOWN; packets pass only while it is ACTIVE.
	Status *string
	// Secured: security groups and the check of source addresses apply.
	Secured *bool
}

// SetPort changes settings of a port.
func (s *Store) SetPort(id string, in PortSettings) error {
	if mtu := value(in.MTU); mtu != 0 {
		if err := checkRange("mtu", mtu, scenario.MinMTU, scenario.MaxMTU); err != nil {
			return err
		}
	}
	status := value(in.Status)
	if in.Status != nil {
		var err error
		if status, err = pick("status", status, PortActive, "BUILD", PortDown); err != nil {
			return err
		}
	}
	_, err := s.overPort(id, func(w *World, p Port, _ time.Time) Port {
		if i, ok := w.Interfaces[p.Interface]; ok && in.MTU != nil {
			i.MTU = *in.MTU
			w.Interfaces[i.ID] = i
		}
		if status != "" {
			p.Status = status
		}
		if in.Secured != nil {
			p.Unsecured = !*in.Secured
		}
		w.Ports[id] = p
		return p
	})
	return err
}

// SetPropagation changes how long the network takes to do as the state says.
func (s *Store) SetPropagation(delay time.Duration) error {
	if delay < 0 {
		return invalid("propagation_delay", "'%s' is negative", delay)
	}
	s.Edit(func(w *World) { w.Propagation = delay })
	return nil
}

// FlavorInput is what of a flavor a control call changes; nil keeps what is there.
type FlavorInput struct{ Mirroring, Accepted, Carries, Undeclared *bool }

// SetFlavor changes what a flavor says of mirroring, and what it does.
func (s *Store) SetFlavor(name string, in FlavorInput) Flavor {
	var f Flavor
	s.Edit(func(w *World) {
		f = w.Flavor(name)
		for _, field := range []struct{ to, from *bool }{
			{&f.Mirroring, in.Mirroring}, {&f.Accepted, in.Accepted}, {&f.Carries, in.Carries}, {&f.Undeclared, in.Undeclared},
		} {
			if field.from != nil {
				*field.to = *field.from
			}
		}
		w.Flavors[name] = f
	})
	return f
}

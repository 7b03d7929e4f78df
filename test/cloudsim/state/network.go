package state

import (
	"time"

	"vpcmirror.io/operator/test/cloudsim/scenario"
)

// SetMTU changes the MTU of the device that a port is plugged into; 0 means the greatest.
func (s *Store) SetMTU(port string, mtu int) error {
	if mtu != 0 {
		if err := checkRange("mtu", mtu, scenario.MinMTU, scenario.MaxMTU); err != nil {
			return err
		}
	}
	_, err := s.overPort(port, func(w *World, p Port, _ time.Time) Port {
		if i, ok := w.Interfaces[p.Interface]; ok {
			i.MTU = mtu
			w.Interfaces[i.ID] = i
		}
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

package dataplane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// Plane is a running data plane: hosts in network namespaces, and the switch
// between them. Safe for concurrent use.
type Plane struct {
	layout  Layout
	log     *slog.Logger
	sw      *Switch
	claim   *netns.Claim
	devices map[string]*device // by port ID
	readers sync.WaitGroup
	mtus    sync.Mutex // guards those of the devices

	unwatch context.CancelFunc
	closing sync.Once
	closed  error
}

// Start makes the hosts of the layout and plugs them in. Leftovers of a killed
// process with the same prefix are removed first. Nothing passes between the
// hosts but ARP and neighbour discovery until the first Apply.
//
// Everything is torn down by Close and when ctx ends, and when Start itself
// fails. It fails with an *UnavailableError when root, CAP_NET_ADMIN or
// /dev/net/tun is missing, with a *netns.InUseError when a living process has
// the prefix, and with a plain sentence for a mistake in the layout.
func Start(ctx context.Context, layout Layout, log *slog.Logger) (*Plane, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	watched, unwatch := context.WithCancel(ctx)
	p := &Plane{layout: layout, log: log, devices: map[string]*device{}, unwatch: unwatch}
	sw, err := NewSwitch(layout, p.plug, time.Now)
	if err != nil {
		unwatch()
		return nil, fmt.Errorf("layout: %w", err)
	}
	p.sw = sw
	if p.claim, err = netns.Acquire(layout.Prefix); err != nil {
		unwatch()
		return nil, err
	}
	for _, h := range layout.Hosts {
		if err := ctx.Err(); err != nil {
			return nil, errors.Join(err, p.Close())
		}
		if err := p.addHost(h); err != nil {
			return nil, errors.Join(fmt.Errorf("host %s: %w", h.Name, err), p.Close())
		}
	}
	for id, d := range p.devices {
		p.readers.Add(1)
		go p.read(sw.Port(id), d.file)
	}
	context.AfterFunc(watched, func() {
		if err := p.Close(); err != nil {
			log.Error("could not take the data plane down", "error", err)
		}
	})
	return p, nil
}

// Cleanup removes what a process that was killed left of the plane with this
// prefix. It removes only namespaces that a plane recorded as its own, and
// fails with a *netns.InUseError while the plane's process lives.
func Cleanup(prefix string) error { return netns.Cleanup(prefix) }

// plug makes the device of a port, which gets its file once its host exists.
func (p *Plane) plug(portID string) Deliver {
	d := &device{mtu: mtu}
	p.devices[portID] = d
	return d.write
}

func (p *Plane) addHost(h Host) error {
	return p.claim.Create(p.layout.Prefix+h.Name, func() error {
		files, err := setUpHost(h)
		for i, f := range files {
			p.devices[h.Interfaces[i].PortID].file = f
		}
		return err
	})
}

// read carries frames from a host to the switch until the device is closed.
func (p *Plane) read(port *SwitchPort, file *os.File) {
	defer p.readers.Done()
	buffer := make([]byte, maxFrame+1) // one more, so that a longer frame is seen to be longer
	for {
		n, err := file.Read(buffer)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			// The device itself is gone, by someone with root in the namespace.
			p.log.Warn("interface no longer readable, its host is cut off", "port", port.id, "error", err)
			return
		}
		port.Receive(buffer[:n])
	}
}

// Apply replaces the configuration as a whole. Mistakes in it are logged and
// match nothing (see Config.Validate).
func (p *Plane) Apply(config Config) {
	if err := config.Validate(); err != nil {
		p.log.Warn("configuration has mistakes, which match nothing", "error", err)
	}
	p.setMTUs(config)
	p.sw.Apply(config)
}

// setMTUs gives the hosts' devices the MTUs of the configuration.
func (p *Plane) setMTUs(config Config) {
	wanted := map[string]int{}
	for _, port := range config.Ports {
		wanted[cmp.Or(port.Interface, port.ID)] = port.MTU
	}
	p.mtus.Lock()
	defer p.mtus.Unlock()
	for _, h := range p.layout.Hosts {
		for _, nic := range h.Interfaces {
			d := p.devices[nic.PortID]
			value := cmp.Or(wanted[nic.PortID], mtu)
			if value == d.mtu {
				continue
			}
			if err := netns.In(p.Namespace(h.Name), func() error { return setMTU(nic.Name, value) }); err != nil {
				p.log.Warn("could not set the MTU of a host's interface", "host", h.Name, "interface", nic.Name, "error", err)
				continue
			}
			d.mtu = value
		}
	}
}

// Stats gives the counters since the start, also after Close.
func (p *Plane) Stats() Stats { return p.sw.Stats() }

// Namespace gives the name, under /run/netns, of a host's namespace.
func (p *Plane) Namespace(host string) string { return p.layout.Prefix + host }

// Close stops the switch and removes the namespaces' names. A process that is
// still inside one keeps it, without a network, until it ends. Calling it again
// gives the same answer.
func (p *Plane) Close() error {
	p.closing.Do(func() {
		p.unwatch()
		for _, d := range p.devices {
			if d.file != nil {
				p.closed = errors.Join(p.closed, d.file.Close())
			}
		}
		p.readers.Wait()
		p.closed = errors.Join(p.closed, p.claim.Release())
	})
	return p.closed
}

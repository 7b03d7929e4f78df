package dataplane

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Deliver hands a frame to a host. The frame must not be kept or changed. It
// may be called by several goroutines at once.
type Deliver func(frame []byte) error

// Switch decides what becomes of each frame. Ports, MACs and addresses are those
// of the layout; groups and sessions are those of the last Apply. Before the
// first Apply only ARP and neighbour discovery pass. Safe for concurrent use.
type Switch struct {
	now      func() time.Time
	ports    []*SwitchPort
	byID     map[string]*SwitchPort
	networks map[string]*network
	config   atomic.Pointer[compiled]

	mu       sync.Mutex // guards what follows and orders Apply
	counters map[string]*sessionCounters
	former   []string // sessions without a configuration, oldest first
}

// network is a VPC: frames leave it only over a peering, from gateway to gateway.
type network struct {
	ports     []*SwitchPort
	byMAC     map[[6]byte]*SwitchPort
	byAddress map[netip.Addr]*SwitchPort
	gateways  []gateway
}

// gateway is a Gateway made ready for use.
type gateway struct {
	subnet  netip.Prefix
	address netip.Addr
	mac     [6]byte
}

// SwitchPort is an interface's place in the switch.
type SwitchPort struct {
	id        string
	index     int
	mac       [6]byte
	addresses []netip.Addr
	network   *network
	sw        *Switch
	flows     [guards]*flowTable
	counters  portCounters
	deliver   Deliver
	tunnelID  atomic.Uint32

	// Receive's own buffers; it is never called twice at once.
	copyBuffer  []byte
	replyBuffer []byte
}

// compiled is a configuration made ready for matching. It never changes.
type compiled struct {
	generation uint64
	ports      []portState // by port index
	peerings   map[string]peering
	networks   []*network // in the order of their names
	copies     CopyRules
}

type portState struct {
	cutOff         bool // nothing passes in either direction
	policy         portPolicy
	noAddressCheck bool
	unsecured      bool
	subnet         *subnet // nil: of none that is known
	sessions       []*mirrorSession
}

// NewSwitch makes a switch for the layout. deliver gives each port the way to
// its host; now is the clock by which flows age. It fails on a layout that does
// not validate.
func NewSwitch(layout Layout, deliver func(portID string) Deliver, now func() time.Time) (*Switch, error) {
	if err := layout.Validate(); err != nil {
		return nil, err
	}
	s := &Switch{
		now: now, byID: map[string]*SwitchPort{}, networks: map[string]*network{},
		counters: map[string]*sessionCounters{},
	}
	for _, g := range layout.Gateways {
		n := s.network(g.VPC)
		n.gateways = append(n.gateways, gateway{subnet: g.Subnet.Masked(), address: g.Address, mac: [6]byte(g.MAC)})
	}
	for _, h := range layout.Hosts {
		for _, nic := range h.Interfaces {
			s.addPort(nic, deliver(nic.PortID))
		}
	}
	s.Apply(Config{})
	return s, nil
}

func (s *Switch) addPort(nic Interface, deliver Deliver) {
	n := s.network(nic.VPC)
	p := &SwitchPort{
		id: nic.PortID, index: len(s.ports), mac: [6]byte(nic.MAC), network: n, sw: s,
		flows: [guards]*flowTable{newFlowTable(), newFlowTable()}, deliver: deliver,
		copyBuffer: make([]byte, maxTunnel), replyBuffer: make([]byte, 128),
	}
	for _, a := range nic.Addresses {
		p.addresses = append(p.addresses, a.Addr())
		n.byAddress[a.Addr()] = p
	}
	n.byMAC[p.mac] = p
	n.ports = append(n.ports, p)
	s.ports = append(s.ports, p)
	s.byID[p.id] = p
}

func (s *Switch) network(vpc string) *network {
	n, ok := s.networks[vpc]
	if !ok {
		n = &network{byMAC: map[[6]byte]*SwitchPort{}, byAddress: map[netip.Addr]*SwitchPort{}}
		s.networks[vpc] = n
	}
	return n
}

// ordered gives the VPCs in the order of their names.
func (s *Switch) ordered() []*network {
	var out []*network
	for _, name := range slices.Sorted(maps.Keys(s.networks)) {
		out = append(out, s.networks[name])
	}
	return out
}

// Port gives the place of an interface, or nil for an unknown port ID.
func (s *Switch) Port(id string) *SwitchPort { return s.byID[id] }

// Apply replaces the configuration as a whole: a frame is handled by the old one
// or by the new one, never by a mixture.
func (s *Switch) Apply(config Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := &compiled{ports: make([]portState, len(s.ports)), peerings: s.compilePeerings(config.Peerings), copies: config.Copies, networks: s.ordered()}
	if last := s.config.Load(); last != nil {
		next.generation = last.generation + 1
	}
	groups := map[string]int{}
	for i, g := range config.Groups {
		groups[g.ID] = i
	}
	plugged, subnets := s.plug(config, next.ports), compileSubnets(config.Subnets)
	for _, p := range config.Ports {
		if port := plugged[p.ID]; port != nil {
			state := &next.ports[port.index]
			state.policy = compilePolicy(p, config.Groups, groups)
			state.noAddressCheck, state.unsecured = p.NoAddressCheck || p.Unsecured, p.Unsecured
			state.subnet = subnets[p.Subnet]
		}
	}
	s.compileSessions(config, plugged, next.ports)
	s.retire(config)
	s.config.Store(next)
}

// plug finds the interface of each port, and cuts off those that none is plugged
// into or whose port is down.
func (s *Switch) plug(config Config, into []portState) map[string]*SwitchPort {
	plugged := map[string]*SwitchPort{}
	for i := range into {
		into[i].cutOff = len(config.Ports) > 0
	}
	for _, p := range config.Ports {
		if port := s.byID[cmp.Or(p.Interface, p.ID)]; port != nil {
			plugged[p.ID] = port
			into[port.index].cutOff = p.Down
		}
	}
	return plugged
}

// maxFormer bounds how many removed sessions keep their counters.
const maxFormer = 4096

// countersOf gives a session's counters. Call with mu held.
func (s *Switch) countersOf(id string) *sessionCounters {
	c, ok := s.counters[id]
	if !ok {
		c = &sessionCounters{}
		s.counters[id] = c
	}
	return c
}

// retire notes which sessions are gone and forgets the oldest of them when
// there are too many. Call with mu held.
func (s *Switch) retire(config Config) {
	live := map[string]bool{}
	for _, session := range config.Sessions {
		live[session.ID] = true
	}
	known := map[string]bool{}
	var former []string
	for _, id := range s.former {
		if known[id] = true; !live[id] {
			former = append(former, id)
		}
	}
	for id := range s.counters {
		if !live[id] && !known[id] {
			former = append(former, id)
		}
	}
	for len(former) > maxFormer {
		delete(s.counters, former[0])
		former = former[1:]
	}
	s.former = former
}

// Stats gives the counters since the start.
func (s *Switch) Stats() Stats {
	out := Stats{Ports: map[string]PortStats{}, Sessions: map[string]SessionStats{}}
	now := s.now()
	for _, p := range s.ports {
		flows, evicted := p.flows[byGroups].count(now)
		out.Ports[p.id] = PortStats{
			FromHost: p.counters.fromHost.Load(), DroppedFromHost: p.counters.droppedFromHost.snapshot(),
			ToHost: p.counters.toHost.Load(), CopiesToHost: p.counters.copiesToHost.Load(),
			DroppedToHost: p.counters.droppedToHost.snapshot(),
			Flows:         flows, FlowsEvicted: evicted,
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.counters {
		out.Sessions[id] = c.snapshot()
	}
	return out
}

package state

import (
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"

	"vpcmirror.io/operator/test/cloudsim/scenario"
)

// LoadBalancer is a private load balancer, which may be a mirror target.
type LoadBalancer struct {
	ID, ProjectID, Name, VPCID, SubnetID string
	PortID                               string // of the interface that has its address
	Address                              netip.Addr
	Off                                  bool
	Shared                               bool // else it is dedicated
	CreatedAt, UpdatedAt                 time.Time
}

// Listener takes what comes to a port of a load balancer.
type Listener struct {
	ID, ProjectID, Name, LoadBalancerID string
	Protocol                            string
	Port                                int
	PoolID                              string // empty for none
	Off                                 bool
	// HidesClients: what comes to a member bears the load balancer's address. Only a listener of a shared one can.
	HidesClients         bool
	CreatedAt, UpdatedAt time.Time
}

// Pool is a group of members, which serves any number of listeners of its load balancer.
type Pool struct {
	ID, ProjectID, Name, LoadBalancerID string
	Protocol, Algorithm                 string
	Off                                 bool
	// AnyPort: a member gets what comes at the port to which it was sent.
	AnyPort bool
	// Unchecked: nobody asks how the members are.
	Unchecked            bool
	Members              []Member
	CreatedAt, UpdatedAt time.Time
}

// What the checks say of a member.
const (
	MemberOnline    = "ONLINE"
	MemberOffline   = "OFFLINE"
	MemberUnchecked = "NO_MONITOR"
)

// Member is a server of a pool, by the address of an interface.
type Member struct {
	ID, Name, Address string
	SubnetID          string
	Port, Weight      int
	Off               bool
	// Status is what the checks were told to say; empty lets them see by themselves.
	Status               string
	CreatedAt, UpdatedAt time.Time
}

const (
	kindLoadBalancer = "Load balancer"
	kindListener     = "Listener"
	kindPool         = "Pool"
	kindMember       = "Member"
)

// derived is an ID that follows from another, so that a scenario always gives the same.
func derived(what, id string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(what+" of "+id)).String()
}

// ListenerOf and PoolOf are the IDs of the listener and the pool with which a scenario's load balancer begins.
func ListenerOf(loadBalancer string) string { return derived("listener", loadBalancer) }

// PoolOf is the pool's, see ListenerOf.
func PoolOf(loadBalancer string) string { return derived("pool", loadBalancer) }

func (w *World) addLoadBalancers(sc *scenario.Scenario, now time.Time) {
	for _, lb := range sc.LoadBalancers {
		w.AddLoadBalancer(lb, now)
	}
}

// AddLoadBalancer makes one as a scenario describes it.
func (w *World) AddLoadBalancer(lb scenario.LoadBalancer, now time.Time) {
	port := derived("interface", lb.ID)
	w.LoadBalancers[lb.ID] = LoadBalancer{
		ID: lb.ID, ProjectID: lb.ProjectID, Name: lb.Name, VPCID: lb.VPCID, SubnetID: lb.SubnetID, PortID: port, Address: lb.Address,
		Shared: lb.Shared, CreatedAt: now, UpdatedAt: now,
	}
	w.Ports[port] = Port{
		ID: port, ProjectID: lb.ProjectID, Name: "vip of " + lb.Name, Addresses: []netip.Addr{lb.Address}, SubnetID: lb.SubnetID, VPCID: lb.VPCID,
		Status: PortActive, CreatedAt: now, UpdatedAt: now,
	}
	if len(lb.Members) == 0 {
		return
	}
	pool := Pool{
		ID: PoolOf(lb.ID), ProjectID: lb.ProjectID, Name: "pool of " + lb.Name, LoadBalancerID: lb.ID, Protocol: "UDP", Algorithm: "ROUND_ROBIN",
		CreatedAt: now, UpdatedAt: now,
	}
	for _, a := range lb.Members {
		pool.Members = append(pool.Members, Member{
			ID: derived("member "+a.String(), lb.ID), Address: a.String(), SubnetID: lb.SubnetID, Port: 4789, Weight: 1, CreatedAt: now, UpdatedAt: now,
		})
	}
	w.Pools[pool.ID] = pool
	w.Listeners[ListenerOf(lb.ID)] = Listener{
		ID: ListenerOf(lb.ID), ProjectID: lb.ProjectID, Name: "copies to " + lb.Name, LoadBalancerID: lb.ID, Protocol: "UDP", Port: 4789,
		PoolID: pool.ID, CreatedAt: now, UpdatedAt: now,
	}
}

// LoadBalancer looks one up; Reason Missing when the project has none of that ID.
func (w *World) LoadBalancer(project, id string) (LoadBalancer, error) {
	lb, ok := w.LoadBalancers[id]
	if !ok || lb.ProjectID != project {
		return LoadBalancer{}, missing(kindLoadBalancer, id)
	}
	return lb, nil
}

// Listener looks one up.
func (w *World) Listener(project, id string) (Listener, error) {
	l, ok := w.Listeners[id]
	if !ok || l.ProjectID != project {
		return Listener{}, missing(kindListener, id)
	}
	return l, nil
}

// Pool looks one up.
func (w *World) Pool(project, id string) (Pool, error) {
	p, ok := w.Pools[id]
	if !ok || p.ProjectID != project {
		return Pool{}, missing(kindPool, id)
	}
	return p, nil
}

// HealthOf is what the checks of a pool say of a member: of one whose server is stopped or gone that it is offline.
func (w *World) HealthOf(p Pool, m Member) string {
	switch {
	case m.Status != "":
		return m.Status
	case p.Unchecked:
		return MemberUnchecked
	}
	if port, ok := w.PortAt(w.LoadBalancers[p.LoadBalancerID].VPCID, m.Address); !ok || w.Off(port) {
		return MemberOffline
	}
	return MemberOnline
}

// PortAt finds the port that has an address in a VPC.
func (w *World) PortAt(vpc, address string) (Port, bool) {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return Port{}, false
	}
	for _, p := range w.Ports {
		if p.VPCID == vpc && slices.Contains(p.Addresses, a) {
			return p, true
		}
	}
	return Port{}, false
}

// DeleteLoadBalancer removes one with its listeners, pools and interface, as a forced deletion does.
func (s *Store) DeleteLoadBalancer(project, id string) error {
	_, err := change(s, func(w *World, _ time.Time) (struct{}, error) {
		lb, err := w.LoadBalancer(project, id)
		if err != nil {
			return struct{}{}, err
		}
		for _, l := range w.Listeners {
			if l.LoadBalancerID == id {
				delete(w.Listeners, l.ID)
			}
		}
		for _, p := range w.Pools {
			if p.LoadBalancerID == id {
				delete(w.Pools, p.ID)
			}
		}
		delete(w.Ports, lb.PortID)
		delete(w.LoadBalancers, id)
		return struct{}{}, nil
	})
	return err
}

// ListenerInput is the body of a listener's create or update; nil means absent.
type ListenerInput struct {
	Name, LoadBalancerID, Protocol, PoolID *string
	Port                                   *int
	On, ShowsClients                       *bool
}

// CreateListener adds one to a load balancer.
func (s *Store) CreateListener(project string, in ListenerInput) (Listener, error) {
	return change(s, func(w *World, now time.Time) (Listener, error) {
		l := Listener{ID: s.newID(), ProjectID: project, CreatedAt: now, UpdatedAt: now}
		for field, value := range map[string]*string{"loadbalancer_id": in.LoadBalancerID, "protocol": in.Protocol} {
			if err := required(field, value); err != nil {
				return l, err
			}
		}
		if in.Port == nil {
			return l, invalid("protocol_port", "it is required")
		}
		l.LoadBalancerID, l.Port = *in.LoadBalancerID, *in.Port
		lb, err := w.LoadBalancer(project, l.LoadBalancerID)
		if err != nil {
			return l, err
		}
		if l.Protocol, err = pick("protocol", *in.Protocol, "TCP", "UDP", "HTTP", "HTTPS"); err != nil {
			return l, err
		}
		if l.Port < 1 || l.Port > 65535 {
			return l, invalid("protocol_port", "'%d' must be in 1-65535", l.Port)
		}
		for _, other := range w.Listeners {
			if other.LoadBalancerID == l.LoadBalancerID && other.Port == l.Port && (other.Protocol == "UDP") == (l.Protocol == "UDP") {
				return l, refuse(Duplicate, "%s %s already listens on port %d.", kindListener, other.ID, l.Port)
			}
		}
		l.HidesClients = lb.Shared
		return l, w.putListener(l, in)
	})
}

// UpdateListener changes what the input carries and keeps the rest; protocol, port and load balancer stay.
func (s *Store) UpdateListener(project, id string, in ListenerInput) (Listener, error) {
	return change(s, func(w *World, now time.Time) (Listener, error) {
		l, err := w.Listener(project, id)
		if err != nil {
			return l, err
		}
		l.UpdatedAt = now
		if err := w.putListener(l, in); err != nil {
			return l, err
		}
		return w.Listeners[id], nil
	})
}

func (w *World) putListener(l Listener, in ListenerInput) error {
	if in.Name != nil {
		l.Name = *in.Name
	}
	if in.On != nil {
		l.Off = !*in.On
	}
	if in.ShowsClients != nil {
		if !*in.ShowsClients && !w.LoadBalancers[l.LoadBalancerID].Shared {
			return refuse(Unsupported, "transparent_client_ip_enable of a dedicated load balancer can only be true.")
		}
		l.HidesClients = !*in.ShowsClients
	}
	if in.PoolID != nil {
		if *in.PoolID != "" {
			p, err := w.Pool(l.ProjectID, *in.PoolID)
			if err != nil {
				return err
			}
			if p.LoadBalancerID != l.LoadBalancerID || p.Protocol != l.Protocol {
				return refuse(Unsupported, "Pool %s does not fit listener %s.", p.ID, l.ID)
			}
		}
		l.PoolID = *in.PoolID
	}
	w.Listeners[l.ID] = l
	return nil
}

// DeleteListener removes one.
func (s *Store) DeleteListener(project, id string) error {
	_, err := change(s, func(w *World, _ time.Time) (struct{}, error) {
		_, err := w.Listener(project, id)
		if err == nil {
			delete(w.Listeners, id)
		}
		return struct{}{}, err
	})
	return err
}

// PoolInput is the body of a pool's create; nil means absent.
type PoolInput struct {
	Name, LoadBalancerID, ListenerID, Protocol, Algorithm *string
	On, AnyPort                                           *bool
}

// CreatePool makes one for a load balancer, or for a listener, which gets it then. Nobody checks its members: health
// monitors have no calls here, and a pool that a scenario begins with has one.
func (s *Store) CreatePool(project string, in PoolInput) (Pool, error) {
	return change(s, func(w *World, now time.Time) (Pool, error) {
		p := Pool{ID: s.newID(), ProjectID: project, Unchecked: true, CreatedAt: now, UpdatedAt: now}
		for field, value := range map[string]*string{"protocol": in.Protocol, "lb_algorithm": in.Algorithm} {
			if err := required(field, value); err != nil {
				return p, err
			}
		}
		var err error
		if p.Protocol, err = pick("protocol", *in.Protocol, "TCP", "UDP", "HTTP", "HTTPS", "QUIC"); err != nil {
			return p, err
		}
		if p.Algorithm, err = pick("lb_algorithm", *in.Algorithm, "ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "QUIC_CID"); err != nil {
			return p, err
		}
		var listener Listener
		switch {
		case in.ListenerID != nil:
			if listener, err = w.Listener(project, *in.ListenerID); err != nil {
				return p, err
			}
			p.LoadBalancerID = listener.LoadBalancerID
		case in.LoadBalancerID != nil:
			p.LoadBalancerID = *in.LoadBalancerID
			if _, err := w.LoadBalancer(project, p.LoadBalancerID); err != nil {
				return p, err
			}
		default:
			return p, invalid("loadbalancer_id", "loadbalancer_id or listener_id is required")
		}
		if in.Name != nil {
			p.Name = *in.Name
		}
		p.Off, p.AnyPort = in.On != nil && !*in.On, in.AnyPort != nil && *in.AnyPort
		w.Pools[p.ID] = p
		if listener.ID != "" {
			return p, w.putListener(listener, ListenerInput{PoolID: &p.ID})
		}
		return p, nil
	})
}

// DeletePool removes one that no listener uses.
func (s *Store) DeletePool(project, id string) error {
	_, err := change(s, func(w *World, _ time.Time) (struct{}, error) {
		if _, err := w.Pool(project, id); err != nil {
			return struct{}{}, err
		}
		for _, l := range w.Listeners {
			if l.PoolID == id {
				return struct{}{}, refuse(InUse, "%s %s is used by listener %s.", kindPool, id, l.ID)
			}
		}
		delete(w.Pools, id)
		return struct{}{}, nil
	})
	return err
}

// MemberInput is the body of a member's create or update; nil means absent.
type MemberInput struct {
	Name, Address, SubnetID *string
	Port, Weight            *int
	On                      *bool
}

// AddMember puts a server into a pool.
func (s *Store) AddMember(project, poolID string, in MemberInput) (Member, error) {
	m := Member{ID: s.newID(), Weight: 1}
	err := s.modifyPool(project, poolID, func(p *Pool, now time.Time) error {
		if err := required("address", in.Address); err != nil {
			return err
		}
		if _, err := netip.ParseAddr(*in.Address); err != nil {
			return invalid("address", "'%s' is not an address", *in.Address)
		}
		if in.Port == nil && !p.AnyPort {
			return invalid("protocol_port", "it is required")
		}
		if slices.ContainsFunc(p.Members, func(o Member) bool { return o.Address == *in.Address && (in.Port == nil || o.Port == *in.Port) }) {
			return refuse(Duplicate, "The pool has a member with this address and port already.")
		}
		m.Address, m.CreatedAt = *in.Address, now
		if err := fillMember(&m, in, now); err != nil {
			return err
		}
		p.Members = append(slices.Clone(p.Members), m)
		return nil
	})
	return m, err
}

func fillMember(m *Member, in MemberInput, now time.Time) error {
	m.UpdatedAt = now
	for _, number := range []struct {
		field     string
		from, to  *int
		low, high int
	}{{"protocol_port", in.Port, &m.Port, 1, 65535}, {"weight", in.Weight, &m.Weight, 0, 100}} {
		if number.from == nil {
			continue
		}
		if *number.from < number.low || *number.from > number.high {
			return invalid(number.field, "'%d' must be in %d-%d", *number.from, number.low, number.high)
		}
		*number.to = *number.from
	}
	if in.Name != nil {
		m.Name = *in.Name
	}
	if in.SubnetID != nil {
		m.SubnetID = *in.SubnetID
	}
	if in.On != nil {
		m.Off = !*in.On
	}
	return nil
}

// UpdateMember changes what the input carries; its address stays.
func (s *Store) UpdateMember(project, poolID, id string, in MemberInput) (m Member, err error) {
	err = s.modifyMember(project, poolID, id, func(of *Member, now time.Time) error {
		err := fillMember(of, in, now)
		m = *of
		return err
	})
	return m, err
}

// RemoveMember takes a server out of a pool.
func (s *Store) RemoveMember(project, poolID, id string) error {
	return s.modifyPool(project, poolID, func(p *Pool, _ time.Time) error {
		kept := slices.DeleteFunc(slices.Clone(p.Members), func(m Member) bool { return m.ID == id })
		if len(kept) == len(p.Members) {
			return missing(kindMember, id)
		}
		p.Members = kept
		return nil
	})
}

// SetMemberStatus lets the checks say something of a member, whatever is true; empty lets them see by themselves again.
func (s *Store) SetMemberStatus(id, status string) error {
	_, err := change(s, func(w *World, now time.Time) (struct{}, error) {
		if status != "" {
			var err error
			if status, err = pick("operating_status", status, MemberOnline, MemberOffline, MemberUnchecked, "INITIAL", "UNKNOWN"); err != nil {
				return struct{}{}, err
			}
		}
		for _, p := range w.Pools {
			if at := slices.IndexFunc(p.Members, func(m Member) bool { return m.ID == id }); at >= 0 {
				p.Members = slices.Clone(p.Members)
				p.Members[at].Status, p.Members[at].UpdatedAt = status, now
				w.Pools[p.ID] = p
				return struct{}{}, nil
			}
		}
		return struct{}{}, missing(kindMember, id)
	})
	return err
}

func (s *Store) modifyMember(project, poolID, id string, f func(*Member, time.Time) error) error {
	return s.modifyPool(project, poolID, func(p *Pool, now time.Time) error {
		at := slices.IndexFunc(p.Members, func(m Member) bool { return m.ID == id })
		if at < 0 {
			return missing(kindMember, id)
		}
		p.Members = slices.Clone(p.Members)
		return f(&p.Members[at], now)
	})
}

func (s *Store) modifyPool(project, id string, f func(*Pool, time.Time) error) error {
	_, err := change(s, func(w *World, now time.Time) (struct{}, error) {
		p, err := w.Pool(project, id)
		if err != nil {
			return struct{}{}, err
		}
		p.UpdatedAt = now
		if err := f(&p, now); err != nil {
			return struct{}{}, err
		}
		w.Pools[id] = p
		return struct{}{}, nil
	})
	return err
}

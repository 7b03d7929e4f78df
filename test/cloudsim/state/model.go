// Package state is the memory of the simulated cloud: what exists, and every rule that the real service keeps about it
// (validation, references, uniqueness, quotas, partial updates, defaults). It knows nothing of HTTP.
//
// It may import test/cloudsim/scenario.
package state

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Secret is a string that hides itself when it is printed or encoded, so that no key slips into a log.
type Secret string

// String hides the secret.
func (Secret) String() string { return "***" }

// GoString hides the secret.
func (Secret) GoString() string { return "***" }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Account is one access key and what it may reach.
type Account struct {
	Name      string
	DomainID  string
	AccessKey string
	SecretKey Secret
	// SecurityToken is set for temporary keys: every request must then carry it in X-Security-Token.
	SecurityToken Secret
	// TokenExpires ends a temporary key; zero means never.
	TokenExpires time.Time
	// Disabled makes the gateway answer 403 APIGW.0802.
	Disabled bool
	// Projects are the IDs that this key may name in a path.
	Projects []string
}

// Project is a share of one account in one region.
type Project struct {
	ID       string
	Name     string
	DomainID string
}

// Filter is a traffic mirror filter. Its rules are kept in World.Rules.
type Filter struct {
	ID, ProjectID     string
	Name, Description string
	CreatedAt         time.Time
	UpdatedAt         time.Time
}

// Direction of a rule, as seen from the source interface.
const (
	Ingress = "ingress"
	Egress  = "egress"
)

// Rule is a traffic mirror filter rule. An empty CIDR or port range means any, and is null on the wire.
type Rule struct {
	ID, ProjectID, FilterID               string
	Direction                             string // Ingress or Egress
	Protocol                              string // in the case in which it was sent
	EtherType                             string // IPv4 or IPv6
	Action                                string // accept or reject
	Priority                              int    // 1-65535, the smaller first
	SourceCIDR, DestinationCIDR           string
	SourcePortRange, DestinationPortRange string // low-high
	Description                           string
	CreatedAt, UpdatedAt                  time.Time
}

// Kinds of a session's target.
const (
	TargetENI = "eni"
	TargetELB = "elb"
)

// Session is a traffic mirror session.
type Session struct {
	ID, ProjectID        string
	Name, Description    string
	FilterID             string
	Sources              []string // port IDs, in the order in which they were added
	TargetID             string
	TargetType           string // TargetENI or TargetELB
	VNI                  int    // 0-16777215
	PacketLength         int    // bytes, 1-1460
	Priority             int    // 1-32766, the smaller first
	Enabled              bool
	Type                 string // eni
	CreatedAt, UpdatedAt time.Time
}

// Port is an elastic network interface.
type Port struct {
	ID, ProjectID  string
	Name           string
	MAC            string
	Addresses      []netip.Addr
	SubnetID       string
	VPCID          string
	ServerID       string // empty: attached to nothing
	Flavor         string // of that server
	Primary        bool
	SecurityGroups []string // IDs, in binding order
	Status         string   // ACTIVE, BUILD or DOWN
	// Unsecured: port security is off, so that neither groups nor the check of source addresses apply.
	Unsecured bool
	// AllowedPairs are further addresses that it may send from. AnySource among them switches the check off; the others the
	// network does not know.
	AllowedPairs []AddressPair
	// Interface is the ID of the interface of the simulated network that the port is plugged into; empty for none.
	Interface string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// AddressPair is an address, and perhaps a MAC, that a port may send from beside its own.
type AddressPair struct{ Address, MAC string }

// AnySource is the address of a pair that switches the source/destination check of a port off (VPC API reference).
const AnySource = "1.1.1.1/0"

// AnySource reports whether the port may send from any address.
func (p Port) AnySource() bool {
	return slices.ContainsFunc(p.AllowedPairs, func(a AddressPair) bool { return a.Address == AnySource })
}

// Subnet is a part of a VPC with its gateway.
type Subnet struct {
	ID, Name, VPCID, ProjectID string
	CIDR, CIDR6                netip.Prefix // CIDR6 is zero where the subnet has no IPv6
	Gateway, Gateway6          netip.Addr
	GatewayMAC                 string
}

// Server is an ECS. Its interfaces are the ports that name it.
type Server struct {
	ID, ProjectID, Name, Flavor string
	// Stopped: it is shut off, and its interfaces neither send nor receive.
	Stopped              bool
	CreatedAt, UpdatedAt time.Time
}

// Interface is a place of the simulated network where a port can be plugged in: a device of a host with fixed addresses.
// The API shows none of it.
type Interface struct {
	ID, ServerID    string
	SubnetID, VPCID string
	MAC             string
	Addresses       []netip.Addr
	// MTU of the host's device; 0 means 1500. The host sends no longer packets.
	MTU int
}

// Job is what a call of the ECS service started, which is over when it is answered.
type Job struct {
	ID, ProjectID, Type string
	ServerID, PortID    string // what it was about; empty where it was about several
	At                  time.Time
}

// Flavor is an ECS flavor.
type Flavor struct {
	Name      string
	VCPUs     int
	MemoryMiB int
	// Mirroring is what the flavor's extra spec says of mirror sources.
	Mirroring bool
	// Accepted: the cloud takes interfaces of such servers as mirror sources.
	Accepted bool
	// Carries: their packets are copied. One that is accepted and carries nothing is silent.
	Carries bool
	// Undeclared: the extra spec is left out, so that nobody can read it.
	Undeclared bool
}

// SecurityGroup is a named list of rules. Its rules are kept in World.GroupRules.
type SecurityGroup struct {
	ID, ProjectID, Name, Description string
	CreatedAt, UpdatedAt             time.Time
}

// GroupRule is a security group rule. At most one of RemotePrefix, RemoteGroup and RemoteAddressGroup is set; none means
// anyone.
type GroupRule struct {
	ID, ProjectID, GroupID string
	Description            string
	Direction              string // Ingress or Egress
	EtherType              string // IPv4 or IPv6
	Protocol               string // empty means all
	Multiport              string // empty means all
	Action                 string // allow or deny
	Priority               int    // 1-100, 1 first
	RemotePrefix           string
	RemoteGroup            string
	RemoteAddressGroup     string
	Enabled                bool
	CreatedAt, UpdatedAt   time.Time
}

// World is everything that the cloud holds at one moment. Maps are keyed by ID, except Accounts (access key) and Flavors
// (name).
type World struct {
	// Version grows by one with each change.
	Version uint64
	Region  string

	Accounts      map[string]Account
	Projects      map[string]Project
	Filters       map[string]Filter
	Rules         map[string]Rule
	Sessions      map[string]Session
	Ports         map[string]Port
	VPCs          map[string]VPC
	Subnets       map[string]Subnet
	Peerings      map[string]Peering
	RouteTables   map[string]RouteTable
	Servers       map[string]Server
	Interfaces    map[string]Interface
	Jobs          map[string]Job
	Flavors       map[string]Flavor
	LoadBalancers map[string]LoadBalancer
	Listeners     map[string]Listener
	Pools         map[string]Pool
	Groups        map[string]SecurityGroup
	GroupRules    map[string]GroupRule
	AddressGroups map[string]AddressGroup
	Firewalls     map[string]Firewall
	Quotas        Quotas
	Identity      Identity
	// Quirks are those that the network obeys too.
	Quirks Quirks
	// Propagation is how long the network takes to do as the state says.
	Propagation time.Duration

	// index finds ports and rules; nil while the world is being changed.
	index *index
}

// index finds what lists ask for thousands of times, made when it is asked for first.
type index struct {
	once          sync.Once
	portsOfServer map[string][]Port
	rulesOfFilter map[string][]Rule
}

func (w *World) indexed() *index {
	w.index.once.Do(func() {
		w.index.portsOfServer, w.index.rulesOfFilter = map[string][]Port{}, map[string][]Rule{}
		for _, p := range w.Ports {
			w.index.portsOfServer[p.ServerID] = append(w.index.portsOfServer[p.ServerID], p)
		}
		for _, r := range w.Rules {
			w.index.rulesOfFilter[r.FilterID] = append(w.index.rulesOfFilter[r.FilterID], r)
		}
	})
	return w.index
}

// cloneMirrors copies the maps of filters, rules and sessions, and shares all else.
func (w *World) cloneMirrors() *World {
	c := *w
	c.Filters, c.Rules, c.Sessions = maps.Clone(w.Filters), maps.Clone(w.Rules), maps.Clone(w.Sessions)
	return &c
}

// clone copies the maps, and the slices that a change is likely to touch, so that a World once published never changes.
func (w *World) clone() *World {
	c := *w
	c.Accounts = maps.Clone(w.Accounts)
	c.Projects = maps.Clone(w.Projects)
	c.Filters = maps.Clone(w.Filters)
	c.Rules = maps.Clone(w.Rules)
	c.Sessions = maps.Clone(w.Sessions)
	for id, s := range c.Sessions {
		s.Sources = slices.Clone(s.Sources)
		c.Sessions[id] = s
	}
	c.Ports = maps.Clone(w.Ports)
	for id, p := range c.Ports {
		p.Addresses = slices.Clone(p.Addresses)
		p.SecurityGroups = slices.Clone(p.SecurityGroups)
		p.AllowedPairs = slices.Clone(p.AllowedPairs)
		c.Ports[id] = p
	}
	c.VPCs = maps.Clone(w.VPCs)
	c.Subnets = maps.Clone(w.Subnets)
	c.Peerings = maps.Clone(w.Peerings)
	c.RouteTables = maps.Clone(w.RouteTables)
	c.Servers = maps.Clone(w.Servers)
	c.Interfaces = maps.Clone(w.Interfaces)
	c.Jobs = maps.Clone(w.Jobs)
	c.Flavors = maps.Clone(w.Flavors)
	c.LoadBalancers = maps.Clone(w.LoadBalancers)
	c.Listeners, c.Pools = maps.Clone(w.Listeners), maps.Clone(w.Pools)
	c.Groups = maps.Clone(w.Groups)
	c.GroupRules = maps.Clone(w.GroupRules)
	c.AddressGroups = maps.Clone(w.AddressGroups)
	c.Firewalls = maps.Clone(w.Firewalls)
	c.Identity = w.Identity.clone()
	c.index = nil
	return &c
}

// RulesOf returns the rules of a filter, those of one direction, by priority and then ID.
func (w *World) RulesOf(filterID, direction string) []Rule {
	var out []Rule
	add := func(r Rule) {
		if r.FilterID == filterID && r.Direction == direction {
			out = append(out, r)
		}
	}
	if w.index != nil {
		for _, r := range w.indexed().rulesOfFilter[filterID] {
			add(r)
		}
	} else {
		for _, r := range w.Rules {
			add(r)
		}
	}
	slices.SortFunc(out, func(a, b Rule) int {
		if a.Priority != b.Priority {
			return a.Priority - b.Priority
		}
		return compareIDs(a.ID, b.ID)
	})
	return out
}

// RulesOfGroup returns the rules of a security group in the order of their IDs.
func (w *World) RulesOfGroup(groupID string) []GroupRule {
	var out []GroupRule
	for _, r := range w.GroupRules {
		if r.GroupID == groupID {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b GroupRule) int { return compareIDs(a.ID, b.ID) })
	return out
}

// Flavor finds a flavor by name. Those that the scenario does not list follow the documented family: c7t.
func (w *World) Flavor(name string) Flavor {
	if f, ok := w.Flavors[name]; ok {
		return f
	}
	mirrors := mirroringFamily(name)
	return Flavor{Name: name, VCPUs: 2, MemoryMiB: 4096, Mirroring: mirrors, Accepted: mirrors, Carries: mirrors}
}

func mirroringFamily(flavor string) bool {
	return len(flavor) > 4 && flavor[:4] == "c7t."
}

func compareIDs(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

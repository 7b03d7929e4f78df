package cloud

import (
	"context"
	"net/netip"
)

// LoadBalancers reads load balancers that are targets of mirrors, and to whom they give the copies. What
// [Network] says of rights, of calls that a region lacks and of odd objects holds here too.
type LoadBalancers interface {
	// GetLoadBalancer returns one, without listeners and members. ClassNotFound means surely absent.
	GetLoadBalancer(ctx context.Context, id string) (LoadBalancer, error)
	// ListListeners returns the listeners of a load balancer that take UDP. It MUST be complete, or an
	// error; it MAY be empty where the load balancer is gone.
	ListListeners(ctx context.Context, loadBalancerID string) ([]Listener, error)
	// GetPool returns a pool with all its members. ClassNotFound means surely absent.
	GetPool(ctx context.Context, id string) (Pool, error)
}

// LoadBalancer gives each flow to one of several servers.
type LoadBalancer struct {
	ID, Name string
	VPCID    string
	// PortID is the interface that has its IPv4 address; empty where the cloud does not say.
	PortID string
	// Addresses are the private ones at which it listens, IPv4 before IPv6.
	Addresses []netip.Addr
	// AdminDown is true when somebody has switched it off.
	AdminDown bool
}

// Listener takes what comes to some ports of a load balancer, and gives it to a pool.
type Listener struct {
	ID, Name string
	// Ports are those that it listens on.
	Ports []PortRange
	// PoolID is the pool that gets what comes; empty for none.
	PoolID    string
	AdminDown bool
	// HidesClients is true where what arrives at a member bears an address of the load balancer
	// and not that of whoever sent it.
	HidesClients bool
	// Unreadable names a field that this version can't understand, empty when all is understood.
	Unreadable string
}

// Listens reports whether it takes what comes to a port.
func (l Listener) Listens(port uint16) bool {
	for _, r := range l.Ports {
		if r.Low <= port && port <= r.High {
			return true
		}
	}
	return false
}

// Pool is a group of servers among which a load balancer chooses.
type Pool struct {
	ID, Name  string
	AdminDown bool
	// AnyPort is true where a member gets what comes at the port to which it was sent, whatever its own is.
	AnyPort bool
	Members []Member
}

// MemberHealth is what the load balancer's checks say of a member.
type MemberHealth string

// What the checks of a load balancer say.
const (
	// MemberOnline answers.
	MemberOnline MemberHealth = "Online"
	// MemberOffline does not, and gets nothing.
	MemberOffline MemberHealth = "Offline"
	// MemberUnchecked is in a pool without checks, or not checked yet.
	MemberUnchecked MemberHealth = "Unchecked"
)

// Member is a server in a pool, by an address of it.
type Member struct {
	ID, Name string
	// Address is not valid where this version can't understand it.
	Address netip.Addr
	// Port is where it gets what comes.
	Port uint16
	// Weight is its share; one of 0 gets nothing.
	Weight    int
	AdminDown bool
	Health    MemberHealth
}

// Size is about what the load balancer holds of memory.
func (l LoadBalancer) Size() int64 {
	return int64(250 + len(l.Name) + len(l.VPCID) + len(l.PortID) + 24*len(l.Addresses))
}

// Size is about what the listener holds of memory.
func (l Listener) Size() int64 {
	return int64(200 + len(l.Name) + len(l.PoolID) + len(l.Unreadable) + 4*len(l.Ports))
}

// Size is about what the pool holds of memory, with its members.
func (p Pool) Size() int64 {
	size := int64(150 + len(p.Name))
	for i := range p.Members {
		size += p.Members[i].Size()
	}
	return size
}

// Size is about what the member holds of memory.
func (m Member) Size() int64 { return int64(200 + len(m.Name)) }

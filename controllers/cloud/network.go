package cloud

import (
	"context"
	"net/netip"
)

// Network reads what lies between the sources and the target of a mirror. All of it is read to
// tell why copies don't come; nothing that the operator makes depends on it but interfaces. A right
// that is missing gives ClassPermission, and a call that the region lacks ClassUnsupported: that
// is an answer, and MUST NOT be taken for an empty list; ActionOf names the right. Every list MUST
// be complete, or an error; one object that can't be understood MUST NOT hide the others, and bears
// what was not understood as Unreadable.
type Network interface {
	// ListInterfaces returns every elastic network interface of the account.
	ListInterfaces(ctx context.Context) ([]Interface, error)
	// ListSecurityGroups returns every security group of the account with its rules.
	ListSecurityGroups(ctx context.Context) ([]SecurityGroup, error)
	// ListAddressGroups returns every address group, which rules of groups and ACLs name.
	ListAddressGroups(ctx context.Context) ([]AddressGroup, error)
	// ListNetworkACLs returns every network ACL, without rules.
	ListNetworkACLs(ctx context.Context) ([]NetworkACL, error)
	// GetNetworkACL returns one with its rules. ClassNotFound means surely absent.
	GetNetworkACL(ctx context.Context, id string) (NetworkACL, error)
	// ListPeerings returns every peering that one of the account's VPCs has.
	ListPeerings(ctx context.Context) ([]Peering, error)
	// ListRouteTables returns every route table, without routes.
	ListRouteTables(ctx context.Context) ([]RouteTable, error)
	// GetRouteTable returns one with its routes. ClassNotFound means surely absent.
	GetRouteTable(ctx context.Context, id string) (RouteTable, error)
	// ListServers returns every server of the account.
	ListServers(ctx context.Context) ([]Server, error)
	// ListFlavors returns every flavor of servers that the region has.
	ListFlavors(ctx context.Context) ([]Flavor, error)
}

// SecurityGroup decides what enters and leaves the interfaces that have it. What no rule of any
// of an interface's groups allows is denied. The groups are tried in the order in which the
// interface has them; in a group the matching rule with the smallest priority number decides, and of
// equal ones a denial.
type SecurityGroup struct {
	ID, Name string
	Rules    []GroupRule
}

// GroupRule is a rule of a security group. At most one of Remote, RemoteGroupID and
// RemoteAddressGroupID is set; without any the rule is about every address.
type GroupRule struct {
	ID        string
	Direction Direction
	IPv6      bool
	// Protocol is in lower case, such as udp, or a number; empty for all.
	Protocol string
	// Ports are the destination's, empty for all. Of ICMP they are types and codes, and are
	// left out.
	Ports []PortRange
	Allow bool
	// Priority is 1 to 100, the smallest is tried first.
	Priority             int
	Remote               netip.Prefix
	RemoteGroupID        string
	RemoteAddressGroupID string
	// Disabled is true for a rule that is switched off.
	Disabled bool
	// Unreadable names a field that this version can't understand, empty when all is
	// understood. What such a rule decides is not known.
	Unreadable string
}

// AddressRange is from the first to the last address, both included.
type AddressRange struct{ First, Last netip.Addr }

// AddressGroup is a list of addresses under a name.
type AddressGroup struct {
	ID, Name string
	Ranges   []AddressRange
	// Unreadable is an entry that this version can't understand, empty when all is understood.
	Unreadable string
}

// NetworkACL decides what enters and leaves subnets. The first rule that matches decides, and what
// none allows is denied, but for what stays inside a subnet. One that is switched off denies all
// that its rules would allow.
type NetworkACL struct {
	ID, Name string
	Enabled  bool
	// Subnets are IDs of the subnets it is associated with; a subnet has one ACL at most.
	Subnets []string
	// Ingress and Egress are tried in their order; nil where the rules were not read.
	Ingress, Egress []ACLRule
	// Unreadable names a field that this version can't understand, empty when all is understood.
	Unreadable string
}

// ACLRule is a rule of a network ACL.
type ACLRule struct {
	ID, Name string
	Allow    bool
	IPv6     bool
	// Protocol is in lower case, such as udp, or a number; empty for all.
	Protocol            string
	Source, Destination netip.Prefix
	// SourceAddressGroup and DestinationAddressGroup are IDs of address groups, empty for none.
	SourceAddressGroup, DestinationAddressGroup string
	SourcePorts, DestinationPorts               []PortRange
	Disabled                                    bool
	// Unreadable names a field that this version can't understand.
	Unreadable string
}

// Peering joins two VPCs.
type Peering struct {
	ID, Name string
	// Status is ACTIVE where it carries something.
	Status                    string
	RequesterVPC, AccepterVPC string
}

// RouteTable says where subnets send what is for addresses outside of their VPC.
type RouteTable struct {
	ID, Name string
	VPCID    string
	// Default is true for the one that the VPC's other subnets use.
	Default bool
	// Subnets are IDs of the subnets that use it.
	Subnets []string
	// Routes is nil where they were not read. The longest prefix decides.
	Routes []Route
}

// Route is an entry of a route table.
type Route struct {
	// Type is in the cloud's words: peering, er, ecs, eni, vip, nat, vpn, dc, cc, egw, local.
	Type        string
	Destination netip.Prefix
	// NextHop is the ID of what the type says.
	NextHop string
	// Unreadable names a field that this version can't understand, empty when all is understood.
	// A destination that can't be read is the zero value.
	Unreadable string
}

// Server is a machine.
type Server struct {
	ID, Name string
	// Status is in the cloud's words, such as ACTIVE or SHUTOFF.
	Status string
	// Running is by the server's power state, which its status follows late; by the status where
	// the cloud does not know that state.
	Running bool
	Flavor  string
}

// Flavor is a kind of server.
type Flavor struct {
	Name string
	// Mirrors is whether its interfaces can be mirrored, nil where the cloud does not say.
	Mirrors *bool
}

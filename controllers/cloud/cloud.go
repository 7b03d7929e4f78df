// Package cloud is the port: traffic mirroring on Huawei Cloud in our own words, and
// one interface that an adapter fulfils. Everything that decides works on these
// types; only the adapter knows the cloud's wire format.
//
// It may import nothing of ours.
package cloud

import (
	"context"
	"net/netip"
	"time"
)

// Account is where a client works. Two objects can refer to each other exactly when
// their accounts are equal.
type Account struct {
	Region    string
	ProjectID string
	// Endpoint is the base URL of the VPC API, without a trailing slash.
	Endpoint string
}

// Direction of a packet as the mirror source sees it.
type Direction string

// The directions.
const (
	Ingress Direction = "Ingress"
	Egress  Direction = "Egress"
)

// Protocol of a rule, one of the constants below.
type Protocol string

// The protocols a rule can name.
const (
	TCP    Protocol = "TCP"
	UDP    Protocol = "UDP"
	ICMP   Protocol = "ICMP"
	ICMPv6 Protocol = "ICMPv6"
	All    Protocol = "All"
)

// PortRange is Low to High, both included, 1 to 65535; the zero value means every port.
type PortRange struct {
	Low, High uint16
}

// RuleSpec is a filter rule without its identity. It is comparable: two rules that
// mean the same to the cloud are equal once normalised (package plan does that).
type RuleSpec struct {
	Direction Direction
	// Priority is 1 to 65535, unique in filter and direction; the smallest is tried first.
	Priority int
	// Accept copies the packet; otherwise the rule rejects.
	Accept           bool
	IPv6             bool
	Protocol         Protocol
	Source           netip.Prefix // the zero value means any address
	Destination      netip.Prefix
	SourcePorts      PortRange
	DestinationPorts PortRange
	Description      string
}

// Rule is a filter rule in the cloud.
type Rule struct {
	ID string
	RuleSpec
	// Unreadable names the field of the cloud's rule this version can't understand,
	// such as a protocol added later; empty when all is understood. RuleSpec then
	// holds what could be read, with an empty Protocol whatever the field, so that it
	// equals no wanted rule and can't be written back without what was not read. It
	// keeps one broken rule of somebody else's filter from hiding every other filter.
	Unreadable string
}

// Filter is a filter in the cloud with all its rules.
type Filter struct {
	ID          string
	Name        string
	Description string
	Rules       []Rule
	// CreatedAt is when the cloud made it, zero where it does not say.
	CreatedAt time.Time
}

// TargetType says what a session's target is.
type TargetType string

// The target types.
const (
	// TargetInterface is an elastic network interface.
	TargetInterface TargetType = "eni"
	// TargetLoadBalancer is a private load balancer.
	TargetLoadBalancer TargetType = "elb"
)

// SessionSpec is everything of a session but its identity and its sources.
type SessionSpec struct {
	Name        string
	Description string
	FilterID    string
	TargetID    string
	TargetType  TargetType
	// VNI is 0 to 16777215.
	VNI int
	// PacketLength is in bytes, 1 to 1460.
	PacketLength int
	// Priority is 1 to 32766, unique per account and region.
	Priority int
	Enabled  bool
}

// Session is a mirror session in the cloud.
type Session struct {
	ID string
	SessionSpec
	// Sources are IDs of elastic network interfaces, in no order.
	Sources []string
	// CreatedAt is when the cloud made it, zero where it does not say.
	CreatedAt time.Time
}

// SessionUpdate holds the fields of a session to change; nil stays as it is. The
// cloud's PUT never touches the sources.
type SessionUpdate struct {
	Name         *string
	Description  *string
	FilterID     *string
	TargetID     *string
	TargetType   *TargetType
	VNI          *int
	PacketLength *int
	Priority     *int
	Enabled      *bool
}

// FilterUpdate holds the fields of a filter to change; nil stays as it is.
type FilterUpdate struct {
	Name        *string
	Description *string
}

// Interface is an elastic network interface.
type Interface struct {
	ID string
	// VPCID is empty where the region's API does not return it.
	VPCID string
	// Addresses are all private addresses, the primary one first.
	Addresses []netip.Addr
	// MAC is in lower case with colons.
	MAC string
	// SecurityGroups are IDs, in the order in which the groups are tried.
	SecurityGroups []string
	// DeviceID is the server's ID; empty when the interface is attached to nothing.
	DeviceID string
	// Primary is true when the cloud says that this is the primary one of its server's interfaces;
	// where it does not say, none of them is.
	Primary bool
	// SubnetID is empty where the region's API does not return it.
	SubnetID string
	// Status is in the cloud's words: ACTIVE, DOWN, BUILD; empty where it does not say.
	Status string
	// AdminDown is true when somebody has switched the interface off.
	AdminDown bool
	// Unsecured is true where port security is off: its security groups decide nothing then.
	Unsecured bool
	// OwnAddressesOnly is true when the cloud says that it lets through nothing from and for addresses
	// that the interface does not have: it is checked, and no others are allowed.
	OwnAddressesOnly bool
	// Flavor is the server's, such as c7t.large.2; empty where the region's API does not say.
	Flavor string
	// Unreadable names a field that this version can't understand, empty when all is understood.
	// Only ListInterfaces gives such an interface: it keeps one odd interface from hiding every
	// other one. Whoever asks for one interface gets an error.
	Unreadable string
}

// Quota is what the account may have. A negative number means that the cloud does
// not return the limit.
type Quota struct {
	Sessions          int
	SourcesPerSession int
	SessionsPerSource int
	SessionsPerTarget int
	RulesPerDirection int
}

// Client is one account in one region.
//
// Every method:
//   - MUST return within the deadline of ctx and within the adapter's own (4 s a
//     call), below the margin of the leader lease, so that a deposed leader can't
//     write beside its successor;
//   - MUST return an error that holds an *Error (errors.As) when the cloud was asked,
//     with Class set from the HTTP status first;
//   - MUST wait for the limiter of the account and region before a call and MUST NOT
//     sleep on a refusal: the caller decides when to come back;
//   - MUST NOT retry by itself, because no call has an idempotency token;
//   - MUST refuse an ID that is no UUID with ClassInvalid before a request is sent;
//   - MUST NOT put a key, a token or a signature into an error.
type Client interface {
	// Account returns where this client works. It asks nobody.
	Account() Account

	// Network reads what lies between the sources and the target.
	Network
	// LoadBalancers reads those that are targets.
	LoadBalancers

	// ListFilters returns every filter of the account with its rules. It MUST be
	// complete, or an error: a page that failed is never an empty page.
	ListFilters(ctx context.Context) ([]Filter, error)
	// GetFilter returns one filter with its rules. ClassNotFound means surely absent.
	GetFilter(ctx context.Context, id string) (Filter, error)
	// CreateFilter makes a filter without rules. After an error for which
	// Error.Ambiguous is true it MAY exist.
	CreateFilter(ctx context.Context, name, description string) (Filter, error)
	// UpdateFilter changes the given fields.
	UpdateFilter(ctx context.Context, id string, update FilterUpdate) error
	// DeleteFilter removes a filter and its rules. A filter in use gives ClassConflict.
	DeleteFilter(ctx context.Context, id string) error

	// CreateRule adds a rule to a filter and returns it with its ID.
	CreateRule(ctx context.Context, filterID string, rule RuleSpec) (Rule, error)
	// UpdateRule changes a rule in place. It MUST send every field that rule has; it
	// can't clear a CIDR or a port range and can't change the direction: those need
	// a delete and a create.
	UpdateRule(ctx context.Context, id string, rule RuleSpec) error
	// DeleteRule removes a rule.
	DeleteRule(ctx context.Context, id string) error

	// ListSessions returns every session of the account. It MUST be complete, or an error.
	ListSessions(ctx context.Context) ([]Session, error)
	// GetSession returns one session. ClassNotFound means surely absent.
	GetSession(ctx context.Context, id string) (Session, error)
	// CreateSession makes a session. It MUST send VNI, packet length and enabled,
	// because the cloud's defaults collide. After an error for which Error.Ambiguous
	// is true it MAY exist.
	CreateSession(ctx context.Context, spec SessionSpec, sources []string) (Session, error)
	// UpdateSession changes the given fields.
	UpdateSession(ctx context.Context, id string, update SessionUpdate) error
	// AddSources adds interfaces to a session. Adding one that is there MAY be refused.
	AddSources(ctx context.Context, id string, sources []string) error
	// RemoveSources removes interfaces from a session. Removing one that is not
	// there MAY be refused. It MUST NOT be called with all of them: the cloud may
	// then blank the target.
	RemoveSources(ctx context.Context, id string, sources []string) error
	// DeleteSession removes a session.
	DeleteSession(ctx context.Context, id string) error

	// GetInterface returns one elastic network interface. ClassNotFound means surely absent.
	GetInterface(ctx context.Context, id string) (Interface, error)
	// FindInterfaces returns the interfaces that have the address; several when
	// several VPCs use it; none without an error when surely none has it.
	FindInterfaces(ctx context.Context, address netip.Addr) ([]Interface, error)
	// FindServerInterfaces returns the interfaces that are attached to a server; none without an
	// error when surely none is, as when there is no such server.
	FindServerInterfaces(ctx context.Context, serverID string) ([]Interface, error)

	// GetQuota returns the account's limits for traffic mirroring.
	GetQuota(ctx context.Context) (Quota, error)
}

// Clock returns the time; a test gives its own.
type Clock func() time.Time

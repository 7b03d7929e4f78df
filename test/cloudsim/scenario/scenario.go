// Package scenario reads the YAML files that say what a simulated cloud starts with: accounts, networks, security groups
// and hosts. Every mistake in such a file is reported with its line and field.
//
// It may import nothing of ours.
package scenario

import (
	_ "embed"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// WalkthroughYAML is the scenario of the cloud's own guide: ecs-source, ecs-test and ecs-target in one subnet.
//
//go:embed walkthrough.yaml
var WalkthroughYAML []byte

// Fixed IDs and keys of the walkthrough, for tests and demonstrations.
const (
	WalkthroughRegion        = "cn-north-4"
	WalkthroughProject       = "0123456789abcdef0123456789abcdef"
	WalkthroughAccessKey     = "EXAMPLEACCESSKEY0001"
	WalkthroughSecretKey     = "example-secret-key-for-the-simulated-cloud-only"
	WalkthroughVPC           = "5a1f0c7e-0000-4000-8000-000000000001"
	WalkthroughSource        = "5a1f0c7e-0000-4000-8000-000000000230" // interface of ecs-source
	WalkthroughTest          = "5a1f0c7e-0000-4000-8000-000000000161" // interface of ecs-test
	WalkthroughTarget        = "5a1f0c7e-0000-4000-8000-000000000164" // interface of ecs-target
	WalkthroughSourceGroup   = "5a1f0c7e-0000-4000-8000-0000000000a1"
	WalkthroughTestGroup     = "5a1f0c7e-0000-4000-8000-0000000000a2"
	WalkthroughTargetGroup   = "5a1f0c7e-0000-4000-8000-0000000000a3"
	WalkthroughVXLANRule     = "5a1f0c7e-0000-4000-8000-0000000000b1" // lets UDP 4789 into ecs-target
	WalkthroughOtherKey      = "EXAMPLEACCESSKEY0002"                 // of another account
	WalkthroughOtherSecret   = "another-example-secret-for-the-simulated-cloud-only"
	WalkthroughOtherProject  = "fedcba9876543210fedcba9876543210"
	defaultInterfaceTemplate = "eth%d"
)

// Scenario is what a cloud starts with. References by name are resolved: they hold IDs.
type Scenario struct {
	Region         string
	Accounts       []Account
	VPCs           []VPC
	Peerings       []Peering
	RouteTables    []RouteTable
	AddressGroups  []AddressGroup
	SecurityGroups []SecurityGroup
	NetworkACLs    []NetworkACL
	Flavors        []Flavor
	LoadBalancers  []LoadBalancer
	Hosts          []Host
	// Quotas are limits that differ from the cloud's defaults, by the cloud's names.
	Quotas map[string]int
	// Propagation is how long the network takes to do as the API was told.
	Propagation time.Duration
}

// Account is one access key and the projects that it may use. Several accounts may share a project.
type Account struct {
	Name, DomainID       string
	AccessKey, SecretKey string
	SecurityToken        string // temporary keys only
	TokenExpires         time.Time
	Projects             []Project
}

// Project is a share of an account in the region: 32 hex digits, and a name (usually the region's).
type Project struct{ ID, Name string }

// VPC is a private network.
type VPC struct {
	ID, Name  string
	CIDR      string // empty where the file names none
	ProjectID string
	Subnets   []Subnet
}

// Subnet is a part of a VPC.
type Subnet struct {
	ID, Name   string
	CIDR       netip.Prefix
	Gateway    netip.Addr
	GatewayMAC net.HardwareAddr
	CIDR6      netip.Prefix // of IPv6; zero for none
	Gateway6   netip.Addr
}

// SecurityGroup is a named list of rules.
type SecurityGroup struct {
	ID, Name, Description string
	ProjectID             string
	Rules                 []GroupRule
}

// GroupRule is a rule of a security group; see the API for what the fields allow.
type GroupRule struct {
	ID, Description      string
	Direction, EtherType string
	Protocol, Multiport  string
	Action               string
	Priority             int
	RemotePrefix         string
	RemoteGroup          string // ID
	RemoteAddressGroup   string // ID
	Disabled             bool
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

// LoadBalancer is a private load balancer.
type LoadBalancer struct {
	ID, Name, SubnetID, VPCID, ProjectID string
	Address                              netip.Addr
	Shared                               bool // else it is dedicated
	// Members are the addresses that it gives what comes to UDP 4789; without any it has no listener.
	Members []netip.Addr
}

// Host is a server with its interfaces.
type Host struct {
	ID, Name, Flavor string
	ProjectID        string
	Stopped          bool // shut off at the beginning
	Interfaces       []Interface
}

// Interface is an elastic network interface.
type Interface struct {
	ID, Name       string // Name is the host's own, such as eth0
	MAC            net.HardwareAddr
	SubnetID       string
	VPCID          string
	Addresses      []netip.Addr
	SecurityGroups []string // IDs
	MTU            int      // MinMTU to MaxMTU; 0 means MaxMTU
}

// Bounds of an interface's MTU: what IPv4 needs, and what the simulated network carries.
const (
	MinMTU = 576
	MaxMTU = 1500
)

// Walkthrough returns the embedded scenario.
func Walkthrough() *Scenario {
	sc, err := Parse("walkthrough.yaml", WalkthroughYAML)
	if err != nil {
		panic(fmt.Sprintf("the embedded scenario is broken: %v", err)) // its own test keeps this from happening
	}
	return sc
}

// Load reads a scenario file. A mistake in it is an *Error.
func Load(path string) (*Scenario, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the scenario: %w", err)
	}
	return Parse(path, data)
}

// Subnet finds a subnet by ID.
func (s *Scenario) Subnet(id string) (Subnet, bool) {
	for _, v := range s.VPCs {
		for _, sub := range v.Subnets {
			if sub.ID == id {
				return sub, true
			}
		}
	}
	return Subnet{}, false
}

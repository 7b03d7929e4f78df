package diagnosis

import (
	"slices"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// Path is what the cloud said, when it was read, of the way of the copies: what is to be copied,
// and what lies between the sources and the target. Its values are shared and never changed.
type Path struct {
	// At is when the oldest of it was read, by the manager's clock.
	At time.Time
	// Session is the session as the cloud has it, and Filter the filter that it names, nil where
	// the cloud does not list that.
	Session cloud.Session
	Filter  *cloud.Filter
	// Parts are the sessions that stand for the object where these are several: Session is then the first, with the sources
	// of all.
	Parts []cloud.Session
	// Idle is whether the operator keeps the session switched off, as none of the spec's sources is there.
	Idle bool
	// Target and Sources are the interfaces that the session names, without those in Gone. These and
	// the session's sources are in the order of their IDs, whatever order the cloud lists them in.
	Target  *cloud.Interface
	Sources []cloud.Interface
	// Balancer is the target where that is a load balancer, and was read; Target has its address then.
	Balancer *Balancer
	// Gone are IDs of interfaces that the session names and the cloud surely does not have.
	Gone []string
	// Former are interfaces that the spec still names as sources and the session had: they are gone,
	// and were taken off it.
	Former []cloud.Interface
	// GoneFrom are the VPCs in which those of Gone and Former were when they were read last, by ID.
	GoneFrom map[string]string
	// Successors are interfaces that now have an address of one that is gone, in its VPC, by the ID
	// of that.
	Successors map[string]cloud.Interface
	// Wanted is what the specs ask for, as far as that is known.
	Wanted Wanted
	// Others are the other sessions that have a source or the target in common with this one, in
	// whichever role, as it is or as it is wanted. Once the cloud has this one, those that have no more
	// in common than that they copy to the same target count only with the same VNI.
	Others []Other
	// Quota is what the account may have, nil where that was not needed or read.
	Quota *cloud.Quota
	// Private is true with credentials that serve several tenants: nothing of other namespaces, and
	// nothing that is not vpcmirror's, may be named then.
	Private bool

	Groups        Answer[map[string]cloud.SecurityGroup]
	AddressGroups Answer[map[string]cloud.AddressGroup]
	// ACLs have the rules of those that the subnets of sources and target have.
	ACLs     Answer[[]cloud.NetworkACL]
	Peerings Answer[[]cloud.Peering]
	// RouteTables have the routes of those that the subnets of sources and target use.
	RouteTables Answer[[]cloud.RouteTable]
	// Servers are those of sources and target.
	Servers Answer[[]cloud.Server]
	// Flavors are by name.
	Flavors Answer[map[string]cloud.Flavor]
	// Interfaces are all of the account: who is a member of a security group. All sessions share them.
	Interfaces Answer[*cloud.Interfaces]
}

// parts are the sessions that stand for the object, also where that is one.
func (p *Path) parts() []cloud.Session {
	if len(p.Parts) == 0 {
		return []cloud.Session{p.Session}
	}
	return p.Parts
}

// priorityAt is that of the session that has a source.
func (p *Path) priorityAt(source string) int {
	for i := range p.Parts {
		if slices.Contains(p.Parts[i].Sources, source) {
			return p.Parts[i].Priority
		}
	}
	return p.Session.Priority
}

// Precedes reports whether another session is tried before this one at a source that both have.
func (p *Path) Precedes(o Other) bool {
	return o.Enabled && slices.ContainsFunc(o.Sources, func(id string) bool {
		return slices.Contains(p.Session.Sources, id) && o.Priority < p.priorityAt(id)
	})
}

// Server returns one of the servers, as far as they were read.
func (p *Path) Server(id string) (cloud.Server, bool) {
	for i := range p.Servers.Value {
		if p.Servers.Value[i].ID == id {
			return p.Servers.Value[i], true
		}
	}
	return cloud.Server{}, false
}

// Wanted is what the specs ask of the cloud.
type Wanted struct {
	// Parts is how many sessions in the cloud are to stand for the object, 0 while that is not known.
	Parts int
	// Session is nil while something that it refers to can't be resolved.
	Session *plan.WantedSession
	// Filter is that of the MirrorFilter that spec.filterRef names, nil where there is none, or what
	// differs in the cloud is not to be judged.
	Filter *plan.WantedFilter
	// FilterLeft is whether nobody puts the filter back, as its MirrorFilter is suspended, or
	// FilterObserved.
	FilterLeft, FilterObserved bool
}

// Other is another session in the cloud.
type Other struct {
	cloud.Session
	// Filter is nil where the cloud does not list it.
	Filter *cloud.Filter
	// Name is how a message may call it: its object, its name in the cloud and its ID, or only
	// that it is another one where nothing may be named.
	Name string
}

// Answer is what a read gave. One that nobody needed is neither read nor missing.
type Answer[T any] struct {
	Value T
	Read  bool
	// Missing is why it could not be read, nil where it was, or was not asked for.
	Missing *Missing
}

// Missing is a read that gave nothing.
type Missing struct {
	// Action is the right that is missing, in the words of the cloud's identity policies, such
	// as vpc:securityGroupRules:list; empty when it is not that.
	Action string
	// Says is why else, in the cloud's words.
	Says string
}

// pathCauses look at the way of the copies: what was read of it, and what that lets nothing pass.
// [filterCauses] look at what is to be copied. By both [JudgePath] judges.
var pathCauses = []func(*Known) []v1alpha1.Finding{onTheWay}

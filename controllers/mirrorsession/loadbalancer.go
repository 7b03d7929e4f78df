package mirrorsession

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/status"
)

// vxlanPort is where copies go (VPC user guide, "Traffic Mirroring").
const vxlanPort = 4789

// balanced is what is behind a load balancer.
type balanced struct {
	of cloud.LoadBalancer
	// members are those that may get copies. Where known is false they could not be read.
	members []v1alpha1.TargetMember
	known   bool
}

// findTarget finds what spec.target names.
func (s *scope) findTarget(ctx context.Context, since time.Time) (cloud.Interface, error) {
	id := s.session.Spec.Target.LoadBalancerID
	if id == "" {
		return s.interfaceOf(ctx, named{field: "spec.target", InterfaceSelector: s.session.Spec.Target.InterfaceSelector}, since)
	}
	found, err := s.Inventory.LoadBalancer(ctx, s.Cloud, id, since)
	switch {
	case cloud.IsNotFound(err):
		p := absent(err, "spec.target.loadBalancerID names %s, but %s has no such load balancer: correct the ID, or wait until the load balancer is there",
			id, s.accountName())
		p.Reason = v1alpha1.ReasonLoadBalancerNotFound
		return cloud.Interface{}, p
	case err != nil:
		return cloud.Interface{}, fmt.Errorf("read the load balancer %s of spec.target: %w", id, err)
	}
	s.balanced = &balanced{of: found}
	if err := s.findMembers(ctx, since); err != nil {
		return cloud.Interface{}, err
	}
	return asInterface(found), nil
}

// asInterface is a load balancer as far as it is like an interface: copies go to its address, and nothing guards that.
func asInterface(l cloud.LoadBalancer) cloud.Interface {
	return cloud.Interface{ID: l.ID, VPCID: l.VPCID, Addresses: l.Addresses, Unsecured: true}
}

// findMembers finds out who is behind the load balancer. That this can't be read holds up nothing: the verifiers go
// by those that were known before.
func (s *scope) findMembers(ctx context.Context, since time.Time) error {
	b := s.balanced
	pools, err := s.poolsOf(ctx, b.of.ID, since)
	if err != nil {
		if lifecycle.Diagnose(err) == nil {
			return err
		}
		return nil // the way of the copies says it, where that is read
	}
	members := membersOf(pools)
	s.Inventory.ExpectInterfaces(s.Cloud, len(members), since)
	for _, m := range members {
		shown := v1alpha1.TargetMember{Address: m.Address.String(), Health: string(m.Health)}
		at, err := s.memberInterface(ctx, b.of.VPCID, m.Address, since)
		switch {
		case err != nil && lifecycle.Diagnose(err) == nil:
			return err
		case err != nil: // the verifiers find it by its address, and by what was known of it
			was := s.memberBefore(shown.Address)
			shown.InterfaceID, shown.MAC = was.InterfaceID, was.MAC
		case at != nil:
			shown.InterfaceID, shown.MAC = at.ID, at.MAC
			s.seen[at.ID] = *at
		}
		if shown.NodeName, err = s.nodeAt(ctx, []netip.Addr{m.Address}); err != nil {
			return err
		}
		b.members = append(b.members, shown)
	}
	b.known = true
	return nil
}

// memberBefore is what the status has of the member with an address, as long as the target is the same.
func (s *scope) memberBefore(address string) v1alpha1.TargetMember {
	if t := s.session.Status.Target; t != nil && t.LoadBalancerID == s.balanced.of.ID {
		for _, m := range t.Members {
			if m.Address == address {
				return m
			}
		}
	}
	return v1alpha1.TargetMember{}
}

// poolsOf are the pools to which the load balancer gives what comes to the port of copies. One that has gone
// meanwhile is left out.
func (s *scope) poolsOf(ctx context.Context, id string, since time.Time) (pools []cloud.Pool, err error) {
	listeners, err := s.Inventory.Listeners(ctx, s.Cloud, id, since)
	if err != nil {
		return nil, fmt.Errorf("list the listeners of the load balancer %s: %w", id, err)
	}
	for _, l := range listeners {
		if !l.Listens(vxlanPort) || l.PoolID == "" || l.AdminDown {
			continue
		}
		pool, err := s.Inventory.Pool(ctx, s.Cloud, l.PoolID, since)
		switch {
		case cloud.IsNotFound(err):
		case err != nil:
			return nil, fmt.Errorf("read the pool %s of the load balancer %s: %w", l.PoolID, id, err)
		default:
			pools = append(pools, pool)
		}
	}
	return pools, nil
}

// membersOf are the members that may get copies, in the order of their addresses and each address once. Of more than
// a status holds the ones that get none now are left out first.
func membersOf(pools []cloud.Pool) []cloud.Member {
	var all []cloud.Member
	for _, p := range pools {
		for _, m := range p.Members {
			if m.Address.IsValid() && !p.AdminDown && !m.AdminDown && m.Weight > 0 {
				all = append(all, m)
			}
		}
	}
	slices.SortFunc(all, func(a, b cloud.Member) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(rankOfHealth(a), rankOfHealth(b)))
	})
	all = slices.CompactFunc(all, func(a, b cloud.Member) bool { return a.Address == b.Address })
	if len(all) > status.MaxMembers {
		slices.SortStableFunc(all, func(a, b cloud.Member) int { return cmp.Compare(rankOfHealth(a), rankOfHealth(b)) })
		all = all[:status.MaxMembers]
		slices.SortFunc(all, func(a, b cloud.Member) int { return a.Address.Compare(b.Address) })
	}
	return all
}

func rankOfHealth(m cloud.Member) int {
	if m.Health == cloud.MemberOffline {
		return 1
	}
	return 0
}

// memberInterface is the interface of a VPC that has the address of a member, nil where there is none, or
// several in VPCs that are not known.
func (s *scope) memberInterface(ctx context.Context, vpc string, at netip.Addr, since time.Time) (*cloud.Interface, error) {
	all, err := s.Inventory.InterfacesAt(ctx, s.Cloud, at, since)
	if err != nil {
		return nil, fmt.Errorf("find the interface of the member %s: %w", at, err)
	}
	var found []cloud.Interface
	for _, i := range all {
		if i.VPCID == vpc || i.VPCID == "" || vpc == "" {
			found = append(found, i)
		}
	}
	if len(found) != 1 {
		return nil, nil
	}
	return &found[0], nil
}

// shownTarget is how the status shows the target of an ID, nil where that is not known.
func (s *scope) shownTarget(id string) *v1alpha1.ResolvedTarget {
	before := s.session.Status.Target
	if before != nil && before.ID() != id {
		before = nil
	}
	r, known := s.resolved[id]
	switch {
	case s.balanced != nil && s.balanced.of.ID == id:
		target := &v1alpha1.ResolvedTarget{ResolvedInterface: r, LoadBalancerID: id, Members: s.balanced.members}
		target.InterfaceID, target.NodeName = s.balanced.of.PortID, ""
		if !s.balanced.known && before != nil {
			target.Members = before.Members
		}
		return target
	case before != nil && before.LoadBalancerID != "":
		return before // what is kept of a load balancer is all that was known of it
	case known:
		return &v1alpha1.ResolvedTarget{ResolvedInterface: r}
	default:
		return nil
	}
}

// fromTarget is what the status has of the target.
func fromTarget(t v1alpha1.ResolvedTarget) cloud.Interface {
	out := fromStatus(t.ResolvedInterface)
	out.ID, out.Unsecured = t.ID(), t.LoadBalancerID != ""
	return out
}

// readBalancer reads a target that is a load balancer, and who is behind it. Where an edge asks, it asks anew, as it does
// for everything else.
func (r *pathReader) readBalancer(ctx context.Context, p *diagnosis.Path) {
	id := p.Session.TargetID
	if p.Session.TargetType != cloud.TargetLoadBalancer || id == "" {
		return
	}
	was := &diagnosis.Balancer{}
	if r.before.Balancer != nil && r.before.Balancer.ID == id {
		was = r.before.Balancer
	}
	gone := false
	got := ask(ctx, r, diagnosis.Answer[cloud.LoadBalancer]{Value: was.LoadBalancer, Read: was.ID != ""},
		func(ctx context.Context, c cloud.Client, since time.Time) (cloud.LoadBalancer, error) {
			found, err := r.Inventory.LoadBalancer(ctx, c, id, since)
			if gone = cloud.IsNotFound(err); gone {
				err = nil // that is an answer
			}
			return found, err
		})
	switch {
	case gone:
		p.Gone = append(p.Gone, id)
		return
	case !got.Read:
		return
	}
	b := &diagnosis.Balancer{LoadBalancer: got.Value}
	b.Listeners = ask(ctx, r, was.Listeners, func(ctx context.Context, c cloud.Client, since time.Time) ([]cloud.Listener, error) {
		return r.Inventory.Listeners(ctx, c, id, since)
	})
	b.Pools = ask(ctx, r, was.Pools, func(ctx context.Context, _ cloud.Client, since time.Time) (map[string]cloud.Pool, error) {
		pools, err := r.poolsOf(ctx, id, since)
		by := make(map[string]cloud.Pool, len(pools))
		for _, pool := range pools {
			by[pool.ID] = pool
		}
		return by, err
	})
	b.Members = r.memberInterfaces(ctx, b, was)
	p.Balancer, p.Target = b, new(asInterface(b.LoadBalancer))
	if at, err := r.Inventory.Interface(ctx, r.Cloud, b.PortID, r.began.Add(-r.Resync)); err == nil {
		p.Target.SubnetID = at.SubnetID // by which its route table is found
	}
}

// memberInterfaces are the interfaces of those who may get copies, by address.
func (r *pathReader) memberInterfaces(ctx context.Context, b, was *diagnosis.Balancer) map[netip.Addr]cloud.Interface {
	pools := make([]cloud.Pool, 0, len(b.Pools.Value))
	for _, pool := range b.Pools.Value {
		pools = append(pools, pool)
	}
	return ask(ctx, r, diagnosis.Answer[map[netip.Addr]cloud.Interface]{Value: was.Members, Read: was.Members != nil},
		func(ctx context.Context, _ cloud.Client, since time.Time) (map[netip.Addr]cloud.Interface, error) {
			found := map[netip.Addr]cloud.Interface{}
			for _, m := range membersOf(pools) {
				at, err := r.memberInterface(ctx, b.VPCID, m.Address, since)
				if err != nil {
					return nil, err
				}
				if at != nil {
					found[m.Address] = *at
				}
			}
			return found, nil
		}).Value
}

package diagnosis

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// Balancer is what was read of a target that is a load balancer.
type Balancer struct {
	cloud.LoadBalancer
	// Listeners are those that take UDP, and Pools the pools of those that take copies, by their IDs.
	Listeners Answer[[]cloud.Listener]
	Pools     Answer[map[string]cloud.Pool]
	// Members are the interfaces of the pools' members that were found, by the members' addresses.
	Members map[netip.Addr]cloud.Interface
}

// balanced reports whether the target is a load balancer.
func (k *Known) balanced() bool { return k.Path.Session.TargetType == cloud.TargetLoadBalancer }

// Receivers are the interfaces at which copies arrive that were read: the target's, or those of members that
// get a share.
func (p *Path) Receivers() (all []*cloud.Interface) {
	if p.Session.TargetType != cloud.TargetLoadBalancer {
		if p.Target != nil {
			all = append(all, p.Target)
		}
		return all
	}
	if p.Balancer == nil {
		return nil
	}
	for _, m := range p.Balancer.shares() {
		if i, found := p.Balancer.Members[m.Address]; found {
			all = append(all, &i)
		}
	}
	return all
}

// takers are the listeners that take copies.
func (b *Balancer) takers() (all []cloud.Listener) {
	for _, l := range b.Listeners.Value {
		if l.Listens(vxlanPort) && !l.AdminDown {
			all = append(all, l)
		}
	}
	return all
}

// eligible are the members that would get copies if they are well, in the order of their addresses. A server may be
// there several times, at several ports.
func (b *Balancer) eligible() (all []cloud.Member) {
	for _, l := range b.takers() {
		pool := b.Pools.Value[l.PoolID]
		for _, m := range pool.Members {
			if pool.AdminDown || m.AdminDown || m.Weight == 0 || !m.Address.IsValid() {
				continue
			}
			if pool.AnyPort {
				m.Port = vxlanPort
			}
			all = append(all, m)
		}
	}
	offline := func(m cloud.Member) int {
		if m.Health == cloud.MemberOffline {
			return 1
		}
		return 0
	}
	slices.SortFunc(all, func(a, b cloud.Member) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Port, b.Port), cmp.Compare(offline(a), offline(b)))
	})
	return slices.CompactFunc(all, func(a, b cloud.Member) bool { return a.Address == b.Address && a.Port == b.Port })
}

// shares are the members that get copies.
func (b *Balancer) shares() []cloud.Member {
	return slices.DeleteFunc(b.eligible(), func(m cloud.Member) bool { return m.Health == cloud.MemberOffline })
}

// balancerDelivers: the load balancer has no listener for copies, no member behind it, or none that is well. A
// private load balancer as a target spreads the copies over its backends, for which it needs a UDP listener on
// port 4789 (user guide, "Mirroring Inbound and Outbound TCP Traffic to a Load Balancer"). By listeners, pools and
// members, and what the load balancer's own checks say.
func balancerDelivers(k *Known) (seen sight) {
	if !k.balanced() {
		return seen
	}
	b := k.Path.Balancer
	if b == nil {
		if slices.Contains(k.Path.Gone, k.targetID()) {
			seen.stop(k.ofTarget(v1alpha1.ReasonLoadBalancerGone, plain("the load balancer %s is deleted in the cloud", k.targetID()), around{}))
		} else {
			seen.doubt(doubt{says: "the load balancer could not be read"})
		}
		return seen
	}
	switch {
	case b.AdminDown:
		seen.stop(k.ofTarget(v1alpha1.ReasonNoListener, plain("%s is switched off", k.balancerCalled()), plain("switch %s on", k.balancerCalled())))
	case !b.Listeners.Read:
		seen.doubt(unread("listeners of load balancers", b.Listeners.Missing))
	case len(b.takers()) == 0:
		k.noListener(&seen)
	case !b.Pools.Read:
		seen.doubt(unread("members of load balancers", b.Pools.Missing))
	default:
		k.membersDeliver(&seen)
	}
	return seen
}

// ofTarget is an obstacle that holds up all copies.
func (k *Known) ofTarget(reason string, message, remedy around) obstacle {
	return obstacle{reason: reason, about: k.targetAbout(), message: message, remedy: remedy}
}

func (k *Known) balancerCalled() string {
	return k.called("load balancer", k.Path.Balancer.Name, k.Path.Balancer.ID)
}

func (k *Known) noListener(seen *sight) {
	for _, l := range k.Path.Balancer.Listeners.Value {
		switch {
		case l.Unreadable != "":
			seen.doubt(doubt{says: fmt.Sprintf("a listener of %s can't be read%s", k.balancerCalled(), k.unlessPrivate(": "+l.Unreadable))})
			return
		case l.Listens(vxlanPort):
			called := k.called("listener", l.Name, l.ID)
			seen.stop(k.ofTarget(v1alpha1.ReasonNoListener, plain("%s of %s is switched off", called, k.balancerCalled()), plain("switch %s on", called)))
			return
		}
	}
	seen.stop(k.ofTarget(v1alpha1.ReasonNoListener, plain("%s has no listener on UDP %d, where copies go", k.balancerCalled(), vxlanPort), around{}))
}

func (k *Known) membersDeliver(seen *sight) {
	b := k.Path.Balancer
	eligible, shares := b.eligible(), b.shares()
	switch {
	case len(eligible) == 0:
		seen.stop(k.ofTarget(v1alpha1.ReasonNoMembers, plain("the listener of %s on UDP %d has no member that gets anything", k.balancerCalled(), vxlanPort), around{}))
		return
	case len(shares) == 0:
		seen.stop(k.ofTarget(v1alpha1.ReasonMembersUnhealthy, plain("%s of %s %s offline by its health checks: it gives the copies to nobody",
			membersCalled(eligible), k.balancerCalled(), areOrIs(eligible)), around{}))
		return
	}
	var hidden bool
	for _, l := range b.takers() {
		hidden = hidden || l.HidesClients
	}
	if hidden {
		seen.stop(obstacle{reason: v1alpha1.ReasonSourcesHidden, about: k.targetAbout(), partly: true,
			message: plain("%s puts its own address in the place of the sources': nobody can tell whose copies arrive", k.balancerCalled())})
	}
	if astray := slices.DeleteFunc(slices.Clone(shares), func(m cloud.Member) bool { return m.Port == vxlanPort }); len(astray) > 0 {
		o := k.ofTarget(v1alpha1.ReasonMemberPort, plain("%s gives %s the copies at UDP %d, where no verifier counts", k.balancerCalled(), membersCalled(astray), astray[0].Port), around{})
		o.partly = len(astray) < len(shares)
		seen.stop(o)
	}
}

func areOrIs(members []cloud.Member) string {
	if len(members) > 1 {
		return "are"
	}
	return "is"
}

// membersCalled reads like: the members 10.0.0.1 and 10.0.0.2.
func membersCalled(members []cloud.Member) string {
	var names []string
	for _, m := range members {
		if name := m.Address.String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return membersNamed(names)
}

// membersNamed is the same of their names. Of many it names the first.
func membersNamed(names []string) string {
	const named = 4
	if len(names) == 1 {
		return "the member " + names[0]
	}
	if more := len(names) - named; more > 0 {
		names = append(slices.Clone(names[:named]), fmt.Sprintf("%d more", more))
	}
	return "the members " + inWords(names)
}

// memberObstacles are the looks at a receiving interface.
var memberObstacles = []func(*Known) sight{targetDetached, targetStopped, targetDown, targetACLDenies, targetGroupDenies}

// atMembers: something stands in the way at the members of a load balancer. A copy is given to one of them, and
// is judged there as one that comes from the source: whether groups and network ACLs see copies that a load balancer passes on is
// documented both ways (VPC user guide: the target's groups must allow UDP 4789 from the source; ELB user guide: of a
// dedicated one without IP backends they are ignored at layer 4), and what lets them in serves in both cases.
func atMembers(k *Known) (all sight) {
	if !k.balanced() || k.Path.Balancer == nil {
		return all
	}
	shares := k.Path.Balancer.shares()
	held := map[string]int{} // members at which the copies of a source are held up, all sources under ""
	var found []obstacle
	for _, m := range shares {
		at, known := k.Path.Balancer.Members[m.Address]
		if !known {
			all.assume("copies get to the member %s, which is at no interface that the cloud shows", m.Address)
			continue
		}
		seen := k.at(at)
		all.doubts, all.assumed = append(all.doubts, seen.doubts...), append(all.assumed, seen.assumed...)
		at1 := map[string]bool{}
		for _, o := range seen.obstacles {
			if !o.partly && !at1[o.source] {
				at1[o.source] = true
				held[o.source]++
			}
			o.about = k.targetAbout()
			found = append(found, o)
		}
	}
	for _, o := range found {
		o.partly = o.partly || held[o.source]+held[""] < len(shares)
		all.stop(o)
	}
	return all
}

// at looks at one member, as if it were the target.
func (k *Known) at(member cloud.Interface) (seen sight) {
	path := *k.Path
	path.Target, path.Session.TargetID, path.Session.TargetType = &member, member.ID, cloud.TargetInterface
	one := *k
	one.Path = &path
	for _, look := range memberObstacles {
		seen.add(look(&one))
	}
	return seen
}

// ofReceiver keeps of a look at all interfaces what is about the target.
func ofReceiver(look func(*Known) sight) func(*Known) sight {
	return func(k *Known) (seen sight) {
		all := look(k)
		for _, o := range all.obstacles {
			if o.source == "" {
				seen.stop(o)
			}
		}
		return seen
	}
}

var targetDetached, targetStopped, targetDown = ofReceiver(interfaceDetached), ofReceiver(serverStopped), ofReceiver(interfaceDown)

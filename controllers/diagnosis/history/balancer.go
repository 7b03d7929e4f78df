package history

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// balancer compares a target that is a load balancer: its listeners for copies, and who is behind them.
func (c *comparison) balancer() {
	was, is := c.before.Balancer, c.now.Balancer
	if was == nil || is == nil || was.ID != is.ID {
		return
	}
	name := c.part("load balancer", is.Name, is.ID)
	c.switched(name, !was.AdminDown, !is.AdminDown)
	if wereRead(was.Listeners, is.Listeners) {
		c.listeners(name, takers(was), takers(is))
	}
	if wereRead(was.Pools, is.Pools) {
		for _, id := range slices.Sorted(maps.Keys(is.Pools.Value)) {
			if before, had := was.Pools.Value[id]; had { // else it is another listener's, or was
				c.pool(before, is.Pools.Value[id])
			}
		}
	}
	c.memberInterfaces(was, is)
}

// part is what belongs to a load balancer as a sentence may call it.
func (c *comparison) part(kind, name, id string) string {
	if c.private() {
		return "the " + kind
	}
	return "the " + kind + " " + cmp.Or(name, id)
}

func (c *comparison) switched(name string, was, is bool) {
	if was != is {
		c.say("%s was switched %s", name, onOff(is))
	}
}

// takers are the listeners for copies, switched on or not, by their IDs.
func takers(b *diagnosis.Balancer) map[string]cloud.Listener {
	all := map[string]cloud.Listener{}
	for _, l := range b.Listeners.Value {
		if l.Listens(vxlanPort) {
			all[l.ID] = l
		}
	}
	return all
}

func (c *comparison) listeners(balancer string, was, is map[string]cloud.Listener) {
	for _, id := range slices.Sorted(maps.Keys(was)) {
		if _, there := is[id]; !there {
			c.say("%s on UDP %d is gone from %s", c.part("listener", was[id].Name, id), vxlanPort, balancer)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(is)) {
		before, had := was[id]
		now, name := is[id], c.part("listener", is[id].Name, id)
		if !had {
			c.say("%s on UDP %d was added to %s", name, vxlanPort, balancer)
			continue
		}
		name += " of " + balancer
		c.switched(name, !before.AdminDown, !now.AdminDown)
		if before.PoolID != now.PoolID {
			c.say("%s was given another pool", name)
		}
		if before.HidesClients != now.HidesClients {
			c.say("%s %s puts its own address in the place of the sources'", name, nowOrNoLonger(now.HidesClients))
		}
	}
}

func nowOrNoLonger(is bool) string {
	if is {
		return "now"
	}
	return "no longer"
}

// pool compares a group of servers. A member is known again by its address and port: it may be made again as it was.
func (c *comparison) pool(was, is cloud.Pool) {
	name := c.part("pool", is.Name, is.ID)
	c.switched(name, !was.AdminDown, !is.AdminDown)
	if was.AnyPort != is.AnyPort {
		c.say("%s %s gives its members the copies at the port to which they were sent", name, nowOrNoLonger(is.AnyPort))
	}
	before, now := membersByAddress(was), membersByAddress(is)
	for _, a := range slices.SortedFunc(maps.Keys(before), netip.Addr.Compare) {
		if len(now[a]) == 0 {
			c.say("the member %s was taken out of %s", a, name)
		}
	}
	for _, a := range slices.SortedFunc(maps.Keys(now), netip.Addr.Compare) {
		switch {
		case len(before[a]) == 0:
			c.say("the member %s was added to %s", a, name)
		case len(before[a]) == 1 && len(now[a]) == 1:
			c.member(before[a][0], now[a][0])
		default:
			c.memberPorts(before[a], now[a])
		}
	}
}

// membersByAddress has the members at each address; a server may be there several times, at several ports.
func membersByAddress(p cloud.Pool) map[netip.Addr][]cloud.Member {
	by := map[netip.Addr][]cloud.Member{}
	for _, m := range p.Members {
		if m.Address.IsValid() {
			by[m.Address] = append(by[m.Address], m)
		}
	}
	return by
}

func (c *comparison) member(was, is cloud.Member) {
	name := fmt.Sprintf("the member %s", is.Address)
	c.switched(name, !was.AdminDown, !is.AdminDown)
	if was.Port != is.Port {
		c.say("%s now gets the copies at UDP %d", name, is.Port)
	}
	if (was.Weight == 0) != (is.Weight == 0) {
		c.say("%s has the weight %d now, it was %d", name, is.Weight, was.Weight)
	}
	switch offline := is.Health == cloud.MemberOffline; {
	case offline == (was.Health == cloud.MemberOffline):
	case offline:
		c.say("%s is offline by its health checks", name)
	default:
		c.say("%s is no longer offline by its health checks", name)
	}
}

// memberPorts compares a server that is there several times: which ports it has.
func (c *comparison) memberPorts(was, is []cloud.Member) {
	ports := func(all []cloud.Member) string {
		numbers := make([]cloud.PortRange, 0, len(all))
		for _, m := range all {
			numbers = append(numbers, cloud.PortRange{Low: m.Port, High: m.Port})
		}
		return strings.ReplaceAll(portList(numbers), ",", " and ")
	}
	if before, now := ports(was), ports(is); before != now {
		c.say("the member %s now gets the copies at UDP %s, it was %s", is[0].Address, now, before)
	}
}

// memberInterfaces compares at which interfaces the members are that have not changed.
func (c *comparison) memberInterfaces(was, is *diagnosis.Balancer) {
	if was.Members == nil || is.Members == nil {
		return // they were not read
	}
	for _, a := range slices.SortedFunc(maps.Keys(was.Members), netip.Addr.Compare) {
		if !isMember(is, a) {
			continue
		}
		switch before, now := was.Members[a], is.Members[a]; {
		case now.ID == "":
			c.say("the interface %s of the member %s is gone from the cloud", before.ID, a)
		case now.ID != before.ID:
			c.say("the member %s is at another interface now: %s in place of %s", a, now.ID, before.ID)
		}
	}
}

// memberIDs are the interfaces of members of both times, sorted.
func (c *comparison) memberIDs() (ids []string) {
	if c.before.Balancer == nil || c.now.Balancer == nil {
		return nil
	}
	for a, now := range c.now.Balancer.Members {
		if before, had := c.before.Balancer.Members[a]; had && before.ID == now.ID {
			ids = append(ids, now.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func isMember(b *diagnosis.Balancer, at netip.Addr) bool {
	for _, p := range b.Pools.Value {
		if slices.ContainsFunc(p.Members, func(m cloud.Member) bool { return m.Address == at && !m.AdminDown && m.Weight > 0 }) {
			return !p.AdminDown
		}
	}
	return false
}

// keepBalancer gives the next look what was not read of the load balancer in this one.
func keepBalancer(now, before *diagnosis.Path) *diagnosis.Balancer {
	is, was := now.Balancer, before.Balancer
	switch {
	case was == nil || was.ID != now.Session.TargetID:
		return is
	case is == nil:
		return was
	}
	base := *is
	keep(&base.Listeners, was.Listeners)
	keep(&base.Pools, was.Pools)
	if base.Members == nil {
		base.Members = was.Members
	}
	return &base
}

// lessOfBalancer reports whether something of the load balancer was read before, and not now.
func lessOfBalancer(now, before *diagnosis.Path) bool {
	is, was := now.Balancer, before.Balancer
	if was == nil || is == nil {
		return was != nil && was.ID == now.Session.TargetID
	}
	return was.Listeners.Read && !is.Listeners.Read || was.Pools.Read && !is.Pools.Read || was.Members != nil && is.Members == nil
}

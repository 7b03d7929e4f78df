package diagnosis

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// targetGroupDenies: the target's security groups don't let the copies in. Copies "are subject to
// the security group rules of the mirror target: the inbound direction must allow UDP 4789 from the
// mirror source's address" (VPC user guide, "Traffic Mirroring"). That a rule for a security group
// is about the copies of its members is documented nowhere, so a match of one is only assumed.
func targetGroupDenies(k *Known) (seen sight) {
	k.pairs(func(source, target *cloud.Interface, from, to netip.Addr) {
		if target.Unsecured {
			return
		}
		if !k.Path.Groups.Read {
			seen.doubt(unread("security groups and their rules", k.Path.Groups.Missing))
			return
		}
		packets := copies(from, to)
		ordered := k.groupSteps(target, cloud.Ingress, packets, source)
		switch r := rule(ordered); {
		case r.verdict == undecided:
			seen.doubt(r.why)
		case r.verdict == admitted && r.probably != "":
			seen.assume("%s", r.probably)
		case r.verdict == denied:
			seen.stop(k.groupObstacle(source, target, ordered, r))
		}
	})
	return seen
}

// groupObstacle says which group and rule keep out the copies of a source.
func (k *Known) groupObstacle(source, target *cloud.Interface, steps []step, r ruling) obstacle {
	o := obstacle{reason: v1alpha1.ReasonTargetGroupDenies, source: source.ID, about: k.targetAbout()}
	groups, name := k.groupsCalled(target), k.nameOf(target.ID)
	switch {
	case len(target.SecurityGroups) == 0:
		o.message = open("the target "+name+" has no security group, so that nothing lets UDP 4789 in from ", "")
		o.remedy = open("give it a security group that allows UDP 4789 from ", "")
	case r.by == nil:
		has := "has"
		if len(target.SecurityGroups) > 1 {
			has = "have"
		}
		o.message = open(fmt.Sprintf("%s of %s %s no rule that allows UDP 4789 from ", groups, name, has), "")
		o.remedy = open("allow UDP 4789 from ", " in "+k.firstGroup(target))
	default:
		denies := "denies"
		if r.probably != "" {
			denies = "probably denies"
		}
		o.message = open(fmt.Sprintf("%s of %s %s UDP 4789 from ", r.by.where, name, denies), k.unlessPrivate(": "+r.by.says))
		o.remedy = k.beforeRule(steps, r.by)
	}
	return o
}

// beforeRule says how to let copies in before a rule that denies: a rule with a smaller priority
// number in the same group, or a change of that rule.
func (k *Known) beforeRule(steps []step, by *step) around {
	narrow := k.ruleCalled(by)
	priority := by.priority - 1
	for _, s := range steps { // whatever the order of the groups
		if s.fit != none && !s.allow && s.priority > 1 {
			priority = min(priority, s.priority-1)
		}
	}
	if priority < 1 {
		return open(fmt.Sprintf("narrow or remove %s in %s, as no rule comes before one of priority 1, and allow UDP 4789 from ", narrow, by.where), "")
	}
	return open("allow UDP 4789 from ", fmt.Sprintf(" in %s with priority %d, or narrow %s", by.where, priority, narrow))
}

func (k *Known) ruleCalled(by *step) string {
	if k.Path.Private {
		return "the rule that denies them"
	}
	return "rule " + short(by.id)
}

func (k *Known) unlessPrivate(text string) string {
	if k.Path.Private {
		return ""
	}
	return text
}

func (k *Known) firstGroup(i *cloud.Interface) string {
	if len(i.SecurityGroups) > 1 {
		return "one of them"
	}
	return k.groupCalled(i.SecurityGroups[0])
}

func (k *Known) groupCalled(id string) string {
	return k.called("security group", k.Path.Groups.Value[id].Name, id)
}

func (k *Known) groupsCalled(i *cloud.Interface) string {
	if k.Path.Private && len(i.SecurityGroups) > 1 {
		return "the security groups"
	}
	names := make([]string, 0, len(i.SecurityGroups))
	for _, id := range i.SecurityGroups {
		names = append(names, k.groupCalled(id))
	}
	return inWords(names)
}

// groupSteps are the rules of an interface's groups as some traffic meets them, in the order in
// which they are tried: "security groups are matched by their sequence, then rules by priority,
// and of equal ones deny before allow" (VPC user guide, "How Traffic Matches Security Group Rules").
// peer is the interface at the other end where it is known.
func (k *Known) groupSteps(i *cloud.Interface, direction cloud.Direction, packets traffic, peer *cloud.Interface) []step {
	var steps []step
	for _, id := range i.SecurityGroups {
		group, listed := k.Path.Groups.Value[id]
		if !listed {
			steps = append(steps, step{fit: unsure, unreadable: true, why: doubt{says: k.groupCalled(id) + " is not in the cloud's list"}})
			continue
		}
		rules := slices.DeleteFunc(slices.Clone(group.Rules), func(r cloud.GroupRule) bool {
			return r.Disabled || r.Direction != direction && (r.Unreadable == "" || r.Direction != "")
		})
		surelyAllows := func(r cloud.GroupRule) int { return number(r.Allow && r.Unreadable == "") }
		slices.SortStableFunc(rules, func(a, b cloud.GroupRule) int {
			return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(surelyAllows(a), surelyAllows(b)))
		})
		for _, r := range rules {
			steps = append(steps, k.groupStep(i, group, r, packets, peer))
		}
	}
	return steps
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (k *Known) groupStep(i *cloud.Interface, group cloud.SecurityGroup, r cloud.GroupRule, packets traffic, peer *cloud.Interface) step {
	where := k.called("security group", group.Name, group.ID)
	s := step{allow: r.Allow, id: r.ID, says: k.describeGroupRule(r), where: where, priority: r.Priority}
	if r.Unreadable != "" {
		s.fit, s.unreadable = unsure, true
		s.why = doubt{says: fmt.Sprintf("%s in %s can't be read: %s", k.oneRule(r.ID), where, k.unlessPrivate(r.Unreadable))}
		return s
	}
	family := none
	if r.IPv6 == packets.ipv6 {
		family = every
	}
	remote := packets.source
	if r.Direction == cloud.Egress {
		remote = packets.destination
	}
	fields := both(family, packets.ofProtocol(r.Protocol), packets.inPorts(packets.destinationPorts, r.Ports), inPrefix(remote, r.Remote))
	if s.fit = fields; fields == none {
		return s
	}
	switch {
	case r.RemoteGroupID != "":
		members, known := k.members(i, r.RemoteGroupID, remote, peer)
		s.fit = both(fields, members)
		s.probably = fmt.Sprintf("%s in %s, which is for the members of %s, is for their copies too",
			k.oneRule(r.ID), where, k.groupCalled(r.RemoteGroupID))
		if !known {
			s.why = unread("interfaces", k.Path.Interfaces.Missing)
		}
	case r.RemoteAddressGroupID != "":
		var inGroup fit
		inGroup, s.why = k.inAddressGroup(r.RemoteAddressGroupID, remote)
		s.fit = both(fields, inGroup)
	}
	if s.fit == unsure && s.why == (doubt{}) {
		s.why = doubt{says: fmt.Sprintf("%s in %s can't be judged", k.oneRule(r.ID), where)}
	}
	return s
}

func (k *Known) oneRule(id string) string {
	if k.Path.Private {
		return "a rule"
	}
	return "rule " + short(id)
}

// members is how much of a set of addresses are those of the members of a security group: of the
// interfaces in the same VPC that have it ("a rule that names a security group knows the members in
// the same VPC only"). Not known where they were not read, and the peer does not settle it.
func (k *Known) members(i *cloud.Interface, group string, addresses netip.Prefix, peer *cloud.Interface) (fit, bool) {
	if peer != nil && sameVPC(i, peer) {
		if slices.Contains(peer.SecurityGroups, group) {
			return every, true
		}
		return none, true
	}
	if !k.Path.Interfaces.Read {
		return unsure, false
	}
	switch {
	case !k.Path.Interfaces.Value.InGroup(group, i.VPCID, addresses):
		return none, true
	case addresses.IsSingleIP():
		return every, true
	default:
		return some, true
	}
}

func sameVPC(a, b *cloud.Interface) bool {
	return a.VPCID == b.VPCID || a.VPCID == "" || b.VPCID == ""
}

// inAddressGroup is how much of a set of addresses is in an address group, and why that is unsure.
func (k *Known) inAddressGroup(id string, addresses netip.Prefix) (fit, doubt) {
	if !k.Path.AddressGroups.Read {
		return unsure, unread("address groups", k.Path.AddressGroups.Missing)
	}
	group, listed := k.Path.AddressGroups.Value[id]
	called := k.called("address group", group.Name, id)
	if !listed {
		return unsure, doubt{says: called + " is not in the cloud's list"}
	}
	return inRanges(addresses, group), doubt{says: fmt.Sprintf("%s has an entry that can't be read: %s", called, k.unlessPrivate(group.Unreadable))}
}

// describeGroupRule reads like: rule 9d1c0a2e ingress deny udp 4000-5000 from 192.168.0.0/24, priority 1.
func (k *Known) describeGroupRule(r cloud.GroupRule) string {
	words := []string{"rule", short(r.ID), strings.ToLower(string(r.Direction)), action(r.Allow)}
	if r.IPv6 {
		words = append(words, "IPv6")
	}
	words = append(words, cmp.Or(r.Protocol, "all protocols"))
	if len(r.Ports) > 0 {
		words = append(words, portsText(r.Ports))
	}
	way := "from"
	if r.Direction == cloud.Egress {
		way = "to"
	}
	remote := "any address"
	switch {
	case r.Remote.IsValid():
		remote = r.Remote.String()
	case r.RemoteGroupID != "":
		remote = "members of " + k.groupCalled(r.RemoteGroupID)
	case r.RemoteAddressGroupID != "":
		remote = k.called("address group", k.Path.AddressGroups.Value[r.RemoteAddressGroupID].Name, r.RemoteAddressGroupID)
	}
	return fmt.Sprintf("%s %s %s, priority %d", strings.Join(words, " "), way, remote, r.Priority)
}

func action(allow bool) string {
	if allow {
		return "allow"
	}
	return "deny"
}

// portsText reads like: 80,4000-5000. Of many it names the first.
func portsText(ranges []cloud.PortRange) string {
	const named = 5
	var out []string
	for i, r := range ranges {
		if i == named {
			out = append(out, "...")
			break
		}
		if r.Low == r.High {
			out = append(out, fmt.Sprint(r.Low))
			continue
		}
		out = append(out, fmt.Sprintf("%d-%d", r.Low, r.High))
	}
	return strings.Join(out, ",")
}

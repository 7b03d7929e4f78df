package diagnosis

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// endpoint is an interface that the session names, as it was and as it is.
type endpoint struct {
	role     string
	was, is  *cloud.Interface
	isTarget bool
}

// ends are those that are the session's at both times, the target first. What the session names
// anew is told of the session.
func (c *comparison) ends() []endpoint {
	var out []endpoint
	add := func(role, id string, isTarget bool) {
		out = append(out, endpoint{role, c.before.interfaceByID(id), c.now.interfaceByID(id), isTarget})
	}
	if c.before.Session.TargetID == c.now.Session.TargetID {
		add("the target", c.now.Session.TargetID, true)
	}
	sources := slices.Clone(c.now.Session.Sources)
	slices.Sort(sources)
	for _, id := range slices.Compact(sources) {
		if slices.Contains(c.before.Session.Sources, id) {
			add("the source", id, false)
		}
	}
	return out
}

// taken says which sources were taken off the session, as they are gone.
func (c *comparison) taken() {
	for _, i := range c.now.Former {
		same := func(o cloud.Interface) bool { return o.ID == i.ID }
		if c.before.interfaceByID(i.ID) != nil && !slices.ContainsFunc(c.before.Former, same) && !slices.Contains(c.before.Gone, i.ID) {
			c.say("the interface %s of the source %s is gone from the cloud%s", i.ID, c.called(i.ID), c.successor(i.ID))
		}
	}
}

// interfaces compares where the interfaces are, and whether they can carry anything.
func (c *comparison) interfaces() {
	for _, e := range c.ends() {
		switch {
		case e.was == nil:
		case slices.Contains(c.now.Gone, e.was.ID) && slices.Contains(c.before.Gone, e.was.ID):
		case slices.Contains(c.now.Gone, e.was.ID):
			c.say("the interface %s of %s %s is gone from the cloud%s", e.was.ID, e.role, c.called(e.was.ID), c.successor(e.was.ID))
		case e.is != nil:
			c.end(fmt.Sprintf("%s %s", e.role, c.called(e.is.ID)), *e.was, *e.is)
		}
	}
}

func (c *comparison) successor(id string) string {
	if next, has := c.now.Successors[id]; has {
		return fmt.Sprintf(": another one, %s, has its address now", next.ID)
	}
	return ""
}

func (c *comparison) end(name string, was, is cloud.Interface) {
	switch {
	case was.DeviceID == is.DeviceID:
	case is.DeviceID == "":
		c.say("%s was detached from its server", name)
	case was.DeviceID == "":
		c.say("%s was attached to a server", name)
	default:
		c.say("%s was moved to another server", name)
	}
	if was.AdminDown != is.AdminDown {
		c.say("%s was switched %s", name, onOff(!is.AdminDown))
	}
	if was.Status != is.Status && was.Status != "" && is.Status != "" && was.DeviceID == is.DeviceID {
		c.say("the status of %s was %s and is %s", name, was.Status, is.Status)
	}
	if !sameMembers(was.Addresses, is.Addresses) {
		c.say("the addresses of %s were %s and are %s", name, addressList(was.Addresses), addressList(is.Addresses))
	}
	if was.Flavor != is.Flavor && was.Flavor != "" && is.Flavor != "" {
		c.say("the server of %s was %s and is %s", name, was.Flavor, is.Flavor)
	}
	for _, id := range missing(was.SecurityGroups, is.SecurityGroups) {
		c.say("%s is no longer in %s", name, c.group(id))
	}
	for _, id := range missing(is.SecurityGroups, was.SecurityGroups) {
		c.say("%s was put into %s", name, c.group(id))
	}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func sameMembers(a, b []netip.Addr) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, netip.Addr.Compare)
	slices.SortFunc(b, netip.Addr.Compare)
	return slices.Equal(a, b)
}

func addressList(addresses []netip.Addr) string {
	sorted := slices.SortedFunc(slices.Values(addresses), netip.Addr.Compare)
	out := make([]string, 0, len(sorted))
	for _, a := range sorted {
		out = append(out, a.String())
	}
	return cmp.Or(strings.Join(out, " "), "none")
}

// private reports whether nothing that is not vpcmirror's may be named.
func (c *comparison) private() bool { return c.before.Private || c.now.Private }

// group is a security group as a sentence may call it.
func (c *comparison) group(id string) string {
	if c.private() {
		return "a security group"
	}
	for _, p := range []*Path{c.now, c.before} {
		if g, known := p.Groups.Value[id]; known && g.Name != "" {
			return g.Name
		}
	}
	return "the security group " + id
}

// groups compares the rules of the groups that the interfaces have: those of the target about
// copies, those of a source about what the filter accepts, as what they hold back is never copied.
func (c *comparison) groups() {
	for _, id := range c.groupIDs() {
		flows := c.flowsThrough(id)
		if len(flows) == 0 {
			continue
		}
		if wereRead(c.before.Groups, c.now.Groups) {
			was, had := c.before.Groups.Value[id]
			is, has := c.now.Groups.Value[id]
			if had && has {
				rules(c, was.Rules, is.Rules, c.groupRules(id, flows))
			}
		}
		c.addressGroups(id, flows)
	}
}

// groupIDs are the groups of the session's interfaces, those of the target first.
func (c *comparison) groupIDs() []string {
	var out []string
	for _, e := range c.ends() {
		if e.was == nil || e.is == nil {
			continue
		}
		ids := slices.Clone(e.is.SecurityGroups)
		slices.Sort(ids)
		for _, id := range ids {
			if slices.Contains(e.was.SecurityGroups, id) && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

// flowsThrough are the packets that a group decides about.
func (c *comparison) flowsThrough(group string) []flow {
	var out []flow
	for _, e := range c.ends() {
		if e.is != nil && slices.Contains(e.is.SecurityGroups, group) {
			out = append(out, c.flows(e)...)
		}
	}
	return out
}

func (c *comparison) groupRules(id string, flows []flow) ruleKind[cloud.GroupRule] {
	return ruleKind[cloud.GroupRule]{
		id: func(r cloud.GroupRule) string { return r.ID },
		same: func(a, b cloud.GroupRule) bool {
			if a.Disabled && b.Disabled {
				return true
			}
			return a.IPv6 == b.IPv6 && a.Priority == b.Priority && a.Disabled == b.Disabled && describeGroupRule(a) == describeGroupRule(b)
		},
		describe: describeGroupRule,
		decides: func(r cloud.GroupRule) bool {
			return slices.ContainsFunc(flows, func(f flow) bool { return f.meetsGroupRule(r) })
		},
		of: c.group(id), secret: c.private(),
	}
}

// describeGroupRule reads like: ingress udp 4789 from 192.168.0.0/24.
func describeGroupRule(r cloud.GroupRule) string {
	parts := []string{strings.ToLower(string(r.Direction))}
	if !r.Allow {
		parts = append(parts, "deny")
	}
	parts = append(parts, cmp.Or(r.Protocol, "all"))
	if len(r.Ports) > 0 {
		parts = append(parts, portList(r.Ports))
	}
	preposition := "from"
	if r.Direction == cloud.Egress {
		preposition = "to"
	}
	parts = append(parts, preposition)
	switch {
	case r.RemoteGroupID != "":
		parts = append(parts, "members of the group "+r.RemoteGroupID)
	case r.RemoteAddressGroupID != "":
		parts = append(parts, "the address group "+r.RemoteAddressGroupID)
	case r.Remote.IsValid():
		parts = append(parts, r.Remote.String())
	case r.IPv6:
		parts = append(parts, "any IPv6 address")
	default:
		parts = append(parts, "anywhere")
	}
	text := strings.Join(parts, " ")
	if !r.Allow {
		text += fmt.Sprintf(", priority %d", r.Priority)
	}
	if r.Unreadable != "" {
		text += ", with an unknown " + r.Unreadable
	}
	if r.Disabled {
		text += ", switched off"
	}
	return text
}

func portList(ports []cloud.PortRange) string {
	sorted := slices.SortedFunc(slices.Values(ports), func(a, b cloud.PortRange) int {
		return cmp.Or(cmp.Compare(a.Low, b.Low), cmp.Compare(a.High, b.High))
	})
	out := make([]string, 0, len(sorted))
	for _, p := range sorted {
		if p.Low == p.High {
			out = append(out, fmt.Sprint(p.Low))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", p.Low, p.High))
		}
	}
	return strings.Join(out, ",")
}

// addressGroups compares the address groups that the rules of a group name.
func (c *comparison) addressGroups(group string, flows []flow) {
	if !wereRead(c.before.AddressGroups, c.now.AddressGroups) || !c.now.Groups.Read {
		return
	}
	named := map[string]bool{}
	for _, r := range c.now.Groups.Value[group].Rules {
		if r.RemoteAddressGroupID != "" && !r.Disabled && slices.ContainsFunc(flows, func(f flow) bool { return f.meetsGroupRule(r) }) {
			named[r.RemoteAddressGroupID] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(named)) {
		was, had := c.before.AddressGroups.Value[id]
		is, has := c.now.AddressGroups.Value[id]
		if !had || !has || rangeList(was.Ranges) == rangeList(is.Ranges) {
			continue
		}
		if c.private() {
			c.say("an address group that %s names has other addresses now", c.group(group))
			continue
		}
		c.say("the address group %s, which %s names, had %s and has %s", cmp.Or(is.Name, id), c.group(group), rangeList(was.Ranges), rangeList(is.Ranges))
	}
}

func rangeList(ranges []cloud.AddressRange) string {
	out := make([]string, 0, len(ranges))
	for _, r := range ranges {
		if r.First == r.Last {
			out = append(out, r.First.String())
		} else {
			out = append(out, r.First.String()+"-"+r.Last.String())
		}
	}
	slices.Sort(out)
	return cmp.Or(strings.Join(slices.Compact(out), " "), "nothing")
}

// acls compares the network ACLs of the subnets that the copies, and what is to be copied, enter
// and leave. Inside a subnet no ACL decides.
func (c *comparison) acls() {
	if !wereRead(c.before.ACLs, c.now.ACLs) {
		return
	}
	done := map[string]bool{}
	for _, e := range c.ends() {
		if e.is == nil || e.is.SubnetID == "" || done[e.is.SubnetID] || e.isTarget && !c.crossesSubnets(*e.is) {
			continue
		}
		done[e.is.SubnetID] = true
		c.aclOf(e)
	}
}

// crossesSubnets reports whether copies come to the target from other subnets.
func (c *comparison) crossesSubnets(target cloud.Interface) bool {
	return slices.ContainsFunc(c.now.Sources, func(i cloud.Interface) bool { return i.SubnetID != target.SubnetID })
}

func (c *comparison) aclOf(e endpoint) {
	subnet := e.is.SubnetID
	was, is := aclFor(c.before.ACLs.Value, subnet), aclFor(c.now.ACLs.Value, subnet)
	name := fmt.Sprintf("%s %s", e.role, c.called(e.is.ID))
	switch {
	case was == nil && is == nil:
	case was == nil:
		c.say("the subnet of %s was given %s", name, c.acl(is))
	case is == nil:
		c.say("the subnet of %s no longer has %s", name, c.acl(was))
	case was.ID != is.ID:
		c.say("the subnet of %s was given %s in place of %s", name, c.acl(is), c.acl(was))
	default:
		if was.Enabled != is.Enabled {
			c.say("%s of the subnet of %s was switched %s", c.acl(is), name, onOff(is.Enabled))
		}
		c.aclRules(was, is, e)
	}
}

func aclFor(all []cloud.NetworkACL, subnet string) *cloud.NetworkACL {
	for i := range all {
		if slices.Contains(all[i].Subnets, subnet) {
			return &all[i]
		}
	}
	return nil
}

func (c *comparison) acl(a *cloud.NetworkACL) string {
	if c.private() {
		return "a network ACL"
	}
	return "the network ACL " + cmp.Or(a.Name, a.ID)
}

func (c *comparison) aclRules(was, is *cloud.NetworkACL, e endpoint) {
	flows := c.flows(e)
	for _, list := range []struct {
		direction cloud.Direction
		was, is   []cloud.ACLRule
	}{{cloud.Ingress, was.Ingress, is.Ingress}, {cloud.Egress, was.Egress, is.Egress}} {
		if list.was == nil || list.is == nil {
			continue // the rules were not read
		}
		describe := func(r cloud.ACLRule) string { return describeACLRule(list.direction, r) }
		decides := func(r cloud.ACLRule) bool {
			return slices.ContainsFunc(flows, func(f flow) bool { return f.meetsACLRule(list.direction, r) })
		}
		said := len(c.found)
		rules(c, list.was, list.is, ruleKind[cloud.ACLRule]{
			id:       func(r cloud.ACLRule) string { return r.ID },
			same:     func(a, b cloud.ACLRule) bool { return a.Disabled && b.Disabled || describe(a) == describe(b) },
			describe: describe, decides: decides, of: c.acl(is), secret: c.private(),
		})
		if len(c.found) == said && reordered(list.was, list.is, describe, decides) {
			c.say("the %s rules of %s are tried in another order", strings.ToLower(string(list.direction)), c.acl(is))
		}
	}
}

// reordered reports whether the rules that can decide stand in another order.
func reordered(was, is []cloud.ACLRule, describe func(cloud.ACLRule) string, decides func(cloud.ACLRule) bool) bool {
	order := func(all []cloud.ACLRule) (out []string) {
		for _, r := range all {
			if decides(r) {
				out = append(out, describe(r))
			}
		}
		return out
	}
	return !slices.Equal(order(was), order(is))
}

// describeACLRule reads like: ingress deny udp 4789 from 10.0.0.0/8 to anywhere.
func describeACLRule(direction cloud.Direction, r cloud.ACLRule) string {
	action := "deny"
	if r.Allow {
		action = "allow"
	}
	where := func(prefix netip.Prefix, group string, ports []cloud.PortRange) string {
		out := "anywhere"
		switch {
		case group != "":
			out = "the address group " + group
		case prefix.IsValid():
			out = prefix.String()
		}
		if len(ports) > 0 {
			out += " port " + portList(ports)
		}
		return out
	}
	text := fmt.Sprintf("%s %s %s from %s to %s", strings.ToLower(string(direction)), action, cmp.Or(r.Protocol, "all"),
		where(r.Source, r.SourceAddressGroup, r.SourcePorts), where(r.Destination, r.DestinationAddressGroup, r.DestinationPorts))
	if r.IPv6 {
		text += ", IPv6"
	}
	if r.Unreadable != "" {
		text += ", with an unknown " + r.Unreadable
	}
	if r.Disabled {
		text += ", switched off"
	}
	return text
}

// otherVPCs has an interface of each VPC of a source that is not the target's, in the order of the VPCs.
func (c *comparison) otherVPCs() []cloud.Interface {
	target := c.now.Target
	if target == nil || target.VPCID == "" {
		return nil
	}
	byVPC := map[string]cloud.Interface{}
	for _, s := range c.now.Sources {
		if _, known := byVPC[s.VPCID]; !known && s.VPCID != "" && s.VPCID != target.VPCID {
			byVPC[s.VPCID] = s
		}
	}
	out := make([]cloud.Interface, 0, len(byVPC))
	for _, vpc := range slices.Sorted(maps.Keys(byVPC)) {
		out = append(out, byVPC[vpc])
	}
	return out
}

// peerings compares those between the VPCs of sources and target.
func (c *comparison) peerings() {
	if !wereRead(c.before.Peerings, c.now.Peerings) {
		return
	}
	for _, source := range c.otherVPCs() {
		joins := func(p cloud.Peering) bool {
			return p.RequesterVPC == source.VPCID && p.AccepterVPC == c.now.Target.VPCID || p.AccepterVPC == source.VPCID && p.RequesterVPC == c.now.Target.VPCID
		}
		was, is := peeringsThat(c.before.Peerings.Value, joins), peeringsThat(c.now.Peerings.Value, joins)
		for _, id := range slices.Sorted(maps.Keys(was)) {
			if now, there := is[id]; !there {
				c.say("%s between the VPCs of source and target is gone", c.peering(was[id]))
			} else if now.Status != was[id].Status {
				c.say("%s between the VPCs of source and target was %s and is %s", c.peering(now), was[id].Status, now.Status)
			}
		}
		for _, id := range slices.Sorted(maps.Keys(is)) {
			if _, there := was[id]; !there {
				c.say("%s between the VPCs of source and target was made, and is %s", c.peering(is[id]), is[id].Status)
			}
		}
	}
}

func peeringsThat(all []cloud.Peering, fit func(cloud.Peering) bool) map[string]cloud.Peering {
	out := map[string]cloud.Peering{}
	for _, p := range all {
		if fit(p) {
			out[p.ID] = p
		}
	}
	return out
}

func (c *comparison) peering(p cloud.Peering) string {
	if c.private() {
		return "a peering"
	}
	return "the peering " + cmp.Or(p.Name, p.ID)
}

// routes compares where the subnets of sources and target send what is for each other.
func (c *comparison) routes() {
	if !wereRead(c.before.RouteTables, c.now.RouteTables) {
		return
	}
	done := map[string]bool{}
	for _, source := range c.otherVPCs() {
		for _, way := range [][2]cloud.Interface{{source, *c.now.Target}, {*c.now.Target, source}} {
			from, to := way[0], way[1]
			if len(to.Addresses) == 0 || done[from.SubnetID+to.Addresses[0].String()] {
				continue
			}
			done[from.SubnetID+to.Addresses[0].String()] = true
			was, known := c.routeOf(c.before, from, to.Addresses[0])
			is, still := c.routeOf(c.now, from, to.Addresses[0])
			if known && still && was != is {
				c.say("the route from the subnet of %s to %s was %s and is %s", c.called(from.ID), to.Addresses[0], c.route(was), c.route(is))
			}
		}
	}
}

// routeOf is the route that a subnet takes to an address, the zero value for none; known is
// whether its table was read.
func (c *comparison) routeOf(p *Path, from cloud.Interface, to netip.Addr) (out cloud.Route, known bool) {
	tables := p.RouteTables.Value
	i := slices.IndexFunc(tables, func(t cloud.RouteTable) bool { return slices.Contains(t.Subnets, from.SubnetID) })
	if i < 0 {
		i = slices.IndexFunc(tables, func(t cloud.RouteTable) bool { return t.Default && t.VPCID == from.VPCID })
	}
	if i < 0 || tables[i].Routes == nil {
		return out, false
	}
	for _, r := range tables[i].Routes {
		longer := !out.Destination.IsValid() || r.Destination.Bits() > out.Destination.Bits() ||
			r.Destination.Bits() == out.Destination.Bits() && r.Type+r.NextHop < out.Type+out.NextHop
		if r.Destination.IsValid() && r.Destination.Contains(to) && longer {
			out = r
		}
	}
	return out, true
}

func (c *comparison) route(r cloud.Route) string {
	switch {
	case !r.Destination.IsValid():
		return "none"
	case c.private():
		return "one by " + r.Type
	default:
		return fmt.Sprintf("%s by %s %s", r.Destination, r.Type, r.NextHop)
	}
}

// servers compares whether the servers of the interfaces run.
func (c *comparison) servers() {
	if !wereRead(c.before.Servers, c.now.Servers) {
		return
	}
	for _, e := range c.ends() {
		if e.was == nil || e.is == nil || e.was.DeviceID != e.is.DeviceID {
			continue
		}
		was, had := c.before.Servers.Value[e.is.DeviceID]
		is, has := c.now.Servers.Value[e.is.DeviceID]
		name := fmt.Sprintf("the server of %s %s", e.role, c.called(e.is.ID))
		switch {
		case had && !has:
			c.say("%s is gone from the cloud", name)
		case had && was.Running && !is.Running:
			c.say("%s was stopped", name)
		case had && !was.Running && is.Running:
			c.say("%s was started", name)
		}
	}
}

// others compares which other sessions take packets of the sources first, and which send with the
// same VNI to the target.
func (c *comparison) others() {
	was, is := rivals(c.before), rivals(c.now)
	for _, id := range slices.Sorted(maps.Keys(is)) {
		c.rival(was[id], is[id])
	}
	for _, id := range slices.Sorted(maps.Keys(was)) {
		before, now := was[id], is[id]
		by := c.author(before.Other)
		if before.first && !now.first {
			c.sayBy(by, "%s no longer comes before this session at a source they share", before.Name)
		}
		if before.twin && !now.twin {
			c.sayBy(by, "%s no longer sends to this target with the same VNI", before.Name)
		}
	}
}

// rival compares one that is one now; the zero value is one that was none.
func (c *comparison) rival(was, is rival) {
	by := c.author(is.Other)
	switch {
	case !is.first:
	case !was.first:
		c.sayBy(by, "%s, with the priority %d, now comes before this session at a source they share", is.Name, is.Priority)
	case was.FilterID != is.FilterID:
		c.sayBy(by, "%s, which comes before this session, has another filter now", is.Name)
	case !sameRules(was.Filter, is.Filter):
		c.sayBy(by, "the rules of %s, which comes before this session, were changed", is.Name)
	}
	if is.twin && !was.twin {
		c.sayBy(by, "%s now sends to this target with the same VNI %d", is.Name, is.VNI)
	}
}

// rival is another session as it matters to this one.
type rival struct {
	Other
	first, twin bool
}

// rivals are those that are on, and come first at a source or share VNI and target.
func rivals(p *Path) map[string]rival {
	out := map[string]rival{}
	for _, o := range p.Others {
		shares := slices.ContainsFunc(o.Sources, func(id string) bool { return slices.Contains(p.Session.Sources, id) })
		r := rival{
			Other: o, first: o.Enabled && shares && o.Priority < p.Session.Priority,
			twin: o.Enabled && o.TargetID == p.Session.TargetID && o.VNI == p.Session.VNI,
		}
		if r.first || r.twin {
			out[o.ID] = r
		}
	}
	return out
}

// author is who changes another session: the operator where it bears a mark of the same cluster.
func (c *comparison) author(o Other) v1alpha1.ChangedBy {
	own, marked := plan.MarkOf(c.now.Session.Description)
	its, ours := plan.MarkOf(o.Description)
	if marked && ours && own.Cluster == its.Cluster {
		return v1alpha1.ChangedByOperator
	}
	return v1alpha1.ChangedByCloud
}

// sameRules reports whether two filters accept the same, or one of them is not known.
func sameRules(a, b *cloud.Filter) bool {
	if a == nil || b == nil {
		return true
	}
	texts := func(f *cloud.Filter) []string {
		var out []string
		for _, r := range f.Rules {
			out = append(out, fmt.Sprint(r.Direction, r.Priority, describeRule(r)))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(texts(a), texts(b))
}

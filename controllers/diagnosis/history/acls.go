package history

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vpcmirror.io/operator/controllers/cloud"
)

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
		if was.Enabled != is.Enabled && was.Unreadable == "" && is.Unreadable == "" {
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

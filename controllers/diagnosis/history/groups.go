package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// private reports whether nothing that is not vpcmirror's may be named.
func (c *comparison) private() bool { return c.before.Private || c.now.Private }

// group is a security group as a sentence may call it.
func (c *comparison) group(id string) string {
	if c.private() {
		return "a security group"
	}
	for _, p := range []*diagnosis.Path{c.now, c.before} {
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

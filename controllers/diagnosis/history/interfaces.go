package history

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vpcmirror.io/operator/controllers/cloud"
)

// endpoint is an interface that the session names, as it was and as it is.
type endpoint struct {
	role     string
	was, is  *cloud.Interface
	isTarget bool
}

// ends are those that are the session's at both times, the target first and who is behind it. What the session names
// anew is told of the session.
func (c *comparison) ends() []endpoint {
	var out []endpoint
	add := func(role, id string, isTarget bool) {
		out = append(out, endpoint{role, interfaceByID(c.before, id), interfaceByID(c.now, id), isTarget})
	}
	if c.before.Session.TargetID == c.now.Session.TargetID {
		add("the target", c.now.Session.TargetID, true)
	}
	for _, id := range c.memberIDs() {
		add("the member", id, true)
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
		if interfaceByID(c.before, i.ID) != nil && !slices.ContainsFunc(c.before.Former, same) && !slices.Contains(c.before.Gone, i.ID) {
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
		case slices.Contains(c.now.Gone, e.was.ID) && c.before.Balancer != nil && c.before.Balancer.ID == e.was.ID:
			c.say("the load balancer %s is gone from the cloud", e.was.ID)
		case slices.Contains(c.now.Gone, e.was.ID):
			c.say("the interface %s of %s %s is gone from the cloud%s", e.was.ID, e.role, c.called(e.was.ID), c.successor(e.was.ID))
		case e.is != nil:
			c.end(fmt.Sprintf("%s %s", e.role, c.called(e.is.ID)), *e.was, *e.is)
		}
	}
}

func (c *comparison) successor(id string) string {
	next, has := c.now.Successors[id]
	switch {
	case !has:
		return ""
	case c.private():
		return ": another one has its address now"
	default:
		return fmt.Sprintf(": another one, %s, has its address now", next.ID)
	}
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

// servers compares whether the servers of the interfaces run.
func (c *comparison) servers() {
	if !wereRead(c.before.Servers, c.now.Servers) {
		return
	}
	for _, e := range c.ends() {
		if e.was == nil || e.is == nil || e.was.DeviceID != e.is.DeviceID {
			continue
		}
		was, had := c.before.Server(e.is.DeviceID)
		is, has := c.now.Server(e.is.DeviceID)
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

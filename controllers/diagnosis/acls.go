package diagnosis

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// targetACLDenies: the network ACL of the target's subnet keeps the copies out. "The network ACL of
// the mirror target's subnet must allow UDP from the mirror source, port 4789 at least" (user guide,
// constraints). The first rule that matches decides, what none allows is denied, one that is switched
// off denies all, and what stays inside of a subnet is not judged.
func targetACLDenies(k *Known) (seen sight) {
	k.pairs(func(source, target *cloud.Interface, from, to netip.Addr) {
		acl, why := k.aclBetween(target, source)
		if acl == nil {
			if why != (doubt{}) {
				seen.doubt(why)
			}
			return
		}
		steps := k.aclSteps(acl, cloud.Ingress, copies(from, to))
		switch r := rule(steps); r.verdict {
		case undecided:
			seen.doubt(r.why)
		case denied:
			seen.stop(k.aclObstacle(source, to, acl, r))
		case admitted:
		}
	})
	return seen
}

// sourceACLAssumed: whether copies pass the network ACL of the source's subnet on their way out is
// written nowhere; "the copies are not subject to the outbound rules of the mirror source" (user guide,
// constraints) is of its security groups. So it is said what was taken for true where it matters.
func sourceACLAssumed(k *Known) (seen sight) {
	k.pairs(func(source, target *cloud.Interface, from, to netip.Addr) {
		acl, _ := k.aclBetween(source, target)
		if acl != nil && (!acl.Enabled || acl.Egress != nil) && rule(k.aclSteps(acl, cloud.Egress, copies(from, to))).verdict == denied {
			seen.assume("copies leave the subnet of %s although %s lets no UDP %d out to %s", k.nameOf(source.ID), k.aclCalled(acl), vxlanPort, to)
		}
	})
	return seen
}

// aclBetween is the network ACL that judges what enters the subnet of an interface from another, nil
// where none does, or where that can't be told, which is then said.
func (k *Known) aclBetween(i, other *cloud.Interface) (*cloud.NetworkACL, doubt) {
	switch {
	case i.SubnetID != "" && i.SubnetID == other.SubnetID:
		return nil, doubt{}
	case !k.Path.ACLs.Read:
		return nil, unread("network ACLs", k.Path.ACLs.Missing)
	case len(k.Path.ACLs.Value) == 0:
		return nil, doubt{}
	case i.SubnetID == "" || other.SubnetID == "":
		return nil, doubt{says: fmt.Sprintf("the cloud does not say in which subnets %s and %s are, so their network ACL is not known", k.nameOf(i.ID), k.nameOf(other.ID))}
	}
	switch acl := k.aclOf(i.SubnetID); {
	case acl != nil && acl.Unreadable != "":
		return nil, doubt{says: fmt.Sprintf("%s of the subnet of %s can't be read by this version%s", k.aclCalled(acl), k.nameOf(i.ID), k.unlessPrivate(": "+acl.Unreadable))}
	case acl != nil && acl.Enabled && acl.Ingress == nil:
		return nil, doubt{says: "the rules of " + k.aclCalled(acl) + " were not read"}
	default:
		return acl, doubt{}
	}
}

// aclOf is the network ACL of a subnet, nil for none.
func (k *Known) aclOf(subnet string) *cloud.NetworkACL {
	for i := range k.Path.ACLs.Value {
		if slices.Contains(k.Path.ACLs.Value[i].Subnets, subnet) {
			return &k.Path.ACLs.Value[i]
		}
	}
	return nil
}

func (k *Known) aclCalled(acl *cloud.NetworkACL) string {
	return k.called("network ACL", acl.Name, acl.ID)
}

// aclObstacle says which ACL and rule keep out the copies of a source.
func (k *Known) aclObstacle(source *cloud.Interface, to netip.Addr, acl *cloud.NetworkACL, r ruling) obstacle {
	o := obstacle{reason: v1alpha1.ReasonNetworkACLDenies, source: source.ID, about: k.targetAbout()}
	called, name := k.aclCalled(acl), to.String()
	of := called + " of the subnet of " + name
	switch {
	case !acl.Enabled:
		o.message = open(of+" is switched off, which lets nothing in from other subnets, nor UDP 4789 from ", "")
		o.remedy = open(fmt.Sprintf("switch %s on with an inbound rule that allows UDP 4789 from ", called), ", or take the subnet off it")
	case r.by == nil:
		o.message = open(of+" has no inbound rule that allows UDP 4789 from ", "")
		o.remedy = open("allow inbound UDP 4789 from ", fmt.Sprintf(" to %s in %s, or take the subnet off it", single(to), called))
	default:
		o.message = open(of+" denies UDP 4789 from ", k.unlessPrivate(": "+r.by.says))
		o.remedy = open("allow inbound UDP 4789 from ", fmt.Sprintf(" to %s in %s before %s, or narrow that rule", single(to), called, k.ruleCalled(r.by)))
	}
	return o
}

// aclSteps are the rules of a network ACL as some traffic meets them. None counts while it is off.
func (k *Known) aclSteps(acl *cloud.NetworkACL, direction cloud.Direction, packets traffic) []step {
	rules := acl.Ingress
	if direction == cloud.Egress {
		rules = acl.Egress
	}
	if !acl.Enabled {
		return nil
	}
	var steps []step
	for _, r := range rules {
		if !r.Disabled {
			steps = append(steps, k.aclStep(acl, r, packets))
		}
	}
	return steps
}

func (k *Known) aclStep(acl *cloud.NetworkACL, r cloud.ACLRule, packets traffic) step {
	where := k.aclCalled(acl)
	s := step{allow: r.Allow, id: r.ID, says: k.describeACLRule(r), where: where}
	if r.Unreadable != "" {
		s.fit, s.unreadable = unsure, true
		s.why = doubt{says: fmt.Sprintf("%s in %s can't be read: %s", k.oneRule(r.ID), where, k.unlessPrivate(r.Unreadable))}
		return s
	}
	family := none
	if r.IPv6 == packets.ipv6 {
		family = every
	}
	fields := both(family, packets.ofProtocol(r.Protocol), inPrefix(packets.source, r.Source), inPrefix(packets.destination, r.Destination),
		packets.inPorts(packets.sourcePorts, r.SourcePorts), packets.inPorts(packets.destinationPorts, r.DestinationPorts))
	if s.fit = fields; fields == none {
		return s
	}
	s.why = doubt{says: fmt.Sprintf("%s in %s is about some source ports, and which ones copies have is not documented", k.oneRule(r.ID), where)}
	for _, group := range []struct {
		id        string
		addresses netip.Prefix
	}{{r.SourceAddressGroup, packets.source}, {r.DestinationAddressGroup, packets.destination}} {
		if group.id == "" {
			continue
		}
		in, why := k.inAddressGroup(group.id, group.addresses)
		if s.fit = both(s.fit, in); in == unsure {
			s.why = why
		}
	}
	return s
}

// describeACLRule reads like: rule 9d1c0a2e deny udp from any address to 10.0.0.0/24 port 4789.
func (k *Known) describeACLRule(r cloud.ACLRule) string {
	family := ""
	if r.IPv6 {
		family = " IPv6"
	}
	peer := func(p netip.Prefix, group string, ports []cloud.PortRange) string {
		text := "any address"
		if p.IsValid() {
			text = p.String()
		} else if group != "" {
			text = k.called("address group", k.Path.AddressGroups.Value[group].Name, group)
		}
		if len(ports) > 0 {
			text += " port " + portsText(ports)
		}
		return text
	}
	return fmt.Sprintf("rule %s %s%s %s from %s to %s", short(r.ID), action(r.Allow), family, cmp.Or(r.Protocol, "all protocols"),
		peer(r.Source, r.SourceAddressGroup, r.SourcePorts), peer(r.Destination, r.DestinationAddressGroup, r.DestinationPorts))
}

package diagnosis

import (
	"cmp"
	"fmt"
	"slices"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

// hinted is what to do where no packet comes: first about a port that may be of the wrong end, as
// "the destination of an Ingress rule is the mirror source, and the source of an Egress rule is"
// (user guide, "Traffic Mirroring"), and a service keeps its port while clients choose theirs.
func (k *Known) hinted(general string) string {
	if k.Path == nil || k.Path.Filter == nil {
		return general
	}
	ordered := plan.InOrder(k.Path.Filter.Rules)
	for _, r := range ordered {
		if !r.Accept || r.Unreadable != "" {
			continue
		}
		own, peer := portsOfEnds(r.RuleSpec)
		hint := ""
		switch {
		case cmp.Or(own, peer).Low >= firstOfClients:
			hint = fmt.Sprintf("%s names %s, of those that clients choose anew for each connection: name the port of the service, and at the end that serves",
				ruleName(r.RuleSpec), portsCalled(cmp.Or(own, peer)))
		case own == cloud.PortRange{} && peer != cloud.PortRange{} && !slices.ContainsFunc(ordered, func(o cloud.Rule) bool { return servesAt(o, peer) }):
			hint = k.otherEnd(r.RuleSpec, peer)
		}
		if hint != "" {
			return v1alpha1.Fit(hint+"; or "+general, maxRemedy)
		}
	}
	return general
}

// portsOfEnds are the ports of the mirror source and of its peer that a rule names, the zero values for
// none or all.
func portsOfEnds(r cloud.RuleSpec) (own, peer cloud.PortRange) {
	own, peer = r.DestinationPorts, r.SourcePorts
	if r.Direction == cloud.Egress {
		own, peer = peer, own
	}
	for _, ports := range []*cloud.PortRange{&own, &peer} {
		if read, _ := portsOf(*ports); read == allPorts {
			*ports = cloud.PortRange{}
		}
	}
	return own, peer
}

// servesAt reports whether a rule accepts packets by that the mirror source has these ports.
func servesAt(r cloud.Rule, ports cloud.PortRange) bool {
	own, _ := portsOfEnds(r.RuleSpec)
	return r.Accept && own == ports
}

// otherEnd is the hint at a rule that names ports of the peer alone.
func (k *Known) otherEnd(r cloud.RuleSpec, ports cloud.PortRange) string {
	way, end := "comes from", "destination"
	if r.Direction == cloud.Egress {
		way, end = "goes to", "source"
	}
	one := "that is a port"
	if ports.Low != ports.High {
		one = "these are ports"
	}
	hint := fmt.Sprintf("%s is for what %s %s of the other end: if %s of the source's own service, make it the %s's port",
		ruleName(r), way, portsCalled(ports), one, end)
	for i := range k.Path.Sources {
		if by := k.admits(&k.Path.Sources[i], r, ports); by != "" {
			return hint + fmt.Sprintf(" - which is likely, as %s lets %s %s in to %s",
				by, r.Protocol, portsText([]cloud.PortRange{ports}), k.nameOf(k.Path.Sources[i].ID))
		}
	}
	return hint
}

// admits is which security group of a source has a rule that lets these very ports in, empty for none.
// One for every port says nothing about what the source serves.
func (k *Known) admits(source *cloud.Interface, r cloud.RuleSpec, ports cloud.PortRange) string {
	if !k.Path.Groups.Read || source.Unsecured {
		return ""
	}
	t := traffic{ipv6: r.IPv6, protocol: map[cloud.Protocol]int{cloud.TCP: protoTCP, cloud.UDP: protoUDP}[r.Protocol], destinationPorts: ports}
	for _, id := range source.SecurityGroups {
		for _, rule := range k.Path.Groups.Value[id].Rules {
			readable := rule.Allow && !rule.Disabled && rule.Unreadable == "" && rule.Direction == cloud.Ingress
			if readable && rule.IPv6 == t.ipv6 && len(rule.Ports) > 0 && both(t.ofProtocol(rule.Protocol), t.inPorts(ports, rule.Ports)) == every {
				return k.groupCalled(id)
			}
		}
	}
	return ""
}

// portsCalled reads like: port 80, or: ports 80-90.
func portsCalled(ports cloud.PortRange) string {
	if ports.Low == ports.High {
		return fmt.Sprintf("port %d", ports.Low)
	}
	return fmt.Sprintf("ports %d-%d", ports.Low, ports.High)
}

// Package lab joins the two halves of the simulated cloud: it builds the network that a scenario describes and keeps it as
// the API's state says. It needs root, since hosts are network namespaces.
//
// It may import test/cloudsim/dataplane, test/cloudsim/scenario, test/cloudsim/sim and test/cloudsim/state.
package lab

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"

	"vpcmirror.io/operator/test/cloudsim/dataplane"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// ipv6Subnet is the length of every IPv6 subnet of the cloud.
const ipv6Subnet = 64

// Lab is a running network of a simulated cloud.
type Lab struct {
	Plane  *dataplane.Plane
	cancel func()
}

// Start builds the network of the cloud's scenario, with namespaces named prefix + host, and follows the cloud's state: a
// change through the API is in effect when its answer arrives, or as much later as the state's propagation delay says.
// Close it before the cloud.
func Start(ctx context.Context, cloud *sim.Sim, prefix string, log *slog.Logger) (*Lab, error) {
	plane, err := dataplane.Start(ctx, Layout(cloud.Scenario, prefix), log)
	if err != nil {
		return nil, fmt.Errorf("start the data plane: %w", err)
	}
	changes := &pipeline[*state.World]{pass: func(w *state.World) { plane.Apply(Config(w)) }}
	began := false // with what is there no network is late
	cancel := cloud.State.Subscribe(func(w *state.World) {
		delay := w.Propagation
		if !began {
			began, delay = true, 0
		}
		changes.put(w, delay)
	})
	cloud.SetStats(func() any { return plane.Stats() })
	return &Lab{Plane: plane, cancel: func() { cancel(); changes.close() }}, nil
}

// Close takes the network down.
func (l *Lab) Close() error {
	l.cancel()
	return l.Plane.Close()
}

// Layout is what of a scenario never changes: hosts, interfaces and gateways.
func Layout(sc *scenario.Scenario, prefix string) dataplane.Layout {
	layout := dataplane.Layout{Prefix: prefix}
	for _, v := range sc.VPCs {
		for _, s := range v.Subnets {
			if s.Gateway.IsValid() {
				layout.Gateways = append(layout.Gateways, dataplane.Gateway{
					VPC: v.ID, Subnet: s.CIDR, Address: s.Gateway, MAC: slices.Clone(s.GatewayMAC),
				})
			}
			if s.CIDR6.IsValid() {
				layout.Gateways = append(layout.Gateways, dataplane.Gateway{
					VPC: v.ID, Subnet: s.CIDR6, Address: s.Gateway6, MAC: slices.Clone(s.GatewayMAC),
				})
			}
		}
	}
	for _, h := range sc.Hosts {
		host := dataplane.Host{Name: h.Name}
		for i, nic := range h.Interfaces {
			host.Interfaces = append(host.Interfaces, hostInterface(sc, nic, i == 0))
		}
		layout.Hosts = append(layout.Hosts, host)
	}
	return layout
}

// hostInterface gives only a host's first interface default routes, of the families that it has addresses of.
func hostInterface(sc *scenario.Scenario, nic scenario.Interface, first bool) dataplane.Interface {
	subnet, _ := sc.Subnet(nic.SubnetID) // the scenario was checked: it exists
	out := dataplane.Interface{
		PortID: nic.ID, Name: nic.Name, MAC: append(net.HardwareAddr(nil), nic.MAC...), VPC: nic.VPCID,
	}
	for _, a := range nic.Addresses {
		bits := ipv6Subnet
		switch {
		case subnet.CIDR.Contains(a):
			bits = subnet.CIDR.Bits()
			if first {
				out.Gateway = subnet.Gateway
			}
		case subnet.CIDR6.Contains(a):
			bits = subnet.CIDR6.Bits()
			if first {
				out.Gateway6 = subnet.Gateway6
			}
		}
		out.Addresses = append(out.Addresses, netip.PrefixFrom(a, bits))
	}
	return out
}

// Config is what of the state the network obeys: groups, sessions, and which port is in which group.
func Config(w *state.World) dataplane.Config {
	var c dataplane.Config
	for _, p := range w.Ports {
		c.Ports = append(c.Ports, port(w, p))
	}
	slices.SortFunc(c.Ports, func(a, b dataplane.Port) int { return strings.Compare(a.ID, b.ID) })
	c.Subnets, c.Peerings = subnets(w), peerings(w)
	c.Copies = dataplane.CopyRules{NoRemoteGroups: w.Quirks.RemoteGroupsSkipCopies, PassSourceACL: w.Quirks.SourceACLHoldsCopies}
	for id := range w.Groups {
		group := dataplane.Group{ID: id}
		for _, r := range w.RulesOfGroup(id) {
			group.Rules = append(group.Rules, groupRule(w, r))
		}
		c.Groups = append(c.Groups, group)
	}
	slices.SortFunc(c.Groups, func(a, b dataplane.Group) int { return strings.Compare(a.ID, b.ID) })
	for _, s := range w.Sessions {
		c.Sessions = append(c.Sessions, session(w, s))
	}
	slices.SortFunc(c.Sessions, func(a, b dataplane.Session) int { return strings.Compare(a.ID, b.ID) })
	return c
}

func port(w *state.World, p state.Port) dataplane.Port {
	out := dataplane.Port{
		ID: p.ID, Down: w.Off(p), Subnet: p.SubnetID, Groups: slices.Clone(p.SecurityGroups), FlavorSupportsMirroring: w.Flavor(p.Flavor).Carries,
		NoAddressCheck: p.AnySource(), Unsecured: p.Unsecured, MTU: w.Interfaces[p.Interface].MTU,
	}
	if p.Interface != p.ID { // the port is not the one that the host began with
		out.Interface = cmp.Or(p.Interface, nowhere)
	}
	return out
}

// nowhere is no interface of any layout.
const nowhere = "-"

func groupRule(w *state.World, r state.GroupRule) dataplane.GroupRule {
	return dataplane.GroupRule{
		Ingress: r.Direction == state.Ingress, IPv6: r.EtherType == "IPv6", Protocol: r.Protocol, Ports: r.Multiport,
		Deny: r.Action == "deny", Priority: r.Priority, RemotePrefix: prefix(r.RemotePrefix), RemoteGroup: r.RemoteGroup,
		RemoteAddresses: addressGroup(w, r.RemoteAddressGroup),
		Disabled:        !r.Enabled,
	}
}

func session(w *state.World, s state.Session) dataplane.Session {
	return dataplane.Session{
		ID: s.ID, Enabled: s.Enabled, Priority: s.Priority, VNI: uint32(s.VNI), PacketLength: s.PacketLength,
		Sources: slices.Clone(s.Sources), Target: s.TargetID, Balancer: balancer(w, s),
		Ingress: mirrorRules(w.RulesOf(s.FilterID, state.Ingress)), Egress: mirrorRules(w.RulesOf(s.FilterID, state.Egress)),
	}
}

func mirrorRules(rules []state.Rule) []dataplane.Rule {
	out := make([]dataplane.Rule, 0, len(rules))
	for _, r := range rules {
		out = append(out, dataplane.Rule{
			Priority: r.Priority, Accept: r.Action == "accept", IPv6: r.EtherType == "IPv6", Protocol: strings.ToUpper(r.Protocol),
			Source: prefix(r.SourceCIDR), Destination: prefix(r.DestinationCIDR),
			SourcePorts: ports(r.SourcePortRange), DestinationPorts: ports(r.DestinationPortRange),
		})
	}
	return out
}

// prefix reads a CIDR that the state has checked; empty means any.
func prefix(text string) netip.Prefix {
	p, _ := netip.ParsePrefix(text)
	return p.Masked()
}

func ports(text string) dataplane.PortRange {
	low, high, _ := state.ParsePortRange(text)
	return dataplane.PortRange{Low: low, High: high}
}

package state

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"vpcmirror.io/operator/test/cloudsim/scenario"
)

// FromScenario builds the world that a scenario describes; now stamps its objects.
func FromScenario(sc *scenario.Scenario, now time.Time) *World {
	now = now.UTC().Truncate(time.Second)
	w := &World{
		Region: sc.Region, Propagation: sc.Propagation, Accounts: map[string]Account{}, Projects: map[string]Project{}, Filters: map[string]Filter{},
		Rules: map[string]Rule{}, Sessions: map[string]Session{}, Ports: map[string]Port{}, Subnets: map[string]Subnet{},
		Servers: map[string]Server{}, Interfaces: map[string]Interface{}, Jobs: map[string]Job{}, Flavors: map[string]Flavor{}, LoadBalancers: map[string]LoadBalancer{},
		Listeners: map[string]Listener{}, Pools: map[string]Pool{},
		Groups: map[string]SecurityGroup{}, GroupRules: map[string]GroupRule{},
		AddressGroups: map[string]AddressGroup{}, Firewalls: map[string]Firewall{}, VPCs: map[string]VPC{},
		Peerings: map[string]Peering{}, RouteTables: map[string]RouteTable{}, Quotas: DefaultQuotas(),
	}
	w.addAccounts(sc)
	for _, f := range sc.Flavors {
		w.Flavors[f.Name] = Flavor(f)
	}
	w.addNetworks(sc, now)
	w.addPaths(sc, now)
	w.addGroups(sc, now)
	w.addGuards(sc, now)
	for _, h := range sc.Hosts {
		w.addHost(h, now)
	}
	w.addLoadBalancers(sc, now)
	for name, limit := range sc.Quotas {
		*w.Quotas.byName(name) = limit
	}
	return w
}

func (w *World) addAccounts(sc *scenario.Scenario) {
	for _, a := range sc.Accounts {
		account := Account{
			Name: a.Name, DomainID: a.DomainID, AccessKey: a.AccessKey, SecretKey: Secret(a.SecretKey),
			SecurityToken: Secret(a.SecurityToken), TokenExpires: a.TokenExpires,
		}
		for _, p := range a.Projects {
			account.Projects = append(account.Projects, p.ID)
			w.Projects[p.ID] = Project{ID: p.ID, Name: p.Name, DomainID: a.DomainID}
		}
		w.Accounts[a.AccessKey] = account
	}
}

func (w *World) addNetworks(sc *scenario.Scenario, now time.Time) {
	for _, v := range sc.VPCs {
		w.VPCs[v.ID] = VPC{ID: v.ID, ProjectID: v.ProjectID, Name: v.Name, CIDR: v.CIDR, CreatedAt: now}
		for _, s := range v.Subnets {
			w.Subnets[s.ID] = Subnet{
				ID: s.ID, Name: s.Name, VPCID: v.ID, ProjectID: v.ProjectID, CIDR: s.CIDR, CIDR6: s.CIDR6, Gateway: s.Gateway, Gateway6: s.Gateway6,
				GatewayMAC: s.GatewayMAC.String(),
			}
		}
	}
}

// addPaths gives each VPC a default route table, unless the scenario has one, with all subnets that obey no other.
func (w *World) addPaths(sc *scenario.Scenario, now time.Time) {
	for _, p := range sc.Peerings {
		w.Peerings[p.ID] = Peering{
			ID: p.ID, Name: p.Name, Status: p.Status, CreatedAt: now, UpdatedAt: now,
			Requester: PeeringSide{p.Requester, w.VPCs[p.Requester].ProjectID}, Accepter: PeeringSide{p.Accepter, w.VPCs[p.Accepter].ProjectID},
		}
	}
	for _, t := range sc.RouteTables {
		table := RouteTable{
			ID: t.ID, ProjectID: w.VPCs[t.VPCID].ProjectID, VPCID: t.VPCID, Name: t.Name, Default: t.Default, Subnets: slices.Clone(t.Subnets),
			CreatedAt: now, UpdatedAt: now,
		}
		for _, r := range t.Routes {
			table.Routes = append(table.Routes, Route(r))
		}
		w.RouteTables[t.ID] = table
	}
	for _, v := range sc.VPCs {
		id := w.defaultTable(v.ID)
		if id == "" {
			id = uuid.NewSHA1(uuid.NameSpaceOID, []byte("route table of "+v.ID)).String()
			w.RouteTables[id] = RouteTable{
				ID: id, ProjectID: v.ProjectID, VPCID: v.ID, Name: "rtb-" + v.Name, Default: true, CreatedAt: now, UpdatedAt: now,
			}
		}
		for _, s := range v.Subnets {
			if _, ok := w.RouteTableOf(s.ID); !ok {
				w.bindSubnet(s.ID, id, now)
			}
		}
	}
}

func (w *World) addGroups(sc *scenario.Scenario, now time.Time) {
	for _, g := range sc.SecurityGroups {
		w.Groups[g.ID] = SecurityGroup{
			ID: g.ID, ProjectID: g.ProjectID, Name: g.Name, Description: g.Description, CreatedAt: now, UpdatedAt: now,
		}
		for _, r := range g.Rules {
			w.GroupRules[r.ID] = GroupRule{
				ID: r.ID, ProjectID: g.ProjectID, GroupID: g.ID, Description: r.Description, Direction: r.Direction,
				EtherType: r.EtherType, Protocol: r.Protocol, Multiport: r.Multiport, Action: r.Action, Priority: r.Priority,
				RemotePrefix: r.RemotePrefix, RemoteGroup: r.RemoteGroup, RemoteAddressGroup: r.RemoteAddressGroup, Enabled: !r.Disabled, CreatedAt: now, UpdatedAt: now,
			}
		}
	}
}

func (w *World) addGuards(sc *scenario.Scenario, now time.Time) {
	for _, g := range sc.AddressGroups {
		w.AddressGroups[g.ID] = AddressGroup{
			ID: g.ID, ProjectID: g.ProjectID, Name: g.Name, Description: g.Description, IPVersion: g.IPVersion,
			Addresses: slices.Clone(g.Addresses), MaxCapacity: max(maxGroupAddresses, len(g.Addresses)), CreatedAt: now, UpdatedAt: now,
		}
	}
	for _, a := range sc.NetworkACLs {
		w.Firewalls[a.ID] = Firewall{
			ID: a.ID, ProjectID: a.ProjectID, Name: a.Name, Description: a.Description, Off: a.Off, Subnets: slices.Clone(a.Subnets),
			Ingress: firewallRules(a.Ingress), Egress: firewallRules(a.Egress), CreatedAt: now, UpdatedAt: now,
		}
	}
}

func firewallRules(rules []scenario.ACLRule) []FirewallRule {
	out := make([]FirewallRule, 0, len(rules))
	for _, r := range rules {
		out = append(out, FirewallRule{
			ID: r.ID, Name: r.Name, Description: r.Description, Action: r.Action, Protocol: r.Protocol, IPVersion: r.IPVersion,
			SourceAddress: r.SourceAddress, DestinationAddress: r.DestinationAddress, SourceGroup: r.SourceGroup,
			DestinationGroup: r.DestinationGroup, SourcePort: r.SourcePort, DestinationPort: r.DestinationPort, Enabled: !r.Disabled,
		})
	}
	return out
}

func (w *World) addHost(h scenario.Host, now time.Time) {
	w.Servers[h.ID] = Server{
		ID: h.ID, ProjectID: h.ProjectID, Name: h.Name, Flavor: h.Flavor, Stopped: h.Stopped, CreatedAt: now, UpdatedAt: now,
	}
	for i, nic := range h.Interfaces {
		w.Interfaces[nic.ID] = Interface{
			ID: nic.ID, ServerID: h.ID, SubnetID: nic.SubnetID, VPCID: nic.VPCID, MAC: nic.MAC.String(), Addresses: slices.Clone(nic.Addresses),
			MTU: nic.MTU,
		}
		w.Ports[nic.ID] = Port{
			ID: nic.ID, ProjectID: h.ProjectID, MAC: nic.MAC.String(), Addresses: slices.Clone(nic.Addresses), SubnetID: nic.SubnetID,
			VPCID: nic.VPCID, ServerID: h.ID, Flavor: h.Flavor, Primary: i == 0, SecurityGroups: slices.Clone(nic.SecurityGroups),
			Status: PortActive, Interface: nic.ID, CreatedAt: now, UpdatedAt: now,
		}
	}
}

// byName finds a quota by the cloud's name; nil when there is none of that name.
func (q *Quotas) byName(name string) *int {
	return map[string]*int{
		"traffic_mirror_session":                             &q.Sessions,
		"traffic_mirror_session_contain_sources":             &q.SourcesPerSession,
		"traffic_mirror_source_referred_by_session":          &q.SessionsPerSource,
		"traffic_mirror_target_eni_referred_by_session":      &q.SessionsPerENITarget,
		"traffic_mirror_target_elb_referred_by_session":      &q.SessionsPerELBTarget,
		"traffic_mirror_filter_referred_by_session":          &q.SessionsPerFilter,
		"traffic_mirror_filter_contain_rules_each_direction": &q.RulesPerDirection,
		"traffic_mirror_filter":                              &q.Filters,
		"secgroup_contain_rules":                             &q.SecurityGroupRulesPerGroup,
	}[name]
}

// ByName returns all quotas by the cloud's names.
func (q Quotas) ByName() map[string]int {
	out := make(map[string]int, len(scenario.QuotaNames))
	for _, name := range scenario.QuotaNames {
		out[name] = *q.byName(name)
	}
	return out
}

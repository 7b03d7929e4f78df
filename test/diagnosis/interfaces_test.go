package diagnosis

import (
	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// about is what is said of an interface.
func about(reason, subject string, words ...string) says {
	return says{reason: reason, subject: subject, path: "False", words: words}
}

// stop stops the server of an interface.
func (s *site) stop(n nic) error {
	_, err := s.cloud.State.SwitchServers(project, state.JobStop, []string{id("server", n.host)})
	return err
}

// detach takes an interface off its server.
func (s *site) detach(n nic) error {
	_, err := s.cloud.State.DetachPort(n.id)
	return err
}

// down makes an interface inactive.
func (s *site) down(n nic) error {
	return s.cloud.State.SetPort(n.id, state.PortSettings{Status: new(state.PortDown)})
}

// forbid takes a right from the row's account.
func (s *site) forbid(operation string) error {
	f := fault.Forbidden(operation)
	f.AccessKey = accessKey(s.id)
	_, err := s.cloud.Faults.Add(f)
	return err
}

// notPermitted is a row about a right that diagnosis needs.
func notPermitted(row, name, operation, action string, n needs) cause {
	n.account = true
	return cause{
		id: row, name: name, by: "read", needs: n,
		prepare: func(s *site) error { return s.forbid(operation) },
		want: says{
			condition: v1alpha1.ConditionPathClear, reason: v1alpha1.ReasonNotPermitted, path: "Unknown", words: []string{action},
		},
	}
}

// withACL gives the target's subnet of a row a network ACL that allows all.
func withACL(c cause) cause {
	c.inject = func(s *site) error { return s.acl(s.target, true, aclRule("allow", "any")) }
	return c
}

// interfaceCauses: interfaces and servers that are gone or off, and flavors.
var interfaceCauses = []cause{
	{
		id: "source-deleted", name: "the source's interface is deleted", by: "read", flows: true,
		inject: func(s *site) error { return s.cloud.State.DropPort(s.sources[0].id) },
		want:   about(v1alpha1.ReasonInterfaceGone, "source", "{source.id}"),
	},
	{
		id: "target-deleted", name: "the target's interface is deleted", by: "read", flows: true,
		inject: func(s *site) error { return s.cloud.State.DropPort(s.target.id) },
		want:   about(v1alpha1.ReasonInterfaceGone, "target", "{target.id}"),
	},
	{
		id: "source-replaced", name: "the source's interface is deleted, and a new one has its address", by: "read", flows: true,
		inject: func(s *site) error {
			p, err := s.cloud.State.ReplacePort(s.sources[0].id)
			s.fresh = p.ID
			return err
		},
		want: about(v1alpha1.ReasonInterfaceReplaced, "source", "{source.id}", "{fresh}"),
	},
	{
		id: "target-replaced", name: "the target's interface is deleted, and a new one has its address", by: "read", flows: true,
		inject: func(s *site) error {
			p, err := s.cloud.State.ReplacePort(s.target.id)
			s.fresh = p.ID
			return err
		},
		want: about(v1alpha1.ReasonInterfaceReplaced, "target", "{target.id}", "{fresh}"),
	},
	{
		id: "source-server-replaced", name: "the source's server is replaced by a new one with the same address", by: "read", flows: true,
		inject: func(s *site) error {
			_, ports, err := s.cloud.State.ReplaceServer(id("server", s.sources[0].host))
			s.fresh = ports[s.sources[0].id]
			return err
		},
		want: about(v1alpha1.ReasonInterfaceReplaced, "source", "{source.id}", "{fresh}"),
	},
	{
		id: "source-one-deleted", name: "the interface of one of two sources is deleted", by: "read", flows: true, needs: needs{sources: 2},
		inject: func(s *site) error { return s.cloud.State.DropPort(s.sources[0].id) },
		want:   about(v1alpha1.ReasonInterfaceGone, "source", "{source.id}"),
	},
	{
		id: "source-detached", name: "the source's interface is taken off its server", by: "read", flows: true,
		inject: func(s *site) error { return s.detach(s.sources[0]) },
		want:   about(v1alpha1.ReasonInterfaceDetached, "{source}", "attach"),
	},
	{
		id: "target-detached", name: "the target's interface is taken off its server", by: "read", flows: true,
		inject: func(s *site) error { return s.detach(s.target) },
		want:   about(v1alpha1.ReasonInterfaceDetached, "{target}", "attach"),
	},
	{
		id: "source-down", name: "the source's interface is not active", by: "read", flows: true,
		inject: func(s *site) error { return s.down(s.sources[0]) },
		want:   about(v1alpha1.ReasonInterfaceDown, "{source}", "DOWN"),
	},
	{
		id: "target-down", name: "the target's interface is not active", by: "read", flows: true,
		inject: func(s *site) error { return s.down(s.target) },
		want:   about(v1alpha1.ReasonInterfaceDown, "{target}", "DOWN"),
	},
	{
		id: "source-stopped", name: "the source's server is stopped", by: "read", flows: true,
		inject: func(s *site) error { return s.stop(s.sources[0]) },
		want:   about(v1alpha1.ReasonServerStopped, "{source}", "start", "src-{session}"),
	},
	{
		id: "source-one-stopped", name: "the server of one of two sources is stopped", by: "read", flows: true, needs: needs{sources: 2},
		inject: func(s *site) error { return s.stop(s.sources[1]) },
		want:   about(v1alpha1.ReasonServerStopped, "{other}", "start", "src-{session}-2"),
	},
	{
		id: "target-stopped", name: "the target's server is stopped", by: "read", flows: true, needs: needs{ownHost: true, consumer: true},
		inject: func(s *site) error { return s.stop(s.target) },
		want:   about(v1alpha1.ReasonServerStopped, "{target}", "start", "tgt-{session}"),
	},
	{
		id: "flavor-silent", name: "the flavor of the source's server is accepted, and carries nothing", by: "read", needs: needs{flavor: "x1.large.2"},
		want: about(v1alpha1.ReasonFlavorUnsupported, "{source}", "x1.large.2", "c7t"),
	},
	{
		id: "flavor-refused", name: "the flavor of the source's server is refused by the cloud", by: "read", needs: needs{flavor: "s6.large.2"},
		want: about(v1alpha1.ReasonFlavorUnsupported, "{source}", "s6.large.2", "c7t"),
	},
	{
		id: "flavor-one", name: "the flavor of one of two sources carries nothing", by: "read", needs: needs{flavor: "x1.large.2", sources: 2},
		want: about(v1alpha1.ReasonFlavorUnsupported, "{source}", "x1.large.2"),
	},
}

// rightCauses: rights that are missing.
var rightCauses = []cause{
	{
		id: "right-create", name: "the account may not create sessions", by: "read", needs: needs{account: true},
		prepare: func(s *site) error { return s.forbid("CreateTrafficMirrorSession") },
		want:    says{reason: v1alpha1.ReasonPermissionDenied, words: []string{"vpc:trafficMirrorSessions:create"}},
	},
	{
		id: "right-add", name: "the account may not add a source, and one is added to the spec", by: "read", flows: true,
		needs: needs{account: true, sources: 2},
		shape: func(_ *site, _ *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
			m.Spec.Sources = m.Spec.Sources[:1]
		},
		inject: func(s *site) error {
			if err := s.forbid("AddSourcesToTrafficMirrorSession"); err != nil {
				return err
			}
			return s.edit(func(m *v1alpha1.MirrorSession) { m.Spec.Sources = s.session().Spec.Sources })
		},
		want: says{reason: v1alpha1.ReasonPermissionDenied, words: []string{"vpc:trafficMirrorSessions:addSource"}},
	},
	{
		id: "right-ports", name: "the account may not list interfaces, and the spec names addresses", by: "read", needs: needs{account: true},
		shape: func(s *site, _ *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
			m.Spec.Sources[0].InterfaceSelector = v1alpha1.InterfaceSelector{Address: &v1alpha1.InterfaceAddress{IP: s.sources[0].addr.String()}}
		},
		prepare: func(s *site) error { return s.forbid("ListPorts") },
		want:    says{reason: v1alpha1.ReasonPermissionDenied, words: []string{"vpc:ports:"}},
	},
	notPermitted("right-groups", "the account may not list the rules of security groups", "ListSecurityGroupRules", "vpc:securityGroupRules:", needs{}),
	notPermitted("right-servers", "the account may not list servers", "ListServersDetails", "ecs:", needs{}),
	notPermitted("right-flavors", "the account may not list flavors", "ListFlavors", "ecs:", needs{}),
	notPermitted("right-acl", "the account may not list network ACLs", "ListFirewall", "vpc:firewalls:", needs{targetSubnet: true}),
	withACL(notPermitted("right-acl-show", "the account may not read a network ACL", "ShowFirewall", "vpc:firewalls:", needs{targetSubnet: true})),
	notPermitted("right-peerings", "the account may not list peerings", "ListVpcPeerings", "vpc:peerings:", needs{vpc: true}),
	notPermitted("right-routes", "the account may not list route tables", "ListRouteTables", "vpc:routeTables:", needs{vpc: true}),
}

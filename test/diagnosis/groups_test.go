package diagnosis

import (
	"fmt"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// admit adds a rule to the group of the target: UDP unless it says otherwise.
func (s *site) admit(in state.GroupRuleInput) error {
	in.GroupID = new(id("group", s.id+"-dst"))
	if in.Direction == nil {
		in.Direction = new("ingress")
	}
	if in.Protocol == nil {
		in.Protocol = new("udp")
	}
	_, err := s.cloud.State.CreateGroupRule(project, in)
	return err
}

// instead puts a rule in the place of the one for the copies of the first source.
func (s *site) instead(in state.GroupRuleInput) error {
	if err := s.revoke(0); err != nil {
		return err
	}
	return s.admit(in)
}

// revoke takes the rule for the copies of a source out of the group of the target.
func (s *site) revoke(source int) error {
	return s.cloud.State.DeleteGroupRule(project, s.vxlanRule(source))
}

// vxlanRule is the ID of the rule for the copies of a source.
func (s *site) vxlanRule(source int) string {
	return id("rule", fmt.Sprint(s.id, "-dst", source+1))
}

// addressGroup makes a group of addresses and gives its ID.
func (s *site) addressGroup(addresses ...string) (string, error) {
	g, err := s.cloud.State.CreateAddressGroup(project, state.AddressGroupInput{Name: new(s.id), IPVersion: new(4), Addresses: &addresses})
	return g.ID, err
}

// fromTarget are the words that every answer about the target's group has.
var fromTarget = []string{"{group}", "UDP 4789", "{source}/32"}

// groupCauses: the security groups of target and source.
var groupCauses = []cause{
	{
		id: "group-closed", name: "the rule for UDP 4789 is taken out of the target's security group", by: "read", flows: true,
		inject: func(s *site) error { return s.revoke(0) },
		want:   says{reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", words: fromTarget, path: "False"},
	},
	{
		id: "group-other-port", name: "the target's security group allows UDP 4790 in place of 4789", by: "read",
		inject: func(s *site) error {
			return s.instead(state.GroupRuleInput{Multiport: new("4790"), RemotePrefix: new(s.sources[0].cidr())})
		},
		want: says{reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", words: fromTarget, path: "False"},
	},
	{
		id: "group-other-cidr", name: "the target's security group allows UDP 4789 from another network", by: "read",
		inject: func(s *site) error {
			return s.instead(state.GroupRuleInput{Multiport: new("4789"), RemotePrefix: new("10.99.0.0/16")})
		},
		want: says{reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", words: fromTarget, path: "False"},
	},
	{
		id: "group-tcp", name: "the target's security group allows TCP 4789 in place of UDP", by: "read",
		inject: func(s *site) error {
			return s.instead(state.GroupRuleInput{Protocol: new("tcp"), Multiport: new("4789"), RemotePrefix: new(s.sources[0].cidr())})
		},
		want: says{reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", words: fromTarget, path: "False"},
	},
	{
		id: "group-ipv6", name: "the rule for UDP 4789 in the target's security group is for IPv6 alone", by: "read",
		inject: func(s *site) error {
			return s.instead(state.GroupRuleInput{Multiport: new("4789"), EtherType: new("IPv6")})
		},
		want: says{reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", words: fromTarget, path: "False"},
	},
	{
		id: "group-outbound", name: "the rule for UDP 4789 in the target's security group is for what it sends", by: "read",
		inject: func(s *site) error {
			return s.instead(state.GroupRuleInput{Multiport: new("4789"), Direction: new("egress")})
		},
		want: says{reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", words: fromTarget, path: "False"},
	},
	{
		id: "group-deny", name: "a deny of a better priority in the target's security group covers UDP 4789", by: "read", flows: true,
		inject: func(s *site) error {
			return s.admit(state.GroupRuleInput{Multiport: new("4000-5000"), RemotePrefix: new("10.20.0.0/16"), Action: new("deny"), Priority: new(1)})
		},
		want: says{
			reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", path: "False",
			words: []string{"{group}", "deny", "4000-5000", "{source}/32", "priority"},
		},
	},
	{
		id: "group-deny-all", name: "a deny of every protocol in the target's security group has the best priority", by: "read",
		inject: func(s *site) error {
			in := state.GroupRuleInput{GroupID: new(id("group", s.id+"-dst")), Direction: new("ingress"), Action: new("deny"), Priority: new(1)}
			_, err := s.cloud.State.CreateGroupRule(project, in)
			return err
		},
		want: says{
			reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", path: "False",
			words: []string{"{group}", "deny", "{source}/32"},
		},
	},
	{
		id: "group-remote", name: "the target's security group allows members of a group that the source is not in", by: "read",
		inject: func(s *site) error {
			return s.instead(state.GroupRuleInput{Multiport: new("4789"), RemoteGroup: new(id("group", "open"))})
		},
		want: says{reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", words: fromTarget, path: "False"},
	},
	{
		id: "group-addresses", name: "the target's security group allows an address group without the source", by: "read",
		inject: func(s *site) error {
			group, err := s.addressGroup("10.20.9.9", "10.20.8.0/24")
			if err != nil {
				return err
			}
			return s.instead(state.GroupRuleInput{Multiport: new("4789"), RemoteAddressGroup: &group})
		},
		want: says{reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", words: fromTarget, path: "False"},
	},
	{
		id: "group-disabled", name: "the rule for UDP 4789 in the target's security group is switched off", by: "read", flows: true,
		inject: func(s *site) error {
			_, err := s.cloud.State.UpdateGroupRule(s.vxlanRule(0), state.GroupRuleInput{Enabled: new(false)})
			return err
		},
		want: says{reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", words: fromTarget, path: "False"},
	},
	{
		id: "group-moved", name: "the target is moved to another security group", by: "read", flows: true,
		inject: func(s *site) error {
			g, err := s.cloud.State.CreateGroup(project, state.GroupInput{Name: new(s.id + "-new")})
			if err != nil {
				return err
			}
			_, err = s.cloud.State.UpdatePort(project, s.target.id, state.PortInput{SecurityGroups: &[]string{g.ID}})
			return err
		},
		want: says{
			reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", path: "False",
			words: []string{"{session}-new", "UDP 4789", "{source}/32"},
		},
	},
	{
		id: "group-one", name: "the target's security group lets in one of two sources", by: "read", flows: true, needs: needs{sources: 2},
		inject: func(s *site) error { return s.revoke(0) },
		want:   says{reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", words: fromTarget, path: "False"},
	},
	{
		id: "source-group-in", name: "the source's security group does not let in what the filter accepts", by: "read", needs: needs{port: lowPort},
		inject: func(s *site) error { return s.cloud.State.DeleteGroupRule(project, id("rule", s.id+"-src0")) },
		want:   says{reason: v1alpha1.ReasonSourceGroupDenies, subject: "{source}", path: "False", words: []string{"{source.group}", "514"}},
	},
	{
		id: "source-group-closed", name: "the source's security group is closed for what the filter accepts", by: "read", flows: true,
		inject: func(s *site) error { return s.cloud.State.DeleteGroupRule(project, id("rule", s.id+"-src0")) },
		want: says{
			reason: v1alpha1.ReasonSourceGroupDenies, subject: "{source}", path: "False", words: []string{"{source.group}"},
		},
	},
	{
		id: "source-group-out", name: "the source's security group does not let out what the filter accepts", by: "read", flows: true,
		needs:  needs{egress: true},
		inject: func(s *site) error { return s.cloud.State.DeleteGroupRule(project, id("rule", s.id+"-src1")) },
		want: says{
			reason: v1alpha1.ReasonSourceGroupDenies, subject: "{source}", path: "False", words: []string{"{source.group}"},
		},
	},
}

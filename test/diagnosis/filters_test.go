package diagnosis

import (
	"fmt"
	"slices"
	"sync/atomic"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// numbers are given out to the sessions of others: priorities before all that we are given, and
// VNIs that nobody else has.
var numbers atomic.Int64

// others is a session that somebody else makes in the cloud's console.
type others struct {
	sources  []nic
	target   nic
	action   string
	ports    string // destination ports that it matches; empty for all
	vni      int
	priority int
}

// foreignSession makes it.
func (s *site) foreignSession(o others) (state.Session, error) {
	n := int(numbers.Add(1))
	s.foreign = fmt.Sprint("foreign-", s.id, "-", n)
	f, err := s.cloud.State.CreateFilter(project, state.FilterInput{Name: new("filter-" + s.foreign)})
	if err != nil {
		return state.Session{}, err
	}
	in := state.RuleInput{
		FilterID: &f.ID, Direction: new("ingress"), Protocol: new("UDP"), EtherType: new("IPv4"), Action: &o.action, Priority: new(1),
	}
	if o.action == "" {
		in.Action = new("accept")
	}
	if o.ports != "" {
		in.DestinationPortRange = &o.ports
	}
	if _, err := s.cloud.State.CreateRule(project, in); err != nil {
		return state.Session{}, err
	}
	if o.vni == 0 {
		o.vni = 90000 + n
	}
	if o.priority == 0 {
		o.priority = 100 + n
	}
	if o.target.id == "" {
		o.target = s.target
	}
	var sources []string
	for _, source := range o.sources {
		sources = append(sources, source.id)
	}
	return s.cloud.State.CreateSession(project, state.SessionInput{
		Name: &s.foreign, FilterID: &f.ID, Sources: &sources, TargetID: &o.target.id, TargetType: new("eni"), PacketLength: new(96),
		VNI: &o.vni, Priority: &o.priority, Enabled: new(true),
	})
}

// ownSession makes another session of ours, with the same source and target.
func (s *site) ownSession(change func(*v1alpha1.MirrorFilter, *v1alpha1.MirrorSession)) error {
	f, m := s.filter(), s.session()
	s.foreign = s.id + "-other"
	f.Name, m.Name, m.Spec.FilterRef.Name = s.foreign, s.foreign, s.foreign
	change(f, m)
	if err := s.api.Create(s.t.Context(), f); err != nil {
		return err
	}
	return s.api.Create(s.t.Context(), m)
}

// broad lets an own session come first, with one rule for all IPv4 that comes.
func broad(action v1alpha1.Action) func(*v1alpha1.MirrorFilter, *v1alpha1.MirrorSession) {
	return func(f *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
		f.Spec.Rules = []v1alpha1.FilterRule{{
			Direction: v1alpha1.DirectionIngress, Priority: 1, Action: action, EtherType: v1alpha1.EtherTypeIPv4, Protocol: v1alpha1.ProtocolAll,
		}}
		m.Spec.Priority = new(int32(1000 + numbers.Add(1)))
	}
}

// rules changes the rules of the row's filter.
func rules(change func(s *site, r *v1alpha1.FilterRule)) func(*site, *v1alpha1.MirrorFilter, *v1alpha1.MirrorSession) {
	return func(s *site, f *v1alpha1.MirrorFilter, _ *v1alpha1.MirrorSession) {
		for i := range f.Spec.Rules {
			change(s, &f.Spec.Rules[i])
		}
	}
}

// matchesNothing is what is said of a filter that can't match.
func matchesNothing(words ...string) says {
	return says{reason: v1alpha1.ReasonFilterMatchesNothing, path: "False", words: words}
}

// oneRule leaves one rule for what the peer sends to any source.
func oneRule(f *v1alpha1.MirrorFilter) {
	f.Spec.Rules = f.Spec.Rules[:1]
	f.Spec.Rules[0].Destination.CIDR = ""
}

// earlier is what is said of a session that comes before.
func earlier(reason string, words ...string) says {
	return says{reason: reason, path: "False", words: append([]string{"{foreign}", "priority"}, words...)}
}

// filterCauses: what the filter can't match, and what sessions take from each other.
var filterCauses = []cause{
	{
		id: "filter-empty", name: "the filter has no rules", by: "spec",
		shape: func(_ *site, f *v1alpha1.MirrorFilter, _ *v1alpha1.MirrorSession) { f.Spec.Rules = nil },
		want:  matchesNothing("rule"),
	},
	{
		id: "filter-emptied", name: "the rules of the filter are taken out of its spec", by: "spec", flows: true,
		inject: func(s *site) error { return s.editFilter(func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = nil }) },
		want:   matchesNothing("rule"),
	},
	{
		id: "filter-rejects", name: "the filter has only rules that reject", by: "spec",
		shape: rules(func(_ *site, r *v1alpha1.FilterRule) { r.Action = v1alpha1.ActionReject }),
		want:  matchesNothing("Accept"),
	},
	{
		id: "filter-swapped", name: "source and destination of the filter's rule are swapped", by: "read",
		shape: rules(func(s *site, r *v1alpha1.FilterRule) {
			r.Source.CIDR, r.Destination.CIDR = s.sources[0].cidr(), s.peer.cidr()
		}),
		want: matchesNothing("swap"),
	},
	{
		id: "filter-direction", name: "the rule for what the source receives is of direction Egress", by: "read",
		shape: rules(func(_ *site, r *v1alpha1.FilterRule) { r.Direction = v1alpha1.DirectionEgress }),
		want:  matchesNothing("Ingress"),
	},
	{
		id: "filter-family", name: "the filter's rule is for IPv6, the source has IPv4 alone", by: "read",
		shape: rules(func(_ *site, r *v1alpha1.FilterRule) {
			r.EtherType, r.Source, r.Destination.CIDR = v1alpha1.EtherTypeIPv6, nil, ""
		}),
		want: matchesNothing("IPv6", "IPv4"),
	},
	{
		id: "filter-addresses", name: "the filter's rule names an address that is not the source's", by: "read",
		shape: rules(func(_ *site, r *v1alpha1.FilterRule) { r.Destination.CIDR = "10.20.15.200/32" }),
		want:  matchesNothing("10.20.15.200/32", "{source}"),
	},
	{
		id: "filter-shadowed", name: "a rule that rejects comes before the one that accepts the same", by: "spec",
		shape: func(_ *site, f *v1alpha1.MirrorFilter, _ *v1alpha1.MirrorSession) {
			accept := f.Spec.Rules[0]
			accept.Priority = 9
			f.Spec.Rules = []v1alpha1.FilterRule{{
				Direction: v1alpha1.DirectionIngress, Priority: 1, Action: v1alpha1.ActionReject, EtherType: v1alpha1.EtherTypeIPv4, Protocol: v1alpha1.ProtocolUDP,
			}, accept}
		},
		want: says{
			reason: v1alpha1.ReasonFilterMatchesNothing, or: []string{v1alpha1.ReasonRuleMatchesNothing}, path: "False", words: []string{"reject"},
		},
	},
	{
		id: "filter-one-rule", name: "one of the filter's rules comes after one that rejects the same", by: "spec", flows: true,
		inject: func(s *site) error {
			return s.editFilter(func(f *v1alpha1.MirrorFilter) {
				rejects, accepts := f.Spec.Rules[0], f.Spec.Rules[0]
				rejects.Priority, rejects.Action = 7, v1alpha1.ActionReject
				rejects.Destination = &v1alpha1.RulePeer{Port: new(int32(2000)), EndPort: new(int32(3000))}
				accepts.Priority, accepts.Destination = 8, &v1alpha1.RulePeer{Port: new(int32(2500))}
				f.Spec.Rules = append(f.Spec.Rules, rejects, accepts)
			})
		},
		want: says{reason: v1alpha1.ReasonRuleMatchesNothing, path: "False", words: []string{"2500", "reject"}},
	},
	{
		id: "order-taken", name: "somebody else's session with a broader filter is put before ours", by: "read", flows: true,
		inject: func(s *site) error {
			_, err := s.foreignSession(others{sources: s.sources})
			return err
		},
		want: earlier(v1alpha1.ReasonTakenEarlier),
	},
	{
		id: "order-rejected", name: "somebody else's session before ours rejects the packets", by: "read", flows: true,
		inject: func(s *site) error {
			_, err := s.foreignSession(others{sources: s.sources, action: "reject"})
			return err
		},
		want: earlier(v1alpha1.ReasonRejectedEarlier),
	},
	{
		id: "order-own", name: "another MirrorSession with a broader filter is put before ours", by: "read", flows: true,
		inject: func(s *site) error { return s.ownSession(broad(v1alpha1.ActionAccept)) },
		want:   earlier(v1alpha1.ReasonTakenEarlier, namespace+"/{foreign}"),
	},
	{
		id: "order-own-rejects", name: "another MirrorSession before ours rejects the packets", by: "read", flows: true,
		inject: func(s *site) error { return s.ownSession(broad(v1alpha1.ActionReject)) },
		want:   earlier(v1alpha1.ReasonRejectedEarlier, namespace+"/{foreign}"),
	},
	{
		id: "order-older", name: "a broader session of somebody else was there before ours was made", by: "read",
		prepare: func(s *site) error {
			_, err := s.foreignSession(others{sources: s.sources})
			return err
		},
		want: earlier(v1alpha1.ReasonTakenEarlier),
	},
	{
		id: "order-part", name: "a session before ours takes the ports that have traffic, of a filter for all", by: "read", flows: true,
		shape: rules(func(_ *site, r *v1alpha1.FilterRule) { r.Destination.Port = nil }),
		inject: func(s *site) error {
			_, err := s.foreignSession(others{sources: s.sources, ports: "1200-1300"})
			return err
		},
		want: earlier(v1alpha1.ReasonTakenEarlier, "1200-1300"),
	},
	{
		id: "order-one", name: "a session before ours takes the packets of one of two sources", by: "read", flows: true, needs: needs{sources: 2},
		inject: func(s *site) error {
			_, err := s.foreignSession(others{sources: s.sources[:1]})
			return err
		},
		want: says{reason: v1alpha1.ReasonTakenEarlier, subject: "{source}", path: "False", words: []string{"{foreign}", "priority"}},
	},
	{
		id: "order-later-part", name: "a session is tried between the two that the sources are divided among, and takes the packets of a source of the second", by: "read",
		needs: needs{sources: 11, perServer: 11},
		shape: func(_ *site, f *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
			oneRule(f)
			m.Spec.Priority = new(int32(7000))
		},
		prepare: func(s *site) error { // that it has a source of the first too takes nothing
			_, err := s.foreignSession(others{sources: []nic{s.sources[0], s.sources[10]}, priority: 7001})
			return err
		},
		want: says{
			reason: v1alpha1.ReasonTakenEarlier, subject: "{other}", path: "False",
			words: []string{"{foreign}", "priority 7001, this one's is 7002", "a priority above 7002"},
		},
	},
	{
		id: "vni-shared", name: "another MirrorSession has the same VNI and target", by: "read", flows: true, needs: needs{sources: 2},
		shape: func(_ *site, f *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
			m.Spec.VNI, m.Spec.Sources, f.Spec.Rules = new(int32(1)), m.Spec.Sources[:1], f.Spec.Rules[:1]
		},
		inject: func(s *site) error {
			return s.ownSession(func(f *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
				m.Spec.VNI, m.Spec.Sources, f.Spec.Rules = new(int32(1)), m.Spec.Sources[1:], f.Spec.Rules[1:]
			})
		},
		want: says{reason: v1alpha1.ReasonSharedVNI, words: []string{"{foreign}", "VNI 1", "spec.vni"}},
	},
	{
		id: "vni-foreign", name: "somebody else's session has the same VNI, target and source", by: "read", flows: true,
		shape: func(_ *site, _ *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) { m.Spec.VNI = new(int32(1)) },
		inject: func(s *site) error {
			_, err := s.foreignSession(others{sources: s.sources, vni: 1, priority: 30000, ports: "9000-9000"})
			return err
		},
		want: says{reason: v1alpha1.ReasonSharedVNI, words: []string{"{foreign}", "VNI 1", "spec.vni"}},
	},
	{
		id: "quota-source", name: "the source has three sessions already, which is the quota", by: "read",
		prepare: func(s *site) error {
			for range 3 {
				if _, err := s.foreignSession(others{sources: s.sources, ports: "9000-9000"}); err != nil {
					return err
				}
			}
			return nil
		},
		want: says{reason: v1alpha1.ReasonQuotaExceeded, words: []string{"{foreign}", "{source}"}},
	},
	{
		id: "quota-target", name: "the target has ten sessions already, which is the quota", by: "read",
		needs: needs{sources: 5},
		shape: func(_ *site, f *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
			m.Spec.Sources, f.Spec.Rules = m.Spec.Sources[:1], f.Spec.Rules[:1]
		},
		prepare: func(s *site) error {
			for i := range 10 {
				if _, err := s.foreignSession(others{sources: s.sources[1+i%4 : 2+i%4], ports: "9000-9000"}); err != nil {
					return err
				}
			}
			return nil
		},
		want: says{reason: v1alpha1.ReasonQuotaExceeded, words: []string{"foreign-{session}-", "{target}"}},
	},
	{
		id: "quota-target-parts", name: "the sources need two sessions, and the target has nine already", by: "read",
		needs: needs{sources: 14, perServer: 14},
		shape: func(_ *site, f *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
			oneRule(f)
			m.Spec.Sources = m.Spec.Sources[:11]
		},
		prepare: func(s *site) error {
			for i := range 9 {
				if _, err := s.foreignSession(others{sources: s.sources[11+i%3 : 12+i%3], ports: "9000-9000"}); err != nil {
					return err
				}
			}
			return nil
		},
		want: says{reason: v1alpha1.ReasonQuotaExceeded, words: []string{"need 2 sessions to {target}", "takes 10", "foreign-{session}-"}},
	},
	{
		id: "priority-taken", name: "the priority that the spec asks for is another session's", by: "read", needs: needs{sources: 2},
		prepare: func(s *site) error {
			_, err := s.foreignSession(others{sources: s.sources[1:], priority: 4321})
			return err
		},
		shape: func(_ *site, f *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
			m.Spec.Priority, m.Spec.Sources, f.Spec.Rules = new(int32(4321)), m.Spec.Sources[:1], f.Spec.Rules[:1]
		},
		want: says{reason: v1alpha1.ReasonPriorityTaken, words: []string{"{foreign}", "4321"}},
	},
	{
		id: "role-target", name: "the target is a source of another session", by: "read", needs: needs{sources: 2},
		prepare: func(s *site) error {
			_, err := s.foreignSession(others{sources: []nic{s.target}, target: s.sources[1]})
			return err
		},
		shape: func(_ *site, f *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
			m.Spec.Sources, f.Spec.Rules = m.Spec.Sources[:1], f.Spec.Rules[:1]
		},
		want: says{reason: v1alpha1.ReasonSourceIsTarget, or: []string{v1alpha1.ReasonConflict, v1alpha1.ReasonInvalidRequest}, words: []string{"{foreign}", "{target}", "source"}},
	},
	{
		id: "role-source", name: "the source is the target of another session", by: "read", needs: needs{sources: 2},
		prepare: func(s *site) error {
			_, err := s.foreignSession(others{sources: s.sources[1:], target: s.sources[0]})
			return err
		},
		shape: func(_ *site, f *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
			m.Spec.Sources, f.Spec.Rules = m.Spec.Sources[:1], f.Spec.Rules[:1]
		},
		want: says{reason: v1alpha1.ReasonSourceIsTarget, or: []string{v1alpha1.ReasonConflict, v1alpha1.ReasonInvalidRequest}, words: []string{"{foreign}", "{source}", "target"}},
	},
	{
		id: "filter-missing", name: "the filter that the session names does not exist", by: "spec",
		shape: func(_ *site, _ *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) { m.Spec.FilterRef.Name = "nowhere" },
		want:  says{reason: v1alpha1.ReasonFilterNotFound, words: []string{"nowhere", "spec.filterRef"}},
	},
}

// handCauses: what somebody does to our objects in the cloud's console, which is undone.
var handCauses = []cause{
	{
		id: "hand-off", name: "our session is switched off in the console", by: "read", flows: true,
		inject: func(s *site) error { return s.editInCloud(state.SessionInput{Enabled: new(false)}) },
		want:   says{change: []string{"off"}, mended: true},
	},
	{
		id: "hand-deleted", name: "our session is deleted in the console", by: "read", flows: true,
		inject: func(s *site) error { return s.cloud.State.DeleteSession(project, s.inCloud().ID) },
		want:   says{change: []string{"session", "gone"}, mended: true},
	},
	{
		id: "hand-rule-deleted", name: "the rule of our filter is deleted in the console", by: "read", flows: true,
		inject: func(s *site) error { return s.cloud.State.DeleteRule(project, s.ruleInCloud().ID) },
		want:   says{change: []string{"rule", "gone"}, mended: true},
	},
	{
		id: "hand-rule-moved", name: "the rule of our filter is changed to another address in the console", by: "read", flows: true,
		inject: func(s *site) error {
			_, err := s.cloud.State.UpdateRule(project, s.ruleInCloud().ID, state.RuleInput{DestinationCIDR: new("10.20.15.202/32")})
			return err
		},
		want: says{change: []string{"10.20.15.202/32"}, mended: true},
	},
	{
		id: "hand-rule-rejects", name: "the rule of our filter is changed to reject in the console", by: "read", flows: true,
		inject: func(s *site) error {
			_, err := s.cloud.State.UpdateRule(project, s.ruleInCloud().ID, state.RuleInput{Action: new("reject")})
			return err
		},
		want: says{change: []string{"reject"}, mended: true},
	},
	{
		id: "hand-source", name: "one of two sources is taken out of our session in the console", by: "read", flows: true, needs: needs{sources: 2},
		inject: func(s *site) error {
			_, err := s.cloud.State.RemoveSources(project, s.inCloud().ID, []string{s.sources[0].id})
			return err
		},
		want: says{change: []string{"source"}, mended: true},
	},
	{
		id: "hand-vni", name: "the VNI of our session is changed in the console", by: "read", flows: true,
		inject: func(s *site) error { return s.editInCloud(state.SessionInput{VNI: new(54321)}) },
		want:   says{change: []string{"54321"}, mended: true},
	},
	{
		id: "hand-target", name: "the target of our session is changed in the console", by: "read", flows: true, needs: needs{sources: 2},
		shape: func(_ *site, f *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
			m.Spec.Sources, f.Spec.Rules = m.Spec.Sources[:1], f.Spec.Rules[:1]
		},
		inject: func(s *site) error { return s.editInCloud(state.SessionInput{TargetID: &s.sources[1].id}) },
		want:   says{change: []string{"target"}, mended: true},
	},
}

// inCloud is the row's session as the cloud has it.
func (s *site) inCloud() state.Session {
	m := &v1alpha1.MirrorSession{}
	if err := s.read(m, s.id); err != nil || len(m.Status.Sessions) == 0 {
		return state.Session{} // and nothing is found
	}
	return s.now().Sessions[m.Status.Sessions[0].ID]
}

// ruleInCloud is the first rule of the row's filter as the cloud has it.
func (s *site) ruleInCloud() state.Rule {
	all := s.now().RulesOf(s.inCloud().FilterID, state.Ingress)
	if len(all) == 0 {
		return state.Rule{}
	}
	return slices.MinFunc(all, func(a, b state.Rule) int { return a.Priority - b.Priority })
}

func (s *site) editInCloud(in state.SessionInput) error {
	_, err := s.cloud.State.UpdateSession(project, s.inCloud().ID, in)
	return err
}

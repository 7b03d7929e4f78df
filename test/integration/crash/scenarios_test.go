package crash_test

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// play is one scenario: what there is when it begins, and what is then done.
type play struct {
	name string
	// before makes what there is, Ready.
	before func(*stage)
	// act is done while the manager is at work, or with away before it starts.
	act  func(*stage)
	away bool
	// back is done while no manager runs, after the first one stopped; nil for nothing.
	back func(*stage)
	// limit is how many sources the cloud takes in a session, 0 for what is documented.
	limit int
}

func pair(s *stage) {
	s.newFilter("f")
	s.newSession("m", "f")
}

// with makes a filter and a session that an edit changes.
func with(edit func(*v1alpha1.MirrorSession)) func(*stage) {
	return func(s *stage) {
		s.newFilter("f")
		s.newSession("m", "f", edit)
	}
}

func withRules(rules ...v1alpha1.FilterRule) func(*stage) {
	return func(s *stage) {
		s.newFilter("f", func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = rules })
	}
}

func toRules(rules ...v1alpha1.FilterRule) func(*stage) {
	return func(s *stage) {
		s.editFilter("f", func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = rules })
	}
}

// upTo makes rules with the priorities from 1, for different networks.
func upTo(n int, network string) (rules []v1alpha1.FilterRule) {
	for i := range n {
		r := harness.Rule(int32(i + 1))
		r.Source = &v1alpha1.RulePeer{CIDR: fmt.Sprintf("%s.%d.0/24", network, i)}
		rules = append(rules, r)
	}
	return rules
}

func rule(priority int32, edit func(*v1alpha1.FilterRule)) v1alpha1.FilterRule {
	r := harness.Rule(priority)
	edit(&r)
	return r
}

func editFilter(edit func(*v1alpha1.MirrorFilter)) func(*stage) {
	return func(s *stage) { s.editFilter("f", edit) }
}

func editSession(edit func(*v1alpha1.MirrorSession)) func(*stage) {
	return func(s *stage) { s.editSession("m", edit) }
}

func from(ids ...string) func(*v1alpha1.MirrorSession) {
	return func(m *v1alpha1.MirrorSession) {
		m.Spec.Sources = nil
		for _, id := range ids {
			m.Spec.Sources = append(m.Spec.Sources, harness.Sources(harness.ID(id))...)
		}
	}
}

func to(target string, sources ...string) func(*v1alpha1.MirrorSession) {
	return func(m *v1alpha1.MirrorSession) {
		from(sources...)(m)
		m.Spec.Target = harness.Target(harness.ID(target))
	}
}

// rank makes n sessions with the priorities from 1, and exchange gives them others.
func rank(n int) func(*stage) {
	return func(s *stage) {
		s.newFilter("f")
		for i := range n {
			s.newSession(fmt.Sprint("m", i), "f", func(m *v1alpha1.MirrorSession) { m.Spec.Priority = new(int32(i + 1)) })
		}
	}
}

func exchange(priorities ...int32) func(*stage) {
	return func(s *stage) {
		for i, p := range priorities {
			s.editSession(fmt.Sprint("m", i), func(m *v1alpha1.MirrorSession) { m.Spec.Priority = new(p) })
		}
	}
}

// drift changes the cloud's only session, filter and rules outside.
func drift(edit func(*state.World, *state.Session, *state.Filter, []state.Rule)) func(*stage) {
	return func(s *stage) {
		c := s.Content()
		s.Edit(func(world *state.World) { edit(world, &c.Sessions[0], &c.Filters[0], c.Rules) })
	}
}

func driftSession(edit func(*state.Session)) func(*stage) {
	return drift(func(world *state.World, m *state.Session, _ *state.Filter, _ []state.Rule) {
		m.Sources = slices.Clone(m.Sources)
		edit(m)
		world.Sessions[m.ID] = *m
	})
}

func driftFilter(edit func(*state.Filter)) func(*stage) {
	return drift(func(world *state.World, _ *state.Session, f *state.Filter, _ []state.Rule) {
		edit(f)
		world.Filters[f.ID] = *f
	})
}

var (
	makeFilter   = func(s *stage) { s.newFilter("f") }
	removeAll    = func(s *stage) { s.removeAll() }
	off          = func(m *v1alpha1.MirrorSession) { m.Spec.Enabled = new(false) }
	retain       = func(m *v1alpha1.MirrorSession) { m.Spec.DeletionPolicy = v1alpha1.DeletionRetain }
	retainFilter = func(f *v1alpha1.MirrorFilter) { f.Spec.DeletionPolicy = v1alpha1.DeletionRetain }
)

// plays are all scenarios.
func plays() []play {
	return slices.Concat(creations(), filterEdits(), sessionEdits(), moves(), drifts(), lives(), divisions(), imports(), balances())
}

func creations() []play {
	return []play{
		{name: "create a filter", act: makeFilter},
		{name: "create a filter without rules", act: withRules()},
		{name: "create a filter with five rules of both directions", act: withRules(append(upTo(3, "10.1"),
			rule(1, func(r *v1alpha1.FilterRule) { r.Direction = v1alpha1.DirectionEgress }),
			rule(2, func(r *v1alpha1.FilterRule) {
				r.Direction, r.Action = v1alpha1.DirectionEgress, v1alpha1.ActionReject
			}))...)},
		{name: "create a session", before: makeFilter, act: func(s *stage) { s.newSession("m", "f") }},
		{name: "create a filter and its session", act: pair},
		{name: "create a session with numbers of its own", before: makeFilter, act: func(s *stage) {
			s.newSession("m", "f", func(m *v1alpha1.MirrorSession) { m.Spec.VNI, m.Spec.Priority = new(int32(77)), new(int32(5)) })
		}},
		{name: "create a session that is off", before: makeFilter, act: func(s *stage) { s.newSession("m", "f", off) }},
		{name: "create two sessions at once", before: makeFilter, act: func(s *stage) {
			s.newSession("m", "f")
			s.newSession("n", "f", from(portB))
		}},
	}
}

func filterEdits() []play {
	return []play{
		{name: "rename a filter", before: makeFilter, act: editFilter(func(f *v1alpha1.MirrorFilter) { f.Spec.CloudName = "renamed" })},
		{name: "describe a filter", before: makeFilter, act: editFilter(func(f *v1alpha1.MirrorFilter) { f.Spec.Description = "for the IDS" })},
		{name: "add three rules", before: withRules(upTo(1, "10.1")...), act: toRules(upTo(4, "10.1")...)},
		{name: "take three rules away", before: withRules(upTo(4, "10.1")...), act: toRules(upTo(1, "10.1")...)},
		{name: "change a rule in its place", before: pair, act: toRules(rule(1, func(r *v1alpha1.FilterRule) {
			r.Source = &v1alpha1.RulePeer{CIDR: "192.168.0.0/24"}
		}))},
		{name: "clear a rule's ports", before: pair, act: toRules(rule(1, func(r *v1alpha1.FilterRule) { r.Destination.Port = nil }))},
		{name: "exchange the priorities of an accept and a reject", before: withRules(
			rule(1, func(*v1alpha1.FilterRule) {}), rule(2, func(r *v1alpha1.FilterRule) { r.Action = v1alpha1.ActionReject })),
			act: toRules(rule(2, func(*v1alpha1.FilterRule) {}), rule(1, func(r *v1alpha1.FilterRule) { r.Action = v1alpha1.ActionReject }))},
		{name: "turn a rule round", before: makeFilter, act: toRules(rule(1, func(r *v1alpha1.FilterRule) { r.Direction = v1alpha1.DirectionEgress }))},
		{name: "replace all rules where no slot is free", before: withRules(upTo(10, "10.1")...), act: toRules(upTo(3, "10.2")...)},
		{name: "take a rule away and, when the manager stopped, back", before: withRules(upTo(2, "10.1")...),
			act: toRules(upTo(1, "10.1")...), back: toRules(upTo(2, "10.1")...)},
		{name: "edit the rules and think better of it", before: withRules(upTo(2, "10.1")...), act: func(s *stage) {
			toRules(upTo(1, "10.1")...)(s)
			toRules(upTo(2, "10.1")...)(s)
		}},
	}
}

func sessionEdits() []play {
	edits := []struct {
		name string
		edit func(*v1alpha1.MirrorSession)
	}{
		{"rename a session", func(m *v1alpha1.MirrorSession) { m.Spec.CloudName = "renamed" }},
		{"describe a session", func(m *v1alpha1.MirrorSession) { m.Spec.Description = "for the IDS" }},
		{"move the VNI", func(m *v1alpha1.MirrorSession) { m.Spec.VNI = new(int32(99)) }},
		{"move the priority", func(m *v1alpha1.MirrorSession) { m.Spec.Priority = new(int32(99)) }},
		{"shorten the copies", func(m *v1alpha1.MirrorSession) { m.Spec.PacketLength = new(int32(128)) }},
		{"disable a session", off},
		{"change three fields at once", func(m *v1alpha1.MirrorSession) {
			m.Spec.VNI, m.Spec.Priority, m.Spec.Description = new(int32(99)), new(int32(99)), "for the IDS"
		}},
		{"add two sources", from(portA, portB, portC)},
		{"exchange the only source for another", from(portB)},
		{"move the target", to(portU, portA)},
		{"move the target and the source", to(portU, portB)},
	}
	var all []play
	for _, e := range edits {
		all = append(all, play{name: e.name, before: pair, act: editSession(e.edit)})
	}
	return append(all,
		play{name: "enable a session", before: with(off), act: editSession(func(m *v1alpha1.MirrorSession) { m.Spec.Enabled = nil })},
		play{name: "take two sources away", before: with(from(portA, portB, portC)), act: editSession(from(portB))},
		play{name: "switch off and on again at once", before: pair, act: func(s *stage) {
			s.editSession("m", off)
			s.editSession("m", func(m *v1alpha1.MirrorSession) { m.Spec.Enabled = nil })
		}},
		play{name: "edit a session and think better of it", before: pair, act: func(s *stage) {
			s.editSession("m", func(m *v1alpha1.MirrorSession) { m.Spec.PacketLength = new(int32(128)) })
			s.editSession("m", func(m *v1alpha1.MirrorSession) { m.Spec.PacketLength = nil })
		}},
		play{name: "switch off and, when the manager stopped, on again", before: pair, act: editSession(off),
			back: editSession(func(m *v1alpha1.MirrorSession) { m.Spec.Enabled = nil })},
		play{name: "name no source any more", before: pair, act: func(s *stage) {
			s.editSession("m", from())
			m := named[*v1alpha1.MirrorSession](s, "m")
			s.expect(m, v1alpha1.ReasonNoSources)
			s.also = func() string {
				if c := s.Content(); len(c.Sessions) != 1 || c.Sessions[0].Enabled {
					return fmt.Sprintf("the session is not off: %+v", c.Sessions)
				}
				return ""
			}
		}},
	)
}

// moves are edits in which things change their places.
func moves() []play {
	twoFilters := func(s *stage) {
		pair(s)
		s.newFilter("g", func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = upTo(2, "10.2") })
	}
	return []play{
		{name: "the only source and the target exchange their roles", before: pair, act: editSession(to(portA, portT))},
		{name: "the target becomes a source", before: pair, act: editSession(to(portU, portT))},
		{name: "a source becomes the target", before: with(from(portA, portB)), act: editSession(to(portA, portB))},
		{name: "swap the filter", before: twoFilters, act: editSession(func(m *v1alpha1.MirrorSession) { m.Spec.FilterRef.Name = "g" })},
		{name: "swap the filter and the source", before: twoFilters, act: editSession(func(m *v1alpha1.MirrorSession) {
			m.Spec.FilterRef.Name = "g"
			from(portB)(m)
		})},
		{name: "exchange two priorities", before: rank(2), act: exchange(2, 1)},
		{name: "exchange three priorities", before: rank(3), act: exchange(2, 3, 1)},
		{name: "give a priority on", before: rank(2), act: exchange(7, 1)},
	}
}

func drifts() []play {
	list := []struct {
		name string
		edit func(*stage)
	}{
		{"a rule is deleted outside", drift(func(w *state.World, _ *state.Session, _ *state.Filter, rules []state.Rule) {
			delete(w.Rules, rules[0].ID)
		})},
		{"a rule is added outside", drift(func(w *state.World, _ *state.Session, _ *state.Filter, rules []state.Rule) {
			r := rules[0]
			r.ID, r.Priority = "5a1f0c7e-0000-4000-8000-00000000eeee", 9
			w.Rules[r.ID] = r
		})},
		{"a session is deleted outside", drift(func(w *state.World, m *state.Session, _ *state.Filter, _ []state.Rule) { delete(w.Sessions, m.ID) })},
		{"filter and session are deleted outside", drift(func(w *state.World, m *state.Session, f *state.Filter, rules []state.Rule) {
			delete(w.Sessions, m.ID)
			delete(w.Filters, f.ID)
			delete(w.Rules, rules[0].ID)
		})},
		{"a session is renamed outside", driftSession(func(m *state.Session) { m.Name = "theirs" })},
		{"a session is switched off outside", driftSession(func(m *state.Session) { m.Enabled = false })},
		{"a session gets other numbers outside", driftSession(func(m *state.Session) { m.VNI, m.Priority = 9, 9 })},
		{"a session gets another source outside", driftSession(func(m *state.Session) { m.Sources = []string{portB} })},
		{"a session loses its mark outside", driftSession(func(m *state.Session) { m.Description = "" })},
		{"a filter is renamed outside", driftFilter(func(f *state.Filter) { f.Name = "theirs" })},
		{"a filter loses its mark outside", driftFilter(func(f *state.Filter) { f.Description = "mine" })},
	}
	var all []play
	for _, d := range list {
		all = append(all,
			play{name: d.name, before: pair, act: func(s *stage) { d.edit(s); s.outside = true; s.request() }},
			play{name: d.name + " while no manager runs", before: pair, act: d.edit, away: true})
	}
	return all
}

// lives are what happens to objects and what they need.
func lives() []play {
	return []play{
		{name: "delete a session and its filter", before: pair, act: removeAll},
		{name: "delete what is retained", before: func(s *stage) {
			s.newFilter("f", retainFilter)
			s.newSession("m", "f", retain)
		}, act: removeAll},
		{name: "rotate the keys", before: pair, act: rotate},
		{name: "name another Secret", before: pair, act: func(s *stage) {
			s.Create(s.Secret("another"))
			ref := &v1alpha1.SecretReference{Name: "another"}
			s.editFilter("f", func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef = ref })
			s.editSession("m", func(m *v1alpha1.MirrorSession) { m.Spec.CredentialsRef = ref })
		}},
		{name: "suspend", before: pair, act: func(s *stage) {
			was := s.Content()
			s.editSession("m", func(m *v1alpha1.MirrorSession) { m.Spec.Suspend, m.Spec.VNI = true, new(int32(99)) })
			s.expect(named[*v1alpha1.MirrorSession](s, "m"), v1alpha1.ReasonSuspended)
			s.also = func() string {
				if !s.Like(was) {
					return "the cloud changed though the session is suspended"
				}
				return ""
			}
		}},
		{name: "resume with an edit", before: func(s *stage) {
			pair(s)
			if _, wrong := s.settle(nil); wrong != "" {
				s.t.Fatal(wrong)
			}
			s.editSession("m", func(m *v1alpha1.MirrorSession) { m.Spec.Suspend, m.Spec.VNI = true, new(int32(99)) })
			s.expect(named[*v1alpha1.MirrorSession](s, "m"), v1alpha1.ReasonSuspended)
		}, act: func(s *stage) {
			s.editSession("m", func(m *v1alpha1.MirrorSession) { m.Spec.Suspend = false })
			s.expect(named[*v1alpha1.MirrorSession](s, "m"), "")
		}},
		{name: "both statuses are wiped", before: pair, away: true, act: func(s *stage) { wipe(s) }},
		{name: "both statuses are wiped and the objects deleted", before: pair, away: true, act: func(s *stage) {
			wipe(s)
			s.removeAll()
		}},
		{name: "a copy is restored with its status", before: pair, away: true, act: restore},
		{name: "a copy is restored with its status and deleted", before: pair, away: true, act: func(s *stage) {
			restore(s)
			s.remove(named[*v1alpha1.MirrorSession](s, "m-copy"))
			s.remove(named[*v1alpha1.MirrorFilter](s, "f-copy"))
		}},
		{name: "rules of both directions and the name change at once", before: makeFilter, act: editFilter(func(f *v1alpha1.MirrorFilter) {
			f.Spec.CloudName = "renamed"
			f.Spec.Rules = append(upTo(2, "10.3"), rule(1, func(r *v1alpha1.FilterRule) { r.Direction = v1alpha1.DirectionEgress }))
		})},
	}
}

func wipe(s *stage) {
	harness.SetStatus(s.World, named[*v1alpha1.MirrorFilter](s, "f"), &v1alpha1.MirrorFilter{})
	harness.SetStatus(s.World, named[*v1alpha1.MirrorSession](s, "m"), &v1alpha1.MirrorSession{})
}

// restore makes copies as a backup gives them back under other names.
func restore(s *stage) {
	finalizers := []string{v1alpha1.Finalizer, v1alpha1.CredentialsFinalizer}
	f := harness.Restore(s.World, named[*v1alpha1.MirrorFilter](s, "f"), s.Filter("f-copy"), finalizers...)
	m := harness.Restore(s.World, named[*v1alpha1.MirrorSession](s, "m"), s.Session("m-copy", "f"), finalizers...)
	s.live = append(s.live, &subject{Object: f, reason: v1alpha1.ReasonConflict}, &subject{Object: m, reason: v1alpha1.ReasonConflict})
}

// rotate gives the account other keys and then the Secret.
func rotate(s *stage) {
	s.Edit(func(world *state.World) {
		account := world.Accounts[scenario.WalkthroughAccessKey]
		account.AccessKey, account.SecretKey = "EXAMPLEACCESSKEY0009", "example-secret-key-number-nine-of-the-simulator"
		world.Accounts[account.AccessKey] = account
		delete(world.Accounts, scenario.WalkthroughAccessKey)
	})
	secret := s.Secret(harness.SecretName)
	harness.Change(s.World, secret, func(secret *corev1.Secret) {
		secret.Data["accessKey"] = []byte("EXAMPLEACCESSKEY0009")
		secret.Data["secretKey"] = []byte("example-secret-key-number-nine-of-the-simulator")
	})
	s.editSession("m", func(m *v1alpha1.MirrorSession) { m.Spec.PacketLength = new(int32(256)) })
	s.request()
}

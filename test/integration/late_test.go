//go:build !oldest

package integration_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestACreateThatTakesEffectLaterIsNotRepeated(t *testing.T) {
	t.Parallel()
	internal := fault.Fault{Kind: fault.Error, Status: 500, Code: "VPC.2502", Message: "internal"}
	for _, operation := range []string{"CreateTrafficMirrorFilter", "CreateTrafficMirrorFilterRule", "CreateTrafficMirrorSession"} {
		for answer, f := range map[string]fault.Fault{
			"without an answer":      {Kind: fault.Reset},
			"with a page of a proxy": {Kind: fault.HTML},
			"with a 500":             internal,
			"with an empty 200":      {Kind: fault.Empty},
			"as if all were well":    {Kind: fault.Accepted},
		} {
			t.Run(operation+" "+answer, func(t *testing.T) {
				t.Parallel()
				w := harness.New(t)
				f.Operation, f.Times, f.EffectIn = operation, 1, fault.Duration(lateBySix)
				w.Fault(f)
				judge := w.Judge()
				w.Start(harness.WithTiming(shortTiming), harness.WithGate(judge.Gate()))
				filter, session := w.Pair("late")
				effectCame(w, t)
				oneOfEach(w, t, filter, session)
				harness.Same(t, "statuses that said Ready too early", []string(nil), judge.Lies())
			})
		}
	}
}

func TestASessionThatIsMadeWhileItsObjectIsDeleted(t *testing.T) {
	t.Parallel()
	create := func(t *testing.T, in time.Duration, options ...sim.Option) (*harness.World, *harness.Judge, *v1alpha1.MirrorSession) {
		t.Helper()
		w := harness.New(t, options...)
		judge := w.Judge()
		w.Start(harness.WithTiming(shortTiming), harness.WithGate(judge.Gate()))
		filter := w.Filter("late")
		w.Create(filter)
		harness.Ready(w, filter)
		w.Fault(fault.Late(fault.Reset, "CreateTrafficMirrorSession", 1, in))
		session := w.Session("late", "late")
		w.Create(session)
		harness.Poll(t, "the create was sent", w.Cloud.Effects, func(e sim.Effects) bool { return e.Awaited+e.Came > 0 })
		w.Delete(session)
		return w, judge, session
	}
	t.Run("within the time that a write may take is deleted with it", func(t *testing.T) {
		t.Parallel()
		w, judge, session := create(t, lateBySix)
		w.Gone(session)
		effectCame(w, t)
		harness.Same(t, "the sessions", 0, len(w.Content().Sessions))
		harness.Same(t, "statuses that said Ready too early", []string(nil), judge.Lies())
	})
	t.Run("later than that is told by its mark, or deleted", func(t *testing.T) {
		t.Parallel()
		clock := &harness.Clock{}
		const later = 10 * time.Minute
		w, judge, session := create(t, later, sim.WithClock(clock.Now))
		w.Gone(session)
		harness.Same(t, "the sessions before", 0, len(w.Content().Sessions))
		clock.Advance(later)
		w.Cloud.TakeEffect()
		for _, s := range w.Content().Sessions {
			if !strings.HasSuffix(s.Description, w.Mark(session).String()) {
				t.Errorf("the session %s without an owner says only %q", s.ID, s.Description)
			}
		}
		harness.Same(t, "statuses that said Ready too early", []string(nil), judge.Lies())
	})
}

// A write without an answer, an edit that takes it back, and then the write's effect: the
// status says Ready by then, and has to be right again at the look that follows.
func TestALateEffectOfAWriteThatWasTakenBackIsMended(t *testing.T) {
	t.Parallel()
	rules := func(priorities ...int32) func(*v1alpha1.MirrorFilter) {
		return func(f *v1alpha1.MirrorFilter) {
			f.Spec.Rules = nil
			for _, p := range priorities {
				f.Spec.Rules = append(f.Spec.Rules, harness.Rule(p))
			}
		}
	}
	session := func(edit func(*v1alpha1.MirrorSessionSpec)) func(*v1alpha1.MirrorSession) {
		return func(m *v1alpha1.MirrorSession) { edit(&m.Spec) }
	}
	for name, tc := range map[string]struct {
		method, path string
		filter       [2]func(*v1alpha1.MirrorFilter) // the edit, and what takes it back
		session      [2]func(*v1alpha1.MirrorSession)
	}{
		"a rule's DELETE": {method: http.MethodDelete, path: "/v3/*/vpc/traffic-mirror-filter-rules/*",
			filter: [2]func(*v1alpha1.MirrorFilter){rules(1), rules(1, 2)}},
		"a rule's POST": {method: http.MethodPost, path: "/v3/*/vpc/traffic-mirror-filter-rules",
			filter: [2]func(*v1alpha1.MirrorFilter){rules(1, 2, 3), rules(1, 2)}},
		"a session's enabled: false": {method: http.MethodPut, path: "/v3/*/vpc/traffic-mirror-sessions/*", session: [2]func(*v1alpha1.MirrorSession){
			session(func(s *v1alpha1.MirrorSessionSpec) { s.Enabled = new(false) }), session(func(s *v1alpha1.MirrorSessionSpec) { s.Enabled = nil })}},
		"a session's priority": {method: http.MethodPut, path: "/v3/*/vpc/traffic-mirror-sessions/*", session: [2]func(*v1alpha1.MirrorSession){
			session(func(s *v1alpha1.MirrorSessionSpec) { s.Priority = new(int32(9)) }), session(func(s *v1alpha1.MirrorSessionSpec) { s.Priority = new(int32(10000)) })}},
		"a source that is added": {method: http.MethodPut, path: "/v3/*/vpc/traffic-mirror-sessions/*/add-sources", session: [2]func(*v1alpha1.MirrorSession){
			session(func(s *v1alpha1.MirrorSessionSpec) {
				s.Sources = append(s.Sources, harness.Sources(harness.ID(scenario.WalkthroughTest))...)
			}),
			session(func(s *v1alpha1.MirrorSessionSpec) { s.Sources = s.Sources[:1] })}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := &harness.Clock{}
			w := harness.New(t, sim.WithClock(clock.Now))
			judge := w.Judge()
			w.Start(harness.WithTiming(patientTiming), harness.WithGate(judge.Gate()))
			filter := w.Filter("late", rules(1, 2))
			w.Create(filter)
			harness.Ready(w, filter)
			mirror := w.Session("late", "late")
			w.Create(mirror)
			harness.Ready(w, mirror)
			want := w.Content()

			const in = time.Minute // by the cloud's clock, which stands still meanwhile
			w.Fault(fault.Fault{Kind: fault.Reset, Method: tc.method, Path: tc.path, Times: 1, EffectIn: fault.Duration(in)})
			for i := range 2 {
				if tc.filter[i] != nil {
					harness.Change(w, filter, tc.filter[i])
				} else {
					harness.Change(w, mirror, tc.session[i])
				}
				harness.Poll(t, "the write was sent", w.Cloud.Effects, func(e sim.Effects) bool { return e.Awaited == 1 })
			}
			harness.Ready(w, filter)
			harness.Ready(w, mirror)
			w.Holds(want)
			clock.Advance(in)
			w.Cloud.TakeEffect()
			if w.Like(want) {
				t.Fatal("the late effect changed nothing")
			}
			harness.Poll(t, "the cloud is as the specs say", func() bool { return w.Like(want) }, func(same bool) bool { return same })
			harness.Ready(w, filter)
			harness.Ready(w, mirror)
			harness.Same(t, "statuses that said Ready too early", []string(nil), judge.Lies())
		})
	}
}

// A process dies after a write without an answer, the edit is taken back while none runs, and
// the next one finds everything as it should be, before the effect comes.
func TestALateEffectOfAWriteOfAProcessBeforeIsMended(t *testing.T) {
	t.Parallel()
	clock := &harness.Clock{}
	w := harness.New(t, sim.WithClock(clock.Now))
	judge := w.Judge()
	gate := judge.Gate()
	first := w.Start(harness.WithTiming(shortTiming), harness.WithGate(gate))
	filter, session := w.Pair("late")
	want := w.Content()
	const in = time.Minute // by the cloud's clock, which stands still meanwhile
	w.Fault(fault.Late(fault.Reset, "UpdateTrafficMirrorSession", 1, in))
	gate.Arm(harness.Once(harness.After, harness.Effect{Name: "PUT traffic-mirror-sessions/*", Number: 1, Cloud: true}), nil)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = new(false) })
	<-gate.Died()
	first.Stop(w)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = nil })
	// What a process has just read itself hides for a while what a list says of it, see
	// inventory.Lag.
	w.Start(harness.WithTiming(patientTiming), harness.WithGate(judge.Gate()))
	harness.Ready(w, session)
	clock.Advance(in)
	w.Cloud.TakeEffect()
	harness.Same(t, "it is on", false, w.Content().Sessions[0].Enabled)
	harness.Poll(t, "the cloud is as the specs say", func() bool { return w.Like(want) }, func(same bool) bool { return same })
	harness.Ready(w, session)
	harness.Ready(w, filter)
	harness.Same(t, "statuses that said Ready too early", []string(nil), judge.Lies())
}

// The cloud has taken a step whose effect comes later, and refuses the next one as invalid for want of it.
func TestAStepThatIsRefusedForWantOfAnEarlierOneIsTakenOnceThatHasItsEffect(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]int{"once": 1, "twice": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start(harness.WithTiming(shortTiming))
			_, session := w.Pair("late", func(s *v1alpha1.MirrorSession) {
				s.Spec.Sources = harness.Sources(harness.ID(scenario.WalkthroughSource), harness.ID(scenario.WalkthroughTest))
			})
			w.Fault(fault.Fault{Kind: fault.Accepted, Operation: "RemoveSourcesFromTrafficMirrorSession", Times: refused, EffectIn: fault.Duration(lateBySix)})
			harness.Change(w, session, func(s *v1alpha1.MirrorSession) {
				s.Spec.Sources = harness.Sources(harness.ID(scenario.WalkthroughTest))
				s.Spec.Target = harness.Target(harness.ID(scenario.WalkthroughSource))
			})
			harness.WasBecause(w, session, v1alpha1.ReasonInvalidRequest, "is also a source of the session")
			harness.Ready(w, session)
			one := w.Content().Sessions[0]
			harness.Same(t, "the target and the sources", []string{scenario.WalkthroughSource, scenario.WalkthroughTest}, append([]string{one.TargetID}, one.Sources...))
		})
	}
}

// A session is switched off while its target and its sources change, and the cloud does that after all the rest.
func TestASwitchThatTakesEffectAfterTheOneThatTakesItBackIsMended(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start(harness.WithTiming(shortTiming))
	_, session := w.Pair("late")
	w.Fault(fault.Fault{Kind: fault.Accepted, Operation: "UpdateTrafficMirrorSession", Times: 1, EffectIn: fault.Duration(lateBySix)})
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources, s.Spec.Target = harness.Sources(harness.ID(scenario.WalkthroughTest)), harness.Target(harness.ID(scenario.WalkthroughSource))
	})
	effectCame(w, t)
	harness.Poll(t, "the session is on, as the spec says", func() []bool {
		one := w.Content().Sessions[0]
		return []bool{one.Enabled, one.TargetID == scenario.WalkthroughSource, slices.Equal(one.Sources, []string{scenario.WalkthroughTest})}
	}, func(is []bool) bool { return !slices.Contains(is, false) })
	harness.Ready(w, session)
}

// While rules change places, one has a copy beside it, which the cloud makes after it was to be taken away.
func TestARuleThatIsMadeAfterItWasNeededIsTakenAway(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start(harness.WithTiming(shortTiming))
	filter := w.Filter("late")
	w.Create(filter)
	harness.Ready(w, filter)
	w.Fault(fault.Fault{Kind: fault.Accepted, Operation: "CreateTrafficMirrorFilterRule", Times: 1, EffectIn: fault.Duration(lateBySix)})
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) {
		second := f.Spec.Rules[0]
		second.Priority = 2
		f.Spec.Rules[0].Source = &v1alpha1.RulePeer{CIDR: "10.3.0.0/16"}
		f.Spec.Rules = append(f.Spec.Rules, second)
	})
	effectCame(w, t)
	harness.Poll(t, "the cloud has the rules of the spec", func() (all []int) {
		for _, r := range w.Content().Rules {
			all = append(all, r.Priority)
		}
		return all
	}, func(all []int) bool { return slices.Equal(all, []int{1, 2}) })
	harness.Ready(w, filter)
}

func TestAFreshProcessThatReadsThePastMakesNeitherASecondFilterNorRulesTwice(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]harness.Effect{
		"after the filter":         {Name: "POST traffic-mirror-filters", Number: 1, Cloud: true},
		"after its ID was stored":  {Name: "PATCH mirrorfilters/stale/status", Number: 2},
		"after the second rule":    {Name: "POST traffic-mirror-filter-rules", Number: 2, Cloud: true},
		"after the last rule":      {Name: "POST traffic-mirror-filter-rules", Number: 3, Cloud: true},
		"after all of it was told": {Name: "PATCH mirrorfilters/stale/status", Number: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			judge := w.Judge()
			gate := judge.Gate()
			gate.Arm(harness.Once(harness.After, stop), nil)
			first := w.Start(harness.WithTiming(shortTiming), harness.WithGate(gate))
			w.Fault(fault.Fault{Kind: fault.Stale, For: fault.Duration(oldByFive)})
			filter := w.Filter("stale", func(f *v1alpha1.MirrorFilter) {
				f.Spec.Rules = []v1alpha1.FilterRule{harness.Rule(1), harness.Rule(2), harness.Rule(3)}
			})
			w.Create(filter)
			<-gate.Died()
			first.Stop(w)
			w.Start(harness.WithTiming(shortTiming), harness.WithGate(judge.Gate()))
			harness.Ready(w, filter)
			c := w.Content()
			harness.Same(t, "filters and rules", []int{1, 3}, []int{len(c.Filters), len(c.Rules)})
			harness.Same(t, "statuses that said Ready too early", []string(nil), judge.Lies())
		})
	}
}

func TestAnObjectThatIsMadeAnewIsNotReadyBeforeItIsAsTheSpecSays(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	judge := w.Judge()
	w.Start(harness.WithGate(judge.Gate()))
	filter := w.Filter("anew")
	w.Create(filter)
	harness.Ready(w, filter)
	w.Edit(func(world *state.World) {
		delete(world.Filters, filter.Status.ID)
		delete(world.Rules, filter.Status.Rules[0].ID)
	})
	w.Clock.Advance(time.Minute)
	harness.ReconcileNow(w, filter)
	harness.Ready(w, filter)
	harness.Same(t, "statuses that said Ready too early", []string(nil), judge.Lies())
}

func TestAnObjectThatIsMadeAnewIsNotSaidToBeDeleted(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("anew")
	w.Fault(fault.Fault{Kind: fault.Empty, Operation: "DeleteTrafficMirrorSession", Times: 1})
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) {
		target := s.Spec.Target
		s.Spec.Target = harness.Target(s.Spec.Sources[0].InterfaceSelector)
		s.Spec.Sources = harness.Sources(target.InterfaceSelector)
	})
	harness.WasBecause(w, session, v1alpha1.ReasonProgressing, "after it took its deletion")
	harness.Ready(w, session)
}

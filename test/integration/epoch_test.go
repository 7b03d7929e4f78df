package integration_test

import (
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// raised waits until a session's epoch is above the one given, and returns it as it is then.
func raised(w *harness.World, s *v1alpha1.MirrorSession, above int64) {
	harness.Until(w, s, "its epoch is raised", func(s *v1alpha1.MirrorSession) bool { return s.Status.Epoch > above })
}

// sinceIsSet fails the test unless the epoch says when it began.
func sinceIsSet(t *testing.T, s *v1alpha1.MirrorSession) {
	t.Helper()
	if s.Status.Traffic == nil || s.Status.Traffic.Since == nil || time.Since(s.Status.Traffic.Since.Time) > time.Minute {
		t.Errorf("the epoch does not say that it has just begun: %s", harness.Text(s))
	}
}

func TestAnEditOfASessionRaisesItsEpochWhenItChangesWhatIsCopied(t *testing.T) {
	t.Parallel()
	for field, c := range map[string]struct {
		edit   func(*v1alpha1.MirrorSession)
		raises int64
	}{
		"cloudName":    {func(s *v1alpha1.MirrorSession) { s.Spec.CloudName = "renamed" }, 0},
		"description":  {func(s *v1alpha1.MirrorSession) { s.Spec.Description = "new words" }, 0},
		"priority":     {func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(5)) }, 0},
		"packetLength": {func(s *v1alpha1.MirrorSession) { s.Spec.PacketLength = new(int32(128)) }, 0},
		"vni":          {func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(77)) }, 1},
		"enabled":      {func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = new(false) }, 1},
		"target":       {func(s *v1alpha1.MirrorSession) { s.Spec.Target = harness.Target(harness.At("192.168.0.161")) }, 1},
		"sources":      {func(s *v1alpha1.MirrorSession) { s.Spec.Sources = harness.Sources(harness.At("192.168.0.161")) }, 1},
		"one source more": {func(s *v1alpha1.MirrorSession) {
			s.Spec.Sources = append(s.Spec.Sources, harness.Sources(harness.At("192.168.0.161"))...)
		}, 1},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			_, session := w.Pair("edited")
			harness.Same(t, "the first epoch", 1, session.Status.Epoch)
			sinceIsSet(t, session)
			harness.Change(w, session, c.edit)
			harness.Ready(w, session)
			harness.Same(t, "the epoch", 1+c.raises, session.Status.Epoch)
			sinceIsSet(t, session)
		})
	}
}

func TestAnEditOfAFilterRaisesItsEpochAndThatOfItsSessions(t *testing.T) {
	t.Parallel()
	for field, c := range map[string]struct {
		edit   func(*v1alpha1.MirrorFilter)
		raises bool
	}{
		"description":          {func(f *v1alpha1.MirrorFilter) { f.Spec.Description = "new words" }, false},
		"a rule's description": {func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Description = "new words" }, false},
		"a rule's port":        {func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Destination.Port = new(int32(80)) }, true},
		"a rule more":          {func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = append(f.Spec.Rules, toPort(9, 80)) }, true},
		"no rule":              {func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = nil }, true},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			m := w.Start()
			filter, session := w.Pair("edited")
			before := session.Status.Epoch
			was := filter.Status.Epoch
			harness.Change(w, filter, c.edit)
			harness.Ready(w, filter)
			if !c.raises {
				harness.Same(t, "the filter's epoch", was, filter.Status.Epoch)
				m.Reconciled(w, session)
				harness.Same(t, "the session's epoch", before, harness.ReconcileNow(w, session).Status.Epoch)
				return
			}
			harness.Same(t, "the filter's epoch", was+1, filter.Status.Epoch)
			raised(w, session, before)
			harness.Same(t, "the session's epoch", before+1, harness.ReconcileNow(w, session).Status.Epoch)
			sinceIsSet(t, session)
		})
	}
}

func TestADriftThatIsFoundAndUndoneAtOnceBeginsAnEpoch(t *testing.T) {
	t.Parallel()
	for field, c := range map[string]struct {
		edit   func(*state.Session)
		raises int64 // the drift is one change, and undoing it another
	}{
		"name":         {func(s *state.Session) { s.Name = "x" }, 0},
		"priority":     {func(s *state.Session) { s.Priority = 3 }, 0},
		"packetLength": {func(s *state.Session) { s.PacketLength = 96 }, 0},
		"vni":          {func(s *state.Session) { s.VNI = 99 }, 2},
		"enabled":      {func(s *state.Session) { s.Enabled = false }, 2},
		"target":       {func(s *state.Session) { s.TargetID = scenario.WalkthroughTest }, 2},
		"sources":      {func(s *state.Session) { s.Sources = append(s.Sources, scenario.WalkthroughTest) }, 2},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			_, session := w.Pair("drifting")
			want := w.Content()
			before := session.Status.Epoch
			w.EditSession(session.Status.Sessions[0].ID, c.edit)
			harness.ReconcileNow(w, session)
			w.Holds(want)
			harness.Same(t, "the epoch", before+c.raises, session.Status.Epoch)
			harness.Ready(w, session)
		})
	}
}

func TestARuleThatDriftedAndWasRestoredBeginsAnEpochOfEachSession(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, session := w.Pair("drifting")
	want, was, before := w.Content(), filter.Status.Epoch, session.Status.Epoch
	w.Edit(func(world *state.World) {
		r := world.Rules[filter.Status.Rules[0].ID]
		r.DestinationPortRange = "80-80"
		world.Rules[r.ID] = r
	})
	harness.ReconcileNow(w, filter)
	w.Holds(want)
	harness.Same(t, "the filter's epoch", was+2, filter.Status.Epoch)
	raised(w, session, before)
}

func TestASessionThatIsMadeAnewBeginsAnEpoch(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("lost")
	before, id := session.Status.Epoch, session.Status.Sessions[0].ID
	w.Edit(func(world *state.World) { delete(world.Sessions, id) })
	w.Clock.Advance(time.Hour) // then it is believed
	harness.ReconcileNow(w, session)
	harness.Ready(w, session)
	if session.Status.Epoch <= before || session.Status.Sessions[0].ID == id {
		t.Errorf("the epoch was %d: %s", before, harness.Text(session))
	}
}

func TestARestartOfTheManagerBeginsNoEpochAndOneWithoutEpochsGetsTheFirst(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	first := w.Start()
	filter, session := w.Pair("steady")
	first.Stop(w)
	second := w.Start()
	harness.Same(t, "the filter's epoch", filter.Status.Epoch, harness.ReconcileNow(w, filter).Status.Epoch)
	harness.Same(t, "the session's epoch", session.Status.Epoch, harness.ReconcileNow(w, session).Status.Epoch)
	second.Stop(w)

	// As a version that knew no epochs has left it.
	old, oldFilter := session.DeepCopy(), filter.DeepCopy()
	old.Status.Epoch, old.Status.EpochBasis, old.Status.Traffic = 0, "", nil
	oldFilter.Status.Epoch, oldFilter.Status.EpochBasis = 0, ""
	harness.SetStatus(w, session, old)
	harness.SetStatus(w, filter, oldFilter)
	w.Start()
	harness.Until(w, filter, "its first epoch", func(f *v1alpha1.MirrorFilter) bool { return f.Status.Epoch == 1 })
	raised(w, session, 0)
	sinceIsSet(t, session)
	harness.Ready(w, session)
}

func TestAnEpochIsBeyondThoseThatVerifiersHaveWhenTheStatusWasLost(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	first := w.Start()
	_, session := w.Pair("restored")
	e := entry("node-a", v1alpha1.Counts{Packets: 3}, time.Second, 2*time.Second)
	e.Epoch, e.InEpoch = 7, new(e.Counts)
	write(t, w, session, e)
	first.Stop(w)
	if err := w.Get(session); err != nil {
		t.Fatal(err)
	}
	lost := session.DeepCopy()
	lost.Status.Epoch, lost.Status.EpochBasis = 0, ""
	harness.SetStatus(w, session, lost)
	w.Start()
	raised(w, session, 0)
	if session.Status.Epoch < 8 {
		t.Errorf("the epoch is %d, and a verifier knows 7", session.Status.Epoch)
	}
}

func TestAnEffectThatCameAfterItsWriteWasGivenUpBeginsAnEpoch(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	judge := w.Judge()
	w.Start(harness.WithTiming(shortTiming))
	_, session := w.Pair("late")
	before := session.Status.Epoch
	w.Fault(fault.Late(fault.Reset, "UpdateTrafficMirrorSession", 1, lateBySix))
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = new(false) })
	effectCame(w, t)
	harness.Ready(w, session)
	raised(w, session, before)
	harness.Same(t, "what the epoch is not of", "", judge.Outdated(session))
}

func TestAFilterThatGotHalfOfItsRulesBeginsAnEpoch(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, session := w.Pair("half")
	was, before := filter.Status.Epoch, session.Status.Epoch
	w.Fault(fault.Fault{Kind: fault.Error, Operation: "CreateTrafficMirrorFilterRule", Skip: 1, Status: 400, Code: "VPC.0002", Message: "invalid"})
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = append(f.Spec.Rules, toPort(8, 80), toPort(9, 90)) })
	harness.Because(w, filter, v1alpha1.ReasonInvalidRequest)
	harness.Same(t, "the rules in the cloud", 2, int(filter.Status.RuleCount))
	harness.Same(t, "the filter's epoch", was+1, filter.Status.Epoch)
	raised(w, session, before)
}

func TestAnEditThatTheCloudRefusesBeginsNoEpoch(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("refused")
	before := session.Status.Epoch
	target := *session.Status.Target
	w.Fault(fault.Fault{Kind: fault.Error, Operation: "UpdateTrafficMirrorSession", Status: 400, Code: "VPC.0002", Message: "invalid"})
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Target = harness.Target(harness.At("192.168.0.161")) })
	harness.Because(w, session, v1alpha1.ReasonInvalidRequest)
	harness.Same(t, "the epoch", before, session.Status.Epoch)
	harness.Same(t, "the target that the verifiers read", target, *session.Status.Target)
}

func TestTheStatusListsNoSourceThatTheCloudDoesNotHave(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("refused")
	before, had := session.Status.Epoch, session.Status.Sources
	failing := w.Fault(fault.Fault{Kind: fault.Error, Operation: "AddSourcesToTrafficMirrorSession", Status: 400, Code: "VPC.0002", Message: "invalid"})
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = append(s.Spec.Sources, harness.Sources(harness.At("192.168.0.161"))...)
	})
	harness.Because(w, session, v1alpha1.ReasonInvalidRequest)
	harness.Same(t, "the sources", had, session.Status.Sources)
	harness.Same(t, "the sources that are counted", 1, len(session.Status.Traffic.Sources))
	harness.Same(t, "the epoch", before, session.Status.Epoch)

	w.Cloud.Faults.Remove(failing)
	harness.ReconcileNow(w, session)
	harness.Ready(w, session)
	harness.Same(t, "the sources when it is taken", 2, len(session.Status.Sources))
	harness.Same(t, "the epoch then", before+1, session.Status.Epoch)
}

func TestASessionThatIsSwitchedOffForWantOfSourcesBeginsAnEpoch(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("empty")
	before := session.Status.Epoch
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = nil })
	harness.Because(w, session, v1alpha1.ReasonNoSources)
	harness.Same(t, "the epoch", before+1, session.Status.Epoch)
	w.EditSession(session.Status.Sessions[0].ID, func(s *state.Session) { s.Enabled = true })
	harness.ReconcileNow(w, session)
	harness.Same(t, "the epoch when somebody switched it on, and it is off again", before+3, session.Status.Epoch)
}

func TestASessionWhoseSourceAndTargetExchangeTheirRolesBeginsAnEpoch(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("roles")
	before := session.Status.Epoch
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources, s.Spec.Target = harness.Sources(harness.At("192.168.0.164")), harness.Target(harness.At("192.168.0.230"))
	})
	harness.Ready(w, session)
	if session.Status.Epoch <= before {
		t.Errorf("the epoch is %d still", session.Status.Epoch)
	}
}

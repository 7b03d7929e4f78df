package integration_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// patient has the look after a start come later, and that at a write without an answer.
var patient = harness.WithTiming(lifecycle.Timing{CallDeadline: 2 * time.Second, Lag: time.Second, Recheck: time.Hour})

// wayReads are what the way of copies is read by, once for all sessions of the walkthrough's account.
var wayReads = map[string]int{
	"ListPorts": 1, "ListSecurityGroups": 1, "ListSecurityGroupRules": 1, "ListFirewall": 1, "ListServersDetails": 1, "ListFlavors": 1,
}

// with is both maps as one.
func with(some, more map[string]int) map[string]int {
	all := maps.Clone(some)
	maps.Copy(all, more)
	return all
}

// pathClear waits until PathClear has the reason, and the words in its message.
func pathClear(w *harness.World, s *v1alpha1.MirrorSession, reason string, words ...string) metav1.Condition {
	harness.Until(w, s, fmt.Sprintf("PathClear because of %s, saying %q", reason, words), func(s *v1alpha1.MirrorSession) bool {
		c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionPathClear)
		return c != nil && c.Reason == reason && !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(c.Message, word) })
	})
	return *meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionPathClear)
}

// setRule takes the rule that lets the copies in out of the target's security group, behind the
// manager's back, or puts it there.
func setRule(w *harness.World, in bool) {
	rule := state.FromScenario(w.Cloud.Scenario, time.Now()).GroupRules[scenario.WalkthroughVXLANRule]
	w.Edit(func(world *state.World) {
		if delete(world.GroupRules, rule.ID); in {
			world.GroupRules[rule.ID] = rule
		}
	})
}

// letIn puts a rule into the target's security group that lets the copies of another source in. Its
// ID is the source's, which no other rule has.
func letIn(w *harness.World, source, cidr string) {
	rule := state.FromScenario(w.Cloud.Scenario, time.Now()).GroupRules[scenario.WalkthroughVXLANRule]
	rule.ID, rule.RemotePrefix = source, cidr
	w.Edit(func(world *state.World) { world.GroupRules[rule.ID] = rule })
}

// standStill lets so much time pass that copies are missed, and the verifier write once more.
func standStill(t *testing.T, w *harness.World, s *v1alpha1.MirrorSession, e v1alpha1.Verification) {
	t.Helper()
	w.Clock.Advance(30 * time.Second)
	e.ObservedAt = metav1.NewMicroTime(e.ObservedAt.Add(30 * time.Second))
	write(t, w, s, e)
}

func TestAGroupThatIsClosedUnderTrafficIsNamedByItselfAndClearedWhenCopiesComeAgain(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := w.Start(patient)
	_, session := w.Pair("closed")
	e := write(t, w, session, entry("ecs-target", v1alpha1.Counts{Packets: 1, Bytes: 72}, time.Second, 2*time.Second))
	was := pathClear(w, session, v1alpha1.ReasonClear)
	harness.Same(t, "the condition", []string{"True", "1"}, []string{string(was.Status), fmt.Sprint(was.ObservedGeneration)})
	e.Packets++
	e.InEpoch = new(e.Counts)
	write(t, w, session, e)
	setRule(w, false)
	closed := time.Now()
	c := pathClear(w, session, v1alpha1.ReasonTargetGroupDenies, "sg-target", "192.168.0.230")
	t.Logf("named after %s", time.Since(closed).Round(time.Second))
	harness.Same(t, "the status", metav1.ConditionFalse, c.Status)
	harness.Same(t, "the worst finding", v1alpha1.ReasonTargetGroupDenies, session.Status.Findings[0].Reason)
	w.EventSays(session, v1alpha1.ReasonTargetGroupDenies, "sg-target")

	asked := w.Cloud.Journal.Last()
	setRule(w, true)
	e.Packets++
	e.InEpoch = new(e.Counts)
	write(t, w, session, e)
	pathClear(w, session, v1alpha1.ReasonClear)
	w.EventSays(session, v1alpha1.ReasonClear, "")
	harness.Poll(t, "the rules are read again, soon after copies came again", func() int {
		return harness.Count(w.Cloud.Journal.Since(asked))["ListSecurityGroupRules"]
	}, func(n int) bool { return n == 1 })
	m.EventsSent(w)
	harness.Same(t, "events of the group, and of the way", []int{1, 1}, []int{m.Evented(v1alpha1.ReasonTargetGroupDenies), m.Evented(v1alpha1.ReasonClear)})
	harness.Same(t, "what was written to the cloud", []string{}, harness.Operations(w.Cloud.Journal.Writes(asked)))
}

func TestWithoutARightTheWayIsUnknownAndTheActionNamedWhileAllElseWorks(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	id := w.Fault(fault.Fault{Kind: fault.Error, Operation: "ListSecurityGroupRules", Status: 403, Code: "VPC.0010", Message: "policy doesn't allow it"})
	w.Start(patient)
	filter, session := w.Pair("unpermitted")
	c := pathClear(w, session, v1alpha1.ReasonNotPermitted, "vpc:securityGroupRules:")
	harness.Same(t, "the status", metav1.ConditionUnknown, c.Status)
	harness.Ready(w, session)
	asked := w.Cloud.Journal.Last()
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(9)) })
	harness.Ready(w, session)
	write(t, w, session, entry("ecs-target", v1alpha1.Counts{Packets: 1, Bytes: 72}, time.Second, 2*time.Second))
	traffic(w, session, v1alpha1.ReasonPacketsObserved)
	if refused := harness.Count(w.Cloud.Journal.Since(asked))["ListSecurityGroupRules"]; refused > 1 {
		t.Errorf("what was refused was asked for %d times more", refused)
	}

	w.Cloud.Faults.Remove(id)
	harness.ReconcileNow(w, session)
	pathClear(w, session, v1alpha1.ReasonClear)
	w.Delete(session)
	w.Gone(session)
	w.Delete(filter)
	w.Gone(filter)
}

func TestWhatIsWrongInTheCloudIsSeenAtOnceOnRequest(t *testing.T) {
	t.Parallel()
	for reason, c := range map[string]struct {
		edit  func(*state.World)
		words []string
	}{
		v1alpha1.ReasonServerStopped: {func(world *state.World) {
			server := world.Servers["5a1f0c7e-0000-4000-8000-0000000000c1"]
			server.Stopped = true
			world.Servers[server.ID] = server
		}, []string{"ecs-source"}},
		v1alpha1.ReasonInterfaceGone: {func(world *state.World) { delete(world.Ports, scenario.WalkthroughTarget) }, []string{scenario.WalkthroughTarget}},
		v1alpha1.ReasonInterfaceDetached: {func(world *state.World) {
			port := world.Ports[scenario.WalkthroughTarget]
			port.ServerID = ""
			world.Ports[port.ID] = port
		}, []string{"192.168.0.164"}},
		v1alpha1.ReasonFlavorUnsupported: {func(world *state.World) {
			flavor := world.Flavors["c7t.large.2"]
			flavor.Mirroring = false
			world.Flavors[flavor.Name] = flavor
		}, []string{"c7t.large.2"}},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start(patient)
			_, session := w.Pair("wrong")
			pathClear(w, session, v1alpha1.ReasonClear)
			w.Edit(c.edit)
			harness.ReconcileNow(w, session)
			said := pathClear(w, session, reason, c.words...)
			harness.Same(t, "the status", metav1.ConditionFalse, said.Status)
		})
	}
}

func TestOneSourceOfTwoThatIsKeptOutMakesThePathFalseInPart(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start(patient)
	_, session := w.Pair("part", func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = harness.Sources(harness.ID(scenario.WalkthroughSource), harness.ID(scenario.WalkthroughTest))
	})
	c := pathClear(w, session, v1alpha1.ReasonTargetGroupDenies, "1 of 2 sources", "192.168.0.161")
	harness.Same(t, "the status", metav1.ConditionFalse, c.Status)
	harness.Same(t, "its severity", v1alpha1.SeverityWarning, session.Status.Findings[0].Severity)
}

func TestDriftOfAFilterIsMendedWhenCopiesStop(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start(patient)
	filter, session := w.Pair("drifting")
	e := write(t, w, session, entry("ecs-target", v1alpha1.Counts{Packets: 1, Bytes: 72}, time.Second, 2*time.Second))
	traffic(w, session, v1alpha1.ReasonPacketsObserved)
	want := w.Content()
	w.Edit(func(world *state.World) {
		rule := world.Rules[filter.Status.Rules[0].ID]
		rule.Action = "reject"
		world.Rules[rule.ID] = rule
		in := world.Sessions[session.Status.Sessions[0].ID]
		in.Enabled = false
		world.Sessions[in.ID] = in
	})
	standStill(t, w, session, e)
	harness.Poll(t, "the cloud is as before", func() bool { return w.Like(want) }, func(same bool) bool { return same })
	w.EventSays(filter, "DriftCorrected", "rules[Ingress 1].action is Reject, wanted Accept")
	w.EventSays(session, "DriftCorrected", "enabled is false, wanted true")
}

func TestWhatStandsAboutTheWayStaysWhileTheCloudDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	setRule(w, false)
	m := w.Start(patient)
	_, session := w.Pair("kept")
	e := write(t, w, session, entry("ecs-target", v1alpha1.Counts{}, 0, 0))
	said := pathClear(w, session, v1alpha1.ReasonTargetGroupDenies)
	finding := session.Status.Findings[0]
	m.Stop(w)

	setRule(w, true)
	id := w.Fault(fault.Fault{Kind: fault.Error, Status: 503})
	second := w.Start(patient)
	second.Reconciled(w, session)
	standStill(t, w, session, e)
	harness.Because(w, session, v1alpha1.ReasonCloudUnavailable)
	harness.Same(t, "the condition", said, *meta.FindStatusCondition(session.Status.Conditions, v1alpha1.ConditionPathClear))
	if !slices.ContainsFunc(session.Status.Findings, func(f v1alpha1.Finding) bool { return f.Reason == finding.Reason && f.Since.Equal(&finding.Since) }) {
		t.Errorf("what was found before is gone: %s", harness.Text(session))
	}
	w.Cloud.Faults.Remove(id)
	harness.ReconcileNow(w, session)
	pathClear(w, session, v1alpha1.ReasonClear)
}

func TestNothingIsReadOfTheWayOfASuspendedSessionOrOneThatIsOff(t *testing.T) {
	t.Parallel()
	for reason, edit := range map[string]func(*v1alpha1.MirrorSession){
		v1alpha1.ReasonSuspended: func(s *v1alpha1.MirrorSession) { s.Spec.Suspend = true },
		v1alpha1.ReasonDisabled:  func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = new(false) },
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start(patient)
			_, session := w.Pair("off")
			asked := w.Cloud.Journal.Last()
			harness.Change(w, session, edit)
			pathClear(w, session, reason)
			w.Clock.Advance(time.Hour)
			w.RequestReconcile(session) // which is answered while it is suspended by nobody
			if !session.Spec.Suspend {
				harness.ReconcileNow(w, session)
			}
			for operation := range harness.Count(w.Cloud.Journal.Since(asked)) {
				if strings.HasPrefix(operation, "ListSecurityGroup") || strings.HasPrefix(operation, "ListF") || operation == "ListServersDetails" {
					t.Errorf("%s was asked for", operation)
				}
			}
		})
	}
}

func TestWhatAnEventHasToldIsNotToldAgainThoughTheStatusCouldNotBeStored(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	var refuses atomic.Bool
	m := w.Start(patient, harness.WithClient(func(c client.Client) client.Client { return refusing{c, &refuses} }))
	_, session := w.Pair("refused")
	e := write(t, w, session, entry("ecs-target", v1alpha1.Counts{}, 0, 0))
	pathClear(w, session, v1alpha1.ReasonClear)

	refuses.Store(true)
	setRule(w, false)
	w.RequestReconcile(session)
	told := func(reason string) {
		t.Helper()
		harness.Poll(t, "an event of "+reason, func() int { return m.Evented(reason) }, func(n int) bool { return n > 0 })
	}
	told(v1alpha1.ReasonTargetGroupDenies)
	e.Imbalance = 2 // another thing to tell, while the first is not stored
	write(t, w, session, e)
	told(v1alpha1.ReasonBooksDontBalance)
	refuses.Store(false)
	found(w, session, v1alpha1.ReasonTargetGroupDenies, v1alpha1.ReasonBooksDontBalance, v1alpha1.ReasonNoPackets)
	m.EventsSent(w)
	harness.Same(t, "the events", []int{1, 1}, []int{m.Evented(v1alpha1.ReasonTargetGroupDenies), m.Evented(v1alpha1.ReasonBooksDontBalance)})
}

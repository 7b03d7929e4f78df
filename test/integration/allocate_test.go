package integration_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// foreign puts a session of somebody else into the cloud.
func foreign(w *harness.World, id string, vni, priority int) {
	w.Edit(func(world *state.World) {
		world.Sessions[id] = state.Session{
			ID: id, ProjectID: scenario.WalkthroughProject, Name: "foreign", FilterID: "5a1f0c7e-0000-4000-8000-0000000000ff",
			TargetID: scenario.WalkthroughTarget, TargetType: state.TargetENI, VNI: vni, PacketLength: 96, Priority: priority,
			Enabled: true, Type: "eni",
		}
	})
}

const (
	someone = "5a1f0c7e-0000-4000-8000-00000000f001"
	another = "5a1f0c7e-0000-4000-8000-00000000f002"
)

// given is what a session got.
type given struct {
	Name          string
	VNI, Priority int32
}

func numbersOf(sessions []*v1alpha1.MirrorSession) []given {
	var out []given
	for _, s := range sessions {
		out = append(out, given{s.Name, *s.Status.VNI, s.Status.Sessions[0].Priority})
	}
	return out
}

func TestSessionsMadeAtOnceGetNumbersOfTheirOwnTheOlderOnesFirst(t *testing.T) {
	t.Parallel()
	w := harness.New(t, sim.WithQuotas(func(q *state.Quotas) { q.SessionsPerSource = 100 }))
	foreign(w, someone, 2, 10000)
	foreign(w, another, 4, 10003)
	w.Start()
	var sessions []*v1alpha1.MirrorSession
	for i := range 6 {
		s := w.Session(fmt.Sprintf("s%d", i), "shared")
		w.Create(s)
		sessions = append(sessions, s)
	}
	for _, s := range sessions {
		harness.Because(w, s, v1alpha1.ReasonFilterNotFound)
	}
	w.Create(w.Filter("shared")) // wakes all of them at the same moment
	for _, s := range sessions {
		harness.Ready(w, s)
	}
	slices.SortFunc(sessions, func(a, b *v1alpha1.MirrorSession) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.UID, b.UID))
	})
	var want []given
	vnis, priorities := []int32{1, 3, 5, 6, 7, 8}, []int32{10001, 10002, 10004, 10005, 10006, 10007}
	for i, s := range sessions {
		want = append(want, given{s.Name, vnis[i], priorities[i]})
	}
	harness.Same(t, "the numbers, oldest session first", want, numbersOf(sessions))
}

func TestSessionsThatKnowNothingOfEachOtherAreNumberedOneByOne(t *testing.T) {
	t.Parallel()
	w := harness.New(t, sim.WithQuotas(func(q *state.Quotas) { q.SessionsPerSource = 100 }))
	// All wait for the same list and go on at the same moment.
	w.Fault(fault.Fault{Kind: fault.Slow, Operation: "ListTrafficMirrorSessions", Delay: fault.Duration(500 * time.Millisecond)})
	w.Start()
	var sessions []*v1alpha1.MirrorSession
	for i := range 3 {
		// Each has a Secret of its own, so nothing shows beforehand that all are for one
		// account; and a priority of its own, so the cloud refuses none of them.
		name := fmt.Sprintf("s%d", i)
		w.Create(w.Secret(name))
		s := w.Session(name, "shared", func(s *v1alpha1.MirrorSession) {
			s.Spec.CredentialsRef.Name, s.Spec.Priority = name, new(int32(i+1))
		})
		w.Create(s)
		sessions = append(sessions, s)
	}
	for _, s := range sessions {
		harness.Because(w, s, v1alpha1.ReasonFilterNotFound)
	}
	w.Create(w.Filter("shared"))
	for _, s := range sessions {
		harness.Ready(w, s)
	}
	var vnis []int32
	for _, s := range sessions {
		vnis = append(vnis, *s.Status.VNI)
	}
	slices.Sort(vnis)
	harness.Same(t, "the VNIs", []int32{1, 2, 3}, vnis)
}

func TestASessionThatCanNotBeMadeKeepsNoNumberFromOthers(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	stuck := w.Session("stuck", "shared", func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = harness.Sources(harness.ID("5a1f0c7e-0000-4000-8000-00000000dead"))
	})
	w.Create(w.Filter("shared"))
	w.Create(stuck)
	harness.Because(w, stuck, v1alpha1.ReasonInterfaceNotFound)
	session := w.Session("fine", "shared")
	w.Create(session)
	harness.Ready(w, session)
	harness.Same(t, "the numbers", []given{{"fine", 1, 10000}}, numbersOf([]*v1alpha1.MirrorSession{session}))
}

func TestAPriorityThatSomebodyElseHasIsWaitedForByName(t *testing.T) {
	t.Parallel()
	t.Run("a foreign session", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		foreign(w, someone, 9, 5)
		w.Start()
		w.Create(w.Filter("taken"))
		session := w.Session("taken", "taken", func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(5)) })
		w.Create(session)
		harness.Because(w, session, v1alpha1.ReasonPriorityTaken, "priority 5", someone, "(foreign)", "choose another")
		w.Edit(func(world *state.World) { delete(world.Sessions, someone) })
		harness.ReconcileNow(w, session)
		harness.Ready(w, session)
		harness.Same(t, "the numbers", []given{{"taken", 1, 5}}, numbersOf([]*v1alpha1.MirrorSession{session}))
	})
	t.Run("one of ours wakes it when it goes", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		five := func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(5)) }
		_, holder := w.Pair("holder", five)
		session := w.Session("waiting", "holder", five)
		w.Create(session)
		harness.Because(w, session, v1alpha1.ReasonPriorityTaken, holder.Status.Sessions[0].ID)
		w.Delete(holder)
		harness.Ready(w, session)
		harness.Same(t, "the priority", int32(5), session.Status.Sessions[0].Priority)
	})
	t.Run("one of ours wakes it when it changes", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		five := func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(5)) }
		_, holder := w.Pair("holder", five)
		session := w.Session("waiting", "holder", five)
		w.Create(session)
		harness.Because(w, session, v1alpha1.ReasonPriorityTaken, holder.Status.Sessions[0].ID)
		harness.Change(w, holder, func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(6)) })
		harness.Ready(w, session)
		harness.Same(t, "the priority", int32(5), session.Status.Sessions[0].Priority)
	})
	t.Run("an existing session keeps its own until then", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		_, session := w.Pair("moving")
		foreign(w, someone, 9, 5)
		w.Clock.Advance(time.Minute)
		harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(5)) })
		harness.Because(w, session, v1alpha1.ReasonPriorityTaken, someone)
		harness.Same(t, "the priority in the cloud", 10000, w.Cloud.State.Snapshot().Sessions[session.Status.Sessions[0].ID].Priority)
	})
}

func TestAnAllocatedPriorityThatSomebodyTookIsReplaced(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("robbed")
	w.EditSession(session.Status.Sessions[0].ID, func(s *state.Session) { s.Priority = 77 })
	foreign(w, someone, 9, 10000)
	w.Clock.Advance(time.Minute)
	harness.ReconcileNow(w, session)
	harness.Ready(w, session)
	harness.Same(t, "the numbers", []given{{"robbed", 1, 10001}}, numbersOf([]*v1alpha1.MirrorSession{session}))
}

func TestAnAllocatedVNIMovesOnlyWhenTheNewTargetHasItAlready(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	other := harness.Target(harness.ID(scenario.WalkthroughTest))
	filter, first := w.Pair("first", func(s *v1alpha1.MirrorSession) { s.Spec.Target = other })
	second := w.Session("second", filter.Name)
	w.Create(second)
	harness.Ready(w, second)
	third := w.Session("third", filter.Name)
	w.Create(third)
	harness.Ready(w, third)
	all := []*v1alpha1.MirrorSession{first, second, third}
	harness.Same(t, "the numbers at first", []given{{"first", 1, 10000}, {"second", 1, 10001}, {"third", 2, 10002}}, numbersOf(all))

	// One reconcile fails after the target is resolved: the VNI must be judged for the new
	// target all the same.
	w.Fault(failing("ShowTrafficMirrorSession", 1))
	for _, s := range []*v1alpha1.MirrorSession{third, second} {
		harness.Change(w, s, func(s *v1alpha1.MirrorSession) { s.Spec.Target = other })
		harness.Ready(w, s)
	}
	harness.Same(t, "the numbers on the new target", []given{{"first", 1, 10000}, {"second", 3, 10001}, {"third", 2, 10002}}, numbersOf(all))
}

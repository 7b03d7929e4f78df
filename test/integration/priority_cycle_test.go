//go:build !oldest

package integration_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

func priority(n int32) func(*v1alpha1.MirrorSession) {
	return func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(n) }
}

// ranked makes sessions with the priorities 1, 2 and so on.
func ranked(w *harness.World, count int) (sessions []*v1alpha1.MirrorSession) {
	w.Create(w.Filter("ranked"))
	for i := range count {
		s := w.Session(fmt.Sprintf("s%d", i), "ranked", priority(int32(i+1)))
		w.Create(s)
		sessions = append(sessions, harness.Ready(w, s))
	}
	return sessions
}

func TestSessionsThatSwapTheirPrioritiesAllGetThem(t *testing.T) {
	t.Parallel()
	for name, wanted := range map[string][]int32{ // session i had i+1
		"two, and a third stays": {2, 1, 3},
		"three in a cycle":       {2, 3, 1},
		"the first and the last": {3, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			sessions := ranked(w, len(wanted))
			for i, s := range sessions {
				harness.Change(w, s, priority(wanted[i]))
			}
			have(t, w, sessions...)
		})
	}

	t.Run("also when the status of one is stored late", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		late := &late{name: "s0", reached: make(chan struct{}), stored: make(chan struct{})}
		w.Start(harness.WithClient(func(c client.Client) client.Client { late.Client = c; return late }))
		sessions := ranked(w, 2)
		late.on.Store(true)
		harness.Change(w, sessions[0], priority(2))
		<-late.reached // it has found its priority taken, and nobody can see that
		harness.Change(w, sessions[1], priority(1))
		harness.Because(w, sessions[1], v1alpha1.ReasonPriorityTaken)
		late.on.Store(false)
		close(late.stored)
		have(t, w, sessions...)
	})

	t.Run("also when the answer to the first update is lost", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		sessions := ranked(w, 2)
		harness.Change(w, sessions[0], priority(2))
		harness.Because(w, sessions[0], v1alpha1.ReasonPriorityTaken)
		w.Fault(fault.Fault{Kind: fault.Reset, Operation: "UpdateTrafficMirrorSession", Times: 1, AfterEffect: true})
		harness.Change(w, sessions[1], priority(1))
		have(t, w, sessions...)
	})

	t.Run("also when somebody swapped them in the cloud, and no event calls the detour a repair", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		sessions := ranked(w, 2)
		w.Edit(func(world *state.World) {
			for i, s := range sessions {
				there := world.Sessions[s.Status.Sessions[0].ID]
				there.Priority = 2 - i
				world.Sessions[there.ID] = there
			}
		})
		w.Clock.Advance(time.Minute)
		for _, s := range sessions {
			harness.ReconcileNow(w, s)
		}
		have(t, w, sessions...)
		for _, s := range sessions {
			for _, e := range w.Events(s, "DriftCorrected") {
				if strings.Contains(e, "10000") {
					t.Errorf("an event of %s says: %s", s.Name, e)
				}
			}
		}
	})
}

// late lets the status of one session wait before it is stored.
type late struct {
	client.Client

	name            string
	on              atomic.Bool
	reached, stored chan struct{}
}

func (l *late) Status() client.SubResourceWriter { return lateStatus{l.Client.Status(), l} }

type lateStatus struct {
	client.SubResourceWriter
	late *late
}

func (s lateStatus) Apply(ctx context.Context, o runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption) error {
	if named, ok := o.(interface{ GetName() *string }); ok && *named.GetName() == s.late.name && s.late.on.Load() {
		close(s.late.reached)
		<-s.late.stored
	}
	return s.SubResourceWriter.Apply(ctx, o, opts...)
}

func TestASessionLeavesItsPriorityOnlyToOneThatCanMove(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*v1alpha1.MirrorSession){
		"not for one that stays":        func(*v1alpha1.MirrorSession) {},
		"not for one that is suspended": func(s *v1alpha1.MirrorSession) { s.Spec.Priority, s.Spec.Suspend = new(int32(1)), true },
		"not for one without a source":  func(s *v1alpha1.MirrorSession) { s.Spec.Priority, s.Spec.Sources = new(int32(1)), nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			sessions := ranked(w, 2)
			harness.Change(w, sessions[1], edit)
			harness.Until(w, sessions[1], "its new spec was reconciled", func(s *v1alpha1.MirrorSession) bool {
				return s.Status.ObservedGeneration == s.Generation
			})
			harness.Change(w, sessions[0], priority(2))
			harness.Because(w, sessions[0], v1alpha1.ReasonPriorityTaken, sessions[1].Status.Sessions[0].ID)
			harness.ReconcileNow(w, sessions[0]) // not at the next reconcile either
			harness.Same(t, "the priority in the cloud", 1, w.Cloud.State.Snapshot().Sessions[sessions[0].Status.Sessions[0].ID].Priority)
		})
	}
}

func TestAHolderThatIsToMoveIsWaitedForInTrueWords(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	sessions := ranked(w, 2)
	refused := w.Fault(fault.Forbidden("UpdateTrafficMirrorSession"))
	harness.Change(w, sessions[1], priority(7))
	harness.Because(w, sessions[1], v1alpha1.ReasonPermissionDenied)
	harness.Change(w, sessions[0], priority(2))
	harness.Because(w, sessions[0], v1alpha1.ReasonPriorityTaken,
		"priority 2 is already used by the cloud's session "+sessions[1].Status.Sessions[0].ID, "which is to get priority 7: this one waits for that and has priority 1 until then")
	harness.Same(t, "the priority in the cloud", 1, w.Cloud.State.Snapshot().Sessions[sessions[0].Status.Sessions[0].ID].Priority)
	w.Cloud.Faults.Remove(refused)
	harness.ReconcileNow(w, sessions[1])
	have(t, w, sessions...)
}

func TestASessionThatLostItsPriorityTakesAnotherOnceItsSpecNamesNone(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("lost", priority(5))
	id := session.Status.Sessions[0].ID
	w.Edit(func(world *state.World) {
		taken := world.Sessions[id]
		delete(world.Sessions, id)
		taken.ID, taken.Name, taken.Description = "0f0f0f0f-0000-4000-8000-0000000000aa", "theirs", ""
		world.Sessions[taken.ID] = taken
	})
	w.Clock.Advance(time.Minute)
	w.RequestReconcile(session)
	harness.Because(w, session, v1alpha1.ReasonPriorityTaken, "theirs")
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Priority = nil })
	harness.Ready(w, session)
	harness.Same(t, "the priority", int32(10000), session.Status.Sessions[0].Priority)
}
